# %% [markdown]
# # 10 · LeNet-5 (1998), line by line
#
# *The network that read cheques: layer by layer, with every parameter and every connection counted. Runs offline, in
# about 20 seconds.*
#
# **What you will be able to do:** build LeNet-5 as its authors did, derive each number of its table, say why its
# third layer is not fully connected and its outputs are pictures, and read its loss.
#
# You need tutorials 6 and 7 (convolution, receptive field) and 9 (pooling); tutorial 4 for how a network is trained.
#
# The paper is LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition". Its sections
# II.B and II.C say in a few pages what follows here. The system that it belongs to read several million cheques a day.

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, tables, viz
from tinygrad_cnn.data.catalogue import MNIST
from tinygrad_cnn.models.bitmaps import digit_bitmaps
from tinygrad_cnn.models.lenet1998 import InputPlane, connection_table
from tinygrad_cnn.nn import functional as F

tcnn.manual_seed(0)
digits = data.load("digits")  # scikit-learn's, no download

# %% [markdown]
# ## The input
#
# The network wants 32×32 pixels, although a digit of MNIST has at most 20×20, in the middle of 28×28. The reason is
# at the edges: the end of a stroke should be able to lie in the *middle* of what a unit sees, and a unit can only
# look around a pixel that has a surrounding.
#
# Background is **−0.1** and ink is **1.175**. (In one lecture the minus is missing; with 0.1 the next paragraph would
# not come out.) `InputPlane` does both.

# %%
x, label = digits.test[0]  # (1, 28, 28), normalised
plane = InputPlane()(tcnn.tensor(x)[None])  # (1, 1, 32, 32)
print(plane.shape, f"from {plane.min().item():.3f} to {plane.max().item():.3f}, a {label}")

assert plane.shape == (1, 1, 32, 32)
assert np.allclose([plane.min().item(), plane.max().item()], [-0.1, 1.175])

# %% [markdown]
# Why these two? Inputs around 0 make learning faster, and with these levels the mean is 0 if one pixel in 13 is ink.
# A digit of MNIST, in the middle of 32×32, has about one in ten, so the mean is 0.03. The paper adds that the
# variance is then about 1. It is not quite: two levels with mean 0 have variance 0.1 · 1.175, a standard deviation of
# 0.34. What matters is the mean.

# %%
ink = 0.1 / (0.1 + 1.175)  # the share of ink with which the mean is 0
levels, shares = np.array([-0.1, 1.175]), np.array([1 - ink, ink])
deviation = np.sqrt(levels**2 @ shares - (levels @ shares) ** 2)
print(f"one pixel in {1 / ink:.2f} is ink: mean {abs(levels @ shares):.3f}, standard deviation {deviation:.3f}")
assert round(1 / ink) == 13
assert abs(levels @ shares) < 1e-12
assert np.isclose(deviation, np.sqrt(0.1 * 1.175))
assert round(deviation, 2) == 0.34

mnist = MNIST.mean[0] * 28 * 28 / (32 * 32)  # the share of ink in MNIST's training images, by the catalogue
print(f"MNIST: {mnist:.3f} of 32×32 is ink, mean {-0.1 + 1.275 * mnist:.3f}")
assert round(mnist, 2) == 0.10
assert round(-0.1 + 1.275 * mnist, 2) == 0.03

# %% [markdown]
# ## A table that grows
#
# We add one layer after the other and keep books. A **parameter** is a number that is learned. A **connection** is a
# line in the drawing of the network: each unit has one to each of its inputs, and one to its bias. Convolution uses
# the same few parameters at every place, so there are far more connections than parameters. The last column is the
# receptive field: how many pixels across a unit sees of the image.

# %%
layers = {}


def add(name, layer):
    """Puts a layer at the end, prints the table so far, and gives back (output, parameters, connections)."""
    layers[name] = layer
    table = tables.summary(nn.Sequential(layers), (1, 32, 32))
    for row in table.rows:
        if row.connections:
            shape = "×".join(map(str, row.output))
            print(f"{row.name:5} {shape:>9} {row.parameters:>8,} {row.connections:>9,} {row.field!s:>5}")
    print(f"{'sum':15} {table.parameters:>8,} {table.connections:>9,}")
    return table.rows[-1].output, table.rows[-1].parameters, table.rows[-1].connections


# %% [markdown]
# ## C1: six 5×5 filters
#
# The paper's layers have a letter for what they do (C convolves, S subsamples, F is fully connected) and a number for
# where they stand. C1 has 6 filters of 5·5 weights and a bias, and 6 maps of 28×28 units:
#
# $$6\,(5\cdot5 + 1) = 156 \qquad 6\cdot28\cdot28\,(5\cdot5+1) = 122{,}304$$

# %%
row = add("c1", nn.Conv2d(1, 6, kernel_size=5))
assert row == ((6, 28, 28), 156, 122_304)

# %% [markdown]
# Without the two ideas of tutorial 5, each of these units would see the whole image with weights of its own: 4,704
# units with 1,024 weights and a bias each are 4,821,600 parameters, in the first layer alone.

# %%
units = 6 * 28 * 28
assert (units, units * (32 * 32 + 1)) == (4_704, 4_821_600)

# %% [markdown]
# ## Squashing
#
# Every weighted sum, up to F6, goes through the same activation: tanh, stretched in both directions, $f(a) =
# 1.7159\,\tanh(\tfrac23 a)$.

# %%
print(inspect.getsource(nn.ScaledTanh.forward))

a = tcnn.linspace(-4, 4, 401, dtype="float64").requires_grad_()
y = nn.ScaledTanh()(a)
(slope,) = tcnn.autograd.grad(y.sum(), [a])
bend = np.gradient(slope.numpy(), a.numpy())  # f'': how fast the slope changes

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.plot(a.numpy(), y.numpy(), label="value", color="#0072b2")
axes.plot(a.numpy(), slope.numpy(), "--", label="slope", color="#d55e00")
axes.plot(a.numpy(), bend, ":", label="bend (slope of the slope)", color="black")
axes.plot([-1, 1], [-1, 1], "o", color="#0072b2")
axes.axhline(0, color="grey", lw=0.6)
axes.set(xlabel="a", title="1.7159 · tanh(2a/3)")
axes.legend()
viz.show(
    figure,
    "The scaled tanh, an S from −1.7 to 1.7 that passes through the marked points (−1, −1) and (1, 1). Its slope is a "
    "hill of height 1.14 around 0; its bend is strongest near the two points.",
)

# %% [markdown]
# Look at the two dots: 1 becomes 1, and −1 becomes −1. So numbers of size 1 stay of size 1 through many layers. The
# units of the last layer but one are to become +1 or −1. With plain tanh they would get there only at infinity, where
# the slope is 0 and learning stops. Here ±1 is where the curve bends most, and the slope is still three quarters.

# %%
places, value, slopes = a.numpy(), y.numpy(), slope.numpy()
at_1 = np.isclose(places, 1)
print(f"at 1: value {value[at_1].item():.4f}, slope {slopes[at_1].item():.2f}; the largest slope: {slopes.max():.2f}")
assert abs(value[at_1].item() - 1) < 1e-4
assert 0.7 < slopes[at_1].item() < 0.8
assert abs(abs(places[np.abs(bend).argmax()]) - 1) < 0.05

layers["squash1"] = nn.ScaledTanh()

# %% [markdown]
# ## S2: pooling that learns
#
# S2 halves the maps. Each unit sees 2×2 units of one map, without overlap. It *adds* the four, multiplies the sum
# with a coefficient, and adds a bias. Coefficient and bias are learned, one of each for a map: 6 · 2 = 12 parameters,
# and 6·14·14 units with 4 + 1 connections.

# %%
row = add("s2", nn.Subsampling2d(6, 2))
assert row == ((6, 14, 14), 12, 5_880)
layers["squash2"] = nn.ScaledTanh()

# %% [markdown]
# The lecture *averages* the four numbers, the paper adds them. Who is right? Both: the mean is a quarter of the sum,
# and the coefficient is learned. A mean with a coefficient four times as large is the same layer.

# %%
s2 = layers["s2"]
maps = tcnn.randn(2, 6, 28, 28)
weight4 = 4 * s2.weight

summed = s2(maps)
averaged = F.avg_pool2d(maps, 2) * weight4.reshape(6, 1, 1) + s2.bias.reshape(6, 1, 1)

window = maps[0, 0, :2, :2].numpy()
print(f"sum {window.sum():+.4f} · {s2.weight[0].item():+.4f}   mean {window.mean():+.4f} · {weight4[0].item():+.4f}")
assert np.allclose(summed.numpy(), averaged.numpy(), atol=1e-5)

# %% [markdown]
# ## C3: not every filter sees every map
#
# C3 has 16 filters of 5×5 over the six maps of S2. In today's networks each filter would see all six. Here a table
# says who sees whom. Find the three groups in the picture, from the left: six filters with three neighbouring maps,
# six with four neighbours, three with four maps in two pairs, and one last filter with all.

# %%
table = np.array(connection_table())  # (16, 6): a row for each filter

figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
groups = np.repeat([1, 2, 3, 4], [6, 6, 3, 1])
palette = plt.matplotlib.colors.ListedColormap(["white", "#56b4e9", "#0072b2", "#e69f00", "#d55e00"])
axes.imshow(table.T * groups, cmap=palette, vmin=0, vmax=4)
axes.set(xlabel="filter of C3", ylabel="map of S2", xticks=range(16), yticks=range(6))
axes.set_xticks(np.arange(17) - 0.5, minor=True)
axes.set_yticks(np.arange(7) - 0.5, minor=True)
axes.grid(which="minor", color="grey", lw=0.5)
axes.tick_params(which="minor", length=0)
viz.show(
    figure,
    "A grid of 6 rows, the maps of S2, and 16 columns, the filters of C3; a filled cell is a connection. Columns 0 "
    "to 5 have three neighbouring cells each, 6 to 11 four neighbouring ones, 12 to 14 two pairs, column 15 all six. "
    "Bands that leave at the bottom come back at the top.",
)
assert table.sum(axis=1).tolist() == [3] * 6 + [4] * 9 + [6]

# %% [markdown]
# Each of the 60 coloured cells is one 5×5 kernel, and each column has a bias: 60·25 + 16 parameters.

# %%
assert table.sum() == 60
row = add("c3", nn.ConnectionConv2d(table, kernel_size=5))
assert row == ((16, 10, 10), 1_516, 151_600)
layers["squash3"] = nn.ScaledTanh()

# %% [markdown]
# Why partial? The paper has two reasons. A full table would cost 96 kernels, 2,416 parameters and 241,600
# connections; in 1998 that counted. And filters that see different maps *have to* become different from each other.
# Today we leave the latter to the random first weights.
#
# Nothing about the computation is new. Filter 0 is an ordinary convolution over the maps 0, 1 and 2:

# %%
full = nn.Conv2d(6, 16, kernel_size=5)
assert full.num_parameters() == 2_416
assert full.num_parameters() * 10 * 10 == 241_600

c3, maps = layers["c3"], tcnn.randn(2, 6, 14, 14)
by_hand = F.conv2d(maps[:, 0:3], c3.weight[0:3][None], c3.bias[0:1])  # three kernels: one filter
assert np.allclose(c3(maps)[:, 0:1].numpy(), by_hand.numpy(), atol=1e-5)

# %% [markdown]
# ## S4 and C5
#
# S4 is S2 once more, with 16 maps. Then 5×5 pixels are left in each map, and a 5×5 filter fits in one place only. So
# C5 is a convolution and a fully connected layer at once. The paper calls it a convolution, and here is the reason:
# give the network a larger image, and C5 becomes maps that say what is where.

# %%
row = add("s4", nn.Subsampling2d(16, 2))
assert row == ((16, 5, 5), 32, 2_000)
layers["squash4"] = nn.ScaledTanh()

# %%
row = add("c5", nn.Conv2d(16, 120, kernel_size=5))
assert row == ((120, 1, 1), 48_120, 48_120)
layers["squash5"] = nn.ScaledTanh()

maps, c5 = tcnn.randn(2, 16, 5, 5), layers["c5"]
linear = F.linear(maps.flatten(1), c5.weight.flatten(1), c5.bias)
assert np.allclose(c5(maps).flatten(1).numpy(), linear.numpy(), atol=1e-5)

larger = nn.Sequential(layers)(tcnn.zeros(1, 1, 36, 36))
print("32×32 gives 120×1×1, 36×36 gives", "×".join(map(str, larger.shape[1:])))
assert larger.shape == (1, 120, 2, 2)

# %% [markdown]
# The receptive field in the last column has grown to 32: a unit of C5 sees the whole image. And four of five
# parameters of the network are in this one layer.

# %%
assert 0.8 < 48_120 / 60_000 < 0.81

# %% [markdown]
# ## F6 and the ten pictures
#
# F6 is fully connected: 84 units. Why 84? Because 84 = 7 · 12, and the wanted outputs are *pictures*, 7 wide and 12
# high:

# %%
layers["flatten"] = nn.Flatten()
row = add("f6", nn.Linear(120, 84))
assert row == ((84,), 10_164, 10_164)
layers["squash6"] = nn.ScaledTanh()

bitmaps = digit_bitmaps()  # (10, 84) of +1 (ink) and −1
apart = ((bitmaps[:, None] - bitmaps[None]) ** 2).sum(axis=2)  # (10, 10)

figure = plt.figure(figsize=(9.4, 3.8), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.25, 1])
for digit, panel in enumerate(left.subplots(2, 5).flat):
    panel.imshow(bitmaps[digit].reshape(12, 7), cmap="gray_r")
    panel.set(title=str(digit), xticks=[], yticks=[])
axes = right.subplots()
shown = axes.imshow(apart, cmap="cividis")
axes.set(xticks=range(10), yticks=range(10), title="squared distance between two bitmaps")
right.colorbar(shown, ax=axes)
viz.show(
    figure,
    "Left: the ten digits as pictures of 7×12 black and white pixels. Right: a 10×10 table of the distances between "
    "them, 0 on the diagonal; digits that look alike have small distances.",
)

# %% [markdown]
# (The paper shows such pictures for all characters of a keyboard. The package's are drawn in their manner, not
# copied.)
#
# In the right-hand picture look for dark cells off the diagonal. Two pixels that differ, +1 and −1, are 2 apart, so
# the squared distance is four times the number of different pixels. Pictures have two advantages over ten separate
# yes-no units, says the paper. What looks like two digits lies between their pictures, so the distances tell a later
# stage which other digit it might be. And a yes-no unit would have to be off nine times in ten, which is hard for
# squashed units to learn; here most units are ink in some digits and paper in others.

# %%
differing = (bitmaps[:, None] != bitmaps[None]).sum(axis=2)
assert np.array_equal(apart, 4 * differing)
one, other = divmod(int((apart + 1000 * np.eye(10)).argmin()), 10)
print(f"most alike: {one} and {other}, {differing[one, other]} pixels differ; {4 * differing[one, other]} apart")
constant = int((bitmaps == bitmaps[0]).all(axis=0).sum())
print(f"units of F6 that are the same in all ten: {constant} of 84")
assert constant < 84 / 2

# %% [markdown]
# The output layer has a unit for each digit, a **Euclidean radial basis function** (RBF): the squared distance of
# F6's 84 numbers from that digit's picture, $y_j = \sum_i (x_i - c_{ji})^2$. The nearest picture wins, so the
# *smallest* output is the answer. The 840 numbers $c_{ji}$ are fixed, not learned.

# %%
row = add("rbf", nn.EuclideanRBF(84, 10, centers=bitmaps))
assert row == ((10,), 0, 840)
lenet = nn.Sequential(layers)

mine = tables.summary(lenet, (1, 32, 32))
assert mine.parameters == 60_000
assert (mine.connections, mine.connections - 840) == (340_908, 340_068)

f6 = lenet[:-1](plane).numpy()  # (1, 84)
assert np.allclose(lenet(plane).numpy(), ((f6 - bitmaps) ** 2).sum(axis=1), rtol=1e-5)

# %% [markdown]
# Exactly **60,000** parameters, and 340,068 connections, or 340,908 with those of the RBF units. One lecture says
# 14,000 weights and 187,000 connections. No row of the table and no sum of neighbouring rows comes near them, so
# trust the table. That lecture also has a "1980", which fits nothing either: as a count the nearest is S4's 2,000, and
# as a year, the paper is of 1998.

# %%
rows = [row for row in mine.rows if row.connections]
for column, said in (("parameters", 14_000), ("connections", 187_000)):
    counts = [getattr(row, column) for row in rows]
    sums = {sum(counts[i:j]) for i in range(len(rows)) for j in range(i + 1, len(rows) + 1)}
    nearest = min(sums, key=lambda total: abs(total - said))
    print(f"{said:,} {column}? The nearest sum of rows is {nearest:,}")
    assert abs(nearest - said) > said / 20

# %% [markdown]
# ## The finished one
#
# `models.LeNet5("1998")` is the same network (`tinygrad_cnn/models/lenet1998.py`; you have now read most of it).
# Given the same weights it must give the same numbers. It begins with the `InputPlane` and hands on *minus* the
# distances, so that the largest score is the answer, as in every other network. Its first weights are the paper's,
# drawn evenly between ±2.4/(number of inputs), and we take them over.

# %%
tcnn.manual_seed(0)
finished = models.LeNet5("1998")
weights = {name.partition(".")[2]: value for name, value in finished.state_dict().items()}  # without "features."
print(*weights)
lenet.load_state_dict(weights)

x = tcnn.tensor(digits.test.get_batch(range(8))[0])  # (8, 1, 28, 28)
difference = np.abs(finished(x).numpy() + lenet(InputPlane()(x)).numpy()).max()
print(f"largest difference of 80 outputs: {difference}")
assert difference < 1e-3

# %% [markdown]
# ## The loss
#
# The smaller the right distance, the better: that could be the loss, and the paper begins with it. But it says
# nothing about the wrong digits. If the pictures were learned, too, all ten could become the same one, and that loss
# would be 0. So the paper adds a term, with $j$ a constant:
#
# $$L = y_\text{right} + \log\Big(e^{-j} + \sum_i e^{-y_i}\Big)$$
#
# The second term is large if *any* distance is small, so wrong ones are pushed away, but only as long as they are
# near. The $e^{-j}$ stands for an eleventh answer, "rubbish, none of the ten", at distance $j$. It is the
# cross-entropy of tutorial 4 with one more class. The paper does not tell its $j$; the package takes 5.

# %%
criterion = nn.MAPLoss(j=5.0)
assert finished.criterion.j == 5.0


def by_formula(y, right):
    """The loss for one image: y are the ten distances."""
    return y[right] + np.log(np.exp(-5.0) + np.exp(-y).sum())


near, between = np.full(10, 40.0), np.full(10, 40.0)
near[3], between[[3, 8]] = 1, 1  # a clear 3; and one that could be an 8 just as well
for y in (near, between):
    loss = criterion(-tcnn.tensor(y)[None], tcnn.tensor([3])).item()
    print(f"distance from 3: {y[3]:.0f}, from 8: {y[8]:.0f}, loss {loss:.3f}")
    assert np.isclose(loss, by_formula(y, 3))
assert by_formula(between, 3) > 30 * by_formula(near, 3)

# %% [markdown]
# To the right digit both are equally near. The loss of the second is much larger, because the 8 is as near.
#
# ## Two passes
#
# The paper trained for 20 passes over 60,000 digits; on a 200 MHz processor it took two to three days. It used a step
# size of its own for each weight, from second derivatives. Adam (tutorial 11) comes near in spirit, and two passes
# over our 1,438 digits are enough to see the loss fall.

# %%
optimizer = optim.Adam(lenet.parameters(), lr=0.002)
plane_of = InputPlane()
losses = []
for _ in range(2):
    for images, targets in data.DataLoader(digits.train, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        scores = -lenet(plane_of(images))
        loss = criterion(scores, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

test_images, test_labels = (tcnn.tensor(part) for part in digits.test.get_batch(range(len(digits.test))))
with tcnn.no_grad():
    nearest = lenet(plane_of(test_images)).argmin(1)
right = (nearest == test_labels).numpy().mean()
print(f"loss {np.mean(losses[:10]):.0f} in the first ten steps, {np.mean(losses[-10:]):.1f} in the last ten")
print(f"{right:.1%} of {len(test_labels)} digits it has not seen are read correctly")
assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 3
assert right > 0.8

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(losses, color="#0072b2")
axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
axes.grid(alpha=0.3)
viz.show(
    figure, "The loss of each step: it falls from about 60 to about 10, ever more slowly, and jitters all the way."
)

# %% [markdown]
# What it reaches with all of it: by the lecture 0.8 % errors on the test digits of MNIST. The paper has 0.95 % with
# plain images; the 0.8 % is with distorted copies of the training images added (tutorial 13 is about that). `tcnn
# train lenet5 --variant 1998 --data mnist` trains the package's own with about 1 % errors.
#
# ## What flows through
#
# One digit on its way through the network we just trained, each layer after its squashing. The pictures show signed
# numbers: orange positive, purple negative, white 0.

# %%
flow, value = {}, plane_of(test_images[:1])
with tcnn.no_grad():
    for name, layer in layers.items():
        flow[name] = value = layer(value)
answer = int(flow["rbf"].argmin(1).item())

figure = plt.figure(figsize=(9, 8.6), layout="constrained")
panels = figure.subplot_mosaic(
    [
        ["input", "c1", "c1", "c1", "c1", "c1"],
        ["s2", "s2", "s2", "c3", "c3", "c3"],
        ["s4", "s4", "s4", "c5", "c5", "c5"],
        ["f6", "f6", "bitmap", "bitmap", "rbf", "rbf"],
    ],
    height_ratios=[1, 1.6, 1.6, 1.5],
)


def draw(name, tiles, columns, title, most=None):
    """Tiles (n, R, S) side by side, with 0 in white."""
    most = most or float(np.abs(tiles).max())
    mosaic = viz.plot.style.mosaic(tiles, columns)
    panels[name].imshow(mosaic, cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest")
    panels[name].set_title(title, fontsize=10)
    panels[name].set_axis_off()


draw("input", plane_of(test_images[:1])[0].numpy(), 1, "input, 32×32")
draw("c1", flow["squash1"][0].numpy(), 6, "C1: 6 maps of 28×28")
draw("s2", flow["squash2"][0].numpy(), 3, "S2: 6 maps of 14×14")
draw("c3", flow["squash3"][0].numpy(), 6, "C3: 16 maps of 10×10")
draw("s4", flow["squash4"][0].numpy(), 6, "S4: 16 maps of 5×5")
draw("c5", flow["squash5"].numpy().reshape(1, 8, 15), 1, "C5: 120 units")
draw("f6", flow["squash6"].numpy().reshape(1, 12, 7), 1, "F6: 84 units as 7×12", most=1.7)
draw("bitmap", bitmaps[answer].reshape(1, 12, 7), 1, f"the bitmap of {answer}", most=1.7)
colours = ["#d55e00" if digit == answer else "#0072b2" for digit in range(10)]
panels["rbf"].bar(range(10), flow["rbf"][0].numpy(), color=colours)
panels["rbf"].set(xticks=range(10), xlabel="digit", ylabel="distance")
panels["rbf"].set_title("RBF: the smallest wins", fontsize=10)
viz.show(
    figure,
    f"A handwritten {test_labels[0].item()} on its way, line by line: the input and six maps of C1; the same, halved, "
    "in S2, and sixteen maps of C3; these, halved, in S4, and 120 units of C5. Below: F6 drawn as a picture of 7×12, "
    f"the bitmap that it resembles, and the ten distances, of which that to {answer} is the smallest.",
)

# %% [markdown]
# Read it line by line. C1 still shows the digit, each map in its own way. S2 is the same, coarser. In C3 it is hard
# to say what it was: a strong colour means "here is what this filter looks for". C5 has no places any more; it says
# *what*, not where. Then compare the two small pictures at the bottom: F6 has drawn the digit.

# %%
signs = np.sign(flow["squash6"][0].numpy())
print(f"{int((signs == bitmaps[answer]).sum())} of the 84 units have the sign of the bitmap's pixel")
assert (signs == bitmaps[answer]).sum() > 60

# %% [markdown]
# ## Exercises
#
# 1. **Average pooling**, forward and backward, the heart of S2: `tcnn exercise check avg_pool`
# 2. **Tanh**, and from it LeNet's: `tcnn exercise check tanh`
# 3. **LeNet-5 of layers**, today's form of it, which is the next tutorial's: `tcnn exercise check lenet5`
#
# And on paper: for images of 36×36, which of the layers up to C5 would have more parameters, and which more
# connections? What would one more filled cell in C3's table cost in both?
#
# ## Further reading
#
# - Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning applied to document recognition":
#   sections II.B (the network) and II.C (the loss) are this page.
# - Y. LeCun, B. Boser, J. Denker and others (1989), "Backpropagation applied to handwritten zip code recognition":
#   the ancestor.
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller (1998), "Efficient BackProp": why means of 0, and why this tanh.

# %% [markdown]
# # 15 · VGG, GoogLeNet and 1×1 convolutions
#
# *Two answers of 2014 to the question how to go deeper: one kind of filter everywhere, or several side by side. Runs
# offline, in less than a minute.*
#
# **What you will be able to do:** say why three small filters can stand for a large one, find where a network's
# parameters and its work are, read a 1×1 convolution as a linear layer, compute what a bottleneck saves, and build an
# Inception network that learns.
#
# You need tutorials 7 (sizes, receptive fields) and 14 (AlexNet).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, tables, training, viz
from tinygrad_cnn.nn import functional as F


def table(name, **options):
    """A network's table, computed from the layers' sizes; its first weights are not drawn."""
    return tables.summary(nn.utils.skip_init(models.create, name, **options))


# %% [markdown]
# ## VGG: nothing but 3×3
#
# AlexNet has filters of 11×11, 5×5 and 3×3, with strides 4 and 1. Karen Simonyan and Andrew Zisserman asked what depth
# alone can do, and kept all else fixed: **every convolution is 3×3, with stride 1 and padding 1**, so it leaves height
# and width as they are. Maximum pooling 2×2 halves them five times, from 224 to 7. The number of channels doubles, from
# 64 to 512. VGG-16 has 13 convolutions and 3 fully connected layers, VGG-19 three convolutions more.

# %%
for depth, convolutions in [(16, 13), (19, 16)]:
    network = nn.utils.skip_init(models.VGG, depth)
    convs = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert {(layer.kernel_size, layer.stride, layer.padding) for layer in convs} == {((3, 3), (1, 1), (1, 1))}
    assert (len(convs), len(convs) + 3) == (convolutions, depth)
assert tcnn.output_size(224, 3, padding=1) == 224
assert 224 // 2**5 == 7

vgg16 = table("vgg16")
for row in vgg16.rows:
    if row.parameters or row.kind == "MaxPool2d":
        size = "×".join(map(str, row.output))
        print(f"{row.kind:9}  {size:12} {row.parameters:>12,} parameters {row.multiply_adds:>14,} multiply-adds")
print(vgg16.totals)

# %% [markdown]
# ## Three 3×3 see what one 7×7 sees
#
# Stack three 3×3 convolutions. An output of the third looks at 3×3 outputs of the second, these at 5×5 of the first,
# these at 7×7 pixels. In the picture all weights are 1, so a gradient of the output with respect to a pixel counts the
# ways by which the pixel gets there.

# %%
assert tcnn.receptive_field([3]) == 3
assert tcnn.receptive_field([3, 3]) == 5
assert tcnn.receptive_field([3, 3, 3]) == tcnn.receptive_field([7]) == 7

figure, panels = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
for layers, panel in zip((1, 2, 3), panels):
    x = tcnn.zeros(1, 1, 9, 9, requires_grad=True)
    y = x
    for _ in range(layers):
        y = F.conv2d(y, tcnn.ones(1, 1, 3, 3), padding=1)
    y[0, 0, 4, 4].backward()
    ways = x.grad[0, 0]
    seen = 2 * layers + 1
    assert (ways > 0).sum() == seen**2
    assert ways.sum() == 9**layers
    panel.imshow(np.where(ways > 0, ways, np.nan), cmap="YlGnBu", vmin=0, vmax=2 * ways.max())
    for (row, column), count in np.ndenumerate(ways):
        if count:
            panel.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=8)
    panel.set(title=f"{layers} × (3×3): sees {seen}×{seen}", xticks=range(9), yticks=range(9))
    panel.tick_params(labelbottom=False, labelleft=False, length=0)
viz.show(
    figure,
    "Three grids of 9×9 pixels. Behind one 3×3 convolution the middle output depends on 3×3 pixels, behind two on "
    "5×5, behind three on 7×7. The number of ways is largest in the middle, 49 of 729 in the third grid, and 1 in the "
    "corners.",
)
assert ways.max() == 49

# %% [markdown]
# Look at the third grid: its edge is as wide as a 7×7 filter. But with C channels in and out three 3×3 have 3·9·C² =
# 27·C² weights, and one 7×7 has 49·C². That is **27/49, 55 % of the weights**, and of the multiply-adds, too. And there
# are three ReLUs instead of one: two more folds (tutorial 1). What is given up? Without the ReLUs, three 3×3 are *some*
# 7×7 filter, not any: they have fewer numbers to choose. VGG bets that the filters it needs are among them.

# %%
small = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.ReLU())])
large = nn.Sequential(nn.Conv2d(64, 64, 7, padding=3, bias=False), nn.ReLU())
three, one = (tables.summary(network, (64, 56, 56)) for network in (small, large))
print(f"three 3×3: {three.parameters:,} weights, one 7×7: {one.parameters:,}")
assert round(100 * 27 / 49) == 55
assert three.rows[-1].output == one.rows[-1].output
assert three.parameters / one.parameters == three.multiply_adds / one.multiply_adds == 27 / 49

# %% [markdown]
# ## Where VGG's parameters and work are
#
# VGG-16 has 138,357,544 parameters and takes 15.5 billion multiply-adds for one image: more than twice AlexNet's
# parameters and more than twenty times its work.

# %%
alexnet = table("alexnet", variant="paper")
assert vgg16.parameters == 138_357_544
assert table("vgg19").parameters == 143_667_240
assert round(vgg16.multiply_adds / 1e9, 1) == 15.5
assert vgg16.parameters > 2 * alexnet.parameters
assert vgg16.multiply_adds > 20 * alexnet.multiply_adds

learning = [row for row in vgg16.rows if row.parameters]
names = [f"conv{i}" if row.kind == "Conv2d" else f"fc{i}" for i, row in enumerate(learning, start=1)]
colours = ["#0072b2" if row.kind == "Conv2d" else "#d55e00" for row in learning]

figure, panels = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
for panel, title, numbers, form in [
    (panels[0], "parameters (millions)", [row.parameters / 1e6 for row in learning], "{:.3g}"),
    (panels[1], "multiply-adds for one image (millions)", [row.multiply_adds / 1e6 for row in learning], "{:,.0f}"),
]:
    panel.bar_label(panel.barh(names, numbers, color=colours), fmt=form, padding=3, fontsize=8)
    panel.set(title=title)
    panel.margins(x=0.12, y=0.02)
    panel.spines[["top", "right"]].set_visible(False)
panels[0].invert_yaxis()
viz.show(
    figure,
    "Bars for the sixteen layers of VGG-16. Parameters: fc14 has 103 million, fc15 16.8, fc16 4.1, each convolution "
    "at most 2.36. Multiply-adds: 925 or 1,850 million in most convolutions, 87 in the first, 462 in the last three, "
    "little in the fully connected layers.",
)

first_dense = learning[13]
assert first_dense.parameters == 7 * 7 * 512 * 4096 + 4096 == 102_764_544
assert 0.74 < first_dense.parameters / vgg16.parameters < 0.75
assert sum(row.multiply_adds for row in learning[:13]) / vgg16.multiply_adds > 0.99
assert [row.multiply_adds for row in learning].count(1_849_688_064) == 6
assert 7 * 7 * 512 == 25_088

# %% [markdown]
# One layer, the first fully connected one, has 74 % of all parameters, since it looks at 7·7·512 = 25,088 numbers at
# once. The convolutions do 99 % of the work. Look at the right picture: 1,850 comes again and again. Where a pooling
# quarters the places and the channels double, in and out, the work stays the same, $\tfrac14\cdot2\cdot2 = 1$. In the
# last block the channels stay at 512, and its layers do a quarter of that.
#
# ## A 1×1 convolution is a linear layer for each pixel
#
# A filter of 1×1 pixels looks odd: what is there to slide? It sees one pixel, but **all its channels**. At each pixel
# it takes C numbers and makes K: $y = Wx + b$, the same $W$ everywhere. So it is a linear layer that is applied to
# every pixel. Put all pixels of all images into one matrix, a row each, and it is a product of matrices:
#
# $$(N\cdot H\cdot W,\ C)\ \cdot\ (C,\ K)\ =\ (N\cdot H\cdot W,\ K)$$

# %%
tcnn.manual_seed(0)
N, C, H, W, K = 2, 5, 4, 3, 7
x = tcnn.randn(N, C, H, W)
layer = nn.Conv2d(C, K, kernel_size=1)  # weight: (7, 5, 1, 1)

pixels = x.permute(0, 2, 3, 1).reshape(N * H * W, C)
y = pixels @ layer.weight.reshape(K, C).T + layer.bias  # (24, 5) @ (5, 7) -> (24, 7)
y = y.reshape(N, H, W, K).permute(0, 3, 1, 2)

assert np.allclose(layer(x).numpy(), y.numpy(), atol=1e-6)

one_pixel = F.linear(x[0, :, 2, 1], layer.weight.reshape(K, C), layer.bias)
assert np.allclose(layer(x).numpy()[0, :, 2, 1], one_pixel.numpy(), atol=1e-6)

# %% [markdown]
# It mixes channels, and it changes their number. Min Lin and his colleagues used it for the former in *Network in
# Network*; GoogLeNet uses it for the latter, to make things cheap.
#
# ## The bottleneck
#
# GoogLeNet's first Inception module gets 28×28×192 and wants 32 maps of 5×5 filters. Directly, each of the 28·28·32
# outputs is a sum of 5·5·192 products. With a **bottleneck**, a 1×1 convolution first makes 16 channels of the 192, and
# the 5×5 filters work on these.

# %%
inside = (192, 28, 28)
direct = tables.summary(nn.Conv2d(192, 32, 5, padding=2), inside)
squeezed = tables.summary(
    nn.Sequential(nn.Conv2d(192, 16, 1), nn.ReLU(), nn.Conv2d(16, 32, 5, padding=2)),
    inside,
)
print(f"directly {direct.multiply_adds:,}; by 16 channels {squeezed.multiply_adds:,} multiply-adds")
assert direct.multiply_adds == 28 * 28 * 32 * 5 * 5 * 192 == 120_422_400
assert squeezed.multiply_adds == 28 * 28 * (16 * 192 + 32 * 5 * 5 * 16) == 12_443_648
assert direct.multiply_adds / squeezed.multiply_adds > 9
assert direct.rows[-1].output == squeezed.rows[-1].output == (32, 28, 28)

# %% [markdown]
# The result has the same shape for less than a ninth of the work (and of the weights). The price: whatever the 5×5
# filters are to know about the 192 channels must pass through 16. The bet is that many of the 192 say much the same.
#
# ## Inception
#
# Which filter size is the right one? Christian Szegedy and his colleagues took all: 1×1, 3×3, 5×5 and a maximum pooling
# **side by side**, all with stride 1 and as much padding as keeps 28×28. The four results are put one behind the other
# along the channels. `models.Inception` is such a module; in `tinygrad_cnn/models/googlenet.py` its `forward` is one
# line, `F.cat([...], dim=1)`.

# %%
googlenet = nn.utils.skip_init(models.GoogLeNet, "paper", aux_logits=False)
layers = {row.name: row for row in tables.summary(googlenet).rows}
ways = {
    "branch1": ["1×1"],
    "branch2": ["1×1", "3×3"],
    "branch3": ["1×1", "5×5"],
    "branch4": ["max 3×3", "1×1"],
}


def steps(branch):
    """The rows of a way's layers, without ReLUs."""
    return [row for name, row in layers.items() if name.startswith(f"inception3a.{branch}") and row.kind != "ReLU"]


outputs = [steps(branch)[-1].output for branch in ways]
assert outputs == [(64, 28, 28), (128, 28, 28), (32, 28, 28), (32, 28, 28)]
assert 64 + 128 + 32 + 32 == 256

x = tcnn.randn(1, 192, 28, 28)
module = models.Inception(192, 64, 96, 128, 16, 32, 32)
parts = [getattr(module, branch)(x) for branch in ways]
assert module(x).shape == (1, 256, 28, 28)
assert (module(x).numpy() == tcnn.cat(parts, dim=1).numpy()).all()

# %%
FILLS = {"1×1": "#f0c9a0", "3×3": "#a8cce4", "5×5": "#5b9bc8", "max 3×3": "#dddddd"}

figure, axes = plt.subplots(figsize=(10, 4.6), layout="constrained")


def box(x, y, width, text, fill):
    axes.add_patch(plt.Rectangle((x - width / 2, y - 0.36), width, 0.72, facecolor=fill, edgecolor="#444444"))
    axes.text(x, y, text, ha="center", va="center", fontsize=9)


def arrow(start, end):
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "->", "color": "#444444"})


box(4.5, 0, 9.1, "input: 28×28×192", "white")
edge = 0.5
for place, (branch, kinds) in zip((0.9, 3.3, 5.7, 8.1), ways.items()):
    below = (place, 0.36)
    for floor, (kind, row) in enumerate(zip(kinds, steps(branch)), start=3 - len(kinds)):
        y = 1.5 * floor
        work = f"{row.multiply_adds / 1e6:.1f} M" if row.multiply_adds else "no weights"
        box(place, y, 1.9, f"{kind}: {row.output[0]} maps\n{work}", FILLS[kind])
        arrow(below, (place, y - 0.36))
        below = (place, y + 0.36)
    wide = row.output[0] / 32
    box(edge + wide / 2, 4.5, wide, str(row.output[0]), FILLS[kinds[-1]])
    arrow(below, (edge + wide / 2, 4.14))
    edge += wide
axes.text(4.5, 5.1, "output: 28×28×256, the maps of all four ways", ha="center", fontsize=10)
axes.set(xlim=(-0.4, 9.4), ylim=(-0.5, 5.4))
axes.axis("off")
viz.show(
    figure,
    "From the input, 28×28×192, four ways go up: 1×1 with 64 maps; 1×1 with 96 and 3×3 with 128; 1×1 with 16 and 5×5 "
    "with 32; maximum pooling and 1×1 with 32. Each box names its multiply-adds in millions; the 3×3 filters have "
    "most, 86.7. Above, the maps lie side by side: 64, 128, 32, 32, together 256.",
)

# %% [markdown]
# Look at the orange boxes: three of the four 1×1 convolutions are there to make channels fewer, before the large
# filters and behind the pooling. The last row shows the concatenation. What would the module cost without them?

# %%
naive = [nn.Conv2d(192, 64, 1), nn.Conv2d(192, 128, 3, padding=1), nn.Conv2d(192, 32, 5, padding=2)]
without = sum(tables.summary(layer, inside).multiply_adds for layer in naive)
with_them = sum(row.multiply_adds for branch in ways for row in steps(branch))
channels = 64 + 128 + 32 + 192  # the pooling hands on all of its input
print(f"without: {without:,} multiply-adds, {channels} maps; with 1×1: {with_them:,}, 256 maps")
assert without / with_them > 2.3
assert channels == 416

# %% [markdown]
# More than twice the work, and 416 maps instead of 256. With every such module the pooling would add all it gets, so
# the next one would cost still more.
#
# ## GoogLeNet
#
# Nine of these modules, a few layers before them, one layer behind: 22 layers with weights on the longest way from the
# image to the scores. In training two small classifiers in the middle help the gradient; they are left out here.

# %%
whole = tables.summary(googlenet, depth=1)
print(whole.to_text(columns=["layer", "output", "parameters", "mult-adds", "field"]))
assert sum(row.kind == "Inception" for row in whole.rows) == 9
assert whole.parameters == 6_998_552
for name, other in [("AlexNet", alexnet), ("VGG-16", vgg16)]:
    print(f"{name} has {other.parameters / whole.parameters:.1f} times as many")
assert 8 < alexnet.parameters / whole.parameters < 9
assert 19 < vgg16.parameters / whole.parameters < 20

# %% [markdown]
# Seven million parameters. AlexNet has almost nine times as many, VGG-16 almost twenty times. (The paper says twelve
# times fewer than AlexNet; its own sizes do not give that. It also states 1,072 thousand parameters for inception 5a,
# and its filters make 1,043,456. Small slips, in a table of that length.)
#
# In the ImageNet competition of 2014 GoogLeNet's top-5 error was 6.7 %, with seven networks and 144 crops of each image
# (Szegedy et al. 2015). VGG came second with 7.3 %, and reached 6.8 % with two networks afterwards (Simonyan and
# Zisserman 2015). AlexNet had 15.3 % two years before.

# %%
inception_5a = next(row for row in whole.rows if row.name == "inception5a")
assert inception_5a.parameters == 1_043_456
assert 3 + 2 * 9 + 1 == 22  # three convolutions, two in a row in each module, one fully connected layer

# %% [markdown]
# ## Global average pooling
#
# How did GoogLeNet get rid of the layer with 74 % of the parameters? Behind the last module there are 1,024 maps of
# 7×7. VGG would hand all 50,176 numbers to a fully connected layer. GoogLeNet takes the **mean of each map**, and 1,024
# numbers remain. The 1,000 classes then need 1,025,000 parameters; on all numbers they would need 50 million.
#
# It has a second advantage: a mean can be taken of a map of any size, so images may have other sizes, too.

# %%
maps = tcnn.randn(2, 1024, 7, 7)
means = nn.AdaptiveAvgPool2d(1)(maps)  # (2, 1024, 1, 1)
assert np.allclose(means.numpy()[:, :, 0, 0], maps.numpy().mean(axis=(2, 3)), atol=1e-6)

assert 7 * 7 * 1024 == 50_176
assert 1000 * (1024 + 1) == whole.rows[-1].parameters == 1_025_000
assert 1000 * (50_176 + 1) > 50e6

# %% [markdown]
# ## Parameters and work against depth

# %%
lenet = table("lenet5")
history = [
    ("LeNet-5", 1998, 5, lenet),
    ("AlexNet", 2012, 8, alexnet),
    ("VGG-16", 2014, 16, vgg16),
    ("VGG-19", 2014, 19, table("vgg19")),
    ("GoogLeNet", 2014, 22, whole),
]
for name, year, depth, counted in history:
    print(
        f"{name:10} {year} {depth:3} layers {counted.parameters:>12,} parameters {counted.multiply_adds:>15,} mult-adds"
    )
    assert name == "GoogLeNet" or sum(row.kind in ("Conv2d", "Linear") for row in counted.rows) == depth

figure, panels = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharex=True)
for panel, title, numbers in [
    (panels[0], "parameters", [counted.parameters for *_, counted in history]),
    (panels[1], "multiply-adds for one image", [counted.multiply_adds for *_, counted in history]),
]:
    for (name, year, depth, _), number in zip(history, numbers):
        colour = "#d55e00" if name == "GoogLeNet" else "#0072b2"
        panel.scatter(depth, number, s=90, color=colour, zorder=3)
        below = name == "VGG-16"
        panel.annotate(
            f"{name} ({year})",
            (depth, number),
            xytext=(0, -16 if below else 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    panel.set(title=title, xlabel="layers with weights", yscale="log", xlim=(2, 26))
    panel.set_ylim(numbers[0] / 3, max(numbers) * 6)
    panel.grid(alpha=0.3)
viz.show(
    figure,
    "Two scatter plots against depth, with logarithmic axes. Parameters: LeNet-5 62 thousand, AlexNet 61 million, "
    "VGG-16 138 and VGG-19 144 million; GoogLeNet, the deepest, only 7 million. Multiply-adds: LeNet-5 0.4 million, "
    "AlexNet 0.7 billion, VGG 15.5 and 19.6 billion, GoogLeNet 1.6 billion.",
)
assert whole.multiply_adds < vgg16.multiply_adds / 9

# %% [markdown]
# LeNet-5 is the one with ReLU here. Look at the orange point. From LeNet-5 to VGG-19 more depth meant more of
# everything. GoogLeNet is the deepest of the five and has fewer parameters than AlexNet, and less than a ninth of
# VGG-16's work. Depth, parameters and work are three different things.
#
# ## A small Inception network learns
#
# Two modules with batch normalisation (tutorial 12), a convolution before them, and global average pooling behind: no
# fully connected layer but the last, with 80 inputs. It learns scikit-learn's digits.

# %%
digits = data.load("digits")
tcnn.manual_seed(0)
body = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),  # 16×14×14
    models.Inception(16, 8, 8, 16, 4, 8, 8, batch_norm=True),  # 8 + 16 + 8 + 8 = 40 maps
    nn.MaxPool2d(2),  # 40×7×7
    models.Inception(40, 16, 16, 32, 8, 16, 16, batch_norm=True),  # 16 + 32 + 16 + 16 = 80 maps
)
head = nn.Linear(80, 10)
model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
assert nn.walk.output_shape(body, (1, 28, 28)) == (80, 7, 7)
assert model.num_parameters() < models.LeNet5().num_parameters() / 4

epochs = 5
loader = data.DataLoader(digits.train, batch_size=32, shuffle=True, generator=tcnn.Generator(0))
optimizer = optim.Adam(model.parameters(), lr=0.01)
schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.01, epochs=epochs, steps_per_epoch=len(loader))
unseen = data.DataLoader(digits.test, batch_size=359)
run = training.fit(model, loader, optimizer, epochs=epochs, scheduler=schedule, val_loader=unseen)
print(f"{model.num_parameters():,} parameters, {run['val_accuracy'][-1]:.1%} of the test digits are read correctly")
assert run["val_accuracy"][-1] > 0.95

viz.show(
    viz.plot.learning_curves(run, validation="test"),
    "Loss and accuracy over five epochs: both losses fall towards 0, both accuracies rise above 95 %.",
)

# %% [markdown]
# With less than a quarter of LeNet-5's parameters it reads more than 95 % of digits it has not seen.
#
# Global average pooling also lets us look inside. A score is $w\cdot\text{mean} + b$, and a mean and a weighted sum can
# change places: **the score is the mean of a map**, the weighted sum of the 80 maps at each of the 7×7 places, plus the
# bias. (It is a 1×1 convolution: the last layer, applied to each pixel.) So the map shows where in the image the score
# comes from.

# %%
model.eval()
images, labels = digits.test.get_batch(range(len(digits.test)))
chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in (0, 2, 4, 5, 7, 9)]
with tcnn.no_grad():
    x = tcnn.tensor(images[chosen])
    scores = model(x).numpy()  # (6, 10)
    score_maps = F.conv2d(body(x), head.weight.reshape(10, 80, 1, 1), head.bias).numpy()  # (6, 10, 7, 7)
assert np.allclose(score_maps.mean(axis=(2, 3)), scores, atol=1e-3)

# %%
figure, panels = plt.subplots(2, 6, figsize=(10, 3.8), layout="constrained")
own = [score_maps[i, labels[place]] for i, place in enumerate(chosen)]
most = max(float(np.abs(part).max()) for part in own)
for i, place in enumerate(chosen):
    panels[0, i].imshow(images[place, 0], cmap="gray")
    drawn = panels[1, i].imshow(own[i], cmap="PuOr_r", vmin=-most, vmax=most)
    panels[0, i].set_title(f"a {labels[place]}")
    panels[1, i].set_title(f"mean {own[i].mean():.1f}")
for panel in panels.flat:
    panel.set(xticks=[], yticks=[])
figure.colorbar(drawn, ax=panels[1], label="score", shrink=0.8)
viz.show(
    figure,
    "Above six test digits, 0, 2, 4, 5, 7 and 9; below for each the 7×7 map of the score of its own class, whose mean "
    "is the score. Each map is strongly positive in one region and near 0 or negative in others.",
)
assert max(row.field.size for row in tables.summary(body, (1, 28, 28)).rows) == (30, 30)

# %% [markdown]
# Compare each digit with the map below it: the score does not come from everywhere, but from one region more than from
# others. The maps are coarse. Through the 5×5 filters a place may see 30×30 pixels, so the ink it answers to need not
# be just there. B. Zhou and his colleagues called this a *class activation map*; Grad-CAM (`viz.plot.grad_cam`) does
# the same for networks without global average pooling.
#
# ## Exercises
#
# 1. **Average pooling**, forward and backward: `tcnn exercise check avg_pool`
# 2. **The linear layer**, which a 1×1 convolution is at each pixel: `tcnn exercise check linear_forward`
# 3. **Convolution as a product of matrices**; look at what is left of it for 1×1: `tcnn exercise check conv_im2col`
#
# On paper: how many 3×3 layers see what an 11×11 filter sees, and how many weights have they in comparison? And how
# large may the number of channels in the bottleneck of the 5×5 way be before it costs as much as the direct way?
#
# ## Further reading
#
# - M. Lin, Q. Chen and S. Yan (2014), "Network in network": 1×1 convolutions and global average pooling.
# - K. Simonyan and A. Zisserman (2015), "Very deep convolutional networks for large-scale image recognition".
# - C. Szegedy et al. (2015), "Going deeper with convolutions".
# - B. Zhou et al. (2016), "Learning deep features for discriminative localization": class activation maps.

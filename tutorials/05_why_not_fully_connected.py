# %% [markdown]
# # 5 · Why not fully connected?
#
# *How many weights an image costs, what a convolution assumes in order to do with few, and three experiments: shifted
# digits, digits anywhere, digits with shuffled pixels. Runs offline, in about a minute.*
#
# **What you will be able to do:** count parameters with and without weight sharing, write a convolution as a matrix,
# say what locality and weight sharing assume, and test whether the assumption holds.
#
# You need tutorial 4: linear layer, softmax, training.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, optim, training, viz
from tinygrad_cnn.nn import functional as F

BLUE, ORANGE = "#0072b2", "#d55e00"


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


# %% [markdown]
# ## What an image costs
#
# In a fully connected layer every neuron has a weight for every input. A colour image of 32×32 pixels has 32·32·3 =
# 3,072 inputs. That is affordable. One of 256×256 has 196,608, and that is the number of weights of a *single*
# neuron. A layer of 1,000 such neurons has 196,608,000. The lectures say 196 M.

# %%
assert 32 * 32 * 3 == 3072
assert 256 * 256 * 3 == 196_608
assert 1000 * 256 * 256 * 3 == 196_608_000

# %% [markdown]
# Now the other way. Take a small window of the image, 5×5 pixels, and one neuron that sees just this window: with
# three colours 5·5·3 = 75 weights and a bias. Use this same neuron, with the same weights, at every place of the
# image. Its answers, one for each place, are an image again, called a **feature map**. This is a **convolution**, the
# neuron's weights are its **filter**, and tutorial 6 computes it by hand. Ten filters have 10·76 = 760 parameters,
# **whatever the size of the image**. With one colour it is less still: for an image of 200×200 pixels one neuron
# needs 40,000 weights, one 10×10 filter 100, and a hundred of these filters 10,000.

# %%
assert parameters(nn.Conv2d(3, 10, kernel_size=5)) == 10 * (5 * 5 * 3 + 1) == 760
assert nn.Linear(200 * 200, 1).weight.numel() == 40_000
assert nn.Conv2d(1, 1, kernel_size=10).weight.numel() == 100
assert nn.Conv2d(1, 100, kernel_size=10).weight.numel() == 10_000

# %% [markdown]
# Two ideas are at work, and they can be had one at a time. The first layer of LeNet-5 (1998, tutorial 10),
# called C1, makes six maps of 28×28 numbers from a 32×32 image with 5×5 windows:
#
# - **fully connected**, each of the 28·28·6 = 4,704 outputs has 32·32 weights and a bias: 4,821,600 parameters. (The
#   lecture calls them weights; 4,704 of them are biases.)
# - **local**: each output sees its 5×5 window only, but has weights of its own: 122,304.
# - **local and shared**: the outputs of a map all have the same weights: 156.

# %%
outputs = 28 * 28 * 6
c1 = {"fully connected": outputs * (32 * 32 + 1), "local": outputs * (5 * 5 + 1), "local and shared": 6 * (5 * 5 + 1)}
print(c1)
assert list(c1.values()) == [4_821_600, 122_304, 156]
assert parameters(nn.Conv2d(1, 6, kernel_size=5)) == 156
assert F.conv2d(tcnn.zeros(1, 1, 32, 32), tcnn.zeros(6, 1, 5, 5)).shape == (1, 6, 28, 28)

# %%
sides = np.array([8, 16, 32, 64, 128, 256, 512])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.loglog(sides, 1000 * (sides**2 * 3 + 1), "o-", color=ORANGE, label="fully connected, 1,000 neurons")
left.loglog(sides, np.full(len(sides), 760), "o-", color=BLUE, label="convolution, ten 5×5 filters")
left.set_xticks(sides, sides)
left.minorticks_off()
left.set(xlabel="side of the image, in pixels", ylabel="parameters", title="colour image", ylim=(100, 1e10))
left.grid(alpha=0.3)
left.legend(loc="upper left")
right.bar(c1.keys(), c1.values(), color=[ORANGE, "#999999", BLUE])
for place, count in enumerate(c1.values()):
    right.text(place, count * 1.2, f"{count:,}", ha="center")
right.set(yscale="log", ylabel="parameters", title="LeNet-5's layer C1", ylim=(10, 1e8))
viz.show(
    figure,
    "Left: parameters against the side of a colour image, both axes logarithmic. The fully connected line climbs "
    "from two hundred thousand to nearly eight hundred million, that of the convolution stays at 760. Right: three "
    "bars for layer C1, 4,821,600 fully connected, 122,304 local, 156 local and shared.",
)

# %% [markdown]
# Mind the axes: each mark is ten times the one before. When the image's side doubles, the orange line rises by a
# factor of four. The blue one does not move.
#
# ## A convolution is a linear layer with little freedom
#
# An image of 6×6 pixels and a 3×3 filter give 4×4 = 16 outputs. Each is a weighted sum of the 36 pixels, with weight
# 0 outside its window. So the convolution is a linear layer with a matrix of (16, 36) numbers. To find the matrix,
# give the convolution the 36 images in which a single pixel is 1: the answer to the image of pixel j is column j.

# %%
tcnn.manual_seed(0)
weight = tcnn.randn(1, 1, 3, 3)
pixels = tcnn.tensor(np.eye(36, dtype=np.float32).reshape(36, 1, 6, 6))  # 36 images of one pixel each
matrix = F.conv2d(pixels, weight).numpy().reshape(36, 16).T  # (16, 36)

image = tcnn.randn(1, 1, 6, 6)
assert np.allclose(matrix @ image.numpy().ravel(), F.conv2d(image, weight).numpy().ravel(), atol=1e-5)
print(f"{matrix.size} numbers, {np.count_nonzero(matrix)} are not 0, {len(np.unique(matrix)) - 1} of these differ")
assert (matrix.size, np.count_nonzero(matrix), len(np.unique(matrix)) - 1) == (576, 144, 9)

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 2.7), layout="constrained", sharey=True)
matrices = {"fully connected": tcnn.randn(16, 36).numpy(), "convolution": matrix}
for panel, (name, entries) in zip(panels, matrices.items()):
    shown = panel.imshow(entries, cmap="PuOr_r", vmin=-2.5, vmax=2.5)
    panel.set(title=name, xlabel="pixel")
panels[0].set_ylabel("output")
figure.colorbar(shown, ax=panels, label="weight")
viz.show(
    figure,
    "Two matrices of 16 rows and 36 columns. The fully connected one is coloured all over. That of the convolution is "
    "empty but for stripes along the diagonal, three groups of three numbers in each row, the same nine in every row.",
)

# %% [markdown]
# Look at one row: three groups of three weights, the three rows of the window. Then look down: the next row has the
# same nine numbers, one pixel further on (three, where the window begins a new line). **Locality** is the empty part,
# **weight sharing** the stripes. A fully connected layer could learn this matrix, too. It need not, and it would have
# to find out 576 numbers instead of 9.
#
# ## Shift the image, and the map shifts
#
# From sharing follows a property. If the digit moves, every window finds what another window found before. So the
# feature map is the same, and moved as far. This is called **equivariance**. Let us check it with numbers, on real
# digits. To have room for moving, the digits are made smaller, 20×20 in the middle of 28×28, as in MNIST, a
# well-known collection of handwritten digits. Black is 0.

# %%
digits = data.load("digits")  # scikit-learn's, no download


def smaller(images):
    images = data.transforms.Resize((20, 20)).batch(images)
    return np.pad(images, [(0, 0), (0, 0), (4, 4), (4, 4)])  # a border of 4 black pixels


def move(images, down, right):
    return np.roll(images, (down, right), axis=(2, 3))  # what leaves on one side is border: black


centred, labels = smaller(digits.train.data), digits.train.targets  # (1438, 1, 28, 28), (1438,)
test_centred, test_labels = smaller(digits.test.data), digits.test.targets

edges = tcnn.tensor([[[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]]])  # bright on the right, dark on the left
before = test_centred[:1]
after = move(before, 3, -2)
map_before = F.conv2d(tcnn.tensor(before), edges, padding=1).numpy()
map_after = F.conv2d(tcnn.tensor(after), edges, padding=1).numpy()
print("moved map and map of the moved digit differ by at most", abs(move(map_before, 3, -2) - map_after).max())
assert np.allclose(move(map_before, 3, -2), map_after, atol=1e-5)
assert np.isclose(map_before.max(), map_after.max())

# %%
figure, panels = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
pictures = [("a digit", before), ("its feature map", map_before), ("moved", after), ("its feature map", map_after)]
for panel, (name, values) in zip(panels, pictures):
    look = {"cmap": "PuOr_r", "vmin": -4, "vmax": 4} if "map" in name else {"cmap": "gray"}
    panel.imshow(values[0, 0], **look)
    panel.set(title=name, xticks=[9, 19], yticks=[9, 19])
    panel.grid(alpha=0.4)
viz.show(
    figure,
    "A digit and its feature map, in which left edges are positive and right edges negative; then the same digit three "
    "pixels lower and two further left, and its feature map: the same as the first, moved as far.",
)

# %% [markdown]
# The grid lines are at the same places in all four pictures: digit and map move together. And if at the end you only
# ask for the *largest* number of the map, you ask "was the edge anywhere?", and the answer does not move at all. This
# is **invariance**. (Both hold as long as nothing meets the edge of the image, and if the filter looks at every
# place instead of skipping some; tutorials 7 and 9 come back to it.)
#
# ## Two networks
#
# An MLP as in tutorial 4, and a small convolutional network. It has two convolutions. Between them `MaxPool2d(2)`
# keeps the largest of each 2×2 numbers, so that the maps are half as wide and high. This is called **pooling**
# (tutorial 9). At the end `AdaptiveMaxPool2d(1)` keeps the largest number of each map, and ten neurons read these 32
# numbers.


# %%
def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5),  # (N, 1, 28, 28) -> (N, 8, 24, 24)
        nn.ReLU(),
        nn.MaxPool2d(2),  # -> (N, 8, 12, 12)
        nn.Conv2d(8, 32, kernel_size=5),  # -> (N, 32, 8, 8)
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),  # -> (N, 32, 1, 1)
        nn.Flatten(),  # -> (N, 32)
        nn.Linear(32, 10),  # -> (N, 10)
    )


print(f"MLP: {parameters(mlp()):,} parameters; convolutional network: {parameters(cnn()):,}")
assert (parameters(mlp()), parameters(cnn())) == (50_890, 6_970)


def learn(network, images, test_images, epochs, seed=0):
    tcnn.manual_seed(seed)
    model = network()
    loader = data.DataLoader(data.TensorDataset(images, labels), batch_size=32, shuffle=True)
    test_loader = data.DataLoader(data.TensorDataset(test_images, test_labels), batch_size=len(test_labels))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, training.fit(model, loader, optimizer, epochs=epochs, val_loader=test_loader)


def accuracy(model, images):
    with tcnn.no_grad():
        return (model(tcnn.tensor(images)).numpy().argmax(axis=1) == test_labels).mean()


# %% [markdown]
# ## Digits that moved
#
# Both learn from digits in the middle, and have never seen any other. Then the test digits are moved by 0 to 4
# pixels, up, down, left and right. Nothing of a digit is cut off.


# %%
def after_moves(model, images):
    """The accuracy for shifts by 0 to 4 pixels, each the mean of four directions."""
    ways = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
    return [np.mean([accuracy(model, move(images, *step)) for step in shift * ways]) for shift in shifts]


shifts = range(5)
fixed = {"MLP": learn(mlp, centred, test_centred, epochs=6)[0], "CNN": learn(cnn, centred, test_centred, epochs=6)[0]}
moved = {name: after_moves(model, test_centred) for name, model in fixed.items()}

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (name, values), colour in zip(moved.items(), (ORANGE, BLUE)):
    axes.plot(shifts, values, "o-", color=colour, label=name)
    print(name, [f"{value:.0%}" for value in values])
axes.axhline(0.1, color="black", linestyle=":", label="guessing")
axes.set(xlabel="moved by so many pixels", ylabel="test accuracy", xticks=shifts, ylim=(0, 1.03))
axes.legend(loc="center left")
viz.show(
    figure,
    "Test accuracy against the shift. Both networks begin close to 1. The MLP falls steeply from a shift of two pixels "
    "on, near guessing at four. The convolutional network falls much less.",
)
assert min(moved["MLP"][0], moved["CNN"][0]) > 0.92
assert moved["MLP"][3] < 0.5
assert moved["CNN"][3] > moved["MLP"][3] + 0.2
assert moved["CNN"][4] > moved["MLP"][4] + 0.2

# %% [markdown]
# In the middle both are good. Three pixels further the MLP fails on more than half of the digits: the weights that
# look for a stroke here know nothing of the same stroke three pixels away. The CNN finds it there, with the same
# weights.
#
# But it is not perfect either. Pooling looks at blocks of 2×2, and a shift by one pixel changes which pixels share a
# block. Worse, the largest number is sought in *all* windows. Where a digit has moved away, it leaves windows with
# only a corner of it in them, or nothing. Such windows did not occur in training, and nothing taught the network to
# be silent there. We can show it without any shift. This network takes images of any size, so give it the same
# digits, still in the middle, with 8 more black pixels on all sides:

# %%
wide = np.pad(test_centred, [(0, 0), (0, 0), (8, 8), (8, 8)])  # (359, 1, 44, 44)
print(f"CNN: {accuracy(fixed['CNN'], test_centred):.0%}, with more black around: {accuracy(fixed['CNN'], wide):.0%}")
assert accuracy(fixed["CNN"], wide) < accuracy(fixed["CNN"], test_centred) - 0.2

# %% [markdown]
# So sharing weights does not free a network from seeing, in training, the kind of images it will meet. But it then
# needs fewer of them, as the next experiment shows.
#
# ## Digits anywhere
#
# Let the MLP see moved digits, then. Every digit, for training and for testing, is moved once, to a random place up
# to 4 pixels away in both directions. The ten neurons of tutorial 4 try, too.


# %%
def anywhere(images, seed):
    places = np.random.default_rng(seed).integers(-4, 5, size=(len(images), 2))
    return np.concatenate([move(image[None], *place) for image, place in zip(images, places)])


scattered, test_scattered = anywhere(centred, seed=1), anywhere(test_centred, seed=2)


def ten_neurons():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


results = {}  # (network, order of the pixels, seed): history
for network in (ten_neurons, mlp, cnn):
    results[network, "right", 0] = learn(network, scattered, test_scattered, epochs=10)[1]
    print(f"{network.__name__}: {results[network, 'right', 0].last['val_accuracy']:.0%}")
last = [results[network, "right", 0].last["val_accuracy"] for network in (ten_neurons, mlp, cnn)]
assert last[0] + 0.1 < last[1] < last[2] - 0.05
assert last[2] > 0.88

# %% [markdown]
# Now the hidden layer is worth its weights: ten neurons, with one picture for each digit, cannot say what a digit
# looks like that may be anywhere. The MLP can, but must learn every stroke anew for every place, and for that 1,438
# digits are few. The CNN has a seventh of its weights, and the best result.

# %%
assert round(parameters(mlp()) / parameters(cnn())) == 7

# %% [markdown]
# ## Shuffled pixels
#
# Is it the number of weights, or is it what the convolution *knows*? Here is an experiment that tells. Choose a
# random order of the 784 pixels, and rearrange all images, for training and for testing, in this same order. No
# information is lost. But what were neighbours are no neighbours any more.
#
# The MLP cannot notice: rearrange its weights in the same way, and it computes the same. The convolutional network's
# windows, however, now hold pixels from all over the image. Both are trained twice, from other random weights and
# with another order.


# %%
def shuffle(images, seed):
    order = np.random.default_rng(seed).permutation(784)
    return images.reshape(-1, 784)[:, order].reshape(-1, 1, 28, 28)


w = fixed["MLP"][1].weight.numpy()  # (64, 784): rearranged like the image, it gives the same sums
assert np.allclose(shuffle(w, 0).reshape(64, 784) @ shuffle(before, 0).ravel(), w @ before.ravel(), atol=1e-4)

for seed in (0, 1):
    for network in (mlp, cnn):
        if seed > 0:
            results[network, "right", seed] = learn(network, scattered, test_scattered, 10, seed)[1]
        there, test_there = shuffle(scattered, seed), shuffle(test_scattered, seed)
        results[network, "shuffled", seed] = learn(network, there, test_there, 10, seed)[1]

figure = plt.figure(figsize=(10, 3.8), layout="constrained")
grid = figure.add_gridspec(2, 4)
for row, (name, images) in enumerate([("right order", scattered), ("shuffled", shuffle(scattered, 0))]):
    panel = figure.add_subplot(grid[row, 0])
    panel.imshow(images[0, 0], cmap="gray")
    panel.set(title=name, xticks=[], yticks=[])
axes = figure.add_subplot(grid[:, 1:])
for (network, order, seed), history in results.items():
    if network is not ten_neurons:
        label = f"{network.__name__.upper()}, {order} order" if seed == 0 else None
        line, colour = "-" if order == "right" else "--", ORANGE if network is mlp else BLUE
        axes.plot(history["epoch"], history["val_accuracy"], line, color=colour, label=label)
axes.set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1.03))
axes.legend(loc="lower right")
viz.show(
    figure,
    "Left a digit in the right order and, shuffled, as noise. Right the test accuracy over ten epochs, two runs each. "
    "The MLP's lines are much the same for both orders. The convolutional network is well above them in the right "
    "order, and in the shuffled order it is slower and no better than the MLP.",
)

# %%
final = {
    (network, order): np.mean([results[network, order, seed]["val_accuracy"][-3:] for seed in (0, 1)])
    for network in (mlp, cnn)
    for order in ("right", "shuffled")
}
for (network, order), value in final.items():
    print(f"{network.__name__}, {order} order: {value:.0%} in the last three epochs")
assert abs(final[mlp, "right"] - final[mlp, "shuffled"]) < 0.07
assert final[cnn, "right"] > final[cnn, "shuffled"] + 0.1
assert final[cnn, "shuffled"] < final[mlp, "shuffled"]

# %% [markdown]
# The MLP's lines, solid and dashed, lie close together: to it, an image is a list of 784 numbers. The CNN loses its
# whole lead and learns more slowly, too. So the lead did not come from having fewer weights, it came from knowledge
# that was built in and was true.
#
# You may read that a convolutional network *cannot* learn shuffled images. That says too much. It is still a network
# with thousands of weights, and an easy task it learns all the same. Here are the digits that lie in the middle,
# shuffled:

# %%
_, easy = learn(cnn, shuffle(centred, 0), shuffle(test_centred, 0), epochs=6)
print(f"right order {accuracy(fixed['CNN'], test_centred):.0%}, shuffled {easy.last['val_accuracy']:.0%}")
assert easy.last["val_accuracy"] > 0.85

# %% [markdown]
# ## What is assumed, and when it is wrong
#
# - **Locality**: what belongs together is near together. An edge, a corner, an eye can be recognised in a small
#   window.
# - **Weight sharing**: what is worth looking for at one place is worth looking for at every place.
#
# For photographs, sound over time and text both are nearly true. For the columns of a table, such as age, height and
# income, both are false: their order means nothing, and each needs a weight of its own. And there are cases between.
# In portraits that are all aligned, with the eyes always at the same place, locality holds but sharing does not; for
# them the middle one of the three bars, *local*, has been used with success (Taigman and others, below).
#
# An assumption that is true saves data. One that is false costs accuracy: with shuffled pixels our CNN was
# worse than the MLP.
#
# ## Exercises
#
# 1. **The fully connected layer**: `tcnn exercise check linear_forward`
# 2. **How many places are there for a window?** `tcnn exercise check output_size`
# 3. **A convolution**, with loops: `tcnn exercise check conv_forward` (tutorial 6 does it by hand, if you want to
#    wait)
#
# On paper: how many weights has the matrix of layer C1, zeros included, and how many of them are not 0? And: in the
# second convolution of our network, what would be the parameters of the two other kinds, *local* and *fully
# connected*?
#
# ## Further reading
#
# - K. Fukushima (1980), "Neocognitron: a self-organizing neural network model for a mechanism of pattern recognition
#   unaffected by shift in position".
# - Y. LeCun (1989), "Generalization and network design strategies": local connections and shared weights, compared.
# - Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning applied to document recognition".
# - Y. Taigman, M. Yang, M. Ranzato and L. Wolf (2014), "DeepFace: closing the gap to human-level performance in face
#   verification": local layers without sharing.
# - R. Zhang (2019), "Making convolutional networks shift-invariant again": what pooling and strides do to shifts.

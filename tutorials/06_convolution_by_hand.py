# %% [markdown]
# # 6 · Convolution by hand
#
# *A small window slides over an image, and at each place it computes one dot product. That is all; this page does it
# slowly. Runs offline, in some seconds.*
#
# **What you will be able to do:** compute an output of a convolution by hand, read it as four loops, say what a filter
# does to an image, and count a layer's outputs, weights and multiplications.
#
# You need tutorial 1: a neuron's weights as a picture of what it looks for. Tutorial 5 has said why we want this.

# %%
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, tables, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.textbook import conv

# %% [markdown]
# ## One window
#
# Take a grey image of 5×5 pixels, dark (0) on the left and bright (1) on the right, and a **filter** (also called
# **kernel**) of 3×3 weights. Lay the filter on the upper left corner. The pixels that it covers are the **window**.
# Multiply each pixel with the weight that lies on it, and add the nine products: one output number. Then move the
# filter by one pixel and do it again. There are 3·3 places for it, so the output has 3×3 numbers.

# %%
image = np.array(
    [
        [0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1],
    ]
)
filter_ = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])

output = np.zeros((3, 3), dtype=int)
for p in range(3):  # p: row of the output
    for q in range(3):  # q: column of the output
        window = image[p : p + 3, q : q + 3]
        output[p, q] = (window * filter_).sum()

print(output)
assert output.tolist() == [[1, 3, 2], [2, 3, 1], [3, 3, 0]]

# %%
figure, panels = plt.subplots(1, 3, figsize=(7.2, 3.2), layout="constrained", width_ratios=[5, 3, 3])
for panel, numbers, name in zip(panels, (image, filter_, output), ("image", "filter", "output")):
    panel.imshow(numbers, cmap="PuOr_r", vmin=-4, vmax=4)
    for (row, column), number in np.ndenumerate(numbers):
        panel.text(column, row, str(number).replace("-", "−"), ha="center", va="center", fontsize=13)
    panel.set(xticks=[], yticks=[], title=name)
frame = {"fill": False, "edgecolor": "#0072b2", "linewidth": 3}
panels[0].add_patch(plt.Rectangle((0.5, -0.5), 3, 3, **frame))
panels[2].add_patch(plt.Rectangle((0.5, -0.5), 1, 1, **frame))
viz.show(
    figure,
    "Three grids of numbers: the image with a blue frame around the window in rows 0 to 2 and columns 1 to 3; the "
    "filter with a column of −1, one of 0 and one of 1; the output, where the 3 in row 0, column 1 has a blue frame.",
)

# %% [markdown]
# The framed window gives the framed number: its right column adds up to 3, its left column to 0, and 3 − 0 = 3. This
# filter asks everywhere: *is it brighter on the right than on the left?* 3 is the strongest yes, and it stands along
# the edge. The 0 in the corner is a window that is bright all over.
#
# ## Four loops
#
# Real images have several **channels**: red, green and blue, or the outputs of an earlier layer. A filter then has a
# slice of weights for each channel, and the sum goes over the slices, too. A **batch** has several images, a layer has
# several filters, each filter has a bias, and the window may move by more than one pixel a step: by its **stride**.
# (Padding, a border of zeros put around the image, is the next tutorial's subject; here it is 0 pixels wide.) With all
# that, this is the definition, from `tinygrad_cnn/textbook/conv.py`:

# %%
print(inspect.getsource(conv.conv2d_forward))

# %% [markdown]
# Four loops: images $n$, filters $k$, rows $p$, columns $q$ of the output. Inside them three more indices are summed
# over, channels $c$, rows $r$ and columns $s$ of the filter. The sum takes in **all channels**: a filter has one
# output picture, its **map**, and not one for each channel.

# %%
y = conv.conv2d_forward(image[None, None], filter_[None, None], np.zeros(1), stride=1, padding=0)
print(y.shape)  # one image, one filter, 3 rows, 3 columns
assert np.array_equal(y[0, 0], output)

# %% [markdown]
# ## The lecture's example: 7×7×3, two filters, stride 2
#
# An image with three channels $x_0, x_1, x_2$ of 7×7 pixels, whose border of zeros belongs to it; two filters with
# three slices of 3×3 and a bias each; the window moves two pixels at a time. So there are 3×3 places and two output
# maps, $o_0$ and $o_1$: 18 numbers.

# %%
x0 = "0000000 0101010 0211120 0112120 0112220 0111110 0000000"
x1 = "0000000 0111000 0102200 0211000 0201010 0222120 0000000"
x2 = "0000000 0121100 0102100 0001010 0221220 0021020 0000000"
x = np.array([[[[int(pixel) for pixel in row] for row in plane.split()] for plane in (x0, x1, x2)]], dtype=np.float32)

w0 = [
    [[-1, -1, 1], [0, -1, 1], [-1, -1, 0]],
    [[1, 1, -1], [-1, 0, 1], [-1, -1, 1]],
    [[-1, -1, -1], [1, -1, 0], [1, -1, 1]],
]
w1 = [
    [[0, 0, 0], [0, 1, 0], [1, 1, 1]],
    [[-1, 1, 0], [-1, -1, 0], [1, 0, -1]],
    [[1, 0, 1], [0, 0, -1], [-1, -1, 0]],
]
w = np.array([w0, w1], dtype=np.float32)
b = np.array([1, 0], dtype=np.float32)
print("x", x.shape, "  w", w.shape, "  b", b.shape)

o = conv.conv2d_forward(x, w, b, stride=2, padding=0)
print(o[0])
assert o[0].tolist() == [
    [[-4, -3, -3], [-2, -7, -9], [1, -4, -10]],
    [[0, -3, 5], [0, 5, 1], [1, 2, 1]],
]

# %% [markdown]
# Do one of them with pencil and paper: the upper left number of $o_0$. Its window is the upper left 3×3 corner of each
# channel. Most pixels there are 0, so of 27 products few are left.

# %%
window = x[0, :, :3, :3]
sums = []
for c in range(3):
    products = [f"{pixel:g}·({weight:g})" for pixel, weight in zip(window[c].ravel(), w[0, c].ravel())]
    sums.append((window[c] * w[0, c]).sum().item())
    print(f"channel {c}: {' + '.join(products)} = {sums[c]:g}".replace("-", "−"))
total = f"together with the bias: {sums[0]:g} + {sums[1]:g} + ({sums[2]:g}) + {b[0]:g} = {o[0, 0, 0, 0]:g}"
print(total.replace("-", "−"))
assert sums == [-3, 0, -2]
assert sum(sums) + b[0] == o[0, 0, 0, 0] == -4

# %% [markdown]
# The animation does this for all 18. Tick *predict first*, and before each step say what comes next. At which places
# does the window lie on the zero border?

# %%
viz.show(
    viz.animate(),
    "A page with the three channels of the image, over which a frame of 3×3 pixels moves two pixels a step; beside "
    "them the filter, the products and their sums; and the two output maps, filled number by number, as printed above.",
)

# %% [markdown]
# Nobody trains a network with four Python loops. `F.conv2d` is the function, `nn.Conv2d` the layer that owns its
# weights. Both give the same 18 numbers.

# %%
assert np.array_equal(F.conv2d(tcnn.tensor(x), tcnn.tensor(w), tcnn.tensor(b), stride=2).numpy(), o)

layer = nn.Conv2d(in_channels=3, out_channels=2, kernel_size=3, stride=2)
layer.load_state_dict({"weight": w, "bias": b})
assert np.array_equal(layer(tcnn.tensor(x)).numpy(), o)
print(layer)

# %% [markdown]
# ## What mathematicians call convolution
#
# In mathematics, a convolution turns the filter around first: its last weight meets the first pixel of the window.
# What we have computed has the name **cross-correlation**. The lectures and all frameworks say "convolution"
# nevertheless. With the filters of the example turned around (in both directions), other numbers come out:

# %%
flipped = conv.conv2d_forward(x, w[:, :, ::-1, ::-1], b, stride=2, padding=0)
print(flipped[0])
print("of 18 numbers the same:", (flipped == o).sum())
assert not np.array_equal(flipped[0, 0], o[0, 0])
assert not np.array_equal(flipped[0, 1], o[0, 1])

# %% [markdown]
# `np.convolve` is the mathematicians' convolution of lines. To get its numbers from `F.conv1d`, turn the filter
# around:

# %%
line, taps = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 10.0])
as_image, as_filter = tcnn.tensor(line[None, None]), tcnn.tensor(taps[None, None])

print("np.convolve:        ", np.convolve(line, taps, mode="valid"))
print("F.conv1d:           ", F.conv1d(as_image, as_filter).numpy().ravel())
print("F.conv1d, flipped w:", F.conv1d(as_image, as_filter.flip(2)).numpy().ravel())
assert np.allclose(np.convolve(line, taps, mode="valid"), [12, 24, 48])
assert np.allclose(F.conv1d(as_image, as_filter).numpy(), [21, 42, 84])
assert np.allclose(F.conv1d(as_image, as_filter.flip(2)).numpy(), [12, 24, 48])

# %% [markdown]
# For learning it makes no difference: weights are found by training, and a network that would like its filter the
# other way round learns it that way. It matters when you carry weights from one program to another.
#
# ## What filters do to a photograph
#
# Before networks learned them, people wrote filters by hand. Here are five, on a photograph made grey. Look at the
# sums of their weights. Where the weights add up to **1**, an even area stays as bright as it is. Where they add up to
# **0**, an even area becomes 0, and only changes are left.

# %%
photo = load_sample_image("china.jpg")[:426, :639] / 255  # (426, 639, 3), comes with scikit-learn
grey = photo.mean(axis=2).reshape(142, 3, 213, 3).mean(axis=(1, 3))  # the mean of each 3×3 pixels: (142, 213)

right_minus_left = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
filters = {
    "blur": np.ones((5, 5)) / 25,
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "right − left": right_minus_left,
    "below − above": right_minus_left.T,
    "middle − surroundings": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}


def filtered(image, weights):
    """(H, W) image, (R, S) weights."""
    y = F.conv2d(tcnn.tensor(image[None, None]), tcnn.tensor(weights[None, None], dtype=image.dtype))
    return y.numpy()[0, 0]


for name, weights in filters.items():
    print(f"{name:22} sum of the weights {weights.sum():.3g}")
    assert np.isclose(weights.sum(), 1 if name in ("blur", "sharpen") else 0)

# %%
figure, panels = plt.subplots(2, 3, figsize=(9, 4.5), layout="constrained")
panels[0, 0].imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
panels[0, 0].set_title("the photograph")
for panel, (name, weights) in zip(panels.flat[1:], filters.items()):
    cmap, least, most = ("gray", 0, 1) if name in ("blur", "sharpen") else ("PuOr_r", -1.5, 1.5)
    panel.imshow(filtered(grey, weights), cmap=cmap, vmin=least, vmax=most, interpolation="nearest")
    panel.set_title(name)
for panel in panels.flat:
    panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "A photograph of a Chinese pavilion in grey; blurred; sharpened; then three pictures of edges, orange where the "
    "answer is positive, violet where it is negative, white where it is 0: right minus left shows upright edges such "
    "as posts, below minus above level ones such as eaves, middle minus surroundings fine lines of any direction.",
)

# %% [markdown]
# Compare *right − left* and *below − above*: the posts are in the first, the edges of the roofs in the second. An edge
# from dark to bright is orange, from bright to dark violet. The even sky is white in all three.
#
# Now a filter that looks for a stroke: positive along a bar three pixels thick, negative above and below. Turned by
# 90°, it looks for upright strokes. Behind it, ReLU keeps the *yes* answers only.

# %%
digits, labels = data.load("digits").test.get_batch([28, 2])
assert list(labels) == [4, 0]
four, zero = digits[:, 0]  # (28, 28) each

level = np.repeat([-1, 2, -1], 3)[:, None] * np.ones(9) / 27  # (9, 9)

figure, panels = plt.subplots(2, 3, figsize=(7.5, 5), layout="constrained")
for row, digit in zip(panels, (four, zero)):
    row[0].imshow(digit, cmap="gray")
    for panel, weights in zip(row[1:], (level, level.T)):
        answers = tcnn.relu(tcnn.tensor(filtered(digit, weights))).numpy()
        P, Q = answers.shape
        top, left = (28 - P) / 2, (28 - Q) / 2  # each answer is drawn at the middle of its window
        panel.imshow(answers, cmap="gray", vmin=0, vmax=1, extent=(left, left + Q, top + P, top))
        panel.set(xlim=(0, 28), ylim=(28, 0), facecolor="black")
for panel, name in zip(panels[0], ("a digit", "level strokes", "upright strokes")):
    panel.set_title(name)
for panel in panels.flat:
    panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "Two digits, a 4 and a 0, with the answers of two filters beside each. The filter for level strokes lights up "
    "along the bar of the 4, the filter for upright strokes along the stem of the 4 and both sides of the 0.",
)

# %% [markdown]
# This is the picture of tutorial 1, small, and asked at every place: the filter is what it looks for, and the output
# map says **where** it was found. (The maps end four pixels before the border: there, half of the window would hang
# over.) If the digit moves, its map moves with it, and no weight has to be learned again:

# %%
moved = np.roll(four, (2, 3), axis=(0, 1))  # 2 pixels down, 3 to the right
before, after = filtered(four, level), filtered(moved, level)
assert np.allclose(after[2:, 3:], before[:-2, :-3], atol=1e-6)

# %% [markdown]
# ## Channels: six filters on a colour image
#
# Shrink the photograph to 32×32 pixels with three channels, and let six filters of 5×5×3 look at it. Each makes one
# **activation map**, another name for tutorial 5's feature map. There are 32 − 5 + 1 = 28 places along each side, so
# 3×32×32 becomes 6×28×28; and a batch of 2 such images becomes 2×6×28×28.

# %%
small = photo[:416, 112:528].reshape(32, 13, 32, 13, 3).mean(axis=(1, 3))  # the mean of each 13×13 pixels
colour = small.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, 32, 32)

edge = np.ones((5, 1)) * [-1, -1, 0, 1, 1]
weight = np.zeros((6, 3, 5, 5), dtype=np.float32)
weight[0] = 1  # how bright it is
weight[1] = edge
weight[2] = edge.T
weight[3] = np.triu(np.ones((5, 5))) - np.tril(np.ones((5, 5)))  # brighter above the diagonal
weight[4, 0], weight[4, 2] = 1, -1  # red against blue
weight[5, 0], weight[5, 1], weight[5, 2] = -1, 2, -1  # green against red and blue
weight /= 75

maps = F.conv2d(tcnn.tensor(colour), tcnn.tensor(weight)).numpy()
print(colour.shape, "→", maps.shape)
assert maps.shape == (1, 6, 28, 28)
assert F.conv2d(tcnn.zeros(2, 3, 32, 32), tcnn.tensor(weight)).shape == (2, 6, 28, 28)

# %%
figure = plt.figure(figsize=(11, 3.2), layout="constrained")
panels = figure.subplot_mosaic([["x", *"abcdef"], ["x", *"ABCDEF"]], width_ratios=[2.2, 1, 1, 1, 1, 1, 1])
panels["x"].imshow(small)
panels["x"].set_title("image, 3×32×32")
for k, name in enumerate(("brightness", "upright edge", "level edge", "diagonal", "red − blue", "green")):
    strongest = np.abs(weight[k]).max()
    panels["abcdef"[k]].imshow(0.5 + weight[k].transpose(1, 2, 0) / strongest / 2)  # 0 is grey
    panels["abcdef"[k]].set_title(name)
    most = np.abs(maps[0, k]).max()
    panels["ABCDEF"[k]].imshow(maps[0, k], cmap="PuOr_r", vmin=-most, vmax=most)
for panel in panels.values():
    panel.set(xticks=[], yticks=[])
panels["a"].set_ylabel("filters, 3×5×5")
panels["A"].set_ylabel("maps, 28×28")
viz.show(
    figure,
    "Left the photograph at 32×32 pixels. Above, six filters as little pictures of 5×5 pixels: a white one, an upright "
    "edge, a level edge, a diagonal one, an orange and a green one. Below each its map, orange for yes, violet for no.",
)

# %% [markdown]
# Each filter is drawn as the little picture that it likes best; grey stands for weight 0. The last two ask for a
# colour, whatever the shape: *red − blue* says no all over the sky, which is blue, and yes at the columns and roofs.
# AlexNet's first layer learned by itself filters like these: edges in many directions, and colours against their
# opposites.

# %%
sky, pavilion = maps[0, 4, :5, 15:], maps[0, 4, 8:20, 3:10]
assert sky.max() < 0 < pavilion.min()

# %% [markdown]
# **One place of one filter** is a dot product of 5·5·3 = 75 numbers, plus a bias. It is tutorial 1's neuron, with 75
# inputs instead of 784:

# %%
window = colour[0, :, 10:15, 20:25]  # (3, 5, 5)
assert window.size == 75
assert np.isclose(window.ravel() @ weight[4].ravel(), maps[0, 4, 10, 20], atol=1e-6)

# %% [markdown]
# ## Counting
#
# Ten filters of 5×5 on 3×32×32, with a border of two zeros around the image so that the output is 32×32 again (padding
# 2, next tutorial):
#
# - **parameters:** 75 weights and a bias for each filter, 76·10 = **760**, however large the image is;
# - **outputs:** 10·32·32 = **10,240**;
# - **multiply-adds:** 75 for each output, 10,240·75 = **768,000**.
#
# A fully connected layer with as many outputs would have a weight for every pair of an input and an output: more than
# 31 million. The convolution has 760, since it looks at 75 inputs at a time and uses the same weights everywhere.

# %%
layer = nn.Conv2d(3, 10, kernel_size=5, padding=2)
table = tables.summary(layer, (3, 32, 32))
print(table.to_text(columns=["output", "weights", "parameters", "mult-adds"]))

assert table.rows[-1].output == (10, 32, 32)
assert table.parameters == 76 * 10 == 760
assert 10 * 32 * 32 == 10_240
assert table.multiply_adds == 10_240 * 75 == 768_000
assert 3 * 32 * 32 * 10_240 == 31_457_280

# %% [markdown]
# Few weights, but much work: each weight is used 1,024 times per image. That is why convolution must be computed well.
# The same layer, by the loops and by the library:

# %%
assert 32 * 32 == 1_024
tcnn.manual_seed(0)
x = tcnn.randn(2, 3, 32, 32)
layer(x)  # the first call also starts the threads

begin = time.perf_counter()
by_loops = conv.conv2d_forward(x.numpy(), layer.weight.numpy(), layer.bias.numpy(), stride=1, padding=2)
middle = time.perf_counter()
by_library = layer(x).numpy()
end = time.perf_counter()

print(f"four loops: {1000 * (middle - begin):.1f} ms, nn.Conv2d: {1000 * (end - middle):.1f} ms")
assert np.allclose(by_loops, by_library, atol=1e-5)

# %% [markdown]
# Same numbers (up to rounding), quite different times. How a convolution becomes one large matrix product, and how its
# weights learn, is tutorial 8. What you have used here is `tinygrad_cnn/ops/conv.py` (the operation, forward and
# backward) and, short enough to read, `tinygrad_cnn/kernels/reference/conv.py`.
#
# ## Exercises
#
# The folder for your solutions comes from `tcnn exercise init`; the checker names a mistake when it finds one.
#
# 1. **The four loops**, written by you: `tcnn exercise check conv_forward`
# 2. **How many places are there?** `tcnn exercise check output_size`
# 3. **All windows as one matrix**, a look ahead: `tcnn exercise check conv_im2col`
#
# And on paper: compute the lower right number of $o_1$ by hand, then check it in the animation. Which 3×3 filter moves
# an image by one pixel to the left? Which filters give the same output whether you turn them around or not?
#
# ## Further reading
#
# - K. Fukushima (1980), "Neocognitron: a self-organizing neural network model for a mechanism of pattern recognition
#   unaffected by shift in position".
# - Y. LeCun et al. (1989), "Backpropagation applied to handwritten zip code recognition": filters that are learned.
# - V. Dumoulin and F. Visin (2016), "A guide to convolution arithmetic for deep learning".
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural networks":
#   figure 3 shows the first layer's filters.
#
# The photograph is `china.jpg` of scikit-learn: by danielbuechele (Flickr), CC BY 2.0, cut and made smaller here.

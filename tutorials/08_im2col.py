# %% [markdown]
# # 8 · im2col, and how convolution learns
#
# *A convolution written as one matrix product, and its way back: where the gradients of filters, biases and pixels
# come from. Then a filter is learnt from examples. Runs offline, in some seconds.*
#
# **What you will be able to do:** write the windows of images as columns of a matrix, say what that costs and what it
# brings, derive the three gradients of a convolution from those of a matrix product, and test such a derivation so
# that mistakes show.
#
# You need tutorials 6 and 7 (convolution by loops, stride, padding) and the gradient of a matrix product (tutorials 3
# and 4).

# %%
import inspect
import time

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.conv import Conv
from tinygrad_cnn.textbook import conv as textbook

draw = np.random.default_rng(0)

# %% [markdown]
# The letters are those of the library's code: images x of shape (N, C, H, W), filters of shape (K, C, R, S), outputs y
# of shape (N, K, P, Q). So here K is the number of filters, R and S are their height and width, and P and Q those of
# the output. (In tutorial 7 K was the width of a window, S the stride and P the padding.) Here are the loops of
# tutorial 6 once more, without their description, from `tinygrad_cnn/textbook/conv.py`:

# %%
print(inspect.getsource(textbook.conv2d_forward).split('"""')[-1])

# %% [markdown]
# ## Every window becomes a column
#
# Each output is the dot product of a window with a filter. A matrix product is many dot products at once: each row of
# the left matrix with each column of the right one. So we write the filters as **rows** and the windows as
# **columns**. The step that writes the columns is called **im2col**, image to columns.
#
# Take one image of 4×4 pixels, numbered from 1 to 16, and one filter of 3×3. There are 2·2 = 4 windows.

# %%
image = np.arange(1, 17).reshape(4, 4)
filter_ = np.arange(1, 10).reshape(3, 3)

windows = [image[p : p + 3, q : q + 3] for p in range(2) for q in range(2)]
columns = np.stack([window.ravel() for window in windows], axis=1)  # (9, 4): a window a column
row = filter_.reshape(1, 9)  # the filter, written in the same order
product = row @ columns  # (1, 9) @ (9, 4) -> (1, 4)
print(product.reshape(2, 2))
assert product[0, 0] == (image[:3, :3] * filter_).sum()

# %%
seen_by = np.bincount(columns.ravel())[1:].reshape(4, 4)  # in how many columns each pixel is
assert seen_by[0, 0] == 1
assert seen_by[0, 1] == 2
assert (seen_by[1:3, 1:3] == 4).all()
colours = {0: "white", 1: "#e6e6e6", 2: "#9fcbe6", 4: "#f2b184"}  # by that number


def grid(axes, values, left, top, title, seen=None):
    """Draws a matrix as cells, its upper left corner at (left, top), y downwards."""
    for (i, j), value in np.ndenumerate(values):
        colour = colours[0 if seen is None else seen[i, j]]
        axes.add_patch(plt.Rectangle((left + j, top + i), 1, 1, facecolor=colour, edgecolor="#666666", lw=0.7))
        axes.text(left + j + 0.5, top + i + 0.52, value, ha="center", va="center", fontsize=9)
    axes.text(left + values.shape[1] / 2, top - 0.25, title, ha="center", va="bottom")


figure, axes = plt.subplots(figsize=(9.5, 4.9), layout="constrained")
grid(axes, image, 0, 0, "image", seen_by)
axes.add_patch(plt.Rectangle((0, 0), 3, 3, fill=False, edgecolor="#0072b2", lw=3))
grid(axes, columns, 14, 0, "columns (9, 4)", seen_by.ravel()[columns - 1])
axes.add_patch(plt.Rectangle((14, 0), 1, 9, fill=False, edgecolor="#0072b2", lw=3))
grid(axes, filter_, 0.5, 6.4, "filter")
grid(axes, row, 4.5, 9.6, "the filter as a row (1, 9)")
grid(axes, product, 14, 9.6, "")
axes.text(16, 10.85, "product (1, 4)", ha="center", va="top")
axes.add_patch(plt.Rectangle((14, 9.6), 1, 1, fill=False, edgecolor="#0072b2", lw=3))
grid(axes, product.reshape(2, 2), 20, 9, "y")
arrow = {"arrowstyle": "->", "color": "#0072b2", "lw": 2}
axes.annotate("", xy=(13.8, 4.5), xytext=(4.2, 1.5), arrowprops=arrow)
axes.annotate("", xy=(19.8, 10.1), xytext=(18.2, 10.1), arrowprops=arrow)
axes.set(xlim=(-0.3, 22.3), ylim=(11.6, -1.2), aspect="equal")
axes.axis("off")
viz.show(
    figure,
    "A 4×4 image with the numbers 1 to 16; its first 3×3 window is framed, and so is the first column of a 9×4 matrix, "
    "which holds the window's numbers from top to bottom. Pixels seen by one window are grey, by two blue, by four "
    "orange, in the image and in the matrix. Below, the filter as a row of nine numbers; under each column stands its "
    "product with the row, and these four numbers are the output, 2×2.",
)

# %% [markdown]
# Look at the colours. A grey corner of the image occurs once among the columns, a blue pixel twice, and each of the
# four orange ones in the middle in all four columns: windows overlap, so pixels are copied. Keep the colours in mind.
# On the way back, those are the pixels whose gradient has one, two or four parts.

# %% [markdown]
# ## For all images, channels and filters
#
# One window of C channels is a column of C·R·S numbers, and N images have N·P·Q windows. So the matrix of columns is
# (CRS, NPQ), the filters are (K, CRS), and their product is (K, NPQ): every output there is.
#
# We fill the matrix by rows instead of by columns, because that takes only R·S steps. Row (c, r, s) holds, for every
# window, the pixel in row r and column s of it. All these pixels together are the padded image itself, shifted by r
# rows and s columns, and every `stride`-th pixel of it.


# %%
def im2col(x, R, S, stride=1, padding=0):
    N, C, H, W = x.shape
    P, Q = tcnn.output_size((H, W), (R, S), stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    columns = np.zeros((C, R, S, N, P, Q), x.dtype)
    for r in range(R):
        for s in range(S):
            seen = padded[:, :, r : r + stride * P : stride, s : s + stride * Q : stride]  # (N, C, P, Q)
            columns[:, r, s] = seen.transpose(1, 0, 2, 3)  # (N,C,P,Q) -> (C,N,P,Q)
    return columns.reshape(C * R * S, N * P * Q)  # (C,R,S,N,P,Q) -> (CRS, NPQ)


def conv(x, weight, bias, stride=1, padding=0):
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P, Q = tcnn.output_size((H, W), (R, S), stride, padding)
    rows = weight.reshape(K, C * R * S)  # (K,C,R,S) -> (K, CRS)
    y = rows @ im2col(x, R, S, stride, padding) + bias[:, None]  # (K, CRS) @ (CRS, NPQ) -> (K, NPQ)
    return y.reshape(K, N, P, Q).transpose(1, 0, 2, 3)  # (K, NPQ) -> (K,N,P,Q) -> (N,K,P,Q)


# %% [markdown]
# Follow the axes in the comments. `reshape` only joins or splits neighbouring axes and never changes their order, so
# C, R, S have to stand together, in the order that `weight[k]` has them. The last `transpose` puts the images in
# front again.
#
# It must agree with the loops and with the library, for any stride and padding:

# %%
x = draw.normal(size=(2, 3, 7, 6))
weight, bias = draw.normal(size=(4, 3, 3, 2)), draw.normal(size=4)

for stride, padding in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2)]:
    y = conv(x, weight, bias, stride, padding)
    by_loops = textbook.conv2d_forward(x, weight, bias, stride, padding)
    by_library = F.conv2d(tcnn.tensor(x), tcnn.tensor(weight), tcnn.tensor(bias), stride, padding).numpy()
    assert np.allclose(y, by_loops)
    assert np.allclose(y, by_library)
    print(f"stride {stride}, padding {padding}: {y.shape}, the same three times")

# %% [markdown]
# ## What it costs, and what it brings
#
# It costs memory. With stride 1 and an output as large as the image, every pixel is copied once for each place of the
# filter, R·S times: 25 times for a 5×5 filter. A larger stride copies less. AlexNet's first layer has an 11×11
# filter, but with stride 4 the copies are about 7 times the image, not 121 times.

# %%
large = draw.normal(size=(2, 3, 32, 32)).astype(np.float32)
assert im2col(large, 5, 5, padding=2).nbytes == 25 * large.nbytes

alexnet = im2col(np.zeros((1, 3, 227, 227), np.float32), 11, 11, stride=4)  # (363, 3025)
copies = alexnet.size / (3 * 227 * 227)
print(f"AlexNet, CONV1: {copies:.2f} times the image")
assert 7 < copies < 7.2

vgg = 64 * 64 * 224 * 224 * 4  # bytes: 64 images with 64 channels of 224×224, float32
print(f"VGG's second layer, 64 images: {vgg / 1e9:.1f} GB of pixels, {9 * vgg / 1e9:.1f} GB of columns")

# %% [markdown]
# It brings time. The multiply-adds are the same ones: for the lectures' ten 5×5 filters on a 32×32×3 image, 10,240
# outputs of 75 each, which is 768,000. But the loops make a few calls of NumPy for every single output, and the
# matrix product is one call into a library that multiplies as fast as the processor can. On your machine:

# %%
filters, biases = draw.normal(size=(10, 3, 5, 5)).astype(np.float32), np.zeros(10, np.float32)
rows, columns = filters.reshape(10, -1), im2col(large, 5, 5, padding=2)  # (10, 75), (75, 2·1024)
assert rows.size * columns.shape[1] == len(large) * 10 * 32 * 32 * 75 == 2 * 768_000


def seconds(function, repeats):
    """The shortest of several runs: what else the machine does can only make one longer."""
    runs = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        runs.append(time.perf_counter() - begin)
    return min(runs)


x32, w32, b32 = tcnn.tensor(large), tcnn.tensor(filters), tcnn.tensor(biases)
loops = seconds(lambda: textbook.conv2d_forward(large, filters, biases, 1, 2), 1)
print(f"loops               {1000 * loops:8.1f} ms")
for name, function in {
    "im2col and product": lambda: conv(large, filters, biases, 1, 2),
    "the product alone": lambda: rows @ columns,
    "the library": lambda: F.conv2d(x32, w32, b32, padding=2),
}.items():
    took = seconds(function, 20)
    print(f"{name:20}{1000 * took:8.1f} ms, {loops / took:,.0f} times as fast as the loops")

# %% [markdown]
# What the second line has more than the third is the time to write the columns. That is where faster methods begin;
# the end of this tutorial names them.
#
# ## The way back
#
# A loss says how it changes with every output: that is `dy`, of the shape of y. We want `dweight`, `dbias` and `dx`.
# Since the convolution is now a matrix product, `y = weight @ columns + bias`, we know the way back already:
#
# $$\mathrm{dweight} = \mathrm{dy}\cdot\mathrm{columns}^\top \qquad \mathrm{dbias} = \textstyle\sum\mathrm{dy} \qquad
# \mathrm{dcolumns} = \mathrm{weight}^\top\cdot\mathrm{dy}$$
#
# The shapes leave no other choice: (K, NPQ) @ (NPQ, CRS) is (K, CRS), and (CRS, K) @ (K, NPQ) is (CRS, NPQ).
#
# What is left is the step from `dcolumns` to `dx`. im2col copied a pixel into every column whose window sees it. A
# change of the pixel changes all copies, so its gradient is the **sum of the gradients of its copies**. Each number
# of `dcolumns` is therefore added to the pixel it was copied from. This is called **scatter-add**, and for images
# **col2im**. It is im2col with the assignment turned round, and with `+=` for `=`.


# %%
def col2im(dcolumns, x_shape, R, S, stride=1, padding=0):
    N, C, H, W = x_shape
    P, Q = tcnn.output_size((H, W), (R, S), stride, padding)
    dcolumns = dcolumns.reshape(C, R, S, N, P, Q)  # (CRS, NPQ) -> (C,R,S,N,P,Q)
    dpadded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dcolumns.dtype)
    for r in range(R):
        for s in range(S):
            share = dcolumns[:, r, s].transpose(1, 0, 2, 3)  # (C,N,P,Q) -> (N,C,P,Q)
            dpadded[:, :, r : r + stride * P : stride, s : s + stride * Q : stride] += share
    return dpadded[:, :, padding : padding + H, padding : padding + W]  # the padding was no pixel of x


def conv_backward(dy, x, weight, stride=1, padding=0):
    K, C, R, S = weight.shape
    dy = dy.transpose(1, 0, 2, 3).reshape(K, -1)  # (N,K,P,Q) -> (K,N,P,Q) -> (K, NPQ)
    dweight = dy @ im2col(x, R, S, stride, padding).T  # (K, NPQ) @ (NPQ, CRS) -> (K, CRS)
    dbias = dy.sum(axis=1)  # (K, NPQ) -> (K,)
    dcolumns = weight.reshape(K, -1).T @ dy  # (CRS, K) @ (K, NPQ) -> (CRS, NPQ)
    return col2im(dcolumns, x.shape, R, S, stride, padding), dweight.reshape(weight.shape), dbias


# %% [markdown]
# The small example again. The gradients of its four outputs are 1, 10, 100 and 1000, so that the decimal places of
# `dx` tell which windows a pixel's gradient comes from.

# %%
dy = np.array([[[[1, 10], [100, 1000]]]])
dx, _, _ = conv_backward(dy, image[None, None], filter_[None, None])
print(dx[0, 0])
assert dx[0, 0, 1, 1] == 5 * 1 + 4 * 10 + 2 * 100 + 1 * 1000 == 1245
parts = [[4 - f"{number:04}".count("0") for number in line] for line in dx[0, 0]]
assert parts == seen_by.tolist()  # as many digits other than 0 as windows see the pixel

# %% [markdown]
# Pixel (1, 1) has 1245, four digits. The first window meets it with the filter's 5, the second with its 4, the third
# with its 2, the fourth with its 1. A corner has one digit other than 0, since only one window sees it. Here is the
# same addition, a window at a time. Press the button that plays it, or step; watch how `dx` grows where windows
# overlap.

# %%
layer = nn.Conv2d(1, 1, 3, bias=False)
layer.load_state_dict({"weight": filter_[None, None]})
viz.show(
    viz.animate(layer, image[None, None], dy=dy, direction="backward"),
    "An animation of four steps. In each, one output's gradient times the filter is added to the pixels of dx under "
    "the window, and times the window it is added to dweight. In the end the pixels in the middle have four parts.",
)

# %% [markdown]
# How many parts does the gradient of a pixel have? As many as there are windows that see it. col2im counts them, if
# every number of `dcolumns` is 1:

# %%
figure, panels = plt.subplots(1, 3, figsize=(9.5, 3.5), layout="constrained")
fewest_and_most = {(1, 0): (1, 9), (2, 0): (1, 4), (1, 1): (4, 9)}
for panel, (stride, padding) in zip(panels, fewest_and_most):
    P = tcnn.output_size(7, 3, stride, padding)
    counts = col2im(np.ones((9, P * P), dtype=int), (1, 1, 7, 7), 3, 3, stride, padding)[0, 0]
    panel.imshow(counts, cmap="Blues", vmin=0, vmax=14)
    for (i, j), count in np.ndenumerate(counts):
        panel.text(j, i, count, ha="center", va="center")
    panel.set_title(f"stride {stride}, padding {padding}: {P * P} windows", fontsize=11)
    panel.set(xticks=[], yticks=[])
    assert counts[0, 0] == counts.min()
    assert (counts.min(), counts.max()) == fewest_and_most[stride, padding]
viz.show(
    figure,
    "Three images of 7×7 pixels with the number of 3×3 windows that see each. Stride 1: 1 in the corners, rising to 9 "
    "in the middle. Stride 2: a pattern of 1, 2 and 4 like a woven cloth. Stride 1 with padding 1: 4 in the corners, "
    "6 on the borders, 9 everywhere else.",
)

# %% [markdown]
# Left: the border has less of a say than the middle, a corner a ninth of it. Right: padding helps the border, a
# corner is now in four windows. Middle: with stride 2 neighbouring pixels have one, two or four parts in turn. Such
# gradients look woven.
#
# ## Is it right?
#
# A derivation is checked in two ways. First against the library, and then against **measured slopes**: change one
# number by a little h in both directions, and see how the loss changes. In float64, since in float32 the difference
# of two nearly equal losses is mostly rounding.
#
# As the loss we take `(dy * y).sum()` with **random numbers** for `dy`, so its gradient with respect to y is `dy`.
# Why not simply `y.sum()`? Then every gradient that arrives is 1, and mistakes about *which* output it belongs to
# cannot show.

# %%
x = draw.normal(size=(2, 2, 5, 6))
weight, bias = draw.normal(size=(3, 2, 3, 2)), draw.normal(size=3)


def slopes(loss, array, h=1e-5):
    """How the loss changes with each number of the array, measured."""
    result = np.zeros_like(array)
    for place, value in np.ndenumerate(array):
        array[place] = value + h
        above = loss()
        array[place] = value - h
        below = loss()
        array[place] = value
        result[place] = (above - below) / (2 * h)
    return result


def loss():
    return (dy * conv(x, weight, bias, stride, padding)).sum()


for stride, padding in [(1, 0), (1, 1), (2, 1)]:
    dy = draw.normal(size=conv(x, weight, bias, stride, padding).shape)
    ours = conv_backward(dy, x, weight, stride, padding)

    tensors = [tcnn.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    F.conv2d(*tensors, stride, padding).backward(dy)

    for name, array, gradient, tensor in zip(("dx", "dweight", "dbias"), (x, weight, bias), ours, tensors):
        measured = slopes(loss, array)
        assert np.allclose(gradient, tensor.grad)
        assert np.allclose(gradient, measured, atol=1e-6)
        difference = np.abs(gradient - measured).max()
        print(f"stride {stride}, padding {padding}: {name} and the measured slopes differ by {difference:.0e} at most")

# %% [markdown]
# Now a mistake that is easily made. `dy` is (N, K, P, Q), and the product needs (K, NPQ). Whoever forgets the
# `transpose` and only reshapes gets the right shape with the wrong order: images and filters are mixed up.


# %%
def without_transpose(dy, x, weight):
    K, C, R, S = weight.shape
    return (dy.reshape(K, -1) @ im2col(x, R, S).T).reshape(weight.shape)


shape = conv(x, weight, bias).shape
for name, dy in {"ones": np.ones(shape), "random": draw.normal(size=shape)}.items():
    _, dweight, _ = conv_backward(dy, x, weight)
    same = np.allclose(without_transpose(dy, x, weight), dweight)
    print(f"dy is {name}: the wrong dweight {'equals the right one' if same else 'is found out'}")
    assert same == (name == "ones")

# %% [markdown]
# With `y.sum()` the mistake would have stayed.
#
# ## dx is a convolution, too
#
# In the example, pixel (1, 1) met the 5, 4, 2 and 1 of the filter, which has them in the order 1, 2, 4, 5:
# **backwards**. For stride 1, `dx` is the convolution of `dy` with the filters turned by 180°, inputs and outputs
# swapped, and so much padding that every window that holds the pixel is met. (Mathematicians call exactly this, with
# the turned filter, convolution, and what networks do forward cross-correlation.)

# %%
dy = draw.normal(size=shape)
dx, _, _ = conv_backward(dy, x, weight)

turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (K,C,R,S) -> (C,K,R,S)
around = np.pad(dy, ((0, 0), (0, 0), (2, 2), (1, 1)))  # R − 1 rows and S − 1 columns of zeros on each side
assert np.allclose(conv(around, turned, np.zeros(2)), dx)

# %% [markdown]
# ## A filter learnt from examples
#
# Somebody has a filter and shows us images and what the filter made of them, but not the filter. Can we find it? The
# secret filter is Sobel's, which answers to vertical edges. The images are 32 digits, made black and white: ink is 1,
# paper −1.
#
# We begin with random numbers and use nothing but the functions above. The loss is the mean of
# $(y-\mathrm{target})^2$, so `dy` is $2\,(y-\mathrm{target})$ divided by the number of outputs. Each step goes a
# little downhill.

# %%
sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None]  # (1, 1, 3, 3)
nothing = np.zeros(1)  # its bias

digits = data.load("digits").train
smooth = digits.get_batch(range(33))[0].astype(np.float64)  # (33, 1, 28, 28), shades of grey
black_white = np.where(smooth > 0, 1.0, -1.0)


def learn(x, steps=400, learning_rate=0.1):
    """The filters on the way, and their losses."""
    target = conv(x, sobel, nothing)
    weight, bias = np.random.default_rng(1).normal(size=(1, 1, 3, 3)), np.zeros(1)
    filters, losses = [], []
    for _ in range(steps + 1):
        wrong = conv(x, weight, bias) - target
        filters.append(weight)
        losses.append((wrong**2).mean())
        _, dweight, dbias = conv_backward(2 * wrong / wrong.size, x, weight)
        weight, bias = weight - learning_rate * dweight, bias - learning_rate * dbias
    return filters, losses


filters, losses = learn(black_white[:32])
print(np.round(filters[-1][0, 0], 2), f"loss {losses[-1]:.1e}")
assert losses[-1] < 1e-3 < 1 < losses[0]
assert np.abs(filters[-1] - sobel).max() < 0.1

# %%
unseen = black_white[32:]
shown = [(f"step {step}", filters[step]) for step in (0, 3, 30, 100, 400)] + [("secret", sobel)]

figure, panels = plt.subplots(2, len(shown), figsize=(10.5, 3.9), layout="constrained")
for (name, filter_), (above, below) in zip(shown, panels.T):
    above.imshow(filter_[0, 0], cmap="PuOr_r", vmin=-2, vmax=2)
    for (i, j), value in np.ndenumerate(filter_[0, 0]):
        number = f"{round(value, 1) + 0:.1f}"  # + 0 makes 0.0 of −0.0
        above.text(j, i, number, ha="center", va="center", color="white" if abs(value) > 1.1 else "black")
    above.set_title(name)
    below.imshow(conv(unseen, filter_, nothing)[0, 0], cmap="PuOr_r", vmin=-8, vmax=8)
    for panel in (above, below):
        panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "Above, the filter before learning and after 3, 30, 100 and 400 steps, and Sobel's: random numbers turn into a "
    "negative left column, zeros in the middle and a positive right column. Below, what each makes of a digit that was "
    "not among the examples: the whole shape in colour at first, in the end its left and right edges only.",
)

# %% [markdown]
# Above are the filters, below what each makes of a digit that it has not learnt from: orange is positive, purple
# negative. After 30 steps the pattern is there, minus on the left and plus on the right, and the edges look right.
# The exact numbers take longer. Why? In most windows all nine pixels are equal, all ink or all paper. Such a window
# only tells what the nine weights add up to, and nothing about a single one.

# %%
columns = im2col(black_white[:32], 3, 3)  # (9, 32·26·26)
equal = (columns == columns[0]).all(axis=0).mean()
print(f"{equal:.0%} of the windows have nine equal pixels")
assert equal > 0.5

# %% [markdown]
# With the digits as they are, in smooth shades of grey, neighbouring pixels are almost equal everywhere. Then the
# same 400 steps give outputs that are nearly right, from a filter that is not Sobel's:

# %%
smooth_filters, smooth_losses = learn(smooth[:32])
print(np.round(smooth_filters[-1][0, 0], 2), f"loss from {smooth_losses[0]:.2f} to {smooth_losses[-1]:.4f}")
assert smooth_losses[-1] < 0.01 * smooth_losses[0]
assert np.abs(smooth_filters[-1] - sobel).max() > 0.5

# %% [markdown]
# The examples decide what can be learnt: where they do not show a difference, a network has no reason to learn it.
#
# ## How the library does it
#
# The operation is in `tinygrad_cnn/ops/conv.py`. Forward and backward stand next to each other and hand the work to a
# kernel. Read the comment: the layer keeps x for the way back, not the columns, because of the memory.

# %%
print(inspect.getsource(Conv.forward))
print(inspect.getsource(Conv.backward))

# %% [markdown]
# The readable kernel, `kernels/reference/conv.py`, writes no columns at all: it adds R·S small matrix products, one
# for each place (r, s) of the filter. im2col and col2im as loops over windows are in `textbook/conv.py`; ours must
# give the same.

# %%
x = draw.normal(size=(2, 3, 7, 6))
columns = im2col(x, 3, 2, stride=2, padding=1)
assert (columns == textbook.im2col(x, (3, 2), 2, 1)).all()
assert np.allclose(col2im(columns, x.shape, 3, 2, 2, 1), textbook.col2im(columns, x.shape, (3, 2), 2, 1))

# %% [markdown]
# The fast kernels, in `kernels/cpu/`, save on both sides. `tiles.py` copies less: rows of windows overlap in memory,
# so that with a 5×5 filter a pixel is copied 5 times and not 25. `winograd.py` multiplies less: it computes 4×4
# outputs of a 3×3 filter from 6×6 products per channel, instead of from 4·4·9. `docs/performance.md` goes through all
# techniques, with what each brought and what did not pay.

# %%
assert 6 * 6 / (4 * 4 * 9) == 1 / 4

# %% [markdown]
# ## Exercises
#
# 1. **im2col, the product, and col2im**: `tcnn exercise check conv_im2col`
# 2. **The way back**, without columns: `tcnn exercise check conv_backward`
# 3. **The loops** of tutorial 6, if you have not written them yet: `tcnn exercise check conv_forward`
#
# And on paper:
#
# - A 1×1 filter with stride 1: what does im2col do to the image, and what does the convolution become?
# - An image of 8×8, a 3×3 filter, stride 2, no padding. Which pixels have the gradient 0 whatever `dy` is, and why?
# - `dweight[k, c, r, s]` is a sum over windows. Show that for stride 1 and one image it is a convolution of x with
#   dy.
#
# ## Further reading
#
# - Y. LeCun et al. (1989), "Backpropagation applied to handwritten zip code recognition": filters that are learnt.
# - K. Chellapilla, S. Puri and P. Simard (2006), "High performance convolutional neural networks for document
#   processing": convolution as a matrix product.
# - V. Dumoulin and F. Visin (2016), "A guide to convolution arithmetic for deep learning": the way back, in pictures.
# - A. Lavin and S. Gray (2016), "Fast algorithms for convolutional neural networks": Winograd's way.
# - A. Odena, V. Dumoulin and C. Olah (2016), "Deconvolution and checkerboard artifacts": what woven gradients lead
#   to.

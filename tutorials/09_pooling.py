# %% [markdown]
# # 9 · Pooling: max, average, L2
#
# *A window that keeps one number of many: four ways to do it, what each hands back in learning, and how much of a
# shift it really hides. Runs offline, in a few seconds.*
#
# **What you will be able to do:** pool an image by hand in four ways, say where the gradient goes and who gets it
# when two pixels are equal, measure how much an image's features change when it is shifted, and say what pooling
# throws away.
#
# You need tutorials 6 to 8: windows, stride, the formula of the output size, and gradients that are added up.

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.textbook import pool as textbook

tcnn.manual_seed(0)
draw = np.random.default_rng(0)

# %% [markdown]
# ## The largest of each window
#
# A convolution asks at every place how well a filter matches. Often we want to know less: does it match *somewhere
# near here*? **Max pooling** answers that. It slides a window over the image and keeps the largest number in it. The
# lectures' example has a window of 2×2 and stride 2, so the windows do not overlap:

# %%
x = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], dtype=np.float32)

windows = x.reshape(2, 2, 2, 2)  # (H, W) -> (P, R, Q, S): window (p, q), and in it row r and column s
by_hand = windows.max(axis=(1, 3))  # (P, R, Q, S) -> (P, Q)

image = tcnn.tensor(x[None, None])  # (1, 1, 4, 4): a batch of one image with one channel
y = nn.MaxPool2d(2)(image)
print(y.numpy()[0, 0])
assert y.numpy()[0, 0].tolist() == by_hand.tolist() == [[6, 8], [3, 4]]

# %% [markdown]
# Here it is at work. The page has both directions: look at "forward" now, and come back for "backward" below.

# %%
viz.show(
    viz.animate(nn.MaxPool2d(2), image),
    "An animation of four steps. In each, a 2×2 window of the image is marked and its largest pixel framed; that "
    "number is written into the output: 6, 8, 3, 4. Backward, each output's gradient goes to the framed pixel only.",
)

# %% [markdown]
# Three things differ from a convolution:
#
# - **Nothing is learnt.** A pooling layer has no weights and no bias.
# - **Each channel is pooled by itself.** Six channels come in, six go out.
# - **The stride is usually the size of the window.** That is what the layer takes if you name none.
#
# The output size follows the formula of tutorial 7, (W − F + 2P)/S + 1. AlexNet's windows are 3×3 with stride 2: they
# **overlap**, by a row or a column of pixels. Three such layers take its feature maps from 55 to 27, to 13, to 6.

# %%
assert list(nn.MaxPool2d(2).parameters()) == []
assert nn.MaxPool2d(2).output_shape((6, 28, 28)) == (6, 14, 14)
assert [tcnn.output_size(size, 3, stride=2, strict=True) for size in (55, 27, 13)] == [27, 13, 6]

# %% [markdown]
# ## Four kinds
#
# | kind | of a window | in the package |
# |---|---|---|
# | max | the largest number | `nn.MaxPool2d(2)` |
# | average | the mean | `nn.AvgPool2d(2)` |
# | L2 over space | $\sqrt{\text{sum of the squares}}$, the length of the window as a vector | `nn.LPPool2d(2, 2)` |
# | L2 over features | the same, over neighbouring **channels** at one pixel | `nn.FeatureLPPool(2, 2)` |
#
# In `LPPool2d(2, 2)` the first 2 is the power and the second the window. `FeatureLPPool(2, 2)` takes channels in
# pairs, so the image keeps its size and has half as many channels.

# %%
average, length = nn.AvgPool2d(2)(image).numpy()[0, 0], nn.LPPool2d(2, 2)(image).numpy()[0, 0]
print(average)
print(length)
assert average.tolist() == windows.mean(axis=(1, 3)).tolist() == [[3.25, 5.25], [2, 2]]
assert np.allclose(length, np.sqrt((windows**2).sum(axis=(1, 3))))

pair = tcnn.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)  # one pixel, two channels
assert nn.FeatureLPPool(2, 2)(pair).item() == 5

# %% [markdown]
# L2 over features answers another question than the others: is *one of these filters* active, never mind which? Take
# two filters, one for vertical and one for horizontal edges. Their length is the strength of an edge of any
# direction.

# %%
digits = data.load("digits").test
grey = digits.get_batch(range(100))[0]  # (100, 1, 28, 28)

sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
edges = F.conv2d(tcnn.tensor(grey[2:3]), tcnn.tensor(np.stack([sobel, sobel.T])[:, None].astype(np.float32)))
strength = nn.FeatureLPPool(2, 2)(edges)
assert edges.shape == (1, 2, 26, 26)
assert strength.shape == (1, 1, 26, 26)

vertical = edges[:, :1]
shown = {
    "digit": grey[2, 0],
    "vertical edges": edges.numpy()[0, 0],
    "horizontal edges": edges.numpy()[0, 1],
    "L2 over both": strength.numpy()[0, 0],
    "vertical, max": nn.MaxPool2d(2)(vertical).numpy()[0, 0],
    "average": nn.AvgPool2d(2)(vertical).numpy()[0, 0],
    "L2": nn.LPPool2d(2, 2)(vertical).numpy()[0, 0],
}
figure, panels = plt.subplots(1, len(shown), figsize=(11, 2.1), layout="constrained")
for panel, (name, values) in zip(panels, shown.items()):
    if name == "digit":
        panel.imshow(values, cmap="gray")
    else:
        most = np.abs(values).max()
        panel.imshow(values, cmap="PuOr_r", vmin=-most, vmax=most)
    panel.set_title(name, fontsize=10)
    panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "A digit; its vertical and its horizontal edges, orange for positive and purple for negative numbers; L2 over "
    "both: the whole outline, positive everywhere. Then the vertical edges pooled to half the size: by maximum, where "
    "the negative edges are thinner and paler; by average, where both are left; by L2, where both are positive.",
)

# %% [markdown]
# Orange is positive, purple negative. The fourth picture has the whole outline. In the last three look at what
# becomes of the purple edges: the maximum prefers positive numbers and makes them thinner, the average keeps them,
# and L2 counts them like the orange ones, since squares have no sign. Behind a ReLU, where pooling usually stands,
# nothing is negative.

# %%
below_zero = {name: (values < -0.1).mean() for name, values in shown.items()}
assert below_zero["vertical, max"] < below_zero["average"]
assert below_zero["L2"] == below_zero["L2 over both"] == 0

# %% [markdown]
# ## The way back
#
# Each output has a gradient, `dy`. Which pixels get it?
#
# - **Max**: only the largest pixel had a say, so it gets all, and the others get 0. Which one it was is noted on the
#   way forward; it is called the *arg-max*.
# - **Average**: all R·S pixels had the same say. Each gets `dy`/(R·S).
# - **L2**: the slope of the length y with respect to a pixel is x/y. Each gets `dy`·x/y, large pixels more.


# %%
def gradient(layer, x, dy):
    x = tcnn.tensor(x[None, None], requires_grad=True)
    layer(x).backward(tcnn.tensor(dy[None, None]))
    return x.grad[0, 0]


dy = np.array([[12, 20], [32, 40]], dtype=np.float32)
handed_back = {
    "dx of max": gradient(nn.MaxPool2d(2), x, dy),
    "dx of average": gradient(nn.AvgPool2d(2), x, dy),
    "dx of L2": gradient(nn.LPPool2d(2, 2), x, dy),
}
assert handed_back["dx of max"].tolist() == [[0, 0, 0, 0], [0, 12, 0, 20], [32, 0, 0, 0], [0, 0, 0, 40]]
assert (handed_back["dx of average"] == np.kron(dy / 4, np.ones((2, 2)))).all()
assert np.allclose(handed_back["dx of L2"], np.kron(dy / length, np.ones((2, 2))) * x)

# %%
figure, panels = plt.subplots(1, 5, figsize=(11, 2.5), layout="constrained", width_ratios=[4, 2, 4, 4, 4])
for panel, (name, values) in zip(panels, {"x": x, "dy": dy, **handed_back}.items()):
    winners = handed_back["dx of max"] > 0
    panel.imshow(winners if name == "x" else values, cmap="Oranges", vmin=0, vmax=2 if name == "x" else 60)
    for (i, j), value in np.ndenumerate(values):
        panel.text(j, i, f"{value:.0f}", ha="center", va="center")
    if name != "dy":
        panel.axhline(1.5, color="black")
        panel.axvline(1.5, color="black")
    panel.set(title=name, xticks=[], yticks=[])
viz.show(
    figure,
    "The image of 4×4 pixels in four windows, the largest pixel of each coloured; the gradients of the outputs, 12, "
    "20, 32, 40. In dx of max each stands at the coloured pixel, all else is 0. In dx of average each is divided among "
    "four pixels. In dx of L2 all pixels but a 0 get something, the large ones most.",
)

# %% [markdown]
# The numbers are rounded. On the left the winners are coloured. Look at dx of max: **max pooling is a switch**. On
# the way back it connects each output with one pixel and cuts off three of four; which one depends on the image.
# Average pooling gives everybody the same small share, and L2 lies in between.
#
# If windows overlap, a pixel may win several times. Then the gradients add up, as in tutorial 8:

# %%
peak = np.zeros((5, 5), dtype=np.float32)
peak[2, 2] = 1  # it lies in all four windows of 3×3 with stride 2
assert gradient(nn.MaxPool2d(3, stride=2), peak, dy)[2, 2] == dy.sum() == 12 + 20 + 32 + 40

# %% [markdown]
# ### Who gets it if two are equal?
#
# Somebody must. The rule here, as in PyTorch: **the first one**, row by row from the upper left, gets everything.

# %%
equal = np.array([[1, 7], [7, 7]], dtype=np.float32)
one = np.ones((1, 1), dtype=np.float32)
assert gradient(nn.MaxPool2d(2), equal, one).tolist() == [[0, 1], [0, 0]]

# %% [markdown]
# Is that *the* gradient? There is none: if one of the equal pixels grows, the maximum grows with it, and if it
# shrinks, the maximum stays. The slope is 1 to one side and 0 to the other. Any choice in between is as good, but the
# same program should always make the same choice.
#
# So a check against measured slopes must avoid equal pixels. Random numbers do, and `gradcheck` compares all slopes:

# %%
h = 1e-3
pixel = np.array([[0.0, 1], [0, 0]])  # the first of the equal ones
up, down = ((equal + step * pixel).max() - equal.max() for step in (h, -h))
assert np.isclose(up / h, 1, rtol=1e-2)
assert down == 0

untied = tcnn.tensor(draw.normal(size=(2, 4, 7, 7)), requires_grad=True)
for layer in (nn.MaxPool2d(2), nn.MaxPool2d(3, stride=2), nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.FeatureLPPool(2, 2)):
    assert tcnn.gradcheck(layer, [untied])
    print(f"{layer}: the gradient is the measured slope")

# %% [markdown]
# Read the library's own version. This is max pooling's way back from `tinygrad_cnn/textbook/pool.py`; `index` holds
# the winners' places, counted row by row in the window:

# %%
print(inspect.getsource(textbook.max_pool2d_backward).split('"""')[-1])

# %% [markdown]
# ## How much of a shift does it hide?
#
# It is often said that pooling makes a network **invariant** to small shifts: the features stay the same although the
# image moves. Let us measure it. The images are 100 digits, made black and white. The features are four thin
# outlines: left, right, upper and lower edges, one pixel wide. We shift each digit to the right by 0 to 4 pixels and
# compare its features with those of the digit in its old place.
#
# The distance of two feature vectors says little by itself. We divide it by the mean distance of two *different*
# digits. Then 0 means that the shift is not noticed, and 1 that the shifted digit is as far away as another digit.

# %%
ink = (grey > 0).astype(np.float32)
room = np.pad(ink, ((0, 0), (0, 0), (8, 8), (8, 8)))  # (100, 1, 44, 44): nothing leaves the image

outlines = np.zeros((4, 1, 3, 3), dtype=np.float32)
outlines[:, 0, 1, 1] = 1  # ink here,
for k, (r, s) in enumerate([(1, 0), (1, 2), (0, 1), (2, 1)]):
    outlines[k, 0, r, s] = -1  # and none to the left, to the right, above, below


def changes(images, pool, filters=None):
    """How far shifted images are from themselves, for shifts of 0 to 4 pixels: 1 is as far as another image."""
    features = []
    for shift in range(5):
        x = tcnn.tensor(np.roll(images, shift, axis=3))
        if filters is not None:
            x = F.relu(F.conv2d(x, tcnn.tensor(filters), padding=1))
        features.append(pool(x).numpy().reshape(len(images), -1))
    other = np.roll(features[0], 1, axis=0)  # each digit's neighbour in the data set
    apart = np.linalg.norm(features[0] - other, axis=1).mean()
    return np.array([np.linalg.norm(shifted - features[0], axis=1).mean() for shifted in features]) / apart


figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained", sharey=True)
measured = {}
for panel, size in zip(panels, (2, 4)):
    kinds = {
        "no pooling": (lambda x: x, "black", "-"),
        "first pixel of each window": (lambda x, size=size: x[:, :, ::size, ::size], "#888888", ":"),
        "max": (nn.MaxPool2d(size), "#d55e00", "-"),
        "average": (nn.AvgPool2d(size), "#0072b2", "-"),
        "L2": (nn.LPPool2d(2, size), "#009e73", "--"),
    }
    for name, (pool, colour, style) in kinds.items():
        measured[name, size] = changes(room, pool, outlines)
        panel.plot(measured[name, size], style, color=colour, marker="o", label=name)
    panel.set(title=f"windows of {size}×{size}", xlabel="shift in pixels", xticks=range(5), ylim=(-0.05, 1.3))
    panel.grid(alpha=0.3)
panels[0].set_ylabel("change of the features")
panels[1].legend()
viz.show(
    figure,
    "Two diagrams: the change of the features against the shift, 0 to 4 pixels. Without pooling, and with the first "
    "pixel of each window alone, it jumps to about 1 at the first pixel. With pooling over 2×2 it is about 0.7 after "
    "one pixel and 1 after two; over 4×4 it is about one half after one pixel, 0.8 after two and 1 after three.",
)

# %% [markdown]
# Begin with the black line. Without pooling, a shift of a *single pixel* makes thin features as different as those of
# another digit. With windows of 4×4 pooling about halves that: after one pixel most pixels are still in the window
# they were in. After a shift as large as the window the help is gone. The dotted line keeps one pixel of each window
# and does not look at the others: it is the pooling that helps, and not the smaller image.
#
# Max, average and L2 differ little here. And none of the lines stays at 0: pooling makes features **less sensitive**
# to small shifts, and not invariant.

# %%
for name in ("max", "average", "L2"):
    one_pixel = [measured[name, size][1] for size in (2, 4)]
    print(f"{name}: {one_pixel[0]:.2f} and {one_pixel[1]:.2f} after one pixel, windows of 2×2 and of 4×4")
    assert 0.4 < one_pixel[1] < 0.65 < one_pixel[0] < 0.8
    assert measured[name, 4][4] > 1
for name in ("no pooling", "first pixel of each window"):
    assert measured[name, 2][1] > 0.9
    assert measured[name, 4][1] > 0.9

# %% [markdown]
# It depends on the features, too. The grey pixels of these digits are smooth, and wider than a window of 2×2. A shift
# by a pixel changes them less in the first place, and pooling over 2×2 improves that by almost nothing:

# %%
room_of_grey = np.pad(grey - grey.min(), ((0, 0), (0, 0), (8, 8), (8, 8)))
without, pooled = changes(room_of_grey, lambda x: x)[1], changes(room_of_grey, nn.MaxPool2d(2))[1]
print(f"grey pixels, a shift of one pixel: {without:.2f} without pooling, {pooled:.2f} with")
assert without < 0.5
assert abs(without - pooled) < 0.05

# %% [markdown]
# ## What it throws away
#
# If a pixel may move within its window unnoticed, then so may all. Here the 16 pixels of every 4×4 window of a digit
# are shuffled. To all three kinds of pooling the two images are the same:

# %%
digit = grey[2, 0]  # (28, 28)
cut = digit.reshape(7, 4, 7, 4).transpose(0, 2, 1, 3).reshape(49, 16)  # (P,R,Q,S) -> (P,Q,R,S) -> (PQ, RS)
shuffled = draw.permuted(cut, axis=1).reshape(7, 7, 4, 4).transpose(0, 2, 1, 3).reshape(28, 28)

both = tcnn.tensor(np.stack([digit, shuffled])[:, None])  # (2, 1, 28, 28)
for layer in (nn.MaxPool2d(4), nn.AvgPool2d(4), nn.LPPool2d(2, 4)):
    first, second = layer(both).numpy()[:, 0]
    assert np.allclose(first, second, atol=1e-5)
assert not np.allclose(digit, shuffled)

figure, panels = plt.subplots(1, 4, figsize=(9.5, 2.7), layout="constrained")
smaller = {"max of either": nn.MaxPool2d(4), "average of either": nn.AvgPool2d(4)}
shown = {"a digit": digit, "shuffled": shuffled}
shown |= {name: layer(both).numpy()[1, 0] for name, layer in smaller.items()}
for panel, (name, values) in zip(panels, shown.items()):
    panel.imshow(values, cmap="gray", vmin=digit.min(), vmax=digit.max())
    panel.set(title=name, xticks=[], yticks=[])
viz.show(
    figure,
    "A digit, and the same digit with the pixels of every 4×4 window shuffled: frayed, with a rough shape left. Then "
    "two images of 7×7 pixels: what max and average pooling make of either.",
)

# %% [markdown]
# That is the price. Where an exact place matters (where does the object end, are two eyes side by side?) large
# windows lose it. Networks therefore pool little at a time, with convolutions in between.
#
# ## Without pooling
#
# **A convolution with stride 2** makes images smaller, too. Average pooling even *is* one: the filter has ¼
# everywhere, and `groups=C` says that every filter sees one channel of its own. So a strided convolution can learn
# how to make an image smaller, and may learn something better than the mean. It needs weights for that, but few
# multiply-adds: only a quarter of those of the same convolution with stride 1.

# %%
maps = tcnn.tensor(draw.normal(size=(1, 3, 8, 8)))
quarter = tcnn.full((3, 1, 2, 2), 0.25, dtype="float64")
assert np.allclose(F.conv2d(maps, quarter, stride=2, groups=3).numpy(), F.avg_pool2d(maps, 2).numpy())

same_size = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.MaxPool2d(2)), nn.Conv2d(3, 16, 3, stride=2, padding=1)
assert [layer(tcnn.zeros(1, 3, 28, 28)).shape for layer in same_size] == [(1, 16, 14, 14)] * 2
assert (14 * 14) / (28 * 28) == 1 / 4  # outputs, each of as many multiply-adds

# %% [markdown]
# **Global average pooling** takes the whole image as its window: of each channel, one number is left. The last
# channels can then mean classes or features, wherever they were seen. It replaces the large fully connected layer at
# the end of a network. With 512 channels of 7×7 and 1,000 classes that layer has 25,088,000 weights; behind global
# pooling 512,000 are enough. And the images may have any size:

# %%
assert 512 * 7 * 7 * 1000 == 25_088_000
assert 512 * 1000 == 512_000

head = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(512, 1000))
for size in [(7, 7), (9, 5)]:
    assert head(tcnn.zeros(1, 512, *size)).shape == (1, 1000)

# %% [markdown]
# **Trainable subsampling** stands in LeNet-5 of 1998, where we would put a pooling. It multiplies the sum of a 2×2
# window with a coefficient and adds a bias, one of each for a channel, and both are learnt. The lectures say average,
# the paper says sum. With a coefficient that is learnt this is the same layer: the average's coefficient is four
# times as large. S2 has 6 channels and so 12 parameters, and its 6·14·14 units have five connections each, 5,880 in
# all. Tutorial 10 builds the whole network of such layers.

# %%
s2 = nn.Subsampling2d(6, 2)
assert sum(parameter.numel() for parameter in s2.parameters()) == 12
assert s2.connections((6, 14, 14)) == 6 * 14 * 14 * 5 == 5880

c1 = tcnn.randn(1, 6, 28, 28)
coefficient, bias = s2.weight.reshape(6, 1, 1), s2.bias.reshape(6, 1, 1)
assert np.allclose(s2(c1).numpy(), (F.avg_pool2d(c1, 2) * (4 * coefficient) + bias).numpy(), atol=1e-5)

# %% [markdown]
# ## Exercises
#
# 1. **Max pooling**, and which pixel won: `tcnn exercise check max_pool_forward`
# 2. **Its way back**, with and without notes of the winners: `tcnn exercise check max_pool_backward`
# 3. **Average pooling**, and what padding counts for: `tcnn exercise check avg_pool`
# 4. **L2 pooling**, and its slope: `tcnn exercise check l2_pool`
#
# And on paper:
#
# - Two max poolings of 2×2, one behind the other, are one of 4×4. Why? Is it true of the average and of L2, too?
# - ReLU and max pooling may change places without changing the result. Why? Which order computes less?
#
# ## Further reading
#
# - Y.-T. Zhou and R. Chellappa (1988), "Computation of optical flow using a neural network": an early max pooling.
# - Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning applied to document recognition":
#   subsampling.
# - A. Hyvärinen and P. Hoyer (2000), "Emergence of phase- and shift-invariant features by decomposition of natural
#   images into independent feature subspaces": L2 over features.
# - Y.-L. Boureau, J. Ponce and Y. LeCun (2010), "A theoretical analysis of feature pooling in visual recognition".
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural
#   networks": overlapping pooling.
# - M. Lin, Q. Chen and S. Yan (2014), "Network in network": global average pooling.
# - J. T. Springenberg et al. (2015), "Striving for simplicity: the all convolutional net": stride instead of pooling.
# - R. Zhang (2019), "Making convolutional networks shift-invariant again".

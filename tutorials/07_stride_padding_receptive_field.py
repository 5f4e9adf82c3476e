# %% [markdown]
# # 7 · Stride, padding, receptive field
#
# *How large is the output of a convolution, what happens at the border, and how much of the image does a unit see?
# Three questions of arithmetic that decide what a network can do. Runs offline, in some seconds.*
#
# **What you will be able to do:** compute output sizes in your head, choose a padding, tell when a window does not fit,
# and say how many pixels of the image a unit of any layer looks at.
#
# You need tutorial 6: windows, filters, channels.

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, tables, viz
from tinygrad_cnn.nn import functional as F

# %% [markdown]
# ## How many places are there?
#
# An axis of $W$ pixels, a window of $F$ pixels, which moves by $S$ pixels a step: its **stride**. The first place is
# at the very left. Then $W - F$ pixels of room are left, and in them $(W-F)/S$ steps. Zeros put around the image, $P$
# on each side, make the axis longer by $2P$. Places are the first one and one for each step:
#
# $$\frac{W - F + 2P}{S} + 1$$
#
# Seven pixels and a window of three:

# %%
for S, P in [(1, 0), (2, 0), (3, 0), (1, 1)]:
    print(f"stride {S}, padding {P}: (7 − 3 + {2 * P})/{S} + 1 = {(7 - 3 + 2 * P) / S + 1:.3g}")

assert tcnn.output_size(7, 3, stride=1) == 5
assert tcnn.output_size(7, 3, stride=2) == 3
assert tcnn.output_size(7, 3, stride=1, padding=1) == 7

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
for panel, S in zip(panels, (1, 2, 3)):
    places = range(0, 7 - 3 + 1, S)
    seen = places[-1] + 3
    for line in range(8):
        panel.plot([line, line], [0, 7], [0, 7], [line, line], color="0.8", linewidth=0.8, zorder=0)
    panel.fill_between([seen, 7], 0, 7, color="#d55e00", alpha=0.35, linewidth=0)
    panel.fill_between([0, seen], seen, 7, color="#d55e00", alpha=0.35, linewidth=0)
    for top in places:
        for left in places:
            panel.plot(left + 1.5, top + 1.5, "o", color="#0072b2")
    for left in (places[0], places[1]):
        inset = 0.08 if left else 0.0
        size = 3 - 2 * inset
        style = {"edgecolor": "#0072b2", "linewidth": 2.5, "linestyle": "--" if left else "-"}
        panel.add_patch(plt.Rectangle((left + inset, inset), size, size, fill=False, **style))
    panel.set(xlim=(-0.1, 7.1), ylim=(7.1, -0.1), xticks=[], yticks=[], aspect="equal")
    panel.set_title(f"stride {S}: {len(places)}×{len(places)} places")
viz.show(
    figure,
    "Three grids of 7×7 pixels with the first window, its neighbour to the right (dashed) and a dot in the middle of "
    "each window: 5×5 dots for stride 1, 3×3 for stride 2, 2×2 for stride 3. With stride 3 the last row and the last "
    "column are shaded: no window reaches them.",
)

# %% [markdown]
# Each dot is the middle of a window and becomes one output number. With stride 3 the formula gives 2.33: **it does not
# fit**. There is no third of a window. Lectures call this an error. On request the library does the same, and says
# what would fit:

# %%
try:
    tcnn.output_size(7, 3, stride=3, strict=True)
except tcnn.ShapeError as error:
    message = str(error)
print(message)
assert "2.33: doesn't fit" in message

# %% [markdown]
# Without `strict` the size is rounded down, as in PyTorch. That is no crash, but look at what it means: the shaded
# pixels in the picture are never looked at. Change them as you like, the output stays the same.

# %%
conv = nn.Conv2d(1, 1, kernel_size=3, stride=3)
tcnn.manual_seed(0)
x = tcnn.randn(1, 1, 7, 7)
changed = x.numpy().copy()
changed[..., 6, :] = changed[..., :, 6] = 1000

assert tcnn.output_size(7, 3, stride=3) == conv(x).shape[-1] == 2
assert np.array_equal(conv(x).numpy(), conv(tcnn.tensor(changed)).numpy())

with tcnn.strict_sizes():  # in this block every layer is as strict as a lecture
    try:
        conv(x)
    except tcnn.ShapeError as error:
        print(error)

# %% [markdown]
# ## An explorer of sizes
#
# 32 pixels, windows of 1 to 11, strides of 1 to 4, three paddings. A white cell does not fit: the number in it is what
# rounding down leaves, and the number after the minus sign says how many pixels at the end no window reaches.

# %%
W, kernels, strides = 32, range(1, 12), range(1, 5)

figure, panels = plt.subplots(1, 3, figsize=(10.5, 5), layout="constrained", sharey=True)
for panel, P in zip(panels, (0, 1, 2)):
    sizes = np.array([[tcnn.output_size(W, K, S, P) for S in strides] for K in kernels])
    lost = np.array([[(W - K + 2 * P) % S for S in strides] for K in kernels])
    panel.imshow(np.ma.masked_where(lost > 0, sizes), cmap="viridis", vmin=0, vmax=36, aspect="auto")
    for (row, column), size in np.ndenumerate(sizes):
        missing = lost[row, column]
        text, colour = (f"{size} (−{missing})", "0.4") if missing else (size, "white" if size < 22 else "black")
        panel.text(column, row, text, ha="center", va="center", color=colour)
    panel.set(xticks=range(4), xticklabels=strides, yticks=range(11), yticklabels=kernels)
    panel.set(xlabel="stride", title=f"padding {P}")
panels[0].set_ylabel("window (pixels)")
viz.show(
    figure,
    "Three tables, for padding 0, 1 and 2, of the output size of 32 pixels: rows are windows of 1 to 11 pixels, "
    "columns strides 1 to 4. Cells that fit are coloured by their size; those that do not are white. With stride 1 all "
    "fit; with stride 2 every other window does.",
)

# %% [markdown]
# Look at the first column: with stride 1 everything fits. In the second, odd windows on an even image do not, whatever
# the padding, since $2P$ is even. Now find the 32s, where the output is as large as the input.
#
# ## "Same" padding
#
# With stride 1 the output has $W - F + 2P + 1$ pixels. It is as large as the input if
#
# $$P = \frac{F-1}{2}$$
#
# so 3 → 1, 5 → 2, 7 → 3. An even window would need half a pixel on each side.

# %%
assert [tcnn.same_padding(kernel) for kernel in (3, 5, 7)] == [1, 2, 3]
for kernel in (3, 5, 7):
    assert tcnn.output_size(32, kernel, padding=tcnn.same_padding(kernel)) == 32
try:
    tcnn.same_padding(4)
except tcnn.ShapeError as error:
    print(error)

# %% [markdown]
# Without it, every layer takes $F-1$ pixels away: 32 → 28 → 24 with windows of five. After seven such layers 4 pixels
# are left, and an eighth has no place at all. That is the first reason for padding: depth. The second: without it a
# pixel in the corner is in one window only, one in the middle in 25, so the border counts for less.

# %%
size, sizes = 32, [32]
while size >= 5:
    size = tcnn.output_size(size, 5)
    sizes.append(size)
print(" → ".join(map(str, sizes)))
assert sizes == [32, 28, 24, 20, 16, 12, 8, 4]

times_seen = tcnn.zeros(1, 1, 32, 32, requires_grad=True)
F.conv2d(times_seen, tcnn.ones(1, 1, 5, 5)).sum().backward()  # each window adds 1 to the gradient of each of its pixels
assert times_seen.grad[0, 0, 0, 0] == 1
assert times_seen.grad[0, 0, 16, 16] == 25

# %% [markdown]
# Most networks are made of four settings. The first three keep the size, the last one halves it:
#
# | window $K$ | padding $P$ | stride $S$ | output of 32 | where |
# |---|---|---|---|---|
# | 3 | 1 | 1 | 32 | VGG everywhere |
# | 5 | 2 | 1 | 32 | AlexNet's second layer |
# | 1 | 0 | 1 | 32 | GoogLeNet, to mix channels |
# | 3 | 1 | 2 | 16 | to shrink without pooling |

# %%
settings = {(3, 1, 1): 32, (5, 2, 1): 32, (1, 0, 1): 32, (3, 1, 2): 16}
for (K, P, S), expected in settings.items():
    assert tcnn.output_size(32, K, stride=S, padding=P) == expected
assert (32 - 3 + 2 * 1) / 2 + 1 == 16.5

# %% [markdown]
# Strictly, the last one does not fit on 32 pixels: 16.5. What no window reaches is one column on the right and one row
# at the bottom, both of the padding, zeros, so nothing is lost. You see why frameworks round, and why it pays to know
# when they do.
#
# **Why 227?** AlexNet's paper says that its images have 224×224 pixels, and that its first layer has 96 filters of
# 11×11 with stride 4. But (224 − 11)/4 + 1 = 54.25. The paper's own drawing has 55×55 outputs for each filter, which
# makes 290,400 = 96·55·55. With 227 pixels that fits: (227 − 11)/4 + 1 = 55. So 224 is a small slip in a great paper,
# and lectures (and this library) say 227.

# %%
for pixels in (224, 227):
    print(pixels, "→", (pixels - 11) / 4 + 1)
assert (224 - 11) / 4 + 1 == 54.25
assert 96 * 55 * 55 == 290_400
assert tcnn.output_size(227, 11, stride=4, strict=True) == 55
try:
    models.AlexNet("paper", image_size=224)
except tcnn.ShapeError as error:
    print(error)

# %% [markdown]
# ## What to put into the border
#
# Zeros are the rule, and they are a lie: outside the image is black (or, of normalised images, the mean colour). There
# are other **padding modes**. On a line of four pixels with two added on each side:

# %%
line = tcnn.tensor([[1.0, 2.0, 3.0, 4.0]])
modes = {"constant": "zeros", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
padded = {name: F.pad(line, (2, 2), mode).numpy()[0].astype(int).tolist() for mode, name in modes.items()}
for name, pixels in padded.items():
    print(f"{name:10}", *pixels)
assert padded["zeros"] == [0, 0, 1, 2, 3, 4, 0, 0]
assert padded["reflect"] == [3, 2, 1, 2, 3, 4, 3, 2]
assert padded["replicate"] == [1, 1, 1, 2, 3, 4, 4, 4]
assert padded["circular"] == [3, 4, 1, 2, 3, 4, 1, 2]

# %%
photo = load_sample_image("china.jpg")[:416, 12:428] / 255  # comes with scikit-learn
small = photo.reshape(52, 8, 52, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1)  # the mean of each 8×8 pixels: (3, 52, 52)

figure, panels = plt.subplots(1, 4, figsize=(10.5, 3), layout="constrained")
for panel, (mode, name) in zip(panels, modes.items()):
    bordered = F.pad(tcnn.tensor(small), (14, 14, 14, 14), mode).numpy()
    panel.imshow(bordered.transpose(1, 2, 0))
    panel.add_patch(plt.Rectangle((13.5, 13.5), 52, 52, fill=False, edgecolor="#d55e00", linewidth=2))
    panel.set(xticks=[], yticks=[], title=name)
viz.show(
    figure,
    "A photograph with a frame around it and a wide border in four modes: black; mirrored at the frame; the last "
    "pixels drawn out to stripes; and the picture repeated as on a wallpaper.",
)

# %% [markdown]
# Which mode makes an edge at the frame where the photograph has none? *Zeros* and *circular* do; a filter for edges
# will answer there. A layer gets its mode by `nn.Conv2d(…, padding=1, padding_mode="reflect")`. Zeros are nevertheless
# what nearly every network uses: they cost nothing, and training copes.
#
# ## Dilation: windows with gaps
#
# With **dilation** $D$ the weights of a filter lie $D$ pixels apart. Nine weights then span $D(K-1)+1$ pixels a side,
# and that is the $F$ of the formula.

# %%
figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.9), layout="constrained")
for panel, D in zip(panels, (1, 2, 3)):
    taps = np.zeros((7, 7))
    taps[: 2 * D + 1 : D, : 2 * D + 1 : D] = 1
    panel.imshow(taps, cmap="PuOr_r", vmin=-1.5, vmax=1.5)
    panel.set_xticks(np.arange(-0.5, 7), minor=True)
    panel.set_yticks(np.arange(-0.5, 7), minor=True)
    panel.grid(which="minor", color="0.8")
    panel.tick_params(which="both", length=0)
    panel.set(xticks=[], yticks=[])
    span, places = D * (3 - 1) + 1, tcnn.output_size(7, 3, dilation=D)
    panel.set_title(f"dilation {D}: spans {span}, {places}×{places} places", fontsize=9)
    assert places == 7 - span + 1
viz.show(
    figure,
    "The nine pixels that a 3×3 filter looks at, on 7×7 pixels: side by side with dilation 1; with gaps of one pixel "
    "with dilation 2, five pixels wide; with gaps of two pixels with dilation 3, seven pixels wide.",
)

# %% [markdown]
# ## The receptive field
#
# One place of one output map is called a **unit**. A unit of the first layer sees a window of the image. A unit of the
# second layer sees a window of the first layer's units, and through them more of the image. The pixels that it sees
# are its **receptive field**. Measure it: let one unit in the middle have the gradient 1, go back, and see which
# pixels a gradient arrives at. No others can change the unit.


# %%
def seen_from(layers, size=33):
    """The gradient that arrives at each pixel of a (size, size) image from the unit in the middle."""
    x = tcnn.zeros(1, 1, size, size, requires_grad=True)
    y = layers(x)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    return x.grad[0, 0]


def mean_filters(L, K=3):
    """L convolutions K×K with stride 1, whose weights are all 1/K²."""
    layers = [nn.Conv2d(1, 1, K, padding=tcnn.same_padding(K), bias=False) for _ in range(L)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / K**2)
    return nn.Sequential(*layers)


for L in (1, 2, 3, 5):
    columns = (seen_from(mean_filters(L)) > 0).any(axis=0).sum()
    print(f"{L} layers 3×3 see {columns} pixels a side")
    assert columns == 1 + L * (3 - 1) == tcnn.receptive_field([3] * L)
assert (seen_from(mean_filters(2, K=5)) > 0).any(axis=0).sum() == 1 + 2 * (5 - 1)

# %% [markdown]
# With stride 1 each layer adds $K-1$ pixels: after $L$ layers the field is $1 + L(K-1)$. Behind a stride it grows
# faster: neighbouring units then have fields that begin some pixels apart, as many as all strides so far multiplied.
# This distance is the **step**. So in general
#
# $$RF_L = RF_{L-1} + (K_L - 1)\cdot\prod_{i<L} S_i, \qquad RF_0 = 1$$
#
# A pooling layer also slides a window (tutorial 9 is about it), so it counts like any other. For LeNet-5 by hand:


# %%
def fields(layers):
    """Layers are (name, window K, stride S); returns the field behind each."""
    field, step, found = 1, 1, []
    for name, K, S in layers:
        print(f"{name:6} K={K:<2} S={S}   {field:3} + ({K} − 1)·{step:<2} = {field + (K - 1) * step:3}")
        field, step = field + (K - 1) * step, step * S
        found.append(field)
    return found


lenet = [("conv1", 5, 1), ("pool1", 2, 2), ("conv2", 5, 1), ("pool2", 2, 2)]
assert fields(lenet) == [5, 6, 14, 16]
assert tcnn.receptive_field([(K, S) for _, K, S in lenet]) == 16

# %% [markdown]
# Of 28×28 pixels a unit of `pool2` sees 16×16: more than half of the width, enough for a loop or a corner of a digit,
# not for all of it. Only the fully connected layers see everything. `tables.summary` says the same in its column
# *field*, and the step in its column *stride*:

# %%
table = tables.summary(models.LeNet5())
print(table.to_text(columns=["layer", "output", "field", "stride"]))
by_name = {row.name: row.field for row in table.rows}
assert [by_name[f"features.{name}"].size[0] for name, *_ in lenet] == [5, 6, 14, 16]

# %%
names = [f"features.{name}" for name, *_ in lenet]
tcnn.manual_seed(0)
viz.show(
    viz.plot.receptive_field(models.LeNet5(), names, effective=True),
    "Left, on a grid of 28×28 pixels, four frames near the middle: 5, 6, 14 and 16 pixels wide. Right, how much each "
    "pixel counts for the unit of pool2: much in the middle, little at the edge of its frame, nothing outside.",
)

# %% [markdown]
# The frames belong to the units nearest to one another. They are not quite concentric: the fields of a layer lie a
# step apart, and none of them need lie exactly in the middle. The right half is measured with gradients, and comes
# back below.
#
# Now AlexNet. Follow the step: behind `conv1`, the unit to the right already sees a window 4 pixels further on.

# %%
alexnet = [
    ("conv1", 11, 4),
    ("pool1", 3, 2),
    ("conv2", 5, 1),
    ("pool2", 3, 2),
    ("conv3", 3, 1),
    ("conv4", 3, 1),
    ("conv5", 3, 1),
    ("pool5", 3, 2),
]
by_hand = fields(alexnet)
assert by_hand == [11, 19, 51, 67, 99, 131, 163, 195]

model = models.AlexNet("single-tower", width=0.05)  # a twentieth of the filters: the fields do not depend on it
by_name = {row.name: row.field for row in tables.summary(model).rows}
assert [by_name[f"features.{name}"].size[0] for name, *_ in alexnet] == by_hand

# %%
every = np.linspace(0, 415, 227).astype(int)  # 227 of the 416 rows and columns
image = photo[np.ix_(every, every)].transpose(2, 0, 1)  # (3, 227, 227)
shown = [f"features.{name}" for name in ("conv1", "conv2", "conv3", "conv4", "conv5")]
viz.show(
    viz.plot.receptive_field(model, shown, x=tcnn.tensor(image, dtype="float32")),
    "A photograph of 227×227 pixels with five frames around its middle: the field of a unit of conv1, 11 pixels wide, "
    "is a small square; those of conv2 to conv5 grow to 163 pixels and hold most of the building.",
)

# %% [markdown]
# This is what depth is for. A unit of `conv1` sees a patch in which there is nothing but an edge or a colour. One of
# `conv5` sees most of the object, through units that see parts.
#
# ## Not all pixels count the same
#
# A pixel in the middle of the field lies in many windows, one in its corner in a single one. So there are many ways
# from the middle to the unit, and few from the edge. The map of gradients shows it: the **effective** receptive field.

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
spreads = []
for panel, L in zip(panels, (2, 5, 15)):
    gradient = seen_from(mean_filters(L))
    panel.imshow(gradient, cmap="Oranges", vmin=0)
    half = tcnn.receptive_field([3] * L) / 2
    panel.add_patch(
        plt.Rectangle((16 - half, 16 - half), 2 * half, 2 * half, fill=False, edgecolor="#0072b2", linewidth=2)
    )
    away = np.arange(33) - 16
    spreads.append(np.sqrt((gradient.sum(axis=0) * away**2).sum()))
    panel.set(xticks=[], yticks=[])
    panel.set_title(f"{L} layers: field {2 * half:.0f}, spread {spreads[-1]:.2f}", fontsize=10)
viz.show(
    figure,
    "How much each pixel counts for the unit in the middle, behind 2, 5 and 15 layers. The blue frame, the receptive "
    "field, grows from 5 to 31 pixels; the dark spot in it grows, too, but much less, and stays in the middle.",
)
assert np.allclose(spreads, [np.sqrt(2 * L / 3) for L in (2, 5, 15)], rtol=1e-3)

# %% [markdown]
# *Spread* is the standard deviation of the spot, in pixels. With these filters it is $\sqrt{2L/3}$: the field grows
# like $L$, the part that matters like $\sqrt L$ only. (A sum of $L$ independent steps spreads like this; going back
# through a layer is such a step, to the left, nowhere or to the right.) Luo and others (2016) found spots like these
# with random weights, too, and saw them grow in training.
#
# ## Two small windows instead of a large one
#
# Two layers of 3×3 see what one of 5×5 sees, and three see what one of 7×7 sees. They have fewer weights: for each
# pair of an input and an output channel 2·9 = **18** instead of **25**, and 27 instead of 49.

# %%
for L, K in [(2, 5), (3, 7)]:
    print(f"{L} layers 3×3: field {tcnn.receptive_field([3] * L)}, {L * 9} weights; one {K}×{K}: {K * K} weights")
    assert tcnn.receptive_field([3] * L) == K == tcnn.receptive_field([K])

C = 64
two = nn.Sequential(nn.Conv2d(C, C, 3, bias=False), nn.ReLU(), nn.Conv2d(C, C, 3, bias=False))
one = nn.Conv2d(C, C, 5, bias=False)
assert tables.summary(two, (C, 32, 32)).parameters == 18 * C * C
assert tables.summary(one, (C, 32, 32)).parameters == 25 * C * C

# %% [markdown]
# And they can have an activation in between. **They must:** without it the two layers are one convolution of 5×5, as
# two weighted sums without an activation were one in tutorial 1. Its filter can even be computed: slide the first
# filter, in a border of zeros, under the second one turned around.

# %%
tcnn.manual_seed(0)
x, w1, w2 = tcnn.randn(1, 1, 12, 12), tcnn.randn(1, 1, 3, 3), tcnn.randn(1, 1, 3, 3)
w12 = F.conv2d(w1, w2.flip(2, 3), padding=2)
print(w12.shape)

one_after_the_other = F.conv2d(F.conv2d(x, w1), w2).numpy()
assert np.allclose(one_after_the_other, F.conv2d(x, w12).numpy(), atol=1e-4)
assert not np.allclose(F.conv2d(F.relu(F.conv2d(x, w1)), w2).numpy(), one_after_the_other, atol=1e-4)

# %% [markdown]
# This is the argument of VGG: 3×3 everywhere, many layers, an activation behind each (tutorial 15).
#
# The rule of sizes stands once in the library, in `tinygrad_cnn/shapes.py` (`Window`), and the functions of this page
# ask it: `tinygrad_cnn/sizes.py`.
#
# ## Exercises
#
# 1. **The formula as a function**, with an error where nothing fits: `tcnn exercise check output_size`
# 2. **Convolution with stride and padding:** `tcnn exercise check conv_forward`
# 3. **A window with another job**, the same arithmetic: `tcnn exercise check max_pool_forward`
#
# And on paper: LeNet-5 of 1998 has a third convolution of 5×5 behind `pool2`, on images of 32×32. How much does it
# see? (`tables.summary(models.LeNet5("1998"))` has the answer.) Which padding makes the output of a 3×3 filter with
# dilation 2 as large as its input? How many layers of 3×3 with stride 1 would see all of a 227×227 image?
#
# ## Further reading
#
# - V. Dumoulin and F. Visin (2016), "A guide to convolution arithmetic for deep learning".
# - A. Araujo, W. Norris and J. Sim (2019), "Computing receptive fields of convolutional neural networks", Distill.
# - W. Luo, Y. Li, R. Urtasun and R. Zemel (2016), "Understanding the effective receptive field in deep convolutional
#   neural networks".
# - K. Simonyan and A. Zisserman (2015), "Very deep convolutional networks for large-scale image recognition".
# - F. Yu and V. Koltun (2016), "Multi-scale context aggregation by dilated convolutions".
#
# The photograph is `china.jpg` of scikit-learn: by danielbuechele (Flickr), CC BY 2.0, cut and made smaller here.

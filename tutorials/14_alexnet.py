# %% [markdown]
# # 14 · AlexNet: exact shapes, scaled training
#
# *The network of 2012, counted to the last weight, its ideas one by one, and a small sister of it that learns here.
# Runs offline, in about a minute.*
#
# **What you will be able to do:** derive every size in AlexNet, say where its 60 million parameters are and where its
# work is, compute local response normalisation by hand, explain what two GPUs have to do with groups, and train a
# network of the same plan on a laptop.
#
# You need tutorials 6 to 9 (convolution, sizes, pooling) and 13 (dropout, augmentation).

# %%
import inspect
from math import prod

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, tables, training, viz
from tinygrad_cnn.data import transforms
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.textbook.norm import local_response_norm_forward

# %% [markdown]
# ## The volumes
#
# A colour image of 227×227 pixels goes in, 1,000 scores come out, one for each class of ImageNet. Five convolutions and
# three fully connected layers do it. `tables.summary` computes the table from the layers' sizes; no image is needed.
# The weights are not needed either: `skip_init` makes a network whose first weights are not drawn.
#
# The variant `"single-tower"` is the network as most lectures show it. The library writes channels first, 96×55×55,
# where lectures write 55×55×96.

# %%
lecture = tables.summary(nn.utils.skip_init(models.AlexNet, "single-tower"))
print(lecture.to_text(columns=["layer", "output", "weights", "parameters", "mult-adds"]))

# %% [markdown]
# Every size is $(W - F + 2P)/S + 1$. CONV1 makes 55 of 227, a pooling with windows of 3 and stride 2 makes 27 of 55,
# and so on:

# %%
assert tcnn.output_size(227, 11, stride=4, strict=True) == 55
assert tcnn.output_size(55, 3, stride=2, strict=True) == 27  # pool1
assert tcnn.output_size(27, 5, padding=2, strict=True) == 27  # conv2
assert tcnn.output_size(27, 3, stride=2, strict=True) == 13  # pool2
assert tcnn.output_size(13, 3, padding=1, strict=True) == 13  # conv3, conv4, conv5
assert tcnn.output_size(13, 3, stride=2, strict=True) == 6  # pool5

rows = {row.name.partition(".")[2] or row.name: row for row in lecture.rows}
drawn = ["input", "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"]
volumes = {name: rows[name].output for name in drawn}
assert list(volumes.values()) == [
    *[(3, 227, 227), (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13)],
    *[(384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6), (4096,), (4096,), (1000,)],
]

# %%
COLOURS = {"input": "#999999", "conv": "#0072b2", "pool": "#56b4e9", "fc": "#d55e00"}

figure, axes = plt.subplots(figsize=(11, 3.8), layout="constrained")
left = 0.0
for name, (C, *size) in volumes.items():
    side = 0.55 * size[0] ** 0.5 if size else 0.0  # roots, so that 6 and 227 fit into one picture
    depth, wide = 0.35 * side, 0.11 * C**0.5 if size else 0.35
    high = side or 0.1 * C**0.5
    kind = name.rstrip("0123456789")
    faces = [
        [(0, 0), (wide, 0), (wide, high), (0, high)],
        [(0, high), (wide, high), (wide + depth, high + depth), (depth, high + depth)],
        [(wide, 0), (wide + depth, depth), (wide + depth, high + depth), (wide, high)],
    ]
    for face, strength in zip(faces, (0.9, 0.45, 0.65)):
        corners = [(left + x, y - (high + depth) / 2) for x, y in face]
        axes.fill(*zip(*corners), facecolor=COLOURS[kind], alpha=strength, edgecolor="white")
    middle = left + (wide + depth) / 2
    axes.text(middle, -6.4, "×".join(map(str, (*size, C))), ha="center", fontsize=9)
    axes.text(middle, -7.3, name, ha="center", fontsize=9, color=COLOURS[kind])
    left += max(wide + depth + 0.75, 3.2)
axes.set(aspect="equal", ylim=(-7.8, 6))
axes.axis("off")
viz.show(
    figure,
    "Twelve volumes from left to right: 227×227×3, 55×55×96, 27×27×96, 27×27×256, 13×13×256, 13×13×384 twice, "
    "13×13×256, 6×6×256, then bars of 4096, 4096 and 1000. The faces become smaller and the boxes longer, up to the "
    "fully connected layers. Lengths are drawn as square roots.",
)

# %% [markdown]
# Look at the shapes: a wide, thin volume becomes small and deep. Pixels are given up for channels: less *where*, more
# *what*.
#
# ## Why 227
#
# The paper says 224×224. With filters of 11, stride 4 and no padding that does not fit: $(224 - 11)/4 + 1 =
# 54\tfrac14$. The next size that fits is 227; it gives the 55×55 that the paper states, too. It is a small slip in a
# great paper. (224 with a padding of 2 also gives 55, rounded down. PyTorch's AlexNet does that.)

# %%
assert (224 - 11) / 4 + 1 == 54.25
assert tcnn.output_size(224, 11, stride=4, padding=2) == 55
try:
    models.AlexNet("paper", image_size=224)
except tcnn.ShapeError as error:
    print(error)
else:
    raise AssertionError("224 should not fit")

# %% [markdown]
# ## What sharing saves in CONV1
#
# Each of the 96 filters has 11·11·3 = 363 weights and a bias. In all that is 34,848 weights, 34,944 with the biases.
# The output has 55·55·96 = 290,400 numbers: so many neurons, if each place counts as one. If each of them had its own
# 364 numbers instead of the filter's, the first layer alone would have 105,705,600 parameters, more than the whole
# network has.

# %%
conv1 = rows["conv1"]
assert 96 * 11 * 11 * 3 == 34_848
assert conv1.parameters == 34_848 + 96 == 34_944
assert prod(conv1.output) == 290_400
assert conv1.connections == 290_400 * 364 == 105_705_600 > lecture.parameters

# %% [markdown]
# ## Where the parameters are, and where the work is
#
# The paper speaks of 60 million parameters. The table above has 62,378,344. The difference is in CONV2, CONV4 and
# CONV5, which have two **groups** in the paper; we come to them below. The variant `"paper"` has them: 60,965,224
# parameters, and 0.724 instead of 1.135 billion multiply-adds for one image.

# %%
paper = tables.summary(nn.utils.skip_init(models.AlexNet, "paper"))
assert (lecture.parameters, lecture.multiply_adds) == (62_378_344, 1_135_256_096)
assert (paper.parameters, paper.multiply_adds) == (60_965_224, 724_406_816)

layers = [row for row in paper.rows if row.parameters]
names = [row.name.partition(".")[2] for row in layers]
dense = [row for row in layers if row.kind == "Linear"]
convolutions = [row for row in layers if row.kind == "Conv2d"]
parameters_in_dense = sum(row.parameters for row in dense) / paper.parameters
work_in_convolutions = sum(row.multiply_adds for row in convolutions) / paper.multiply_adds
print(f"parameters: {parameters_in_dense:.1%} fully connected; work: {work_in_convolutions:.1%} in convolutions")
assert parameters_in_dense > 0.96
assert work_in_convolutions > 0.91

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
colours = [COLOURS["conv"] if row.kind == "Conv2d" else COLOURS["fc"] for row in layers]
for panel, title, numbers in [
    (panels[0], "parameters (millions)", [row.parameters / 1e6 for row in layers]),
    (panels[1], "multiply-adds for one image (millions)", [row.multiply_adds / 1e6 for row in layers]),
]:
    bars = panel.barh(names, numbers, color=colours)
    panel.bar_label(bars, fmt="{:,.2f}" if "parameters" in title else "{:,.0f}", padding=3)
    panel.set(title=title)
    panel.margins(x=0.15)
    panel.spines[["top", "right"]].set_visible(False)
panels[0].invert_yaxis()
viz.show(
    figure,
    "Two bar charts of the eight layers with weights. Parameters: 37.75 million in fc6, 16.78 in fc7, 4.10 in fc8, "
    "less than one million in each convolution. Multiply-adds: the convolutions have 75 to 224 million each, the "
    "fully connected layers 38, 17 and 4.",
)

# %% [markdown]
# The two pictures are almost each other's opposite. More than 96 % of the parameters are in the fully connected layers
# (orange), more than 91 % of the work is in the convolutions (blue). The reason is sharing: a weight of a convolution
# is used at every place of the map, a weight of a fully connected layer once. fc6 alone holds 6·6·256 = 9,216 times
# 4,096 weights. So a smaller network is made by changing the end, a faster one by changing the beginning.
#
# The paper also says 650,000 neurons. The outputs of the five convolutions are 650,080; with the fully connected layers
# there are 659,272.

# %%
assert 6 * 6 * 256 == 9_216
assert sum(prod(row.output) for row in convolutions) == 650_080
assert sum(prod(row.output) for row in layers) == 659_272

# %% [markdown]
# ## Two GPUs are two groups
#
# The authors' GPUs had 3 GB of memory each. In training, 128 images at a time, each output of each layer must be kept,
# and each has a gradient. Each weight has a gradient and a momentum. A rough count in 4-byte numbers:

# %%
needed = 2 * 128 * paper.memory + 3 * paper.parameter_memory
print(f"{needed / 1e9:.2f} GB")
assert 2.5e9 < needed < 3e9

# %% [markdown]
# That leaves hardly anything for what else a program needs. So the authors cut the network in two: half of the filters
# lived on one GPU, half on the other. Only CONV3 and the fully connected layers saw the maps of both. CONV2, CONV4 and
# CONV5 saw those of their own GPU, which saved the time to copy them. Today we write `groups=2`, and one GPU has room
# enough. **A grouped convolution is two convolutions side by side**, each on its half of the channels:

# %%
tcnn.manual_seed(0)
x = tcnn.randn(1, 6, 7, 7)
grouped = nn.Conv2d(6, 8, kernel_size=3, groups=2)
w, b = grouped.weight, grouped.bias  # w: (8, 3, 3, 3), each filter sees 3 of the 6 channels

gpu_1 = F.conv2d(x[:, :3], w[:4], b[:4])
gpu_2 = F.conv2d(x[:, 3:], w[4:], b[4:])
assert np.allclose(grouped(x).numpy(), tcnn.cat([gpu_1, gpu_2], dim=1).numpy(), atol=1e-6)

# %% [markdown]
# Each filter has half the channels, so half the weights. That is the whole difference between 62.4 and 61.0 million:

# %%
without_groups = {row.name: row for row in lecture.rows}
saved = 0
for row in paper.rows:
    other = without_groups[row.name]
    if row.parameters != other.parameters:
        saved += other.parameters - row.parameters
        print(f"{row.name}: {other.weights} = {other.parameters:,} becomes {row.weights} = {row.parameters:,}")
assert saved == lecture.parameters - paper.parameters == 1_413_120

# %% [markdown]
# ## Local response normalisation
#
# After ReLU, activations have no upper limit. AlexNet divides each number by a power of the squares around it, at the
# same pixel in the neighbouring channels, so a strong channel holds its neighbours down:
#
# $$b_c = a_c \Big/ \Big(k + \alpha \sum_{j=c-2}^{c+2} a_j^2\Big)^{\beta} \qquad k = 2,\ \alpha = 10^{-4},\ \beta =
# \tfrac34$$
#
# One number by hand. Five channels have the activations 0, 10, 100, 10, 0 at some pixel. For the one in the middle the
# sum is 100 + 10,000 + 100 = 10,200, so $b = 100/(2 + 1.02)^{3/4} = 43.65$. Its neighbour, 10, has the same sum (beyond
# the first channel there is nothing) and becomes 4.37. Without the strong one it would have become 5.90.
#
# `F.local_response_norm` is PyTorch's, and PyTorch divides $\alpha$ by `size`, the number of channels in the sum, here
# 5. The paper does not. So the paper's numbers are `size=5, alpha=5e-4` here.

# %%
a = tcnn.tensor([0.0, 10.0, 100.0, 10.0, 0.0]).reshape(1, 5, 1, 1)  # one image, five channels, one pixel
normalised = F.local_response_norm(a, size=5, alpha=5e-4, beta=0.75, k=2.0).flatten()
print(normalised)
assert np.isclose(normalised[2].item(), 100 / (2 + 1e-4 * 10_200) ** 0.75)
assert round(normalised[2].item(), 2) == 43.65
assert round(normalised[1].item(), 2) == 4.37
assert round(10 / (2 + 1e-4 * (100 + 100)) ** 0.75, 2) == 5.90

code = inspect.getsource(local_response_norm_forward)  # tinygrad_cnn/textbook/norm.py
print(code[code.index("    N, C, H, W") :])

# %%
channels = np.full(24, 30, dtype=np.float32)
channels[[7, 16, 17, 18]] = 150, 90, 90, 90
after = F.local_response_norm(tcnn.tensor(channels).reshape(1, 24, 1, 1), 5, 5e-4, 0.75, 2.0).numpy().ravel()

figure, (panel, curve) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", width_ratios=(3, 2))
panel.bar(range(24), channels, color="#bbbbbb", label="before")
panel.bar(range(24), after, color="#0072b2", width=0.5, label="after")
panel.set(title="24 channels of one pixel", xlabel="channel", ylabel="activation")
panel.legend()
strong = np.linspace(0, 300, 61)
for own, colour in [(10, "#0072b2"), (30, "#d55e00")]:
    curve.plot(strong, own / (2 + 1e-4 * (own**2 + strong**2)) ** 0.75, color=colour, label=f"activation {own}")
curve.set(title="a neighbour's strength", xlabel="activation of the neighbour", ylabel="after", ylim=(0, None))
curve.legend()
curve.grid(alpha=0.3)
viz.show(
    figure,
    "Left 24 channels as grey bars, all 30 but one of 150 and three of 90; blue bars, after normalisation, are lower, "
    "and lowest next to the strong channels. Right the result for activations of 10 and 30 falls as the neighbour's "
    "activation grows from 0 to 300.",
)
assert np.allclose(after[[5, 6, 8, 9]], after.min())
assert after.min() < after[0]

# %% [markdown]
# In the left picture look at the channels beside 7: they began with 30 like most others and end lowest. The paper took
# the idea from nerve cells, which inhibit their neighbours, and found 1.4 points less top-1 error
# (an answer counts as wrong if the highest score is not the true class's). It needs activations
# of some size. With pixels of mean 0 and standard deviation 1 the sums are small beside $k = 2$, and the layer does
# little more than divide by $2^{3/4}$. VGG's authors found no gain from it; batch normalisation (tutorial 12) has taken
# its place.
#
# **The order.** The lecture pools and then normalises. The paper normalises after the ReLU and then pools. The volumes
# behind both are the same, but the numbers are not, and the paper's order has four times as much to normalise in the
# first place. The variants `"single-tower"` and `"paper"` have the two orders.

# %%
norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
pool = nn.MaxPool2d(3, stride=2)
maps = tcnn.relu(100 * tcnn.randn(1, 96, 55, 55))
papers, lectures = pool(norm(maps)), norm(pool(maps))
assert papers.shape == lectures.shape == (1, 96, 27, 27)
assert not np.allclose(papers.numpy(), lectures.numpy(), rtol=0.01)

norms = [next(row for row in table.rows if row.name == "features.norm1").output for table in (paper, lecture)]
print("norm1 works on", *norms)
assert prod(norms[0]) > 4 * prod(norms[1])

# %% [markdown]
# ## More images from the same images
#
# The training images were 256×256. The network saw random crops of 224×224 (with its own sizes we would take 227), half
# of them mirrored. The paper counts 2·32·32 = 2,048 images for each one. Counting the places as for a filter, there are
# 33·33, so it is a few more.

# %%
assert 2 * 32 * 32 == 2_048
assert tcnn.output_size(256, 224) == 33

# %% [markdown]
# The third kind is what the lectures call *changing RGB intensities*. Take all pixels of the training set as points in
# a space of three dimensions: red, green, blue. Their principal components $p_1, p_2, p_3$ are the directions along
# which colours vary, and the eigenvalues $\lambda_1, \lambda_2, \lambda_3$ say how much. For each image draw three
# numbers $\alpha_i$ from a normal distribution with standard deviation 0.1, and add **one** colour to all its pixels:
#
# $$p_1\,\alpha_1\lambda_1 + p_2\,\alpha_2\lambda_2 + p_3\,\alpha_3\lambda_3$$
#
# That is like another light. A dog stays a dog in the evening sun. CIFAR-10's photographs are used here if the files
# are on this machine (`TINYGRAD_CNN_DATA` names their folder), else two photographs that come with scikit-learn.

# %%
try:
    cifar = data.load("cifar10", download=False)
    photographs, shown = cifar.train.data[:5000], cifar.train.data[0]
except data.DataError:
    from sklearn.datasets import load_sample_image

    cifar = None
    photographs = np.stack([load_sample_image("china.jpg"), load_sample_image("flower.jpg")])
    shown = photographs[1, 30:390:2, 150:510:2]
print("photographs:", "two of scikit-learn" if cifar is None else "CIFAR-10", photographs.shape)

light = transforms.PCAColor.fit(photographs)
print("eigenvalues:", light.eigenvalues.round(4))
print("first direction (red, green, blue):", light.eigenvectors[:, 0].round(2))
share = light.eigenvalues[0] / light.eigenvalues.sum()
print(f"{share:.0%} of the variance lies along the first direction")
assert share > 0.6
assert (light.eigenvectors[:, 0] > 0).all()

image = transforms.ToTensor()(shown)  # (3, H, W), from 0 to 1
change = light(image, tcnn.Generator(0)) - image
assert np.ptp(change, axis=(1, 2)).max() < 1e-6  # the same colour is added to all pixels

# %% [markdown]
# The first direction has red, green and blue with the same sign: it is the brightness. The others are tints and vary
# less. With the paper's 0.1 and pixels from 0 to 1 the change is small; the second row is ten times as strong.

# %%
figure, panels = plt.subplots(2, 4, figsize=(7, 3.9), layout="constrained")
for line, std in zip(panels, (0.1, 1.0)):
    strength = transforms.PCAColor(light.eigenvalues, light.eigenvectors, std)
    for number, panel in enumerate(line):
        lit = image if number == 0 else strength(image, tcnn.Generator(number))
        panel.imshow(lit.transpose(1, 2, 0).clip(0, 1))
        panel.set(xticks=[], yticks=[], title="as it is" if number == 0 else f"std {std}")
viz.show(
    figure,
    "Two rows of four pictures of the same photograph. In the first row, with the paper's strength, the three changed "
    "ones can hardly be told from the original. In the second, ten times as strong, they are brighter, darker or "
    "tinted; what they show stays the same.",
)

# %% [markdown]
# ## ReLU against tanh, and training at a smaller scale
#
# 1.2 million images and five to six days on two GPUs are not for this page. The variant `"cifar"` has the same plan for
# small images: five convolutions, local response normalisation, three poolings with overlapping windows, dropout. Here
# it gets a quarter of the channels. It learns CIFAR-10 if it is there, a part of it; else scikit-learn's digits, 28×28
# and grey. Then it is made for one channel and for 28×28. Nothing is enlarged or coloured.

# %%
source = cifar or data.load("digits")
train = data.Subset(source.train, range(min(len(source.train), 2000)))
test = data.Subset(source.test, range(min(len(source.test), 1000)))
C, H, W = source.info.image_shape


def scaled_alexnet(activation):
    """AlexNet of a quarter of the width, with this activation; the same first weights each time."""
    tcnn.manual_seed(0)
    model = models.AlexNet("cifar", in_channels=C, image_size=(H, W), width=0.25)
    for part in (model.features, model.classifier):
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.ReLU):
                setattr(part, name, activation())
    return model


def learn(model):
    epochs = 4 if cifar is None else 3
    loader = data.DataLoader(train, batch_size=32, shuffle=True, generator=tcnn.Generator(0))
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.003, epochs=epochs, steps_per_epoch=len(loader))
    unseen = data.DataLoader(test, batch_size=250)
    return training.fit(model, loader, optimizer, epochs=epochs, scheduler=schedule, val_loader=unseen)


model, other = scaled_alexnet(nn.ReLU), scaled_alexnet(nn.Tanh)
print(source.info.title)
print(f"{len(train)} images to learn from, {len(test)} to test; {model.num_parameters():,} parameters")
histories = {"ReLU": learn(model), "tanh": learn(other)}
for name, history in histories.items():
    print(f"{name}: {history['val_accuracy'][-1]:.1%} of the test images are right")
assert histories["ReLU"]["val_accuracy"][-1] > (0.9 if cifar is None else 0.15)  # guessing: 0.1

# %%
viz.show(
    viz.plot.learning_curves(histories, validation="test"),
    "Loss and accuracy over the epochs, for ReLU and for tanh, dashed on the training images and solid on the test "
    "images. Each loss is lower at the end than at the beginning, each accuracy higher.",
)

# %% [markdown]
# The authors chose ReLU for its speed. On CIFAR-10 a network of four layers with ReLU reached 25 % training error six
# times as fast as the same one with tanh (the paper's figure 1). **This short run does not show that**: both learn in
# under two hundred steps, and tanh may even start faster. (For CIFAR-10 so few images and steps are only a beginning;
# guessing is right one time in ten.) What tanh does have is its flat ends. Below, the first layer's sums are made 1, 3
# and 10 times as large, about as images of more contrast would make them, and the places are counted where tanh passes
# on less than a tenth of a change. Where a ReLU is active, its slope is 1, however large the sum; scaling does not move
# the places where it is active.

# %%
images, _ = test.get_batch(range(64))
with tcnn.no_grad():
    z = model.features.conv1(tcnn.tensor(images)).numpy()  # (64, 16, H, W)
flat = {}
for factor in (1, 3, 10):
    flat[factor] = (1 - np.tanh(factor * z) ** 2 < 0.1).mean()
    print(f"sums × {factor}: tanh is flat at {flat[factor]:.0%} of the places")
    assert ((factor * z > 0) == (z > 0)).all()
assert flat[1] < flat[3] < flat[10]
assert flat[10] > 0.5

# %% [markdown]
# Now the first filters, the smaller sisters of the paper's 96 of 11×11: as they are, and what training has added to the
# random weights they began with.

# %%
first = scaled_alexnet(nn.ReLU).features.conv1.weight.numpy()
learned = model.features.conv1.weight.numpy()
change = np.linalg.norm(learned - first) / np.linalg.norm(first)
print(f"the filters have changed by {change:.0%} of their length")
assert 0.01 < change < 0.5

viz.show(
    viz.plot.filters(learned, title="the filters after training"),
    "The sixteen 5×5 filters of the first convolution after training. They look almost as random as they began.",
)
viz.show(
    viz.plot.filters(learned - first, title="what training added"),
    "The differences to the first weights. They are smaller and smoother: neighbouring weights have often changed "
    "alike.",
)

# %% [markdown]
# The filters still are mostly the noise they began with; so few steps do not go far. Look at the second
# picture: what was added is small but smooth, and in some filters one side went up and the other down. That is how a
# detector of edges begins. In the paper's figure 3, after 90 walks through ImageNet, there are clear stripes in all
# directions, and blobs of opposing colours. On one GPU most filters were grey, on the other most coloured.
#
# And the normalisation? As said above, with our images it hardly does more than divide by $2^{3/4}$:

# %%
with tcnn.no_grad():
    before = model.features.relu1(tcnn.tensor(z))
    behind = model.features.norm1(before).numpy()
active = before.numpy() > 0
ratio = before.numpy()[active] / behind[active]
print(f"divided by {ratio.min():.3f} to {ratio.max():.3f}; 2^(3/4) = {2**0.75:.3f}")
assert 1.68 < ratio.min() < ratio.max() < 1.80

# %% [markdown]
# ## What came out in 2012
#
# These numbers cannot be computed here. They are the paper's (Krizhevsky, Sutskever and Hinton 2012, sections 3 to 6;
# the errors are its table 2). By *top-5* an answer is right if the true class is among the five with the highest
# scores.
#
# | what | top-5 error |
# |---|---|
# | one network, validation images | 18.2 % |
# | mean of seven networks, validation images | 15.4 % |
# | the same seven, test images: the competition's result | 15.3 % |
# | the second best entry, without a deep network | 26.2 % |
#
# Lectures often say "AlexNet: 15.3 %". That is the seven together; two of them had first learned a larger ImageNet. The
# two-GPU network had 1.7 points less top-1 and 1.2 points less top-5 error than one with half as many filters in each
# convolution on one GPU. It learned with batches of 128, momentum 0.9, weight decay 0.0005, and a learning rate of 0.01
# that was divided by 10 when the validation error stalled; with dropout of ½ behind fc6 and fc7.
#
# `tcnn train alexnet --data cifar10` trains the `"cifar"` variant in full with these settings (batches of 64).
#
# ## Exercises
#
# 1. **Local response normalisation**, forward and backward: `tcnn exercise check lrn`
# 2. **Dropout**, as behind fc6 and fc7: `tcnn exercise check dropout`
# 3. **How large is the output?** With a kind error where nothing fits: `tcnn exercise check output_size`
#
# On paper: how many parameters would fc6 have if there were no pool5? And which of two neighbouring channels loses more
# by normalisation, the strong one or the weak one, if you compare ratios?
#
# ## Further reading
#
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural networks".
# - A. Krizhevsky (2014), "One weird trick for parallelizing convolutional neural networks": PyTorch's AlexNet.
# - O. Russakovsky et al. (2015), "ImageNet large scale visual recognition challenge".
# - K. Simonyan and A. Zisserman (2015), "Very deep convolutional networks for large-scale image recognition": the next
#   tutorial.

# %% [markdown]
# # 11 · Training LeNet-5
#
# *Three rules for a step, how to read a loss curve, and a look inside a network before and after it has learned. Runs
# offline, in about a minute.*
#
# **What you will be able to do:** train a convolutional network with a loop you understand, choose optimizer and
# learning rate by what the curves say, find out which mistakes the network makes and why, and keep it in a file.
#
# You need tutorials 4 (training), 6 to 9 (convolution, pooling) and 10 (LeNet-5 of 1998).
#
# The data are scikit-learn's digits, which need no download. The last section does the same with MNIST, if it is
# there.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, optim, tables, training, viz
from tinygrad_cnn.models.bitmaps import digit_bitmaps
from tinygrad_cnn.nn import functional as F

digits = data.load("digits")
print(f"{len(digits.train)} images to learn from, {len(digits.test)} to be tested with")

# %% [markdown]
# ## Three networks, one name
#
# Today's LeNet-5 has the paper's sizes and later inventions: ReLU for tanh, maximum pooling for trainable
# subsampling, a full connection table, ten plain scores with cross-entropy for the bitmaps. Padding 2 in the first
# layer stands for the 32×32 plane. Two convolutions and three fully connected layers, as one of the lectures counts.

# %%
table = tables.summary(models.LeNet5())
print(table.to_text(columns=["layer", "output", "weights", "parameters", "field"]))
assert table.parameters == 61_706

# %% [markdown]
# Two other networks are shown in its place. What one lecture calls LeNet-5 has the sizes of Caffe's example, 20 and 50
# filters and 500 hidden units, but pads its images (Caffe's does not), and so has **1,256,080** parameters, twenty
# times as many. Another lecture has that of Nielsen's book: a single convolution, and sigmoid.

# %%
for variant in ("1998", "modern", "caffe", "nielsen"):
    table = tables.summary(models.LeNet5(variant))
    learned = [row for row in table.rows if row.parameters]
    print(f"{variant:8} {table.parameters:>10,} parameters {table.multiply_adds:>10,} multiply-adds")
    print("         " + " + ".join(f"{row.parameters:,}" for row in learned))
    if variant == "caffe":
        assert [row.parameters for row in learned] == [520, 25_050, 1_225_500, 5_010]
        assert table.parameters == 1_256_080
        assert 20 < table.parameters / 61_706 < 21
    if variant == "nielsen":
        assert table.parameters == 289_630

# %% [markdown]
# Look where the parameters are: nearly all of Caffe's sit in its first fully connected layer, from 50·7·7 = 2,450
# numbers to 500. The convolutions have few parameters and use them at every place: they do four fifths of the
# multiplications.

# %%
assert 2450 == 50 * 7 * 7
assert 1_225_500 == 2450 * 500 + 500
assert 1_225_500 / 1_256_080 > 0.97

caffe = tables.summary(models.LeNet5("caffe"))
by_convolutions = sum(row.multiply_adds for row in caffe.rows if row.kind == "Conv2d")
assert 0.8 < by_convolutions / caffe.multiply_adds < 0.82

# %% [markdown]
# ## Five lines
#
# Training is five lines, again and again. Choosing among trainings by looking at the test images would be learning
# from them, too. So a fifth of the *training* images is held out: to decide with. The test images wait until the end.

# %%
learn, held = digits.hold_out(0.2)
held_loader = data.DataLoader(held, batch_size=128)


def batches():
    return data.DataLoader(learn, batch_size=32, shuffle=True)


tcnn.manual_seed(0)
model = models.LeNet5()
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
losses = []
for _ in range(2):  # two epochs: twice through all images
    for images, labels in batches():
        optimizer.zero_grad()  # 1. forget the last step's gradients
        scores = model(images)  # 2. forward: (32, 1, 28, 28) → (32, 10)
        loss = F.cross_entropy(scores, labels)  # 3. how wrong is that?
        loss.backward()  # 4. backward: a gradient for every weight
        optimizer.step()  # 5. downhill
        losses.append(loss.item())

result = training.evaluate(model, held_loader)
print(f"loss {losses[0]:.2f} in the first step, {losses[-1]:.2f} in the last")
print(f"{result['accuracy']:.0%} of the held out images right")
assert abs(losses[0] - np.log(10)) < 0.1
assert result["accuracy"] > 0.2

# %% [markdown]
# The first loss is about 2.3. You should expect that: a network that knows nothing gives each digit a tenth, and the
# cross-entropy of that is log 10 = 2.303. A first loss far from it means a mistake in the program.
#
# ## Three rules for a step
#
# Let $g$ be the gradient of a weight. The lectures name three rules. In all of them $\eta$ is the learning rate.
#
# **SGD** goes downhill: $w \leftarrow w - \eta g$.
#
# **Momentum** lets the step remember, as a ball does: $v \leftarrow 0.9\,v + g$, then $w \leftarrow w - \eta v$.
#
# **Adam** keeps the mean of the gradient, $m$, and the mean of its square, $v$, and divides one by the root of the
# other. So each weight has steps of about the length $\eta$, whether its gradients are large or small. Both means
# begin with 0 and are too small at first; the divisions by $1 - \beta^t$ in step number $t$ make up for that.

# %%


def sgd(w, g, t, memory, lr):
    return w - lr * g


def momentum(w, g, t, memory, lr):
    v = memory["v"] = 0.9 * memory.get("v", 0) + g
    return w - lr * v


def adam(w, g, t, memory, lr):
    m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    v = memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + 1e-8)


# %% [markdown]
# Let them walk in a valley, $L = \tfrac12(w_1^2 + 25\,w_2^2)$: 25 times as steep across as along. Its gradient is
# $(w_1, 25\,w_2)$. The library's optimizers take the same steps, which checks both.

# %%
steepness = np.array([1.0, 25.0])
start = np.array([-4.0, 0.8])
rules = {  # name: the rule above, the library's, learning rate
    "SGD": (sgd, lambda w: optim.SGD(w, lr=0.07), 0.07),
    "momentum": (momentum, lambda w: optim.SGD(w, lr=0.01, momentum=0.9), 0.01),
    "Adam": (adam, lambda w: optim.Adam(w, lr=0.3), 0.3),
}
paths = {}
for name, (rule, made, lr) in rules.items():
    w, memory, path = start, {}, [start]
    theirs = tcnn.tensor(start, requires_grad=True)
    optimizer = made([theirs])
    for t in range(1, 31):
        w = rule(w, steepness * w, t, memory, lr)
        path.append(w)
        optimizer.zero_grad()
        loss = (tcnn.tensor(steepness) * theirs * theirs).sum() / 2
        loss.backward()
        optimizer.step()
        assert np.allclose(theirs.numpy(), w)
    paths[name] = np.array(path)

figure, panels = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
w1, w2 = np.meshgrid(np.linspace(-4.5, 2, 131), np.linspace(-1.1, 1.1, 111))
height = (w1**2 + 25 * w2**2) / 2
for panel, (name, path) in zip(panels, paths.items()):
    panel.contour(w1, w2, height, levels=[0.1, 0.5, 1.5, 3, 5, 8, 12, 16], colors="0.75", linewidths=0.8)
    panel.plot(*path.T, "o-", color="#0072b2", ms=3, lw=1)
    panel.plot(0, 0, "x", color="#d55e00", ms=9, mew=2)
    panel.set(title=f"{name}, lr {rules[name][2]}", xlabel="$w_1$")
panels[0].set_ylabel("$w_2$")
viz.show(
    figure,
    "Thirty steps of three rules in a long valley, from the left towards the cross in the middle. SGD jumps from side "
    "to side at first and creeps along the floor; momentum swings and overshoots; Adam goes diagonally and curves in.",
)

# %% [markdown]
# SGD has one learning rate for both directions. Across the valley it must be below 2/25 = 0.08, or each jump would
# end higher than it began; along the valley that is slow. Momentum adds up what all gradients agree on. It
# overshoots, and so does Adam later on. But Adam's first step is equally long in both directions, although one
# gradient is five times the other: it sees no valley.

# %%
gradient, step = steepness * start, paths["Adam"][1] - start
print("first gradient:", gradient, " Adam's first step:", step)
assert abs(gradient[1] / gradient[0]) == 5
assert np.allclose(np.abs(step), 0.3)

too_large = start
for _ in range(30):
    too_large = too_large - 0.081 * steepness * too_large
assert abs(too_large[1]) > abs(start[1])  # above 2/25 it climbs

# %% [markdown]
# The library's rules are as short: `tinygrad_cnn/kernels/optimizers.py`.
#
# Now the same three with LeNet-5, four epochs each. `training.fit` is the five lines with a record of every epoch
# (`tinygrad_cnn/training/loop.py` has them). All three begin with the same weights and see the images in the same
# order.

# %%
makers = {
    "SGD": lambda w: optim.SGD(w, lr=0.05),
    "momentum": lambda w: optim.SGD(w, lr=0.02, momentum=0.9),
    "Adam": lambda w: optim.Adam(w, lr=0.003),
}
runs = {}
for name, made in makers.items():
    tcnn.manual_seed(0)
    model = models.LeNet5()
    runs[name] = training.fit(model, batches(), made(model.parameters()), epochs=4, val_loader=held_loader)
    print(f"{name:9} {runs[name].last['val_accuracy']:.1%} of the held out right, {sum(runs[name]['seconds']):.1f} s")
assert runs["Adam"]["val_loss"][0] < runs["SGD"]["val_loss"][0]

viz.show(
    viz.plot.learning_curves(runs, validation="held out"),
    "Loss and accuracy of the three runs over four epochs: Adam is ahead from the first epoch; SGD and momentum are "
    "slow at first and then follow.",
)

# %% [markdown]
# Compare the first epoch: Adam has a start. Do not read more into it. With other learning rates, more epochs or a
# schedule the order changes, and well-tuned SGD with momentum trained most of the networks of tutorials 14 and 15.
#
# ## Reading a loss curve
#
# The learning rate is the number to get right first. Adam with three of them, three epochs each, the loss of every
# step:

# %%
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
look = {0.0001: ("too small", "#56b4e9"), 0.003: ("right", "#0072b2"), 0.1: ("too large", "#d55e00")}
images, labels = (tcnn.tensor(part) for part in held.get_batch(range(len(held))))
dead = {}
for lr, (name, colour) in look.items():
    tcnn.manual_seed(0)
    model = models.LeNet5()
    optimizer = optim.Adam(model.parameters(), lr=lr)
    losses = [
        training.train_step(model, x, y, optimizer)[0].item()  # the five lines
        for _ in range(3)
        for x, y in batches()
    ]
    axes.plot(losses, color=colour, label=f"{lr}: {name}")
    found = training.layer_histograms(model, images, labels, layers=["features.relu2"])
    dead[name] = next(h.dead for h in found if h.kind == "activations")
    print(f"lr {lr}: {np.mean(losses[-10:]):.2f} at the end, {dead[name]:.0%} of the 16 maps of conv2 are dead")
    if name == "right":
        assert np.mean(losses[-10:]) < 0.6
    else:
        assert np.mean(losses[-10:]) > 1.2
axes.axhline(np.log(10), color="grey", ls=":", label="log 10: knows nothing")
axes.set(xlabel="step", ylabel="loss", ylim=(0, 3.2))
axes.legend(ncols=2)
viz.show(
    figure,
    "Three curves that begin at log 10 = 2.3. Too small: smooth, and still high after all steps. Right: falls fast, "
    "then slowly, with some noise. Too large: a jump upwards, and then jitter around log 10 for ever.",
)

# %% [markdown]
# Three things to recognise:
#
# - **Falls, but like a glacier**: too small. The curve is still going straight down when you stop. Three to ten times
#   more.
# - **Jumps up, then stays near log 10**: too large. The first steps threw the weights so far that many ReLUs are off
#   for *every* image. An off ReLU has slope 0, so no gradient comes through from any image, and its weights stay as
#   they are. It is **dead**. The printed shares say so. (Or the loss becomes NaN; `train_step` then stops with a
#   message.)
# - **Falls fast, then flattens and jitters**: right. The jitter is the difference between one batch of 32 and the
#   next.
#
# And if the training loss falls while the held-out loss *rises*, the network learns by heart: tutorial 13.

# %%
assert dead["too large"] > 0.9
assert dead["right"] < 0.5

# %% [markdown]
# ## A schedule, and a longer training
#
# A large learning rate comes far, a small one comes near. A **schedule** takes one after the other. `OneCycleLR`
# rises for three tenths of the training, so that the fresh network is not thrown about, and then falls to almost
# nothing. All decisions are made, so now we learn from all training images, each shifted by up to two pixels at
# random (`augment=True`), and look at the test images. `LayerHistograms` writes down what happens inside; it does not
# change anything.

# %%
tcnn.manual_seed(0)
digits = data.load("digits", augment=True)
model = models.LeNet5()
before = model.features.conv1.weight.numpy().copy()

epochs = 10
loader = data.DataLoader(digits.train, batch_size=32, shuffle=True)
test_loader = data.DataLoader(digits.test, batch_size=128)
optimizer = optim.Adam(model.parameters(), lr=0.003)
schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.003, total_steps=epochs * len(loader))
watch = training.LayerHistograms(
    every=30, layers=["features.conv1", "features.conv2", "classifier.fc1", "classifier.fc3"]
)
history = training.fit(
    model, loader, optimizer, epochs=epochs, scheduler=schedule, val_loader=test_loader, callbacks=[watch]
)
print(history)
viz.show(
    viz.plot.learning_curves(history, validation="test", lr=True),
    "Loss, accuracy and learning rate over ten epochs. Both losses fall towards 0, both accuracies rise; the learning "
    "rate rises for three epochs and falls for the rest.",
)
assert history.last["val_accuracy"] > 0.95

# %% [markdown]
# The test curve is ahead of the training curve at first, which looks wrong. There are two reasons. The training
# images are shifted and so are harder, and they are counted during the epoch, while the network is still getting
# better.
#
# ## What the filters became
#
# The six 5×5 filters of the first layer, before and after:

# %%
after = model.features.conv1.weight.numpy()
figure, rows = plt.subplots(2, 6, figsize=(8, 3), layout="constrained")
most = float(np.abs(after).max())
for panels, filters in zip(rows, (before, after)):
    for panel, kernel in zip(panels, filters):
        shown = panel.imshow(kernel[0], cmap="PuOr_r", vmin=-most, vmax=most)
        panel.set(xticks=[], yticks=[])
rows[0, 0].set_ylabel("before")
rows[1, 0].set_ylabel("after")
figure.colorbar(shown, ax=rows, label="weight")
viz.show(
    figure,
    "Two lines of six 5×5 pictures. Before: small random weights. After: the same pictures with stronger colours, in "
    "which positive and negative weights lie together in patches and stripes.",
)


# %% [markdown]
# Neighbouring weights have become more alike: a filter that looks for an edge has positive weights on one side and
# negative ones on the other. Let us measure that, after subtracting each filter's mean: the mean product of each
# weight with its right and lower neighbours, relative to the mean square. Random weights give about 0.


# %%
def smoothness(w):
    w = w - w.mean(axis=(2, 3), keepdims=True)
    right, below = w[..., :, 1:] * w[..., :, :-1], w[..., 1:, :] * w[..., :-1, :]
    return (right.mean() + below.mean()) / (2 * (w**2).mean())


print(f"before {smoothness(before):.2f}, after {smoothness(after):.2f}")
assert smoothness(after) > smoothness(before) + 0.05

# %% [markdown]
# What they make of a digit, behind the ReLU:

# %%
x, label = digits.test[3]
viz.show(
    viz.plot.feature_maps(model, x[None], "features.relu1"),
    f"The digit {label} and six feature maps of it. Each lights up at something else: the ink, edges on one side of "
    "it, or the empty background; dark is 0.",
)

# %% [markdown]
# ## What happened inside
#
# In the next picture each row is a layer and time goes from left to right. A column of pixels is a histogram, bright
# where many values are. Left the outputs of the layers, right the sizes of their gradients, as powers of ten.

# %%
viz.show(
    viz.plot.histograms(watch, kinds=("activations", "gradients")),
    "Heat maps for four layers. The outputs spread while the network learns, most of all the scores of fc3. Most "
    "gradients shrink by powers of ten, in all layers alike.",
)


# %%
def middle(layer, kind, step):
    """The median of what was recorded: of sizes, as a power of ten, for gradients."""
    h = next(h for h in watch.histograms if (h.layer, h.kind, h.step) == (layer, kind, step))
    below = np.cumsum(h.counts) / h.counts.sum()
    return h.low + (h.high - h.low) * np.searchsorted(below, 0.5) / len(h.counts)


rms = {(h.layer, h.kind, h.step): h.rms for h in watch.histograms}
first, last = 1, max(h.step for h in watch.histograms)
scores = [rms["classifier.fc3", "activations", step] for step in (first, last)]
sizes = [middle("classifier.fc3", "gradients", step) for step in (first, last)]
print(
    f"a typical score: {scores[0]:.2f}, then {scores[1]:.1f}; its gradient: 10^{sizes[0]:.1f}, then 10^{sizes[1]:.1f}"
)
assert scores[1] > 10 * scores[0]
assert sizes[1] < sizes[0] - 1
assert rms["features.conv1", "gradients", last] > rms["classifier.fc3", "gradients", last] / 1000

# %% [markdown]
# The scores grow: the network becomes sure. Most gradients shrink by powers of ten: what is right needs no
# correction, and the few images that are not yet read with certainty have the rest to themselves. That all layers
# shrink alike is a good sign. If the gradients of the first layer were less than a thousandth of the last one's, it
# would hardly learn, and the picture would say *vanishing*.
#
# ## The mistakes
#
# In the **confusion matrix** rows are what the digit is, columns what the network says. What is right lies on the
# diagonal.

# %%
result = training.evaluate(model, test_loader, confusion=True)
viz.show(
    viz.plot.confusion_matrix(result.confusion),
    "A 10×10 table of counts. Nearly all of the 359 test digits lie on the diagonal; a few single ones do not.",
)
wrong = int(result.confusion.sum() - np.trace(result.confusion))
print(f"{wrong} of {result.samples} wrong: {wrong / result.samples:.1%}")
assert result.samples == 359
assert wrong < 18

# %%
test_images, test_labels = (tcnn.tensor(part) for part in digits.test.get_batch(range(len(digits.test))))
with tcnn.no_grad():
    probabilities = F.softmax(model(test_images), 1).numpy()
viz.show(
    viz.plot.misclassified(test_images, test_labels, probabilities),
    f"The {wrong} test digits that were taken for another, each with what it was taken for and what it is.",
)

# %% [markdown]
# Look at each and decide: would you have read it? The images were 8×8 pixels once, so some are hard. With so few
# mistakes the error is not known exactly, either: one digit more or less is 0.3 points. Compare networks on more
# images, or over several seeds.

# %%
assert 0.002 < 1 / 359 < 0.003
sure = probabilities.max(axis=1)
right = probabilities.argmax(axis=1) == test_labels.numpy()
print(f"how sure it is, on average: {sure[right].mean():.1%} where it is right", end="")
print(f", {sure[~right].mean():.1%} where it is wrong" if wrong else "")
assert not wrong or sure[~right].mean() < sure[right].mean()

# %% [markdown]
# ## Why did it say that?
#
# Two ways to ask, for the three digits about which it was least sure. **Occlusion**: cover a square, and see how much
# of the probability is lost; orange marks what the decision needs, purple what speaks against it. **Saliency**: the
# size of the gradient of the score with respect to each pixel, which is one walk back.

# %%
unsure = np.argsort(sure)[:3]
some = test_images[tcnn.tensor(unsure)]
print("they are", test_labels.numpy()[unsure], "and it says", probabilities[unsure].argmax(axis=1))
viz.show(
    viz.plot.occlusion(model, some, classes=digits.classes),
    "Three digits, and below each a map of the probability that is lost when a square there is covered: orange where "
    "the decision needs the pixels, purple where they speak against it.",
)
viz.show(
    viz.plot.saliency(model, some, classes=digits.classes),
    "The same three digits, and below each the pixels to which its score is most sensitive: bright at some places in "
    "and beside the strokes, dark elsewhere.",
)

# %% [markdown]
# ## Keep it, and use it
#
# A file of weights holds numbers under names, no program. To read it you need the same network.

# %%
training.save_weights(model, "lenet5.safetensors")

again = models.LeNet5()
training.load_weights(again, "lenet5.safetensors")
assert np.array_equal(again(test_images[:8]).numpy(), model(test_images[:8]).numpy())
print(*(f"{name} {value.shape}" for name, value in again.state_dict().items()), sep="\n")

# %% [markdown]
# Your own handwriting is read on the command line. The first command trains (with a recipe like the one above) and
# leaves a folder with weights and pictures; the second takes any picture of one digit, from a paint program or a
# photograph:
#
# ```sh
# tcnn train lenet5
# tcnn predict my_digit.png
# ```
#
# The picture must become what the network has learned from: one digit that fills the image, light on dark, with the
# same mean and standard deviation. `tinygrad_cnn/cli/images.py` does that. Here is the same in short, with digits the
# network has never seen the like of: the bitmaps of tutorial 10.

# %%
ink = (digit_bitmaps().reshape(10, 1, 12, 7)[:, :, 1:-1] + 1) / 2  # without the empty rows; 1 is ink, 0 paper
own = np.zeros((10, 1, 10, 10), dtype=np.float32)
own[:, :, :, 1:8] = ink  # in the middle of a square
own = data.transforms.Resize((28, 28)).batch(own)
own = data.transforms.Normalize(digits.info.mean, digits.info.std).batch(own)
with tcnn.no_grad():
    said = F.softmax(model(tcnn.tensor(own)), 1).numpy()

figure, panels = plt.subplots(1, 10, figsize=(10, 1.6), layout="constrained")
for panel, image, p in zip(panels, own, said):
    panel.imshow(image[0], cmap="gray")
    panel.set(xticks=[], yticks=[])
    panel.set_title(f"{p.argmax()}? {p.max():.0%}", fontsize=9)
viz.show(figure, "The ten bitmaps, enlarged and blurred; above each what the network says, and how sure it is.")
assert np.allclose(said.sum(axis=1), 1)
print(f"{(said.argmax(axis=1) == np.arange(10)).sum()} of 10 are read as they are meant")

# %% [markdown]
# Read the percentages with care. The ten always add up to 100 %, whatever the picture shows, a cat or a letter. The
# network has learned from 1,438 handwritten digits, and cannot say "I do not know". (The network of 1998 could: its
# bitmaps may all be far away.)
#
# ## The same with MNIST
#
# 60,000 images instead of 1,438, and real 28×28 pixels. If the files are not on your machine, this cell says so;
# `data.load("mnist")` would download them (12 MB), and `tcnn train lenet5 --data mnist` does all of this.

# %%
try:
    mnist = data.load("mnist", download=False)
except data.DataError:
    print("MNIST is not here, so all of this page is about scikit-learn's digits.")
else:
    tcnn.manual_seed(0)
    model = models.LeNet5()
    loader = data.DataLoader(mnist.train, batch_size=64, shuffle=True)
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.003, total_steps=len(loader))
    test_loader = data.DataLoader(mnist.test, batch_size=256)
    history = training.fit(model, loader, optimizer, epochs=1, scheduler=schedule, val_loader=test_loader)
    print(f"MNIST, one epoch: {history.last['val_accuracy']:.2%} of {len(mnist.test):,} test images right")
    assert history.last["val_accuracy"] > 0.97

# %% [markdown]
# ## Exercises
#
# 1. **Gradient descent with momentum**: `tcnn exercise check sgd`
# 2. **Adam**, with the corrected means: `tcnn exercise check adam`
# 3. **LeNet-5 of layers**: `tcnn exercise check lenet5`; then `tcnn exercise train lenet5 --mine` trains it with your
#    own functions beside the library's.
#
# And on paper: why is Adam's first step η long in every direction, whatever the gradient? With momentum 0.9 and a
# gradient that stays the same, how long do steps become in the end? And if the loss were ten times as large, which of
# the three rules would take (almost) the same steps?
#
# ## Further reading
#
# - H. Robbins and S. Monro (1951), "A stochastic approximation method".
# - I. Sutskever, J. Martens, G. Dahl and G. Hinton (2013), "On the importance of initialization and momentum in deep
#   learning".
# - D. Kingma and J. Ba (2015), "Adam: a method for stochastic optimization".
# - L. Smith and N. Topin (2018), "Super-convergence: very fast training of neural networks using large learning
#   rates": one cycle.
# - K. Simonyan, A. Vedaldi and A. Zisserman (2014), "Deep inside convolutional networks": saliency; M. Zeiler and R.
#   Fergus (2014), "Visualizing and understanding convolutional networks": occlusion.

# %% [markdown]
# # 13 · Dropout, augmentation, weight decay
#
# *A network can learn its training images by heart. How to see it, three remedies, and how to choose honestly. Runs
# offline, in about a minute.*
#
# **What you will be able to do:** recognise overfitting in two curves, explain and compute dropout, augmentation and
# weight decay, stop a training early, and say which images may decide what.
#
# You need tutorials 4 and 11: an MLP, and how a network is trained.

# %%
import functools
import inspect
import itertools

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, ops, optim, training, viz
from tinygrad_cnn.data import transforms
from tinygrad_cnn.nn import functional as F

tcnn.manual_seed(0)
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"

# %% [markdown]
# ## By heart
#
# Few images and many weights: 200 digits to learn from, and a network of three fully connected layers. Its size is a
# choice of ours, and a careless one. Half of the training set, 719 digits, is **held out** with `digits.hold_out`: the
# network never learns from them, we only measure on them. This is the **validation set**. The test set stays untouched
# until the end.

# %%
digits = data.load("digits")
rest, held_out = digits.hold_out(0.5)
assert len(held_out) == 719
chosen = np.random.default_rng(0).permutation(len(rest))[:200]
few = data.Subset(rest, chosen)
validation = data.DataLoader(held_out, batch_size=len(held_out))


def network(p=0.0):
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(p)),  # with p = 0 nothing is dropped
        *(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(p)),
        nn.Linear(256, 10),
    )


@functools.cache  # a run that was made already is not made again
def train(p=0.0, images=few, weight_decay=0.0, seed=0, callbacks=()):
    tcnn.manual_seed(seed)
    model = network(p)
    loader = data.DataLoader(images, batch_size=40, shuffle=True)
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=weight_decay)
    history = training.fit(model, loader, optimizer, epochs=50, val_loader=validation, callbacks=callbacks)
    return model, history


model, history = train(seed=0)
weights = sum(w.numel() for w in model.parameters())
print(f"{weights:,} weights for {len(few)} images: {weights / len(few):,.0f} for each")
assert weights > 1000 * len(few)

# %%
epochs = np.array(history["epoch"])
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.3), layout="constrained")
for panel, name in zip(panels, ("loss", "accuracy")):
    on_training, on_validation = history[name], history[f"val_{name}"]
    panel.plot(epochs, on_training, "--", color=BLUE, label="training")
    panel.plot(epochs, on_validation, color=ORANGE, label="validation")
    panel.fill_between(epochs, on_training, on_validation, color=ORANGE, alpha=0.15, label="the gap")
    panel.set(xlabel="epoch", title=name)
    panel.grid(alpha=0.3)
panels[0].set_ylim(0, 1)
panels[1].set_ylim(0.8, 1.01)
panels[1].legend()
viz.show(
    figure,
    "Loss and accuracy over 50 epochs. On the training images the loss goes to 0 and the accuracy to 1. On the "
    "validation images the loss turns and rises a little, and the accuracy stays at about 0.92. The area between is "
    "shaded.",
)

lowest = history.best("val_loss")
print(f"training: {history['accuracy'][-1]:.1%}, validation: {history['val_accuracy'][-1]:.1%}")
print(f"lowest validation loss: {lowest['val_loss']:.3f}, in epoch {lowest['epoch']}")
print(f"validation loss at the end: {history['val_loss'][-1]:.3f}")
assert history["accuracy"][-1] == 1
assert 0.88 < history["val_accuracy"][-1] < 0.96
assert lowest["epoch"] < 35
assert history["val_loss"][-1] > 1.05 * lowest["val_loss"]

# %% [markdown]
# All 200 training digits are right, and of the others several in a hundred are wrong. The shaded **gap** is called
# **overfitting**. Look at the orange loss on the left: it falls, turns, and rises a little, while its accuracy hardly
# moves. The network gets surer and surer, also of its errors.
#
# More images would be the best remedy. What follows makes the most of those we have.
#
# ## Dropout
#
# In every step of training each neuron's output is set to 0 with probability $p$, anew for every image. With $h$
# neurons that is a draw from $2^h$ **thinned networks**, all of which share their weights. No neuron can rely on one
# certain other neuron being there, so each must learn something that is useful by itself.
#
# Here are all $2^4 = 16$ of a layer of four.

# %%
masks = np.array(list(itertools.product([0, 1], repeat=4)))  # (16, 4): 1 is kept
assert len(masks) == 2**4

figure, panels = plt.subplots(2, 8, figsize=(10, 3), layout="constrained")
for panel, mask in zip(panels.ravel(), masks):
    for y, keep in zip(range(4), mask):
        for left in (0.5, 1.5, 2.5):
            panel.plot([0, 1], [left, y], color="black" if keep else "0.9", linewidth=0.8, zorder=keep)
        panel.plot([1, 2], [y, 1.5], color="black" if keep else "0.9", linewidth=0.8, zorder=keep)
        panel.plot(1, y, "o", color=BLUE if keep else "white", markeredgecolor=BLUE if keep else "0.8", zorder=3)
    panel.plot([0, 0, 0, 2], [0.5, 1.5, 2.5, 1.5], "o", color=GREY, zorder=3)
    panel.set(xlim=(-0.3, 2.3), ylim=(-0.5, 3.5))
    panel.set_axis_off()
viz.show(
    figure,
    "Sixteen small networks of three inputs, four hidden neurons and one output. In each, other hidden neurons are "
    "blank and their lines pale: from all four dropped to all four kept.",
)

# %% [markdown]
# After training all neurons are there, and the next layer would get sums twice as large as it is used to, if $p =
# \tfrac12$. So those that are kept are scaled up in training:
#
# $$y = \frac{x \cdot \text{keep}}{1-p} \qquad\text{with keep} = 0 \text{ with probability } p\text{, else } 1$$
#
# Then the mean stays. With four neurons we can check it exactly: average the output over all 16 thinned networks.

# %%
x = np.array([1.0, 2.0, 3.0, 4.0])  # what the four neurons say
w = np.array([0.5, -1.0, 2.0, 0.25])  # the weights of the output
outputs = (x * masks / (1 - 0.5)) @ w  # (16,)
print("the 16 outputs:", outputs)
print("their mean:", outputs.mean(), " without dropout:", x @ w)
assert outputs.mean() == x @ w

# %% [markdown]
# And `F.dropout` on many ones: they become 0 or 2, and their mean stays near 1. In evaluation, after `model.eval()`, it
# does nothing. Forget that, and the network answers differently every time.

# %%
y = F.dropout(tcnn.ones(100_000), p=0.5).numpy()
print("values:", np.unique(y), " mean:", y.mean())
assert set(y) == {0, 2}
assert abs(y.mean() - 1) < 0.02

layer = nn.Dropout(0.5)
x = tcnn.randn(1000)
assert not np.array_equal(layer(x).numpy(), layer(x).numpy())
layer.eval()
assert np.array_equal(layer(x).numpy(), x.numpy())

# %% [markdown]
# Backward is as short: what was dropped did not act, so its gradient is 0; what was kept was multiplied by $1/(1-p)$,
# so its gradient is, too. The library does not even keep the mask. It remembers two numbers from which the same random
# numbers can be drawn again:

# %%
print(inspect.getsource(ops.Dropout))

x = tcnn.ones(8, requires_grad=True)
y = F.dropout(x, p=0.5)
y.backward(tcnn.ones(8))
print("y: ", y.numpy())
print("dx:", x.grad)
assert np.array_equal(x.grad, y.numpy())  # x and dy are ones here, so both are the mask, scaled

# %% [markdown]
# ## Augmentation
#
# A digit that is moved by two pixels shows the same digit. So move it, by another amount in every epoch, and the
# network must read it in 5·5 = 25 places. `data.load("digits", augment=True)` does this: two black pixels are added on
# all sides and a 28×28 window is cut out at random. Only training images are changed; validation and test images stay
# as they are.

# %%
augmented = data.load("digits", augment=True)
print(augmented.train.transform)
shifted = data.Subset(augmented.hold_out(0.5)[0], chosen)  # the same 200 digits

two = int(np.flatnonzero(few.get_batch(range(200))[1] == 2)[9])
versions = [few[two][0]] + [shifted[two][0] for _ in range(6)]
mirrored = transforms.RandomHorizontalFlip(p=1)(few[two][0])
figure, panels = plt.subplots(1, 8, figsize=(10, 1.55), layout="constrained")
titles = ["original", *[f"epoch {i}" for i in range(1, 7)], "mirrored: no 2"]
for panel, image, title in zip(panels, [*versions, mirrored], titles):
    panel.imshow(image[0], cmap="gray")
    panel.set_title(title, fontsize=10, color=ORANGE if "no" in title else "black")
    panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "A handwritten 2, six times shifted by up to two pixels, and mirrored: the mirror image is no digit at all.",
)
assert len({image.tobytes() for image in versions}) > 4  # chance may repeat one of the 25 shifts
assert np.array_equal(augmented.hold_out(0.5)[1][0][0], held_out[0][0])  # as it is

# %% [markdown]
# Which changes are harmless, nobody can tell but you. A cat in a mirror is a cat, so photographs are mirrored
# (`transforms.RandomHorizontalFlip`); a mirrored 2 is no 2. Our network agrees:

# %%
images, labels = held_out.get_batch(range(len(held_out)))
model.eval()
with tcnn.no_grad():
    reads = model(tcnn.tensor(images)).numpy().argmax(axis=1)
    reads_mirrored = model(tcnn.tensor(images[..., ::-1].copy())).numpy().argmax(axis=1)
for digit in (0, 8, 2):
    mine = labels == digit
    as_it_is, in_mirror = (reads[mine] == digit).mean(), (reads_mirrored[mine] == digit).mean()
    print(f"validation digits {digit}: {as_it_is:.0%} right, mirrored {in_mirror:.0%}")
assert (reads_mirrored[labels == 0] == 0).mean() > 0.8
assert (reads_mirrored[labels == 2] == 2).mean() < 0.5
assert not digits.info.mirror  # the library knows: augment=True does not mirror digits
assert data.catalogue.CIFAR10.mirror

# %% [markdown]
# ## Weight decay
#
# Learning by heart means telling apart images that are nearly alike: a small change in the input must make a large
# change in the output, and that takes large weights. So make large weights expensive. Add $\frac\lambda2\sum w^2$ to
# the loss; its gradient is $\lambda w$, and the step becomes
#
# $$w \leftarrow w - \mathrm{lr}\cdot(dw + \lambda w)$$
#
# This penalty is also called L2. With $w = 1$, $dw = 0.2$, $\mathrm{lr} = 0.1$ and $\lambda = 0.5$: $1 - 0.1\cdot(0.2 +
# 0.5) = 0.93$. Where the loss does not care, $dw = 0$, a weight loses the same share of itself at every step, here 5 %.
# Only weights that the data ask for again and again stay large.

# %%
w = nn.Parameter([1.0, 1.0])
optimizer = optim.SGD([w], lr=0.1, weight_decay=0.5)
w.grad = np.array([0.2, 0.0], dtype=np.float32)
optimizer.step()
print(w)
assert np.allclose(w.numpy(), [0.93, 0.95])

# %%
decayed, _ = train(weight_decay=0.01, seed=0)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
spread = {}
for name, trained, colour in (("without", model, GREY), ("with weight decay", decayed, BLUE)):
    values = trained[4].weight.numpy().ravel()  # the second layer, (256, 256)
    spread[name] = np.sqrt((values**2).mean())
    axes.hist(values, np.linspace(-0.12, 0.12, 97), histtype="step", color=colour, linewidth=1.8)
    axes.text(0.085, 1700 if colour == GREY else 1400, f"{name}: {spread[name]:.3f}", color=colour)
axes.text(0.085, 2000, "typical size")
axes.set(xlabel="weight of the second layer", yticks=[], xlim=(-0.12, 0.18))
viz.show(
    figure,
    "Histograms of the weights of the second layer. Without weight decay a box from −0.06 to 0.06 with soft edges, as "
    "it was drawn at first; with it a narrower and higher box.",
)
assert np.isclose(spread["without"], 1 / 16 / np.sqrt(3), rtol=0.15)  # drawn evenly from −1/16 to 1/16: 1/16/√3
assert spread["with weight decay"] < 0.85 * spread["without"]

# %% [markdown]
# The grey box is nearly what was drawn at the beginning: most weights never had a reason to change. With weight decay
# they fade. (With **Adam**, $\lambda w$ would go through the running means and be divided by the typical size of the
# gradient like everything else; **AdamW** therefore shrinks the weights directly, $w \leftarrow (1 -
# \mathrm{lr}\cdot\lambda)\,w$, before its step.)

# %%
for kind, expected in ((optim.Adam, 8 - 0.5), (optim.AdamW, 8 * (1 - 0.5 * 0.5) - 0.5)):
    w = nn.Parameter([8.0])
    w.grad = np.array([3.0], dtype=np.float32)
    kind([w], lr=0.5, weight_decay=0.5).step()  # Adam's first step has length lr, whatever the gradient
    print(kind.__name__, w.item())
    assert np.isclose(w.item(), expected)

# %% [markdown]
# ## All of them, measured
#
# Now each remedy alone, and all together, everything else being equal. One run says little, since chance enters with
# the first weights, the order of the images and the masks; so two runs of each with different seeds. The validation
# accuracy wavers from epoch to epoch; we take the mean of the last ten.

# %%
remedies = {
    "nothing": {},
    "dropout": {"p": 0.5},
    "augmentation": {"images": shifted},
    "weight decay": {"weight_decay": 0.01},
    "all three": {"p": 0.5, "images": shifted, "weight_decay": 0.01},
    "all, gentler": {"p": 0.2, "images": shifted, "weight_decay": 0.005},
}
everything = data.DataLoader(few, batch_size=200)
results = {}  # name -> (runs, 2 sets, 2 numbers)
for name, options in remedies.items():
    runs = []
    for seed in (0, 1):
        trained, record = train(**options, seed=seed)
        measured = training.evaluate(trained, everything)  # without dropout, without shifts
        after = [np.mean(record[f"val_{number}"][-10:]) for number in ("loss", "accuracy")]
        runs.append([[measured.loss, measured.metrics["accuracy"]], after])
    results[name] = np.array(runs)
    (train_loss, train_right), (val_loss, val_right) = results[name].mean(axis=0)
    print(
        f"{name:13} training {train_right:6.1%}, validation {val_right:.1%};  loss {train_loss:.3f} and {val_loss:.3f}"
    )

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained", sharey=True)
for row, runs in enumerate(results.values()):
    for shift, run in zip((-0.14, 0.14), runs):
        for panel, column in zip(panels, (1, 0)):
            on_training, on_validation = run[:, column]
            panel.plot([on_training, on_validation], [row + shift] * 2, color="0.8", linewidth=4, zorder=1)
            panel.plot(on_training, row + shift, "o", color=BLUE, markerfacecolor="white", label="training")
            panel.plot(on_validation, row + shift, "o", color=ORANGE, label="validation")
panels[0].set(xlabel="accuracy", yticks=range(len(results)), yticklabels=list(results))
panels[0].invert_yaxis()
panels[1].set(xlabel="loss")
dots = {line.get_label(): line for line in panels[0].lines}
figure.legend(handles=[dots["training"], dots["validation"]], loc="outside upper center", ncols=2)
for panel in panels:
    panel.grid(axis="x", alpha=0.3)
viz.show(
    figure,
    "For each remedy two runs as bars from training to validation, left in accuracy, right in loss. The validation "
    "dots of augmentation, and of all three in gentle doses, lie nearest to the training dots. With weight decay and "
    "with all three the training loss is no longer 0.",
)

nothing, better = results["nothing"].mean(axis=0), results["augmentation"].mean(axis=0)
assert nothing[0, 1] == 1
assert better[1, 1] > nothing[1, 1] + 0.005
assert better[1, 0] < nothing[1, 0]
assert results["weight decay"].mean(axis=0)[0, 0] > 5 * nothing[0, 0]  # no longer by heart
assert results["weight decay"].mean(axis=0)[1, 0] < nothing[1, 0]
assert all(abs(results[name].mean(axis=0)[1, 1] - nothing[1, 1]) < 0.02 for name in ("weight decay", "dropout"))
assert results["all three"].mean(axis=0)[0, 0] > 10 * nothing[0, 0]
assert abs(results["all, gentler"].mean(axis=0)[1, 1] - better[1, 1]) < 0.02

# %% [markdown]
# How to read it: the orange dots tell how good a network is, the length of a bar how far training deceives about it.
#
# - **Augmentation** helps most here. It adds what we know about digits, that is, almost new images.
# - **Weight decay** lowers the validation loss: the network is less sure of its errors. The accuracy hardly changes.
# - **Dropout** changes little in these runs. Two seeds are few: do not believe differences that are no larger than the
#   distance between two dots of the same row.
# - **All three** are not the sum of the three. At full strength they make learning so hard that after fifty epochs the
#   training loss is more than ten times that of *nothing*. In gentler doses they are about as good as augmentation
#   alone. A remedy against overfitting is of no use to a network that does not overfit.
#
# ## Stopping early
#
# The cheapest remedy is to stop when the validation loss no longer falls. `training.EarlyStopping` waits some epochs
# (its *patience*) for an improvement, stops, and gives back the weights of the best epoch.

# %%
stopping = training.EarlyStopping("val_loss", patience=8, restore_best=True)
stopped, short = train(callbacks=(stopping,))
print(short.stop_reason)
print(f"{len(short)} epochs instead of {len(history)}")
assert len(short) < len(history)
assert np.isclose(training.evaluate(stopped, validation).loss, stopping.best, rtol=1e-3)

# %% [markdown]
# ## Who may decide
#
# We have now chosen by looking at the validation set: which remedy, how strong, when to stop. Whoever chooses the best
# of many on some images will find there, by luck alone, a number that is too good. A thousand networks that guess at
# random show it. Each has 10 % in truth.

# %%
draw = np.random.default_rng(0)
answers = draw.integers(0, 10, size=(1000, 359))  # 1,000 guessers, 359 test digits
truth = digits.test.targets
accuracies = (answers == truth).mean(axis=1)
print(f"on average {accuracies.mean():.1%}, the best of them {accuracies.max():.1%}")
assert abs(accuracies.mean() - 0.1) < 0.005
assert accuracies.max() > 0.14

# %% [markdown]
# Therefore there are three sets. **Training images** change the weights. **Validation images** decide what we choose.
# **Test images** are looked at once, at the end, and decide nothing. By its accuracy we choose augmentation. Only now
# do we open the test set:

# %%
final, _ = train(images=shifted, seed=0)  # the network of the picture
tested = training.evaluate(final, data.DataLoader(digits.test, batch_size=359))
right = tested.metrics["accuracy"]
by_chance = np.sqrt(right * (1 - right) / 359)  # the standard deviation of a share, counted on 359 images
print(f"test accuracy after 200 training digits: {right:.1%} ± {by_chance:.1%}")
assert right > 0.88
assert 0.005 < by_chance < 0.02

# %% [markdown]
# It is not the validation accuracy, and need not be: these are other images, and with 359 of them chance alone makes
# about a hundredth.
#
# ## Exercises
#
# 1. **Dropout**, forward and backward: `tcnn exercise check dropout`
# 2. **A step of SGD** with momentum and weight decay: `tcnn exercise check sgd`
# 3. **A step of Adam**: `tcnn exercise check adam`
#
# On paper: a layer has $h = 20$ neurons. How many thinned networks are there? And: with $\mathrm{lr} = 0.02$ and
# $\lambda = 0.01$, without momentum, after how many steps has a weight that nobody asks for lost half of itself?
#
# ## Further reading
#
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014), "Dropout: a simple way to prevent
#   neural networks from overfitting".
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural networks":
#   all three remedies at once.
# - A. Krogh and J. Hertz (1992), "A simple weight decay can improve generalization".
# - I. Loshchilov and F. Hutter (2019), "Decoupled weight decay regularization".
# - L. Prechelt (1998), "Early stopping, but when?"
# - C. Zhang, S. Bengio, M. Hardt, B. Recht and O. Vinyals (2017), "Understanding deep learning requires rethinking
#   generalization": networks learn even random labels by heart.

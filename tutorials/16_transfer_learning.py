# %% [markdown]
# # 16 · Transfer learning and nearest neighbours
#
# *What a network has learned for one task, used for another of which there are only a few examples; and what "alike"
# means to a network. Runs offline with the digits, with CIFAR-10 if it is there; about a minute.*
#
# **What you will be able to do:** give a trained network a new last layer, freeze what must not change and check that
# it does not, let the rest learn slowly; find the images that a network holds for most alike, and measure how often it
# is right; say when all this helps and when it does not.
#
# You need tutorials 4 (cross-entropy, training) and 11 (LeNet-5).

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, kernels, models, nn, optim, training, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.random import Generator

# %% [markdown]
# ## Two tasks
#
# Take ten classes and cut them in two. Of the first five, the **old task**, there are many images with labels. Of the
# other five, the **new task**, there are 2, 5 or 20 images a class. That is the usual situation: labels are what costs.
#
# With CIFAR-10 the old task is airplane, automobile, bird, cat and deer, and the new one dog, frog, horse, ship and
# truck. Without it, and so in the version of this page that comes with the package, the old task is the digits 0 to 4,
# the new one the digits 5 to 9. Where the two kinds of images behave differently, the text says so.

# %%
try:
    train, test, classes, info = data.load("cifar10", download=False)
except data.DataError:  # the files are not there
    train, test, classes, info = data.load("digits")
photographs = info.name == "cifar10"
OLD, NEW = range(5), range(5, 10)
C, H, W = info.image_shape


def some(dataset, labels, count, seed=0):
    """At most `count` images of each class, drawn at random; the classes are counted from 0 in each task."""
    draw = np.random.default_rng(seed)
    places = [draw.permutation(np.flatnonzero(dataset.targets == label))[:count] for label in labels]
    images, targets = dataset.get_batch(np.concatenate(places))
    return data.TensorDataset(images, targets - labels[0])


old = some(train, OLD, 2000)
old_test, new_test = some(test, OLD, 100), some(test, NEW, 100)
print(f"this page was made with: {info.title}")
print("old task:", ", ".join(classes[:5]), "–", len(old), "images; new task:", ", ".join(classes[5:]))

# %% [markdown]
# A LeNet-5 with five outputs learns the old task. All that follows uses the same two functions: `learn` takes a number
# of steps with Adam, `accuracy` asks for images that the network has not seen.

# %%


def lenet(seed):
    return models.LeNet5(num_classes=5, in_channels=C, image_size=H, generator=Generator(seed))


def learn(model, samples, parameters, lr=0.002, steps=100, batch=20, seed=0):
    loader = data.DataLoader(samples, batch, shuffle=True, generator=Generator(seed))
    training.fit(model, loader, optim.Adam(parameters, lr=lr), epochs=max(1, steps // len(loader)), metrics=())


def accuracy(model, samples):
    return training.evaluate(model, data.DataLoader(samples, 250))["accuracy"]


tcnn.manual_seed(0)
teacher = lenet(seed=0)
learn(teacher, old, teacher.parameters(), steps=400 if photographs else 150, batch=64)
print(f"old task, images it has not seen: {accuracy(teacher, old_test):.1%} right; by chance it would be 20 %")
assert accuracy(teacher, old_test) > (0.5 if photographs else 0.95)

# %% [markdown]
# ## A new last layer
#
# A network has two parts. All layers but the last turn an image into a list of numbers, its **features**: in LeNet-5
# `classifier.fc2` gives 84 of them. The last layer, the **head**, is a linear classifier of these numbers, after a
# ReLU. Its outputs
# are the old classes, so it is of no use for the new ones. `replace_head` puts an untrained layer in its place.
#
# `freeze` then keeps all else as it is: a frozen parameter gets no gradient, and the optimizer passes over it. This is
# transfer learning with a **fixed feature extractor**.

# %%
few = some(train, NEW, 20, seed=0)

student = copy.deepcopy(teacher)
models.freeze(student)
head = models.replace_head(student, 5, generator=Generator(1))
print(
    f"new layer: {head}; {student.num_parameters(trainable_only=True)} of {student.num_parameters():,} parameters learn"
)
assert student.num_parameters(trainable_only=True) == 84 * 5 + 5

before = copy.deepcopy(student).state_dict()
learn(student, few, student.parameters(), lr=0.005)

changed = [name for name, values in student.state_dict().items() if (values.numpy() != before[name].numpy()).any()]
print("changed by learning:", ", ".join(changed))
assert changed == [f"{head}.weight", f"{head}.bias"]  # all others are the same to the last bit

# %% [markdown]
# Freezing saves work, too. Backward only goes where a gradient is wanted, and below the head nobody wants one. The
# number of nodes that backward visits tells how far it has to go.

# %%
x, y = (tcnn.tensor(array) for array in few.get_batch(range(10)))
visits = {}
for name, model in (("nothing frozen", teacher), ("all frozen but the head", student)):
    loss = F.cross_entropy(model(x), y)
    visits[name] = len(kernels.toposort(loss.node))
print("nodes on the way back:", visits)
assert visits["all frozen but the head"] < visits["nothing frozen"] / 4

# %% [markdown]
# **Batch normalisation needs more care** (LeNet-5 has none; the networks of tutorial 15 may). Its running mean and
# variance are no parameters: they have no gradient, they follow the batches whenever the module is in training mode.
# Taking away the gradients is therefore not enough. `freeze` also keeps the statistics, which PyTorch leaves to you.
# Dropout has learned nothing; it goes on dropping in training mode.

# %%
for freeze in (lambda module: module.requires_grad_(False), models.freeze):
    norm = nn.BatchNorm2d(C)
    freeze(norm)
    norm.train()  # as every training loop does
    norm(x + 3)
    print("running mean:", norm.running_mean.numpy())
assert not norm.running_mean.numpy().any()  # the second: still 0, where it began

# %% [markdown]
# ## Fine-tuning
#
# Instead of keeping the old layers fixed, one can let them learn on, but slowly: what was learned from many images
# should not be thrown away for a few. So the parameters fall into groups, each with a learning rate of its own. A usual
# choice, here too, is a tenth for the old part. Here the convolutions, `features`, are kept from the old task, and the
# three fully connected layers begin anew.

# %%
tuned = lenet(seed=1)
tuned.features.load_state_dict(teacher.features.state_dict())
groups = models.parameter_groups(tuned, 0.002, {"features": 0.0002})
for group in groups:
    print(f"{group['name'] or 'all else':9} lr {group['lr']}, {sum(p.numel() for p in group['params']):,} numbers")
before = copy.deepcopy(tuned).state_dict()
learn(tuned, few, groups)
after = tuned.state_dict()
moved = {
    name: (after[name] - before[name]).abs().mean().item()
    for name in ("features.conv1.weight", "classifier.fc1.weight")
}
for name, distance in moved.items():
    print(f"{name}: a weight moved by {distance:.4f} on average")
assert 0 < moved["features.conv1.weight"] < moved["classifier.fc1.weight"]

# %% [markdown]
# ## What it brings
#
# Four ways to learn the new task, each with 2, 5 and 20 images a class, 100 steps every time. One training says little:
# with ten images it matters which ten. So each is done three times, with other images and other first weights, and the
# picture shows all three.


# %%
def from_scratch(few, seed):
    model = lenet(100 + seed)
    learn(model, few, model.parameters(), seed=seed)
    return model


def new_head_only(few, seed):
    model = copy.deepcopy(teacher)
    models.freeze(model)
    models.replace_head(model, 5, generator=Generator(seed))
    learn(model, few, model.parameters(), lr=0.005, seed=seed)
    return model


def convolutions_frozen(few, seed):
    model = lenet(100 + seed)
    model.features.load_state_dict(teacher.features.state_dict())
    models.freeze(model, "features")
    learn(model, few, model.parameters(), seed=seed)
    return model


def convolutions_fine_tuned(few, seed):
    model = lenet(100 + seed)
    model.features.load_state_dict(teacher.features.state_dict())
    learn(model, few, models.parameter_groups(model, 0.002, {"features": 0.0002}), seed=seed)
    return model


SHOTS, SEEDS = (2, 5, 20), (0, 1, 2)
ways = (from_scratch, new_head_only, convolutions_frozen, convolutions_fine_tuned)
results = {
    way.__name__.replace("_", " "): np.array(
        [[accuracy(way(some(train, NEW, count, seed), seed), new_test) for seed in SEEDS] for count in SHOTS]
    )
    for way in ways
}  # each (3 counts, 3 seeds)

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
looks = zip(results.items(), ("#d55e00", "#cc79a7", "#0072b2", "#009e73"), "os^v", (-1.5, -0.5, 0.5, 1.5))
for (name, right), colour, marker, shift in looks:
    places = np.array(SHOTS) * 1.05**shift  # beside each other, so that no mark hides another
    axes.plot(places, right.mean(axis=1), color=colour, label=name)
    axes.plot(places, right, marker, color=colour, alpha=0.6)
axes.set(xscale="log", xticks=SHOTS, xticklabels=SHOTS, xlabel="images a class to learn from", ylabel="test accuracy")
axes.minorticks_off()
axes.grid(alpha=0.3)
axes.legend()
viz.show(
    figure,
    "Test accuracy on the new task against the number of images a class, four curves of means with three dots each. "
    "With digits the three that learn a whole new classifier run close together and the new head alone far below; with "
    "photographs learning from scratch is the lowest.",
)

# %%
for name, right in results.items():
    print(
        f"{name:24}",
        *(f"{n:3} images: {100 * r.mean():.1f} ± {100 * r.std(ddof=1):.1f} %" for n, r in zip(SHOTS, right)),
    )
means = {name: right.mean(axis=1) for name, right in results.items()}
assert (np.abs(means["convolutions frozen"] - means["convolutions fine tuned"]) < 0.05).all()
if photographs:
    assert (means["new head only"] > means["from scratch"] + 0.02).all()
    assert (means["convolutions frozen"] > means["from scratch"] + 0.02).all()
    assert means["new head only"][0] > means["convolutions frozen"][0]
    assert means["new head only"][2] < means["convolutions frozen"][2]
else:
    upper = ("from scratch", "convolutions frozen", "convolutions fine tuned")
    assert all((means["new head only"] < means[name] - 0.05).all() for name in upper)
    assert all(means[name][2] > 0.9 for name in upper)
    assert np.ptp([means[name][:2] for name in upper], axis=0).max() < np.ptp(results["from scratch"][:2], axis=1).min()

# %% [markdown]
# **With the digits**, look at the lowest curve first. The head alone is worse than starting anew. The 84 features tell
# 0, 1, 2, 3 and 4 apart; what distinguishes a 5 from an 8 was of no use for that, and much of it is gone. Keep only the
# convolutions, and nothing is lost: they see strokes, which all digits have. Little is gained, too. The digits are so
# easy that with twenty images a class all three read more than nine of ten, and with fewer the three upper curves
# differ by less than the dots of one of them: a single training each could have "shown" any order.
#
# **With CIFAR-10** learning from scratch is the lowest curve. Photographs are difficult, and the few say little; what
# was learned from ten thousand others is worth several points, whichever way it is used. With two images a class it is
# best to keep everything but the head; with twenty, there is enough to learn a new classifier on the old convolutions.
#
# Both times it is the same rule: first layers are general, last ones specific to their task. How much of a network to
# keep depends on how close the tasks are and how many images there are. And ImageNet's thousand classes leave a network
# with much more general features than our five do: a last hidden layer of AlexNet can be used for almost any
# photograph.
#
# Frozen and fine-tuned hardly differ here: a hundred steps at a tenth of the rate do not move the convolutions far.
#
# ## Nearest neighbours
#
# Another way to use features, without any learning: two images are alike if their features point in the same direction.
# As a distance we take one minus the cosine of the angle between the two lists of numbers. The AlexNet paper shows such
# a picture (its figure 4, by Euclidean distance):
# beside a photograph the six that are nearest in the last hidden layer. There, neighbours
# show the same thing from other sides, while their pixels have little in common.
#
# Here are four test images of the **new** task, each with its neighbours among 500 images of the same five classes,
# first by their pixels, then by the 84 numbers of the last hidden layer. The teacher has not seen one image of these
# classes. A frame and ≠ mark a neighbour of another class.

# %%
bank = some(train, NEW, 100)
asked = new_test.get_batch(np.arange(4) * len(new_test) // 5 + 3)
for model, layer, title in ((nn.Flatten(), "", "pixels"), (teacher, "classifier.fc2", "the last hidden layer")):
    figure = viz.plot.neighbours(
        model, asked, bank.arrays, layer, k=6, metric="cosine", classes=classes[5:], title=f"nearest in {title}"
    )
    figure.set_size_inches(0.75 * figure.get_size_inches())
    viz.show(
        figure,
        "Four rows, one for each of four classes that the network has never seen: left an image, beside it the six "
        f"nearest in the space of {title}, with distances. Those of another class have a frame.",
    )

# %% [markdown]
# How often are neighbours of the same class? **Precision at k** is the share of the k nearest that are. We measure it
# for k = 5 in three spaces: the pixels, the output of the convolutions (`features`), and the last hidden layer
# (`classifier.fc2`); for classes that the teacher has learned, and for those that it has not.


# %%
def space(samples, layer):
    """The images as vectors, one a row: their pixels, or what a layer of the teacher makes of them."""
    if layer == "pixels":
        return samples.arrays[0].reshape(len(samples), -1)
    return models.features(teacher, data.DataLoader(samples, 250), layer).flatten(1).numpy()


def precision_at(k, asked, known, layer):
    near = models.nearest_neighbours(space(asked, layer), space(known, layer), k=k, metric="cosine")
    return (known.arrays[1][near.indices] == asked.arrays[1][:, None]).mean()


SPACES = ("pixels", "features", "classifier.fc2")
precision = {}
for task, asked, known in (("old", old_test, some(train, OLD, 100)), ("new", new_test, bank)):
    for layer in SPACES:
        precision[task, layer] = precision_at(5, asked, known, layer)
        print(f"{task} classes, {layer:15} {precision[task, layer]:.1%} of the five nearest are of the same class")
if photographs:
    assert precision["old", "classifier.fc2"] > precision["old", "pixels"] + 0.05
    assert precision["new", "features"] > precision["new", "pixels"] + 0.02
else:
    assert min(precision["old", "classifier.fc2"], precision["old", "pixels"], precision["new", "pixels"]) > 0.95
    assert precision["new", "classifier.fc2"] < precision["new", "features"] - 0.1

# %% [markdown]
# For classes that it knows, the last hidden layer is a good place to look: there the network has brought together what
# belongs together. This is the case of AlexNet's figure. For classes that it does not know, the answer depends. The
# digits lie in the middle and are all of one size, so their pixels are a good space already, and the last hidden layer
# mixes up what it was never asked to tell apart. Photographs must not be compared pixel by pixel: a horse that stands
# further left is another list of numbers altogether. There the features of the convolutions help, also with classes
# that were never seen.
#
# Neighbours can classify: give an image the label of its nearest one among the few. Nothing is trained, and a new class
# costs nothing but its images.

# %%
for layer in SPACES:
    rates = []
    for count in SHOTS:
        draws = [precision_at(1, new_test, some(train, NEW, count, seed), layer) for seed in SEEDS]
        rates.append(f"{count} images a class: {100 * np.mean(draws):.1f} %")
    print(f"nearest neighbour in {layer:15}", *rates, sep="   ")

# %% [markdown]
# ## A map of the features
#
# 84 numbers cannot be drawn, two can. **Principal components** are the two directions in which points differ most:
# subtract the mean, take the first two rows of $V^\top$ from the singular value decomposition $X =
# U\,\mathrm{diag}(s)\,V^\top$, and project. It is a shadow of the space: what is apart in it is apart, what overlaps
# may still be apart in other directions.


# %%
def shadow(X):
    """(n, d) -> (n, 2), and the share of all differences that the two directions show."""
    X = X - X.mean(axis=0)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return X @ Vt[:2].T, (s[:2] ** 2).sum() / (s**2).sum()


figure, panels = plt.subplots(2, 2, figsize=(9, 7.6), layout="constrained")
colours = np.array(["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"])
for row, task, samples, names in ((0, "old", old_test, classes[:5]), (1, "new", new_test, classes[5:])):
    for panel, layer in zip(panels[row], ("pixels", "classifier.fc2")):
        points, share = shadow(space(samples, layer))
        for label, name in enumerate(names):
            panel.scatter(*points[samples.arrays[1] == label].T, s=12, color=colours[label], label=name)
        panel.set(title=f"{task} classes, {layer}\n{share:.0%} of the variance", xticks=[], yticks=[])
    panels[row, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
viz.show(
    figure,
    "Four maps of test images, coloured by class. With the digits, above: in the space of pixels 2 and 3 overlap, in "
    "that of the last hidden layer five clouds lie side by side. Below: in pixels 6, 7 and 9 have places of their own, "
    "in the last hidden layer all but the 6 lie on each other. Photographs overlap in all four, least at the upper "
    "right, where airplanes and automobiles lie apart from the animals.",
)

# %% [markdown]
# Above, from left to right, is what learning has done: each class has drawn together. The five classes below had no
# part in it. With digits they even lie on each other where the pixels kept them apart. With photographs the two
# vehicles, ship and truck, lie apart from most of the animals: to tell airplanes and automobiles from animals was part
# of the old task. What does the teacher, who knows five answers only, say about the new classes?

# %%
taken = models.features(teacher, tcnn.tensor(new_test.arrays[0]), "").argmax(1).numpy()
for label, name in enumerate(classes[5:]):
    counts = np.bincount(taken[new_test.arrays[1] == label], minlength=5)
    print(f"{name:6} is taken for", ", ".join(f"{old} ({n})" for old, n in zip(classes[:5], counts)))
if photographs:
    vehicle = np.isin(taken, (0, 1))  # airplane, automobile
    assert vehicle[new_test.arrays[1] >= 3].mean() > vehicle[new_test.arrays[1] < 3].mean() + 0.3

# %% [markdown]
# ## Several networks
#
# Networks that differ only in their first weights err on different images. An **ensemble** averages their
# probabilities. Its loss is never larger than their mean loss: the logarithm is concave, so $-\log$ of a mean is at
# most the mean of the $-\log$. For the accuracy there is no such law, but it usually rises, too.

# %%
networks = [from_scratch(few, seed) for seed in range(5)]
each = [training.evaluate(network, data.DataLoader(new_test, 250)) for network in networks]
together = training.evaluate(models.Ensemble(networks), data.DataLoader(new_test, 250))
print("each alone:", ", ".join(f"{one['accuracy']:.1%}" for one in each))
mean = np.mean([one["accuracy"] for one in each])
print(f"mean {mean:.1%}, ensemble {together['accuracy']:.1%}")
print(f"mean loss {np.mean([one.loss for one in each]):.3f}, loss of the ensemble {together.loss:.3f}")
assert together.loss <= np.mean([one.loss for one in each])
assert together["accuracy"] > mean - 0.01

# %% [markdown]
# Lectures quote AlexNet's 15.3 % as the result of an ensemble of seven. That is so, and there is transfer in it: one
# network had 18.2 % top-5 error, five of them together 16.4 %, and the two that were added for the 15.4 % (15.3 % on
# the test images) were trained on a larger ImageNet with 22,000 classes first and then fine-tuned.
#
# ## Where does it look?
#
# A last check of a transferred network: which pixels would change its decision? The **saliency** of a pixel is the size
# of the gradient of the winning score with respect to it.

# %%
figure = viz.plot.saliency(tuned, new_test.get_batch(np.arange(5) * len(new_test) // 5 + 3)[0], classes=classes[5:])
viz.show(
    figure,
    "Five images of the new task with what the fine-tuned network takes them for; below each a map that is bright "
    "where a pixel has much influence on the score.",
)

# %% [markdown]
# The influence should lie on the thing, or for a digit on and beside its strokes, where ink would make another digit of
# it. If it lay on the border of the image, the network would have learned something about the photographs, and not
# about what is in them.
#
# The functions of this page are in `tinygrad_cnn/models/transfer.py`, `feature_space.py` and `ensemble.py`; a larger
# comparison, with MNIST and ten seeds, is in `docs/transfer.md`.
#
# ## Exercises
#
# 1. **LeNet-5**, from images to scores: `tcnn exercise check lenet5`
# 2. **A linear layer, backward**: `tcnn exercise check linear_backward`. Which of its three gradients does nobody ask
#    for when the layer is the only one that is not frozen?
# 3. **Softmax**, whose outputs an ensemble averages: `tcnn exercise check softmax`
#
# And on paper: what would an ensemble do that averages scores instead of probabilities? Give two networks and an image
# for which the two ways disagree. Why is it no use to average the *weights* of two networks that began differently?
#
# ## Further reading
#
# - J. Yosinski, J. Clune, Y. Bengio and H. Lipson (2014), "How transferable are features in deep neural networks?"
# - J. Donahue et al. (2014), "DeCAF: a deep convolutional activation feature for generic visual recognition".
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural networks",
#   section 6: nearest neighbours, ensembles.
# - R. Girshick, J. Donahue, T. Darrell and J. Malik (2014), "Rich feature hierarchies for accurate object detection and
#   semantic segmentation": fine-tuning with a tenth of the rate.

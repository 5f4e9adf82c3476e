# %% [markdown]
# # 4 · An MLP reads digits
#
# *Ten neurons at once, then a layer in front of them: scores, probabilities, a loss, and the five lines that train
# anything. Runs offline, in about half a minute.*
#
# **What you will be able to do:** write a linear layer forward and backward, turn scores into probabilities and into
# a loss by hand, train a network in five lines, choose a learning rate by looking, and find what a network gets
# wrong.
#
# You need tutorials 1 to 3: what a neuron is, and what `backward` does.

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, optim, training, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.textbook.linear import linear_backward

tcnn.manual_seed(0)
digits = data.load("digits")  # scikit-learn's, no download
train_loader = data.DataLoader(digits.train, batch_size=32, shuffle=True)
test_loader = data.DataLoader(digits.test, batch_size=len(digits.test))
test_images, test_labels = next(iter(test_loader))
print(f"{len(digits.train)} digits to learn from, {len(digits.test)} to test with, each {test_images.shape[1:]}")

# %% [markdown]
# ## Ten neurons at once
#
# Tutorial 1 had a neuron that told 0 from 1. For ten digits we take ten neurons, each with 784 weights and a bias.
# Each gives a **score** for its digit, and the digit with the largest score is the answer. Ten neurons that see the
# same inputs are called a **linear layer**, or a fully connected one.
#
# Nothing new is to be computed. The images of a batch are the rows of one matrix, the neurons are the columns of
# another, and each of the N·10 scores is the dot product of a row with a column:
# $(N, 784) \cdot (784, 10) \to (N, 10)$. PyTorch keeps each neuron's weights as a *row* and transposes the matrix
# when it multiplies, and so do we.

# %%
layer = nn.Linear(784, 10)
print(layer.weight.shape, layer.bias.shape, "parameters:", 784 * 10 + 10)

x = test_images[:5].flatten(1)  # (5, 784): one image a row
scores = x @ layer.weight.T + layer.bias  # (5, 784) @ (784, 10) + (10,) -> (5, 10)
print(scores.numpy().round(1))

one = x[3] @ layer.weight[7] + layer.bias[7]  # image 3, neuron 7: one dot product
assert np.isclose(scores[3, 7].item(), one.item(), atol=1e-5)
assert np.allclose(scores.numpy(), layer(x).numpy(), atol=1e-5)
assert sum(p.numel() for p in layer.parameters()) == 784 * 10 + 10

# %% [markdown]
# The weights are random so far, so these scores mean nothing.
#
# ## From scores to probabilities
#
# To learn, we must be able to say *how* wrong an answer is. So we make probabilities of the scores: positive numbers
# that add up to 1. The exponential function makes each one positive, and dividing by the sum does the rest. This is
# **softmax**:
#
# $$p_c = \frac{e^{s_c}}{\sum_j e^{s_j}}$$
#
# By hand, for the three scores 2, 1 and 0: the powers are 7.389, 2.718 and 1, their sum is 11.107, and the
# probabilities are 0.665, 0.245 and 0.090.

# %%
three = np.array([2.0, 1.0, 0.0])
powers = np.exp(three)
p = powers / powers.sum()
print(powers.round(3), powers.sum().round(3), p.round(3))
assert powers.round(3).tolist() == [7.389, 2.718, 1.0]
assert powers.sum().round(3) == 11.107
assert p.round(3).tolist() == [0.665, 0.245, 0.090]
assert np.allclose(p, F.softmax(tcnn.tensor(three), dim=0).numpy())

# %% [markdown]
# Only differences between scores matter: if all three grow by the same amount, every power is multiplied by the same
# factor, and it cancels. That is useful, because $e^{1000}$ is too large for a computer. Infinity divided by infinity
# is `nan`, "not a number". So **subtract the largest score first**: then the largest power is $e^0 = 1$, and nothing
# can overflow.

# %%
huge = three + 1000
with np.errstate(over="ignore", invalid="ignore"):
    naive = np.exp(huge) / np.exp(huge).sum()
shifted = np.exp(huge - huge.max()) / np.exp(huge - huge.max()).sum()
print("naive:", naive, " shifted:", shifted.round(3))
assert np.isnan(naive).all()
assert np.allclose(shifted, p)

# %% [markdown]
# ## How surprised?
#
# Say the first class is the right one. The network gave it the probability 0.665. Its loss is $-\log p$ of the right
# class, the **cross-entropy**: 0 if it was certain of the right answer, larger the less it expected it. Here it is
# 0.41. Had the third class been right, it would be 2.41.

# %%
print((-np.log(p)).round(2))
assert (-np.log(p)).round(2).tolist() == [0.41, 1.41, 2.41]
for right in range(3):
    loss = F.cross_entropy(tcnn.tensor(three[None]), tcnn.tensor([right]))  # takes scores, not probabilities
    assert np.isclose(loss.item(), -np.log(p[right]))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
left.bar(["2", "1", "0"], p, color="#0072b2")
for place, height in enumerate(p):
    left.text(place, height + 0.01, f"{height:.3f}", ha="center")
left.set(xlabel="score", ylabel="probability", ylim=(0, 0.8), title="softmax")
curve = np.linspace(0.01, 1, 200)
right.plot(curve, -np.log(curve), color="#0072b2")
right.plot(p, -np.log(p), "o", color="#0072b2")
right.plot(0.1, np.log(10), "o", color="#d55e00")
right.annotate("guessing one of ten: log 10", (0.1, np.log(10)), (0.25, 3.2), arrowprops={"arrowstyle": "->"})
right.set(xlabel="probability of the right class", ylabel="loss", ylim=(0, 4.7), title="cross-entropy, −log p")
viz.show(
    figure,
    "Left three bars: scores 2, 1, 0 get the probabilities 0.665, 0.245, 0.090. Right the curve of minus log p: very "
    "high near probability 0, falling to 0 at probability 1; the three probabilities and 0.1, guessing, are marked.",
)

# %% [markdown]
# Look at the left end of the curve: to be certain *and* wrong costs most. And remember the orange point. A network
# that knows nothing gives each of ten digits the probability 0.1, and its loss is log 10 ≈ 2.30. Training on ten
# classes should begin near that number. If it stays there, nothing has been learned.

# %%
nothing = F.cross_entropy(tcnn.zeros(1, 10), tcnn.tensor([3]))
print(f"equal scores: {nothing.item():.4f}; log 10 = {np.log(10):.4f}")
assert np.isclose(nothing.item(), np.log(10))
assert round(np.log(10), 2) == 2.30

# %% [markdown]
# With two classes one score $z$ is enough; let the other be 0. Then softmax gives $e^z / (e^z + 1)$, which is the
# sigmoid of $z$, and cross-entropy is the `binary_cross_entropy_with_logits` that told 0 from 1 in tutorial 1.
# (*Logits* is another word for scores that softmax or sigmoid has not seen yet.)

# %%
z = tcnn.tensor(1.5)
two = tcnn.tensor([[1.5, 0.0]])
assert np.isclose(F.softmax(two, dim=1)[0, 0].item(), tcnn.sigmoid(z).item())
binary = F.binary_cross_entropy_with_logits(z, tcnn.tensor(1.0))
assert np.isclose(F.cross_entropy(two, tcnn.tensor([0])).item(), binary.item())

# %% [markdown]
# ## The gradient of the loss
#
# How does the loss change with each score? Write it as $-\log p_k = -s_k + \log \sum_j e^{s_j}$, where $k$ is the
# right class. The first part has the slope −1 for the right score and 0 for the others. The slope of the second part
# is $e^{s_c} / \sum_j e^{s_j} = p_c$. Together:
#
# $$\frac{\partial L}{\partial s} = p - \text{onehot}(k)$$
#
# where onehot(k) has a 1 at place $k$ and 0 elsewhere. **What the network believed, minus what is true.**

# %%
s = tcnn.tensor(three[None], requires_grad=True)  # (1, 3): one sample
F.cross_entropy(s, tcnn.tensor([0])).backward()
print("by the library:", s.grad.round(3), " by hand:", (p - [1, 0, 0]).round(3))
assert np.allclose(s.grad, p - [1, 0, 0])

# %% [markdown]
# The right score is pulled up, the others are pushed down, each as strongly as it was believed in wrongly. The three
# numbers add up to 0, since a shift of all scores changes nothing. With a batch the loss is the mean over its
# samples, so each of these gradients is divided by N.
#
# ## The way back through a linear layer
#
# Now the gradient `dy` of the scores, of shape (N, 10), has arrived at the layer $y = x W^T + b$. What are the
# gradients of $x$, $W$ and $b$? Ask of each number where it is used:
#
# - `bias[d]` is added to output d of every sample: its gradient is the sum of `dy[n, d]` over the samples.
# - `weight[d, f]` is multiplied with `x[n, f]` in every sample: the sum of `dy[n, d] * x[n, f]` over the samples.
# - `x[n, f]` is multiplied with `weight[d, f]` for every output: the sum of `dy[n, d] * weight[d, f]` over the
#   outputs.
#
# Each sum is a matrix product, and each gradient has the shape of what it belongs to. This is the textbook version in
# `tinygrad_cnn/textbook/linear.py`, its last four lines:

# %%
print(*inspect.getsource(linear_backward).splitlines()[-4:], sep="\n")

# %%
x = tcnn.tensor(test_images[:5].flatten(1).numpy(), requires_grad=True)  # (5, 784)
labels = test_labels[:5]
scores = layer(x)
F.cross_entropy(scores, labels).backward()

dy = (F.softmax(scores, dim=1).numpy() - np.eye(10)[labels.numpy()]) / 5  # (5, 10)
assert np.allclose(x.grad, dy @ layer.weight.numpy(), atol=1e-6)  # (5, 10) @ (10, 784)
assert np.allclose(layer.weight.grad, dy.T @ x.numpy(), atol=1e-6)  # (10, 5) @ (5, 784)
assert np.allclose(layer.bias.grad, dy.sum(axis=0), atol=1e-6)  # (10,)
print("dx", x.grad.shape, " dweight", layer.weight.grad.shape, " dbias", layer.bias.grad.shape)

# %% [markdown]
# ## Five lines that train anything
#
# With the gradients at hand, the weights take a step downhill. Two things make this work well.
#
# **Mini-batches.** The gradient of the loss over all 1,438 digits is exact, and costs a pass over all of them for a
# single step. Already 32 digits, drawn at random, point roughly the same way (the cosine of the angle between two
# gradients is 1 if they point the same way, and 0 if they have nothing to do with each other). So one pass through
# the data, an **epoch**, makes 45 steps instead of one.


# %%
def gradient(images, labels):
    layer.zero_grad()
    F.cross_entropy(layer(images.flatten(1)), labels).backward()
    return layer.weight.grad.ravel() / np.linalg.norm(layer.weight.grad)


whole = gradient(*next(iter(data.DataLoader(digits.train, batch_size=len(digits.train)))))
cosines = [whole @ gradient(images, labels) for images, labels in train_loader]
print(f"{len(cosines)} mini-batches; cosine with the whole gradient: {min(cosines):.2f} to {max(cosines):.2f}")
assert len(cosines) == 45
assert min(cosines) > 0.4

# %% [markdown]
# **Momentum.** Gradients of mini-batches are noisy. A velocity $v$ averages them:
# $v \leftarrow 0.9\,v + \text{gradient}$, then $w \leftarrow w - \text{lr} \cdot v$. What points to and fro cancels,
# what points the same way adds up, to ten times the gradient in the end. The factor lr is the **learning rate**: how
# long the steps are. The whole recipe is called **SGD**, stochastic gradient descent, with momentum.

# %%
velocity = 0.0
for _ in range(100):
    velocity = 0.9 * velocity + 1.0  # a gradient that is always 1
print(f"velocity after 100 steps: {velocity:.3f}")
assert np.isclose(velocity, 10, atol=0.01)

# %% [markdown]
# Here are the five lines. They are the same for these ten neurons and for the largest network.

# %%
tcnn.manual_seed(0)
ten_neurons = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
optimizer = optim.SGD(ten_neurons.parameters(), lr=0.01, momentum=0.9)

losses = []
for _ in range(8):  # epochs
    for images, labels in train_loader:
        optimizer.zero_grad()  # forget the last step's gradients
        scores = ten_neurons(images)  # forward: (32, 1, 28, 28) -> (32, 10)
        loss = F.cross_entropy(scores, labels)
        loss.backward()  # backward: a gradient for every weight
        optimizer.step()  # downhill
        losses.append(loss.item())

right = training.evaluate(ten_neurons, test_loader)["accuracy"]
print(f"first loss {losses[0]:.2f}, mean of the last epoch {np.mean(losses[-45:]):.2f}; test: {right:.1%} right")
assert abs(losses[0] - np.log(10)) < 0.6
assert np.mean(losses[-45:]) < 0.2
assert right > 0.92

# %% [markdown]
# The loss began near log 10, as it should. A neuron's weights are what it looks for, said tutorial 1. Here are all
# ten:

# %%
weights = ten_neurons[1].weight.numpy().reshape(10, 28, 28)
most = np.abs(weights).max()
figure, panels = plt.subplots(2, 5, figsize=(8.2, 3.6), layout="constrained")
for digit, (panel, weight) in enumerate(zip(panels.flat, weights)):
    shown = panel.imshow(weight, cmap="PuOr_r", vmin=-most, vmax=most)
    panel.set(xticks=[], yticks=[], title=f"neuron {digit}")
figure.colorbar(shown, ax=panels)
viz.show(
    figure,
    "The 784 weights of each of the ten neurons as an image. Neuron 0 has a clearly negative spot in its middle; "
    "the others show blurred positive and negative strokes.",
)
assert weights[0, 10:18, 11:17].mean() < 0

# %% [markdown]
# Neuron 0 is easy to read: ink in the middle speaks against a 0. The others are harder, since a neuron need not draw
# its digit. It is enough to find what tells it from the nine others.
#
# ## A hidden layer
#
# Each of the ten neurons has one picture to compare with, however differently people write a 4. So let 64 neurons
# look first, and let the ten see only what these say. The 64 are a **hidden layer**, and between the layers stands
# ReLU, without which two layers would be one (tutorial 1). Such a network is called a multi-layer perceptron,
# **MLP**.


# %%
def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


tcnn.manual_seed(0)
model = mlp()
parameters = sum(parameter.numel() for parameter in model.parameters())
print(f"{parameters:,} parameters")
assert parameters == (784 * 64 + 64) + (64 * 10 + 10) == 50_890

# %% [markdown]
# `training.fit` runs the five lines for several epochs, measures on other data after each (`val`, for
# *validation*), and keeps a record. (Read `train_step` in `tinygrad_cnn/training/loop.py`: there they are.)

# %%
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
history = training.fit(model, train_loader, optimizer, epochs=12, val_loader=test_loader)
viz.show(
    viz.plot.learning_curves(history, validation="test"),
    "Two panels over twelve epochs. The loss falls steeply at first, then slowly; on the training digits to almost "
    "0, on the test digits it levels off a little higher. Accuracy rises, training to nearly 1, test a little below.",
)
assert history.last["loss"] < 0.06
assert history.last["accuracy"] > 0.98
assert history.last["val_accuracy"] > 0.94

# %% [markdown]
# Compare the dashed line with the solid one. What the network has seen it reads almost without error; on digits it
# has never seen it is a little worse. Only the solid line tells what it is good for. And beware of small differences:
# one of the 359 test digits is 0.28 percentage points, so two networks whose accuracies differ by half a point differ
# by two digits. The ten neurons alone were about as good: these digits are clean and lie in the middle, so a hidden
# layer has little to add. In the next tutorial they move about, and it is needed.

# %%
print(f"ten neurons: {right:.1%}, with the hidden layer: {history.last['val_accuracy']:.1%} of the test digits")
assert abs(right - history.last["val_accuracy"]) < 0.03
assert round(100 / len(digits.test), 2) == 0.28
assert round(0.005 * len(digits.test)) == 2

# %% [markdown]
# ## How long a step?
#
# The learning rate is the number to get right first. Three networks, the same weights at the beginning, the same
# order of the digits, six epochs:

# %%
rates = {"too small": 0.0002, "right": 0.01, "too large": 1.0}
curves = {}
for name, lr in rates.items():
    tcnn.manual_seed(0)
    train_loader.set_epoch(0)
    trial = mlp()
    curves[name] = training.fit(trial, train_loader, optim.SGD(trial.parameters(), lr=lr, momentum=0.9), epochs=6)

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for (name, run), colour in zip(curves.items(), ("#56b4e9", "#0072b2", "#d55e00")):
    axes.plot(run["epoch"], run["loss"], "o-", color=colour, label=f"{name}: lr = {rates[name]}")
axes.axhline(np.log(10), color="black", linestyle=":", label="guessing: log 10")
axes.set(xlabel="epoch", ylabel="training loss", yscale="log")
axes.legend()
viz.show(
    figure,
    "Training loss over six epochs, on a logarithmic axis. The small learning rate descends slowly and evenly. The "
    "right one falls far below it. The large one starts high, falls to the dotted line of guessing and stays.",
)
assert curves["right"]["loss"][-1] < 0.15
assert 0.6 < curves["too small"]["loss"][-1] < 1.9
assert curves["too large"]["loss"][0] > np.log(10) + 0.5
assert abs(curves["too large"]["loss"][-1] - np.log(10)) < 0.4

# %% [markdown]
# Too small a step wastes time, but arrives. Too large a step jumps across the valley, and higher up on the other
# side. The orange curve does come down again, but to the dotted line: the first jumps threw the weights so far that
# hardly a neuron of the hidden layer still says anything but 0, and where a ReLU says 0, its slope is 0, too. Such
# neurons are called **dead**: no gradient reaches their weights any more.

# %%
for name, network in [("right", model), ("too large", trial)]:  # trial is the last one of the loop above
    hidden = network[2](network[1](network[0](test_images))).numpy()  # (359, 64), after the ReLU
    print(f"{name}: {(hidden > 0).any(axis=0).sum()} of 64 neurons say something for at least one test digit")
    alive = (hidden > 0).any(axis=0).mean()
    assert alive > 0.7 if name == "right" else alive < 0.5

# %% [markdown]
# A rule of thumb: try 0.1, 0.01, 0.001, look at the first epochs, and take the largest rate whose loss falls evenly.
#
# ## What it gets wrong
#
# An accuracy is one number. The **confusion matrix** says what was taken for what: a row for each true digit, a
# column for each answer, and right answers on the diagonal.

# %%
result = training.evaluate(model, test_loader, confusion=True)
viz.show(
    viz.plot.confusion_matrix(result.confusion, digits.classes),
    "A table of ten by ten counts. Nearly all counts are on the diagonal, where the answer is the true digit; a few "
    "are elsewhere.",
)
assert result.confusion.sum() == len(digits.test)
assert np.isclose(np.trace(result.confusion) / len(digits.test), result["accuracy"])

# %%
with tcnn.no_grad():
    scores = model(test_images)
viz.show(
    viz.plot.misclassified(test_images, test_labels, scores),
    "The test digits that were read wrongly, each with the network's answer and the true digit.",
)
with tcnn.no_grad():
    p = F.softmax(scores, dim=1).numpy()
wrong = p.argmax(axis=1) != test_labels.numpy()
sure = p.max(axis=1)  # the probability of the answer that was given
print(f"mean probability of the answer: {sure[~wrong].mean():.2f} where right, {sure[wrong].mean():.2f} where wrong")
assert sure[wrong].mean() < sure[~wrong].mean()

# %% [markdown]
# Always look at the errors. Some of these digits are hard for you, too: they were stored as 8×8 pixels and are
# enlarged here. Others are clear, and show what the network has not understood. Where it is wrong it is, on average,
# less sure.
#
# ## Few data
#
# The network has more weights than it has digits to learn from. What if there are still fewer digits? Six networks,
# with 25 to 1,438 digits, each for about 450 steps:

# %%
sizes = [25, 50, 100, 200, 500, 1438]
seen, unseen = [], []
for size in sizes:
    tcnn.manual_seed(0)
    loader = data.DataLoader(data.Subset(digits.train, range(size)), batch_size=25, shuffle=True)
    trial = mlp()
    optimizer = optim.SGD(trial.parameters(), lr=0.01, momentum=0.9)
    training.fit(trial, loader, optimizer, epochs=round(450 / len(loader)))
    seen.append(training.evaluate(trial, loader)["accuracy"])
    unseen.append(training.evaluate(trial, test_loader)["accuracy"])

figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
axes.plot(sizes, seen, "o--", color="#d55e00", label="digits it has learned from")
axes.plot(sizes, unseen, "o-", color="#0072b2", label="digits it has not seen")
axes.fill_between(sizes, unseen, seen, color="gray", alpha=0.15)
axes.set(xlabel="number of digits to learn from", ylabel="accuracy", xscale="log", ylim=(0.6, 1.03))
axes.set_xticks(sizes, sizes, minor=False)
axes.minorticks_off()
axes.legend(loc="lower right")
viz.show(
    figure,
    "Accuracy against the number of training digits. On the digits it has learned from the network is right nearly "
    "always; on others it climbs from far below, and the gap between the lines closes as the number grows.",
)
print([f"{value:.0%}" for value in unseen])
assert min(seen) > 0.97
assert unseen[0] < 0.8 < 0.92 < unseen[-1]

# %% [markdown]
# With 25 digits everything is learned by heart: all right on those, and many errors on others. This is
# **overfitting**, and the grey gap is its measure. More data closes it. Tutorial 13 shows other means, and the next
# one shows the most important: a network that knows beforehand what an image is.
#
# ## Exercises
#
# 1. **Softmax**, for huge scores too: `tcnn exercise check softmax`
# 2. **Cross-entropy**, from scores to the loss and back: `tcnn exercise check cross_entropy`
# 3. **The linear layer's way back**: `tcnn exercise check linear_backward` (forward first, if you like:
#    `linear_forward`; and the step itself: `sgd`)
#
# On paper: how many multiplications does the MLP need for one image, and how many of them are in its first layer?
# And: one network reads more of the test digits rightly than another, yet its test loss is higher. How can that be?
#
# ## Further reading
#
# - D. Rumelhart, G. Hinton and R. Williams (1986), "Learning representations by back-propagating errors".
# - J. Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs, with relationships
#   to statistical pattern recognition": softmax.
# - I. Sutskever, J. Martens, G. Dahl and G. Hinton (2013), "On the importance of initialization and momentum in deep
#   learning".
# - I. Goodfellow, Y. Bengio and A. Courville (2016), *Deep Learning*, chapter 6.

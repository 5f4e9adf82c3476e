# %% [markdown]
# # 12 · Batch normalisation
#
# *What happens to numbers on their way through many layers, and a layer that keeps them in shape: forward and backward
# by hand, in training and in use. Runs offline, in about a minute.*
#
# **What you will be able to do:** say why deep stacks of layers are hard to train, choose first weights that fit,
# compute batch normalisation and its gradient by hand, explain what differs between training and evaluation, and fold
# the layer into the convolution before it.
#
# You need tutorials 1 to 6 and 11: activations, gradients, convolutions, training.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, optim, training, viz
from tinygrad_cnn.nn import functional as F

tcnn.manual_seed(0)
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"

# %% [markdown]
# ## Through ten layers
#
# A layer multiplies its input with weights, which are random before training. How large should they be? Take 500 random
# inputs of 256 numbers, and ten layers of 256 neurons with tanh. All weights of a stack are drawn with the same
# standard deviation (the typical distance from the mean, std for short). There are three stacks: with small, medium and
# large weights.


# %%
def stack(f, std):
    """The input of ten layers, and what each of them hands on."""
    tcnn.manual_seed(0)
    x = tcnn.randn(500, 256, requires_grad=True)
    outputs = [x]
    for _ in range(10):
        w = tcnn.randn(256, 256) * std
        outputs.append(f(outputs[-1] @ w))
    return outputs


sizes = {"small": 0.02, "medium": 1 / 16, "large": 0.3}
tanh = {name: stack(tcnn.tanh, std) for name, std in sizes.items()}

shown_layers = (1, 2, 4, 7, 10)
figure, panels = plt.subplots(3, 5, figsize=(10, 4.6), layout="constrained", sharex=True)
for row, (name, outputs) in zip(panels, tanh.items()):
    for panel, layer in zip(row, shown_layers):
        values = outputs[layer].numpy().ravel()
        panel.hist(values, bins=np.linspace(-1, 1, 41), color=BLUE)
        panel.set(yticks=[], title=f"std {values.std():.1g}" if values.std() < 0.01 else f"std {values.std():.2f}")
    row[0].set_ylabel(f"{name} weights\n(std {sizes[name]:.3g})")
for panel, layer in zip(panels[-1], shown_layers):
    panel.set_xlabel(f"output of layer {layer}")
viz.show(
    figure,
    "Histograms of the outputs of layers 1, 2, 4, 7 and 10, a row for each stack. Small weights: from layer to layer "
    "the hill becomes a needle at 0. Medium: the hill stays wide. Large: all numbers gather at −1 and 1.",
)

# %% [markdown]
# Read each row from left to right. With small weights the numbers shrink until nothing is left of the input. With large
# ones most neurons are saturated: they say −1 or 1 and have almost no slope. Only the middle row still carries
# something.
#
# It is worse for learning, because gradients go back through the same layers. Send a random gradient of typical size 1
# into the last layer, and look at what arrives at the input:


# %%
def typical(values):
    return np.sqrt(np.mean(np.square(values)))  # the root of the mean square


for name, outputs in tanh.items():
    tcnn.manual_seed(1)
    outputs[-1].backward(tcnn.randn(500, 256))
    print(f"{name:6} weights: typical |dx| = {typical(outputs[0].grad):.2g}")

assert typical(tanh["small"][0].grad) < 1e-4
assert 0.05 < typical(tanh["medium"][0].grad) < 5
assert typical(tanh["large"][0].grad) > 100

# %% [markdown]
# One gradient vanishes, one explodes. (Explodes, although most neurons with large weights have almost no slope? Some
# still have one, and the large weights multiply what these hand back, layer after layer.)
#
# ## First weights that fit
#
# The rule behind this is short. A weighted sum $z = w_1x_1 + \dots + w_nx_n$ with independent weights around 0 has the
# variance
#
# $$\mathrm{var}(z) = n \cdot \mathrm{var}(w) \cdot \mathrm{mean}(x^2)$$
#
# So a layer multiplies the typical size of the numbers with $\sqrt{n}\cdot\mathrm{std}(w)$. With $n = 256$ that is 0.32
# for the small weights, and $0.32^{10}$ is a hundred-thousandth. It is 1 for the medium ones and 4.8 for the large
# ones.

# %%
factors = {name: np.sqrt(256) * std for name, std in sizes.items()}
print(factors)
assert np.allclose(list(factors.values()), [0.32, 1, 4.8])
assert 1e-5 < factors["small"] ** 10 < 1.2e-5

# %% [markdown]
# To keep the size going forward, choose $\mathrm{var}(w) = 1/n_\text{in}$. Going back, the same sum runs over the
# outputs, so $1/n_\text{out}$. **Xavier** Glorot took the middle, $\mathrm{var}(w) = 2/(n_\text{in} + n_\text{out})$. A
# ReLU throws away half of the mean square; to make up for it **He** doubles: $\mathrm{var}(w) = 2/n_\text{in}$.

# %%
w = tcnn.empty(256, 256)
assert np.isclose(nn.init.xavier_normal_(w).numpy().std(), 1 / 16, rtol=0.02)
assert np.isclose(nn.init.kaiming_normal_(w, nonlinearity="relu").numpy().std(), np.sqrt(2) / 16, rtol=0.02)

relu = {
    "small": stack(tcnn.relu, 0.02),
    "Xavier": stack(tcnn.relu, 1 / 16),
    "He": stack(tcnn.relu, np.sqrt(2) / 16),
    "large": stack(tcnn.relu, 0.3),
}
figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for (name, outputs), colour in zip(relu.items(), (GREY, ORANGE, BLUE, "black")):
    sizes_now = [typical(y.numpy()) for y in outputs]
    axes.semilogy(range(11), sizes_now, "o-", color=colour)
    axes.text(10.2, sizes_now[-1], name, color=colour, va="center")
axes.set(xlabel="layer", ylabel="typical size of an output", xlim=(0, 11.6), xticks=range(11))
axes.grid(alpha=0.3)
viz.show(
    figure,
    "The typical size of the outputs of ten layers with ReLU, on a logarithmic axis: four straight lines from 1. With "
    "large weights it rises above a hundred thousand, with He's it stays near 1, with Xavier's it falls to a "
    "thirtieth, with small ones below a millionth.",
)

# %% [markdown]
# With ReLU the lines are straight: every layer multiplies by the same factor. Only He's line is level.

# %%
ends = {name: typical(outputs[-1].numpy()) for name, outputs in relu.items()}
assert ends["large"] > 1e5
assert 0.5 < ends["He"] < 2
assert 0.02 < ends["Xavier"] < 0.06
assert ends["small"] < 1e-6

# %% [markdown]
# ## Normalise instead of hoping
#
# Good first weights hold at the first step. Then the weights change, and with every change of an early layer all later
# layers get numbers with another distribution. Ioffe and Szegedy (2015) proposed not to hope for a good size but to
# compute it: **measure mean and variance, subtract the one, divide by the root of the other**, in the middle of the
# network, at every step.
#
# $$\mu = \frac1m\sum_i x_i \qquad \sigma^2 = \frac1m\sum_i (x_i-\mu)^2 \qquad
# \hat x_i = \frac{x_i-\mu}{\sqrt{\sigma^2+\varepsilon}} \qquad y_i = \gamma\,\hat x_i + \beta$$
#
# - The $m$ numbers are those of one **channel**, in all images of the batch and at all their pixels: $m = N\cdot H\cdot
#   W$. Hence *batch* normalisation.
# - The variance is divided by $m$, not by $m-1$; this is called the biased one.
# - $\varepsilon$, a small number, keeps the division safe where a channel is constant.
# - $\gamma$ and $\beta$ are learned, one pair for each channel. They let the network choose another mean and spread
#   where that is better. At first they are 1 and 0.
#
# By hand: two images of one channel with two pixels, $x = 1, 3$ and $5, 7$. The mean is 4, the variance $(9+1+1+9)/4 =
# 5$. With $\varepsilon = 4$ (so large only to make the root a whole number) the divisor is $\sqrt{5+4} = 3$, and $\hat
# x = -1, -\tfrac13, \tfrac13, 1$. With $\gamma = 2$ and $\beta = \tfrac12$ we get $y = -\tfrac32, -\tfrac16, \tfrac76,
# \tfrac52$.

# %%
x = tcnn.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])  # (N, C, H, W) = (2, 1, 1, 2)
gamma, beta = tcnn.tensor([2.0]), tcnn.tensor([0.5])
y = F.batch_norm(x, weight=gamma, bias=beta, training=True, eps=4.0)
print(y.numpy().ravel())
assert np.allclose(y.numpy().ravel(), [-3 / 2, -1 / 6, 7 / 6, 5 / 2])


# %% [markdown]
# In NumPy it is four lines, for any batch of images; the only thing to watch is the axes. A longer version, with the
# running averages that come next, is `tinygrad_cnn/textbook/norm.py`.


# %%
def batch_norm(x, gamma, beta, eps=1e-5):  # x: (N, C, H, W); gamma, beta: (1, C, 1, 1)
    mean = x.mean(axis=(0, 2, 3), keepdims=True)  # (1, C, 1, 1): one number a channel
    var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    normalised = (x - mean) / np.sqrt(var + eps)
    return gamma * normalised + beta


draw = np.random.default_rng(0)
x = draw.normal(3, 5, size=(8, 4, 6, 6)).astype(np.float32)
layer = nn.BatchNorm2d(4)
y = layer(tcnn.tensor(x)).numpy()
assert np.allclose(y, batch_norm(x, 1, 0), atol=1e-5)
print("before:", x.mean(axis=(0, 2, 3)).round(2), x.std(axis=(0, 2, 3)).round(2))
print("after: ", y.mean(axis=(0, 2, 3)).round(2), y.std(axis=(0, 2, 3)).round(2))
assert np.allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
assert np.allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-4)

# %% [markdown]
# Nothing is lost: with $\gamma = \sqrt{\sigma^2+\varepsilon}$ and $\beta = \mu$ the layer gives back its input.

# %%
mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
assert np.allclose(batch_norm(x, np.sqrt(var + 1e-5), mean), x, atol=1e-4)

# %% [markdown]
# ## Alone at evaluation
#
# There is a catch. An image's result depends on the images that happen to be beside it:

# %%
image = x[:1]
with_some = layer(tcnn.tensor(x[:4]))[0].numpy()
with_others = layer(tcnn.tensor(np.concatenate([image, 10 + x[4:7]])))[0].numpy()
print("largest difference between the two results of one image:", np.abs(with_some - with_others).max())
assert np.abs(with_some - with_others).max() > 0.5

# %% [markdown]
# In training this is a little noise, which does not hurt. In use it must not be: a digit should be read alike in any
# company, and also alone. Alone it may not even be possible, for one number has the variance 0:

# %%
one = nn.BatchNorm1d(3)  # for vectors: a channel has one number an image
try:
    one(tcnn.randn(1, 3))
except tcnn.ShapeError as error:
    print(error)
else:
    raise AssertionError("a batch of one vector has no variance")

# %% [markdown]
# So the layer remembers. In training each step moves two **running averages** a tenth of the way (momentum 0.1) towards
# what the batch has:
#
# $$r \leftarrow 0.9\,r + 0.1\cdot\text{(value of the batch)}$$
#
# They begin at mean 0 and variance 1. In evaluation, after `model.eval()`, they take the place of $\mu$ and $\sigma^2$,
# and stay as they are. Into the running variance goes the *unbiased* variance, divided by $m-1$: the average of those
# is right for small batches, too. PyTorch does the same. In our example of four numbers the running mean becomes
# $0.1\cdot4 = 0.4$ and the running variance $0.9\cdot1 + 0.1\cdot\tfrac{20}{3}$:

# %%
small = nn.BatchNorm2d(1)
small(tcnn.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]]))
print(small.running_mean, small.running_var)
assert np.isclose(small.running_mean.item(), 0.4)
assert np.isclose(small.running_var.item(), 0.9 + 0.1 * 20 / 3)

# %%
layer = nn.BatchNorm1d(1)
samples = [2 + 3 * tcnn.randn(16, 1) for _ in range(80)]  # mean 2, standard deviation 3
seen = []
for batch in samples:
    layer(batch)
    seen.append((batch.mean().item(), layer.running_mean.item(), batch.var().item(), layer.running_var.item()))
seen = np.array(seen)

figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for panel, name, now, running, truth in zip(panels, ("mean", "variance"), (0, 2), (1, 3), (2, 9)):
    panel.plot(seen[:, now], "o", color=GREY, markersize=3, label="of the batch")
    panel.plot(seen[:, running], color=ORANGE, linewidth=2, label="running")
    panel.axhline(truth, color="black", linewidth=0.8, label="true")
    panel.set(xlabel="step", title=name)
panels[0].legend()
viz.show(
    figure,
    "Left the means of 80 batches as scattered dots and the running mean as a line, which climbs from 0 to the true 2 "
    "and then wavers about it. Right the same for the variance: from 1 to about 9.",
)

layer.eval()
alone = layer(samples[0][:1]).numpy()
together = layer(samples[0]).numpy()[:1]
assert np.allclose(alone, together)  # in evaluation the company does not matter
assert 0.9**22 < 0.1  # what is left of the beginning after 22 steps

# %% [markdown]
# Look at the beginning of the orange lines: it takes about 22 steps until less than a tenth of the first value is left.
# A network that is evaluated after very few steps is judged by averages that are not true yet. And **forgetting
# `model.eval()`** is a frequent mistake with this layer.
#
# ## Backward by hand
#
# Given $dy$, wanted: $d\gamma$, $d\beta$ and $dx$. Write $s = \sqrt{\sigma^2+\varepsilon}$. The outer part, $y =
# \gamma\hat x+\beta$, is quick. Each channel has one $\gamma$ that acts on all $m$ numbers, so we add up:
#
# $$d\beta = \sum_i dy_i \qquad d\gamma = \sum_i dy_i\,\hat x_i \qquad d\hat x_i = \gamma\,dy_i$$
#
# From $\hat x$ back to $x$ there are three ways, since $x_i$ stands in the numerator, in the mean, and in the variance:
#
# 1. **Directly.** If $x_i$ rises by 1, $\hat x_i$ rises by $1/s$. That gives $\frac1s\,d\hat x_i$.
# 2. **Through the mean.** $\mu$ rises by $1/m$, so *every* $\hat x_j$ falls by $\frac1{ms}$. Together:
#    $-\frac1s\cdot\frac1m\sum_j d\hat x_j = -\frac1s\,\mathrm{mean}(d\hat x)$.
# 3. **Through the variance.** $\sigma^2$ rises by $\frac2m(x_i-\mu) = \frac2m\,s\,\hat x_i$, and when $\sigma^2$ rises
#    by 1, every $\hat x_j$ changes by $-\frac12(x_j-\mu)/s^3 = -\frac{\hat x_j}{2s^2}$. The product, added up over all
#    $j$: $-\frac1s\,\hat x_i\,\mathrm{mean}(d\hat x\,\hat x)$.
#
# (The mean acts on the variance, too; but there the changes cancel out, because $\sum_j(x_j-\mu) = 0$.) Together:
#
# $$dx_i = \frac1s\big(d\hat x_i - \mathrm{mean}(d\hat x) - \hat x_i\,\mathrm{mean}(d\hat x\,\hat x)\big)$$
#
# The example again, with $\gamma = 1$, and a gradient that arrives at the first number only, $dy = (1, 0, 0, 0)$. For
# the first number the three terms are $\frac13\cdot1$, $-\frac13\cdot\frac14$ and $-\frac13\cdot(-1)\cdot(-\frac14)$,
# altogether $\frac13 - \frac1{12} - \frac1{12} = \frac16$. The library can tell by which ways a gradient came:

# %%
x = tcnn.tensor([1.0, 3.0, 5.0, 7.0], requires_grad=True, dtype="float64")
dy = tcnn.tensor([1.0, 0.0, 0.0, 0.0], dtype="float64")
with viz.record(params={"x": x}) as tape:
    centred = x - x.mean()
    var = (centred * centred).mean()
    normalised = centred / (var + 4).sqrt()
    loss = (dy * normalised).sum()  # so that dy is what arrives at normalised
    loss.backward()
print(viz.why(x, (0,), limit=4))
assert np.isclose(x.grad[0], 1 / 3 - 1 / 12 - 1 / 12)

# %% [markdown]
# Look at the list *by route*: +0.3333 is the direct way, −0.0833 the one through the mean, and twice −0.0417 those
# through the variance (twice, because a square is a product of two equal numbers). The other eight paths go through the
# mean into the variance, and cancel out. The same as a film: press play. On the way back two boxes hand their part to
# `x`: the difference, which has the direct way and the one through the variance, and the mean.

# %%
viz.show(
    tape,
    "The replay of batch normalisation of four numbers: forward through mean, difference, square, mean, root and "
    "quotient, then backward, where x collects gradients from the difference and from the mean.",
)

# %% [markdown]
# Now for images, in float64, with a **random** $dy$, against the library and against measured slopes. `tcnn.gradcheck`
# does the measuring: it moves every number a little up and down.


# %%
def batch_norm_backward(dy, x, gamma, eps=1e-5):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    s = np.sqrt(var + eps)
    normalised = (x - mean) / s
    dbeta = dy.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dy * normalised).sum(axis=(0, 2, 3), keepdims=True)
    dnormalised = gamma * dy
    through_mean = dnormalised.mean(axis=(0, 2, 3), keepdims=True)
    through_var = normalised * (dnormalised * normalised).mean(axis=(0, 2, 3), keepdims=True)
    dx = (dnormalised - through_mean - through_var) / s
    return dx, dgamma, dbeta


x = tcnn.tensor(draw.normal(size=(4, 3, 5, 5)), requires_grad=True)  # NumPy's float64 stays float64
gamma = tcnn.tensor(draw.normal(size=3), requires_grad=True)
beta = tcnn.tensor(draw.normal(size=3), requires_grad=True)


def norm(x, gamma, beta):
    return F.batch_norm(x, weight=gamma, bias=beta, training=True)


dy = draw.normal(size=x.shape)
norm(x, gamma, beta).backward(tcnn.tensor(dy))
dx, dgamma, dbeta = batch_norm_backward(dy, x.numpy(), gamma.numpy().reshape(1, 3, 1, 1))
assert np.allclose(dx, x.grad)
assert np.allclose(dgamma.ravel(), gamma.grad)
assert np.allclose(dbeta.ravel(), beta.grad)
assert tcnn.gradcheck(norm, [x, gamma, beta])
print("by hand, by the library and measured: the same")

# %% [markdown]
# Why random? With $dy = 1$ everywhere the loss is the sum of the outputs. After normalisation they add up to $m\beta$,
# whatever $x$ is, so $dx = 0$, and a mistake can hide. Leave out the third term: with ones nobody notices.

# %%
ones = np.ones_like(dy)
shape = (1, 3, 1, 1)
dx_of_ones, _, _ = batch_norm_backward(ones, x.numpy(), gamma.numpy().reshape(shape))
print("dy of ones: largest |dx| =", np.abs(dx_of_ones).max())
assert np.allclose(dx_of_ones, 0)


def without_third_term(dy):
    s = np.sqrt(x.numpy().var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    dnormalised = gamma.numpy().reshape(shape) * dy
    return (dnormalised - dnormalised.mean(axis=(0, 2, 3), keepdims=True)) / s


assert np.allclose(without_third_term(ones), dx_of_ones)  # wrong, and not noticed
assert not np.allclose(without_third_term(dy), dx)  # a random dy notices

# %% [markdown]
# The zero has a meaning. Adding a constant to a channel does not change what comes out, and (but for $\varepsilon$)
# neither does stretching it. So the gradient never asks for either: $dx$ adds up to 0, and so does $dx\cdot\hat x$. If
# the weights before the layer grow by a factor, the output stays the same. This is one reason why such networks forgive
# large learning rates.

# %%
normalised = batch_norm(x.numpy(), 1, 0)
print("sums of dx:", dx.sum(axis=(0, 2, 3)), " of dx·x̂:", (dx * normalised).sum(axis=(0, 2, 3)))
assert np.allclose(dx.sum(axis=(0, 2, 3)), 0)
assert np.allclose((dx * normalised).sum(axis=(0, 2, 3)), 0, atol=1e-3)
assert np.allclose(batch_norm(10 * x.numpy() + 7, 1, 0), normalised, atol=1e-4)

# %% [markdown]
# ## In a deep network
#
# Ten convolutions in a row, each with 8 filters of 3×3, on the digits, which an average pooling makes small (7×7, to
# save time). Three networks: with the **default** first weights that PyTorch's layers (and ours) use, with **He**'s,
# and with **batch norm** between each convolution and its ReLU. Each is trained for four epochs with three learning
# rates.

# %%
digits = data.load("digits")


def network(kind, depth=10, channels=8):
    tcnn.manual_seed(0)
    layers = {"shrink": nn.AvgPool2d(4)}  # (1, 28, 28) -> (1, 7, 7)
    for i in range(1, depth + 1):
        conv = nn.Conv2d(1 if i == 1 else channels, channels, 3, padding=1)
        if kind == "He":
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        layers[f"conv{i}"] = conv
        if kind == "batch norm":
            layers[f"norm{i}"] = nn.BatchNorm2d(channels)
        layers[f"relu{i}"] = nn.ReLU()
        if kind == "batch norm after ReLU":
            layers[f"norm{i}"] = nn.BatchNorm2d(channels)
    return nn.Sequential({**layers, "flatten": nn.Flatten(), "scores": nn.Linear(channels * 49, 10)})


def batches():
    tcnn.manual_seed(0)
    return data.DataLoader(digits.train, batch_size=64, shuffle=True)


def losses(model, lr, epochs=4):
    loader, optimizer, found = batches(), optim.SGD(model.parameters(), lr=lr), []
    for _ in range(epochs):
        for images, labels in loader:
            try:
                loss, _ = training.train_step(model, images, labels, optimizer)
            except training.NonFiniteError:  # the steps were so large that the loss is no number any more
                return [*found, np.nan]
            found.append(loss.item())
    return found


rates = (0.01, 0.05, 0.25)
curves = {(kind, lr): losses(network(kind), lr) for lr in rates for kind in ("default", "He", "batch norm")}

# %%
figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.3), layout="constrained", sharey=True)
for (kind, lr), found in curves.items():
    panel = panels[rates.index(lr)]
    colour = {"default": GREY, "He": ORANGE, "batch norm": BLUE}[kind]
    panel.plot(found, color=colour, alpha=0.25)
    smooth = np.convolve(found, np.ones(10) / 10, mode="valid")  # the mean of ten steps
    panel.plot(np.arange(len(smooth)) + 9, smooth, color=colour, linewidth=2, label=kind)
    panel.set(title=f"learning rate {lr}", xlabel="step", ylim=(0, 3.2))
    panel.grid(alpha=0.3)
panels[0].set_ylabel("loss (mean of ten steps)")
panels[0].legend()
viz.show(
    figure,
    "Loss against training step at three learning rates. With the default weights it stays at 2.3 in all panels. With "
    "He's weights it falls at the two smaller rates and not at the largest. With batch norm it falls in all three, "
    "fastest at the middle one.",
)

last = {key: np.mean(found[-10:]) for key, found in curves.items()}
for (kind, lr), value in last.items():
    print(f"learning rate {lr:4}, {kind:10}: loss {value:.2f} in the last ten steps")
for lr in rates:
    assert last["default", lr] > 2.2  # ln 10 = 2.30 is guessing
    assert last["batch norm", lr] < 1.2
    assert not last["He", lr] < last["batch norm", lr]  # nor is nan

# %% [markdown]
# The grey line learns nothing: for ten layers with ReLU the default weights are too small, as *small* and *Xavier* in
# the picture above. (PyTorch inherited them from its predecessor Torch.) With He's weights the network learns, as long
# as the steps are not too large. With batch norm it learns at all three rates, and faster. This is one seed and a small
# network; the order is usual, the numbers are not to be generalised.
#
# What do the layers see meanwhile? The callback `training.LayerHistograms` counts, while `fit` trains. Each panel is a
# heat map: training steps from left to right, values from bottom to top.

# %%
trained = {}
for kind, name in (("He", "conv"), ("batch norm", "norm")):
    watched = [f"{name}{i}" for i in (1, 4, 7, 10)]
    recorded = training.LayerHistograms(every=4, layers=watched)
    trained[kind] = network(kind)
    optimizer = optim.SGD(trained[kind].parameters(), lr=0.05)
    training.fit(trained[kind], batches(), optimizer, epochs=3, callbacks=[recorded])
    viz.show(
        viz.plot.histograms(recorded, kinds=("activations", "gradients"), title=f"{kind}: what the ReLUs get"),
        f"{kind}: heat maps of the inputs of ReLU 1, 4, 7 and 10 and of their gradients over the training. "
        + (
            "The values spread out and move while the network learns, and no two layers have the same scale."
            if kind == "He"
            else "The values stay in the same band around 0, in all layers and at all steps."
        ),
    )
    deepest = [h.rms for h in recorded.histograms if (h.layer, h.kind) == (watched[-1], "activations")]
    print(f"{kind}: typical input of the last ReLU from {min(deepest):.2f} to {max(deepest):.2f} during the training")
    assert max(deepest) > 4 * min(deepest) if kind == "He" else max(deepest) < 2 * min(deepest)

# %% [markdown]
# Compare the scales on the left. Without normalisation the distributions differ from layer to layer and change while
# the network learns. With it every layer gets numbers of the same kind from the first step to the last. On the right
# are the gradients; those that are exactly 0 belong to closed ReLUs, about half of them. (Whether *this* is why
# training gets easier is disputed: Santurkar et al., 2018, found that the loss becomes smoother, with or without stable
# distributions. That it does get easier, you have seen.)
#
# ## Where to put it
#
# The paper puts it **between convolution and ReLU**, and so do most networks. After the ReLU works, too:

# %%
after = losses(network("batch norm after ReLU"), 0.05)
print(f"norm before ReLU: {last['batch norm', 0.05]:.2f}, after it: {np.mean(after[-10:]):.2f}")
assert np.mean(after[-10:]) < 1.2

# %% [markdown]
# A convolution before it needs **no bias**: whatever it adds to a channel, the mean takes away again, and $\beta$ does
# its work. Its gradient is 0 but for rounding, so it never even learns. Networks therefore write `nn.Conv2d(…,
# bias=False)`.

# %%
conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
x = tcnn.randn(8, 3, 6, 6)
y = norm(conv(x))
y.backward(tcnn.randn(*y.shape))
print("gradient of the bias:", conv.bias.grad, " of the weights:", typical(conv.weight.grad))
assert np.abs(conv.bias.grad).max() < 1e-3 * typical(conv.weight.grad)

nn.init.constant_(conv.bias, 5.0)
assert np.allclose(norm(conv(x)).numpy(), y.numpy(), atol=1e-4)

# %% [markdown]
# ## Gone at evaluation
#
# In evaluation $\mu$ and $\sigma$ are constants. A convolution followed by a multiplication and an addition for each
# channel is a convolution again, with other weights and another bias:
#
# $$w' = a\,w \qquad b' = \beta + a\,(b-\mu) \qquad\text{with}\quad a = \frac{\gamma}{\sqrt{\sigma^2+\varepsilon}}$$
#
# We fold all ten layers of the trained network into their convolutions, and leave them out.

# %%
normed = trained["batch norm"].eval()
folded = network("default").eval()  # the same network without batch norm
folded.scores.load_state_dict(normed.scores.state_dict())
for i in range(1, 11):
    conv, norm = normed.get_submodule(f"conv{i}"), normed.get_submodule(f"norm{i}")
    a = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * a.reshape(-1, 1, 1, 1)
    bias = norm.bias + a * (conv.bias - norm.running_mean)
    folded.get_submodule(f"conv{i}").load_state_dict({"weight": weight, "bias": bias})

images, labels = digits.test.get_batch(range(len(digits.test)))
with tcnn.no_grad():
    scores, scores_folded = normed(tcnn.tensor(images)).numpy(), folded(tcnn.tensor(images)).numpy()
print(f"{len(images)} test digits: largest difference {np.abs(scores - scores_folded).max():.1e}, ", end="")
print(f"scores as large as {np.abs(scores).max():.0f}, {(scores.argmax(1) == labels).mean():.1%} read correctly")
assert np.allclose(scores, scores_folded, atol=1e-3)
assert (scores.argmax(axis=1) == labels).mean() > 0.9

# %% [markdown]
# So in use batch norm costs nothing at all.
#
# ## Relatives
#
# **Layer norm** takes mean and variance over all channels of one image, **instance norm** over one channel of one
# image, **group norm** over a few channels of one image. None of them looks at other images, so they need no running
# averages and work with a batch of one; `nn.LayerNorm`, `nn.InstanceNorm2d` and `nn.GroupNorm` are there to try.
#
# ## Exercises
#
# 1. **Forward**, with running averages: `tcnn exercise check batch_norm_forward`
# 2. **Backward**, with all three terms: `tcnn exercise check batch_norm_backward`
# 3. **Another normalisation**, AlexNet's, by neighbouring channels: `tcnn exercise check lrn`
#
# On paper: a channel has two numbers in the batch, $a < b$, and $\varepsilon = 0$. What is $\hat x$? What does that
# tell about very small batches? And: why is $\gamma$ of no use if another convolution follows without a ReLU between?
#
# ## Further reading
#
# - X. Glorot and Y. Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".
# - K. He, X. Zhang, S. Ren and J. Sun (2015), "Delving deep into rectifiers".
# - S. Ioffe and C. Szegedy (2015), "Batch normalization: accelerating deep network training by reducing internal
#   covariate shift".
# - S. Santurkar, D. Tsipras, A. Ilyas and A. Mądry (2018), "How does batch normalization help optimization?"
# - J. L. Ba, J. R. Kiros and G. Hinton (2016), "Layer normalization"; Y. Wu and K. He (2018), "Group normalization".

# %% [markdown]
# # B · Inside the framework: add an operation
#
# *An operation that the package does not have, from its two formulas to a layer that trains in LeNet-5; how its
# mistakes are found, and how fast kernels are made. Runs offline, in some seconds.*
#
# **What you will be able to do:** write forward and backward of an operation with two inputs, have them checked, read
# what the checks say, make a layer of it, see it in the graph, and put your own kernel in the place of one of the
# package's.
#
# You need tutorials 2 and 3 (gradients, a Tensor with autograd), and 11 (LeNet-5) for the last part. Have
# `tinygrad_cnn/function.py` and `tinygrad_cnn/autograd.py` open beside this page.

# %%
import inspect
import time
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, kernels, models, nn, ops, optim, training, viz
from tinygrad_cnn.random import Generator
from tinygrad_cnn.viz.formulas import FORMULAS, Entry

tcnn.manual_seed(0)

# %% [markdown]
# ## The operation
#
# **Swish with a slope that is learned.** Let $\sigma$ be the sigmoid. The operation takes $x$ and a number $\beta$:
#
# $$y = x\,\sigma(\beta x)$$
#
# With $\beta = 1$ the package has it, as `silu`; with a $\beta$ that learns it has not. What the number does: $\beta =
# 0$ gives the straight line $x/2$, and the larger $\beta$ is, the closer $y$ comes to ReLU.

# %%
x = np.linspace(-4, 4, 161)
sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for beta, colour in ((0.0, "#999999"), (0.5, "#009e73"), (1.0, "#0072b2"), (4.0, "#d55e00")):
    s = sigmoid(beta * x)
    panels[0].plot(x, x * s, color=colour, label=f"β = {beta:g}")
    panels[1].plot(x, s + beta * x * s * (1 - s), color=colour)
panels[0].plot(x, np.maximum(x, 0), ":", color="black", label="ReLU")
panels[0].set(title="y", xlabel="x", ylim=(-1.5, 4))
panels[1].plot(x, x > 0, ":", color="black")
panels[1].set(title="slope ∂y/∂x", xlabel="x")
panels[0].legend()
for panel in panels:
    panel.grid(alpha=0.3)
viz.show(
    figure,
    "Left y = x·σ(βx) for four β: a straight line for 0, and with larger β closer and closer to ReLU. Right the "
    "slopes: for β = 1 and 4 they are a little below 0 on the left and rise a little above 1 on the right.",
)
assert np.abs(x * sigmoid(50 * x) - np.maximum(x, 0)).max() < 0.01

# %% [markdown]
# **Its derivatives.** Both inputs appear in a product, so use the product rule, and $\sigma' = \sigma(1-\sigma)$. With
# $s = \sigma(\beta x)$:
#
# $$\frac{\partial y}{\partial x} = s + \beta x\,s(1-s) \qquad \frac{\partial y}{\partial\beta} = x^2\,s(1-s)$$
#
# Backward gets $dy$, the gradient of the loss with respect to $y$, and hands back $dx = dy\cdot\partial y/\partial x$
# and $d\beta = dy\cdot\partial y/\partial\beta$.
#
# **Broadcasting.** We want one $\beta$ for each channel: $x$ is (N, C, H, W) and $\beta$ is (C, 1, 1), which NumPy
# repeats over all images and pixels. A number that is used many times gets the *sum* of what comes back from its uses
# (tutorial 3). In this package that is `kernels.unbroadcast(gradient, shape)`. The base class `ops.Broadcast` calls it
# for every input, in its method `returned`:

# %%
print(inspect.getsource(ops.Broadcast.returned))

# %% [markdown]
# An operation is a class with `forward` and `backward`, which see plain arrays. `self.save` keeps what backward will
# need, `self.needs` says which inputs want a gradient at all. This is everything:


# %%
class Swish(ops.Broadcast):
    """x · σ(βx), with a slope β that is learned."""

    def forward(self, x, beta):
        self.save(x=x, beta=beta)  # not σ(βx): that is computed again, see below
        return x * kernels.sigmoid_forward(beta * x)

    def backward(self, dy):
        x, beta = self.saved.x, self.saved.beta
        s = kernels.sigmoid_forward(beta * x)
        dx = dy * (s + beta * x * s * (1 - s)) if self.needs.x else None
        dbeta = dy * x * x * s * (1 - s) if self.needs.beta else None
        return self.returned(dx, dbeta)


x = tcnn.tensor([-1.0, 0.0, 2.0], requires_grad=True)
beta = tcnn.tensor(1.0, requires_grad=True)
y = tcnn.apply(Swish(), x, beta)  # each call gets an instance of its own: it is the node of the graph
print(y)
assert np.allclose(y.numpy(), tcnn.nn.functional.silu(x).numpy())

# %% [markdown]
# **What to save?** Whatever is saved stays in memory until backward. `x` and `beta` are inputs, which exist anyway: to
# save them costs a reference, no copy. To save $s$ as well would cost one more array of the size of $x$ and spare one
# sigmoid. `tinygrad_cnn/ops/activation.py` decides the same for `SiLU`. `ReLU` there does better: one byte a number, a
# mask.

# %%
assert set(y.node.saved) == {"x", "beta"}
assert np.shares_memory(y.node.saved.x, x.data)  # the same memory, not a copy

# %% [markdown]
# ## Is backward right?
#
# `gradcheck` measures every slope with two small steps, $(f(x+\varepsilon) - f(x-\varepsilon))\,/\,2\varepsilon$, and
# compares. It wants float64, since in float32 such a difference is mostly rounding. Take shapes in which no two sizes
# are equal, or an exchange of axes goes unnoticed, and let one input be broadcast.


# %%
def leaf(*shape):
    return tcnn.randn(*shape, dtype="float64", requires_grad=True)


def swish(x, beta):
    return tcnn.apply(Swish(), x, beta)


x, beta = leaf(2, 3, 5, 4), leaf(3, 1, 1)
print(tcnn.gradcheck(swish, [x, beta]))
assert tcnn.gradcheck(swish, [x, beta])

# %% [markdown]
# ## Three mistakes
#
# **First: the sum is forgotten.** Backward returns a gradient of β that has the shape of x. No gradcheck is needed; the
# walk back itself refuses it.


# %%
def refused(function, *arguments):
    """What the error says; it must be one."""
    try:
        function(*arguments)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    raise SystemExit("nothing was refused")


class NotSummed(Swish):
    def backward(self, dy):
        x, beta = self.saved.x, self.saved.beta
        s = kernels.sigmoid_forward(beta * x)
        return dy * (s + beta * x * s * (1 - s)), dy * x * x * s * (1 - s)


y = tcnn.apply(NotSummed(), x, beta)
message = refused(y.sum().backward)
print(message)
assert "its input beta" in message
assert "unbroadcast" in message

# %% [markdown]
# **Second: half of the product rule.** A shape cannot tell; the measured slope does. The message names the input, the
# worst place, and both numbers. "Input 0" is x. That nearly all its entries are off says that a term is missing, and
# not that some special case is wrong. (Where x is close to 0, so is the missing term.)


# %%
class HalfAProduct(Swish):
    def backward(self, dy):
        x, beta = self.saved.x, self.saved.beta
        s = kernels.sigmoid_forward(beta * x)
        return self.returned(dy * s, dy * x * x * s * (1 - s))


message = refused(tcnn.gradcheck, lambda x, beta: tcnn.apply(HalfAProduct(), x, beta), [x, beta])
print(message)
off = int(message.split("; ")[1].split()[0])
assert "input 0" in message
assert off > 100

# %% [markdown]
# **Third: dy is forgotten.** Many people test a gradient with `y.sum().backward()`. Then every entry of dy is 1, and
# whether backward multiplies with it cannot be seen. In a network dy is never all ones.


# %%
class WithoutDy(Swish):
    def backward(self, dy):
        x, beta = self.saved.x, self.saved.beta
        s = kernels.sigmoid_forward(beta * x)
        return self.returned(s + beta * x * s * (1 - s), x * x * s * (1 - s))


tcnn.apply(WithoutDy(), x, beta).sum().backward()
step = 1e-6
with tcnn.no_grad():  # each y depends on its own x only, so all slopes of the sum are measured at once
    measured = (swish(x + step, beta) - swish(x - step, beta)) / (2 * step)
print("largest difference:", np.abs(x.grad - measured.numpy()).max())
assert np.allclose(x.grad, measured.numpy(), rtol=0, atol=1e-8)  # as if all was right
x.grad = beta.grad = None

print(refused(tcnn.gradcheck, lambda x, beta: tcnn.apply(WithoutDy(), x, beta), [x, beta]))

# %% [markdown]
# The sum agrees, and backward is wrong. That is why `gradcheck` draws a random dy, a **cotangent** $v$, and
# checks the slope of $v\cdot y$. A sum hides even more in batch normalisation: the outputs of a channel add up to 0,
# whatever x is. There a backward that returns zeros would pass.

# %%
for shift in (0, 1, 2):
    numbers = x.detach() ** 2 + shift * x.detach()
    normalised = (numbers - numbers.mean()) / numbers.std()
    assert abs(normalised.sum().item()) < 1e-9

# %% [markdown]
# ## A function, with an error that helps
#
# Users should not see `apply`. A function around it takes care of the shapes, one β or one for each channel, and says
# what is wrong in the terms of its caller: the operation, the sizes, the rule.


# %%
def learned_swish(input, beta):
    """y = x·σ(βx); input x: (N, C, …), beta: (1,) or (C,)."""
    if not input.is_floating_point():
        raise tcnn.DtypeError(f"learned_swish: x is {input.dtype}; it must have a floating-point format, use .float()")
    if beta.shape not in ((1,), input.shape[1:2]):
        raise tcnn.ShapeError(
            f"learned_swish: beta {beta.shape} must have one entry, or one per channel of x {input.shape}, (N, C, …)"
        )
    channels_first = (-1,) + (1,) * (input.ndim - 2)  # (C,) -> (C, 1, 1) for images
    return tcnn.apply(Swish(), input, beta.reshape(channels_first))


message = refused(learned_swish, tcnn.zeros(2, 3, 5, 4), tcnn.ones(4))
print(message)
assert "one per channel" in message
print(refused(learned_swish, tcnn.tensor([[1, 2]]), tcnn.ones(1)))
assert tcnn.gradcheck(learned_swish, [x, leaf(3)])

# %% [markdown]
# ## Its formulas, and its picture
#
# The pictures take formulas from a table, `tinygrad_cnn/viz/formulas.py`. For an operation that is not in it they read
# the source of `forward` and `backward`, as long as what they find is short. Ours is not, so we write the entry: words,
# and equations in NumPy's language. Tests compute these equations and compare, so that no formula in a picture can be
# wrong.

# %%
FORMULAS[Swish] = Entry(
    "passes large βx, stops very negative ones, smoothly",
    y="x * s",
    dx="dy * (s + beta * x * s * (1 - s))",
    dbeta="dy * x ** 2 * s * (1 - s)",
    s="σ(beta * x)",
)

x = tcnn.tensor([[1.0, -1.0], [2.0, 0.5]], requires_grad=True)
beta = tcnn.tensor([1.0, 3.0], requires_grad=True)
with viz.record() as tape:
    y = swish(x, beta)
    loss = ((y - 1) ** 2).mean()
    loss.backward()
viz.show(
    viz.graph(loss, params={"x": x, "beta": beta}, formulas=True),
    "The graph from x and beta through swish, minus 1, square and mean to the loss. Each box has its value and its "
    "gradient; the box swish has the formulas of its two gradients.",
)

# %% [markdown]
# Find the box *swish*: two arrows come in, and there are two formulas for what goes back, in which $s$ is σ(βx). β has
# one number for each column of x, so its formula says *summed over broadcast axes*. The same as a replay: step through
# it, and click on a box for all its numbers.

# %%
viz.show(
    tape,
    "A replay of one step forward and back through swish, with the formula of every operation and all numbers.",
)
by_hand = (2 / 4 * (y.numpy() - 1) * x.numpy() ** 2 * (s := sigmoid(beta.numpy() * x.numpy())) * (1 - s)).sum(axis=0)
print("gradient of beta:", beta.grad, " by hand:", by_hand)
assert np.allclose(beta.grad, by_hand)

# %% [markdown]
# ## A layer
#
# A module holds what is learned. A tensor that is to be trained is a `Parameter`; that alone puts it into
# `parameters()`, `state_dict()` and the summary.


# %%
class LearnedSwish(nn.Module):
    """Swish with one slope for each channel, which begins at 1."""

    def __init__(self, channels=1):
        super().__init__()
        self.beta = nn.Parameter(tcnn.ones(channels))

    def forward(self, x):
        return learned_swish(x, self.beta)


model = models.LeNet5(generator=Generator(0))
relu = models.LeNet5(generator=Generator(0))  # the same first weights, for comparison
outputs = {"relu1": 6, "relu2": 16, "relu3": 120, "relu4": 84}
for part in (model.features, model.classifier):
    for name, layer in list(part.named_children()):
        if isinstance(layer, nn.ReLU):
            setattr(part, name, LearnedSwish(outputs[name]))
print(model.features)
assert model.num_parameters() == relu.num_parameters() + sum(outputs.values())

# %%
digits = data.load("digits")
for name, network in (("ReLU", relu), ("learned swish", model)):
    loader = data.DataLoader(digits.train, batch_size=32, shuffle=True, generator=Generator(0))
    training.fit(network, loader, optim.Adam(network.parameters(), lr=0.002), epochs=3)
    right = training.evaluate(network, data.DataLoader(digits.test, 250))["accuracy"]
    print(f"{name:14} {right:.1%} of the test digits after 3 epochs")
    assert right > 0.9
slopes = {name: p.numpy() for name, p in model.named_parameters() if name.endswith("beta")}
for name, values in slopes.items():
    print(f"{name:22} from {values.min():.2f} to {values.max():.2f}")
    assert np.ptp(values) > 0.01  # they have learned, each its own

# %% [markdown]
# The new layer works like any other. One short training does not say which activation is better, and we do not claim
# it.
#
# ## The kernels below
#
# An operation says *what* is computed; a **kernel** computes it. `kernels.relu_forward` is an entry of a table with
# several versions: `reference` is short and works with every array library, `cpu` is fast NumPy. A version that cannot
# take its arguments returns `NotImplemented`, and the next one is asked. In front of all stands what you put there with
# `kernels.use`, for as long as the block lasts. Here a version that counts its calls:

# %%
print(kernels.relu_forward, inspect.getsource(kernels.relu_forward.implementations["reference"]), sep="\n")

calls = Counter()


def counting_relu(x):
    calls[x.shape] += 1
    return np.maximum(x, 0), x > 0  # what the reference returns: y, and the mask that backward will want


images = tcnn.tensor(digits.test.get_batch(range(8))[0])
with kernels.use(relu_forward=counting_relu):
    mine = relu(images)
print(dict(calls))
assert sum(calls.values()) == 4  # LeNet-5 has four ReLUs
assert np.allclose(mine.numpy(), relu(images).numpy(), atol=1e-5)
assert sum(calls.values()) == 4  # outside of the block the package's own is back
print(refused(kernels.get, "relu_foward").partition(" (all")[0])

# %% [markdown]
# In the same way `kernels.use(conv2d_forward=mine)` trains LeNet-5 with your convolution.
#
# ## A fast version, and its test
#
# How would `Swish` become fast? Written as a formula it has six steps, several of which make a new array, and on large
# arrays most of the time goes into memory. A version with `out=` makes one array and works in it.


# %%
def swish_reference(x, beta):
    return x * (1 / (1 + np.exp(-(beta * x))))


def swish_fast(x, beta):
    y = np.multiply(beta, x)
    np.negative(y, out=y)
    with np.errstate(over="ignore"):  # where e^(−βx) is ∞, x/∞ is the right 0
        np.exp(y, out=y)
    np.add(y, 1, out=y)
    return np.divide(x, y, out=y)


draw = np.random.default_rng(0)
x, beta = draw.normal(size=(64, 16, 28, 28)).astype(np.float32), np.ones((16, 1, 1), np.float32)
for version in (swish_reference, swish_fast):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        version(x, beta)
        seconds.append(time.perf_counter() - start)
    print(f"{version.__name__:16} {1000 * min(seconds):.1f} ms for {x.size:,} numbers")

# %% [markdown]
# A fast version is never tested against what one thinks it computes, but against the slow one: on random numbers,
# random shapes with sizes 0 and 1 among them, both number formats, and arrays that lie oddly in memory. The suite does
# exactly that with every registered kernel, in `tests/test_cpu_kernels.py`. Here in small, for ours and for two of the
# package's.

# %%
pairs = [("swish", swish_reference, swish_fast, 2)]
for name, inputs in (("sigmoid_forward", 1), ("silu_backward", 2)):
    versions = kernels.get(name).implementations
    pairs.append((name, versions["reference"], versions["cpu"], inputs))

for name, slow, fast, inputs in pairs:
    worst = 0.0
    for trial in range(60):
        shape = tuple(draw.integers(0, 6, size=4))
        dtype, bound = ((np.float32, 1e-5), (np.float64, 1e-12))[trial % 2]
        arrays = [3 * draw.normal(size=shape).astype(dtype) for _ in range(inputs)]
        if trial % 3 == 0:
            arrays = [a.transpose(3, 1, 0, 2) for a in arrays]  # not in the usual order in memory
        untouched = [a.copy() for a in arrays]
        expected, found = slow(*arrays), fast(*arrays)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        error = np.abs(found - expected).max(initial=0)
        assert error <= bound
        assert all((a == b).all() for a, b in zip(arrays, untouched))  # it may not write into its arguments
        worst = max(worst, error)
    print(f"{name:16} 60 random shapes, largest difference {worst:.1e}")

# %% [markdown]
# Two of these tests catch what a student's eye does not: a wrong `out=` writes into an argument, and one product with a
# float64 constant array makes float64 of float32.
#
# ## To contribute it
#
# A topic keeps its file name from room to room. For an activation:
#
# | what | file |
# |---|---|
# | the class `Swish` | `tinygrad_cnn/ops/activation.py`, and its name in `ops/__init__.py` |
# | arithmetic that is longer than a few lines, `@kernel("swish_forward")` | `kernels/reference/activations.py` |
# | the fast version, `@kernel("swish_forward", backend="cpu")` | `kernels/cpu/activations.py` |
# | the function, with formula, shapes, errors, source, and an example that runs | `functional/activation.py` |
# | the layer | `nn/activation.py` |
# | the formulas | `viz/formulas.py` |
# | values by hand, messages | `tests/test_activations.py` |
# | gradcheck, and PyTorch where it has the function | `tests/test_functional.py`, `tests/test_nn_layers.py` |
# | arguments for the comparison of fast and slow | a generator in `tests/test_cpu_kernels.py` |
# | the formulas, computed | a case in `tests/test_viz_formulas.py` |
#
# Forget the last two, and the suite says so by itself: it looks for a generator for every fast kernel, and for a case
# for every operation. `CONTRIBUTING.md` has the rest.
#
# ## Exercises
#
# 1. **The order of the walk back**: `tcnn exercise check toposort`
# 2. **Backward**, the whole of it in a dozen lines: `tcnn exercise check backward`
# 3. **ReLU**, forward and backward: `tcnn exercise check relu`. Then let LeNet-5 use yours: `tcnn exercise train lenet5
#    --mine`
#
# And on paper: $y = \max(x, 0)^2$, the squared ReLU. What is its derivative at 0? What is the least that its forward
# can save? And what would you save for $y = \sigma(\beta x)$ alone, if $x$ is not kept by anyone else?
#
# ## Further reading
#
# - P. Ramachandran, B. Zoph and Q. V. Le (2017), "Searching for activation functions": swish, with β fixed or learned.
# - S. Elfwing, E. Uchibe and K. Doya (2018), "Sigmoid-weighted linear units for neural network function approximation
#   in reinforcement learning": the case β = 1.
# - A. Griewank and A. Walther (2008), *Evaluating Derivatives*: reverse mode and its checks.
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul and J. M. Siskind (2018), "Automatic differentiation in machine
#   learning: a survey".

# %% [markdown]
# # 2 · Gradients by hand
#
# *What a slope is, how slopes travel backwards through a computation, and why a small step against them makes a loss
# smaller. Runs offline, in a few seconds.*
#
# **What you will be able to do:** measure a slope and say how far to trust it, go backwards through a computation with
# pencil and paper, name what addition, multiplication and maximum do to a gradient, and walk downhill.
#
# You need tutorial 1 and, from school, what the derivative of $x^2$ is.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import viz

# %% [markdown]
# ## A slope, measured
#
# How much does $f(x)$ change when $x$ changes a little? Take a small step $h$, see how much $f$ changes, and divide by
# the step: that is the **slope**. For $f(x) = x^2$ at $x = 3$ the derivative $2x$ says 6. A step of $h = 0.01$ to the
# right gives
#
# $$\frac{f(3 + h) - f(3)}{h} = \frac{9.0601 - 9}{0.01} = 6.01$$
#
# which is nearly 6. It is a little too much, since the curve gets steeper on the way. On the other side of 3 it is less
# steep, so let us step to both sides, from $3 - h$ to $3 + h$: the two errors cancel, here completely. This is the
# **central difference**:
#
# $$\frac{f(x + h) - f(x - h)}{2h}$$


# %%
def square(x):
    return x * x


h = 0.01
one_sided = (square(3 + h) - square(3)) / h
central = (square(3 + h) - square(3 - h)) / (2 * h)
print(f"one-sided {one_sided:.6f}, central {central:.6f}")
assert np.isclose(one_sided, 6.01)
assert np.isclose(central, 6)

# %% [markdown]
# ## How small is small?
#
# A smaller step should always be better. On a computer it is not. Let us measure the slope of sigmoid at 1 with steps
# from 1 down to $10^{-10}$. The true slope is known from tutorial 1: $\sigma(1)\,(1-\sigma(1))$.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


truth = sigmoid(1.0) * (1 - sigmoid(1.0))
steps = np.logspace(-10, 0, 61)
errors = {}
for bits in ("float32", "float64"):
    h = steps.astype(bits)
    x = np.ones_like(h)
    errors[bits, "one-sided"] = np.abs((sigmoid(x + h) - sigmoid(x)) / h - truth)
    errors[bits, "central"] = np.abs((sigmoid(x + h) - sigmoid(x - h)) / (2 * h) - truth)

figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for (bits, kind), error in errors.items():
    colour = {"float32": "#d55e00", "float64": "#0072b2"}[bits]
    axes.loglog(steps, error, "-" if kind == "central" else ":", color=colour, label=f"{bits}, {kind}")
axes.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-13, 1))
axes.grid(alpha=0.3)
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
viz.show(
    figure,
    "The error of a measured slope against the step, both on logarithmic axes: four curves shaped like a V. From the "
    "right each falls as the step shrinks, then turns and rises again, ragged. In float32 the best central step is "
    "near a hundredth, in float64 near a hundred-thousandth, and its error is far smaller.",
)

# %% [markdown]
# Read the picture from right to left. At first each curve falls in a straight line: the smaller the step, the less
# sigmoid bends within it. A step ten times smaller makes the one-sided error ten times smaller, and the central one a
# hundred times. That is why the solid lines are the better ones. Then each curve turns and becomes ragged. There the
# computer runs out of digits.
#
# A `float32` (orange), the number format of networks, keeps about 7 digits; a `float64` (blue) about 16. Near
# $\sigma(1) \approx 0.73$ neighbouring numbers are $6\cdot10^{-8}$ apart. With $h = 10^{-6}$ the two values differ by
# no more than seven such gaps, so their difference can only be a whole number of gaps: most of its digits are lost.
# And with $h = 10^{-8}$, $1 + h$ is rounded to 1. Nothing moves, and the slope is measured as 0.

# %%
gap = np.spacing(np.float32(sigmoid(1.0)))
print(f"neighbours are {gap:.1e} apart; at h = 1e-6 the values differ by {2e-6 * truth / gap:.1f} gaps")
assert 5.9e-8 < gap < 6.1e-8
assert 2e-6 * truth < 7 * gap
assert np.float32(1) + np.float32(1e-8) == np.float32(1)

near_01, near_001 = (np.abs(steps - h).argmin() for h in (0.1, 0.01))
assert 9 < errors["float64", "one-sided"][near_01] / errors["float64", "one-sided"][near_001] < 11
assert 90 < errors["float64", "central"][near_01] / errors["float64", "central"][near_001] < 110
digits = {bits: (np.finfo(bits).nmant + 1) * np.log10(2) for bits in ("float32", "float64")}  # from binary digits
assert round(digits["float32"]) == 7
assert round(digits["float64"]) == 16

for bits in ("float32", "float64"):
    best = steps[errors[bits, "central"].argmin()]
    print(f"{bits}: best central step about {best:.0e}, error there {errors[bits, 'central'].min():.0e}")
assert errors["float32", "central"][steps < 1e-6].max() > 100 * errors["float32", "central"].min()
assert errors["float64", "central"].min() < 1e-9

# %% [markdown]
# So measure slopes in `float64`, with steps to both sides that are small but not tiny. The function below does it for
# a function of several inputs: one input moves, the others stay. A slope with respect to one of several inputs is
# called a **partial derivative**, and all of them together are the **gradient**. The second function asks the library
# for the same.


# %%
def measured(f, *values, h=1e-6):
    """The slope of f for each input in turn, by central differences in float64."""
    slopes = []
    for i in range(len(values)):
        ends = []
        for step in (h, -h):
            moved = [tcnn.tensor(v + step * (i == j), dtype="float64") for j, v in enumerate(values)]
            ends.append(f(*moved).item())
        slopes.append((ends[0] - ends[1]) / (2 * h))
    return slopes


def by_library(f, *values):
    """The same slopes with backward()."""
    inputs = [tcnn.tensor(v, dtype="float64", requires_grad=True) for v in values]
    f(*inputs).backward()
    return [x.grad.item() for x in inputs]


# %% [markdown]
# A measured gradient needs two computations for each input. For a network with 60,000 weights that is 120,000
# computations to learn in which direction to take one step. What follows needs one way forward and one back, and is
# exact up to rounding. Measuring remains the way to check it: `tcnn.gradcheck` does so, in `float64` and with steps
# to both sides.
#
# ## The chain rule
#
# Three numbers, $x = -2$, $y = 5$, $z = -4$, and $L = (x + y)\cdot z$. Forward there are two operations. Give the
# result of the first a name, $q$:

# %%
x, y, z = -2.0, 5.0, -4.0

q = x + y  # 3
L = q * z  # -12
assert (q, L) == (3, -12)

# %% [markdown]
# Backward we ask of each number: if it grows a little, how fast does $L$ change? The answer for $q$ is called `dq`
# here; mathematicians write $\partial L/\partial q$. Start at the end, where the answer is clear.
#
# - $L$ itself: if $L$ grows by $h$, $L$ grows by $h$. `dL` is 1.
# - $L = q\cdot z$: if $q$ grows by $h$, $L$ grows by $z\cdot h$. So `dq` is $z = -4$, and in the same way `dz` is
#   $q = 3$.
# - $q = x + y$: if $x$ grows by $h$, $q$ grows by $1\cdot h$, and so $L$ by $-4\cdot1\cdot h$. `dx` is −4, and so is
#   `dy`.
#
# The last line is the **chain rule**: the slope of a way is the product of the slopes along it.
#
# $$\frac{\partial L}{\partial x} = \frac{\partial L}{\partial q}\cdot\frac{\partial q}{\partial x}$$
#
# In code, a line for each line of the forward pass, in reverse order:

# %%
dL = 1.0
dq, dz = z * dL, q * dL  # backward through L = q * z
dx, dy = 1 * dq, 1 * dq  # backward through q = x + y
print("by hand:   ", [dx, dy, dz])


def three_numbers(x, y, z):
    return (x + y) * z


print("library:   ", by_library(three_numbers, x, y, z))
print("measured:  ", np.round(measured(three_numbers, x, y, z), 6).tolist())
assert [dx, dy, dz] == [-4, -4, 3] == by_library(three_numbers, x, y, z)
assert np.allclose(measured(three_numbers, x, y, z), [dx, dy, dz])

# %% [markdown]
# Where did `backward` get it from? While the library computed $(x + y)\cdot z$, it noted each operation and what went
# in. The notes are a **graph**. In its picture, values flow along the arrows, gradients travel back against them, and
# each operation says what it does to a gradient that arrives. (Our $q$ has the name of its operation there, *add*.)

# %%
inputs = {name: tcnn.tensor(value, requires_grad=True) for name, value in {"x": x, "y": y, "z": z}.items()}
with viz.record(params=inputs) as tape:
    three_numbers(**inputs).backward()
viz.show(
    tape.graph(formulas=True),
    "The graph of (x + y) · z: x = −2 and y = 5 flow into an addition, its result 3 and z = −4 into a multiplication, "
    "whose result is −12. The gradients are 1 at the multiplication, −4 at the addition, −4 at x and y, and 3 at z.",
)

# %% [markdown]
# ## Local rules
#
# No operation has to know the whole computation. Each gets one gradient from behind, `dout`, multiplies it with its own
# slopes, and hands the products on. For the most common ones the multiplication has a simple meaning:
#
# | forward | own slopes | backward | in a word |
# |---|---|---|---|
# | `x + y` | 1 and 1 | `dout`, `dout` | **copies** |
# | `x * y` | `y` and `x` | `dout * y`, `dout * x` | **swaps** |
# | `max(x, y)` | 1 for the larger one, 0 for the other | `dout` to the larger one | **routes** |
# | `x` used twice | | the sum of both gradients | **adds** |
#
# The last row is the one that is forgotten most easily. If $x$ leads to $L$ along two paths, a change of $x$ changes
# $L$ along both, and the changes add up. Below, each rule with $x = 3$, $y = -4$, and a gradient of 2 that arrives.

# %%
rules = {  # what is computed, and dx, dy by the rule
    "add copies": (lambda x, y: 2 * (x + y), [2, 2]),
    "mul swaps": (lambda x, y: 2 * (x * y), [2 * -4, 2 * 3]),
    "max routes": (lambda x, y: 2 * tcnn.maximum(x, y), [2, 0]),
    "two paths add": (lambda x, y: 2 * (x * y + x), [2 * -4 + 2, 2 * 3]),
}
for name, (f, by_hand) in rules.items():
    print(f"{name:14} by hand {by_hand}, library {by_library(f, 3.0, -4.0)}")
    assert by_library(f, 3.0, -4.0) == by_hand
    assert np.allclose(measured(f, 3.0, -4.0), by_hand)

# %% [markdown]
# `viz.why` takes a gradient apart into its paths. In $(x + y)\cdot z + x$ there are two from $x$ to the result. Along
# each, the slopes are multiplied; then the products are added: $-4 + 1 = -3$.

# %%
answer = viz.why(inputs["x"], loss=three_numbers(**inputs) + inputs["x"], params=inputs)
print("\n".join(str(answer).splitlines()[:9]))
assert [path.contribution for path in answer.paths] == [-4, 1]
assert answer.value == -3

# %% [markdown]
# ## Backward through a neuron
#
# Now the neuron of tutorial 1, with sigmoid: $y = \sigma(w_1x_1 + w_2x_2 + b)$. It says 0.73 and should say $t = 0$.
# How wrong that is we measure by the **loss** $L = (y - t)^2$. Forward, then backward line by line. For sigmoid the
# own slope is $y\,(1-y)$, for the square it is twice what is squared.

# %%
w1, w2, b = 2.0, -3.0, -3.0
x1, x2, t = -1.0, -2.0, 0.0

z = w1 * x1 + w2 * x2 + b
y = sigmoid(z)
L = (y - t) ** 2

dy = 2 * (y - t)  # the square
dz = y * (1 - y) * dy  # sigmoid
db = dz  # + copies …
dw1, dx1 = x1 * dz, w1 * dz  # … to both products, and * swaps
dw2, dx2 = x2 * dz, w2 * dz
print(f"forward:  z = {z:.4f}   y = {y:.4f}   L = {L:.4f}")
print(f"backward: dy = {dy:.4f}  dz = {dz:.4f}  dw1 = {dw1:.4f}  dw2 = {dw2:.4f}  db = {db:.4f}")
assert z == 1
assert round(y, 2) == 0.73


def neuron_loss(w1, w2, b, x1, x2):
    y = tcnn.sigmoid(w1 * x1 + w2 * x2 + b)
    return (y - t) ** 2


assert np.allclose([dw1, dw2, db, dx1, dx2], by_library(neuron_loss, w1, w2, b, x1, x2))
assert np.allclose([dw1, dw2, db, dx1, dx2], measured(neuron_loss, w1, w2, b, x1, x2))

# %% [markdown]
# Three things to notice. A weight's gradient is its input times `dz`, so a weight with a large input changes more,
# and one whose input is 0 learns nothing from this example. An input's gradient is its weight times `dz`; in a
# network, that is what the layer before receives as its own `dy`. And sigmoid let through less than a fifth of the
# gradient: the first of the slopes of at most ¼ that tutorial 1 warned about.
#
# Here is the same computation as a **replay** of what the library did. Press play, or step with the arrow keys: first
# the values appear, then the gradients, in the order in which they are computed.

# %%
assert dz / dy < 0.2

names = {"w1": w1, "w2": w2, "b": b, "x1": x1, "x2": x2}
neuron = {name: tcnn.tensor(value, requires_grad=True) for name, value in names.items()}
with viz.record(params=neuron) as tape:
    neuron_loss(**neuron).backward()
viz.show(
    tape,
    "A page that replays the neuron's forward and backward pass, event by event: the graph on one side, and on the "
    "other the operation at work with its formula, the gradient that arrived and what it hands on.",
)

# %% [markdown]
# ## One step downhill
#
# The gradient says how fast the loss grows when a weight grows. So we change each weight a little in the opposite
# direction: $w \leftarrow w - \eta\cdot dw$. The factor $\eta$ is the **learning rate**. What should that achieve? Each
# weight changes by $-\eta\,dw$, and the loss by the slope $dw$ times that, so all in all by $-\eta\,(dw_1^2 + dw_2^2 +
# db^2)$: never upwards. This is true for small steps only, since a slope describes a curve only nearby.

# %%
squares = dw1**2 + dw2**2 + db**2
print("learning rate   loss predicted   loss measured")
for lr in (0.001, 0.01, 0.1, 1.0):
    y_new = sigmoid((w1 - lr * dw1) * x1 + (w2 - lr * dw2) * x2 + (b - lr * db))
    L_new, predicted = (y_new - t) ** 2, L - lr * squares
    print(f"{lr:13} {predicted:16.4f} {L_new:15.4f}")
    assert L_new < L
    if lr <= 0.01:
        assert abs(L_new - predicted) < 0.01 * (L - predicted)

# %% [markdown]
# For small steps the prediction is right to one part in a hundred or better; for large ones it is only a rough guide.
# The step is repeated, each time with a new gradient. This is **gradient descent**, and all networks of this course
# learn by it, with refinements.

# %%
losses = []
for _ in range(200):
    loss = neuron_loss(**neuron)
    for tensor in neuron.values():
        tensor.grad = None
    loss.backward()
    with tcnn.no_grad():  # the step itself is no part of the computation
        for name in ("w1", "w2", "b"):
            neuron[name] -= 0.5 * neuron[name].grad
    losses.append(loss.item())
print(f"loss at first {losses[0]:.3f}, after 10 steps {losses[10]:.3f}, after 199 steps {losses[-1]:.4f}")
assert (np.diff(losses) < 0).all()
assert losses[-1] < 0.01 * losses[0]

# %% [markdown]
# ## The walk, seen from above
#
# With two numbers to change, the loss is a landscape. Take a bowl that is eight times as steep in one direction as in
# the other: $L(a, b) = \tfrac12(a^2 + 8b^2)$, with the gradient $(a, 8b)$. Twelve steps from the same place, with
# three learning rates:

# %%
shape = tcnn.tensor([1.0, 8.0])


def bowl(p):  # p: (…, 2)
    return 0.5 * (shape * p * p).sum(-1)


def walk(start, lr, steps=12):
    p = tcnn.tensor(start, requires_grad=True)
    places = [p.tolist()]
    for _ in range(steps):
        p.grad = None
        bowl(p).backward()
        with tcnn.no_grad():
            p -= lr * p.grad
        places.append(p.tolist())
    return np.array(places)  # (steps + 1, 2)


a, c = np.meshgrid(np.linspace(-5, 5, 101), np.linspace(-3, 3, 61))
height = bowl(tcnn.tensor(np.stack([a, c], axis=-1))).numpy()

figure, panels = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained", sharey=True)
walks = {lr: walk([-4.0, 1.0], lr) for lr in (0.02, 0.2, 0.26)}
for panel, (lr, places) in zip(panels, walks.items()):
    shown = panel.contourf(a, c, height, levels=[0, 0.5, 2, 5, 10, 16, 24, 34, 50], cmap="Blues")
    panel.plot(*places.T, "o-", color="#d55e00", markersize=4)
    panel.plot(0, 0, "k+", markersize=10)
    panel.set(title=f"learning rate {lr}", xlabel="a", aspect="equal")
panels[0].set_ylabel("b")
figure.colorbar(shown, ax=panels, label="L")
viz.show(
    figure,
    "Three times the same bowl from above, as ellipses, with a walk of twelve steps. With learning rate 0.02 the walk "
    "goes down the steep side and then creeps along the valley; with 0.2 it jumps across the valley in ever smaller "
    "zigzags and arrives; with 0.26 the zigzags grow.",
)

# %% [markdown]
# On the left the steps are safe and the walk is slow: after twelve steps it has most of the way along the valley
# still to go. In the middle it overshoots, but less each time, and arrives. On the right each step across the valley
# lands farther up than it began, by 8 %: $b \leftarrow b - 0.26\cdot8b = -1.08\,b$. The steep direction limits the
# learning rate, and the flat one has to wait. The loss of a network has thousands of directions, steep ones and flat
# ones, which is why later tutorials refine the step (momentum) and the network (batch normalisation).

# %%
slow, good, bad = walks.values()
assert slow[-1, 0] < -3
assert np.abs(good[-1]).max() < 0.3
assert np.allclose(bad[1:, 1], -1.08 * bad[:-1, 1], rtol=1e-4)

# %% [markdown]
# Look at where the steps begin: each starts at a right angle to the ellipse it stands on. Of all directions, the one
# against the gradient goes down most steeply. (Why: the change along a direction is the dot product of the gradient
# with it, and a dot product is smallest when the two point in opposite ways.) Let us try 3,600 directions.

# %%
start = tcnn.tensor([-4.0, 1.0], dtype="float64", requires_grad=True)
bowl(start).backward()
angles = np.linspace(-np.pi, np.pi, 3600, endpoint=False)
around = start.numpy() + 1e-4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (3600, 2)
steepest = angles[bowl(tcnn.tensor(around)).numpy().argmin()]
downhill = np.arctan2(-start.grad[1], -start.grad[0])
print(f"steepest of 3,600 directions: {np.degrees(steepest):.1f}°, against the gradient: {np.degrees(downhill):.1f}°")
assert abs(steepest - downhill) < 2 * np.pi / 3600

# %% [markdown]
# A gradient by hand is a line of code for each operation, and the line depends on the kind of operation only. There may
# be thousands of operations, but there are few kinds. So a program can do it: the next tutorial builds one.
#
# ## Exercises
#
# 1. **Sigmoid**, if you left out its way back in tutorial 1: `tcnn exercise check sigmoid`
# 2. **Backward through a whole layer** of neurons, where *swaps* becomes two matrix products:
#    `tcnn exercise check linear_backward`
# 3. **The step downhill**, with momentum: `tcnn exercise check sgd`
#
# And on paper:
#
# 4. Go backwards through $L = \max(x\cdot y,\ x + z)$ for $x = 2$, $y = 3$, $z = 1$. Which input gets no gradient at
#    all, and from where on would it get one? Check yourself with `by_library`.
# 5. What is the slope of $\max(x, y)$ where $x = y$? Find out what `measured` and `by_library` say, and why that
#    makes sense.
#
# ## Further reading
#
# - D. Rumelhart, G. Hinton and R. Williams (1986), "Learning representations by back-propagating errors".
# - A. Griewank and A. Walther (2008), *Evaluating Derivatives*: the chain rule as an algorithm, and what it costs.
# - A. Baydin, B. Pearlmutter, A. Radul and J. Siskind (2018), "Automatic differentiation in machine learning: a
#   survey".

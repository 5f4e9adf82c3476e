# %% [markdown]
# # 3 · A Tensor with autograd in 100 lines
#
# *A program that finds gradients, built from nothing but NumPy, cell by cell, until it trains a network and agrees with
# the library. Then the library's own hundred lines. Runs offline, in a few seconds.*
#
# **What you will be able to do:** write a Tensor that remembers how it was computed, put its operations in the right
# order for the way back, undo broadcasting, and read `tinygrad_cnn/autograd.py`.
#
# You need tutorial 2: copies, swaps, and *two paths add up*.

# %%
import inspect
import sys

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import autograd, data, viz

# %% [markdown]
# ## A number that remembers
#
# In tutorial 2 we wrote a line backward for each line forward. To have a program do it, a result must remember two
# things: its **parents**, which are the tensors it was computed from, and how to **hand back** a gradient: a function
# that takes the gradient of the result and returns one gradient for each parent.


# %%
class Tensor:
    """An array that remembers how it was computed."""

    def __init__(self, data, parents=(), hand_back=None):
        self.data = np.asarray(data, dtype=np.float64)
        self.parents = parents
        self.hand_back = hand_back  # dy -> a gradient for each parent
        self.grad = None


def as_tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def add(x, y):
    x, y = as_tensor(x), as_tensor(y)
    return Tensor(x.data + y.data, (x, y), lambda dz: (dz, dz))


def multiply(x, y):
    x, y = as_tensor(x), as_tensor(y)
    return Tensor(x.data * y.data, (x, y), lambda dz: (dz * y.data, dz * x.data))


Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = multiply

# %% [markdown]
# Addition copies, multiplication swaps: you know the two `lambda`s. The last two lines make `x + y` call `add(x, y)`,
# and `2 * x` call `multiply(x, 2)`. A method is a function that lies in a class, and it may be put there later. The
# three numbers of tutorial 2, stepped back through by hand:

# %%
x, y, z = Tensor(-2), Tensor(5), Tensor(-4)
L = (x + y) * z
q, _ = L.parents
dq, dz = L.hand_back(1.0)
dx, dy = q.hand_back(dq)
print("L =", L.data, "  dx, dy, dz =", dx, dy, dz)
assert (L.data, dx, dy, dz) == (-12, -4, -4, 3)

# %% [markdown]
# ## In which order?
#
# The walk back does this for all tensors of a computation. Each takes its turn: it hands its gradient to its parents,
# and what they receive is added up. The order of the turns is given from outside here, so that we can try two.


# %%
def walk_back(root, order):
    root.grad = np.ones_like(root.data)
    for node in order(root):
        if node.hand_back:
            for parent, dx in zip(node.parents, node.hand_back(node.grad)):
                parent.grad = dx if parent.grad is None else parent.grad + dx


# %% [markdown]
# The first idea: parents take their turns as they are found. The result is first, then its parents, then theirs.


# %%
def as_found(root):
    order = [root]
    for node in order:  # the list grows while we walk along it
        order += [parent for parent in dict.fromkeys(node.parents) if parent not in order]
    return order


def small_graph():
    x = Tensor(3)
    a = x + x  # 6
    b = a * a  # 36
    y = a + b  # 42
    return {"y": y, "b": b, "a": a, "x": x}


wrong = small_graph()
walk_back(wrong["y"], as_found)
print("dx as found:", wrong["x"].grad)

# %% [markdown]
# By hand: $y = 2x + (2x)^2 = 2x + 4x^2$, so the slope at 3 is $2 + 8\cdot3 = 26$. The walk says 2. What happened? $y$
# gave 1 to $a$ and 1 to $b$. Then it was $a$'s turn, and it handed on what it had, 1 for each of the two $x$. Only
# afterwards came $b$'s turn, which gave 12 more to $a$. Too late.
#
# **A tensor may hand on its gradient when it has all of it: after every tensor that uses it.** An order that keeps
# this rule is a **topological order**. To find one, turn the rule around: list each tensor *after* its parents, then
# read the list backwards. The function below goes to the parents first, and writes a tensor down when it comes back.


# %%
def toposort(root):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(root)
    return order[::-1]


right = small_graph()
walk_back(right["y"], toposort)
print("dx in topological order:", right["x"].grad)
assert wrong["x"].grad == 2
assert right["x"].grad == 2 + 8 * 3 == 26
assert np.isclose(((2 * 3.001 + (2 * 3.001) ** 2) - (2 * 2.999 + (2 * 2.999) ** 2)) / 0.002, 26)  # measured

# %%
places = {"y": (0, 3), "b": (1, 2), "a": (0, 1), "x": (0, 0)}
figure, panels = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
for panel, title, graph, order in [
    (panels[0], "as found", wrong, as_found),
    (panels[1], "topological order", right, toposort),
]:
    turns = [name for node in order(graph["y"]) for name in graph if graph[name] is node]
    first = graph["y"].grad.item()  # what y hands to a and to b
    later = graph["a"].grad.item() - first  # what b hands to a
    ways = [("y", "a", first, -0.4), ("y", "b", first, 0.4), ("b", "a", later, 0.4), ("a", "x", graph["x"].grad, 0.35)]
    for start, end, handed, aside in ways:
        (x0, y0), (x1, y1) = places[start], places[end]
        arrow = {"arrowstyle": "-|>", "color": "#d55e00", "lw": 1.6, "shrinkA": 22, "shrinkB": 22}
        panel.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        panel.text((x0 + x1) / 2 + aside / 2, (y0 + y1) / 2, f"{handed:.0f}", color="#d55e00", ha="center", va="center")
    for name, (across, up) in places.items():
        panel.text(
            across, up, f"{name} = {graph[name].data:.0f}\nturn {turns.index(name) + 1}", ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "#0072b2"},
        )  # fmt: skip
    panel.set(xlim=(-0.8, 1.6), ylim=(-0.5, 3.5), title=f"{title}: dx = {graph['x'].grad:.0f}")
    panel.axis("off")
viz.show(
    figure,
    "Twice the graph of y = a + b with b = a times a and a = x + x, and on each arrow the gradient handed on. Left the "
    "turns are y, a, b, x: a hands on 2 before the 12 from b arrives, and dx is 2. Right the turns are y, b, a, x, and "
    "dx is 26.",
)

# %% [markdown]
# Compare the lowest arrows. Note also that $b = a\cdot a$ hands $a$ two gradients of 6, and $a = x + x$ hands $x$ two
# as well: a tensor may be its child's parent twice. `parent.grad + dx` adds them like any others. Written as
# `parent.grad = dx`, one of them would be lost.
#
# ## Broadcasting, and its way back
#
# Tensors of many numbers need one more thing. NumPy adds a bias of shape (3,) to a table of shape (2, 3) by using it in
# both rows. That is **broadcasting**: axes are added on the left, and axes of size 1 are stretched. On the way back the
# gradient has the large shape, but the bias needs one of its own shape. We know the rule: a number that was used in two
# rows receives two gradients, and they add up. So we **sum over the axes along which it was repeated**.


# %%
def unbroadcast(dy, shape):
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))  # axes that were added
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and dy.shape[i] != 1)
    return dy.sum(axis=stretched, keepdims=True)


dy = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
for shape in [(3,), (2, 1), (), (2, 3)]:
    print(f"{shape!s:7} {unbroadcast(dy, shape).tolist()}")
    assert unbroadcast(dy, shape).shape == shape
assert unbroadcast(dy, (3,)).tolist() == [11, 22, 33]
assert unbroadcast(dy, (2, 1)).tolist() == [[6], [60]]

# %%
figure, axes = plt.subplots(figsize=(6.2, 3.6), layout="constrained")


def table(numbers, left, top, colour):
    for (row, column), number in np.ndenumerate(np.atleast_2d(numbers)):
        axes.add_patch(plt.Rectangle((left + column, top - row), 1, 1, facecolor=colour, edgecolor="white", lw=2))
        axes.text(left + column + 0.5, top - row + 0.5, f"{number:.0f}", ha="center", va="center")


table(dy, 0, 3, "#cfe3f1")
table(unbroadcast(dy, (3,)), 0, 0.6, "#f8dcc7")
table(unbroadcast(dy, (2, 1)), 3.4, 3, "#f8dcc7")
table(unbroadcast(dy, ()), 3.4, 0.6, "#f8dcc7")
for tip, tail in [((1.5, 1.65), (1.5, 1.95)), ((3.35, 3), (3.05, 3)), ((3.35, 1.65), (3.05, 1.95))]:
    axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "lw": 1.5})
for place, words, side in [
    ((1.5, 4.15), "dy: (2, 3)", "center"),
    ((1.5, 0.25), "for a (3,): sum over the rows", "center"),
    ((4.6, 3), "for a (2, 1):\nsum over the columns", "left"),
    ((4.6, 1.1), "for a single number ():\nsum over everything", "left"),
]:
    axes.text(*place, words, ha=side, va="center")
axes.set(xlim=(-0.1, 7.6), ylim=(0, 4.4), aspect="equal")
axes.axis("off")
viz.show(
    figure,
    "A table dy of two rows, 1 2 3 and 10 20 30. Below it the sums of its columns, 11 22 33, for something of shape "
    "(3,) that was used in both rows; at its right the sums of its rows, 6 and 60, for shape (2, 1); in the corner the "
    "sum of all, 66, for a single number.",
)

# %% [markdown]
# Where to call it? Each operation could. It is less work to do it once: whatever a parent receives is brought to the
# parent's shape. So here is the final walk back, with the order fixed.


# %%
def backward(root):
    root.grad = np.ones_like(root.data)
    for node in toposort(root):
        if node.hand_back:
            for parent, dx in zip(node.parents, node.hand_back(node.grad)):
                dx = unbroadcast(dx, parent.data.shape)
                parent.grad = dx if parent.grad is None else parent.grad + dx


Tensor.backward = backward

# %% [markdown]
# ## The other operations
#
# Each is a result and a `lambda`. For the matrix product $z = xy$ the swap becomes two matrix products. If you are
# unsure which side is transposed, look at the shapes: with $x$ (N, F) and $y$ (F, D), `dz` is (N, D), and there is one
# way to make something of shape (N, F) of `dz` and $y$. ReLU lets the gradient pass where $x > 0$. A sum is a row of
# additions, so it copies: each summand receives the sum's gradient.


# %%
def matmul(x, y):
    return Tensor(x.data @ y.data, (x, y), lambda dz: (dz @ y.data.T, x.data.T @ dz))


def relu(x):
    return Tensor(np.maximum(x.data, 0), (x,), lambda dy: (dy * (x.data > 0),))


def exp(x):
    y = np.exp(x.data)
    return Tensor(y, (x,), lambda dy: (dy * y,))


def log(x):
    return Tensor(np.log(x.data), (x,), lambda dy: (dy / x.data,))


def total(x, dim=None):
    y = x.data.sum(axis=dim, keepdims=dim is not None)
    return Tensor(y, (x,), lambda dy: (np.broadcast_to(dy, x.data.shape),))


def mean(x):
    return x.sum() * (1 / x.data.size)


def negative(x):
    return x * -1


def subtract(x, y):
    return x + as_tensor(y) * -1


Tensor.__matmul__, Tensor.__neg__, Tensor.__sub__ = matmul, negative, subtract
Tensor.relu, Tensor.exp, Tensor.log, Tensor.sum, Tensor.mean = relu, exp, log, total, mean

# %% [markdown]
# The last three functions have no `lambda` of their own: they are made of operations that have one, and the chain
# rule does the rest. So is the loss of a classifier. A network gives each class a **score**. Softmax makes
# probabilities of the scores: $p_k = e^{s_k}/\sum_j e^{s_j}$. The loss is $-\log p$ of the right class, the mean over
# all samples: **cross-entropy**. (Subtracting each row's largest score changes no probability and keeps `exp` from
# overflowing. It enters as plain numbers, which have no parents.)


# %%
def cross_entropy(scores, labels):
    """scores: (N, K), labels: (N,) whole numbers."""
    shifted = scores - scores.data.max(axis=1, keepdims=True)
    log_p = shifted - shifted.exp().sum(dim=1).log()  # (N, K) − (N, 1)
    right = np.eye(scores.data.shape[1])[labels]  # (N, K): 1 at the right class
    return -(log_p * right).sum() * (1 / len(labels))


# %% [markdown]
# ## Is it at most a hundred lines?
#
# Count them: every line that is not empty, comments and docstrings included, and one for each name that was put into
# the class. (`walk_back` and `as_found` were experiments; `backward` has taken their place.)

# %%
pieces = [Tensor.__init__, as_tensor, add, multiply, toposort, unbroadcast, backward, matmul, relu, exp, log, total]
pieces += [mean, negative, subtract, cross_entropy]
written = sum(bool(line.strip()) for piece in pieces for line in inspect.getsource(piece).splitlines())
put_in = [name for name, value in vars(Tensor).items() if inspect.isfunction(value) and name != "__init__"]
head = 2  # `class Tensor:` and its docstring
print(f"{written} lines of functions + {len(put_in)} names put in + {head} = {written + len(put_in) + head} lines")
assert 60 < written + len(put_in) + head <= 100

# %% [markdown]
# ## Is it right?
#
# Compare with the library. Both have the same methods, so the same function can be given tensors of either kind. Inputs
# are random; each result is multiplied with random numbers before the sum, so that no mistake hides in a sum where
# everything has the same weight.

# %%
draw = np.random.default_rng(0)
checks = {
    "x + b": (lambda x, b: x + b, (4, 3), (3,)),
    "x * c": (lambda x, c: x * c, (4, 3), (4, 1)),
    "x - s": (lambda x, s: x - s, (4, 3), ()),
    "2 * (-x)": (lambda x: 2 * (-x), (4, 3)),
    "x @ w": (lambda x, w: x @ w, (4, 3), (3, 5)),
    "relu": (lambda x: x.relu(), (4, 3)),
    "exp": (lambda x: x.exp(), (4, 3)),
    "log": (lambda x: (x * x + 1).log(), (4, 3)),
    "sum": (lambda x: x * x.sum(), (4, 3)),
    "mean": (lambda x: x * x.mean(), (4, 3)),
    "a twice": (lambda x, y: (x @ y).relu() * x + x, (3, 3), (3, 3)),
}


def gradients(make, f, arrays, v):
    tensors = [make(array) for array in arrays]
    (f(*tensors) * make(v)).sum().backward()
    return [tensor.grad for tensor in tensors]


def library(array):
    return tcnn.tensor(array, dtype="float64", requires_grad=True)


for name, (f, *shapes) in checks.items():
    arrays = [draw.normal(size=shape) for shape in shapes]
    v = draw.normal(size=f(*map(Tensor, arrays)).data.shape)
    ours, theirs = (gradients(make, f, arrays, v) for make in (Tensor, library))
    apart = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(ours, theirs))
    print(f"{name:9} largest difference {apart:.0e}")
    assert all(a.shape == b.shape for a, b in zip(ours, theirs))
    assert apart < 1e-12

# %% [markdown]
# And the loss, against `nn.functional.cross_entropy`. Its gradient is famous for being simple: the probabilities,
# minus 1 at the right class, divided by the number of samples. We never told our Tensor; the chain rule found it.

# %%
scores, labels = draw.normal(size=(6, 3)), np.array([0, 2, 1, 1, 0, 2])
ours, theirs = Tensor(scores), library(scores)
cross_entropy(ours, labels).backward()
tcnn.nn.functional.cross_entropy(theirs, tcnn.tensor(labels)).backward()
p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
assert np.allclose(ours.grad, theirs.grad, rtol=1e-6, atol=1e-12)
assert np.allclose(ours.grad, (p - np.eye(3)[labels]) / 6)
print(np.round(ours.grad, 3))

# %% [markdown]
# ## It learns
#
# Two classes of points in the shape of two moons, 200 points in all, and a network with two layers of 16 neurons
# between its inputs and its outputs (**hidden** layers): 2 → 16 → 16 → 2. The same function trains it with either
# Tensor, from the same random weights. A step downhill is that of tutorial 2.

# %%
tcnn.manual_seed(0)
points, labels = (part.numpy() for part in data.toys.moons(200, noise=0.15))
test_points, test_labels = (part.numpy() for part in data.toys.moons(1000, noise=0.15))

start = []
for inputs, outputs in [(2, 16), (16, 16), (16, 2)]:
    start += [draw.normal(size=(inputs, outputs)) * np.sqrt(2 / inputs), np.zeros(outputs)]  # weights, bias


def network(x, parameters):
    W1, b1, W2, b2, W3, b3 = parameters
    h1 = (x @ W1 + b1).relu()  # (N, 16)
    h2 = (h1 @ W2 + b2).relu()  # (N, 16)
    return h2 @ W3 + b3  # (N, 2)


def train(make, loss_function, lr=0.5, steps=400):
    parameters = [make(array) for array in start]
    x, losses = make(points), []
    for _ in range(steps):
        loss = loss_function(network(x, parameters), labels)
        loss.backward()
        for parameter in parameters:
            parameter.data = parameter.data - lr * parameter.grad
            parameter.grad = None
        losses.append(float(loss.data))
    return parameters, losses


def library_loss(scores, labels):
    return tcnn.nn.functional.cross_entropy(scores, tcnn.tensor(labels))


parameters, losses = train(Tensor, cross_entropy)
_, library_losses = train(library, library_loss)

answers = network(Tensor(test_points), parameters).data.argmax(axis=1)
right = (answers == test_labels).mean()
print(f"loss at first {losses[0]:.3f}, at last {losses[-1]:.3f}; {right:.1%} of 1,000 new points are told apart")
assert losses[-1] < 0.1 * losses[0]
assert right > 0.95
assert np.allclose(losses[:50], library_losses[:50], rtol=1e-6)
assert np.allclose(losses, library_losses, atol=0.01)
print(f"largest difference of the two losses: {np.abs(np.subtract(losses, library_losses)).max():.0e}")

# %%
across, up = np.meshgrid(np.linspace(-1.7, 2.7, 221), np.linspace(-1.3, 1.8, 156))
plane = np.stack([across.ravel(), up.ravel()], axis=1)
scores = network(Tensor(plane), parameters).data
p1 = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))  # the probability of class 1
W1, b1 = parameters[0].data, parameters[1].data

figure, panels = plt.subplots(1, 2, figsize=(11, 3.7), layout="constrained", width_ratios=[1, 1.7])
panels[0].semilogy(losses, color="#0072b2", lw=4, alpha=0.5, label="our Tensor")
panels[0].semilogy(library_losses, "--", color="#d55e00", label="the library's")
panels[0].set(xlabel="step", ylabel="loss")
panels[0].grid(alpha=0.3)
panels[0].legend()
shown = panels[1].contourf(across, up, p1.reshape(across.shape), levels=np.linspace(0, 1, 21), cmap="PuOr_r", alpha=0.6)
for folds in (plane @ W1 + b1).T:
    panels[1].contour(across, up, folds.reshape(across.shape), levels=[0], colors="black", linewidths=0.4, alpha=0.6)
panels[1].contour(across, up, p1.reshape(across.shape), levels=[0.5], colors="black", linewidths=2)
for k, colour, marker in [(0, "#542788", "o"), (1, "#b35806", "s")]:
    panels[1].scatter(*points[labels == k].T, s=22, color=colour, marker=marker, edgecolors="white", linewidths=0.6)
panels[1].set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
figure.colorbar(shown, ax=panels[1], label="probability of class 1")
viz.show(
    figure,
    "Left the loss over the steps, falling; the curves of our Tensor and of the library's lie on each other. Right the "
    "plane with two interlocked half circles of points, coloured by the network's probability; a thick black line "
    "winds between the two, and thin straight lines cross the plane, one for each neuron of the first layer.",
)

# %% [markdown]
# Left, the curves lie on each other: same steps, same losses. Right, the thick line is where the network is
# undecided. The thin lines are the folds of tutorial 1: along each, the weighted sum of a neuron of the first layer
# is 0. Follow the thick line: it is straight, and bends where it crosses a fold (or one of the second layer's, which
# are not drawn).
#
# ## What the hundred lines do not do
#
# They are right, as long as they are used rightly. Here are three things that go wrong, the first two without a word:

# %%
# 1. A value that is needed for the way back is changed in between.
x = Tensor(3)
y = x * x
x.data = x.data + 1
y.backward()
print("x was 3 in x·x, so dx should be 6, and is", x.grad)
assert x.grad == 8

# 2. Going back twice should give twice the gradient. But `a` still has its gradient of the first time.
x = Tensor(3)
a = x * x
y = a * 2
y.backward()
y.backward()
print("two times dx of 2x² should be 24, and is", x.grad)
assert x.grad == 36

# 3. `visit` calls itself, and Python ends that after some depth.
y = x = Tensor(1)
for _ in range(sys.getrecursionlimit()):
    y = y + x
too_deep = ""
try:
    y.backward()
except RecursionError as error:
    too_deep = str(error)
print("a long chain of additions:", too_deep)
assert too_deep

# %% [markdown]
# The library refuses the first two, and says why; the third it can do:

# %%
x = tcnn.tensor(3.0, requires_grad=True)
refusals = []
for mistake in ("changed", "twice"):
    y = x * x
    if mistake == "changed":
        x.data = x.data + 1
    else:
        y.backward()
    try:
        y.backward()
    except tcnn.GraphError as error:
        refusals.append(str(error))
        print("-", error)
assert len(refusals) == 2

y = x = tcnn.tensor(1.0, requires_grad=True)
for _ in range(sys.getrecursionlimit()):
    y = y + x
y.backward()
assert x.grad == sys.getrecursionlimit() + 1

# %% [markdown]
# ## Reading the library
#
# Now read the original, `tinygrad_cnn/autograd.py`. `apply` runs an operation forward and hangs it on its result.
# What was `Tensor(…, parents, lambda)` is a `Function` here: an operation with a `forward` and a `backward`, such as
# `ops.Add` in `tinygrad_cnn/ops/elementwise.py`. The line to look for is `outputs = operation.forward(*arrays)`.

# %%
print(inspect.getsource(autograd.apply))

# %% [markdown]
# What it adds to our lines:
#
# - `check_shapes`: shapes are compared before anything is computed, and a mismatch is explained in words.
# - `_opened` notes the parents, but not as tensors: the operations behind them. An operation keeps what its `backward`
#   needs (`saved`) and nothing else. Our tensors hold on to everything until the result is forgotten.
# - `_watch` notes the version of what was saved. That is how mistake 1 is found.
# - `_cut` notes why a result has no graph, so that `tcnn.explain_grad` can say why a gradient is missing.
# - `backend`: the arrays may lie on a GPU. `watcher`: `viz.record` looks on.
#
# And `steps_back` is our `backward`, a step at a time; `walk_back` runs it to the end. Look for the loop over the
# order, for `operation.gradients`, which calls `backward`, and for `gradients.add`.

# %%
print(inspect.getsource(autograd.walk_back))
print(inspect.getsource(autograd.steps_back))

# %% [markdown]
# What it adds:
#
# - `kernels.toposort` has a stack of its own instead of calling itself: mistake 3. `kernels.unbroadcast` is called by
#   the operations that broadcast. Both are in `tinygrad_cnn/kernels/reference/graph.py`, a short file.
# - `gradients` holds the sums on their way, outside the tensors, and `_keep` adds a finished one to `.grad` only
#   where someone asked for it: at the leaves, which are the tensors that were not computed. So a second way back
#   begins anew.
# - `operation.free()` drops what was saved as soon as it has been used: memory shrinks on the way back, and mistake 2
#   is noticed. `retain_graph=True` keeps it.
# - `wanted` and `needed`: the walk goes only where a gradient is wanted. Ours computes one for the points of the
#   moons, too.
# - `check_unchanged`: mistake 1 again.
#
# The heart of it is what we wrote: a loop over a topological order, in which each operation hands on its gradient, and
# the shares are added up.

# %%
forward, back = inspect.getsource(autograd.apply), inspect.getsource(autograd.steps_back)
assert all(name in forward for name in ("operation.forward(*arrays)", "check_shapes", "_opened", "_watch", "_cut"))
assert all(name in back for name in ("kernels.toposort", "operation.gradients", "gradients.add", "operation.free()"))
assert all(name in back for name in ("_keep", "wanted", "needed", "check_unchanged"))
assert "kernels.unbroadcast" in inspect.getsource(tcnn.ops.elementwise)

# %% [markdown]
# ## Exercises
#
# The same three, from memory and checked against the mistakes that are made most often:
#
# 1. **The way back of broadcasting**: `tcnn exercise check unbroadcast`
# 2. **The order of the way back**, for graphs thousands of operations deep, so without a function that calls itself:
#    `tcnn exercise check toposort`
# 3. **The walk back**: `tcnn exercise check backward`
#
# And to think about:
#
# 4. Add `tanh` to our Tensor, and division, and put both into `checks`.
# 5. Our `max` in the cross-entropy enters as plain numbers, although it depends on the scores. Why is the gradient
#    right all the same?
#
# ## Further reading
#
# - D. Rumelhart, G. Hinton and R. Williams (1986), "Learning representations by back-propagating errors".
# - A. Baydin, B. Pearlmutter, A. Radul and J. Siskind (2018), "Automatic differentiation in machine learning: a
#   survey".
# - T. Cormen, C. Leiserson, R. Rivest and C. Stein (2009), *Introduction to Algorithms*, section 22.4: topological
#   sort.
# - A. Paszke et al. (2019), "PyTorch: an imperative style, high-performance deep learning library".

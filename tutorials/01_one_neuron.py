# %% [markdown]
# # 1 · One neuron
#
# *A weighted sum, a bias, an activation: what a single unit of a network can decide, and what it cannot.
# Runs offline, in a few seconds.*
#
# **What you will be able to do:** compute a neuron's output by hand, draw the line along which it decides, say what
# an activation does to a number and to a slope, and build with three neurons what one cannot do.
#
# You need Python and a little NumPy. Run the cells from top to bottom; change numbers wherever you are curious.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, viz
from tinygrad_cnn.nn import functional as F

# %% [markdown]
# ## A weighted sum
#
# A neuron has a **weight** for each input and one **bias**. It multiplies each input with its weight, adds the
# products, and adds the bias:
#
# $$z = w_1x_1 + w_2x_2 + \dots + b = w \cdot x + b$$
#
# Take two inputs. With $x = (2, 3)$, $w = (1, -1)$ and $b = \tfrac12$ the sum is $1\cdot2 - 1\cdot3 + \tfrac12 =
# -\tfrac12$.

# %%
x = tcnn.tensor([2.0, 3.0])
w = tcnn.tensor([1.0, -1.0])
b = tcnn.tensor(0.5)

z = (w * x).sum() + b
print(z)
assert z.item() == -0.5

# %% [markdown]
# `w @ x` is the same sum of products, written shorter. It is called the **dot product**. Every layer of this course,
# the convolution too, is made of dot products: at each place of a colour image, a small window of 5×5 pixels (a
# *filter*, tutorial 6) takes one of 5·5·3 = 75 numbers.

# %%
assert (w @ x + b).item() == z.item()
assert 5 * 5 * 3 == 75

# %% [markdown]
# ## The line of decision
#
# Say the neuron answers *yes* where $z$ is positive and *no* where it is negative. In between, where $z = 0$, is a
# line: here all points with $x_1 - x_2 + \tfrac12 = 0$. The weights are an arrow that stands upright on that line and
# points to the *yes* side. The bias shifts the line; without a bias it would have to pass through the origin.

# %%
grid = np.linspace(-4, 4, 81, dtype=np.float32)
x1, x2 = np.meshgrid(grid, grid)
points = np.stack([x1.ravel(), x2.ravel()], axis=1)  # (6561, 2): one point a row

heights = (tcnn.tensor(points) @ w + b).numpy().reshape(x1.shape)

figure, axes = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
shown = axes.contourf(x1, x2, heights, levels=np.arange(-8, 9.0), cmap="PuOr_r", extend="both")
axes.contour(x1, x2, heights, levels=[0], colors="black")
# the arrow begins at the point of the line that is nearest to the origin
foot = (-b / (w @ w) * w).numpy()
axes.annotate("", xy=foot + w.numpy(), xytext=foot, arrowprops={"arrowstyle": "->", "lw": 2})
axes.text(*(foot + 1.2 * w.numpy()), "w", fontsize=13)
axes.plot(*x.numpy(), "ko")
axes.text(1.8, 3.2, "x = (2, 3): z = −0.5", ha="right", color="white")
axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
figure.colorbar(shown, label="z = w·x + b")
viz.show(
    figure,
    "The plane of two inputs, coloured by z. A straight black line, where z is 0, separates positive values at the "
    "lower right from negative ones at the upper left; the arrow w stands upright on it. The point (2, 3) lies just on "
    "the negative side.",
)

# %% [markdown]
# Look at the stripes: they are all parallel and equally wide. One step along the arrow changes $z$ by
# $w \cdot w = 2$, a step along the line changes nothing. That is all a weighted sum can do, in two dimensions or in
# two thousand.

# %%
along_arrow, along_line = w, tcnn.tensor([1.0, 1.0])
assert (w @ (x + along_arrow) - w @ x).item() == 2
assert (w @ (x + along_line) - w @ x).item() == 0

# %% [markdown]
# ## Activations
#
# What a neuron hands on is not $z$ but $y = f(z)$, its **activation**. The lectures name four functions $f$:
#
# | name | formula | values | slope |
# |---|---|---|---|
# | identity | $z$ | all | 1 |
# | sigmoid | $\sigma(z) = 1/(1+e^{-z})$ | between 0 and 1 | $\sigma(z)\,(1-\sigma(z))$ |
# | tanh | $\tanh z$ | between −1 and 1 | $1 - \tanh^2 z$ |
# | ReLU | $\max(z, 0)$ | from 0 on | 1 where $z > 0$, else 0 |
#
# The slope matters as much as the value: it says how much of a change gets through the neuron, and in learning it is
# changes that travel. The next tutorial computes slopes by hand; here the library does, with `backward`.

# %%
functions = {"identity": lambda z: z * 1.0, "sigmoid": tcnn.sigmoid, "tanh": tcnn.tanh, "ReLU": tcnn.relu}
places = np.linspace(-6, 6, 241)

figure, panels = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained", sharex=True)
slopes = {}
for panel, (name, f) in zip(panels, functions.items()):
    z = tcnn.tensor(places, requires_grad=True)
    y = f(z)
    y.sum().backward()  # each y depends on its own z only, so z.grad holds the slopes
    slopes[name] = z.grad
    panel.plot(places, y.numpy(), label="value", color="#0072b2")
    panel.plot(places, slopes[name], "--", label="slope", color="#d55e00")
    panel.set(title=name, xlabel="z", ylim=(-1.3, 2.2))
    panel.grid(alpha=0.3)
panels[0].legend()
viz.show(
    figure,
    "Four panels with an activation and, dashed, its slope: the identity with slope 1; sigmoid, whose slope is a low "
    "hill around 0; tanh, whose hill is four times as high; ReLU, whose slope jumps from 0 to 1.",
)

# %% [markdown]
# Compare the dashed hills. Sigmoid's is never higher than ¼, tanh's reaches 1. Far from 0 both are almost flat: at
# $z = 5$ sigmoid lets less than 1 % of a change through. Such a neuron is **saturated**. Even where sigmoid is
# steepest, little is left of a change after many layers: ten slopes of ¼ multiply to less than a millionth. ReLU has
# slope 1 on its whole positive side, one reason why most networks for images have used it since AlexNet (2012,
# tutorial 14). Its price is the other side, where the slope is 0.

# %%
at_5 = slopes["sigmoid"][np.isclose(places, 5)].item()
print(f"slope of sigmoid at 5: {at_5:.4f}; the best one, 0.25, to the power of ten: {0.25**10:.1e}")
assert np.isclose(slopes["sigmoid"].max(), 0.25)
assert np.isclose(slopes["tanh"].max(), 1)
assert at_5 < 0.01
assert 0.25**10 < 1e-6

# %% [markdown]
# ## A neuron that reads
#
# Now a neuron with 784 inputs: the pixels of a handwritten digit, 28×28. It is to say whether the digit is a **0** or
# a **1**. With sigmoid as activation its output can be read as a probability, and `binary_cross_entropy_with_logits`
# tells how wrong it is (tutorial 4 explains it). The weights begin at 0; then they take 100 steps downhill. How a
# gradient comes about is the next tutorial's subject. Here, look at what becomes of the weights.

# %%
digits = data.load("digits")  # scikit-learn's, no download


def zeros_and_ones(part):
    images, labels = part.get_batch(range(len(part)))
    chosen = np.isin(labels, (0, 1))
    return tcnn.tensor(images[chosen].reshape(-1, 784)), tcnn.tensor(labels[chosen].astype(np.float32))


images, labels = zeros_and_ones(digits.train)
test_images, test_labels = zeros_and_ones(digits.test)

weights = tcnn.zeros(784, requires_grad=True)
bias = tcnn.zeros((), requires_grad=True)
for _ in range(100):
    loss = F.binary_cross_entropy_with_logits(images @ weights + bias, labels)
    loss.backward()
    with tcnn.no_grad():
        for parameter in (weights, bias):
            parameter -= 0.01 * parameter.grad
            parameter.grad = None

says_one = (test_images @ weights + bias).numpy() > 0
right = (says_one == (test_labels.numpy() == 1)).mean()
print(f"{len(labels)} digits to learn from, {len(test_labels)} others: {right:.1%} of these are read correctly")
assert right > 0.97

# %%
figure, panels = plt.subplots(1, 3, figsize=(9.5, 3.2), layout="constrained")
for panel, digit in zip(panels, (0, 1)):
    mean = images.numpy()[labels.numpy() == digit].mean(axis=0)
    panel.imshow(mean.reshape(28, 28), cmap="gray")
    panel.set_title(f"the mean {digit}")
most = float(np.abs(weights.numpy()).max())
shown = panels[2].imshow(weights.numpy().reshape(28, 28), cmap="PuOr_r", vmin=-most, vmax=most)
panels[2].set_title("the neuron's weights")
figure.colorbar(shown, ax=panels[2])
for panel in panels:
    panel.set(xticks=[], yticks=[])
viz.show(
    figure,
    "Left the mean 0, a ring, in the middle the mean 1, a bar. Right the 784 weights as an image: positive in the "
    "middle, where a 1 has ink and a 0 has none, and negative along the ring.",
)

# %% [markdown]
# A neuron's weights are **what it looks for**: ink where they are positive speaks for *1*, ink where they are
# negative against it. The dot product measures how well the image matches. Keep this picture in mind for tutorial 6:
# a convolution slides such a small picture over the image and asks everywhere.
#
# ## What one neuron cannot do
#
# Four points with *exclusive or*: yes, if exactly one input is 1. Whatever line you draw, at least one point lies on
# the wrong side. Let us not argue but try 200,000 lines.

# %%
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
xor = np.array([0, 1, 1, 0], dtype=bool)

draw = np.random.default_rng(0)
lines = draw.normal(size=(200_000, 3)).astype(np.float32)  # w1, w2, b
answers = corners @ lines[:, :2].T + lines[:, 2] > 0  # (4, 200000)
correct = (answers == xor[:, None]).sum(axis=0)
print("lines with 0, 1, 2, 3, 4 points right:", np.bincount(correct, minlength=5))
assert correct.max() == 3

# %% [markdown]
# Never four. (Why: (0,0) and (1,1) have the same middle as (0,1) and (1,0). A weighted sum that is positive at the
# two *yes* points is positive in their middle; being negative at the two *no* points, it is negative in the same
# middle.)
#
# **Three neurons can.** Two of them with ReLU, one that adds up what they say:
#
# $$h_1 = \mathrm{ReLU}(x_1 + x_2) \qquad h_2 = \mathrm{ReLU}(x_1 + x_2 - 1) \qquad y = h_1 - 2h_2$$

# %%
X = tcnn.tensor(corners)
W1, b1 = tcnn.tensor([[1.0, 1.0], [1.0, 1.0]]), tcnn.tensor([0.0, -1.0])
w2 = tcnn.tensor([1.0, -2.0])

hidden = tcnn.relu(X @ W1.T + b1)
y = hidden @ w2
print(np.column_stack([corners, hidden.numpy(), y.numpy()]))
assert y.numpy().tolist() == [0, 1, 1, 0]

# %% [markdown]
# Columns: the two inputs, the two hidden neurons, the result. What does the ReLU do there? Without it, two layers are
# one: $w_2\cdot(W_1x + b_1) = (w_2W_1)\,x + w_2\cdot b_1$ is a weighted sum of the inputs again. So are a hundred
# layers. **Between two weighted sums belongs something that is not a weighted sum.** (Two convolutions without an
# activation between them are one convolution, too.)

# %%
without = (X @ W1.T + b1) @ w2
single = X @ (w2 @ W1) + w2 @ b1
assert np.allclose(without.numpy(), single.numpy())
print("two layers without ReLU:", without.numpy(), " one layer:", single.numpy())

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
side = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
a, c = np.meshgrid(side, side)
plane = tcnn.tensor(np.stack([a.ravel(), c.ravel()], axis=1))
for panel, name, f in [(panels[0], "with ReLU", tcnn.relu), (panels[1], "without", lambda z: z)]:
    result = (f(plane @ W1.T + b1) @ w2).numpy().reshape(a.shape)
    shown = panel.contourf(a, c, result, levels=np.linspace(-2, 2, 21), cmap="PuOr_r", extend="both")
    panel.contour(a, c, result, levels=[0.5], colors="black")
    panel.scatter(*corners.T, c=np.where(xor, "#d55e00", "white"), edgecolors="black", s=80, zorder=3)
    panel.set(title=name, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
figure.colorbar(shown, ax=panels, label="y")
viz.show(
    figure,
    "The plane with the four corners, coloured by y. With ReLU a band between two parallel black lines holds the two "
    "yes points, and the two no points lie outside. Without ReLU there is one line, and it cannot separate them.",
)

# %% [markdown]
# In the left picture two folds, one for each ReLU, make a ridge out of a plane. More neurons make more folds. That is
# what the layers of a network do: fold the space of images until a line can decide.
#
# ## Exercises
#
# Make a folder for your solutions once with `tcnn exercise init`; the checker names a mistake when it finds one.
#
# 1. **ReLU**, forward and backward: `tcnn exercise check relu`
# 2. **Sigmoid**, for very negative numbers too: `tcnn exercise check sigmoid`
# 3. **Tanh**, and why its slope needs nothing but its value: `tcnn exercise check tanh`
#
# And on paper: give weights and a bias to one neuron that computes *and*, to one that computes *or*, and find out why
# *h₂* above is one of them.
#
# ## Further reading
#
# - F. Rosenblatt (1958), "The perceptron: a probabilistic model for information storage and organization in the brain".
# - M. Minsky and S. Papert (1969), *Perceptrons*: what one neuron cannot do.
# - V. Nair and G. Hinton (2010), "Rectified linear units improve restricted Boltzmann machines".
# - X. Glorot and Y. Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks":
#   saturation.

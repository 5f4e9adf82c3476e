# %% [markdown]
# # A · The same code on a GPU
#
# *What changes in a program (one word), what a GPU is good at, and why small networks do not profit. Runs offline, in
# half a minute; without a GPU all of it runs on the processor, and says so.*
#
# **What you will be able to do:** move a network and its data to another device, say where an array lives, measure
# seconds a step without fooling yourself, and predict from two numbers whether a larger batch or a faster device helps.
#
# You have read tutorial 11. A GPU is not needed. With one, `pip install "tinygrad-cnn[cuda12]"` (or `cuda13`) brings
# CuPy, which computes NumPy's functions on NVIDIA's GPUs; `tcnn doctor` says whether it found yours.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, optim, tables, viz
from tinygrad_cnn.nn import functional as F

device = "cuda" if tcnn.cuda.is_available() else "cpu"
print("this page was computed on:", device)

# %% [markdown]
# ## One word
#
# A **device** is where an array lives and who computes with it. `"cpu"` is the main memory and NumPy, `"cuda"` the
# memory of the first GPU and CuPy. Every tensor has one, a network's weights have one, and a result is where its inputs
# are. So a program moves as a whole when its weights and its images do:

# %%
tcnn.manual_seed(0)
model = models.LeNet5().to(device)
optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
digits = data.load("digits")

for _ in range(3):
    for images, labels in data.DataLoader(digits.train, batch_size=64, shuffle=True, device=device):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

print(f"loss of the last batch: {loss.item():.3f}; weights on {model.features.conv1.weight.device}")
assert str(loss.device).startswith(device)
assert loss.item() < np.log(10)  # less than guessing costs

# %% [markdown]
# These are the five lines of tutorial 4. `device=` in the loader and `.to(device)` are all that was added. On the
# command line it is `tcnn train lenet5 --device cuda`. An operation between two devices is refused, not moved in
# secret: a copy between them is slow, and you should know about it.
#
# ## How long does a step take?
#
# A GPU is told what to do and goes on by itself, while Python runs ahead. Stop the clock too early, and you have
# measured how fast Python can give orders. What waits for the result is anything that needs its numbers:
# `loss.item()`, `.numpy()`, `print`. So: a few steps to warm up (memory is set up in the first ones), then for
# each step: read the clock, do the step, ask for `loss.item()`, and only then read the clock again.


# %%
def seconds_a_step(batch, steps=8, warm=3):
    """The median of a few rounds, which other programs disturb less than the mean."""
    model = models.LeNet5().to(device)  # another one: what it learns from noise is of no use
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    images = tcnn.randn(batch, 1, 28, 28, device=device)
    labels = tcnn.tensor(np.arange(batch) % 10, device=device)
    rounds = []
    for number in range(warm + steps):
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()  # waits until it is there
        if number >= warm:
            rounds.append(time.perf_counter() - begin)
    return float(np.median(rounds))


batches = [1, 4, 16, 64, 256, 1024]
seconds = [seconds_a_step(batch) for batch in batches]
for batch, time_taken in zip(batches, seconds):
    print(f"{batch:5} images: {1e3 * time_taken:8.2f} ms a step, {1e3 * time_taken / batch:7.3f} ms an image")

# %% [markdown]
# A step with one image is not 1,024 times as fast as one with 1,024. There is a part that every step costs, however
# small: Python's orders, and on a GPU the start of each **kernel** (a small program that the GPU runs;
# not a filter), some millionths of a second each, some hundred times a
# step. And there is a part for each image. The simplest model has just these two:
#
# $$\text{time of a step} = \text{overhead} + \text{images} \times \text{time of an image}$$
#
# Two numbers, found by a straight line through the measured points, each weighted by its own size.

# %%
columns = np.stack([np.ones(len(batches)), np.array(batches)], axis=1)
weights = 1 / np.array(seconds)
(overhead, each), *_ = np.linalg.lstsq(columns * weights[:, None], np.array(seconds) * weights, rcond=None)
half = overhead / each
print(f"overhead {1e3 * overhead:.2f} ms, each image {1e3 * each:.4f} ms: both count the same at {half:.0f} images")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
line = np.geomspace(1, 1024, 100)
left.loglog(batches, 1e3 * np.array(seconds), "o", color="#0072b2", label="measured")
left.loglog(line, 1e3 * (overhead + each * line), color="#d55e00", label="overhead + images · each")
left.set(xlabel="images in a batch", ylabel="milliseconds a step", title=f"a step of LeNet-5 on {device}")
left.legend()
right.semilogx(batches, np.array(batches) / np.array(seconds), "o", color="#0072b2")
right.semilogx(line, line / (overhead + each * line), color="#d55e00")
right.axhline(1 / each, linestyle=":", color="gray")
right.text(1, 0.96 / each, "as fast as it gets", va="top", color="gray")
right.set(xlabel="images in a batch", ylabel="images a second", title="speed")
right.set_ylim(0, 1.1 / each)
for panel in (left, right):
    panel.set_xticks(batches, batches)
    panel.tick_params(axis="x", which="minor", bottom=False)
    panel.grid(alpha=0.3)
viz.show(
    figure,
    "Left the time of a step against the size of the batch, both on logarithmic axes: flat for small batches, then "
    "rising in proportion. Right images a second: rising with the batch, then levelling off below a dotted line.",
)

# %% [markdown]
# Left of the bend the program is **bound by launches** (on a processor: by Python): the device waits for orders, and a
# faster one would change nothing. Right of it, it is **bound by the device**, by its arithmetic or its memory, and
# here a faster one pays. Where the bend lies is the number of images printed above. On a faster device each image takes
# less time, so the bend lies at larger batches. An image takes LeNet-5 416,520 multiply-adds and AlexNet 1,700 times
# as many, so AlexNet's bend lies at far smaller ones. This is why a GPU can be slower than a processor for a small
# network, and much faster for a large one.

# %%
lenet = tables.summary(models.LeNet5()).multiply_adds
alexnet = tables.summary(models.AlexNet("paper")).multiply_adds
print(f"LeNet-5 {lenet:,} multiply-adds an image, AlexNet {alexnet:,}: {alexnet / lenet:,.0f} times as many")
assert lenet == 416_520
assert 1700 < alexnet / lenet < 1800

# %% [markdown]
# ## What it costs to move
#
# Between main memory and a GPU lies a bus: PCI Express 4 with 16 lanes moves 32 billion bytes a second at best. The
# memory of an H100 gives its own processors 3,350 billion, a hundred times as many. So data should cross the bus once.
# How large are they? The digits are 5.6 MB as float32, and MNIST's 60,000 training images 188 MB, or 47 MB in bytes,
# as they are stored. All of it fits into any GPU's memory.

# %%
digits_bytes = (len(digits.train) + len(digits.test)) * 28 * 28 * 4
mnist_bytes = 60_000 * 28 * 28
print(
    f"digits: {digits_bytes / 1e6:.1f} MB; MNIST: {4 * mnist_bytes / 1e6:.0f} MB, in bytes {mnist_bytes / 1e6:.0f} MB"
)
assert 3350 / 32 > 100
assert round(digits_bytes / 1e6, 1) == 5.6
assert (round(4 * mnist_bytes / 1e6), round(mnist_bytes / 1e6)) == (188, 47)

# %% [markdown]
# What crosses it in secret is worse than what is large: every `loss.item()` inside the loop waits until the GPU has
# caught up, and Python cannot run ahead any more. Add up the losses as tensors, without a graph, and ask for the
# number once an epoch.

# %%
total = tcnn.zeros((), device=device)
count = 0
with tcnn.no_grad():
    for images, labels in data.DataLoader(digits.test, batch_size=64, device=device):
        total = total + F.cross_entropy(model(images), labels) * len(labels)  # stays where it is
        count += len(labels)
print(f"mean loss on {count} test digits: {total.item() / count:.3f}")  # crosses once
assert count == 359
assert total.item() / count < 1

# %% [markdown]
# ## The same numbers?
#
# The network begins with the same weights on every device: they are drawn on the processor and copied. Dropout's masks
# are computed from a seed and a position and are the same bits everywhere. But a sum of many numbers depends on the
# order of adding, and a GPU adds in another order. So losses agree to about six digits in the first step and drift
# apart slowly; neither is wrong. You can see the same effect without a GPU: add the same numbers in another order.

# %%
values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
forwards = np.cumsum(values)[-1]  # one after the other
pairwise = values.sum()  # NumPy adds in blocks
exact = values.astype(np.float64).sum()
print(f"one after the other {forwards:.4f}, in blocks {pairwise:.4f}, in double precision {exact:.4f}")
assert forwards != pairwise
assert abs(forwards - exact) < 0.1

# %% [markdown]
# ## Exercises
#
# 1. **Gradient descent with momentum**, which a GPU does for all weights at once: `tcnn exercise check sgd`
# 2. **Convolution as one matrix product**, the form in which any device is fast: `tcnn exercise check conv_im2col`
# 3. **Dropout**, whose mask must not depend on the device: `tcnn exercise check dropout`
#
# And to think about: you halve the batch because the memory does not suffice. By how much does an epoch get slower, to
# the left of the bend, and to its right?
#
# ## Further reading
#
# - J. Nickolls, I. Buck, M. Garland and K. Skadron (2008), "Scalable parallel programming with CUDA".
# - S. Williams, A. Waterman and D. Patterson (2009), "Roofline: an insightful visual performance model for multicore
#   architectures".
# - R. Okuta, Y. Unno, D. Nishino, S. Hido and C. Loomis (2017), "CuPy: a NumPy-compatible library for NVIDIA GPU
#   calculations".
# - NVIDIA (2022), "H100 Tensor Core GPU architecture", the SXM5 version: its memory.
# - A. Krizhevsky, I. Sutskever and G. Hinton (2012), "ImageNet classification with deep convolutional neural networks":
#   why AlexNet was cut in two for two GPUs.

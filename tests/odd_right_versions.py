"""Right solutions in styles that no textbook would choose: lists, recursion, classes, caches, odd formats and orders.

`ODD[exercise, style]` is the whole text of a student's file, as in `right_versions`.
"""

ODD: dict[tuple[str, str], str] = {}

ODD["relu", "class with call, decorators, doctest"] = '''
"""My ReLU.

>>> relu_forward(np.array([-1.0, 2.0])).tolist()
[0.0, 2.0]
"""
import doctest
import functools
import numpy

np = numpy

def logged(f):
    calls = []
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        calls.append(args)
        return f(*args, **kwargs)
    return wrapper

class Relu:
    def __call__(self, x):
        return numpy.clip(x, 0, None)

relu_forward = Relu()

@logged
def relu_backward(gradient, inputs):
    return gradient * numpy.heaviside(inputs, 0).astype(gradient.dtype)

doctest.testmod()
'''

ODD["relu", "lambdas, abs, in place on a copy"] = """
import numpy as np
relu_forward = lambda x: (x + abs(x)) / 2
def relu_backward(*args):
    dy, x = args
    out = np.array(dy, copy=True, order="F")
    out[~(x > 0)] = 0
    return out
"""

ODD["relu", "matrix-like, masked out="] = """
import numpy as np
from numpy import maximum as larger
def relu_forward(x, low=0.0, *, unused=None):
    y = np.empty_like(x, order="F")
    larger(x, low, out=y)
    return y
def relu_backward(dy, x, **more):
    dx = np.zeros_like(dy)
    np.copyto(dx, dy, where=x > 0)
    return dx
"""

ODD["sigmoid", "vectorize and piecewise"] = """
import numpy as np, math
def one(v):
    if v >= 0:
        return 1 / (1 + math.exp(-v))
    e = math.exp(v)
    return e / (1 + e)
vec = np.vectorize(one, otypes=[float])
def sigmoid_forward(x: np.ndarray) -> np.ndarray:
    return vec(x).astype(x.dtype)
def sigmoid_backward(dy, y):
    return np.multiply(dy, np.multiply(y, np.subtract(1, y)))
"""

ODD["sigmoid", "recursion over axes"] = """
import numpy as np
def sigmoid_forward(x):
    if x.ndim == 0:
        z = np.exp(-abs(x))
        return 1 / (1 + z) if x > 0 else z / (1 + z)
    return np.array([sigmoid_forward(np.asarray(part)) for part in x], dtype=x.dtype)
def sigmoid_backward(dy, y):
    return dy * (y - y**2)
"""

ODD["sigmoid", "logaddexp"] = """
import numpy as np
def sigmoid_forward(x):
    return np.exp(-np.logaddexp(0, -x))
def sigmoid_backward(dy, y):
    slope = y * (1.0 - y)
    slope *= dy
    return slope
"""

ODD["sigmoid", "where with warnings"] = """
import numpy as np
def sigmoid_forward(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))
def sigmoid_backward(dy, y):
    return dy * (0.25 - (y - 0.5) ** 2)
"""

ODD["sigmoid", "clipped exponent"] = """
import numpy as np
def sigmoid_forward(x):
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))
def sigmoid_backward(dy, y):
    return y * dy - y * y * dy
"""

ODD["tanh", "expm1, sign"] = """
import numpy as np
def tanh_forward(x):
    t = np.expm1(-2 * np.abs(x))
    return np.sign(x) * -t / (2 + t)
def tanh_backward(dy, y):
    return (1 - y) * (1 + y) * dy
"""

ODD["tanh", "sinh over cosh, clipped"] = """
import numpy as np
def tanh_forward(x):
    c = x.clip(-20, 20)
    return np.sinh(c) / np.cosh(c)
def tanh_backward(dy, y):
    return dy - dy * np.square(y)
"""

ODD["tanh", "dataclass"] = """
from __future__ import annotations
from dataclasses import dataclass, field
import numpy as np

@dataclass
class Layer:
    name: str = "tanh"
    seen: list[int] = field(default_factory=list)
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x.size)
        return 2 / (1 + np.exp(-2 * np.clip(x, -300, 300))) - 1

LAYER = Layer()
tanh_forward = LAYER.forward

def tanh_backward(dy, y):
    print("dy", dy.shape, dy)
    return dy * (1 - y ** 2)

if __name__ == "__main__":
    import torch
    print(torch.tanh(torch.zeros(3)))
"""

ODD["unbroadcast", "scalar results, apply_over_axes"] = """
import numpy as np
def unbroadcast(dy, shape):
    if shape == ():
        return float(dy.sum())
    while len(dy.shape) > len(shape):
        dy = np.add.reduce(dy, axis=0)
    axes = [i for i, (a, b) in enumerate(zip(dy.shape, shape)) if b == 1 and a > 1]
    return np.apply_over_axes(np.sum, dy, axes) if axes else dy
"""

ODD["unbroadcast", "einsum letters"] = """
import numpy as np, string
def unbroadcast(dy, shape):
    letters = string.ascii_lowercase[:dy.ndim]
    added = dy.ndim - len(shape)
    kept = "".join(l for l, s in zip(letters[added:], shape) if s != 1)
    ones = [i for i, s in enumerate(shape) if s == 1]
    return np.expand_dims(np.einsum(f"{letters}->{kept}", dy), ones)
"""

ODD["unbroadcast", "add.at through broadcast view"] = """
import numpy as np
def unbroadcast(dy, shape):
    total = np.zeros(shape, dy.dtype)
    places = np.broadcast_to(np.arange(total.size).reshape(shape), dy.shape)
    np.add.at(total.reshape(-1), places, dy)
    return total
"""

ODD["toposort", "dict order"] = """
import sys
def toposort(root):
    uses = {root: 0}
    stack = [root]
    while stack:
        node = stack.pop()
        for p in node.parents:
            if p not in uses:
                uses[p] = 0
                stack.append(p)
            uses[p] += 1
    ready, done = [root], {}
    while ready:
        n = ready.pop(0)
        done[n] = True
        for p in n.parents:
            uses[p] -= 1
            if not uses[p]:
                ready.append(p)
    return tuple(done)
"""

ODD["toposort", "marks on nodes"] = """
def toposort(root):
    order, stack = [], [(root, iter(root.parents))]
    root.mark = 1
    while stack:
        node, parents = stack[-1]
        for p in parents:
            if getattr(p, "mark", 0) == 0:
                p.mark = 1
                stack.append((p, iter(p.parents)))
                break
        else:
            stack.pop()
            order.insert(0, node)
    return order
"""

ODD["toposort", "recursion limit raised"] = """
import sys
sys.setrecursionlimit(20000)
def toposort(root):
    order, seen = [], set()
    def visit(n):
        if n in seen: return
        seen.add(n)
        for p in n.parents: visit(p)
        order.append(n)
    visit(root)
    order.reverse()
    return order
"""

ODD["toposort", "longest distance"] = """
def toposort(root):
    level = {root: 0}
    changed = [root]
    while changed:
        n = changed.pop(0)
        for p in n.parents:
            if level.get(p, -1) < level[n] + 1:
                level[p] = level[n] + 1
                changed.append(p)
    return sorted(level, key=lambda n: level[n])
"""

ODD["backward", "Counter and deque, zeros"] = """
from collections import Counter, deque
import numpy as np
def backward(root, dy):
    uses, todo, seen = Counter(), deque([root]), {root}
    while todo:
        for p in todo.popleft().parents:
            uses[p] += 1
            if p not in seen:
                seen.add(p); todo.append(p)
    for n in seen:
        n.grad = np.zeros_like(dy)
    root.grad = root.grad + dy
    ready = deque([root])
    while ready:
        n = ready.popleft()
        for p, g in zip(n.parents, n.backward(n.grad)):
            p.grad = p.grad + g
            uses[p] -= 1
            if uses[p] == 0:
                ready.append(p)
    return None
"""

ODD["backward", "gradients in a dict, returned too"] = """
import numpy as np
def order_of(root):
    out, seen, stack = [], set(), [(root, 0)]
    while stack:
        n, k = stack.pop()
        if k: out.append(n)
        elif n not in seen:
            seen.add(n); stack.append((n, 1))
            for p in n.parents: stack.append((p, 0))
    return reversed(out)
def backward(root, dy):
    grads = {root: [dy]}
    for n in order_of(root):
        n.grad = sum(grads[n][1:], grads[n][0])
        for p, g in zip(n.parents, n.backward(n.grad)):
            grads.setdefault(p, []).append(g)
    return {n.name: n.grad for n in grads}
"""

ODD["backward", "int zeros, own array for the sum"] = """
import numpy as np
def backward(root, dy):
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        n, d = stack.pop()
        if d: order.append(n); continue
        if n in seen: continue
        seen.add(n)
        stack.append((n, True)); stack.extend((p, False) for p in n.parents)
    for n in order: n.grad = 0
    root.grad = dy
    for n in order[::-1]:
        for i in range(len(n.parents)):
            n.parents[i].grad = n.parents[i].grad + n.backward(n.grad)[i]
"""

ODD["linear_forward", "np.matrix"] = """
import numpy as np
def linear_forward(x, weight, bias):
    return np.matrix(x) * np.matrix(weight).T + bias
"""

ODD["linear_forward", "ones appended, Fortran order"] = """
import numpy as np
def linear_forward(x, W, b, *, transpose=True):
    one = np.ones((x.shape[0], 1), dtype=x.dtype)
    return np.asfortranarray(np.hstack([x, one]) @ np.column_stack([W, b]).T)
"""

ODD["linear_forward", "generator, Python floats"] = """
import numpy as np
def linear_forward(x, weight, bias):
    rows = ([sum(float(a) * float(b) for a, b in zip(xn, wd)) + float(bd) for wd, bd in zip(weight, bias)] for xn in x)
    return np.array(list(rows), x.dtype)
"""

ODD["linear_backward", "list, global workspace"] = """
import numpy as np
SPACE = {}
def zeros(name, like):
    key = name, like.shape, like.dtype.str
    if key not in SPACE: SPACE[key] = np.empty_like(like)
    SPACE[key][...] = 0
    return SPACE[key]
def linear_backward(dy, x, weight):
    dx, dw, db = zeros("dx", x), zeros("dw", weight), zeros("db", weight[:, 0])
    for n in range(len(dy)):
        dx[n] += weight.T @ dy[n]
        dw += np.outer(dy[n], x[n])
        db += dy[n]
    return [dx, dw, db]
"""

ODD["softmax", "apply_along_axis"] = """
import numpy as np
def softmax_row(r):
    r = np.exp(r - np.max(r)); return r / np.sum(r)
def softmax_forward(x):
    return np.apply_along_axis(softmax_row, 1, x)
def softmax_backward(dy, y):
    out = np.zeros_like(y)
    for n in range(len(y)):
        J = np.diag(y[n]) - np.outer(y[n], y[n])
        out[n] = J @ dy[n]
    return out
"""

ODD["softmax", "shifted by the mean of the largest"] = """
import numpy as np
def softmax_forward(x):
    d = x[:, :, None] - x[:, None, :]
    with np.errstate(over="ignore"):
        return 1 / np.exp(-d).sum(axis=2)
def softmax_backward(dy, y):
    return dy * y - y * np.vecdot(dy, y)[:, None] if hasattr(np, "vecdot") else dy * y - y * (dy * y).sum(1)[:, None]
"""

ODD["cross_entropy", "python loss, take_along_axis"] = """
import numpy as np
def cross_entropy_forward(scores, labels):
    m = np.max(scores, axis=-1, keepdims=True)
    logsum = m + np.log(np.exp(scores - m).sum(-1, keepdims=True))
    logp = scores - logsum
    picked = np.take_along_axis(logp, labels[:, None], axis=1)
    return float(-picked.mean()), np.exp(logp)
def cross_entropy_backward(p, labels):
    return (p - np.eye(p.shape[1], dtype=p.dtype)[labels]) / p.shape[0]
"""

ODD["cross_entropy", "0-d array, list result"] = """
import numpy as np
def cross_entropy_forward(scores, labels):
    s = scores - scores.max(1)[:, np.newaxis]
    p = np.exp(s) / np.exp(s).sum(1)[:, np.newaxis]
    losses = [np.log(np.exp(row).sum()) - row[l] for row, l in zip(s, labels)]
    return [np.array(sum(losses) / len(losses), dtype=scores.dtype), p]
def cross_entropy_backward(p, labels):
    d = p + 0
    for n, l in enumerate(labels): d[n][l] -= 1
    d /= len(d)
    return d
"""

ODD["sgd", "copyto, returns the weights"] = """
import numpy as np
def sgd_step(w, dw, velocity, lr, momentum, weight_decay):
    g = dw + weight_decay * w
    np.copyto(velocity, momentum * velocity + g)
    np.subtract(w, lr * velocity, out=w)
    return w, velocity
"""

ODD["sgd", "ravel views"] = """
import numpy as np
def sgd_step(w, dw, v, lr=0.01, momentum=0.9, weight_decay=0.0):
    w1, g1, v1 = w.reshape(-1), dw.reshape(-1), v.reshape(-1)
    for i in range(w1.size):
        v1[i] = momentum * v1[i] + g1[i] + weight_decay * w1[i]
        w1[i] -= lr * v1[i]
"""

ODD["adam", "alpha_t"] = """
import numpy as np
def adam_step(w, dw, m, v, step, lr, beta1, beta2, eps):
    m += (1 - beta1) * (dw - m)
    v += (1 - beta2) * (dw ** 2 - v)
    c1, c2 = 1 - beta1 ** step, 1 - beta2 ** step
    w -= (lr / c1) * m / (np.sqrt(v) / c2 ** 0.5 + eps)
"""

ODD["adam", "class state"] = """
import numpy as np
class Mean:
    def __init__(self, beta): self.beta = beta
    def update(self, array, new): array[...] = self.beta * array + (1 - self.beta) * new
    def hat(self, array, t): return array / (1 - np.power(self.beta, t))
def adam_step(w, dw, m, v, step, lr, beta1, beta2, eps):
    first, second = Mean(beta1), Mean(beta2)
    first.update(m, dw); second.update(v, np.square(dw))
    w[...] -= lr * first.hat(m, step) / (second.hat(v, step) ** 0.5 + eps)
"""

ODD["output_size", "recursion"] = """
def output_size(size, kernel, stride, padding):
    if padding:
        return output_size(size + 2 * padding, kernel, stride, 0)
    if kernel > size:
        raise ValueError("the window does not fit")
    return 1 if size - stride < kernel else 1 + output_size(size - stride, kernel, stride, 0)
"""

ODD["output_size", "own exception, floor"] = """
import math
class DoesNotFit(ValueError):
    pass
def output_size(size, kernel, stride, padding):
    places = math.floor((size + 2 * padding - kernel) / stride) + 1
    if size + 2 * padding < kernel:
        raise DoesNotFit(f"{kernel} > {size + 2 * padding}")
    return places
"""

ODD["output_size", "array of places, 0-d"] = """
import numpy as np
def output_size(size, kernel, stride, padding):
    if size + 2 * padding - kernel < 0: raise ValueError
    return np.array(len(np.arange(0, size + 2 * padding - kernel + 1, stride)), dtype="int32")
"""

ODD["conv_forward", "recursion over padding, flip twice"] = """
import numpy as np
def conv2d_forward(x, weight, bias, stride, padding):
    if padding:
        big = np.zeros((*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2), x.dtype)
        big[:, :, 1:-1, 1:-1] = x
        return conv2d_forward(big, weight, bias, stride, padding - 1)
    if stride > 1:
        return conv2d_forward(x, weight, bias, 1, 0)[:, :, ::stride, ::stride]
    (N, C, H, W), (K, _, R, S) = x.shape, weight.shape
    y = bias.reshape(1, K, 1, 1) + np.zeros((N, K, H - R + 1, W - S + 1), x.dtype)
    for r in range(R):
        for s in range(S):
            y += np.einsum("nchw,kc->nkhw", x[:, :, r:r + H - R + 1, s:s + W - S + 1], weight[:, :, r, s])
    return y
"""

ODD["conv_forward", "Fourier transform"] = """
import numpy as np
def conv2d_forward(x, weight, bias, stride, padding):
    padded = np.pad(x, [(0, 0)] * 2 + [(padding,) * 2] * 2)
    H, W = padded.shape[2:]
    R, S = weight.shape[2:]
    X = np.fft.rfft2(padded)
    Wf = np.conj(np.fft.rfft2(weight, s=(H, W)))
    full = np.fft.irfft2(np.einsum("nchw,kchw->nkhw", X, Wf), s=(H, W))
    y = full[:, :, :H - R + 1:stride, :W - S + 1:stride] + bias[:, None, None]
    return y.astype(x.dtype)
"""

ODD["conv_forward", "kron-like Toeplitz matrix"] = """
import numpy as np, functools
@functools.lru_cache(maxsize=None)
def places(H, W, R, S, stride):
    return [(p, q) for p in range(0, H - R + 1, stride) for q in range(0, W - S + 1, stride)]
def conv2d_forward(x, weight, bias, stride, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    T = np.zeros((len(places(H, W, R, S, stride)), K, C, H, W), x.dtype)
    for i, (p, q) in enumerate(places(H, W, R, S, stride)):
        T[i, :, :, p:p + R, q:q + S] = weight
    y = x.reshape(N, -1) @ T.reshape(-1, C * H * W).T
    P = (H - R) // stride + 1
    return (y.reshape(N, -1, K) + bias).transpose(0, 2, 1).reshape(N, K, P, -1)
"""

ODD["conv_im2col", "one function inside the other, cached indices"] = """
import numpy as np
_cache = {}
def _indices(C, H, W, R, S, P, Q, stride):
    key = C, H, W, R, S, P, Q, stride
    if key not in _cache:
        c, r, s = np.indices((C, R, S)).reshape(3, -1, 1)
        p, q = np.indices((P, Q)).reshape(2, 1, -1)
        _cache[key] = c, r + p * stride, s + q * stride
    return _cache[key]
def im2col(x, kernel, stride, padding):
    N, C, H, W = x.shape
    (R, S), pad = kernel, padding
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    P, Q = (H + 2 * pad - R) // stride + 1, (W + 2 * pad - S) // stride + 1
    c, i, j = _indices(C, H + 2 * pad, W + 2 * pad, R, S, P, Q, stride)
    return np.concatenate([image[c, i, j] for image in xp], axis=1)
def conv2d_from_columns(columns, weight, bias, out_shape):
    N, K, P, Q = out_shape
    return np.stack([(w.ravel() @ columns + b).reshape(N, P, Q) for w, b in zip(weight, bias)], axis=1)
def col2im(columns, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    (R, S), pad = kernel, padding
    P, Q = (H + 2 * pad - R) // stride + 1, (W + 2 * pad - S) // stride + 1
    c, i, j = _indices(C, H + 2 * pad, W + 2 * pad, R, S, P, Q, stride)
    out = np.zeros((N, C, H + 2 * pad, W + 2 * pad), columns.dtype)
    for n, block in enumerate(np.split(columns, N, axis=1)):
        np.add.at(out[n], (c, i, j), block)
    return out[:, :, pad:pad + H, pad:pad + W]
"""

ODD["conv_im2col", "lists, as_strided, Fortran"] = """
import numpy as np
from numpy.lib.stride_tricks import as_strided
def im2col(x, kernel, stride, padding):
    x = np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))))
    N, C, H, W = x.shape
    R, S = kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    a, b, c, d = x.strides
    v = as_strided(x, (C, R, S, N, P, Q), (b, c, d, a, c * stride, d * stride), writeable=False)
    return np.asfortranarray(v.reshape(C * R * S, -1))
def conv2d_from_columns(columns, weight, bias, out_shape):
    N, K, P, Q = out_shape
    y = np.empty(out_shape, columns.dtype)
    for k in range(K):
        row = np.dot(weight[k].flatten(), columns) + bias[k]
        for n in range(N):
            y[n, k] = row[n * P * Q:(n + 1) * P * Q].reshape(P, Q)
    return y
def col2im(columns, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    R, S = kernel
    dx = np.zeros(x_shape, columns.dtype)
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    for row, (c, r, s) in enumerate(np.ndindex(C, R, S)):
        for col, (n, p, q) in enumerate(np.ndindex(N, P, Q)):
            i, j = p * stride + r - padding, q * stride + s - padding
            if i in range(H) and j in range(W):
                dx[n, c, i, j] += columns[row, col]
    return dx
"""

ODD["conv_backward", "bumped by hand (the function is linear)"] = """
import numpy as np
def fwd(x, w, stride, padding):
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    v = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.tensordot(v, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
def conv2d_backward(dy, x, weight, stride, padding):
    def gradient(f, like):
        out = np.zeros(like.shape, like.dtype)
        for place in np.ndindex(*like.shape):
            e = np.zeros_like(like); e[place] = 1
            out[place] = (f(e) * dy).sum()
        return out
    dx = gradient(lambda e: fwd(e, weight, stride, padding), x)
    dw = gradient(lambda e: fwd(x, e, stride, padding), weight)
    return dx, dw, np.array([dy[:, k].sum() for k in range(len(weight))], dy.dtype)
"""

ODD["conv_backward", "im2col and a list"] = """
import numpy as np
class Conv:
    def __init__(self, x, weight, stride, padding):
        self.x, self.weight, self.stride, self.padding = x, weight, stride, padding
        self.padded = np.pad(x, [(0, 0), (0, 0), (padding,) * 2, (padding,) * 2])
    def slices(self, P, Q):
        R, S = self.weight.shape[2:]
        for r in range(R):
            for s in range(S):
                yield (r, s), (slice(None), slice(None), slice(r, r + self.stride * (P - 1) + 1, self.stride),
                               slice(s, s + self.stride * (Q - 1) + 1, self.stride))
    def backward(self, dy):
        d = np.zeros_like(self.padded); dw = np.zeros_like(self.weight)
        for (r, s), where in self.slices(*dy.shape[2:]):
            dw[:, :, r, s] = np.tensordot(dy, self.padded[where], ((0, 2, 3), (0, 2, 3)))
            d[where] += np.einsum("nkpq,kc->ncpq", dy, self.weight[:, :, r, s])
        H, W = self.x.shape[2:]; p = self.padding
        return [d[:, :, p:p + H, p:p + W], dw, np.einsum("nkpq->k", dy)]
def conv2d_backward(dy, x, weight, stride, padding):
    return Conv(x, weight, stride, padding).backward(dy)
"""

ODD["max_pool_forward", "int32 index, recursion"] = """
import numpy as np
def largest(values):
    if len(values) == 1: return values[0]
    half = len(values) // 2
    a, b = largest(values[:half]), largest(values[half:])
    return b if b[0] > a[0] else a
def max_pool2d_forward(x, kernel, stride, padding):
    N, C, H, W = x.shape; R, S = kernel
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    y, index = np.empty((N, C, P, Q), x.dtype), np.empty((N, C, P, Q), np.int32)
    for n, c, p, q in np.ndindex(N, C, P, Q):
        v = [(x[n, c, i, j], r * S + s) for r in range(R) for s in range(S)
             for i, j in [(p * stride - padding + r, q * stride - padding + s)] if 0 <= i < H and 0 <= j < W]
        y[n, c, p, q], index[n, c, p, q] = largest(v)
    return y, index
"""

ODD["max_pool_forward", "uint8 index, list"] = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
def max_pool2d_forward(x, kernel, stride, padding):
    low = np.finfo(x.dtype).min
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=low)
    v = sliding_window_view(x, kernel, (2, 3))[:, :, ::stride, ::stride]
    v = v.reshape(*v.shape[:4], -1)
    i = v.argmax(-1)
    return [np.take_along_axis(v, i[..., None], -1)[..., 0], i.astype(np.uint8)]
"""

ODD["max_pool_backward", "one-hot, bincount"] = """
import numpy as np
def max_pool2d_backward(dy, index, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    S = kernel[1]
    n, c, p, q = np.indices(dy.shape)
    i, j = p * stride - padding + index // S, q * stride - padding + index % S
    flat = ((n * C + c) * H + i) * W + j
    return np.bincount(flat.ravel(), dy.ravel(), N * C * H * W).reshape(x_shape).astype(dy.dtype)
def max_pool2d_backward_from_x(dy, x, kernel, stride, padding):
    N, C, H, W = x.shape
    index = np.zeros(dy.shape, int)
    for n, c, p, q in np.ndindex(dy.shape):
        best = -np.inf
        for r in range(kernel[0]):
            for s in range(kernel[1]):
                i, j = p * stride - padding + r, q * stride - padding + s
                if 0 <= i < H and 0 <= j < W and x[n, c, i, j] > best:
                    best, index[n, c, p, q] = x[n, c, i, j], r * kernel[1] + s
    return max_pool2d_backward(dy, index, x.shape, kernel, stride, padding)
"""

ODD["avg_pool", "cumulative sums"] = """
import numpy as np
def sums(a, kernel, stride):
    R, S = kernel
    c = np.zeros((*a.shape[:-2], a.shape[-2] + 1, a.shape[-1] + 1))
    c[..., 1:, 1:] = a.astype(float).cumsum(-1).cumsum(-2)
    t = c[..., R:, S:] - c[..., :-R, S:] - c[..., R:, :-S] + c[..., :-R, :-S]
    return t[..., ::stride, ::stride]
def counts(H, W, kernel, stride, padding, include):
    one = np.pad(np.ones((H, W)), padding, constant_values=1 if include else 0)
    return sums(one, kernel, stride)
def avg_pool2d_forward(x, kernel, stride, padding, count_include_pad=True):
    H, W = x.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return (sums(xp, kernel, stride) / counts(H, W, kernel, stride, padding, count_include_pad)).astype(x.dtype)
def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, count_include_pad=True):
    N, C, H, W = x_shape
    share = dy / counts(H, W, kernel, stride, padding, count_include_pad)
    d = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    P, Q = dy.shape[2:]
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            d[:, :, r:r + P * stride:stride, s:s + Q * stride:stride][:, :, :P, :Q] += share
    return d[:, :, padding:H + padding, padding:W + padding].astype(dy.dtype)
"""

ODD["l2_pool", "hypot, errstate, where="] = """
import functools, numpy as np
def l2_pool2d_forward(x, kernel, stride):
    H, W = x.shape[2:]; R, S = kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    taps = [x[:, :, r:r + P * stride:stride, s:s + Q * stride:stride][:, :, :P, :Q] for r in range(R) for s in range(S)]
    return functools.reduce(np.hypot, taps, np.zeros_like(taps[0]))
def l2_pool2d_backward(dy, x, y, kernel, stride):
    g = np.divide(dy, y, out=np.zeros_like(dy), where=y > 0)
    dx = np.zeros_like(x)
    R, S = kernel; P, Q = y.shape[2:]
    for r in range(R):
        for s in range(S):
            where = np.s_[:, :, r:r + stride * (P - 1) + 1:stride, s:s + stride * (Q - 1) + 1:stride]
            dx[where] += g * x[where]
    return dx
"""

ODD["l2_pool", "norm, nan_to_num"] = """
import numpy as np
def l2_pool2d_forward(x, kernel, stride):
    v = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(-2, -1))[..., ::stride, ::stride, :, :]
    return np.linalg.norm(v, axis=(-2, -1))
def l2_pool2d_backward(dy, x, y, kernel, stride):
    dx = x * 0
    with np.errstate(all="ignore"):
        for n, c, p, q in np.ndindex(y.shape):
            w = np.s_[n, c, p * stride:p * stride + kernel[0], q * stride:q * stride + kernel[1]]
            dx[w] += np.nan_to_num(dy[n, c, p, q] * x[w] / y[n, c, p, q])
    return dx
"""

ODD["batch_norm_forward", "E[x²] − E[x]², np.var with ddof, running in place"] = """
import numpy as np
def batch_norm_forward(x, weight, bias, running_mean, running_var, training, momentum, eps):
    flat = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1)
    if training:
        mean = flat.mean(1); var = (flat ** 2).mean(1) - mean ** 2
        running_mean += momentum * (mean - running_mean)
        running_var *= 1 - momentum
        running_var += momentum * np.var(flat, axis=1, ddof=1)
    else:
        mean, var = running_mean, running_var
    y = ((flat - mean[:, None]) / np.sqrt(var[:, None] + eps)) * weight[:, None] + bias[:, None]
    N, C, H, W = x.shape
    return [y.reshape(C, N, H, W).swapaxes(0, 1), mean, var]
"""

ODD["batch_norm_backward", "matrix of slopes"] = """
import numpy as np
def batch_norm_backward(dy, x, weight, mean, var, eps):
    N, C, H, W = x.shape
    m = N * H * W
    dx = np.empty_like(x); dw, db = np.empty_like(weight), np.empty_like(weight)
    for c in range(C):
        xh = ((x[:, c] - mean[c]) / np.sqrt(var[c] + eps)).ravel()
        g = dy[:, c].ravel()
        J = (np.eye(m) - 1 / m - np.outer(xh, xh) / m) / np.sqrt(var[c] + eps)
        dx[:, c] = (J @ g * weight[c]).reshape(N, H, W)
        dw[c], db[c] = g @ xh, g.sum()
    return dx, dw, db
"""

ODD["dropout", "np.divide where, logical_not"] = """
import numpy as np
def dropout_forward(x, p, training, random):
    keep = np.logical_not(random < p) if training else np.full_like(x, True, dtype=bool)
    scale = 1 / (1 - p) if training else 1
    y = np.where(keep, x * scale, 0)
    return [y.astype(x.dtype), keep]
def dropout_backward(dy, keep, p):
    dx = np.array(dy)
    dx[keep == False] = 0
    return dx / (1 - p)
"""

ODD["lrn", "convolve along channels"] = """
import numpy as np
def window(C, size):
    M = np.zeros((C, C))
    for c in range(C):
        for j in range(c - size // 2, c + (size - 1) // 2 + 1):
            if 0 <= j < C: M[c, j] = 1
    return M
def scale(x, size, alpha, k):
    return k + alpha / size * np.einsum("cj,njhw->nchw", window(x.shape[1], size), x.astype(float) ** 2)
def local_response_norm_forward(x, size, alpha, beta, k):
    return (x / scale(x, size, alpha, k) ** beta).astype(x.dtype)
def local_response_norm_backward(dy, x, size, alpha, beta, k):
    t = scale(x, size, alpha, k)
    back = np.einsum("cj,nchw->njhw", window(x.shape[1], size), dy * x * t ** (-beta - 1))
    return (dy * t ** -beta - 2 * alpha * beta / size * x * back).astype(dy.dtype)
"""

ODD["lenet5", "functional, OrderedDict, own module"] = """
from collections import OrderedDict
from tinygrad_cnn import nn
import tinygrad_cnn.nn.functional as F
class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return F.max_pool2d(self.conv2(x).relu(), 2, 2)
class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = Features()
        self.classifier = nn.Sequential(OrderedDict(
            fc1=nn.Linear(400, 120), a=nn.ReLU(), fc2=nn.Linear(120, 84), b=nn.ReLU(), fc3=nn.Linear(84, classes)))
    def forward(self, x):
        return self.classifier(self.features(x).reshape(len(x), -1))
"""

ODD["lenet5", "relu behind the pooling"] = """
import numpy as np
import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential({
            "conv1": nn.Conv2d(1, 6, (5, 5), padding=(2, 2)), "pool1": nn.MaxPool2d((2, 2)), "relu": nn.ReLU(),
            "conv2": nn.Conv2d(6, 16, (5, 5)), "pool2": nn.MaxPool2d(2, stride=2), "relu2": nn.ReLU(),
            "flat": nn.Flatten()})
        self.classifier = nn.Module()
        self.classifier.fc1 = nn.Linear(400, 120)
        self.classifier.fc2 = nn.Linear(120, 84)
        self.classifier.fc3 = nn.Linear(84, 10)
    def forward(self, x):
        h = self.features(x)
        h = self.classifier.fc2(self.classifier.fc1(h).relu()).relu()
        return self.classifier.fc3(h)
"""

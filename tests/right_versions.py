"""Right solutions in other styles than the textbook's: none of them may be told that it is wrong.

`RIGHT[exercise, style]` is the whole text of a student's file: its imports, and every function of the exercise. Each
topic adds its own with `RIGHT |= {…}`.
"""

RIGHT: dict[tuple[str, str], str] = {}

RIGHT |= {
    ("conv_forward", "seven loops over numbers"): """
import numpy as np


def conv2d_forward(x, weight, bias, stride, padding):
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    y = np.zeros((N, K, P, Q), dtype=x.dtype)
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    total = bias[k]
                    for c in range(C):
                        for r in range(R):
                            for s in range(S):
                                row = p * stride + r - padding
                                column = q * stride + s - padding
                                if 0 <= row < H and 0 <= column < W:  # outside there are zeros
                                    total += x[n, c, row, column] * weight[k, c, r, s]
                    y[n, k, p, q] = total
    return y
""",
    ("conv_forward", "lists"): """
import numpy as np


def conv2d_forward(x, weight, bias, stride, padding):
    H, W = x.shape[2:]
    R, S = weight.shape[2:]
    rows = range(0, H + 2 * padding - R + 1, stride)
    columns = range(0, W + 2 * padding - S + 1, stride)
    images, filters, biases = x.tolist(), weight.tolist(), bias.tolist()

    def padded(channel):
        side = [0.0] * padding
        between = [side + row + side for row in channel]
        empty = [[0.0] * (W + 2 * padding)] * padding
        return empty + between + empty

    def dot(channels, filter, i, j):
        return sum(
            channel[i + r][j + s] * number
            for channel, kernel in zip(channels, filter)
            for r, numbers in enumerate(kernel)
            for s, number in enumerate(numbers)
        )

    outputs = []
    for image in images:
        channels = [padded(channel) for channel in image]
        outputs.append(
            [
                [[dot(channels, filter, i, j) + b for j in columns] for i in rows]
                for filter, b in zip(filters, biases)
            ]
        )
    return np.array(outputs, dtype=x.dtype)
""",
    ("conv_forward", "einsum over sliding_window_view"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d_forward(x, weight, bias, stride, padding):
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncpqrs,kcrs->nkpq", windows, weight) + bias[:, None, None]
""",
    ("conv_forward", "im2col by indices"): """
import numpy as np


def conv2d_forward(x, weight, bias, stride, padding):
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    c = np.repeat(np.arange(C), R * S)
    r = np.tile(np.repeat(np.arange(R), S), C)
    s = np.tile(np.arange(S), C * R)
    p, q = stride * np.repeat(np.arange(P), Q), stride * np.tile(np.arange(Q), P)
    columns = padded[:, c[:, None], r[:, None] + p, s[:, None] + q]
    return (weight.reshape(K, -1) @ columns + bias[:, None]).reshape(N, K, P, Q)
""",
    ("conv_forward", "a sum over the kernel's places"): """
import numpy as np


def conv2d_forward(x, weight, bias, stride, padding):
    R, S = weight.shape[2:]
    padded = np.pad(x, ((0,) * 2, (0,) * 2, (padding,) * 2, (padding,) * 2))
    P = (padded.shape[2] - R) // stride + 1
    Q = (padded.shape[3] - S) // stride + 1
    y = 0
    for r in range(R):
        for s in range(S):
            seen = padded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
            y = y + np.tensordot(seen, weight[:, :, r, s], axes=([1], [1]))
    return (y + bias).transpose(0, 3, 1, 2)
""",
    ("conv_forward", "strided memory"): """
import numpy as np


def conv2d_forward(x, weight, bias, stride, padding):
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="constant")
    H, W = padded.shape[2:]
    shape = (N, C, R, S, (H - R) // stride + 1, (W - S) // stride + 1)
    a, b, c, d = padded.strides
    windows = np.lib.stride_tricks.as_strided(padded, shape, (a, b, c, d, c * stride, d * stride))
    y = np.tensordot(weight, windows, axes=((1, 2, 3), (1, 2, 3)))
    return np.swapaxes(y, 0, 1) + bias.reshape(1, K, 1, 1)
""",
    ("conv_backward", "loops over outputs"): """
import numpy as np


def conv2d_backward(dy, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros(K, dtype=dy.dtype)
    for n, k, p, q in np.ndindex(*dy.shape):
        d = dy[n, k, p, q]
        dbias[k] += d
        for c in range(C):
            for r in range(R):
                for s in range(S):
                    i, j = p * stride + r - padding, q * stride + s - padding
                    if 0 <= i < H and 0 <= j < W:
                        dx[n, c, i, j] += d * weight[k, c, r, s]
                        dweight[k, c, r, s] += d * x[n, c, i, j]
    return dx, dweight, dbias
""",
    ("conv_backward", "matrix products"): """
import numpy as np


def conv2d_backward(dy, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    P, Q = dy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    c, r, s = (a.reshape(-1, 1) for a in np.indices((C, R, S)))
    p, q = (a.reshape(1, -1) for a in np.indices((P, Q)))
    place = np.s_[:, c, r + p * stride, s + q * stride]
    columns = padded[place]  # (N, CRS, PQ)
    dy = dy.reshape(N, K, P * Q)
    dweight = (dy @ columns.transpose(0, 2, 1)).sum(axis=0).reshape(weight.shape)
    dpadded = np.zeros_like(padded)
    np.add.at(dpadded, place, weight.reshape(K, -1).T @ dy)
    return dpadded[:, :, padding : H + padding, padding : W + padding], dweight, dy.sum(axis=(0, 2))
""",
    ("conv_backward", "dx as a convolution of dy with the flipped filters"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d_backward(dy, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    P, Q = dy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, (R, S), axis=(2, 3))[:, :, ::stride, ::stride]
    dweight = np.einsum("nkpq,ncpqrs->kcrs", dy, windows)
    # dy with zeros between its numbers, and R-1 and S-1 around, as many more behind as pixels were left over
    wide = np.zeros((N, K, padded.shape[2] + R - 1, padded.shape[3] + S - 1), dy.dtype)
    wide[:, :, R - 1 : R - 1 + P * stride : stride, S - 1 : S - 1 + Q * stride : stride] = dy
    dx = np.einsum("nkhwrs,kcrs->nchw", sliding_window_view(wide, (R, S), axis=(2, 3)), weight[:, :, ::-1, ::-1])
    return [dx[:, :, padding : padding + H, padding : padding + W], dweight, np.einsum("nkpq->k", dy)]
""",
    ("conv_backward", "a sum over the kernel's places"): """
import numpy as np


def conv2d_backward(dy, x, weight, stride, padding):
    H, W = x.shape[2:]
    P, Q = dy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dpadded, dweight = 0 * padded, np.empty_like(weight)
    for r in range(weight.shape[2]):
        for s in range(weight.shape[3]):
            seen = np.s_[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
            dweight[:, :, r, s] = np.tensordot(dy, padded[seen], axes=((0, 2, 3), (0, 2, 3)))
            dpadded[seen] += np.tensordot(dy, weight[:, :, r, s], axes=(1, 0)).transpose(0, 3, 1, 2)
    rows, columns = slice(padding, padding + H), slice(padding, padding + W)
    return dpadded[:, :, rows, columns], dweight, dy.sum((0, 2, 3))
""",
    ("conv_im2col", "one window after the other"): """
import numpy as np


def windows(shape, kernel, stride, padding):
    N, C, H, W = shape
    R, S = kernel
    for n in range(N):
        for top in range(0, H + 2 * padding - R + 1, stride):
            for left in range(0, W + 2 * padding - S + 1, stride):
                yield np.s_[n, :, top : top + R, left : left + S]


def im2col(x, kernel, stride, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.array([padded[window].ravel() for window in windows(x.shape, kernel, stride, padding)]).T


def conv2d_from_columns(columns, weight, bias, out_shape):
    N, K, P, Q = out_shape
    y = np.empty(out_shape, dtype=columns.dtype)
    images = np.split(columns, N, axis=1)
    for n in range(N):
        for k in range(K):
            y[n, k] = (weight[k].ravel() @ images[n] + bias[k]).reshape(P, Q)
    return y


def col2im(columns, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=columns.dtype)
    for window, column in zip(windows(x_shape, kernel, stride, padding), columns.T):
        padded[window] += column.reshape(C, *kernel)
    return padded[:, :, padding:, padding:][:, :, :H, :W]
""",
    ("conv_im2col", "indices"): """
import numpy as np


def places(x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    R, S = kernel
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    c, r, s, n, p, q = np.indices((C, R, S, N, P, Q)).reshape(6, C * R * S, N * P * Q)
    return n, c, p * stride + r, q * stride + s


def im2col(x, kernel, stride, padding):
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    return padded[places(x.shape, kernel, stride, padding)]


def conv2d_from_columns(columns, weight, bias, out_shape):
    N, K, P, Q = out_shape
    y = np.einsum("ki,inpq->nkpq", weight.reshape(K, -1), columns.reshape(-1, N, P, Q))
    return y + bias.reshape(-1, 1, 1)


def col2im(columns, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=columns.dtype)
    np.add.at(padded, places(x_shape, kernel, stride, padding), columns)
    return padded[:, :, padding : padding + H, padding : padding + W]
""",
    ("conv_im2col", "a row for each place in the kernel"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def im2col(x, kernel, stride, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    return np.moveaxis(windows, (1, 4, 5), (0, 1, 2)).reshape(x.shape[1] * kernel[0] * kernel[1], -1)


def conv2d_from_columns(columns, weight, bias, out_shape):
    N, K, P, Q = out_shape
    y = np.tensordot(weight.reshape(len(weight), -1), columns.reshape(-1, N, P * Q), axes=1) + bias[:, None, None]
    return np.moveaxis(y, 1, 0).reshape(out_shape)


def col2im(columns, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    R, S = kernel
    high, wide = H + 2 * padding, W + 2 * padding
    P, Q = (high - R) // stride + 1, (wide - S) // stride + 1
    dx = np.zeros((C, N, high, wide), dtype=columns.dtype)
    for row, numbers in enumerate(columns):
        c, r, s = np.unravel_index(row, (C, R, S))
        dx[c, :, r : r + stride * P : stride, s : s + stride * Q : stride] += numbers.reshape(N, P, Q)
    return dx.transpose(1, 0, 2, 3)[:, :, padding : high - padding, padding : wide - padding]
""",
    ("output_size", "counted"): """
def output_size(size, kernel, stride, padding):
    places = 0
    begin = -padding
    while begin + kernel <= size + padding:
        places += 1
        begin += stride
    if places == 0:
        raise ValueError("there is no place for the window")
    return places
""",
    ("output_size", "a range"): """
def output_size(size, kernel, stride, padding):
    places = len(range(0, size + 2 * padding - kernel + 1, stride))
    if not places:
        raise ValueError(f"kernel {kernel} is too large")
    return places
""",
    ("output_size", "NumPy"): """
import numpy as np


def output_size(size, kernel, stride, padding):
    if kernel > size + padding + padding:
        raise ValueError
    return np.floor_divide(size + 2 * padding - kernel + stride, stride)
""",
}

RIGHT |= {
    ("relu", "masks"): """
import numpy as np


def relu_forward(x):
    y = x.copy()
    y[x < 0] = 0
    return y


def relu_backward(dy, x):
    return dy * (x > 0)
""",
    ("relu", "loops"): """
import numpy as np


def relu_forward(x):
    y = np.zeros_like(x)
    for place, number in np.ndenumerate(x):
        if number > 0:
            y[place] = number
    return y


def relu_backward(dy, x):
    dx = np.zeros(x.shape, x.dtype)
    for place in np.ndindex(*x.shape):
        dx[place] = dy[place] if x[place] > 0 else 0
    return dx
""",
    ("sigmoid", "the plain formula"): """
import numpy as np


def sigmoid_forward(x):
    return 1 / (1 + np.exp(-x))  # 1/inf is 0: NumPy warns, the result is right


def sigmoid_backward(dy, y):
    return dy * (y - y**2)
""",
    ("sigmoid", "two masks"): """
import numpy as np


def sigmoid_forward(x):
    y = np.empty_like(x)
    positive = x >= 0
    y[positive] = 1 / (1 + np.exp(-x[positive]))
    e = np.exp(x[~positive])
    y[~positive] = e / (1 + e)
    return y


def sigmoid_backward(dy, y):
    return np.multiply(np.multiply(1 - y, y), dy)
""",
    ("sigmoid", "by tanh"): """
import numpy as np


def sigmoid_forward(x):
    return (np.tanh(x / 2) + 1) / 2


def sigmoid_backward(dy, y):
    t = 2 * y - 1
    return dy * (1 - t * t) / 4
""",
    ("tanh", "exponentials of negative numbers"): """
import numpy as np


def tanh_forward(x):
    e = np.exp(-2 * np.abs(x))
    return np.sign(x) * (1 - e) / (1 + e)


def tanh_backward(dy, y):
    return dy * (1 + y) * (1 - y)
""",
    ("tanh", "the math module, number by number"): """
import math

import numpy as np


def tanh_forward(x):
    return np.array([math.tanh(number) for number in x.flat], x.dtype).reshape(x.shape)


def tanh_backward(dy, y):
    return dy - dy * np.square(y)
""",
    ("unbroadcast", "one axis at a time"): """
import numpy as np


def unbroadcast(dy, shape):
    while dy.ndim > len(shape):
        dy = dy.sum(axis=0)
    for i in range(len(shape)):
        if shape[i] == 1:
            dy = dy.sum(axis=i, keepdims=True)
    return dy
""",
    ("unbroadcast", "shapes of the same length"): """
import numpy as np


def unbroadcast(dy, shape):
    long = (1,) * (dy.ndim - len(shape)) + shape
    return np.reshape(np.sum(dy, axis=tuple(i for i, size in enumerate(long) if dy.shape[i] != size)), shape)
""",
    ("unbroadcast", "number by number"): """
import numpy as np


def unbroadcast(dy, shape):
    total = np.zeros(shape, dy.dtype)
    for place in np.ndindex(*dy.shape):
        own = place[len(place) - len(shape) :]
        total[tuple([0 if size == 1 else i for i, size in zip(own, shape)])] += dy[place]
    return total
""",
    ("toposort", "counting users"): """
def toposort(root):
    users = {root: 0}
    found = [root]
    for node in found:
        for parent in node.parents:
            if parent not in users:
                users[parent] = 0
                found.append(parent)
            users[parent] += 1
    order = []
    ready = [root]
    while ready:
        node = ready.pop()
        order.append(node)
        for parent in node.parents:
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)
    return order
""",
    ("toposort", "a stack of iterators"): """
def toposort(root):
    been, order, stack = {root}, [], [(root, iter(root.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent not in been:
                been.add(parent)
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.insert(0, node)
            stack.pop()
    return order
""",
    ("backward", "an order first"): """
def order_of(root):
    order, been, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in been:
            been.add(node)
            stack.append((node, True))
            for parent in node.parents:
                stack.append((parent, False))
    return reversed(order)


def backward(root, dy):
    root.grad = dy
    for node in order_of(root):
        for parent, share in zip(node.parents, node.backward(node.grad)):
            if parent.grad is None:
                parent.grad = share
            else:
                parent.grad = parent.grad + share
""",
    ("backward", "zeros first"): """
import numpy as np


def backward(root, dy):
    users, found = {}, [root]
    for node in found:
        node.grad = np.zeros_like(dy)
        for parent in node.parents:
            users.setdefault(parent, []).append(node)
            if parent not in found:
                found.append(parent)
    root.grad = root.grad + dy
    waiting = {node: len(users.get(node, [])) for node in found}
    done = [root]
    for node in done:
        shares = node.backward(node.grad)
        for i in range(len(shares)):
            parent = node.parents[i]
            parent.grad = parent.grad + shares[i]
            waiting[parent] -= 1
            if not waiting[parent]:
                done.append(parent)
""",
    ("linear_forward", "loops"): """
import numpy as np


def linear_forward(x, weight, bias):
    N, F = x.shape
    D, F = weight.shape
    y = np.zeros((N, D), x.dtype)
    for n in range(N):
        for d in range(D):
            y[n, d] = bias[d]
            for f in range(F):
                y[n, d] += x[n, f] * weight[d, f]
    return y
""",
    ("linear_forward", "einsum"): """
import numpy as np


def linear_forward(x, weight, bias):
    return np.einsum("nf,df->nd", x, weight) + bias[np.newaxis]
""",
    ("linear_forward", "lists"): """
import numpy as np


def linear_forward(x, weight, bias):
    outputs = list(zip(weight.tolist(), bias.tolist()))
    rows = [[sum(a * b for a, b in zip(row, w)) + c for w, c in outputs] for row in x.tolist()]
    return np.array(rows, dtype=x.dtype)
""",
    ("linear_backward", "loops"): """
import numpy as np


def linear_backward(dy, x, weight):
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros(len(weight), dy.dtype)
    for n in range(x.shape[0]):
        for d in range(weight.shape[0]):
            dbias[d] += dy[n, d]
            for f in range(x.shape[1]):
                dx[n, f] += dy[n, d] * weight[d, f]
                dweight[d, f] += dy[n, d] * x[n, f]
    return dx, dweight, dbias
""",
    ("linear_backward", "einsum"): """
import numpy as np


def linear_backward(dy, x, weight):
    return np.einsum("nd,df->nf", dy, weight), np.einsum("nd,nf->df", dy, x), np.einsum("nd->d", dy)
""",
    ("linear_backward", "outer products"): """
import numpy as np


def linear_backward(dy, x, weight):
    dweight = sum(np.outer(dy[n], x[n]) for n in range(len(x)))
    dx = np.dot(weight.T, dy.T).T
    return dx, dweight, np.ones(len(dy), dy.dtype) @ dy
""",
    ("softmax", "loops over lists"): """
import math

import numpy as np


def softmax_forward(x):
    rows = []
    for row in x.tolist():
        largest = max(row)
        powers = [math.exp(score - largest) for score in row]
        rows.append([power / sum(powers) for power in powers])
    return np.array(rows, dtype=x.dtype)


def softmax_backward(dy, y):
    dx = np.zeros_like(y)
    N, C = y.shape
    for n in range(N):
        for c in range(C):
            for j in range(C):
                slope = y[n, c] * (1 - y[n, c]) if j == c else -y[n, j] * y[n, c]
                dx[n, c] += dy[n, j] * slope
    return dx
""",
    ("softmax", "log-sum-exp, and the matrix of slopes"): """
import numpy as np


def softmax_forward(x):
    log_sum = np.logaddexp.reduce(x, axis=-1, keepdims=True)
    return np.exp(x - log_sum)


def softmax_backward(dy, y):
    return np.stack([(np.diag(p) - np.outer(p, p)) @ g for p, g in zip(y, dy)])
""",
    ("softmax", "einsum"): """
import numpy as np


def softmax_forward(x):
    e = np.exp(x - np.max(x, axis=1)[:, None])
    return np.einsum("nc,n->nc", e, 1 / np.einsum("nc->n", e))


def softmax_backward(dy, y):
    return y * dy - np.einsum("nc,nj,nj->nc", y, dy, y)
""",
    ("softmax", "one largest score for all rows, transposed"): """
import numpy as np


def softmax_forward(x):
    e = np.exp(x - x.max())
    return (e.T / e.T.sum(axis=0)).T


def softmax_backward(dy, y):
    return (y.T * (dy.T - (y * dy).sum(1))).T
""",
    ("cross_entropy", "fancy indexing"): """
import numpy as np


def cross_entropy_forward(scores, labels):
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.mean(-np.log(p[range(len(labels)), labels])), p


def cross_entropy_backward(p, labels):
    dscores = np.array(p)
    dscores[range(len(labels)), labels] -= 1
    dscores /= len(labels)
    return dscores
""",
    ("cross_entropy", "loops over lists"): """
import math

import numpy as np


def cross_entropy_forward(scores, labels):
    loss, rows = 0.0, []
    for row, label in zip(scores.tolist(), labels.tolist()):
        largest = max(row)
        powers = [math.exp(score - largest) for score in row]
        rows.append([power / sum(powers) for power in powers])
        loss -= math.log(rows[-1][label])
    return loss / len(rows), np.array(rows, scores.dtype)


def cross_entropy_backward(p, labels):
    dscores = np.empty_like(p)
    for n, row in enumerate(p):
        for c, probability in enumerate(row):
            dscores[n, c] = (probability - 1 if c == labels[n] else probability) / len(p)
    return dscores
""",
    ("cross_entropy", "one-hot rows and einsum"): """
import numpy as np


def cross_entropy_forward(scores, labels):
    true = np.eye(scores.shape[1], dtype=scores.dtype)[labels]
    e = np.exp(scores - scores.max(1)[:, None])
    p = e / np.einsum("nc->n", e)[:, None]
    return -np.einsum("nc,nc->", true, np.log(p)) / len(p), p


def cross_entropy_backward(p, labels):
    return (p - np.eye(p.shape[1], dtype=p.dtype)[labels]) / p.shape[0]
""",
    ("cross_entropy", "log-sum-exp"): """
import numpy as np


def cross_entropy_forward(scores, labels):
    log_sum = np.logaddexp.reduce(scores, axis=1)
    right = np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
    return (log_sum - right).mean(), np.exp(scores - log_sum[:, None])


def cross_entropy_backward(p, labels):
    is_right = np.arange(p.shape[1]) == labels[:, np.newaxis]
    return np.where(is_right, p - 1, p) / len(labels)
""",
    ("sgd", "out="): """
import numpy as np


def sgd_step(w, dw, velocity, lr, momentum, weight_decay):
    np.add(momentum * velocity, dw + w * weight_decay, out=velocity)
    np.subtract(w, lr * velocity, out=w)
""",
    ("sgd", "number by number"): """
import numpy as np


def sgd_step(w, dw, velocity, lr, momentum, weight_decay):
    for place in np.ndindex(*w.shape):
        velocity[place] = momentum * velocity[place] + dw[place] + weight_decay * w[place]
        w[place] = w[place] - lr * velocity[place]
""",
    ("adam", "slices"): """
import numpy as np


def adam_step(w, dw, m, v, step, lr, beta1, beta2, eps):
    m[...] = beta1 * m + (1 - beta1) * dw
    v[...] = beta2 * v + (1 - beta2) * dw**2
    w[...] = w - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)
""",
    ("adam", "towards the gradient"): """
import numpy as np


def adam_step(w, dw, m, v, step, lr, beta1, beta2, eps):
    m += (dw - m) * (1 - beta1)
    v += (np.square(dw) - v) * (1 - beta2)
    rate = lr / (1 - pow(beta1, step))
    w -= rate * m / ((v / (1 - pow(beta2, step))) ** 0.5 + eps)
""",
}


RIGHT |= {
    ("max_pool_forward", "lists"): """
import numpy as np


def max_pool2d_forward(x, kernel, stride, padding):
    (H, W), (R, S) = x.shape[2:], kernel
    rows = range(-padding, H + padding - R + 1, stride)
    columns = range(-padding, W + padding - S + 1, stride)

    def best(plane, top, left):
        pixels = [
            (-plane[top + r][left + s], r * S + s)
            for r in range(R)
            for s in range(S)
            if 0 <= top + r < H and 0 <= left + s < W
        ]
        return min(pixels)  # of equal pixels the one with the smaller number

    found = [[[[best(plane, i, j) for j in columns] for i in rows] for plane in image] for image in x.tolist()]
    both = np.array(found).reshape(*x.shape[:2], len(rows), len(columns), 2)
    return -both[..., 0].astype(x.dtype), both[..., 1].astype(int)
""",
    ("max_pool_forward", "sliding_window_view"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def max_pool2d_forward(x, kernel, stride, padding):
    around = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), around, around), constant_values=np.finfo(x.dtype).min)
    windows = sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows.reshape(*windows.shape[:4], -1)
    index = windows.argmax(axis=-1)
    return np.take_along_axis(windows, index[..., None], axis=-1)[..., 0], index
""",
    ("max_pool_forward", "one place of the window after the other"): """
import numpy as np


def max_pool2d_forward(x, kernel, stride, padding):
    N, C, H, W = x.shape
    R, S = kernel
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    padded = np.full((N, C, H + 2 * padding, W + 2 * padding), -np.inf, x.dtype)
    padded[:, :, padding : padding + H, padding : padding + W] = x
    y, index = padded[:, :, : P * stride : stride, : Q * stride : stride].copy(), np.zeros((N, C, P, Q), int)
    for number in range(1, R * S):
        r, s = number // S, number % S
        seen = padded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
        index[seen > y] = number
        y = np.maximum(y, seen)
    return y, index
""",
    ("max_pool_forward", "single pixels"): """
import numpy as np


def max_pool2d_forward(x, kernel, stride, padding):
    N, C, H, W = x.shape
    R, S = kernel
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    y = np.full((N, C, P, Q), float("-inf"), dtype=x.dtype)
    index = np.full(y.shape, -1)
    for n, c, p, q in np.ndindex(y.shape):
        for r in range(R):
            for s in range(S):
                i, j = p * stride + r - padding, q * stride + s - padding
                if 0 <= i < H and 0 <= j < W and x[n, c, i, j] > y[n, c, p, q]:
                    y[n, c, p, q] = x[n, c, i, j]
                    index[n, c, p, q] = r * S + s
    return y, index
""",
    ("max_pool_backward", "one place of the window after the other"): """
import numpy as np


def scatter(dy, index, shape, kernel, stride, padding):
    (N, C, H, W), (P, Q), S = shape, dy.shape[2:], kernel[1]
    dpadded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dy.dtype)
    for number in range(kernel[0] * S):
        r, s = divmod(number, S)
        seen = dpadded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
        seen += dy * (index == number)
    return dpadded[:, :, padding : padding + H, padding : padding + W]


def max_pool2d_backward(dy, index, x_shape, kernel, stride, padding):
    return scatter(dy, index, x_shape, kernel, stride, padding)


def max_pool2d_backward_from_x(dy, x, kernel, stride, padding):
    (P, Q), (R, S) = dy.shape[2:], kernel
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    seen = [
        padded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride] for r in range(R) for s in range(S)
    ]
    return scatter(dy, np.argmax(seen, axis=0), x.shape, kernel, stride, padding)
""",
    ("max_pool_backward", "np.add.at"): """
import numpy as np


def max_pool2d_backward(dy, index, x_shape, kernel, stride, padding):
    dx = np.zeros(x_shape, dy.dtype)
    n, c, p, q = np.indices(dy.shape)
    rows = p * stride - padding + index // kernel[1]
    columns = q * stride - padding + index % kernel[1]
    np.add.at(dx, (n, c, rows, columns), dy)
    return dx


def max_pool2d_backward_from_x(dy, x, kernel, stride, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    index = windows.reshape(*dy.shape, -1).argmax(axis=-1)
    return max_pool2d_backward(dy, index, x.shape, kernel, stride, padding)
""",
    ("max_pool_backward", "a mask of the first maximum"): """
import numpy as np


def max_pool2d_backward(dy, index, x_shape, kernel, stride, padding):
    N, C, H, W = x_shape
    R, S = kernel
    whole = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=dy.dtype)
    chosen = np.eye(R * S, dtype=dy.dtype)[index].reshape(*dy.shape, R, S)
    for p in range(dy.shape[2]):
        for q in range(dy.shape[3]):
            i, j = p * stride, q * stride
            whole[:, :, i : i + R, j : j + S] += chosen[:, :, p, q] * dy[:, :, p, q, None, None]
    return whole[:, :, padding:, padding:][:, :, :H, :W]


def max_pool2d_backward_from_x(dy, x, kernel, stride, padding):
    H, W = x.shape[2:]
    dx = np.zeros(x.shape, dy.dtype)
    for n, c, p, q in np.ndindex(*dy.shape):
        best = None
        for i in range(p * stride - padding, p * stride - padding + kernel[0]):
            for j in range(q * stride - padding, q * stride - padding + kernel[1]):
                if 0 <= i < H and 0 <= j < W and (best is None or x[n, c, i, j] > x[n, c, *best]):
                    best = i, j
        dx[n, c, *best] += dy[n, c, p, q]
    return dx
""",
    ("avg_pool", "sliding_window_view"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x, kernel, stride, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride, ::stride]


def divisor(H, W, kernel, stride, padding, count_include_pad):
    if count_include_pad:
        return kernel[0] * kernel[1]
    return windows(np.ones((1, 1, H, W)), kernel, stride, padding).sum(axis=(-1, -2))


def avg_pool2d_forward(x, kernel, stride, padding, count_include_pad):
    total = np.einsum("ncpqrs->ncpq", windows(x, kernel, stride, padding))
    return (total / divisor(*x.shape[2:], kernel, stride, padding, count_include_pad)).astype(x.dtype)


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, count_include_pad):
    N, C, H, W = x_shape
    P, Q = dy.shape[2:]
    share = dy / divisor(H, W, kernel, stride, padding, count_include_pad)
    dpadded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=dy.dtype)
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            dpadded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride] += share
    return dpadded[:, :, padding : H + padding, padding : W + padding]
""",
    ("avg_pool", "cut at the image's edges"): """
import numpy as np


def cut(i, size, window, stride, padding):
    begin = i * stride - padding
    return slice(max(begin, 0), min(begin + window, size))


def avg_pool2d_forward(x, kernel, stride, padding, count_include_pad):
    N, C, H, W = x.shape
    P, Q = ((n + 2 * padding - k) // stride + 1 for n, k in zip((H, W), kernel))
    y = np.empty((N, C, P, Q), x.dtype)
    for p in range(P):
        for q in range(Q):
            window = x[:, :, cut(p, H, kernel[0], stride, padding), cut(q, W, kernel[1], stride, padding)]
            n = np.prod(kernel) if count_include_pad else window[0, 0].size
            y[:, :, p, q] = window.sum((2, 3)) / n
    return y


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, count_include_pad):
    dx = np.zeros(x_shape, dy.dtype)
    for n, c, p, q in np.ndindex(dy.shape):
        window = dx[
            n, c, cut(p, x_shape[2], kernel[0], stride, padding), cut(q, x_shape[3], kernel[1], stride, padding)
        ]
        window += dy[n, c, p, q] / (kernel[0] * kernel[1] if count_include_pad else window.size)
    return dx
""",
    ("l2_pool", "norms, and zeros for NaN"): """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def l2_pool2d_forward(x, kernel, stride):
    return np.linalg.norm(sliding_window_view(x, kernel, axis=(2, 3))[:, :, ::stride, ::stride], axis=(-2, -1))


def l2_pool2d_backward(dy, x, y, kernel, stride):
    P, Q = dy.shape[2:]
    with np.errstate(all="ignore"):
        slope = np.nan_to_num(dy / y, posinf=0.0, neginf=0.0)
    dx = np.zeros(x.shape, x.dtype)
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            seen = np.s_[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
            dx[seen] += slope * x[seen]
    return dx
""",
    ("l2_pool", "single pixels"): """
import math

import numpy as np


def l2_pool2d_forward(x, kernel, stride):
    N, C, H, W = x.shape
    y = np.zeros((N, C, (H - kernel[0]) // stride + 1, (W - kernel[1]) // stride + 1), x.dtype)
    for n, c, p, q in np.ndindex(y.shape):
        i, j = p * stride, q * stride
        y[n, c, p, q] = math.hypot(*x[n, c, i : i + kernel[0], j : j + kernel[1]].ravel().tolist())
    return y


def l2_pool2d_backward(dy, x, y, kernel, stride):
    dx = x * 0
    for n, c, p, q in np.ndindex(y.shape):
        if y[n, c, p, q] > 0:
            for r in range(kernel[0]):
                for s in range(kernel[1]):
                    i, j = p * stride + r, q * stride + s
                    dx[n, c, i, j] += dy[n, c, p, q] * x[n, c, i, j] / y[n, c, p, q]
    return dx
""",
    ("batch_norm_forward", "channel by channel"): """
import numpy as np


def batch_norm_forward(x, weight, bias, running_mean, running_var, training, momentum, eps):
    y, means, variances = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(weight)
    for c in range(x.shape[1]):
        numbers = x[:, c].ravel()
        if training:
            means[c] = sum(numbers.tolist()) / len(numbers)
            variances[c] = sum((v - means[c]) ** 2 for v in numbers) / len(numbers)
            unbiased = variances[c] * len(numbers) / (len(numbers) - 1)
            running_mean[c] += momentum * (means[c] - running_mean[c])
            running_var[c] += momentum * (unbiased - running_var[c])
        else:
            means[c], variances[c] = running_mean[c], running_var[c]
        y[:, c] = (x[:, c] - means[c]) * weight[c] / (variances[c] + eps) ** 0.5 + bias[c]
    return y, means, variances
""",
    ("batch_norm_forward", "axes kept"): """
import numpy as np


def batch_norm_forward(x, weight, bias, running_mean, running_var, training, momentum, eps):
    if training:
        mean = np.mean(x, axis=(0, 2, 3), keepdims=True)
        var = np.var(x, axis=(0, 2, 3), keepdims=True)
        running_mean *= 1 - momentum
        running_mean += momentum * mean.ravel()
        running_var *= 1 - momentum
        running_var += momentum * np.var(x, axis=(0, 2, 3), ddof=1)
    else:
        mean = running_mean[None, :, None, None]
        var = running_var[None, :, None, None]
    y = weight[:, None, None] * ((x - mean) / np.sqrt(var + eps)) + bias[:, None, None]
    return y, mean.squeeze((0, 2, 3)), var.squeeze((0, 2, 3))
""",
    ("batch_norm_forward", "einsum"): """
import numpy as np


def batch_norm_forward(x, weight, bias, running_mean, running_var, training, momentum, eps):
    m = x.size // x.shape[1]
    mean, var = running_mean, running_var
    if training:
        mean = np.einsum("nchw->c", x) / m
        centred = x - mean.reshape(-1, 1, 1)
        var = np.einsum("nchw,nchw->c", centred, centred) / m
        running_mean[...] = running_mean + momentum * (mean - running_mean)
        running_var[...] = running_var + momentum * (var * (m / (m - 1)) - running_var)
    scale = weight / np.sqrt(var + eps)
    shift = bias - mean * scale
    return np.einsum("nchw,c->nchw", x, scale) + shift[:, None, None], mean, var
""",
    ("batch_norm_forward", "channels last"): """
import numpy as np


def batch_norm_forward(x, weight, bias, running_mean, running_var, training, momentum, eps):
    rows = np.moveaxis(x, 1, -1)
    flat = rows.reshape(-1, x.shape[1])
    mean, var = (flat.mean(0), flat.var(0)) if training else (running_mean.copy(), running_var.copy())
    if training:
        np.copyto(running_mean, momentum * mean + (1 - momentum) * running_mean)
        np.copyto(running_var, momentum * flat.var(0, ddof=1) + (1 - momentum) * running_var)
    y = (flat - mean) / np.sqrt(var + eps) * weight + bias
    return np.moveaxis(y.reshape(rows.shape), -1, 1), mean, var
""",
    ("batch_norm_backward", "every step by itself"): """
import numpy as np


def batch_norm_backward(dy, x, weight, mean, var, eps):
    N, C, H, W = x.shape
    m, axes = N * H * W, (0, 2, 3)

    def spread(channels):
        return channels.reshape(1, C, 1, 1)

    centred = x - spread(mean)
    inverse = 1 / np.sqrt(var + eps)
    dbias = dy.sum(axes)
    dweight = (dy * centred * spread(inverse)).sum(axes)
    dnormalised = dy * spread(weight)
    dinverse = (dnormalised * centred).sum(axes)
    dvar = dinverse * -0.5 * inverse**3
    dcentred = dnormalised * spread(inverse) + spread(dvar) * 2 * centred / m
    dmean = -dcentred.sum(axes)
    return dcentred + spread(dmean) / m, dweight, dbias
""",
    ("batch_norm_backward", "one formula"): """
import numpy as np


def batch_norm_backward(dy, x, weight, mean, var, eps):
    m = x.size / x.shape[1]
    c = np.s_[None, :, None, None]
    std = np.sqrt(var + eps)
    hat = (x - mean[c]) / std[c]
    dweight = np.einsum("nchw,nchw->c", dy, hat)
    dbias = np.einsum("nchw->c", dy)
    dx = (weight / std)[c] * (dy - (dbias[c] + hat * dweight[c]) / m)
    return dx.astype(x.dtype), dweight, dbias
""",
    ("batch_norm_backward", "channel by channel"): """
import numpy as np


def batch_norm_backward(dy, x, weight, mean, var, eps):
    dx, dweight, dbias = np.empty_like(x), np.empty_like(weight), np.empty_like(weight)
    for c in range(len(weight)):
        d, hat = dy[:, c], (x[:, c] - mean[c]) / (var[c] + eps) ** 0.5
        dweight[c], dbias[c] = np.vdot(d, hat), d.sum()
        dx[:, c] = weight[c] / (var[c] + eps) ** 0.5 * (d - d.mean() - hat * (d * hat).mean())
    return dx, dweight, dbias
""",
    ("dropout", "np.where"): """
import numpy as np


def dropout_forward(x, p, training, random):
    keep = np.where(training, random, 1.0) >= p
    scale = 1 / (1 - p) if training else 1.0
    return np.where(keep, x * scale, 0.0).astype(x.dtype), keep


def dropout_backward(dy, keep, p):
    dx = dy.copy() / (1 - p)
    dx[~keep] = 0
    return dx
""",
    ("dropout", "number by number"): """
import numpy as np


def dropout_forward(x, p, training, random):
    y, keep = x.copy(), np.ones_like(x, dtype=bool)
    if training:
        for place in np.ndindex(*x.shape):
            if random[place] < p:
                y[place], keep[place] = 0, False
            else:
                y[place] /= 1 - p
    return y, keep


def dropout_backward(dy, keep, p):
    return np.array([d / (1 - p) if k else 0 for d, k in zip(dy.flat, keep.flat)], dy.dtype).reshape(dy.shape)
""",
    ("lrn", "a matrix of neighbours"): """
import numpy as np


def neighbours(C, size):
    c, j = np.indices((C, C))
    return ((c - size // 2 <= j) & (j <= c + (size - 1) // 2)).astype("float32")


def local_response_norm_forward(x, size, alpha, beta, k):
    t = k + alpha / size * np.einsum("cj,njhw->nchw", neighbours(x.shape[1], size), x * x)
    return (x * t ** (-beta)).astype(x.dtype)


def local_response_norm_backward(dy, x, size, alpha, beta, k):
    near = neighbours(x.shape[1], size)
    t = k + alpha / size * np.einsum("cj,njhw->nchw", near, x * x)
    back = np.einsum("cj,nchw->njhw", near, dy * x * t ** (-beta - 1))
    return (dy * t**-beta - 2 * alpha * beta / size * x * back).astype(x.dtype)
""",
    ("lrn", "shifted and added"): """
import numpy as np


def sums(values, before, behind):
    C = values.shape[1]
    padded = np.pad(values, ((0, 0), (before, behind), (0, 0), (0, 0)))
    return sum(padded[:, i : i + C] for i in range(before + behind + 1))


def local_response_norm_forward(x, size, alpha, beta, k):
    return x / (alpha * sums(np.square(x), size // 2, (size - 1) // 2) / size + k) ** beta


def local_response_norm_backward(dy, x, size, alpha, beta, k):
    t = alpha * sums(np.square(x), size // 2, (size - 1) // 2) / size + k
    direct = dy / t**beta
    return direct - x * sums(direct * x / t, (size - 1) // 2, size // 2) * 2 * alpha * beta / size
""",
    ("lenet5", "functions for what has no parameters"): """
import numpy as np
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return F.relu(F.max_pool2d(self.conv2(x), 2))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.classifier = Features(), Classifier()

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.reshape(x.shape[0], -1))
""",
    ("lenet5", "layers added one by one"): """
from tinygrad_cnn import nn


class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features, self.classifier = nn.Sequential(), nn.Sequential()
        for i, (inputs, outputs, padding) in enumerate([(1, 6, 2), (6, 16, 0)], start=1):
            self.features.add_module(f"conv{i}", nn.Conv2d(inputs, outputs, (5, 5), padding=padding))
            self.features.add_module(f"activation{i}", nn.ReLU())
            self.features.add_module(f"pool{i}", nn.MaxPool2d(2, stride=2))
        self.classifier.add_module("flatten", nn.Flatten())
        sizes = [400, 120, 84, classes]
        for i in range(3):
            if i:
                self.classifier.add_module(f"activation{i}", nn.ReLU())
            self.classifier.add_module(f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, images):
        return self.classifier(self.features(images))
""",
}

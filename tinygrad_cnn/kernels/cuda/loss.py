"""Cross-entropy: a thread for each sample goes over its classes."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.cuda.activations import HIGHEST_AND_SUM, MOST_IN_A_ROW
from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.cuda.layout import in_one_piece
from tinygrad_cnn.kernels.table import kernel

Array = Any

class_targets = Each(
    "raw S target, int32 classes, int64 ignored, T right, T wrong", "T q",
    """
    long long target_class = target[i / classes];
    T share = target_class == i % classes ? right : wrong;
    bool exists = 0 <= target_class && target_class < classes;
    q = target_class == ignored ? T(0) : exists ? share : T(nan(""))
    """,
    name="class_targets",
)  # fmt: skip
cross_entropy_forward = Each(
    "raw T x, raw T target, int32 size", "raw T loss, raw T log_probabilities",
    HIGHEST_AND_SUM + """
    T total = 0;
    for (int j = 0; j < size; j++) {
        T log_p = x[i * size + j] - highest - log(sum), q = target[i * size + j];
        log_probabilities[i * size + j] = log_p;
        if (q != 0) total -= q * log_p;  // 0·(−∞) is nothing here
    }
    loss[i] = total
    """,
    name="cross_entropy_forward",
)  # fmt: skip
cross_entropy_backward = Each(
    "raw T dy, raw T log_probabilities, raw T target, int32 classes", "raw T dlogits",
    """
    T sum = 0;
    for (int c = 0; c < classes; c++) sum += target[i * classes + c];
    for (int c = 0; c < classes; c++) {
        int at = i * classes + c;
        dlogits[at] = (exp(log_probabilities[at]) * sum - target[at]) * dy[i];
    }
    """,
    name="cross_entropy_backward",
)  # fmt: skip


def _rows(*arrays: Array) -> bool:
    """Whether they are short rows, (N, C): images of classes and a thousand of them are left to `reference/`."""
    return taken(*arrays) and all(a.ndim == 2 and 0 < a.shape[1] <= MOST_IN_A_ROW for a in arrays)


@kernel("class_targets", backend="cuda")
def _(
    target: Array, classes: int, weight: Array | None, ignore_index: int, label_smoothing: float, dtype: Any
) -> Array:
    if target.ndim != 1 or weight is not None or dtype not in ("float32", "float64"):
        return NotImplemented
    q = namespace(target).empty((len(target), classes), dtype)
    wrong = label_smoothing / classes
    return class_targets(in_one_piece(target), classes, ignore_index, 1 - label_smoothing + wrong, wrong, q)


@kernel("cross_entropy_forward", backend="cuda")
def _(logits: Array, target: Array) -> tuple[Array, Array]:
    if not _rows(logits, target):
        return NotImplemented
    xp, (N, classes) = namespace(logits), logits.shape
    results = xp.empty((N,), logits.dtype), xp.empty(logits.shape, logits.dtype)
    cross_entropy_forward(in_one_piece(logits), in_one_piece(target), classes, *results, size=N)
    return results


@kernel("cross_entropy_backward", backend="cuda")
def _(dy: Array, log_probabilities: Array, target: Array) -> Array:
    if not _rows(log_probabilities, target) or not taken(dy, target):
        return NotImplemented
    N, classes = target.shape
    dlogits = namespace(dy).empty(target.shape, dy.dtype)
    arrays = (in_one_piece(a) for a in (dy, log_probabilities, target))
    cross_entropy_backward(*arrays, classes, dlogits, size=N)
    return dlogits

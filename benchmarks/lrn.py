"""Local response normalisation against max pooling, side by side: it should cost no more than a pooling layer.

python -m benchmarks.lrn
"""

from __future__ import annotations

import statistics
import time

import numpy as np

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn.kernels.threads import get_num_threads

#: (N, C, H, W): behind conv1 and conv2 of AlexNet, and of its scaled form on 32×32 images
SHAPES = ((32, 96, 27, 27), (32, 256, 13, 13), (64, 64, 32, 32))
ROUNDS = 30


def milliseconds(function, x: tcnn.Tensor, dy: tcnn.Tensor) -> float:
    """One forward and backward pass; dy is a tensor, since backward would copy an array first."""
    start = time.perf_counter()
    function(x).backward(dy)
    x.zero_grad()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Print the median of alternating runs, and the ratio."""
    layers = {"lrn": lambda x: F.local_response_norm(x, 5), "max pool": lambda x: F.max_pool2d(x, 3, 2)}
    print(
        f"forward + backward, float32, {get_num_threads()} threads, NumPy {np.__version__}, median of {ROUNDS} turns\n"
    )
    print(f"{'x':20}{'LRN(5), ms':>12}{'max pool(3, 2), ms':>20}{'ratio':>8}")
    draw = np.random.default_rng(0)
    for shape in SHAPES:
        x = tcnn.tensor(draw.normal(size=shape).astype(np.float32), requires_grad=True)
        cotangents = {
            name: tcnn.tensor(draw.normal(size=layer(x).shape).astype("f4")) for name, layer in layers.items()
        }
        times: dict[str, list[float]] = {name: [] for name in layers}
        for _ in range(ROUNDS):
            for name, layer in layers.items():
                times[name].append(milliseconds(layer, x, cotangents[name]))
        lrn, pool = (statistics.median(times[name]) for name in layers)
        print(f"{'×'.join(map(str, shape)):20}{lrn:12.1f}{pool:20.1f}{lrn / pool:8.2f}")


if __name__ == "__main__":
    main()

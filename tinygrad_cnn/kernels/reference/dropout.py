"""Dropout, and which elements it keeps: a random number per element, computed from its place."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import get, kernel

Array = Any


@kernel("dropout_forward")
@kernel("dropout_backward")
def thin(x: Array, p: float, seed: int, offset: int) -> Array:
    """`y = x·keep/(1 − p)`, and `dx = dy·keep/(1 − p)` with the same elements kept."""
    if p == 1:
        return x * 0
    return x * get("dropout_keep")(x, p, seed, offset) * (1 / (1 - p))


@kernel("dropout_keep")
def dropout_keep(x: Array, p: float, seed: int, offset: int) -> Array:
    """Which elements of x survive: element i is kept where its random 32-bit number is at least p·2³².

    The numbers are Philox4x64-10: ten rounds mix a counter, here (block, 0, offset, 0), with the key (seed, 0). Each
    block gives four 64-bit words, that is eight elements. Any element can be computed alone, on any device.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.2.
    """
    xp = namespace(x)
    u64 = xp.uint64
    blocks = -(-x.size // 8)
    c0 = xp.arange(1, blocks + 1, dtype=u64)  # NumPy's Philox counts before it draws
    c1, c2, c3 = xp.zeros_like(c0), xp.full_like(c0, offset), xp.zeros_like(c0)
    k0, k1 = seed, 0
    for _ in range(10):
        high0, low0 = _multiply_wide(xp, c0, 0xD2E7470EE14C6C93)
        high2, low2 = _multiply_wide(xp, c2, 0xCA5A826395121157)
        c0, c1, c2, c3 = high2 ^ c1 ^ u64(k0), low2, high0 ^ c3 ^ u64(k1), low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
    words = xp.stack([c0, c1, c2, c3], axis=1).reshape(-1)
    halves = xp.stack([words & u64(0xFFFFFFFF), words >> u64(32)], axis=1).reshape(-1)[: x.size]
    return (halves >= u64(min(round(p * 2**32), 2**32))).reshape(x.shape)


def _multiply_wide(xp: Any, a: Array, b: int) -> tuple[Array, Array]:
    """a·b as 128 bits, the high and the low 64, by long multiplication with 32-bit digits."""
    u64, mask, half = xp.uint64, xp.uint64(0xFFFFFFFF), xp.uint64(32)
    b0, b1 = u64(b & 0xFFFFFFFF), u64(b >> 32)
    a0, a1 = a & mask, a >> half
    low, cross, other = a0 * b0, a1 * b0, a0 * b1
    carry = ((low >> half) + (cross & mask) + (other & mask)) >> half
    return a1 * b1 + (cross >> half) + (other >> half) + carry, a * u64(b)

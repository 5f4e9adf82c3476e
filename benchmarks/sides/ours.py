"""This package."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from benchmarks.sides.task import Case
from benchmarks.sides.torchlike import Torchlike, tuples
from tinygrad_cnn import models, nn, optim


def model(case: Case) -> Any:
    """The network as this package's users make it."""
    name, options = case["model"]
    return models.create(name, **tuples(options))


task = Torchlike(tcnn, nn, F, optim, tcnn.set_num_threads, model).task


def describe() -> dict[str, Any]:
    """Versions, threads and the library that multiplies NumPy's matrices."""
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # so that it is loaded
    blas: dict[str, Any] = next((library for library in threadpool_info() if library["user_api"] == "blas"), {})
    return {
        "versions": {"tinygrad_cnn": tcnn.__version__, "numpy": np.__version__},
        "threads": tcnn.get_num_threads(),
        "blas": f"{blas.get('internal_api', 'unknown')} {blas.get('version') or ''}".strip(),
        "core": blas.get("architecture") or "",
    }

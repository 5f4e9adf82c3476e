"""PyTorch, eager, with its default settings."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn, optim

from benchmarks.sides.torchlike import Torchlike

task = Torchlike(torch, nn, F, optim, torch.set_num_threads).task


def describe() -> dict[str, Any]:
    """Versions and threads."""
    return {"versions": {"torch": torch.__version__}, "threads": torch.get_num_threads()}

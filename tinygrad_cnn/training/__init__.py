"""Training: the five-line loop, and everything around it.

| file | what it holds |
|---|---|
| `loop.py` | `train_step` (the five lines), `evaluate`, `loss_of` a model |
| `fitting.py`, `epochs.py` | `fit`: epochs, validation, history, checkpoints, resuming |
| `finite.py` | NaN and infinity: noticed, and what helps |
| `timing.py` | when a checkpoint is due, when a schedule steps, how fast it goes |
| `metrics.py` | `accuracy`, `top_k_accuracy`, `confusion_matrix`, your own |
| `history.py` | `History`: a record of each epoch, as JSON too |
| `callbacks.py`, `progress.py` | `Callback`, `EarlyStopping`, `ProgressBar` |
| `checkpoint.py` | what a checkpoint holds; `trees.py`: how states become JSON and arrays |
| `storage.py` | how files reach the disk whole, and how damage is noticed |
| `weights.py` | a model's weights as one file |
| `signals.py` | Ctrl-C and SIGTERM between batches |
"""

from tinygrad_cnn.training import checkpoint
from tinygrad_cnn.training.callbacks import Callback, EarlyStopping, Run
from tinygrad_cnn.training.checkpoint import CheckpointError
from tinygrad_cnn.training.finite import NonFiniteError
from tinygrad_cnn.training.fitting import fit
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loop import Evaluation, evaluate, loss_of, train_step
from tinygrad_cnn.training.metrics import accuracy, confusion_matrix, top_k_accuracy
from tinygrad_cnn.training.progress import ProgressBar
from tinygrad_cnn.training.signals import Interrupted
from tinygrad_cnn.training.weights import load_weights, save_weights

__all__ = [
    "Callback",
    "CheckpointError",
    "EarlyStopping",
    "Evaluation",
    "History",
    "Interrupted",
    "NonFiniteError",
    "ProgressBar",
    "Run",
    "accuracy",
    "checkpoint",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load_weights",
    "loss_of",
    "save_weights",
    "top_k_accuracy",
    "train_step",
]

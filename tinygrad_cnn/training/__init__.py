"""Training: the five-line loop, and everything around it.

| file | what it holds |
|---|---|
| `loop.py` | `train_step` (the five lines), `evaluate`, `loss_of` a model |
| `fitting.py`, `epochs.py` | `fit`: epochs, validation, history, checkpoints, resuming |
| `finite.py` | NaN and infinity: noticed, and what helps |
| `timing.py` | when a checkpoint is due, when a schedule steps, how fast it goes, how often to look |
| `metrics.py` | `accuracy`, `top_k_accuracy`, `confusion_matrix`, your own |
| `history.py` | `History`: a record of each epoch, as JSON too |
| `callbacks.py`, `progress.py` | `Callback` and the `Run` it sees, `EarlyStopping`, `ProgressBar` |
| `tensorboard.py` | `TensorBoard`: a log for that program |
| `histograms.py` | `LayerHistograms`, `layer_histograms`: how activations, gradients and weights are distributed |
| `checkpoint.py` | what a checkpoint holds; `trees.py`: how states become JSON and arrays |
| `storage.py` | how files reach the disk whole, and how damage is noticed |
| `weights.py` | a model's weights as one file |
| `signals.py` | Ctrl-C and SIGTERM between batches |
"""

from tinygrad_cnn.training import checkpoint
from tinygrad_cnn.training.callbacks import Batch, Callback, EarlyStopping, Run
from tinygrad_cnn.training.checkpoint import CheckpointError
from tinygrad_cnn.training.finite import NonFiniteError
from tinygrad_cnn.training.fitting import fit
from tinygrad_cnn.training.histograms import Histogram, LayerHistograms, layer_histograms
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loop import Evaluation, evaluate, loss_of, train_step
from tinygrad_cnn.training.metrics import accuracy, confusion_matrix, top_k_accuracy
from tinygrad_cnn.training.progress import ProgressBar
from tinygrad_cnn.training.signals import Interrupted
from tinygrad_cnn.training.tensorboard import TensorBoard
from tinygrad_cnn.training.weights import load_weights, save_weights

__all__ = [
    "Batch",
    "Callback",
    "CheckpointError",
    "EarlyStopping",
    "Evaluation",
    "Histogram",
    "History",
    "Interrupted",
    "LayerHistograms",
    "NonFiniteError",
    "ProgressBar",
    "Run",
    "TensorBoard",
    "accuracy",
    "checkpoint",
    "confusion_matrix",
    "evaluate",
    "fit",
    "layer_histograms",
    "load_weights",
    "loss_of",
    "save_weights",
    "top_k_accuracy",
    "train_step",
]

"""The command line: `tinygrad-cnn train lenet5`, and looking at what came out.

| file | what it holds |
|---|---|
| `app.py` | the program with its options, and how it starts |
| `blas.py` | the command's matrix products as fast as they can be |
| `console.py` | printing that survives every terminal, and errors as one readable message |
| `recipes.py` | how each network is trained on each data set |
| `networks.py` | a network from its name, variant and width |
| `runs.py` | run directories: made, found, read |
| `train.py` | `train` |
| `pictures.py` | what a finished run leaves: figures, graph, page |
| `watch.py` | how a training is watched: a line, curves, a page, a log for TensorBoard |
| `measure.py` | `evaluate`, `predict` |
| `images.py` | any picture as the network's input |
| `describe.py` | `summary`, `graph`, `recipes` |
| `animate.py` | `animate` |
| `doctor.py` | `doctor` |

Commands import what they need when they run, so that `--help` is there at once.
"""

from tinygrad_cnn.cli.app import app, main

__all__ = ["app", "main"]

"""Training as it happens, in a browser and in a terminal.

| file | what it holds |
|---|---|
| `web.py` | `Dashboard`: the page's contents, and what its buttons do |
| `server.py` | who may see it: an HTTP server for this machine only |
| `terminal.py` | `TerminalDashboard` |
| `charts.py` | curves and pictures made of characters |
| `memory.py` | what both remember: curves, epochs, classes |
| `look.py` | what both see: filters, activations, predictions, sizes of weights and gradients |
"""

from tinygrad_cnn.viz.dashboard.terminal import TerminalDashboard
from tinygrad_cnn.viz.dashboard.web import Dashboard

__all__ = ["Dashboard", "TerminalDashboard"]

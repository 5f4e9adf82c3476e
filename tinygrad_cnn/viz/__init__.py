"""Pictures: the graph of a computation, and figures of a training run.

- `graph(loss, params=model)`: the operations that made a tensor, as SVG, PNG, PDF or DOT (`walk.py` reads the
  nodes, `dot.py` describes the drawing, `render.py` asks Graphviz for it).
- `plot`: learning curves, confusion matrix, filters, misclassified images (`plot.py`, needs matplotlib).
"""

from tinygrad_cnn.viz import plot
from tinygrad_cnn.viz.graphs import Graph, graph
from tinygrad_cnn.viz.render import RenderError
from tinygrad_cnn.viz.walk import Arrow, Box

__all__ = ["Arrow", "Box", "Graph", "RenderError", "graph", "plot"]

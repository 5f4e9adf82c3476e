"""Pictures: the graph of a computation, a recording of backpropagation, layers at work, figures of a training run.

- `graph(loss, params=model)`: the operations that made a tensor, with values and gradients, as SVG, PNG, PDF, DOT or a
  page; `.step()` goes back through it one node at a time. (`walk.py` reads the nodes, `modules.py` folds them into
  modules, `dot.py` describes the drawing, `render.py` asks Graphviz for it, `stepping.py` steps.)
- `with record() as tape:` records a forward and a backward pass (`tape.py`); `tape.to_html("backprop.html")` shows it
  again, event by event (`replay.py`), with the formula of every operation (`formulas.py`).
- `why(tensor, index)`: why this number of the gradient is what it is: the paths that contribute to it (`paths.py` finds
  them, `answers.py` writes them down).
- `animate(layer, x)`: a convolution or pooling at work, forward and backward, as frames, page or GIF (`animation/`).
- `plot`: figures of networks and their training (needs matplotlib). Some have their numbers beside: `attribution`
  (saliency, Grad-CAM, occlusion) and `receptive` (what a unit sees); `inputs.py` is how they look without touching.
- `show(picture, alt)`: any of these in a notebook or from a script, with the words that stand for it (`show.py`).
- `Dashboard`, `TerminalDashboard`: callbacks of `fit` that show training while it runs (`dashboard/`).
"""

from tinygrad_cnn.viz import attribution, plot, receptive
from tinygrad_cnn.viz.animation import Animation, animate
from tinygrad_cnn.viz.answers import Why
from tinygrad_cnn.viz.dashboard import Dashboard, TerminalDashboard
from tinygrad_cnn.viz.formulas import Formula, formula
from tinygrad_cnn.viz.graphs import Graph, View, graph
from tinygrad_cnn.viz.numbers import Numbers
from tinygrad_cnn.viz.render import RenderError
from tinygrad_cnn.viz.show import show
from tinygrad_cnn.viz.stepping import Step
from tinygrad_cnn.viz.tape import Event, Record, Tape, record
from tinygrad_cnn.viz.walk import Arrow, Box
from tinygrad_cnn.viz.why import why

__all__ = [
    "Animation",
    "Arrow",
    "Box",
    "Dashboard",
    "Event",
    "Formula",
    "Graph",
    "Numbers",
    "Record",
    "RenderError",
    "Step",
    "Tape",
    "TerminalDashboard",
    "View",
    "Why",
    "animate",
    "attribution",
    "formula",
    "graph",
    "plot",
    "receptive",
    "record",
    "show",
    "why",
]

"""Figures of networks and their training: each function returns a matplotlib Figure and shows nothing by itself.

In a notebook the figure appears when it is the last line of a cell; elsewhere `figure.savefig("name.png")`. Nothing
that is drawn changes a model: its modes, hooks, gradients and the random numbers are as before.

| file | what it draws |
|---|---|
| `curves.py` | `learning_curves`: loss and metrics of one run or several |
| `predictions.py` | `confusion_matrix`; `misclassified` images |
| `weights.py`, `maps.py` | `filters` of a convolution; `feature_maps` behind any layer |
| `distributions.py` | `histograms` of activations, gradients and weights, in each layer, over the training |
| `attributions.py` | `saliency`, `grad_cam`, `occlusion`: what made a network decide (numbers: `viz.attribution`) |
| `similar.py` | `neighbours` in the feature space of a layer |
| `fields.py` | `receptive_field`: what a unit sees of the image (numbers: `viz.receptive`) |
| `regions.py` | `decision_boundary` of a network for points in the plane |
| `style.py` | sizes, colours, pictures side by side |
"""

from tinygrad_cnn.viz.plot import style
from tinygrad_cnn.viz.plot.attributions import grad_cam, occlusion, saliency
from tinygrad_cnn.viz.plot.curves import learning_curves
from tinygrad_cnn.viz.plot.distributions import histograms
from tinygrad_cnn.viz.plot.fields import receptive_field
from tinygrad_cnn.viz.plot.maps import feature_maps
from tinygrad_cnn.viz.plot.predictions import confusion_matrix, misclassified
from tinygrad_cnn.viz.plot.regions import decision_boundary
from tinygrad_cnn.viz.plot.similar import neighbours
from tinygrad_cnn.viz.plot.style import COLOURS
from tinygrad_cnn.viz.plot.weights import filters

__all__ = [
    "COLOURS",
    "confusion_matrix",
    "decision_boundary",
    "feature_maps",
    "filters",
    "grad_cam",
    "histograms",
    "learning_curves",
    "misclassified",
    "neighbours",
    "occlusion",
    "receptive_field",
    "saliency",
    "style",
]

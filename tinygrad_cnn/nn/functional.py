"""The functions behind the layers, under the name PyTorch users expect: `import tinygrad_cnn.nn.functional as F`."""

from tinygrad_cnn.functional import *  # noqa: F403

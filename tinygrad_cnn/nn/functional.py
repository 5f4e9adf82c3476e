"""The functions behind the layers, under the name PyTorch users expect: `import tinygrad_cnn.nn.functional as F`.

`help(tinygrad_cnn.functional)` has them by topic.
"""

from tinygrad_cnn.functional import *  # noqa: F403
from tinygrad_cnn.functional import __all__ as __all__

"""`summary(model)`: the lectures' table of a network, layer by layer: shapes, weights, work, memory.

`layers.py` finds the rows, `table.py` holds and prints them.
"""

from tinygrad_cnn.tables.layers import summary
from tinygrad_cnn.tables.table import Field, Row, Summary, memory_text

__all__ = ["Field", "Row", "Summary", "memory_text", "summary"]

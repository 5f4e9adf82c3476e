"""Print the names of every fourth exercise, another fourth for another commit: `some_exercises.py 3e1f0a2`."""

import sys

from tinygrad_cnn.exercises.catalogue import Catalogue

print(*list(Catalogue())[int(sys.argv[1], 16) % 4 :: 4])

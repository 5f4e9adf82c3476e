"""A convolution or pooling at work: the window moves, the products are written out, forward and backward.

| file | what it holds |
|---|---|
| `show.py` | `animate`, `Animation` |
| `slide.py` | a layer and an image as plain numbers: the window's places, the padding |
| `frames.py` | what happens at each output place |
| `lecture.py` | the worked 7×7×3 example |
| `words.py` | a frame as a sentence, its sums written out |
| `board.py` | grids of numbers and steps that fill them: what page and GIF draw |
| `page.py` | the page (its parts are `../pages/animation.*`) |
| `picture.py` | the GIF |
"""

from tinygrad_cnn.viz.animation.frames import BackwardFrame, Frame
from tinygrad_cnn.viz.animation.show import Animation, animate

__all__ = ["Animation", "BackwardFrame", "Frame", "animate"]

"""The ten digits as 7×12 pictures: the codes that the output layer of LeNet-5 (1998) compares with.

Stylised digits in the manner of figure 3 of LeCun et al. 1998, which shows such pictures for all of ASCII; these are
drawn anew, not copied. `#` is ink (+1), `.` is paper (−1). Why pictures and not one-of-ten codes: digits that look
alike have codes that lie near each other, so the distances say what a blurred digit could be; and units that must be
+1 or −1 about as often each are easier to train than such as are nearly always off (section II.B of the paper).
"""

from __future__ import annotations

import numpy as np

ROWS, COLUMNS = 12, 7

# five digits side by side
_PICTURES = (
    """
    .......  .......  .......  .......  .......
    ..###..  ...##..  ..###..  .#####.  ....##.
    .##.##.  ..###..  .##.##.  ....##.  ...###.
    ##...##  .####..  ##...##  ...##..  ..####.
    ##...##  ...##..  .....##  ..####.  .##.##.
    ##...##  ...##..  ....##.  .....##  ##..##.
    ##...##  ...##..  ...##..  .....##  #######
    ##...##  ...##..  ..##...  .....##  ....##.
    ##...##  ...##..  .##....  ##...##  ....##.
    .##.##.  ...##..  ##.....  .##.##.  ....##.
    ..###..  .######  #######  ..###..  ....##.
    .......  .......  .......  .......  .......
    """,
    """
    .......  .......  .......  .......  .......
    #######  ...###.  #######  ..###..  ..###..
    ##.....  ..##...  .....##  .##.##.  .##.##.
    ##.....  .##....  ....##.  ##...##  ##...##
    ##.....  ##.....  ....##.  ##...##  ##...##
    ######.  ##.###.  ...##..  .##.##.  .##..##
    .....##  ###..##  ...##..  ..###..  ..#####
    .....##  ##...##  ..##...  .##.##.  .....##
    .....##  ##...##  ..##...  ##...##  .....##
    ##...##  .##.##.  .##....  .##.##.  ....##.
    .#####.  ..###..  .##....  ..###..  .###...
    .......  .......  .......  .......  .......
    """,
)


def digit_bitmaps() -> np.ndarray:
    """The pictures as vectors: (10, 84) float32 of +1 and −1, row by row.

    >>> seven = digit_bitmaps()[7].reshape(ROWS, COLUMNS)
    >>> ["".join("#" if pixel > 0 else "." for pixel in row) for row in seven[1:4]]
    ['#######', '.....##', '....##.']
    """
    lines = [[line.split() for line in picture.split("\n") if line.strip()] for picture in _PICTURES]
    ink = [[[pixel == "#" for pixel in row[digit]] for row in rows] for rows in lines for digit in range(5)]
    return np.where(np.array(ink).reshape(10, ROWS * COLUMNS), 1, -1).astype(np.float32)

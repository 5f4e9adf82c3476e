"""Any picture as the network's input: grey or colour, any size, dark on light or light on dark."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_cnn.about import install
from tinygrad_cnn.cli.console import fail

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinygrad_cnn.data import DataInfo

# Part of the picture that the digit fills: scikit-learn's reach the edges, MNIST's lie in 20 of 28 pixels.
INK_FILLS = {"digits": 1.0, "mnist": 20 / 28}
ROUGHLY = 0.12  # how far from that a picture may be to be left as it is
COARSE = {"digits": (8, 8)}  # rows and columns these images had before they were enlarged
INK = 0.25  # share of the full contrast from which a pixel counts as ink
LEAST_CONTRAST = 0.05
DARKEST = 0.01  # share of a light picture's pixels that may be dark without being ink
# what Pillow raises for a file that begins as a picture and goes on as something else
DAMAGED = (OSError, EOFError, SyntaxError, ValueError, struct.error)


def read_picture(path: Path, info: DataInfo) -> tuple[np.ndarray | None, list[str]]:
    """Reads a picture as one image of a data set, (C, H, W) and normalised.

    Returns:
        The image, None if there is nothing to see in it, and what was done to the picture, in words.
    """
    from tinygrad_cnn.data import transforms

    C, H, W = info.image_shape
    pixels, done = pixels_of(path, grey=C == 1)
    if np.ptp(pixels, axis=(0, 1)).max() < LEAST_CONTRAST:
        return None, done
    if C == 1:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        if np.median(border) > 0.5:
            pixels = 1 - pixels
            done.append("inverted (a light background; the training images' is dark)")
        if info.name in INK_FILLS:
            if pixels.shape != (H, W):
                pixels = (pixels - pixels.min()) / np.ptp(pixels)
            framed = centred(pixels, INK_FILLS[info.name])
            if framed is not pixels:
                pixels = framed
                done.append("cut to the ink and centred")
    if pixels.shape[:2] != (H, W):
        done.append(f"resized to {H}×{W}")
        pixels = squared(pixels)
        if info.name in COARSE and len(pixels) > 2 * H:  # as blurred as the training images
            pixels = resized(pixels, *COARSE[info.name])
            pixels /= pixels.max() or 1
        pixels = resized(pixels, H, W)
    pixels = pixels.reshape(H, W, C)
    image = np.ascontiguousarray(np.moveaxis(pixels, -1, 0), dtype=np.float32)  # (H,W,C) -> (C,H,W)
    return transforms.Normalize(info.mean, info.std)(image), done


def pixels_of(path: Path, grey: bool) -> tuple[np.ndarray, list[str]]:
    """A picture file as numbers from 0 (black) to 1: (H, W) grey or (H, W, 3)."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"reading pictures needs Pillow: {install('demo')}") from error
    done = []
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)  # as the camera was held
            if picture.mode.startswith(("I", "F")):  # more than 8 bits: Pillow would cut them off, not scale them
                wide = np.asarray(picture, dtype=np.float64)
                picture = Image.fromarray((255 * wide / max(wide.max(), 1)).astype(np.uint8))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                if np.asarray(picture.getchannel("A")).min() < 255:
                    ground = background(picture)
                    picture = Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture)
                    done.append(f"put on {ground} (it is transparent)")
            pixels = np.asarray(picture.convert("L" if grey else "RGB"), dtype=np.float32) / 255
    except UnidentifiedImageError:
        fail(f"{path} is no picture that Pillow can read (PNG, JPEG, GIF, BMP, WebP …)")
    except Image.DecompressionBombError as error:
        fail(f"{path} is too large: {error}")
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: no permission, a drive that is gone
        fail(f"{path} is damaged: {error}; save it again")
    return pixels, done


def background(picture: Image) -> str:
    """What to put a transparent picture on: black if its opaque part is light all over, else white.

    A scan with transparent edges is light on average, too, but has ink that white does not swallow.
    """
    opaque = np.asarray(picture.getchannel("A")) > 127
    grey = np.asarray(picture.convert("L"))[opaque]
    return "black" if grey.size and np.quantile(grey, DARKEST) > 127 else "white"


def centred(pixels: np.ndarray, fills: float) -> np.ndarray:
    """The part with ink in the middle of a square of background, of which it fills this share.

    A square picture that looks like that already is returned as it is.
    """
    rows, columns = (np.flatnonzero((pixels > INK).any(axis=axis)) for axis in (1, 0))
    ink = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    H, W = pixels.shape
    if H == W and abs(max(ink.shape) / H - fills) < ROUGHLY:
        return pixels
    margin = round(max(ink.shape) * (1 / fills - 1) / 2)
    return np.pad(squared(ink), margin)


def squared(pixels: np.ndarray) -> np.ndarray:
    """The picture in the middle of a black square."""
    H, W = pixels.shape[:2]
    size = max(H, W)
    top, left = (size - H) // 2, (size - W) // 2
    return np.pad(pixels, [(top, size - H - top), (left, size - W - left), *[(0, 0)] * (pixels.ndim - 2)])


def resized(pixels: np.ndarray, H: int, W: int) -> np.ndarray:
    """The picture at another size; every pixel of a large one counts: a mean over areas, not single samples."""
    from PIL import Image

    channels = pixels.reshape(*pixels.shape[:2], -1)
    method = Image.Resampling.BOX if len(pixels) >= 2 * H else Image.Resampling.BILINEAR
    planes = [Image.fromarray(channels[..., c]).resize((W, H), method) for c in range(channels.shape[-1])]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)

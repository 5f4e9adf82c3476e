"""What a transform is, and several in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import backends, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.data.collate import stack

Rngs = Sequence[random.Generator] | None


class Transform:
    """Base of all transforms: define `__call__(image, rng)`, or in a `BatchTransform` `batch(images, rngs)`.

    >>> class Noise(Transform):
    ...     def __call__(self, image, rng=None):
    ...         return image + (rng or random.default_generator()).normal(image.shape).astype(np.float32)
    >>> a, b = (Noise()(np.zeros((1, 2, 2), np.float32), random.Generator(5)) for _ in range(2))
    >>> bool((a == b).all())
    True
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # a class that says anew what happens to one image must not inherit something else for many
        if "__call__" in vars(cls) and "batch" not in vars(cls):
            cls.batch = Transform.batch  # type: ignore[method-assign]

    def __call__(self, image: Any, rng: random.Generator | None = None) -> Any:
        """One image, transformed; the argument is not changed."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(image, rng)")

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, transformed; equals `self(images[n], rngs[n])` for each n, stacked."""
        return stack([self(image, rng) for image, rng in zip(images, each(rngs, images), strict=True)])

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class BatchTransform(Transform):
    """A transform that defines `batch`; one image is a batch of one."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__call__" in vars(cls):
            raise TypeError(
                f"{cls.__name__}: a BatchTransform defines batch(images, rngs), and __call__ follows from it; "
                "to define __call__(image, rng) subclass Transform"
            )

    def __call__(self, image: Any, rng: random.Generator | None = None) -> Any:
        """One image, transformed; the argument is not changed."""
        return self.batch(as_array(image)[None], None if rng is None else [rng])[0]

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, transformed."""
        raise NotImplementedError(f"{type(self).__name__} must define batch(images, rngs)")


def apply(transform: Callable[..., Any] | None, image: Any, rng: random.Generator | None = None) -> Any:
    """One image through a transform, any function of one image, or None."""
    if transform is None:
        return image
    return transform(image, rng) if isinstance(transform, Transform) else transform(image)


def apply_batch(transform: Callable[..., Any] | None, images: Any, rngs: Rngs = None) -> Any:
    """N images through a transform, any function of one image, or None."""
    if transform is None:
        return images
    if isinstance(transform, Transform):
        return transform.batch(images, rngs)
    return stack([as_array(transform(image)) for image in images])


def as_array(image: Any) -> np.ndarray:
    """A PIL image, tensor or array as a NumPy array; palettes become colours, 1-bit pictures grey."""
    if hasattr(image, "getbands") and hasattr(image, "convert"):  # a PIL image, without importing PIL
        mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
        return np.asarray(image if mode == image.mode else image.convert(mode))
    return image.numpy() if isinstance(image, Tensor) else np.asarray(backends.to_numpy(image))


def each(rngs: Rngs, images: Any) -> Sequence[random.Generator]:
    """The random stream of each image."""
    return [random.default_generator()] * len(images) if rngs is None else rngs


class Compose(Transform):
    """Several transforms, one after the other.

    Args:
        transforms: Transforms or functions of one image, in the order they are applied.

    >>> Compose([lambda image: image + 1, np.sqrt])(np.array([[3.0, 8.0]])).tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any, rng: random.Generator | None = None) -> Any:
        """One image through all of them."""
        for transform in self.transforms:
            image = apply(transform, image, rng)
        return image

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images through all of them."""
        for transform in self.transforms:
            images = apply_batch(transform, images, rngs)
        return images

    def __repr__(self) -> str:
        lines = "".join(f"    {transform!r}\n" for transform in self.transforms)
        return f"Compose(\n{lines})"

"""Each transform against a plain computation, PyTorch, and itself on whole batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tcnn
from tinygrad_cnn.data.transforms import (
    BatchTransform,
    Compose,
    Normalize,
    Pad,
    PCAColor,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
    Transform,
    apply,
    apply_batch,
)
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def floats(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def streams(count, seed=0):
    return [Generator(seed, stream=(3, index)) for index in range(count)]


GEOMETRIC = [
    Resize((5, 11)),
    Resize(9),
    Resize((3, 4), "nearest"),
    Pad(2),
    Pad((1, 2, 3, 4), fill=7),
    Pad((2, 1), padding_mode="reflect"),
    RandomCrop(4),
    RandomCrop((5, 6), padding=(2, 3)),
    RandomHorizontalFlip(),
    Compose([RandomCrop(6, padding=2), RandomHorizontalFlip(0.3), Resize((7, 7))]),
]
NAMES = [repr(t).replace("\n", "") for t in GEOMETRIC]


@pytest.mark.parametrize("transform", GEOMETRIC, ids=NAMES)
@pytest.mark.parametrize(
    "images",
    [pictures(9, 6, 8), pictures(9, 6, 8, 3), floats(9, 3, 6, 8), floats(9, 6, 8, dtype=np.float64)],
    ids=["HW uint8", "HWC uint8", "CHW float32", "HW float64"],
)
def test_a_batch_equals_its_images_bit_for_bit(transform, images):
    before = images.copy()
    images.flags.writeable = False
    together = transform.batch(images, streams(9))
    singles = [transform(image, rng) for image, rng in zip(images, streams(9), strict=True)]
    assert together.dtype == images.dtype
    np.testing.assert_array_equal(together, np.stack(singles))
    np.testing.assert_array_equal(images, before)
    assert len(np.unique([s.shape for s in singles], axis=0)) == 1


@pytest.mark.parametrize("transform", GEOMETRIC, ids=NAMES)
def test_pictures_and_channels_first_floats_are_treated_alike(transform):
    colour = pictures(6, 8, 3)
    maps = colour.transpose(2, 0, 1).astype(np.float32)
    as_picture, as_maps = transform(colour, Generator(5)), transform(maps, Generator(5))
    tolerance = 1.5 if "Resize" in repr(transform) else 0  # uint8 results are rounded once per resizing
    np.testing.assert_allclose(as_picture.transpose(2, 0, 1), as_maps, atol=tolerance)


@pytest.mark.parametrize("transform", [t for t in GEOMETRIC if "Random" in repr(t)], ids=repr)
def test_random_transforms_draw_from_the_stream_they_are_given(transform):
    images = floats(64, 1, 6, 8)
    first = transform.batch(images, streams(64))
    np.testing.assert_array_equal(first, transform.batch(images, streams(64)))
    assert not np.array_equal(first, transform.batch(images, streams(64, seed=1)))
    with tcnn.random.use_generator(Generator(9)):
        drawn = [transform(image) for image in images]
    rng = Generator(9)
    np.testing.assert_array_equal(drawn, [transform(image, rng) for image in images])


# ToTensor


def test_to_tensor_scales_and_moves_the_channels_first():
    colour = pictures(4, 5, 3)
    made = ToTensor()(colour)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, colour.transpose(2, 0, 1).astype(np.float32) / 255)
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(ToTensor()(colour[..., 0]), made[:1])
    np.testing.assert_array_equal(ToTensor().batch(pictures(7, 4, 5, 3))[2], ToTensor()(pictures(7, 4, 5, 3)[2]))


def test_to_tensor_only_rearranges_what_is_not_uint8():
    values = floats(4, 5, 3, dtype=np.float64)
    made = ToTensor()(values)
    assert made.dtype == np.float64
    np.testing.assert_array_equal(made, values.transpose(2, 0, 1))
    np.testing.assert_array_equal(ToTensor()(np.array([[True, False]])), np.float32([[[1, 0]]]))


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("L", (1, 4, 6)), ("RGB", (3, 4, 6)), ("RGBA", (4, 4, 6)), ("P", (3, 4, 6)), ("1", (1, 4, 6))],
)
def test_to_tensor_of_pil_images(mode, shape):
    Image = pytest.importorskip("PIL.Image")
    image = Image.fromarray(pictures(4, 6, 3)).convert(mode)
    made = ToTensor()(image)
    assert made.shape == shape
    assert made.dtype == np.float32
    assert 0.5 < made.max() <= 1
    wanted = image.convert("RGB" if mode == "P" else "L") if mode in "P1" else image
    np.testing.assert_array_equal((made * 255).round().squeeze(), np.moveaxis(np.atleast_3d(wanted), -1, 0).squeeze())
    assert RandomCrop(2)(image).dtype == np.uint8
    batch = apply_batch(Compose([lambda array: Image.fromarray(array), ToTensor()]), pictures(3, 4, 6, 3))
    np.testing.assert_array_equal(batch, ToTensor().batch(pictures(3, 4, 6, 3)))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((3, 28, 28), np.float32), r"\(3, 28, 28\) looks like \(C, H, W\)"),
        (np.zeros(5, np.uint8), r"must be \(H, W\) or \(H, W, C\), not \(5,\)"),
        (np.zeros((1, 2, 3, 4), np.uint8), "must be"),
    ],
)
def test_to_tensor_refuses_what_is_no_picture(image, reason):
    with pytest.raises(ShapeError, match=f"ToTensor: .*{reason}"):
        ToTensor()(image)


# Normalize


def test_normalize_is_per_channel():
    image = floats(3, 4, 5)
    made = Normalize((1.0, 2.0, 3.0), (0.5, 0.25, 2.0))(image)
    for c, (mean, std) in enumerate([(1.0, 0.5), (2.0, 0.25), (3.0, 2.0)]):
        np.testing.assert_array_equal(made[c], (image[c] - np.float32(mean)) / np.float32(std))
    np.testing.assert_array_equal(Normalize(1, 2)(image), (image - 1) / 2)
    batch = floats(6, 3, 4, 5)
    many = Normalize((0.1, 0.2, 0.3), 0.7)
    np.testing.assert_array_equal(many.batch(batch), np.stack([many(one) for one in batch]))
    assert many(tcnn.Tensor(image)).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "image", "error", "reason"),
    [
        (lambda: Normalize(0, 0), None, ValueError, "must be positive"),
        (lambda: Normalize((0, 0), (1, -1)), None, ValueError, "must be positive"),
        (lambda: Normalize(0, float("nan")), None, ValueError, "must be positive"),
        (lambda: Normalize(0, 1), pictures(3, 4, 4), TypeError, r"of floats, not uint8; apply ToTensor\(\) first"),
        (lambda: Normalize((0, 0), 1), floats(3, 4, 4), ShapeError, r"2 mean\(s\) and 1 std\(s\) .* \(3, 4, 4\)"),
        (lambda: Normalize(0, 1), floats(4, 4), ShapeError, r"must be \(C, H, W\)"),
    ],
)
def test_normalize_refuses(make, image, error, reason):
    with pytest.raises(error, match=f"Normalize: .*{reason}"):
        make()(image)


# Resize

sides = st.integers(1, 12)


@settings(deadline=None)
@given(sides, sides, sides, sides)
def test_resize_bilinear_is_the_weighted_sum_of_four_pixels(H, W, P, Q):
    image = floats(H, W, dtype=np.float64)
    made = Resize((P, Q))(image)
    for p in range(P):
        for q in range(Q):
            y, x = max((p + 0.5) * H / P - 0.5, 0), max((q + 0.5) * W / Q - 0.5, 0)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
            dy, dx = y - top, x - left
            wanted = (1 - dy) * ((1 - dx) * image[top, left] + dx * image[top, right]) + dy * (
                (1 - dx) * image[bottom, left] + dx * image[bottom, right]
            )
            assert made[p, q] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.torch
@settings(deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(["bilinear", "nearest"]))
def test_resize_is_pytorchs_interpolate(torch, H, W, P, Q, mode):
    images = floats(2, 3, H, W, dtype=np.float64)  # PyTorch computes float32 positions in float32, we do not
    options = {"align_corners": False} if mode == "bilinear" else {}
    theirs = torch.nn.functional.interpolate(torch.from_numpy(images), (P, Q), mode=mode, **options)
    np.testing.assert_allclose(Resize((P, Q), mode).batch(images), theirs, atol=1e-12)


def test_resize_to_the_same_size_changes_nothing():
    image = floats(2, 7, 5)
    np.testing.assert_array_equal(Resize((7, 5))(image), image)
    np.testing.assert_array_equal(Resize((7, 5), "nearest")(image), image)


def test_resize_by_one_number_keeps_the_proportions():
    assert Resize(28)(pictures(8, 8)).shape == (28, 28)
    assert Resize(4)(pictures(8, 20, 3)).shape == (4, 10, 3)
    assert Resize(5)(floats(1, 9, 6)).shape == (1, 7, 5)


def test_resize_rounds_pictures():
    assert Resize((1, 4))(np.array([[0, 255]], np.uint8)).tolist() == [[0, 64, 191, 255]]


@pytest.mark.parametrize("arguments", [(0,), ((3, 0),), ((1, 2, 3),), (2, "cubic"), ((2.5, 2),)])
def test_resize_refuses(arguments):
    with pytest.raises(ValueError, match="Resize: "):
        Resize(*arguments)


# Pad, crop, flip


def test_pad_has_its_sides_in_pytorchs_order():
    image = np.ones((1, 1), np.uint8)
    assert Pad((1, 0, 2, 1))(image).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert Pad((1, 2))(image).shape == (5, 3)
    assert Pad(1, fill=9)(image)[0].tolist() == [9, 9, 9]
    np.testing.assert_array_equal(Pad(1, padding_mode="edge")(image), np.ones((3, 3)))
    assert Pad(2, padding_mode="reflect")(np.array([[1.0, 2, 3]] * 3))[2].tolist() == [3, 2, 1, 2, 3, 2, 1]


@pytest.mark.parametrize("arguments", [(-1,), ((1, 2, 3),), (1, 0, "wrap"), (1.5,)])
def test_pad_refuses(arguments):
    with pytest.raises((ValueError, TypeError)):
        Pad(*arguments)


def test_random_crop_takes_every_window_equally_often():
    image = np.arange(20.0).reshape(1, 4, 5)
    crops = RandomCrop((3, 3)).batch(np.repeat(image[None], 3000, axis=0), streams(3000))
    corners, counts = np.unique(crops[:, 0, 0, 0], return_counts=True)
    assert corners.tolist() == [0, 1, 2, 5, 6, 7]
    assert (np.abs(counts - 500) < 100).all()  # five standard deviations
    for crop in crops[:50]:
        top, left = divmod(int(crop[0, 0, 0]), 5)
        np.testing.assert_array_equal(crop, image[:, top : top + 3, left : left + 3])


def test_random_crop_pads_first():
    crops = RandomCrop(2, padding=1, fill=-1).batch(np.ones((400, 1, 2, 2)), streams(400))
    assert set(np.unique(crops)) == {-1.0, 1.0}
    assert sorted({int((crop == 1).sum()) for crop in crops}) == [1, 2, 4]
    assert (RandomCrop(2, padding=1, padding_mode="edge").batch(np.ones((40, 1, 2, 2))) == 1).all()


def test_random_crop_larger_than_the_image_names_the_sizes():
    with pytest.raises(ShapeError, match="a window of 32×32 does not fit into an image of 30×30"):
        RandomCrop(32, padding=1)(floats(1, 28, 28))
    with pytest.raises(ValueError, match="must be at least 1"):
        RandomCrop(0)


def test_random_flip_mirrors_columns_with_its_probability():
    images = floats(2000, 3, 2, 4)
    flipped = RandomHorizontalFlip(0.3).batch(images, streams(2000))
    mirrored = (flipped == images[..., ::-1]).all(axis=(1, 2, 3))
    same = (flipped == images).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert abs(mirrored.mean() - 0.3) < 0.05
    np.testing.assert_array_equal(RandomHorizontalFlip(0).batch(images), images)
    with pytest.raises(ValueError, match=r"p=1\.5 must be a probability"):
        RandomHorizontalFlip(1.5)


@pytest.mark.parametrize("transform", [Resize(2), Pad(1), RandomCrop(2), RandomHorizontalFlip()], ids=repr)
def test_layouts_that_would_be_misread_are_refused(transform):
    with pytest.raises(ShapeError, match=r"at most 4 channels, not \(3, 32, 32\)"):
        transform(pictures(3, 32, 32))
    with pytest.raises(ShapeError, match=r"an image must be \(H, W\)"):
        transform(np.zeros(5))


# Compose, functions, own transforms


def test_compose_mixes_transforms_and_functions():
    seen = []

    def note(image):
        seen.append(image.shape)
        return image * 2

    chain = Compose([RandomCrop(3), note, ToTensor(), Normalize(0.5, 0.5)])
    images = pictures(5, 4, 4) // 4
    together = chain.batch(images, streams(5))
    singles = np.stack([chain(image, rng) for image, rng in zip(images, streams(5), strict=True)])
    np.testing.assert_array_equal(together, singles)
    assert seen == [(3, 3)] * 10
    assert apply(None, 3) == 3
    assert apply_batch(None, images) is images


def test_function_that_gives_different_shapes_names_them():
    with pytest.raises(ShapeError, match=r"\(1, 4\) of sample 0; \(2, 4\) of samples 1, 2"):
        apply_batch(lambda image: image[: image[0, 0]], np.array([[[1] * 4] * 3, [[2] * 4] * 3, [[2] * 4] * 3]))


def test_own_transforms_work_on_batches():
    class Noise(Transform):
        def __call__(self, image, rng=None):
            return image + rng.normal(image.shape)

    class Loud(Compose):
        def __call__(self, image, rng=None):
            return -super().__call__(image, rng)

    class Half(BatchTransform):
        def batch(self, images, rngs=None):
            return images / 2

    images = floats(4, 1, 3, 3)
    for transform in (Noise(), Loud([Pad(1)]), Half()):
        singles = [transform(image, rng) for image, rng in zip(images, streams(4), strict=True)]
        np.testing.assert_array_equal(transform.batch(images, streams(4)), np.stack(singles))
    assert (Loud([Pad(1)])(images[0]) == -Pad(1)(images[0])).all()
    with pytest.raises(TypeError, match=r"Louder: a BatchTransform defines batch"):

        class Louder(Resize):
            def __call__(self, image, rng=None):
                return image

    for unfinished in (Transform(), BatchTransform()):
        with pytest.raises(NotImplementedError, match="must define"):
            unfinished(images[0])


def test_reprs_can_be_read_and_evaluated():
    for transform in [t for t in GEOMETRIC if not isinstance(t, Compose)]:
        assert repr(eval(repr(transform))) == repr(transform)
    assert repr(Compose([ToTensor(), Normalize(0.5, 2)])) == (
        "Compose(\n    ToTensor()\n    Normalize(mean=(0.5,), std=(2.0,))\n)"
    )


# PCAColor


def test_principal_components_of_four_pixels_worked_out_by_hand():
    """Red and green are (0, 0), (2, 1), (1, 2), (3, 3) fifths: means 3/2 fifths; variances 5/4, covariance 1 (/25)."""
    pixels = np.array([[0, 0], [2, 1], [1, 2], [3, 3]], np.uint8) * 51  # 51 is a fifth of 255
    fitted = PCAColor.fit(pixels.reshape(2, 2, 1, 2))
    np.testing.assert_allclose(fitted.eigenvalues, [(5 / 4 + 1) / 25, (5 / 4 - 1) / 25], rtol=1e-12)
    half = np.sqrt(1 / 2)  # of a symmetric 2×2 covariance with equal variances: the sum and the difference
    np.testing.assert_allclose(np.abs(fitted.eigenvectors), np.full((2, 2), half), rtol=1e-12)
    np.testing.assert_allclose(fitted.eigenvectors[:, 0], [half, half], rtol=1e-12)
    assert fitted.eigenvectors[:, 1].sum() == pytest.approx(0)


@pytest.mark.parametrize(
    "images",
    [pictures(1203, 2, 3), pictures(1203, 2, 3, 3), floats(1203, 3, 2, 4), floats(5, 1, 2, 3, dtype=np.float64)],
    ids=["HW uint8", "HWC uint8", "CHW float32", "one channel"],
)
def test_components_are_those_of_the_covariance_of_all_pixels(images):
    fitted = PCAColor.fit(images)
    if images.dtype == np.uint8:
        values = images.reshape(-1, 1 if images.ndim == 3 else 3) / 255
    else:
        values = np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])
    wanted = np.atleast_2d(np.cov(values.T, bias=True))
    V, D = fitted.eigenvectors, fitted.eigenvalues
    np.testing.assert_allclose(V @ np.diag(D) @ V.T, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(V.T @ V, np.eye(len(D)), atol=1e-12)
    assert (np.diff(D) <= 0).all()
    assert (V[np.abs(V).argmax(axis=0), np.arange(len(D))] > 0).all()


def colours(C=3, std=0.1):
    return PCAColor.fit(floats(40, C, 5, 6) * np.arange(1, C + 1, dtype=np.float32).reshape(-1, 1, 1), std)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("C", [1, 2, 3])
def test_a_batch_gets_the_colours_of_its_images_bit_for_bit(C, dtype):
    images, transform = floats(9, C, 6, 8, dtype=dtype), colours(C)
    before = images.copy()
    images.flags.writeable = False
    together = transform.batch(images, streams(9))
    assert together.dtype == dtype
    np.testing.assert_array_equal(together, [transform(image, rng) for image, rng in zip(images, streams(9))])
    np.testing.assert_array_equal(together[3:5], transform.batch(images[3:5], streams(9)[3:5]))
    np.testing.assert_array_equal(images, before)
    assert transform.batch(images[:0], []).shape == (0, C, 6, 8)


def test_a_colour_is_the_papers_formula_and_the_same_everywhere_in_an_image():
    images, transform = floats(4, 3, 6, 8, dtype=np.float64), colours()
    shifts = transform.batch(images, streams(4)) - images
    for shift, rng in zip(shifts, streams(4)):
        alpha = rng.normal(3, std=0.1)
        wanted = sum(alpha[i] * transform.eigenvalues[i] * transform.eigenvectors[:, i] for i in range(3))
        np.testing.assert_allclose(shift, np.broadcast_to(wanted[:, None, None], (3, 6, 8)), atol=1e-12)
    assert len(np.unique(shifts[:, 0, 0, 0])) == 4


def test_the_spread_of_the_colours_is_that_of_the_principal_components():
    transform = colours(std=0.2)
    shifts = transform.batch(np.zeros((4000, 3, 1, 1)), streams(4000))[:, :, 0, 0]
    along = shifts @ transform.eigenvectors  # back to α·eigenvalue
    np.testing.assert_allclose(along.std(axis=0), 0.2 * transform.eigenvalues, rtol=0.05)
    np.testing.assert_allclose(along.mean(axis=0), 0, atol=0.02 * transform.eigenvalues[0])
    np.testing.assert_array_equal(colours(std=0)(floats(3, 2, 2), Generator(1)), floats(3, 2, 2))


def test_colours_are_drawn_from_the_default_generator_without_a_stream():
    image, transform = floats(3, 4, 5), colours()
    with tcnn.random.use_generator(Generator(9)):
        drawn = [transform(image), transform(image)]
    rng = Generator(9)
    np.testing.assert_array_equal(drawn, [transform(image, rng), transform(image, rng)])
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: colours()(pictures(4, 4, 3)), TypeError, r"of floats, not uint8; apply ToTensor\(\) first"),
        (lambda: colours()(floats(1, 4, 4)), ShapeError, r"3 principal components .* \(1, 4, 4\)"),
        (lambda: colours(1)(floats(4, 4)), ShapeError, r"1 principal component do not fit .* \(4, 4\)"),
        (lambda: PCAColor([1.0, 2.0], np.eye(3)), ShapeError, r"they are \(2,\) and \(3, 3\)"),
        (lambda: PCAColor([1.0], [[1.0]], std=-0.1), ValueError, "std=-0.1 is a standard deviation"),
        (lambda: PCAColor.fit(floats(3, 4, 5)), ShapeError, r"not \(3, 4, 5\)"),
        (lambda: PCAColor.fit(pictures(1, 1, 1, 3)), ValueError, "at least two pixels, the images have 1"),
        (lambda: PCAColor.fit(pictures(0, 4, 4, 3)), ValueError, "at least two pixels, the images have 0"),
    ],
)
def test_colours_refuse_what_does_not_fit(make, error, words):
    with pytest.raises(error, match=f"PCAColor: .*{words}"):
        make()

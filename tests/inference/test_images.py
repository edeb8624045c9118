"""`restorer(image)`: the forms of an image, what is returned for each, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import Restorer
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image
from ultrabm_jax.image.write import quantise

PIXELS = np.random.default_rng(0).integers(0, 90, (9, 7, 3), np.uint8)
FLOATS = PIXELS.astype(np.float32) / 255


@pytest.fixture(scope="module")
def restorer(network):
    return Restorer(*network)


@pytest.fixture(scope="module")
def expected(restorer):
    """(18, 14, 3) float32, of `PIXELS`."""
    return restorer.restore(FLOATS)


def test_arrays_keep_their_type(restorer, expected):
    for given, returned in ((FLOATS, expected), (PIXELS, quantise(expected, 8)), (FLOATS.astype(np.float64), expected)):
        restored = restorer(given)
        assert (type(restored), restored.dtype) == (np.ndarray, returned.dtype)
        np.testing.assert_array_equal(restored, returned)
    for given, returned in ((FLOATS, expected), (PIXELS, quantise(expected, 8))):
        restored = restorer(jnp.asarray(given))
        assert isinstance(restored, jax.Array)
        np.testing.assert_array_equal(restored, returned)


def test_a_path_gives_the_array_of_its_image(restorer, expected, tmp_path):
    write_image(tmp_path / "a.png", PIXELS)
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(restorer(path), quantise(expected, 8))


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "1", "P"])
def test_a_pil_image_gives_the_same_as_its_file(restorer, tmp_path, mode):
    image = Image.fromarray(PIXELS).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(PIXELS[..., 0] * 2))
    image.save(tmp_path / "a.png")
    restored = restorer(image)
    assert restored.size == (14, 18)
    assert restored.mode == {"1": "L", "P": "RGB"}.get(mode, mode)
    from_file = restorer(tmp_path / "a.png")
    np.testing.assert_array_equal(
        np.asarray(restored.convert("RGBA" if from_file.shape[-1] == 4 else "RGB")), from_file
    )


def test_a_pil_image_is_turned_upright_and_keeps_its_profile(restorer, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif, icc_profile=b"profile")
    with Image.open(tmp_path / "a.png") as image:
        restored = restorer(image)
    assert restored.size == (18, 14)
    assert restored.info["icc_profile"] == b"profile"


def test_batches(restorer, expected, tmp_path):
    batch = np.stack([FLOATS, FLOATS[::-1]])
    restored = restorer(batch)
    assert restored.shape == (2, 18, 14, 3)
    np.testing.assert_allclose(restored[0], expected, atol=1e-6)
    listed = restorer([FLOATS, FLOATS[::-1]])
    assert isinstance(listed, list)
    np.testing.assert_array_equal(np.stack(listed), restored)
    write_image(tmp_path / "a.png", PIXELS)
    array, image, file = restorer([PIXELS, Image.fromarray(PIXELS), tmp_path / "a.png"])
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(array, file)
    np.testing.assert_array_equal(array, np.asarray(image))
    assert restorer([]) == []


def test_devices_are_chosen(network):
    device = jax.devices()[-1]
    restorer = Restorer(*network, devices=[device])
    assert restorer._variables["params"]["gain"].devices() == {device}


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIXELS.astype(np.float32), r"in \[0, 1\], not from 0 to 89; divide it by 255, or pass uint8"),
        (FLOATS - 0.5, r"in \[0, 1\], not from -0\.5"),
        (np.full((4, 4, 3), np.nan, np.float32), "not finite"),
        (PIXELS.astype(np.uint16), r"uint8, or floating-point in \[0, 1\], not uint16"),
        (PIXELS.astype(np.int64), r"not int64"),
        (PIXELS > 0, r"not bool"),
        (FLOATS[..., 0], r"\(height, width, 3\), not \(9, 7\)"),
        (FLOATS[:0], r"not \(0, 7, 3\)"),
        (np.dstack([FLOATS, FLOATS[..., :1]]), r"not \(9, 7, 4\)"),
        (Image.new("I;16", (4, 4)), "mode I;16 has no defined range"),
        (Image.new("F", (4, 4)), "mode F has no defined range"),
        (5, "not int"),
        (None, "not NoneType"),
    ],
)
def test_ambiguous_images_are_refused(restorer, image, message):
    with pytest.raises(UserError, match=message):
        restorer(image)

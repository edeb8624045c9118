"""The final image of a DNG file: its default crop, turned upright, for all eight orientations."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from raw.gray import Gray

from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.inference.raw_files import restore_raw_files
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models.red.task import REDTask
from ultrabm_jax.raw import read_raw

rawpy = pytest.importorskip("rawpy")

SHORT, LONG, RATIONAL = 3, 4, 5  # TIFF types
RGGB, GRBG = (0, 1, 1, 2), (1, 0, 2, 1)
HEIGHT, WIDTH = 60, 80


@pytest.fixture
def write(tmp_path):
    def make(*tags, pattern=RGGB, margin=(0, 0), orientation=1):
        """Samples of 1 ... 900 that differ everywhere along rows and columns, inside a margin of white ones."""
        top, left = margin
        samples = np.full((HEIGHT + top, WIDTH + left), 1000, np.uint16)
        samples[top:, left:] = 10 * np.arange(HEIGHT)[:, None] + 3 * np.arange(WIDTH)
        path = tmp_path / "made.dng"
        shared = [(50706, 1, 4, (1, 4, 0, 0), True), (271, 2, 0, "M", True), (272, 2, 0, "M", True)]
        shared += [(33421, SHORT, 2, (2, 2), True), (33422, 1, 4, bytes(pattern), True)]
        shared += [(274, SHORT, 1, orientation, True), (50714, LONG, 1, 0, True), (50717, LONG, 1, 1000, True)]
        shared += [(50829, LONG, 4, (top, left, HEIGHT + top, WIDTH + left), True)]
        tifffile.imwrite(path, samples, photometric=32803, extratags=sorted([*shared, *tags]), metadata=None)
        return path, samples[top:, left:]

    return make


def crop_tags(origin, size, kind=LONG):
    if kind == RATIONAL:
        origin, size = (tuple(part for value in values for part in (2 * value, 2)) for values in (origin, size))
    return (50719, kind, 2, origin, True), (50720, kind, 2, size, True)


@pytest.mark.parametrize("kind", [LONG, RATIONAL])
@pytest.mark.parametrize("pattern", [RGGB, GRBG])
@pytest.mark.parametrize("margin", [(0, 0), (2, 4), (1, 1)])
def test_the_crop_is_relative_to_the_active_area(write, margin, pattern, kind):
    path, active = write(*crop_tags((5, 3), (70, 50), kind), margin=margin, pattern=pattern)
    mosaic = read_raw(path)
    with rawpy.imread(str(path)) as libraw:  # which reports the same area, and does not apply it
        sizes = libraw.sizes
        reported = (sizes.crop_top_margin, sizes.crop_left_margin, sizes.crop_height, sizes.crop_width)
    expected = (3 + margin[0], 5 + margin[1], 50, 70)
    assert np.abs(np.subtract(reported, expected)).max() <= 1  # LibRaw moves it to a whole period
    assert mosaic.values.shape[0] >= HEIGHT - 2  # the network sees the border, too
    np.testing.assert_array_equal(mosaic.values[mosaic.final], active[3:53, 5:75])
    assert not mosaic.notes


@pytest.mark.parametrize("tags", [(), crop_tags((0, 0), (WIDTH, HEIGHT))])
def test_without_a_crop_all_is_shown(write, tags):
    path, active = write(*tags)
    mosaic = read_raw(path)
    assert mosaic.final is None
    np.testing.assert_array_equal(mosaic.values, active)


@pytest.mark.parametrize(("origin", "size"), [((20, 0), (70, 50)), ((0, 20), (70, 50)), ((0, 0), (0, 5))])
def test_an_impossible_crop_is_ignored_with_a_note(write, origin, size):
    mosaic = read_raw(write(*crop_tags(origin, size))[0])
    assert mosaic.final is None
    (note,) = mosaic.notes
    assert "is not inside the active area; ignored" in note


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_output_is_cropped_and_upright(write, tmp_path, orientation):
    path, active = write(*crop_tags((5, 3), (70, 50)), orientation=orientation, margin=(1, 1))
    restorer = Restorer(REDTask(Gray()), {"params": {}}, tile=0)
    assert restore_raw_files(restorer, plan([path], tmp_path / "out"), amplify="1", bits=16) == 0
    exif = Image.Exif()
    exif[274] = orientation
    expected = Image.fromarray((active[3:53, 5:75] / 1000 * 255).astype(np.uint8))
    expected.info["exif"] = exif.tobytes()
    expected = np.asarray(ImageOps.exif_transpose(expected))
    with Image.open(tmp_path / "out" / "made.png") as image:
        written = np.asarray(image.convert("RGB"))[..., 0]
    assert written.shape == expected.shape == ((70, 50) if orientation > 4 else (50, 70))
    np.testing.assert_allclose(written.astype(float), expected, atol=2)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_missing_white_level_is_that_of_the_stored_bits(tmp_path, bits):
    """DNG: WhiteLevel defaults to 2**BitsPerSample - 1."""
    samples = np.full((HEIGHT, WIDTH), 2 ** (bits - 1), np.uint16)
    tags = [(50706, 1, 4, (1, 4, 0, 0), True), (271, 2, 0, "M", True), (272, 2, 0, "M", True)]
    tags += [(33421, SHORT, 2, (2, 2), True), (33422, 1, 4, bytes(RGGB), True), (50714, LONG, 1, 0, True)]
    tifffile.imwrite(
        tmp_path / "a.dng",
        samples,
        photometric=32803,
        extratags=sorted(tags),
        metadata=None,
        bitspersample=bits,
    )
    mosaic = read_raw(tmp_path / "a.dng")
    assert mosaic.white == 2**bits - 1
    np.testing.assert_array_equal(mosaic.values, samples)
    assert "no white level" in mosaic.notes[0]

"""Raw files as written by cameras and converters: levels, orientation, active area, and files without a mosaic.

Files of shared/field/raw show the colours .030 (red), .060 (green) and .018 (blue) of the range between black and
white, except for a bright corner at the top left of the sensor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate
from ultrabm_jax.raw import Levels, read_raw
from ultrabm_jax.raw.amplification import amplification_code
from ultrabm_jax.raw.cfa import BAYER, CANONICAL
from ultrabm_jax.raw.levels import parse_levels, tile_to

pytest.importorskip("rawpy")

COLOURS = (0.030, 0.060, 0.018)
SHORT, LONG, RATIONAL, SRATIONAL = 3, 4, 5, 10  # TIFF types


@pytest.fixture
def field(shared) -> Path:
    return shared / "field" / "raw"


@pytest.fixture
def write(tmp_path):
    """`write(samples, *tags)` writes a DNG file with an RGGB mosaic and these tags alone."""

    def make(samples, *tags, photometric=32803):
        path = tmp_path / "made.dng"
        cfa = [(33421, SHORT, 2, (2, 2), True), (33422, 1, 4, bytes((0, 1, 1, 2)), True)]
        dng = [(50706, 1, 4, (1, 4, 0, 0), True), (271, 2, 0, "Maker", True), (272, 2, 0, "Model", True)]
        extra = sorted([*dng, *(cfa if photometric == 32803 else ()), *tags])
        tifffile.imwrite(path, samples, photometric=photometric, extratags=extra, metadata=None)
        return path

    return make


@pytest.mark.parametrize(
    "name", ["r10_black64", "black_4x4", "active_1_1", "cfa_grbg", "xtrans", "orient2", "orient5", "thumb_in_ifd0"]
)
def test_each_colour_has_its_value(field, name):
    mosaic = read_raw(field / f"{name}.dng")
    samples = mosaic.samples[48:]  # below the bright corner
    colours = tile_to(CANONICAL[mosaic.cfa], mosaic.samples.shape)[48:]
    assert [samples[colours == c].mean() for c in range(3)] == pytest.approx(COLOURS, abs=0.0015)
    assert amplification_code(mosaic.samples, amp_factor=0.05) == pytest.approx(2.5, abs=0.1)
    assert not mosaic.notes


@pytest.mark.parametrize("orientation", [2, 5])
def test_mirrored_files_have_their_bright_corner_in_place(field, orientation):
    mosaic = read_raw(field / f"orient{orientation}.dng")
    assert mosaic.orientation == orientation
    upright = flip_rotate(mosaic.samples, FROM_EXIF[orientation])
    bright = np.argwhere(upright > 0.4)
    assert upright.shape == {2: (96, 120), 5: (120, 96)}[orientation]
    assert bright[:, 0].max() < 30
    assert (bright[:, 1].min() > 90) if orientation == 2 else (bright[:, 1].max() < 30)
    # The light grows with the sensor's columns.
    gradient = upright[:, 40:].mean(axis=1) if orientation == 5 else upright[40:].mean(axis=0)[::-1]
    assert gradient[-10:].mean() > 1.3 * gradient[:10].mean()


def test_missing_black_level_is_noted_and_can_be_given(field):
    (note,) = read_raw(field / "no_black.dng").notes
    assert "no black level" in note
    assert "--levels BLACK,WHITE" in note
    given = read_raw(field / "no_black.dng", levels=Levels(64, 1023))
    assert not given.notes
    np.testing.assert_array_equal(given.samples, read_raw(field / "r10_black64.dng").samples)


@pytest.mark.parametrize(
    ("name", "words"),
    [("linear_rgb", "already demosaiced"), ("quad_declared", "4x4 colour filter array RRGG/RRGG/GGBB/GGBB")],
)
def test_files_without_a_mosaic_give_the_reason(field, name, words):
    with pytest.raises(UserError, match=rf"{name}\.dng: .*{words}"):
        read_raw(field / f"{name}.dng")


def test_demosaiced_and_monochrome_files(write):
    samples = np.full((60, 80, 3), 500, np.uint16)
    with pytest.raises(UserError, match="already demosaiced"):
        read_raw(write(samples, photometric=34892))
    with pytest.raises(UserError, match="monochrome"):
        read_raw(write(samples[..., 0], photometric=34892))


def test_missing_white_level_is_that_of_the_bits_and_noted(write):
    mosaic = read_raw(write(np.full((60, 80), 6553, np.uint16), (50714, LONG, 1, 0, True)))
    assert mosaic.white == 65535
    (note,) = mosaic.notes
    assert "no white level" in note
    assert mosaic.samples[0, 0] == pytest.approx(6553 / 65535)


def test_black_zero_that_the_file_states_is_not_noted(write):
    levels = [(50714, LONG, 1, 0, True), (50717, LONG, 1, 1023, True)]
    assert not read_raw(write(np.full((60, 80), 100, np.uint16), *levels)).notes


def test_black_deltas_of_rows_and_columns(write):
    """DNG: BlackLevel + BlackLevelDeltaH (by column) + BlackLevelDeltaV (by row)."""
    rows, columns = np.arange(60) % 7, np.arange(80) % 5
    black = 100 + rows[:, None] + columns
    path = write(
        (black + 300).astype(np.uint16),
        (50714, LONG, 1, 100, True),
        (50715, SRATIONAL, 80, tuple(int(v) for c in columns for v in (c, 1)), True),
        (50716, SRATIONAL, 60, tuple(int(v) for r in rows for v in (r, 1)), True),
        (50717, LONG, 1, 1100, True),
    )
    mosaic = read_raw(path)
    np.testing.assert_array_equal(mosaic.black, black)
    np.testing.assert_allclose(mosaic.samples, 300 / (1100 - black), rtol=1e-6)


@pytest.mark.parametrize("area", [(0, 0), (2, 4), (1, 1)])
def test_black_patterns_and_deltas_start_at_the_active_area(write, area):
    top, left = area
    pattern = np.arange(12).reshape(3, 4) * 2
    active = tile_to(pattern, (60, 80)) + 50 + 3 * (np.arange(80) % 4)
    samples = np.zeros((60 + top, 80 + left), np.uint16)
    samples[top:, left:] = active + 200
    path = write(
        samples,
        (50713, SHORT, 2, (3, 4), True),
        (50714, LONG, 12, tuple(int(v) for v in pattern.ravel() + 50), True),
        (50715, SRATIONAL, 80, tuple(int(v) for c in range(80) for v in (3 * (c % 4), 1)), True),
        (50717, LONG, 1, 1050, True),
        (50829, LONG, 4, (top, left, 60 + top, 80 + left), True),
    )
    mosaic = read_raw(path)
    np.testing.assert_array_equal(mosaic.values - mosaic.black[: len(mosaic.values)], 200)


def test_fractional_black_levels(write):
    path = write(np.full((60, 80), 400, np.uint16), (50714, RATIONAL, 1, (401, 4), True), (50717, LONG, 1, 1000, True))
    mosaic = read_raw(path)
    np.testing.assert_array_equal(mosaic.black, np.full((2, 2), 100.25))


def test_black_levels_that_contradict_their_size(write):
    tags = [(50713, SHORT, 2, (4, 4), True), (50714, LONG, 6, (1, 2, 3, 4, 5, 6), True)]
    with pytest.raises(UserError, match="BlackLevel has 6 values for a pattern of 4x4"):
        read_raw(write(np.full((60, 80), 400, np.uint16), *tags))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_reported(dng, orientation):
    path, _ = dng(pattern=BAYER, orientation=orientation)
    assert read_raw(path).orientation == orientation


def test_levels_flag():
    assert parse_levels("table") == "table"
    assert parse_levels("64,1023") == Levels(64, 1023)
    for text in ("guess", "64", "64,32,1", "1023,64", "-1,5", "0,nan"):
        with pytest.raises(UserError, match="--levels"):
            parse_levels(text)

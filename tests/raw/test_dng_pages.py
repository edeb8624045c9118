"""DNG files whose mosaic is not the first page, whose active area is odd, or whose samples LibRaw would rescale."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from ultrabm_jax.image import BadImage
from ultrabm_jax.raw import Levels, read_raw
from ultrabm_jax.raw.levels import normalise

pytest.importorskip("rawpy")

SHORT, LONG, BYTE = 3, 4, 1  # TIFF types
HEIGHT, WIDTH, WHITE = 48, 64, 1023
LIGHT = np.array([0.03, 0.06, 0.018])  # red, green, blue
PATTERNS = {"RGGB": (0, 1, 1, 2), "BGGR": (2, 1, 1, 0), "GRBG": (1, 0, 2, 1)}
DNG = [(50706, BYTE, 4, (1, 4, 0, 0), True), (271, 2, 0, "M", True), (272, 2, 0, "M", True)]


def mosaic(pattern, black, *, margin=(0, 0)):
    """Uniform light of the three colours, inside a margin of white samples."""
    (top, left), rows = margin, np.arange(HEIGHT)[:, None]
    columns = np.arange(WIDTH)
    light = LIGHT[np.reshape(PATTERNS[pattern], (2, 2))[rows % 2, columns % 2]]
    level = np.asarray(black)[rows % len(black), columns % len(black[0])]
    samples = np.full((HEIGHT + top, WIDTH + left), WHITE, np.uint16)
    samples[top:, left:] = np.rint(level + light * (WHITE - level))
    return samples


def tags(pattern, black, *, margin=(0, 0), extra=()):
    top, left = margin
    shape = np.shape(black)
    return sorted([
        *DNG, *extra,
        (33421, SHORT, 2, (2, 2), True), (33422, BYTE, 4, bytes(PATTERNS[pattern]), True),
        (50713, SHORT, 2, shape, True), (50714, LONG, int(np.prod(shape)), tuple(np.ravel(black).tolist()), True),
        (50717, LONG, 1, WHITE, True), (50829, LONG, 4, (top, left, HEIGHT + top, WIDTH + left), True),
    ])  # fmt: skip


def assert_light(path):
    raw = read_raw(path)
    values = normalise(raw.values, raw.black, raw.white)
    means = [values[y::2, x::2].mean() for y in (0, 1) for x in (0, 1)]
    np.testing.assert_allclose(means, LIGHT[[0, 1, 1, 2]], atol=6e-4)  # half a unit of 10 bits


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("margin", [(0, 0), (2, 2), (3, 1), (1, 0), (0, 1)])
def test_black_pattern_follows_the_active_area(tmp_path, pattern, margin):
    black = [[60, 64], [68, 90]]
    path = tmp_path / "a.dng"
    samples, extra = mosaic(pattern, black, margin=margin), tags(pattern, black, margin=margin)
    tifffile.imwrite(path, samples, photometric=32803, extratags=extra, metadata=None)
    assert_light(path)


@pytest.mark.parametrize("preview", [2, 32803])
@pytest.mark.parametrize("sub_page", [False, True])
def test_mosaic_is_the_largest_raw_page(tmp_path, preview, sub_page):
    black = (50 + 6 * np.arange(16)).reshape(4, 4).tolist()
    small = np.full((24, 32) if preview == 32803 else (24, 32, 3), 90, np.uint16 if preview == 32803 else np.uint8)
    first = [*DNG, (33421, SHORT, 2, (2, 2), True), (33422, BYTE, 4, bytes((0, 1, 1, 2)), True)]
    with tifffile.TiffWriter(tmp_path / "a.dng") as file:
        file.write(
            small, photometric=preview, subfiletype=1, metadata=None, subifds=int(sub_page),
            extratags=sorted(first) if preview == 32803 else sorted(DNG),
        )  # fmt: skip
        file.write(mosaic("RGGB", black), photometric=32803, extratags=tags("RGGB", black), metadata=None)
    assert_light(tmp_path / "a.dng")


def test_floating_point_samples_are_refused(tmp_path):
    samples = (mosaic("RGGB", [[64]]) / WHITE).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "a.dng", samples, photometric=32803, extratags=tags("RGGB", [[64]]), metadata=None
    )  # fmt: skip
    with pytest.raises(BadImage, match="floating-point samples"):
        read_raw(tmp_path / "a.dng")


def test_other_plane_colours_are_refused(tmp_path):
    for order in ((0, 1, 2), (2, 1, 0)):
        extra = tags("RGGB", [[64]], extra=[(50710, BYTE, 3, order, True)])
        path = tmp_path / f"{order[0]}.dng"
        tifffile.imwrite(path, mosaic("RGGB", [[64]]), photometric=32803, extratags=extra, metadata=None)
    assert_light(tmp_path / "0.dng")
    with pytest.raises(BadImage, match="CFAPlaneColor"):
        read_raw(tmp_path / "2.dng")


MASKED = 8  # columns left of the active area


def masked(path, *, black, pattern="RGGB", areas=(0, 0, HEIGHT, MASKED), optical=((60, 63), (70, 73))):
    """A DNG whose masked columns have `optical` at the positions of the filter array."""
    samples = mosaic(pattern, black or optical, margin=(0, MASKED))
    samples[:, :MASKED] = np.tile(optical, (HEIGHT // 2, MASKED // 2))
    extra = tags(pattern, black or optical, margin=(0, MASKED), extra=[(50830, LONG, len(areas), areas, True)])
    extra = [tag for tag in extra if black or tag[0] not in (50713, 50714)]
    tifffile.imwrite(path, samples, photometric=32803, extratags=extra, metadata=None)
    return path


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("areas", [(0, 0, HEIGHT, MASKED), (0, 0, 4, MASKED, 8, 0, HEIGHT, MASKED)])
def test_missing_black_level_is_measured_on_masked_areas(tmp_path, pattern, areas):
    path = masked(tmp_path / "a.dng", black=None, pattern=pattern, areas=areas)
    assert_light(path)
    assert read_raw(path).notes == ("the file has no black level; 66.5 is measured on its masked areas",)


@pytest.mark.parametrize("black", [[[64]], [[60, 64], [68, 90]]])
def test_stated_black_level_precedes_masked_areas(tmp_path, black):
    path = masked(tmp_path / "a.dng", black=black)
    assert_light(path)
    assert read_raw(path).notes == (f"its black level {np.mean(black):.1f} is used; its masked areas have 66.5",)
    assert read_raw(masked(tmp_path / "b.dng", black=[[64]], optical=((64, 64), (64, 65)))).notes == ()


def test_masked_areas_that_are_lit_are_refused_without_a_black_level(tmp_path):
    path = masked(tmp_path / "a.dng", black=None, areas=(0, 0, HEIGHT, MASKED + 8))
    with pytest.raises(BadImage, match=r"masked areas inside its active area; give --levels"):
        read_raw(path)
    given = read_raw(path, levels=Levels(64, WHITE))
    assert given.black.mean() == 64
    assert given.notes == ()
    assert_light(masked(tmp_path / "b.dng", black=[[64]], areas=(0, 0, HEIGHT, MASKED + 8)))

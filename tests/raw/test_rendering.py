from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.image import BadImage
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.rendering import render_reference

pytest.importorskip("rawpy")


def edges(size, *, row, column):
    """Dark but for the corner to the right of `column` and below `row`."""
    samples = np.full(size, 600, np.uint16)
    samples[row:, column:] = 9000
    return samples


def crossing(rendering):
    """The first bright (row, column) of an image, where it passes half of its range."""
    gray = rendering.astype(float).mean(axis=2)
    bright = gray > (gray.min() + gray.max()) / 2
    return int(bright.any(axis=1).argmax()), int(bright.any(axis=0).argmax())


@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_rendering_is_aligned_with_its_mosaic(tmp_path, shift, orientation):
    path = tmp_path / "edge.dng"
    samples = edges((60, 80), row=21, column=34)
    write_dng(path, samples, pattern=np.roll(BAYER, shift, (0, 1)), black=512, white=16383, orientation=orientation)
    mosaic, rendering = read_raw(path), render_reference(path)
    assert rendering.dtype == np.uint16
    assert rendering.shape == (*mosaic.values.shape, 3)
    top, left = mosaic.crop
    assert (top, left) == shift
    np.testing.assert_array_equal(mosaic.values, samples[top:, left:])
    assert crossing(rendering) == (21 - top, 34 - left)


def test_rendering_uses_the_cameras_white_balance_and_no_automatic_brightness(tmp_path):
    neutral = np.array([0.5, 1.0, 0.625])
    samples = (512 + 8000 * np.tile(neutral[BAYER], (30, 30))).astype(np.uint16)
    write_dng(tmp_path / "gray.dng", samples, pattern=BAYER, black=512, white=16383, neutral=tuple(neutral))
    rendering = render_reference(tmp_path / "gray.dng")[5:-5, 5:-5]
    light = 8000 / (16383 - 512)
    level = (1.099 * light**0.45 - 0.099) * 65535  # BT.709
    np.testing.assert_allclose(rendering.mean(axis=(0, 1)), level, rtol=0.01)
    assert np.ptp(rendering) < 0.01 * level


def test_xtrans(tmp_path):
    path = tmp_path / "edge.dng"
    write_dng(
        path, edges((517, 520), row=200, column=301), pattern=np.roll(XTRANS, (2, 1), (0, 1)), black=512, white=16383
    )
    mosaic, rendering = read_raw(path), render_reference(path)
    top, left = mosaic.crop
    assert (top, left) != (0, 0)
    assert rendering.shape == (517 - top, 520 - left, 3)
    row, column = crossing(rendering)
    assert abs(row - (200 - top)) <= 1  # 3x3 cells of mostly green: the edge may move by a pixel
    assert abs(column - (301 - left)) <= 1


def test_unrenderable_files_are_refused(tmp_path, dng):
    path, _ = dng(pattern=XTRANS)
    with pytest.raises(BadImage, match="50x62: LibRaw renders X-Trans only at 512x512 and above"):
        render_reference(path)
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 4), np.uint16))
    with pytest.raises(BadImage, match="no white balance"):
        render_reference(tmp_path / "a.npy")


def test_real_file(shared):
    path = shared / "data" / "raw" / "colorchart.dng"
    rendering = render_reference(path)
    mosaic = read_raw(path)
    assert rendering.shape == (*mosaic.values.shape, 3)
    light = mosaic.samples.reshape(578, 2, 867, 2).mean(axis=(1, 3))
    gray = (rendering[::2, ::2].mean(axis=2) / 65535) ** 2.2
    assert np.corrcoef(light.ravel(), gray.ravel())[0, 1] > 0.95

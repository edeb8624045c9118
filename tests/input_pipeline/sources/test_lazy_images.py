from __future__ import annotations

import numpy as np
import pytest

from input_pipeline import open_source
from input_pipeline.sources.lazy_images import ArrayCache, CachedImage, DownscaledImage, ImageFile
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.equalisation import equalise
from ultrabm_jax.image.resize import shrink


@pytest.mark.parametrize(("scale", "limit"), [(2, 2**20), (3, 2**20), (4, 2**20), (2, 0)])
def test_crop_of_a_downscaled_image_equals_the_crop_of_the_whole(image, tmp_path, scale, limit):
    path = image(tmp_path / "p.png", 83, 61)
    shrunk = DownscaledImage(CachedImage(ImageFile(path, (83, 61)), path, ArrayCache(limit)), scale)
    whole = shrunk.whole()
    height, width = shrunk.size
    assert whole.shape == (height, width, 3)
    rng = np.random.default_rng(0)
    for _ in range(200):
        h, w = rng.integers(1, height + 1), rng.integers(1, width + 1)
        top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
        np.testing.assert_array_equal(shrunk.crop(top, left, h, w), whole[top : top + h, left : left + w])


def test_shrinking_keeps_a_flat_image_flat():
    assert np.unique(shrink(np.full((40, 40, 3), 77, np.uint8), 4)).tolist() == [77]


def test_file_whose_size_differs_from_its_header_is_named(image, tmp_path):
    pixels = ImageFile(image(tmp_path / "p.png", 8, 9), (8, 8))
    with pytest.raises(UserError, match=r"p\.png: decodes to 9x8, its header says 8x8"):
        pixels.whole()
    with pytest.raises(UserError, match=r"p\.png: is 9x8, but its header said 8x8 before"):
        pixels.crop(0, 0, 4, 4)


def test_extra_inputs_are_cropped_with_the_image(data, pairs):
    data.update(root=str(pairs), extra_inputs=("equalised",))
    source = open_source(data, scale=2)
    whole_low, _ = source.pair(1)
    whole = equalise(whole_low)
    example = source.crop(1, patch=5, rng=np.random.default_rng(3))
    assert set(example) == {"low", "reference", "equalised"}
    tables = {tuple(low): tuple(new) for low, new in zip(whole_low.reshape(-1, 3), whole.reshape(-1, 3), strict=True)}
    for low, new in zip(example["low"].reshape(-1, 3), example["equalised"].reshape(-1, 3), strict=True):
        assert tables[tuple(low)] == tuple(new)
    data.extra_inputs = ("clahe",)
    with pytest.raises(UserError, match=r"data\.extra_inputs='clahe' is not known; choose from: equalised"):
        open_source(data, scale=2)


@pytest.mark.parametrize("name", ["p.png", "p.jpg"])
def test_a_full_cache_reads_regions_of_the_same_values(image, tmp_path, name):
    path = image(tmp_path / name, 83, 61)
    file = ImageFile(path, (83, 61))
    size = 3 * 83 * 61
    kept, full = (CachedImage(file, path, ArrayCache(limit)) for limit in (size, size - 1))
    assert kept.cache.serves(path, size)
    assert not full.cache.serves(path, size)
    for top, left, h, w in ((0, 0, 83, 61), (5, 7, 40, 33), (60, 50, 23, 11)):
        expected = file.whole()[top : top + h, left : left + w]
        np.testing.assert_array_equal(kept.crop(top, left, h, w), expected)
        np.testing.assert_array_equal(full.crop(top, left, h, w), expected)
    path.unlink()
    assert kept.whole().shape == (83, 61, 3)
    with pytest.raises(UserError, match="no such file"):
        full.crop(0, 0, 8, 8)

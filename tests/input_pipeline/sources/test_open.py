from __future__ import annotations

import logging

import numpy as np
import pytest

from input_pipeline import open_source
from input_pipeline.files.photos import SKIMAGE
from input_pipeline.sources.base import require_patch
from input_pipeline.sources.lazy_images import ArrayCache
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage
from ultrabm_jax.image.symmetry import flip_rotate


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def photos(tmp_path, image):
    for k in range(3):
        image(tmp_path / "photos" / f"trip{k}" / "p.png", 41, 37, seed=k)
    return tmp_path / "photos"


def test_crops_stay_aligned_under_all_eight_symmetries(data, pairs):
    # low is every second pixel of the reference: after flip k, its pixels are found at a fixed phase of that flip.
    data.root = str(pairs)
    source = open_source(data, scale=2)
    seen = set()
    for seed in range(100):
        low, reference = source.crop(seed % 5, patch=5, rng=np.random.default_rng(seed)).values()
        assert (low.shape, reference.shape) == ((5, 5, 3), (10, 10, 3))
        phases = {(y, x) for y in (0, 1) for x in (0, 1) if np.array_equal(reference[y::2, x::2], low)}
        assert len(phases) == 1
        whole = source.pair(seed % 5)[0]
        for symmetry in range(8):
            upright = flip_rotate(low, symmetry) if symmetry >= 4 else np.rot90(low, -symmetry)
            if any(
                np.array_equal(whole[top : top + 5, left : left + 5], upright) for top in range(8) for left in range(12)
            ):
                seen.add(symmetry)
    assert seen == set(range(8))


def test_unreadable_file_stops_with_its_name_or_is_left_out(data, pairs, caplog):
    truncate(pairs / "high" / "3.png")
    data.root = str(pairs)
    source = open_source(data, scale=2)
    assert len(source) == 5
    with pytest.raises(BadImage, match=r"high/3\.png"):
        source.pair(3)
    data.on_unreadable = "skip"
    with caplog.at_level(logging.WARNING):
        source = open_source(data, scale=2)
    assert [source.name(i) for i in range(len(source))] == ["0", "1", "2", "4"]
    assert len(caplog.records) == 1
    assert "left out 1 unreadable" in caplog.text
    assert "high/3.png" in caplog.text


def test_bad_header_is_found_on_opening(data, pairs):
    (pairs / "low" / "2.png").write_text("nothing")
    data.root = str(pairs)
    with pytest.raises(UserError, match=r"1 unreadable: .*low/2\.png: not an image"):
        open_source(data, scale=2)


def test_nothing_readable_is_an_error_even_when_skipping(data, pairs):
    for path in (pairs / "low").iterdir():
        path.write_text("nothing")
    data.update(root=str(pairs), on_unreadable="skip")
    with pytest.raises(UserError, match="none of the 5 images can be read"):
        open_source(data, scale=2)


def test_too_small_for_the_patch_is_named(data, pairs):
    data.root = str(pairs)
    source = open_source(data, scale=2)
    require_patch(source, 12)
    with pytest.raises(UserError, match=r"5 of 5 .*13x13 patch: 0 is 16x12, 1 is .*and 2 more"):
        require_patch(source, 13)


def test_whole_photos_have_fixed_darkness_and_crops_new_darkness(data, photos):
    data.update(dataset="synthetic", root=str(photos))
    source, again = (open_source(data, scale=4) for _ in range(2))
    assert [source.name(i) for i in range(3)] == ["trip0/p", "trip1/p", "trip2/p"]
    for i in range(3):
        low, reference = source.pair(i)
        assert (low.shape, reference.shape) == ((10, 9, 3), (40, 36, 3))
        np.testing.assert_array_equal(low, again.pair(i)[0])
        assert source.size(i) == (10, 9)
        assert -5 <= float(source.group(i)) <= -2.5
    crops = [source.crop(0, patch=9, rng=np.random.default_rng(k)) for k in (1, 1, 2)]
    np.testing.assert_array_equal(crops[0]["low"], crops[1]["low"])
    assert crops[0]["low"].shape == (9, 9, 3)
    assert crops[0]["reference"].shape == (36, 36, 3)
    assert not np.array_equal(crops[0]["low"], crops[2]["low"])
    data.darkness.seed = 1
    assert not np.array_equal(open_source(data, scale=4).pair(0)[0], source.pair(0)[0])


def test_photo_folder_needs_an_evaluation_folder(data, photos):
    data.update(dataset="synthetic", root=str(photos))
    with pytest.raises(UserError, match=r"set data\.eval_root"):
        open_source(data, scale=2, split="eval")
    data.eval_root = str(photos)
    assert len(open_source(data, scale=2, split="eval")) == 3
    data.root = str(photos / "nothing")
    with pytest.raises(UserError, match="nothing is not a folder"):
        open_source(data, scale=2)


def test_skimage_photos_exist_and_some_are_held_out(data):
    pytest.importorskip("skimage")
    data.update(dataset="synthetic", root="skimage")
    train, held_out = (open_source(data, scale=2, split=split) for split in ("train", "eval"))
    assert len(train) == len(SKIMAGE["train"])
    assert len(held_out) >= 3
    scenes = [{source.name(i).split("_")[0] for i in range(len(source))} for source in (train, held_out)]
    assert not scenes[0] & scenes[1]  # the two views of the motorcycle count as one scene
    for source in (train, held_out):
        require_patch(source, 128)
    brightness = [np.mean([s.arrays(i)["reference"].mean() for i in range(len(s))]) / 255 for s in (train, held_out)]
    assert abs(brightness[0] - brightness[1]) < 0.05


def test_cache_respects_its_limit_and_never_changes_results():
    made = []

    def make(value):
        made.append(value)
        return np.full(10, value, np.uint8)

    cache = ArrayCache(25)
    for _ in range(2):
        for value in range(4):
            assert (cache.get(value, lambda value=value: make(value)) == value).all()
    assert made == [0, 1, 2, 3, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        cache.get(0, lambda: make(0))[0] = 5


def test_no_cache_gives_the_same_images(data, pairs):
    data.root = str(pairs)
    cached = open_source(data, scale=2)
    data.cache_gib = 0.0
    bare = open_source(data, scale=2)
    for i in range(5):
        np.testing.assert_array_equal(cached.pair(i)[1], bare.pair(i)[1])


def test_lol(data, shared):
    root = shared / "data" / "lol_v1"
    data.update(dataset="lol", root=str(root))
    source = open_source(data, scale=2)
    names = {path.stem for path in (root / "our485" / "low").iterdir()}
    assert [source.name(i) for i in range(len(source))] == sorted(names, key=int)
    held_out = open_source(data, scale=2, split="eval")
    assert len(held_out) == 15
    low, reference = held_out.pair(0)
    assert (low.shape, reference.shape) == ((200, 300, 3), (400, 600, 3))
    assert low.mean() < reference.mean() / 2

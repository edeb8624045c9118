"""Which images train, which choose the checkpoint and which test."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from input_pipeline import open_source
from input_pipeline.files.held_out import LOL_TEST_SCENES, hold_out
from input_pipeline.files.layouts import find_pairs
from input_pipeline.files.scenes import find_scenes, take_scenes
from input_pipeline.sources.splits import name_split, training_evaluation
from ultrabm_jax.errors import UserError


def names(data, split, *, scale=2):
    source = open_source(data, scale=scale, split=split)
    return [source.name(i) for i in range(len(source))]


def structured(path, size, seed):
    """An image whose scene `seed` determines."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def bursts(tmp_path):
    """Ten scenes of two pairs each: image k is of scene k // 2."""
    for k in range(20):
        structured(tmp_path / "low" / f"{k}.png", (48, 32), k // 2)
        structured(tmp_path / "high" / f"{k}.png", (96, 64), k // 2)
    return tmp_path


def test_held_out_images_are_whole_scenes_and_no_training_images(data, bursts):
    data.update(dataset="paired", root=str(bursts), holdout=(0.2, 0.0))
    train, val = names(data, "train"), names(data, "val")
    assert len(val) == 4
    assert sorted(train + val, key=int) == [str(k) for k in range(20)]
    assert not {int(name) // 2 for name in train} & {int(name) // 2 for name in val}
    assert (names(data, "train"), names(data, "val")) == (train, val)


def test_nothing_is_held_out_by_default(data, bursts):
    data.update(dataset="paired", root=str(bursts))
    assert data.holdout == (0, 0)
    assert len(names(data, "train")) == 20
    assert training_evaluation(data, scale=2) is None
    with pytest.raises(UserError, match=r"no 'val' split.*set data\.eval_root or data\.holdout"):
        names(data, "val")


def test_eval_root_is_the_validation_set_and_leaves_the_training_images_complete(data, bursts):
    data.update(dataset="paired", root=str(bursts), eval_root=str(bursts), holdout=(0.2, 0.0))
    assert len(names(data, "train")) == len(names(data, "val")) == len(names(data, "eval")) == 20
    assert training_evaluation(data, scale=2) == "val"


def test_unreadable_references_do_not_stop_the_search_for_scenes(data, bursts):
    (bursts / "high" / "3.png").write_bytes((bursts / "high" / "3.png").read_bytes()[:100])
    data.update(dataset="paired", root=str(bursts), holdout=(0.2, 0.0), on_unreadable="skip")
    assert len(names(data, "train")) + len(names(data, "val")) == 19


def test_rellisur_uses_val_where_it_exists_and_scenes_of_train_elsewhere(data, tmp_path, image):
    for split in ("Train", "Val"):
        for scene in range(6):
            image(tmp_path / split / "NLHR" / "X2" / f"{scene:05d}.png", 16, 20)
            for exposure in ("-2.5", "-3.0"):
                image(tmp_path / split / "LLLR" / f"{scene:05d}{exposure}.png", 8, 10)
    data.update(dataset="rellisur", root=str(tmp_path), holdout=(0.34, 0.0))
    assert (len(names(data, "train")), len(names(data, "val"))) == (12, 12)
    assert training_evaluation(data, scale=2) == "val"
    shutil.rmtree(tmp_path / "Val")
    train, val = names(data, "train"), names(data, "val")
    assert (len(train), len(val)) == (8, 4)
    assert not {name[:5] for name in train} & {name[:5] for name in val}
    data.holdout = (0.0, 0.0)
    assert training_evaluation(data, scale=2) is None


def test_photos_are_held_out_by_name(data, tmp_path, image):
    for k in range(10):
        image(tmp_path / f"{k}.png", 16, 16, seed=k)
    data.update(dataset="synthetic", root=str(tmp_path))
    with pytest.raises(UserError, match=r"no val split: set data\.eval_root .* or data\.holdout"):
        names(data, "val")
    data.holdout = (0.3, 0.0)
    assert (len(names(data, "train")), len(names(data, "val"))) == (7, 3)
    assert not set(names(data, "train")) & set(names(data, "val"))


def test_split_names(data):
    assert [name_split(data, split) for split in ("train", "val", "test", "eval")] == ["train", "val", "test", "test"]
    data.eval_split = "val"
    assert name_split(data, "eval") == "val"
    data.eval_split = "validation"
    with pytest.raises(UserError, match=r"data\.eval_split='validation' is not known; choose auto, train, val, test"):
        name_split(data, "eval")


def test_lol_training_and_validation_do_not_read_the_test_images(data, tmp_path):
    for k in range(20):
        for kind in ("low", "high"):
            structured(tmp_path / "our485" / kind / f"{k}.png", (48, 32), k)
    data.update(dataset="lol", root=str(tmp_path), holdout=(0.3, 0.0))
    val = names(data, "val", scale=1)
    assert len(val) == 6
    assert not LOL_TEST_SCENES & set(val)
    assert len(names(data, "train", scale=1)) == 14


def test_lol_scenes_that_are_kept_are_those_of_the_test_images(shared):
    root = str(shared / "data" / "lol_v1")
    pairs = {split: find_pairs("lol", root, split=split, scale=1).pairs for split in ("train", "test")}
    scene = find_scenes({pair.name: pair.reference for these in pairs.values() for pair in these})
    tested = {scene[pair.name] for pair in pairs["test"]}
    shown = {pair.name for pair in pairs["train"] if scene[pair.name] in tested}
    assert shown == LOL_TEST_SCENES & {pair.name for pair in pairs["train"]}
    # The folder's validation images are those of the records lol/v1_scenes.
    alone = find_scenes({pair.name: pair.reference for pair in pairs["train"]})
    images = [scene[pair.name] for pair in pairs["train"]]
    held = take_scenes(images, set(images) - tested, most=len(alone) // 10, salt="lol_val")
    names = hold_out(alone, shares=(0.1, 0.0), split="val", dataset="lol")
    assert names == {name for name in alone if scene[name] in held}


def test_single_images_of_known_scenes_are_held_out():
    scenes = {f"{scene}_{k}": f"{scene}_0" for scene in range(12) for k in range(1 + scene % 3)}
    splits = {
        split: hold_out(scenes, shares=(0.2, 0.1), split=split, dataset="paired", by="image")
        for split in ("train", "val", "test")
    }
    assert set().union(*splits.values()) == set(scenes)
    assert {split: len(held) for split, held in splits.items()} == {"train": 18, "val": 4, "test": 2}
    trained = {scenes[name] for name in splits["train"]}
    for split in ("val", "test"):
        shown = [scenes[name] for name in splits[split]]
        assert len(set(shown)) == len(shown)
        assert set(shown) <= trained


@pytest.mark.parametrize("dataset", ["lol", "lol_drgn"])
def test_images_of_lol_that_show_a_test_scene_are_not_held_out(dataset):
    scenes = {"2": "2", "2b": "2", "2c": "2", "7": "7", "7b": "7"}
    val = hold_out(scenes, shares=(0.4, 0.0), split="val", dataset=dataset, by="image")
    assert len(val) == 1
    assert val < {"7", "7b"}


def test_images_cannot_be_held_out_of_scenes_with_one_image():
    with pytest.raises(UserError, match=r"data\.holdout_by=image leaves no 'val' images: no scene has several images"):
        hold_out({"a": "a", "b": "b"}, shares=(0.5, 0.0), split="val", dataset="paired", by="image")
    with pytest.raises(UserError, match=r"data\.holdout_by='day' is not known; choose one of: scene, image"):
        hold_out({"a": "a"}, shares=(0.5, 0.0), split="val", dataset="paired", by="day")

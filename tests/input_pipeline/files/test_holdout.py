"""data.holdout: validation and test splits of folders that have none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from input_pipeline import open_source
from input_pipeline.check import check
from input_pipeline.files.scenes import take_scenes
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError

SCENES, EACH = 12, 2  # every scene is shown by two pairs of different brightness
SPLITS = (("train", ""), ("eval", "val"), ("eval", "test"))


@pytest.fixture
def root(tmp_path):
    """low/S_K.png and high/S_K.png, 24x36, of scene S."""
    for scene in range(SCENES):
        coarse = np.random.default_rng(scene).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((36, 24), Image.Resampling.BICUBIC))
        for k in range(EACH):
            for folder, gain in (("high", 1 - 0.3 * k), ("low", 0.1)):
                (tmp_path / "own" / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray((image * gain).astype(np.uint8)).save(tmp_path / "own" / folder / f"{scene}_{k}.png")
    return tmp_path / "own"


def names(data, split, eval_split):
    data.eval_split = eval_split or "test"
    source = open_source(data, scale=1, split=split)
    return [source.name(i) for i in range(len(source))]


@pytest.mark.parametrize("dataset", ["paired", "synthetic"])
def test_the_splits_cover_the_folder_and_share_no_scene(data, root, dataset):
    data.update(dataset=dataset, root=str(root if dataset == "paired" else root / "high"), holdout=(0.25, 0.2))
    splits = [names(data, *split) for split in SPLITS]
    everything = [name for split in splits for name in split]
    assert len(everything) == len(set(everything)) == SCENES * EACH
    scenes = [{name.split("_")[0] for name in split} for split in splits]
    assert sum(map(len, scenes)) == SCENES
    assert [len(split) for split in splits] == [14, 6, 4]  # 24 pairs: at most a quarter, at most a fifth (4.8)
    assert splits == [names(data, *split) for split in SPLITS]


def test_without_holdout_all_pairs_are_training_pairs(data, root):
    data.root = str(root)
    assert len(names(data, "train", "")) == SCENES * EACH
    with pytest.raises(UserError, match=r"no 'test' split .* set data\.eval_root or data\.holdout"):
        names(data, "eval", "test")


def test_one_share_alone(data, root):
    data.update(root=str(root), holdout=(0.01, 0.0))
    assert len(names(data, "eval", "val")) == EACH  # at least one scene
    assert len(names(data, "train", "")) == (SCENES - 1) * EACH
    with pytest.raises(UserError, match=r"holds out no 'test' images; data\.eval_split can be: val"):
        names(data, "eval", "test")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"holdout": (0.5, 0.5)}, "shares of val and test, which add up to below 1"),
        ({"holdout": (-0.1, 0.5)}, "shares of val and test"),
        ({"holdout": (0.1, 0.1), "dataset": "lol"}, "only folders without splits .* lol has a test split"),
    ],
)
def test_wrong_shares_are_one_line(data, root, fields, message):
    data.update(root=str(root), **fields)
    with pytest.raises(UserError, match=message) as caught:
        open_source(data, scale=1)
    assert "\n" not in str(caught.value)


def test_a_single_scene_cannot_be_divided(data, tmp_path, image):
    for folder in ("low", "high"):
        image(tmp_path / folder / "0.png", 12, 16)
    data.update(root=str(tmp_path), holdout=(0.2, 0.0))
    with pytest.raises(UserError, match="leaves no 'train' images: the number of scenes is 1"):
        open_source(data, scale=1)


def test_an_unreadable_reference_is_reported_as_without_holdout(data, root):
    (root / "high" / "3_0.png").write_bytes(b"")
    data.update(root=str(root), holdout=(0.25, 0.0), eval_split="val")
    caught = []
    for split in ("train", "eval"):
        try:
            open_source(data, scale=1, split=split)
        except UserError as error:
            caught.append(str(error))
    assert len(caught) == 1
    assert "3_0.png" in caught[0]


def test_check_reads_both_splits(root):
    config = default_config()
    config.model.scale = 1
    config.data.update(root=str(root), holdout=(0.25, 0.2), eval_split="val")
    counts, defects = check(config)
    assert (counts, defects) == ({"train": 14, "eval": 6}, [])


def test_scenes_are_taken_by_hash_up_to_a_number_of_images():
    images = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert take_scenes(images, set(images), most=0, salt="x") == set()
    for most in range(1, 7):
        taken = take_scenes(images, set(images), most=most, salt="x")
        assert taken
        assert sum(images.count(scene) for scene in taken) <= most or len(taken) == 1
    assert take_scenes(images, {"b"}, most=6, salt="x") == {"b"}

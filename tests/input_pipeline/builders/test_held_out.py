"""Validation images of SID and of records."""

from __future__ import annotations

import shutil

import pytest

from input_pipeline import open_source
from input_pipeline.builders import open_builder


def names(data, split, *, scale=1):
    source = open_source(data, scale=scale, split=split)
    return [source.name(i) for i in range(len(source))]


@pytest.mark.parametrize("own_list", [True, False])
def test_sid_has_its_own_validation_list_or_holds_out_training_scenes(data, sid_root, tmp_path, own_list):
    root = shutil.copytree(sid_root, tmp_path / "sid")
    lists = {split: root / f"Sony_{split}_list.txt" for split in ("train", "val", "test")}
    lists["train"].write_text(lists["train"].read_text() + lists["test"].read_text())
    if not own_list:
        lists["val"].unlink()
    data.update(dataset="sid_sony", root=str(root), holdout=(0.5, 0.0))
    train, val = names(data, "train"), names(data, "val")
    assert (len(train), len(val)) == ((6, 3) if own_list else (3, 3))
    assert not {name[:5] for name in train} & {name[:5] for name in val}


@pytest.mark.parametrize(("dataset", "scale"), [("lol", 1), ("sid_sony", 1), ("synthetic", 2)])
def test_records_and_folders_hold_out_the_same_images(data, request, tmp_path, dataset, scale):
    builder, fixture = {
        "lol": ("lol/v1", "lol_root"),
        "sid_sony": ("sid/sony", "sid_root"),
        "synthetic": ("photos", "photo_root"),
    }[dataset]
    root = request.getfixturevalue(fixture)
    open_builder(builder, tmp_path, root).download_and_prepare()
    data.update(dataset=dataset, holdout=(0.3, 0.0))
    parts = {}
    for kind, place in (("folder", {"root": str(root)}), ("records", {"records": str(tmp_path)})):
        data.update({"root": "", "records": ""} | place)
        parts[kind] = {split: sorted(names(data, split, scale=scale)) for split in ("train", "val")}
    assert parts["records"] == parts["folder"]
    assert parts["folder"]["val"]


def test_a_validation_split_of_the_records_comes_before_a_fraction(data, lol_root, tmp_path):
    open_builder("lol/v1_scenes", tmp_path, lol_root).download_and_prepare()
    data.update(dataset="lol/v1_scenes", records=str(tmp_path))
    own = {split: names(data, split) for split in ("train", "val")}
    data.holdout = (0.3, 0.0)
    assert {split: names(data, split) for split in ("train", "val")} == own
    assert own["val"]

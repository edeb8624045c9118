"""The splits of a data set by their role: training, validation (which chooses the checkpoint) and test.

    train   the training split, without the images that are held out
    val     data.eval_root if it is set; else the data set's own validation split; else the share data.holdout[0] of the
            training images, held out by scene or by image (data.holdout_by, files/held_out.py)
    test    data.eval_root if it is set; else the data set's own test split; else the share data.holdout[1]
    eval    what eval.py measures: data.eval_split, where "auto" is test

Training evaluates val, or data.eval_split if that is not "auto".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from input_pipeline.files.held_out import check_shares, hold_out
from input_pipeline.files.layouts import LAYOUTS
from input_pipeline.raw_pairs.sid_lists import SID, list_file
from input_pipeline.records import find_records, record_name, split_names
from input_pipeline.sources.datasets import UNDIVIDED
from input_pipeline.sources.members import eval_members
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.listing import is_folder

SPLITS = ("train", "val", "test")
VALIDATION_NAMES = ("val", "validation")  # of records; TFDS uses the second


def name_split(data: ConfigDict, split: str) -> str:
    """The split that a role names: "train", "val" or "test"."""
    chosen = data.eval_split if split == "eval" else split
    name = "test" if chosen == "auto" else str(chosen)
    if name not in SPLITS:
        if split == "eval":
            raise UserError(f"data.eval_split={name!r} is not known; choose auto, {', '.join(SPLITS)}")
        raise UserError(f"split {split!r} is not known; choose eval, {', '.join(SPLITS)}")
    return name


def training_evaluation(data: ConfigDict, *, scale: int) -> str | None:
    """The split that training evaluates, or None if there are no validation images."""
    if data.eval_split != "auto":
        return name_split(data, "eval")
    if data.mixture and not data.eval_root:
        found = {training_evaluation(member.data, scale=scale) for member in eval_members(data)}
        return None if found == {None} else "val"  # a member without validation images is an error that names it
    return "val" if data.eval_root or has_validation(data, scale=scale) or data.holdout[0] else None


def has_validation(data: ConfigDict, *, scale: int) -> bool:
    """Whether the data set has a validation split of its own, and that split exists."""
    if data.records:
        known = split_names(find_records(data.records, record_name(data.dataset, scale=scale)))
        return any(name in known for name in VALIDATION_NAMES)
    root = Path(data.root).expanduser()
    if data.dataset in SID:
        return list_file(root, camera=SID[data.dataset], split="val").is_file()
    subsets = LAYOUTS[data.dataset].subsets if data.dataset in LAYOUTS else {}
    return "val" in subsets and is_folder(root / subsets["val"])


def holds_out(data: ConfigDict, split: str, *, scale: int) -> bool:
    """Whether `split` ("train", "val" or "test") is a part of the training images that data.holdout makes."""
    val, test = data.holdout
    check_shares((val, test))
    if data.eval_root:
        return False
    val = 0.0 if has_validation(data, scale=scale) else val
    undivided = data.dataset in UNDIVIDED and data.root != "skimage"
    return bool({"train": val or test, "val": val or (undivided and test), "test": undivided and (test or val)}[split])


def held_out_names(data: ConfigDict, split: str, scenes: Mapping[str, str]) -> set[str]:
    """The names of the training images that belong to `split`. `scenes`: the scene of each training image, by name."""
    return hold_out(scenes, shares=data.holdout, split=split, dataset=data.dataset, by=data.holdout_by)

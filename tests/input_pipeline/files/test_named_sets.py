"""The named test sets of DRGN: sizes, where they differ from LOL's split, and what check reports."""

from __future__ import annotations

import numpy as np
import pytest

from input_pipeline.check import check
from input_pipeline.files.layouts import LAYOUTS, find_pairs
from input_pipeline.files.listing import MissingData
from input_pipeline.sampling import by_hash
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image


def write_pairs(folder, names):
    for name in names:
        for kind in ("low", "high"):
            write_image(folder / kind / f"{name}.png", np.full((8, 8, 3), 0.5, np.float32))


def config(dataset, root):
    made = default_config("lw_drgn")
    made.data.update({"dataset": dataset, "root": str(root), "holdout": (0.0, 0.0)})
    return made


def test_lol_drgn_moves_five_training_pairs_to_the_test(tmp_path):
    names = [str(k) for k in range(100, 112)]
    write_pairs(tmp_path / "our485", names)
    write_pairs(tmp_path / "eval15", ["1", "22"])
    moved = set(by_hash(names, salt="lol_drgn")[:5])
    parts = {split: find_pairs("lol_drgn", str(tmp_path), split=split, scale=1).pairs for split in ("train", "test")}
    assert [pair.name for pair in parts["train"]] == [name for name in names if name not in moved]
    assert [pair.name for pair in parts["test"]] == ["1", "22", *sorted(moved, key=int)]
    assert all(pair.low.parent.name == "low" for pair in parts["test"])
    assert check(config("lol_drgn", tmp_path)) == ({"train": 7, "eval": 7}, [])


@pytest.mark.parametrize(("dataset", "count"), [("lol1000", 1000), ("test148", 148), ("voc144", 144)])
def test_a_test_set_is_checked_and_has_no_training_images(tmp_path, dataset, count):
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "low" / "c.png").write_bytes((tmp_path / "low" / "a.png").read_bytes())
    counts, defects = check(config(dataset, tmp_path))
    assert counts == {"eval": 2}
    assert [defect.kind for defect in defects] == ["unpaired"]
    assert LAYOUTS[dataset].counts == {"test": count}
    with pytest.raises(UserError, match=r"has no 'train' split \(it has: test\); set data\.eval_root"):
        find_pairs(dataset, str(tmp_path), split="train", scale=1)


def test_a_missing_test_set_states_where_to_get_it(tmp_path):
    with pytest.raises(MissingData, match="get it: 144 synthetic pairs of MBLLEN"):
        find_pairs("voc144", str(tmp_path / "none"), split="test", scale=1)

"""Images without references: any folder, and records."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from input_pipeline import eval_batches, open_source
from input_pipeline.sources.base import PairSource
from input_pipeline.sources.unreferenced import LowImages
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "night").mkdir()
    for name, shape in (("a", (8, 6, 3)), ("night/b", (4, 6, 3))):
        Image.fromarray(np.full(shape, 40, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def data(**fields):
    config = default_config().data
    config.update({"dataset": "folder", **fields})
    return config


@pytest.mark.parametrize("field", ["root", "eval_root"])
def test_a_folder_at_any_depth_gives_low_images_alone(folder, field):
    source = open_source(data(**{field: str(folder)}), scale=2, split="eval")
    assert isinstance(source, LowImages)
    assert not source.has_references
    assert PairSource.has_references
    assert [source.name(i) for i in range(len(source))] == ["a", "night/b"]
    batches = list(eval_batches(source, batch_size=1))
    assert [set(batch) for batch in batches] == [{"low", "index", "mask"}] * 2
    assert [batch["low"].shape for batch in batches] == [(1, 8, 6, 3), (1, 4, 6, 3)]
    assert (batches[0]["low"] == 40).all()


def test_they_cannot_be_used_for_training(folder):
    with pytest.raises(UserError, match=r"data\.dataset=folder: images without references cannot be used for training"):
        open_source(data(root=str(folder)), scale=2, split="train")
    source = open_source(data(root=str(folder)), scale=2, split="eval")
    for read in (source.pair, source.arrays, lambda i: source.crop(i, patch=4, rng=np.random.default_rng(0))):
        with pytest.raises(UserError, match="have no references"):
            read(0)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"missing is not a folder"):
        open_source(data(root=str(tmp_path / "missing")), scale=2, split="eval")

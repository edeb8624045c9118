"""A packed data set stays below its limit and holds the original files in the data set's layout."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.device.archive import unpack
from input_pipeline import open_source, pack
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError


@pytest.fixture
def lol(tmp_path: Path, image: Callable[..., Path]) -> Path:
    for split, count in (("our485", 6), ("eval15", 2)):
        for k in range(count):
            for side in ("low", "high"):
                image(tmp_path / "lol" / split / side / f"{k}.png", 16, 16, seed=k)
    return tmp_path / "lol"


def test_an_unpacked_archive_is_the_same_data_set_with_fewer_training_pairs(lol: Path, tmp_path: Path):
    pairs = 2 * sum(path.stat().st_size + pack.ENTRY_BYTES for path in (lol / "eval15").rglob("*.png"))
    limit = pairs + 10  # the two test pairs and about two training pairs
    target = tmp_path / "lol.zip"
    assert pack.main(["lol", str(lol), "--output", str(target), "--megabytes", str(limit / 1e6)]) == 0
    assert target.stat().st_size <= limit
    root = unpack(target, tmp_path / "unpacked")
    config = default_config()
    config.data.update({"dataset": "lol", "root": str(root)})
    assert len(open_source(config.data, scale=1, split="test")) == 2
    assert 1 <= len(open_source(config.data, scale=1, split="train")) < 6
    for path in root.rglob("*.png"):
        assert path.read_bytes() == (lol / path.relative_to(root)).read_bytes()


def test_equal_files_give_equal_archives(lol: Path, tmp_path: Path):
    for name in ("a.zip", "b.zip"):
        pack.main(["lol", str(lol), "--output", str(tmp_path / name)])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert len(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == 16


def test_a_limit_that_holds_no_pair_and_a_damaged_archive_are_errors(lol: Path, tmp_path: Path):
    with pytest.raises(UserError, match="no pair of test fits"):
        pack.choose_pairs("lol", lol, scale=1, limit=10)
    (tmp_path / "bad.zip").write_bytes(b"not a zip file")
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(tmp_path / "bad.zip", tmp_path / "folder")

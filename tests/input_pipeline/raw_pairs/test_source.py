from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from input_pipeline import open_source
from input_pipeline.loaders.batches import train_batches
from input_pipeline.raw_pairs.sid_lists import find_sid
from input_pipeline.raw_pairs.source import RawPairs, pairs_of_folder
from input_pipeline.sources.lazy_images import ArrayCache
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.rendering import render_reference

pytest.importorskip("rawpy")

BLACK = np.array([[500, 501], [502, 503]])


@pytest.fixture
def sid(tmp_path):
    """One scene with two short exposures, in the phase BGGR."""
    lines = []
    for k, time in enumerate(("0.1", "0.033")):
        lines.append(f"./Sony/short/00001_00_{time}s.dng ./Sony/long/00001_00_10s.dng ISO200 F4")
        samples = np.random.default_rng(k).integers(500, 9000, (41, 61)).astype(np.uint16)
        for name in lines[-1].split()[:2]:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_dng(path, samples, pattern=BAYER[::-1, ::-1], black=BLACK[::-1, ::-1], white=16383)
    (tmp_path / "Sony_train_list.txt").write_text("\n".join(lines))
    return tmp_path


def open_pairs(sid, limit=2**30, **options):
    frames, _ = find_sid(sid, split="train")
    pairs, defects = pairs_of_folder(frames, cfa="bayer", cache=ArrayCache(limit))
    assert not defects
    return RawPairs(pairs, **options)


def test_whole_pairs(sid):
    source = open_pairs(sid)
    assert [source.name(i) for i in range(len(source))] == ["00001_00_0.1s", "00001_00_0.033s"]
    assert [source.group(i) for i in range(len(source))] == ["-6.6", "-8.2"]
    assert source.size(0) == (40, 60)
    low, reference = source.pair(1)
    np.testing.assert_array_equal(low[..., 0], read_raw(sid / "Sony/short/00001_00_0.033s.dng").values)
    np.testing.assert_array_equal(reference, render_reference(sid / "Sony/long/00001_00_10s.dng"))
    levels = source.values(1)
    np.testing.assert_array_equal(levels["black"], BLACK)
    assert (levels["white"], levels["ratio"]) == (16383, 300)


@pytest.mark.parametrize("limit", [0, 2**30])
def test_crops_equal_windows_of_the_whole_pair(sid, limit):
    source = open_pairs(sid, limit)
    low, reference = source.pair(0)
    patches = np.lib.stride_tricks.sliding_window_view(low[..., 0], (16, 16))
    for seed in range(20):
        crop = source.crop(0, patch=16, rng=np.random.default_rng(seed))
        assert {name: (part.shape, part.dtype.name) for name, part in crop.items()} == {
            "low": ((16, 16, 1), "uint16"),
            "reference": ((16, 16, 3), "uint16"),
            "black": ((2, 2), "float32"),
            "white": ((), "float32"),
            "ratio": ((), "float32"),
        }
        found = [
            (symmetry, y, x)
            for symmetry in range(8)
            for y, x in np.argwhere((patches == unturned(crop["low"], symmetry)[..., 0]).all(axis=(2, 3)))
        ]
        ((symmetry, y, x),) = found
        np.testing.assert_array_equal(unturned(crop["reference"], symmetry), reference[y : y + 16, x : x + 16])
        whole = np.tile(BLACK, (20, 30))[y : y + 16, x : x + 16]
        np.testing.assert_array_equal(unturned(np.tile(crop["black"], (8, 8)), symmetry), whole)


def unturned(image, symmetry):
    """The inverse of symmetry.flip_rotate."""
    return np.rot90(image[:, ::-1] if symmetry >= 4 else image, -(symmetry % 4))


@pytest.mark.parametrize("loader", ["threads", "tfdata"])
def test_batches(sid, loader):
    source = open_pairs(sid)
    options = {"seed": 1, "start_step": 0, "stop_step": 2, "batch_size": 4, "patch_size": 16, "loader": loader}
    first, second = train_batches(source, **options)
    assert first["low"].shape == (4, 16, 16, 1)
    assert first["black"].shape == (4, 2, 2)
    assert first["white"].shape == first["ratio"].shape == (4,)
    assert sorted(first["ratio"]) == [100, 100, 300, 300]
    assert not np.array_equal(first["low"], second["low"])


def test_mismatched_files_are_refused(sid):
    (sid / "Sony/short/00001_00_0.1s.dng").write_bytes(b"II*\0nothing")
    small = sid / "Sony/short/00001_00_0.033s.dng"
    small.unlink()
    write_dng(small, np.zeros((40, 50), np.uint16), pattern=BAYER, black=0, white=100)
    frames, _ = find_sid(sid, split="train")
    pairs, defects = pairs_of_folder(frames, cfa="bayer", cache=ArrayCache(0))
    assert not pairs
    assert [defect.kind for defect in defects] == ["unreadable", "sizes"]
    assert "00001_00_0.033s.dng is 50x40, " in defects[1].what
    assert "00001_00_10s.dng is 60x40" in defects[1].what
    _, defects = pairs_of_folder(frames[1:], cfa="xtrans", cache=ArrayCache(0))
    assert "is a mosaic of bayer, not of xtrans" in defects[0].what


def test_arrays_and_values_of_the_in_memory_loader(sid):
    source = open_pairs(sid, bayer_aug="raw")
    low, reference = source.pair(0)
    stored = source.arrays(0)
    np.testing.assert_array_equal(stored["low"], low)
    np.testing.assert_array_equal(stored["reference"], reference)
    assert (source.cfa, source.aug) == ("bayer", "raw")
    frames, _ = find_sid(sid, split="train")
    (pair, other), _ = pairs_of_folder(frames, cfa="bayer", cache=ArrayCache(0))
    mixed = RawPairs([pair, replace(other, cfa="xtrans")])
    with pytest.raises(UserError, match=r"several kinds \(bayer, xtrans\)"):
        _ = mixed.cfa


def test_bursts_and_scenes_are_fields_of_the_config(sid):
    data = default_config("red").data
    data.update({"root": str(sid), "holdout": (0.0, 0.0)})
    lines = (sid / "Sony_train_list.txt").read_text().splitlines()
    second = lines[0].replace("short/00001_00", "short/00001_01").replace("long/00001_00", "long/00001_00")
    (sid / "Sony/short/00001_01_0.1s.dng").write_bytes((sid / "Sony/short/00001_00_0.1s.dng").read_bytes())
    (sid / "Sony_train_list.txt").write_text("\n".join([*lines, second]))
    assert len(open_source(data, scale=1, split="train")) == 3
    data.bursts = "first"
    assert len(open_source(data, scale=1, split="train")) == 2
    data.leave_out = ("00001",)
    with pytest.raises(UserError, match=r"no frame of SID.s train list remains with data\.bursts=first"):
        open_source(data, scale=1, split="train")
    data.bursts = "second"
    with pytest.raises(UserError, match=r"data\.bursts='second' is not known; choose one of: all, first"):
        open_source(data, scale=1, split="train")

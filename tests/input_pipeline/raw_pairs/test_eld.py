"""ELD: each dark frame is paired with the nearest reference; the ratio is that of ISO times exposure time."""

from __future__ import annotations

import numpy as np
import pytest

from input_pipeline import open_source
from input_pipeline.check import check
from input_pipeline.files.listing import MissingData
from input_pipeline.raw_pairs.eld import ELD, EVALUATED, find_eld
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.raw import read_raw
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.raw_file import read_exposure
from ultrabm_jax.raw.rendering import render_reference

pytest.importorskip("rawpy")

REFERENCES = {4: 6, 5: 6, 9: 11, 10: 11, 14: 16, 15: 16}
FRAMES = dict.fromkeys((1, 6, 11, 16), (800, 1.0)) | dict.fromkeys((4, 9, 14), (1600, 1 / 200))
FRAMES |= dict.fromkeys((5, 10, 15), (1600, 1 / 400))


@pytest.fixture
def eld(tmp_path):
    """One scene of a camera: the references and the frames of the evaluation."""
    for k, (iso, exposure) in FRAMES.items():
        path = tmp_path / "NikonD850" / "scene-2" / f"IMG_{k:04d}.dng"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(k).integers(500, 9000, (42, 62)).astype(np.uint16)
        write_dng(path, samples, pattern=BAYER, black=512, white=16383, iso=iso, exposure=exposure)
    return tmp_path


def config(root, **fields):
    made = default_config("red")
    made.data.update({"dataset": "eld_nikon", "root": str(root), **fields})
    return made


def test_frames_are_paired_with_the_nearest_reference_and_its_ratio(eld):
    frames, defects = find_eld(eld, dataset="eld_nikon")
    assert not defects
    assert {frame.burst: int(frame.long.stem[-4:]) for frame in frames} == REFERENCES
    assert [round(frame.ratio) for frame in frames] == [100, 200] * 3
    assert frames[0].name == "scene-2_IMG_0004"
    assert 10 * len(EVALUATED) == 60  # pairs of a camera


def test_the_header_states_iso_and_exposure(eld):
    path = eld / "NikonD850" / "scene-2" / "IMG_0004.dng"
    iso, exposure = read_exposure(path)
    whole = read_raw(path)
    assert (iso, exposure) == (whole.iso, whole.exposure)
    assert (iso, exposure) == (1600, pytest.approx(1 / 200))


def test_the_data_set_opens_for_evaluation_only(eld):
    source = open_source(config(eld).data, scale=1, split="eval")
    assert len(source) == 6
    low, reference = source.pair(0)
    np.testing.assert_array_equal(low[..., 0], read_raw(eld / "NikonD850/scene-2/IMG_0004.dng").values)
    np.testing.assert_array_equal(reference, render_reference(eld / "NikonD850/scene-2/IMG_0006.dng"))
    assert source.values(0)["ratio"] == pytest.approx(100)
    with pytest.raises(UserError, match="ELD has test images only"):
        open_source(config(eld).data, scale=1, split="train")


def test_check_counts_the_pairs_and_names_what_is_wrong(eld):
    assert check(config(eld)) == ({"eval": 6}, [])
    scene = eld / "NikonD850" / "scene-2"
    (scene / "IMG_0011.dng").unlink()
    (scene / "IMG_0015.dng").write_bytes((scene / "IMG_0015.dng").read_bytes()[:900])
    counts, defects = check(config(eld))
    assert counts["eval"] == 3
    assert {(d.kind, d.what.partition("/IMG")[2][:5]) for d in defects} == {
        ("missing file", "_0011"), ("unreadable", "_0015")
    }  # fmt: skip


def test_a_file_without_iso_is_named(eld):
    path = eld / "NikonD850" / "scene-2" / "IMG_0004.dng"
    path.unlink()
    write_dng(path, np.zeros((42, 62), np.uint16), pattern=BAYER, black=512, white=16383)
    _, defects = find_eld(eld, dataset="eld_nikon")
    assert "IMG_0004.dng" in defects[0].what
    assert "states no ISO or no exposure time" in defects[0].what


@pytest.mark.parametrize("dataset", ELD)
def test_a_missing_folder_states_the_layout(tmp_path, dataset):
    with pytest.raises(MissingData, match=rf"has no folder scene-N: .*{ELD[dataset]}/scene-N/IMG_NNNN"):
        find_eld(tmp_path, dataset=dataset)
    with pytest.raises(MissingData, match=r"data\.root is not set"):
        find_eld("", dataset=dataset)

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage
from ultrabm_jax.raw import Levels, is_raw, raw_file, read_raw, reader
from ultrabm_jax.raw.cfa import BAYER, XTRANS
from ultrabm_jax.raw.dng import write_dng
from ultrabm_jax.raw.raw_file import read_raw_size

pytest.importorskip("rawpy")

SONY = {"make": "Sony", "model": "ILCE-7SM2", "black": 512, "white": 16383}
FUJI = {"make": "FUJIFILM", "model": "X-T2", "black": 1024, "white": 16383}


@pytest.mark.parametrize("top", [0, 1])
@pytest.mark.parametrize("left", [0, 1])
def test_sony_like_bayer_in_all_four_phases(dng, top, left):
    path, samples = dng(pattern=np.roll(BAYER, (top, left), (0, 1)), iso=1600, exposure=0.033, **SONY)
    mosaic = read_raw(path)
    assert (mosaic.cfa, mosaic.crop) == ("bayer", (top, left))
    assert mosaic.values.dtype == np.uint16
    np.testing.assert_array_equal(mosaic.values, samples[top:, left:])
    np.testing.assert_array_equal(mosaic.black, np.full((2, 2), 512, np.float32))
    assert mosaic.white == 16383
    assert (mosaic.make, mosaic.model, mosaic.iso, mosaic.exposure) == ("Sony", "ILCE-7SM2", 1600, 0.033)
    assert read_raw_size(path) == samples.shape


@pytest.mark.parametrize("shift", [(0, 0), (1, 1), (2, 5), (3, 0), (5, 4)])
def test_fuji_like_xtrans_in_several_phases(dng, shift):
    path, samples = dng(pattern=np.roll(XTRANS, shift, (0, 1)), **FUJI)
    mosaic = read_raw(path)
    assert mosaic.cfa == "xtrans"
    top, left = mosaic.crop
    np.testing.assert_array_equal(np.roll(XTRANS, shift, (0, 1))[top, left:], XTRANS[0, : 6 - left])
    np.testing.assert_array_equal(mosaic.values, samples[top:, left:])
    np.testing.assert_array_equal(mosaic.black, np.full((6, 6), 1024, np.float32))


def test_black_levels_follow_their_positions(dng):
    black = np.array([[500, 501], [502, 503]])
    path, _ = dng(pattern=np.roll(BAYER, 1, 1), black=black)
    np.testing.assert_array_equal(read_raw(path).black, [[501, 500], [503, 502]])


def test_table_levels_are_used_only_when_requested_or_needed(dng):
    path, _ = dng(**{**SONY, "black": 500, "white": 15000})
    assert (read_raw(path).black[0, 0], read_raw(path).white) == (500, 15000)
    table = read_raw(path, levels="table")
    assert (table.black[0, 0], table.white) == (512, 16383)
    path, _ = dng(**{**SONY, "black": 4000, "white": 1000})
    nonsense = read_raw(path)
    assert (nonsense.black[0, 0], nonsense.white) == (512, 16383)
    path, _ = dng(black=4000, white=1000)
    with pytest.raises(BadImage, match=r"its levels are impossible \(black 4000, white 1000\)"):
        read_raw(path)
    assert read_raw(path, levels=Levels(100, None)).white == 1000
    with pytest.raises(UserError, match="choose file or table"):
        read_raw(path, levels="guess")


def test_real_files(shared):
    folder = shared / "data" / "raw"
    chart = read_raw(folder / "colorchart.dng")
    assert (chart.cfa, chart.values.shape, chart.white, chart.crop) == ("bayer", (1156, 1734), 15000, (0, 0))
    np.testing.assert_array_equal(chart.black, np.full((2, 2), 2056))
    kodak = read_raw(folder / "DC50.KDC")  # GRBG: one column is cut off
    assert (kodak.cfa, kodak.values.shape, kodak.crop) == ("bayer", (512, 767), (0, 1))
    assert (kodak.make, kodak.iso, kodak.exposure) == ("Eastman Kodak Company", 84, 0.00435)


def test_packed_arrays(shared, tmp_path):
    path = shared / "data" / "raw" / "aisp_x90_3_4_512x512x4_rggb_12bit.npy"
    mosaic = read_raw(path, levels=Levels(64, 4095))
    packed = np.load(path)
    for channel, (y, x) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        np.testing.assert_array_equal(mosaic.values[y::2, x::2], packed[..., channel])
    with pytest.raises(BadImage, match="has no levels"):
        read_raw(path)
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    with pytest.raises(BadImage, match=r"float64 \(4, 4\); expected a packed RGGB mosaic"):
        read_raw(tmp_path / "a.npy", levels=Levels(0, 1))
    np.save(tmp_path / "b.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(BadImage, match="cannot be decoded"):
        read_raw(tmp_path / "b.npy", levels=Levels(0, 1))


def test_headerless_files_are_not_guessed(shared):
    with pytest.raises(BadImage, match=r"DSC_1339_768x512_rggb.raw: not a camera raw file; .*write_dng"):
        read_raw(shared / "data" / "raw" / "DSC_1339_768x512_rggb.raw")


@pytest.mark.parametrize("name", ["colorchart.dng", "DC50.KDC"])
@pytest.mark.parametrize("part", [0.3, 0.99])
def test_truncated_files(shared, tmp_path, name, part):
    data = (shared / "data" / "raw" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(BadImage, match=f"{name}: ends before its image does"):
        read_raw(path)


def test_files_that_are_not_raw(tmp_path):
    jpeg, tiff = tmp_path / "a.arw", tmp_path / "a.dng"
    for path, kind in ((jpeg, "JPEG"), (tiff, "TIFF")):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(path, kind)
    (tmp_path / "empty.nef").touch()
    rename = "not a camera raw file; if it is an image, rename it and restore it with a model for images"
    for path, words in (
        (jpeg, f"a JPEG, {rename}"), (tiff, f"a TIFF without a mosaic, {rename}"), (tmp_path / "empty.nef", "is empty"),
        (tmp_path / "none.dng", "no such file"), (tmp_path, "a folder"),
    ):  # fmt: skip
        with pytest.raises(BadImage, match=f"{path.name}.*{words}"):
            read_raw(path)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (np.kron(BAYER, np.ones((2, 2), np.uint8)), "4x4 colour filter array RRGG/RRGG/GGBB/GGBB"),
        (np.array([[3, 4], [5, 1]]), "2x2 colour filter array CM/YG"),
        (np.array([[0, 1], [1, 3]]), "RG/GC"),
        (np.array([[0, 0], [0, 0]]), "monochrome"),
        (np.array([[0, 1], [2, 1]]), "RG/BG is not a phase"),
    ],
)
def test_unknown_filter_arrays(dng, pattern, words):
    path, _ = dng(pattern=pattern)
    with pytest.raises(BadImage, match=f"{path.name}.*{words}"):
        read_raw(path)


def test_no_mosaic_is_left_after_the_file_is_closed(dng):
    path, samples = dng()
    mosaic = read_raw(path)
    assert mosaic.values.flags.owndata
    np.testing.assert_array_equal(mosaic.values, samples)


def test_is_raw(tmp_path):
    for name in ("a.ARW", "b.raf", "c.jpg", "._d.dng"):
        (tmp_path / name).touch()
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_raw(path)] == ["a.ARW", "b.raf"]


def test_existing_dng_is_not_overwritten(dng):
    path, samples = dng()
    before = path.read_bytes()
    with pytest.raises(UserError, match="exists; move it away"):
        write_dng(path, samples, pattern=BAYER, black=0, white=1)
    assert path.read_bytes() == before


def test_unsupported_dng_values_are_refused(tmp_path):
    samples = np.zeros((30, 30), np.uint16)
    with pytest.raises(UserError, match=r"black level 0\.5 must be a whole number"):
        write_dng(tmp_path / "a.dng", samples, pattern=BAYER, black=0.5, white=1)
    with pytest.raises(UserError, match="a mosaic is uint16"):
        write_dng(tmp_path / "a.dng", samples.astype(float), pattern=BAYER, black=0, white=1)
    with pytest.raises(UserError, match="give one, or one for each position of a 2x2 pattern"):
        write_dng(tmp_path / "a.dng", samples, pattern=XTRANS, black=np.arange(36).reshape(6, 6), white=1)
    assert not list(tmp_path.iterdir())


def test_impossible_size_is_refused_before_memory_is_allocated(dng):
    path, samples = dng()
    data = bytearray(path.read_bytes())
    for tag, stored in ((256, samples.shape[1]), (257, samples.shape[0])):
        entry = next(data.index(head) for kind in (3, 4) if (head := struct.pack("<HHI", tag, kind, 1)) in data)
        assert int.from_bytes(data[entry + 8 : entry + 10], "little") == stored
        struct.pack_into("<HHII", data, entry, tag, 4, 1, 20_000)
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"claims 20000x20000 samples in \d+ bytes"):
        read_raw(path)


@pytest.mark.parametrize("function", ["read_tags", "read_metadata"])
@pytest.mark.parametrize("error", [IndexError(0), struct.error("unpack"), TypeError("no bytes")])
def test_tags_that_only_libraw_reads_give_one_line(dng, monkeypatch, function, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(raw_file if function == "read_tags" else reader, function, fail)
    path, _ = dng()
    with pytest.raises(BadImage, match="its tags cannot be read"):
        read_raw(path)


def test_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "a.dng")
    with pytest.raises(BadImage, match="pipe"):
        read_raw(tmp_path / "a.dng")


def _npy(header):
    header = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(64)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1000000, 1000000, 4)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (-1, 2, 4)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 4)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2, 4)",
        "[1, 2]",
        "(" * 100,
    ],
)
def test_wrong_npy_headers_give_one_line(tmp_path, header):
    (tmp_path / "a.npy").write_bytes(_npy(header))
    with pytest.raises(BadImage, match=r"a\.npy: cannot be decoded"):
        read_raw(tmp_path / "a.npy", levels=Levels(0, 4095))


def test_archive_named_npy_gives_one_line(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((2, 2, 4), np.uint16))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(BadImage, match="cannot be decoded"):
        read_raw(tmp_path / "a.npy", levels=Levels(0, 4095))

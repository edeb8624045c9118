from __future__ import annotations

import json
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from input_pipeline.check import main
from ultrabm_jax.raw.cfa import CANONICAL
from ultrabm_jax.raw.dng import write_dng

CONFIG = Path(__file__).with_name("defaults.py")


def run(capsys, *argv):
    status = main(list(argv))
    return status, capsys.readouterr()


def test_intact_folder(capsys, pairs):
    status, printed = run(capsys, "--paired", str(pairs), "--scale=2")
    assert status == 0
    assert printed.out == "0 defects; usable: train 5\n"


def test_scale_is_that_of_most_pairs(capsys, pairs, image):
    image(pairs / "high" / "0.png", 48, 64)
    status, printed = run(capsys, "--paired", str(pairs))
    assert status == 1
    assert "sizes: 1 " in printed.out
    assert "high/0.png: low is 16x12, reference 64x48, but scale 2" in printed.out


def test_missing_split_does_not_hide_defects_of_the_other(capsys, tmp_path, image):
    image(tmp_path / "our485" / "low" / "1.png", 8, 8)
    image(tmp_path / "our485" / "high" / "2.png", 8, 8)
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={tmp_path}"]
    status, printed = run(capsys, *argv)
    assert status == 1
    for part in ("our485/low/1.png", "our485/high/2.png", "eval15 is not a folder"):
        assert part in printed.out


def bomb(path, width, height):
    """A PNG of 60 bytes whose header claims a huge size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.fixture
def broken(tmp_path, image):
    """LOL with every defect at once. Its intact images are low/N and high/N for N = 1 to 6, in unusual formats."""
    root = tmp_path / "LOL"
    low, high = root / "our485" / "low", root / "our485" / "high"
    for k in range(1, 40):
        for folder in (low, high):
            image(folder / f"{k}.png", 16, 24, seed=k)
    pixels = np.asarray(Image.open(low / "1.png"))
    for k, mode in ((1, "L"), (2, "RGBA"), (3, "CMYK"), (4, "P"), (5, "1")):
        Image.fromarray(pixels).convert(mode).save(low / f"{k}.tif")
        (low / f"{k}.png").unlink()
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(low / "6.png")
    for k, suffix in ((10, "png"), (11, "jpg"), (12, "webp"), (13, "tif")):
        (low / f"{k}.png").unlink()
        path = image(low / f"{k}.{suffix}", 16, 24)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (low / "14.png").write_bytes(b"")
    (high / "15.png").write_bytes(bytes(500))
    (high / "16.png").write_text("<html>404</html>")
    bomb(high / "17.png", 100_000, 100_000)
    Image.fromarray(np.ones((16, 24), np.float32)).save(high / "18.tif")
    (high / "18.png").unlink()
    for k, target in ((19, "19.png"), (20, "../gone/20.png")):
        (high / f"{k}.png").unlink()
        (high / f"{k}.png").symlink_to(target)
    for k, make in ((21, os.mkfifo), (22, os.mkdir)):
        (high / f"{k}.png").unlink()
        make(high / f"{k}.png")
    half = (high / "23.png").read_bytes()
    (high / "23.png").write_bytes(half[:700] + bytes(len(half) - 700))
    image(high / "30.png", 16, 26)
    image(high / "31.jpg", 16, 24)
    (low / "32.png").unlink()
    (high / "33.png").unlink()
    Path(os.fsdecode(os.fsencode(low) + b"/\xff.png")).write_bytes(b"")
    for k in (34, 35, 36, 37, 38, 39):
        (low / f"{k}.png").unlink()
        (high / f"{k}.png").unlink()
    image(low / "34.png", 7, 24)
    image(high / "34.png", 7, 24)
    (root / "eval15" / "high").mkdir(parents=True)
    (low / "Thumbs.db").write_bytes(b"x")
    return root


REPORT = r"""
missing folder: 1 folders that do not exist or cannot be listed
  ROOT/eval15/low: there is no such folder
empty folder: 1 folders without an image
  ROOT/eval15/high (it is empty)
bad name: 1 files whose name is not UTF-8 or does not follow the data set's layout
  ROOT/our485/low/\udcff.png (not UTF-8: rename it)
duplicate name: 1 names that several files of one folder share (they differ only in the extension)
  ROOT/our485/high/31.jpg, ROOT/our485/high/31.png
unpaired: 2 images without a partner
  ROOT/our485/low/33.png (no 33.* in ROOT/our485/high)
  ROOT/our485/high/32.png (no 32.* in ROOT/our485/low)
unreadable: 14 files that cannot be read
  ROOT/our485/low/10.png: cannot be decoded (...)
  ROOT/our485/low/11.jpg: cannot be decoded (...)
  ROOT/our485/low/12.webp: cannot be decoded (...)
  ROOT/our485/low/13.tif: cannot be decoded (...)
  ROOT/our485/low/14.png: an empty file (0 bytes)
  ROOT/our485/high/15.png: begins with zeros only: an incomplete copy
  ROOT/our485/high/16.png: a web page: the download failed
  ROOT/our485/high/17.png: more than 178956970 pixels, which may be a decompression bomb; cut it into parts
  ROOT/our485/high/18.tif: floating-point images have no defined range; convert it to 8 or 16 bits
  ROOT/our485/high/19.png: a circular link
  ROOT/our485/high/20.png: a link to ../gone/20.png, which does not exist
  ROOT/our485/high/21.png: a pipe or device, not a file
  ROOT/our485/high/22.png: a folder, not a file
  ROOT/our485/high/23.png: cannot be decoded (...)
sizes: 1 pairs whose sizes do not match
  ROOT/our485/low/30.png and ROOT/our485/high/30.png: low is 24x16, reference 26x16, but scale 1 ...
too small: 1 images smaller than the training patch
  34 is 24x7, the patch is 8x8
22 defects; usable: train 17, eval 0
"""


def test_complete_report_on_every_kind_of_defect(capsys, broken):
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={broken}", "--config.model.scale=1"]
    status, printed = run(capsys, *argv, "--config.data.patch_size=8", "--config.data.downscale=never")
    assert status == 1
    text = printed.out.replace(str(broken), "ROOT")
    text = re.sub(r"(cannot be decoded) \(.*\)$", r"\1 (...)", text, flags=re.MULTILINE)  # the words are Pillow's
    text = re.sub(r"but scale 1 .*", "but scale 1 ...", text)
    text = re.sub(r"^note: .*\n", "", text, flags=re.MULTILINE)
    assert text.splitlines() == REPORT.strip().splitlines()


def test_circular_links_among_photos(capsys, tmp_path, image):
    image(tmp_path / "photos" / "1.png", 64, 64)
    (tmp_path / "photos" / "again").symlink_to(".")
    argv = [f"--config={CONFIG}", "--config.data.dataset=synthetic", f"--config.data.root={tmp_path}/photos"]
    status, printed = run(capsys, *argv, "--config.data.patch_size=8")
    assert status == 1
    assert printed.out == (
        "linked folder: 1 links to a folder that is already included\n"
        f"  {tmp_path}/photos/again leads to {tmp_path}/photos\n"
        "1 defects; usable: train 1\n"
    )


@pytest.fixture
def records(tmp_path, pairs):
    """`pairs` as two shards; gives their folder."""
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path / "records" / "paired" / "1.0.0"
    folder.mkdir(parents=True)
    info = {"name": "paired", "splits": [{"name": "train", "shardLengths": ["3", "2"]}]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    tensor = {"tensor": {"dtype": "uint8", "encoding": "bytes"}}
    features = {"low": tensor, "reference": tensor, "name": {"text": {}}, "group": {"text": {}}}
    (folder / "features.json").write_text(json.dumps({"featuresDict": {"features": features}}))

    def bytes_feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    for shard, names in enumerate(("012", "34")):
        with tf.io.TFRecordWriter(str(folder / f"paired-train.tfrecord-{shard:05}-of-00002")) as writer:
            for name in names:
                feature = {"name": bytes_feature(name.encode()), "group": bytes_feature(b"")}
                for key, part in (("low", "low"), ("reference", "high")):
                    pixels = np.asarray(Image.open(pairs / part / f"{name}.png"))
                    feature[f"{key}/value"] = bytes_feature(pixels.tobytes())
                    feature[f"{key}/shape"] = tf.train.Feature(int64_list=tf.train.Int64List(value=pixels.shape))
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return folder


def test_records(capsys, records, pairs):
    argv = [f"--config={CONFIG}", f"--config.data.records={records.parents[1]}", "--config.data.patch_size=8"]
    argv += [f"--config.data.eval_root={pairs}"]
    status, printed = run(capsys, *argv)
    assert (status, printed.out, printed.err) == (0, "0 defects; usable: train 5, eval 5\n", "")

    shards = sorted(records.glob("*tfrecord*"))
    whole = [shard.read_bytes() for shard in shards]
    damaged = bytearray(whole[0])
    damaged[2000] ^= 1  # a pixel: lengths and shapes are as they were
    damages = {
        "truncated": (0, whole[0][: len(whole[0]) // 2]),
        "wrong checksum": (0, bytes(damaged)),
        "empty file": (1, b""),
    }
    for words, (shard, content) in damages.items():
        shards[shard].write_bytes(content)
        status, printed = run(capsys, *argv)
        lines = printed.out.splitlines()
        assert status == 1
        assert lines[0] == "shard: 1 record shards that are missing or damaged"
        assert lines[1].startswith(f"  {shards[shard]}: ")
        assert words in lines[1]
        assert lines[2:] == ["1 defects; usable: train 0, eval 5"]
        shards[shard].write_bytes(whole[shard])
    shards[1].unlink()
    assert f"{shards[1]}: cannot be opened" in run(capsys, *argv)[1].out
    shutil.rmtree(records)
    status, printed = run(capsys, *argv)
    assert status == 1
    assert "holds no prepared data set: run `python -m input_pipeline.prepare paired" in printed.out


def dng(path, pattern=CANONICAL["bayer"]):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(512, 16383, (64, 96), dtype=np.uint16)
    write_dng(path.with_suffix(".dng"), values, pattern=pattern, black=512, white=16383)
    path.with_suffix(".dng").rename(path)
    return path


def test_camera_raw(capsys, tmp_path):
    dng(tmp_path / "a" / "good.dng")
    cut = dng(tmp_path / "cut.dng")
    cut.write_bytes(cut.read_bytes()[:3000])
    dng(tmp_path / "odd.dng", np.array([[0, 0], [1, 2]]))
    (tmp_path / "empty.ARW").write_bytes(b"")
    (tmp_path / "gone.nef").symlink_to("nowhere.nef")
    os.mkfifo(tmp_path / "pipe.raf")
    (tmp_path / "notes.txt").write_text("x")
    status, printed = run(capsys, "--raw", str(tmp_path))
    lines = printed.out.splitlines()
    assert status == 1
    assert lines[0] == "unreadable: 5 files that cannot be read"
    for name, words in {
        "cut.dng": "", "empty.ARW": "empty", "gone.nef": "does not exist", "odd.dng": "RR/GB", "pipe.raf": "a pipe"
    }.items():  # fmt: skip
        (line,) = [line for line in lines if f"/{name}: " in line]
        assert words in line
    assert lines[-1] == "5 defects; usable: raw 1"


def test_sid_lists_and_their_files(capsys, tmp_path):
    for kind, name in (("short", "00001_00_0.1s"), ("short", "00001_01_0.1s"), ("long", "00001_00_10s")):
        dng(tmp_path / "Sony" / kind / f"{name}.ARW")
    line = "./Sony/short/00001_0{}_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8\n"
    text = line.format(0) + line.format(1) + line.format(2) + "./Sony/short nothing\n"
    for split in ("train", "val"):
        (tmp_path / f"Sony_{split}_list.txt").write_text(text if split == "train" else line.format(0))
    broken = tmp_path / "Sony" / "short" / "00001_01_0.1s.ARW"
    broken.write_bytes(broken.read_bytes()[:100])
    status, printed = run(capsys, "--raw", str(tmp_path))
    assert status == 1
    assert "bad list line: 1 " in printed.out
    assert "Sony_train_list.txt:4: " in printed.out
    assert f"{tmp_path}/Sony/short/00001_02_0.1s.ARW (named in Sony_train_list.txt)" in printed.out
    assert "Sony_test_list.txt is not there" in printed.out
    assert f"unreadable: 1 files that cannot be read\n  {broken}: " in printed.out
    assert printed.out.splitlines()[-1] == "4 defects; usable: sony train 1, sony val 1"
    argv = [f"--config={CONFIG}", "--config.data.dataset=sid_sony", f"--config.data.root={tmp_path}"]
    assert run(capsys, *argv) == (status, printed)
    status, printed = run(capsys, "--raw", str(tmp_path / "nowhere"))
    assert (status, printed.out) == (1, "")
    assert printed.err.startswith(f"error: {tmp_path}/nowhere is not a folder: ")


def test_config_checks_both_splits_and_the_patch(capsys, tmp_path, image):
    for part in ("our485", "eval15"):
        for k in range(2):
            image(tmp_path / part / "low" / f"{k}.png", 40, 40 + k)
            image(tmp_path / part / "high" / f"{k}.png", 40, 40 + k)
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={tmp_path}"]
    status, printed = run(capsys, *argv)
    assert status == 1
    assert "too small: 2 " in printed.out
    status, printed = run(capsys, *argv, "--config.data.patch_size=16")
    assert status == 0
    assert printed.out.splitlines()[-1] == "0 defects; usable: train 2, eval 2"
    status, printed = run(
        capsys, *argv, "--config.data.patch_size=16", "--config.train.stages=((2, 8, 16), (1, 1, 32))"
    )
    assert "the patch is 32x32" in printed.out


def test_missing_and_empty_folders(capsys, tmp_path):
    status, printed = run(capsys, "--paired", str(tmp_path / "nothing"))
    assert status == 1
    assert printed.err.startswith("error: ")
    assert "nothing is not a folder: point --paired at" in printed.err
    assert printed.err.count("\n") == 1
    (tmp_path / "low").mkdir()
    status, printed = run(capsys, "--paired", str(tmp_path))
    assert status == 1
    assert "empty folder: 1" in printed.out
    assert "missing folder: 1" in printed.out


@pytest.mark.parametrize("override", ["--config.data.rot=x", "--config.data.workers=x", "--nothing"])
def test_wrong_options_give_one_line(capsys, override):
    status, printed = run(capsys, f"--config={CONFIG}", override)
    assert status == 1
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert override.split("=")[0].split(".")[-1].lstrip("-") in printed.err


def test_subset_of_a_data_set_gives_a_note(capsys, shared):
    argv = [f"--config={CONFIG}", "--config.data.dataset=lol", f"--config.data.root={shared}/data/lol_v1"]
    status, printed = run(capsys, *argv)
    assert (status, printed.err) == (0, "")
    count = len(list((shared / "data" / "lol_v1" / "our485" / "low").iterdir()))
    assert count < 485
    note = f"note: lol train: {count} pairs; published are 485\n"
    assert printed.out == f"{note}0 defects; usable: train {count}, eval 15\n"


def test_real_lol(capsys, shared):
    status, printed = run(capsys, "--paired", str(shared / "data" / "lol_v1" / "eval15"), "--scale=2")
    assert (status, printed.out) == (0, "0 defects; usable: train 15\n")

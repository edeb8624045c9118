"""Finished shards survive a kill, are reused and never mixed with another source; processes write equal bytes."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from input_pipeline.builders import open_builder  # noqa: E402
from input_pipeline.builders.writing import only_writer  # noqa: E402
from ultrabm_jax.errors import UserError  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
# Two examples per shard; the process kills itself while it writes the third shard of four.
KILLED = """
import os, signal, sys
from input_pipeline.builders import open_builder
from input_pipeline.builders.photos import Photos
from input_pipeline.builders.shards import read_images

def read(entry):
    if entry.name == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return read_images(entry)

Photos.read = property(lambda self: read)
builder = open_builder("photos", sys.argv[1], sys.argv[2])
builder.shard_bytes = 2 * 3 * 14 * 20
builder.download_and_prepare()
"""
# The parent of two workers kills itself; the workers must not outlive it. A module, for spawn imports it again.
ORPHANS = """
import os, signal, sys, time
from input_pipeline.builders.writing import write_all

def work(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    paths = sys.argv[1:]
    import threading
    def kill():
        while not all(os.path.exists(path) and os.path.getsize(path) for path in paths):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=kill, daemon=True).start()
    list(write_all(paths, work, processes=2))
"""


def photos_builder(data_dir, root):
    builder = open_builder("photos", data_dir, root)
    builder.shard_bytes = 2 * 3 * 14 * 20
    return builder


def run_script(code, *arguments, folder):
    script = folder / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, script, *map(str, arguments)], env=environment, timeout=120, check=False)


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*tfrecord*"))}


def identity(path):
    return path.stat().st_ino, path.stat().st_mtime_ns


@pytest.fixture(scope="module")
def whole(photo_root, tmp_path_factory):
    """The shards of a preparation that nothing disturbed."""
    builder = photos_builder(tmp_path_factory.mktemp("whole"), photo_root)
    builder.download_and_prepare()
    return shards(Path(builder.data_dir))


@pytest.fixture(scope="module")
def killed_once(photo_root, tmp_path_factory):
    """A folder with photos/ and records/ after a kill in the middle of the third of four shards."""
    folder = tmp_path_factory.mktemp("killed")
    shutil.copytree(photo_root, folder / "photos")
    assert run_script(KILLED, folder / "records", folder / "photos", folder=folder).returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def killed(killed_once, tmp_path):
    """(builder, staging folder, photos) of a copy of it."""
    folder = Path(shutil.copytree(killed_once, tmp_path / "killed"))
    builder = photos_builder(folder / "records", folder / "photos")
    (staging,) = builder.staging
    assert len(list(staging.glob("*-of-00004"))) == 2
    assert len(list(staging.glob("*.unfinished"))) == 1
    assert not builder.data_path.exists()
    return builder, staging, folder / "photos"


def test_shards_hold_a_fixed_number_in_natural_order(whole):
    assert list(whole) == [f"photos-train.tfrecord-{k:05}-of-00004" for k in range(4)]
    assert [content.count(b"name") for content in whole.values()] == [2, 2, 2, 1]


def test_restart_keeps_finished_shards_and_writes_the_same_bytes(killed, whole, capsys):
    builder, staging, _ = killed
    finished = {path.name: identity(path) for path in staging.glob("*-of-00004")}
    builder.download_and_prepare()
    final = Path(builder.data_dir)
    assert {name: identity(final / name) for name in finished} == finished
    assert shards(final) == whole
    assert builder.staging == []
    assert "2 of 4 shards are already finished" in capsys.readouterr().err
    assert builder.info.splits["train"].shard_lengths == [2, 2, 2, 1]
    assert builder.info.splits["train"].num_bytes == sum(map(len, whole.values()))


def test_shards_of_a_changed_source_are_not_reused(killed, whole, capsys):
    builder, staging, photos = killed
    os.utime(photos / "2.png", ns=(1, 1))
    builder.download_and_prepare()
    printed = capsys.readouterr().err
    assert f"{staging}: unfinished records of a source that has changed; removed when" in printed
    assert "already finished" not in printed
    assert shards(Path(builder.data_dir)) == whole
    assert builder.staging == []


def test_bad_file_is_named_and_finished_shards_are_kept(photos_copy, tmp_path, whole):
    bad = photos_copy / "3.png"
    good = bad.read_bytes()
    times = (bad.stat().st_atime_ns, bad.stat().st_mtime_ns)
    bad.write_bytes(good[:-60] + bytes(60))  # its header is sound
    os.utime(bad, ns=times)
    builder = photos_builder(tmp_path / "records", photos_copy)
    with pytest.raises(UserError, match=r"photos/3\.png: ") as caught:
        builder.download_and_prepare()
    assert "\n" not in str(caught.value)
    (staging,) = builder.staging
    before = {path: identity(path) for path in staging.glob("*-of-00004")}
    assert len(before) == 2
    bad.write_bytes(good)
    os.utime(bad, ns=times)  # the same name, size and time: the same source
    builder.download_and_prepare()
    assert shards(Path(builder.data_dir)) == whole


def test_two_processes_report_a_bad_file_and_write_the_same_bytes_as_one(photos_copy, tmp_path, whole):
    last = photos_copy / "5.png"
    good, times = last.read_bytes(), (last.stat().st_atime_ns, last.stat().st_mtime_ns)
    last.write_bytes(good[:-60] + bytes(60))
    os.utime(last, ns=times)
    builder = photos_builder(tmp_path / "records", photos_copy)
    builder.processes = 2
    with pytest.raises(UserError, match=r"photos/5\.png: "):
        builder.download_and_prepare()
    (staging,) = builder.staging
    assert shards(staging).keys() >= set(list(whole)[:3])
    last.write_bytes(good)
    os.utime(last, ns=times)
    builder.download_and_prepare()  # one shard: in this process
    assert shards(Path(builder.data_dir)) == whole


def test_workers_end_with_their_parent(tmp_path):
    files = [tmp_path / "0", tmp_path / "1"]
    assert run_script(ORPHANS, *files, folder=tmp_path).returncode == -signal.SIGKILL
    workers = [int(file.read_text()) for file in files]
    deadline = time.monotonic() + 20
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "a worker continues without its parent"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_only_one_process_writes_a_folder(tmp_path):
    with only_writer(tmp_path), pytest.raises(UserError, match="another process is writing"), only_writer(tmp_path):
        pass
    with only_writer(tmp_path):
        pass


def test_plain_tfds_uses_the_same_code(photos_copy, tmp_path, whole):
    config = tfds.download.DownloadConfig(manual_dir=photos_copy)
    kwargs = {"download_and_prepare_kwargs": {"download_config": config}}
    loaded = list(tfds.as_numpy(tfds.load("photos", split="train", data_dir=tmp_path / "records", **kwargs)))
    assert [example["name"] for example in loaded] == [b"trip/6", b"trip/7", b"1", b"2", b"3", b"4", b"5"]
    (shard,) = shards(tmp_path / "records" / "photos" / "1.0.0").values()
    assert shard == b"".join(whole.values())


def test_counts_that_differ_from_the_published_ones_give_a_warning(rellisur_root, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        open_builder("rellisur/x1", tmp_path, rellisur_root).download_and_prepare()
    for part in ("train: 15 pairs; published are 3610", "test_reference: 2 examples; published are 85"):
        assert caplog.text.count(part) == 1

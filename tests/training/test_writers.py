import json
import math
import sys

import numpy as np
import pytest
from etils import epath

from ultrabm_jax.training.writers import JsonLines, MultiWriter, ObjectLines, open_writer


def lines(path):
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(line, parse_constant=no_constant) for line in path.read_text().splitlines()]


def test_lines_are_json_with_a_name_for_each_value(tmp_path):
    writer = JsonLines(tmp_path / "train.jsonl")
    writer.write_scalars(1, {"loss/r": np.float32(0.5), "eval/psnr_rgb": math.inf})
    writer.write_scalars(2, {"loss/r": 0.25})
    assert lines(tmp_path / "train.jsonl") == [
        {"step": 1, "loss/r": 0.5, "eval/psnr_rgb": None},
        {"step": 2, "loss/r": 0.25},
    ]


def test_resumed_run_drops_the_lines_that_it_writes_again(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"step": 2, "a": 1}\n{"step": 4, "a": 2}\n{"step": 4, "eval/x": 3}\n{"step": 6, "a": 4}\n{"step": 3, "a'
    )
    writer = JsonLines(path, after=4)
    writer.write_scalars(6, {"a": 5})
    writer.close()
    assert [(line["step"], line.get("a")) for line in lines(path)] == [(2, 1), (4, 2), (4, None), (6, 5)]
    assert not path.with_suffix(".tmp").exists()


def test_an_object_is_written_as_a_whole_when_flushed(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"step": 2, "a": 1}\n{"step": 6, "a": 4}\n')
    writer = ObjectLines(path, after=4)
    writer.write_scalars(6, {"a": math.nan})
    assert [line["step"] for line in lines(path)] == [2, 6]
    writer.flush()
    assert lines(path) == [{"step": 2, "a": 1}, {"step": 6, "a": None}]
    writer.write_scalars(8, {"a": 6})
    writer.close()
    assert [line["step"] for line in lines(path)] == [2, 6, 8]
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_a_bucket_has_no_tensorboard_files(tmp_path):
    writer, note = open_writer(epath.Path(tmp_path), main_process=True)  # not a pathlib.Path, as a path in a bucket
    writer.write_scalars(1, {"a": 1.0})
    writer.close()
    assert note == "no TensorBoard files in a bucket, only train.jsonl"
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_only_the_main_process_writes(tmp_path):
    writer, note = open_writer(tmp_path, main_process=False)
    writer.write_scalars(1, {"a": 1.0})
    writer.close()
    assert note is None
    assert not list(tmp_path.iterdir())


def test_without_clu_a_note_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)
    writer, note = open_writer(tmp_path, main_process=True)
    writer.write_scalars(1, {"a": 1.0})
    writer.write_images(1, {"p": np.zeros((1, 2, 2, 3), np.float32)})
    writer.close()
    assert note.startswith("no TensorBoard files, only train.jsonl (")
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_with_clu_there_are_tensorboard_files(tmp_path):
    pytest.importorskip("clu.metric_writers")
    writer, note = open_writer(tmp_path, main_process=True)
    writer.write_scalars(1, {"a": 1.0})
    writer.write_images(1, {"p": np.zeros((1, 2, 2, 3), np.float32)})
    writer.close()
    assert note is None
    assert any(path.name.startswith("events.out.tfevents") and path.stat().st_size > 0 for path in tmp_path.iterdir())


class Broken:
    """Fails while `full`."""

    full = True
    written = 0

    def write_scalars(self, step, scalars):
        if self.full:
            raise OSError(28, "No space left on device")
        self.written += 1

    write_images = write_scalars

    def flush(self):
        self.write_scalars(0, {})

    close = flush


def test_failing_writer_is_logged_once_and_affects_nothing_else(tmp_path, logged):
    broken = Broken()
    writer = MultiWriter({"a.log": broken, "train.jsonl": JsonLines(tmp_path / "train.jsonl")})
    writer.write_scalars(1, {"a": 1.0})
    writer.write_images(1, {})
    assert logged == ["warning: a.log cannot be written ([Errno 28] No space left on device); training continues"]
    broken.full = False
    writer.write_scalars(2, {"a": 1.0})
    assert broken.written == 1
    broken.full = True
    writer.close()
    assert len(logged) == 2
    assert [line["step"] for line in lines(tmp_path / "train.jsonl")] == [1, 2]


def test_lines_that_did_not_fit_are_written_later_in_full(tmp_path):
    class Disk:
        def __init__(self, free):
            self.free, self.content = free, b""

        def write(self, data):
            if not self.free:
                raise OSError(28, "No space left on device")
            data, self.free = data[: self.free], self.free - len(data[: self.free])
            self.content += data
            return len(data)

    log = JsonLines(tmp_path / "train.jsonl")
    log._file = disk = Disk(free=30)
    log.write_scalars(1, {"a": 1})
    for step in (2, 3):
        with pytest.raises(OSError, match="No space left"):
            log.write_scalars(step, {"a": 1})
    disk.free = 1000
    log.write_scalars(4, {"a": 1})
    assert [json.loads(line)["step"] for line in disk.content.splitlines()] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"\x00\xff\xfe", b'{"step": 1}\n\xff\n'])
def test_a_damaged_log_does_not_stop_a_run(tmp_path, content):
    (tmp_path / "train.jsonl").write_bytes(content)
    writer = JsonLines(tmp_path / "train.jsonl", after=1)
    writer.write_scalars(2, {})
    assert lines(tmp_path / "train.jsonl")[-1] == {"step": 2}


def test_unopenable_log_gives_a_note(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)
    (tmp_path / "train.jsonl").mkdir()
    writer, note = open_writer(tmp_path, main_process=True)
    assert "no train.jsonl (" in note
    writer.write_scalars(1, {"a": 1.0})
    writer.close()

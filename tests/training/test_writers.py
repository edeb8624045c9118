import json
import math
import sys

import numpy as np
import pytest

from ultrabm_jax.training.writers import JsonLines, open_writer


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


def test_a_run_that_goes_on_drops_what_it_will_write_again(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"step": 2, "a": 1}\n{"step": 4, "a": 2}\n{"step": 4, "eval/x": 3}\n{"step": 6, "a": 4}\n{"step": 3, "a'
    )
    writer = JsonLines(path, after=4)
    writer.write_scalars(6, {"a": 5})
    writer.close()
    assert [(line["step"], line.get("a")) for line in lines(path)] == [(2, 1), (4, 2), (4, None), (6, 5)]
    assert not path.with_suffix(".tmp").exists()


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

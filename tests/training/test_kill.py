"""A run that is killed by SIGKILL at any time and restarted ends bitwise equal to an uninterrupted one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quick_xla

TINY = Path(__file__).with_name("tiny.py")
STEPS = 24
# Lines of train.jsonl at which each attempt is killed: before the first checkpoint, in the first stage, in the second.
KILLS = (2, 9, 19)


@pytest.fixture
def command(pairs, tmp_path):
    """The command of a run over two stages in a workdir of that name; a step takes at least `pause` seconds."""

    def make(name, pause):
        overrides = {"data.root": str(pairs), "data.eval_root": str(pairs), "train.steps": STEPS, "eval.every": 8}
        overrides |= {"checkpoint.every": 3, "train.stages": ((5, 4, 16), (7, 2, 16))}
        return [sys.executable, str(TINY), str(tmp_path / name), json.dumps(overrides), str(pause)]

    return make


@pytest.fixture
def without_clu(tmp_path):
    """An environment in which neither CLU nor TensorFlow can be imported, as on many GPU images."""
    (tmp_path / "bare" / "clu").mkdir(parents=True)
    (tmp_path / "bare" / "tensorflow").mkdir()
    for package in ("clu", "tensorflow"):
        (tmp_path / "bare" / package / "__init__.py").write_text("raise ImportError('not on this machine')")
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(tmp_path / "bare"), "XLA_FLAGS": quick_xla.FLAGS}


def finish(command, env):
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1], done.stderr


def kill_at(count, command, env, log):
    """Starts the command and kills it once its log has `count` lines; returns its output."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (log.exists() and log.read_text().count("loss/total") >= count):
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()[-3000:]
    process.kill()
    return process.communicate()[1]


def logged(workdir):
    return [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]


def test_killed_run_resumes_to_the_same_result(command, without_clu, tmp_path):
    expected, said = finish(command("whole", 0), without_clu)
    assert "starting at step 0 of 24" in said
    assert "note: no TensorBoard files, only train.jsonl (not on this machine)" in said

    for count in KILLS:
        said = kill_at(count, command("killed", 0.1), without_clu, tmp_path / "killed" / "train.jsonl")
    assert "resuming from checkpoint" in said
    result, said = finish(command("killed", 0), without_clu)
    assert "resuming from checkpoint" in said
    assert result == expected

    whole, killed = logged(tmp_path / "whole"), logged(tmp_path / "killed")
    for line in (*whole, *killed):
        line.pop("images_per_second", None)
    assert killed == whole

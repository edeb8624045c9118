"""Tests that take too long for every change: twenty kills, and the same run on 8, 4, 1 and 8 devices. `make soak`."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quick_xla

pytestmark = pytest.mark.soak
TINY = Path(__file__).with_name("tiny.py")
KILLS = 20
STEPS = 600
EVERY = 7  # steps between checkpoints


@pytest.fixture
def start(pairs, tmp_path):
    (tmp_path / "bare" / "clu").mkdir(parents=True)
    (tmp_path / "bare" / "clu" / "__init__.py").write_text("raise ImportError('left out')")
    env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(tmp_path / "bare")}

    def launch(name, overrides, *, pause=0.0, devices=1):
        roots = {"data.root": str(pairs), "data.eval_root": str(pairs)}
        flags = f"--xla_force_host_platform_device_count={devices} {quick_xla.FLAGS}"
        command = [sys.executable, str(TINY), str(tmp_path / name), json.dumps(roots | overrides), str(pause)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=env | {"XLA_FLAGS": flags}, **pipes)

    return launch


def finish(process):
    out, said = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]
    return out.splitlines()[-1], said


def whole_checkpoints(workdir):
    folder = workdir / "checkpoints"
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.exists() else []


def unfinished_checkpoints(workdir):
    return list((workdir / "checkpoints").glob("*tmp*"))


def last_logged(workdir):
    path = workdir / "train.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def kill_at_random(process, workdir, generator):
    """A fifth of the kills fall into the start of the process, the others into training."""
    if generator.random() < 0.2:
        moment = generator.uniform(0.0, 3.0)
    else:
        line = ""
        while "starting at" not in line and "resuming from" not in line:
            line = process.stderr.readline()
            assert line, "ended by itself"
        before = last_logged(workdir)
        while last_logged(workdir) == before and process.poll() is None:
            time.sleep(0.01)
        moment = generator.uniform(0.0, 1.0)
    time.sleep(moment)
    assert process.poll() is None, "finished before it was killed"
    process.kill()
    process.communicate()


def test_twenty_kills_do_not_change_the_result(start, tmp_path):
    overrides = {"train.steps": STEPS, "checkpoint.every": EVERY, "eval.every": 50}
    expected, _ = finish(start("whole", overrides))
    workdir, lost, in_a_save = tmp_path / "killed", [], 0
    for seed in range(KILLS):
        process = start("killed", overrides, pause=0.05)
        kill_at_random(process, workdir, random.Random(seed))
        newest = max(whole_checkpoints(workdir), default=0)
        in_a_save += bool(unfinished_checkpoints(workdir)) if newest else 0
        lost.append(max(last_logged(workdir) - newest, 0))
        # A save may still be in progress when the next one is due, which then waits for it.
        assert lost[-1] <= 2 * EVERY
    result, said = finish(start("killed", overrides))
    assert f"resuming from checkpoint {newest} of {STEPS}" in said
    assert result == expected
    print(f"\n{KILLS} kills, {in_a_save} of them in a save; steps made again after each: {lost}; the same final state")


def test_restored_state_does_not_depend_on_the_number_of_devices(start):
    """Each machine first restores what the previous one saved, then continues."""
    base = {"data.batch_size": 8, "model.semantic": "vgg16", "eval.every": 0}
    chain = [(8, {"mesh.fsdp": 2}), (4, {"mesh.fsdp": 4}), (1, {}), (8, {})]
    saved = None
    for k, (devices, mesh) in enumerate(chain):
        if saved is not None:
            restored, said = finish(start("run", base | mesh | {"train.steps": 2 * k}, devices=devices))
            assert f"{devices} cpu device(s)" in said
            assert f"nothing to do: the run has finished its {2 * k} steps" in said
            assert restored == saved
        saved, _ = finish(start("run", base | mesh | {"train.steps": 2 * k + 2}, devices=devices))


@pytest.mark.parametrize("model", ["ultrabm", "red", "lolisrflow"])
def test_resumed_run_of_a_real_network_equals_an_uninterrupted_run(python, tmp_path, model):
    """DRGN: test_phases.py. Code shared by all methods is tested with tiny networks."""
    done = python("tests/training/resumed.py", model, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["1"] == report["2"] == report["whole"]

"""The same run in one process and in several, which connect over the loopback interface."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import quick_xla
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.training.distributed import allgather, broadcast_flag, initialize_distributed, on_main_process

SCRIPT = Path(__file__).with_name("several.py")
STEPS = 10
# Two sums in another order; as between meshes (test_sharding.py).
TOLERANCE = 2e-6


@pytest.fixture
def start(pairs, tmp_path):
    """`start(name, processes=2, devices=1, ...)` -> the processes, which train tmp_path/name."""
    (tmp_path / "bare" / "clu").mkdir(parents=True)
    (tmp_path / "bare" / "clu" / "__init__.py").write_text("raise ImportError('left out')")
    roots = {"data.root": str(pairs), "data.eval_root": str(pairs), "eval.baselines": (), "eval.speed": False}
    running = []

    def launch(name, *, processes, devices, pause=0.0, evaluate=(), **overrides):
        settings = roots | {"train.steps": STEPS, "eval.every": 5, "eval.protocols": ("psnr_rgb", "ssim_rgb")}
        settings |= {"model.semantic": "vgg16", "train.grad_clip": 0.0} | overrides
        command = [sys.executable, str(SCRIPT), str(tmp_path / name), json.dumps(settings), str(pause), *evaluate]
        env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(tmp_path / "bare")}
        env["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices} {quick_xla.FLAGS}"
        if processes > 1:
            env |= {"ULTRABM_COORDINATOR": f"localhost:{free_port()}", "ULTRABM_PROCESSES": str(processes)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(command, env=env | {"ULTRABM_PROCESS": str(k)}, **pipes) for k in range(processes)]
        running.extend(started)
        return started

    yield launch
    for process in running:
        process.kill()
        process.communicate()


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def finish(processes):
    """Standard output and error of each process."""
    said = [process.communicate(timeout=550) for process in processes]
    assert not any(process.returncode for process in processes), said[0][1][-3000:] + said[-1][1][-3000:]
    return said


def logged(workdir):
    path = workdir / "train.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def losses(workdir):
    kept = [{name: v for name, v in line.items() if name != "images_per_second"} for line in logged(workdir)]
    return [line for line in kept if "loss/total" in line]


def scores(output):
    with open(output / "per_image.csv", newline="") as file:
        return list(csv.reader(file)), json.loads((output / "metrics.json").read_text())["mean"]


def saved(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal())


def test_two_processes_train_resume_and_evaluate_like_one(start, tmp_path):
    alone, two = tmp_path / "alone", tmp_path / "two"
    finish(start("alone", processes=1, devices=2, evaluate=(str(alone), str(tmp_path / "eval1"))))

    processes = start("two", processes=2, devices=1, pause=0.3)
    while len(logged(two)) < 3:
        assert all(process.poll() is None for process in processes), processes[0].stderr.read()[-3000:]
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGTERM)
    (_, said), (_, said_by_second) = finish(processes)
    (step,) = {int(line["step"]) for line in logged(two)[-1:]}
    assert 3 <= step < STEPS
    assert saved(two)[-1] == step
    assert f"stopped by SIGTERM at step {step}; run the same command to continue" in said
    assert "2 cpu device(s) (data 2 x fsdp 1 x spatial 1; 2 processes); starting at step 0" in said
    assert "loss" not in said_by_second  # the first alone writes
    assert "starting" not in said_by_second

    evaluate = (str(alone), str(tmp_path / "eval2"))
    first, second = finish(start("two", processes=2, devices=1, evaluate=evaluate))
    assert f"resuming from checkpoint {step} of {STEPS}" in first[1]
    assert first[0].splitlines()[-1] == second[0].splitlines()[-1]  # the same parameters in both
    assert [line["step"] for line in losses(two)] == list(range(1, STEPS + 1))
    for ours, theirs in zip(losses(two), losses(alone), strict=True):
        assert ours == pytest.approx(theirs, rel=TOLERANCE)
    assert scores(tmp_path / "eval2") == scores(tmp_path / "eval1")


@pytest.mark.parametrize(
    "stages", [(), pytest.param(((5, 4, 16), (5, 2, 16)), marks=pytest.mark.soak)], ids=["one stage", "stage boundary"]
)
def test_a_loader_error_in_one_process_costs_no_step(start, tmp_path, monkeypatch, stages):
    """With two stages, the error is in the last batch of the first, and the second has batches of another size."""
    two, settings = tmp_path / "two", {"eval.every": 0, "checkpoint.every": 3, "train.stages": stages}
    settings |= {"mesh.data": 2}
    monkeypatch.setenv("FAILING_BATCH", "4")
    processes = start("two", processes=2, devices=1, **settings)
    (_, said), (_, said_by_second) = [process.communicate(timeout=550) for process in processes]
    assert [process.returncode for process in processes] == [1, 1], said[-3000:] + said_by_second[-3000:]
    assert saved(two)[-1] == 4
    assert said.splitlines()[-2:] == [
        "stopped by an error; step 4 is saved, and the same command continues from it",
        "error: another process could not load its images; see its log",
    ]
    assert said_by_second.splitlines()[-1] == "error: low/3.png is damaged"
    monkeypatch.delenv("FAILING_BATCH")
    (again, _), (whole, _) = (finish(start(n, processes=2, devices=1, **settings))[0] for n in ("two", "whole"))
    assert [line["step"] for line in losses(two)] == list(range(1, STEPS + 1))
    assert losses(two) == losses(tmp_path / "whole")
    assert again == whole


def test_ctrl_c_at_one_process_saves_a_checkpoint(start, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        processes = start("two", processes=2, devices=1, pause=0.3)
    finally:
        signal.signal(signal.SIGINT, before)
    while len(logged(tmp_path / "two")) < 3:
        assert all(process.poll() is None for process in processes), processes[0].stderr.read()[-3000:]
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGINT)
    (_, said), (_, said_by_second) = finish(processes)
    step = int(logged(tmp_path / "two")[-1]["step"])
    assert 3 <= step < STEPS
    assert saved(tmp_path / "two")[-1] == step
    assert f"at step {step}; run the same command to continue" in said
    assert "SIGINT: the run ends after this step, with a checkpoint" in said_by_second


@pytest.mark.soak
def test_four_processes_with_sharded_parameters_train_like_one(start, tmp_path):
    mesh = {"mesh.data": 2, "mesh.fsdp": 2}
    alone, four = tmp_path / "alone", tmp_path / "four"
    finish(start("alone", processes=1, devices=4, evaluate=(str(alone), str(tmp_path / "eval1")), **mesh))
    finish(start("four", processes=4, devices=1, evaluate=(str(alone), str(tmp_path / "eval4")), **mesh))
    for ours, theirs in zip(losses(four), losses(alone), strict=True):
        assert ours == pytest.approx(theirs, rel=TOLERANCE)
    assert scores(tmp_path / "eval4") == scores(tmp_path / "eval1")


@pytest.mark.soak
@pytest.mark.parametrize("killed", [0, 1])
def test_killed_process_ends_the_other_and_the_same_commands_resume(killed, start, tmp_path):
    workdir, saving = tmp_path / "two", {"checkpoint.every": 2, "eval.every": 0}
    processes = start("two", processes=2, devices=1, pause=0.5, **saving)
    while len(logged(workdir)) < 5:
        assert all(process.poll() is None for process in processes), processes[0].stderr.read()[-3000:]
        time.sleep(0.01)
    processes[killed].kill()
    killed_at = time.monotonic()
    processes[1 - killed].communicate(timeout=120)
    print(f"process {killed} killed; the other ended {time.monotonic() - killed_at:.0f} s later")
    assert processes[1 - killed].returncode != 0
    (_, said), _ = finish(start("two", processes=2, devices=1, **saving))
    assert re.search(rf"resuming from checkpoint [24] of {STEPS}", said)
    assert [line["step"] for line in losses(workdir)] == list(range(1, STEPS + 1))


def distributed(**fields):
    return ConfigDict({"coordinator": "", "processes": -1, "process": -1} | fields)


def test_collectives_are_trivial_in_a_single_process(monkeypatch):
    monkeypatch.delenv("ULTRABM_COORDINATOR", raising=False)
    initialize_distributed(distributed())
    assert broadcast_flag(True)
    assert not broadcast_flag(False)
    np.testing.assert_array_equal(allgather(np.arange(3)), [[0, 1, 2]])
    assert on_main_process(lambda: 7) == 7


def refuse():
    raise UserError("the disk is full")


def test_failure_of_the_main_process_raises_in_all():
    with pytest.raises(UserError, match="the disk is full"):
        on_main_process(refuse)


@pytest.mark.parametrize("fields", [{}, {"processes": 2}, {"processes": 2, "process": 2}, {"process": 0}])
def test_incomplete_coordinator_settings_are_refused(fields):
    with pytest.raises(UserError, match=r"coordinator host:1 needs the number of processes and the index of this one"):
        initialize_distributed(distributed(coordinator="host:1", **fields))


def test_non_numeric_environment_variables_are_refused(monkeypatch):
    monkeypatch.setenv("ULTRABM_COORDINATOR", "host:1")
    monkeypatch.setenv("ULTRABM_PROCESSES", "two")
    with pytest.raises(UserError, match=r"\$ULTRABM_PROCESSES is 'two'; it must be a number"):
        initialize_distributed(distributed())

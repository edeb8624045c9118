"""SIGTERM and SIGINT, and SIGKILL in the middle of a save, on a process that trains the tiny network."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quick_xla

from ultrabm_jax.training.preemption import Preemption

TINY = Path(__file__).with_name("tiny.py")
# tiny.py whose saves take a second more, after all files are written and before the folder gets its name.
SLOW_SAVE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import tiny
from ultrabm_jax.training import checkpoints
write = checkpoints.write_checksums
checkpoints.write_checksums = lambda folder: (write(folder), time.sleep(1))
sys.exit(tiny.main(*sys.argv[2:]))
"""


@pytest.fixture(autouse=True, scope="module")
def sigint_is_not_ignored():
    """Tests may run in a background job, whose shell ignores SIGINT for it and all its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start(pairs, tmp_path):
    """`start(pause, slow_save=...)` -> a process that trains in tmp_path/run."""
    return functools.partial(launch, pairs, tmp_path / "run")


def launch(pairs, workdir, pause, *, slow_save=False):
    """20 steps, a checkpoint every third."""
    overrides = {"data.root": str(pairs), "data.eval_root": str(pairs), "train.steps": 20, "eval.every": 0}
    arguments = [str(workdir), json.dumps(overrides | {"checkpoint.every": 3}), str(pause)]
    command = ["-c", SLOW_SAVE, str(TINY.parent)] if slow_save else [str(TINY)]
    env = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": quick_xla.FLAGS,
        "PYTHONPATH": str(without_clu(workdir.parent)),
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # The process inherits what this one ignores.
    return subprocess.Popen([sys.executable, *command, *arguments], env=env, cwd=TINY.parents[2], **pipes)


def without_clu(folder):
    """For PYTHONPATH: importing TensorFlow takes longer than these tests."""
    (folder / "bare" / "clu").mkdir(parents=True, exist_ok=True)
    (folder / "bare" / "clu" / "__init__.py").write_text("raise ImportError('left out')")
    return folder / "bare"


def logged(workdir):
    path = workdir / "train.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}")]


def saved(workdir):
    folder = workdir / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.exists() else []


def wait_until(process, reached):
    while not reached():
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(0.005)


def finish(process):
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    return out.splitlines()[-1], said


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory):
    """The result of an uninterrupted run."""
    return finish(launch(pairs, tmp_path_factory.mktemp("whole") / "run", 0))[0]


BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


@BOTH
def test_a_signal_saves_the_last_step_and_ends_with_success(start, whole, tmp_path, number):
    process = start(0.2)
    wait_until(process, lambda: 4 in logged(tmp_path / "run"))
    process.send_signal(number)
    _, said = finish(process)
    step = saved(tmp_path / "run")[-1]
    assert 4 <= step < 20
    assert step == logged(tmp_path / "run")[-1]
    assert f"stopped by {number.name} at step {step}; run the same command to continue" in said
    assert f"{number.name}: the run ends after this step, with a checkpoint; a second signal ends it at once" in said
    assert not (tmp_path / "run" / "lock").exists()
    result, said = finish(start(0))
    assert f"resuming from checkpoint {step} of 20" in said
    assert result == whole


@BOTH
def test_a_second_signal_ends_at_once(start, tmp_path, number):
    process = start(30)  # so that the first one waits for a batch
    wait_until(process, (tmp_path / "run" / "train.jsonl").exists)
    for _ in range(2):
        assert process.poll() is None
        process.send_signal(number)
        time.sleep(0.5)
    process.communicate(timeout=10)
    assert process.returncode == -number


def test_sigkill_during_a_save_loses_only_steps_after_the_last_complete_checkpoint(start, whole, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    for delay in (0.0, 0.5):
        process, before = start(0.1, slow_save=True), saved(tmp_path / "run")
        # The second save of this process; the first is whole by then.
        wait_until(process, lambda before=before: len(set(saved(tmp_path / "run")) - set(before)) == 1)
        wait_until(process, lambda: any(folder.glob("*.orbax-checkpoint-tmp")))
        time.sleep(delay)
        process.kill()
        process.communicate()
        unfinished = [int(path.name.split(".")[0]) for path in folder.glob("*.orbax-checkpoint-tmp")]
        assert unfinished == [saved(tmp_path / "run")[-1] + 3]
    last = saved(tmp_path / "run")[-1]
    result, said = finish(start(0))
    assert f"resuming from checkpoint {last} of 20" in said
    assert result == whole


@BOTH
def test_previous_signal_handlers_are_restored(number):
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with Preemption() as preemption:
        assert not preemption.requested(1)
        os.kill(os.getpid(), number)
        assert preemption.requested(1)
        assert preemption.signal_name == number.name
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell script starts a job in the background
    try:
        with Preemption() as preemption:
            os.kill(os.getpid(), signal.SIGINT)
            assert not preemption.requested(1)
    finally:
        signal.signal(signal.SIGINT, before)

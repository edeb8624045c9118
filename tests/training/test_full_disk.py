"""A disk that is really full: a tmpfs of 16 MiB. Skipped if this process may not mount one."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import digest

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.checkpoint_reader import CheckpointReader
from ultrabm_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of Orbax's threads
SIZE = 2**24


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder, *, leave=0):
    """Leaves about that many bytes of the disk."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(file.tell() - leave, 0))


def state(step):
    value = jnp.asarray(np.random.default_rng(step).random((100, 300), np.float32))  # 120 kB, hardly compressible
    return TrainState(jnp.int32(step), {"w": value}, (), None, frozen={})


def test_failed_checkpoint_is_logged_and_retried(small_disk, logged):
    checkpoints = Checkpoints(small_disk, metric="psnr_rgb")
    checkpoints.save(state(1))
    checkpoints.wait()
    fill(small_disk)
    checkpoints.save(state(2))
    checkpoints.wait()
    assert len(logged) == 1
    assert "/2 could not be written (No space left on device); training continues" in logged[0]
    assert "\n" not in logged[0]
    assert checkpoints.steps() == [1]
    (small_disk / "filler").unlink()
    checkpoints.save(state(3))
    checkpoints.close()
    assert len(logged) == 1
    reading = CheckpointReader(small_disk, metric="psnr_rgb")
    assert reading.steps() == [3, 1]
    np.testing.assert_array_equal(reading.restore(3, state(0)).params["w"], state(3).params["w"])


def test_consecutive_failures_end_the_run_and_keep_the_last_complete_checkpoint(small_disk):
    checkpoints = Checkpoints(small_disk, metric="psnr_rgb", max_failed=2)
    checkpoints.save(state(1))
    checkpoints.wait()
    fill(small_disk)
    checkpoints.save(state(2))
    with pytest.raises(
        UserError,
        match=r"/3 could not be written \(No space left on device\), nor the 1 before it; the newest is checkpoint 1$",
    ):
        [checkpoints.save(state(3)), checkpoints.wait()]
    np.testing.assert_array_equal(checkpoints.restore(1, state(0)).params["w"], state(1).params["w"])


def test_run_survives_a_temporarily_full_disk(config, small_disk, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "clu", None)
    settings = {"train.steps": 12, "eval.every": 0}
    expected = train_and_evaluate(config(**settings), tmp_path / "roomy")
    save = Checkpoints.save

    def disturbed(self, state, **options):
        if int(state.step) == 4:
            self.wait()
            fill(small_disk)
        elif int(state.step) == 8:
            (small_disk / "filler").unlink()
        save(self, state, **options)

    monkeypatch.setattr(Checkpoints, "save", disturbed)
    capsys.readouterr()
    result = train_and_evaluate(config(**settings), small_disk)
    said = capsys.readouterr().err
    assert digest(result) == digest(expected)
    assert "checkpoints/4 could not be written" in said
    assert load_run(small_disk).step == 12


def test_failing_to_save_the_last_state_is_an_error(config, small_disk, monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)
    save = Checkpoints.save

    def disturbed(self, state, **options):
        if int(state.step) == 8:
            self.wait()
            fill(small_disk)
        save(self, state, **options)

    monkeypatch.setattr(Checkpoints, "save", disturbed)
    with pytest.raises(UserError, match=r"/8 could not be written; the newest is checkpoint 6$"):
        train_and_evaluate(config(), small_disk)
    (small_disk / "filler").unlink()
    assert load_run(small_disk).step == 6


def test_full_disk_at_the_start_gives_one_line(config, small_disk):
    fill(small_disk)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        train_and_evaluate(config(), small_disk)
    assert jax.process_count() == 1

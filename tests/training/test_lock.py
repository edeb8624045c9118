import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from etils import epath

from ultrabm_jax.errors import UserError
from ultrabm_jax.training import lock
from ultrabm_jax.training.lock import hold_workdir

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time, pathlib
from ultrabm_jax.training.lock import hold_workdir
with hold_workdir(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_error_names_process_and_host_of_the_holder(tmp_path, holder):
    message = (
        rf"^another run is writing in {tmp_path / 'run'}: process {holder.pid} on {socket.gethostname()}; wait, or"
    )
    with pytest.raises(UserError, match=message), hold_workdir(tmp_path / "run"):
        pass


def test_dead_process_holds_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / "lock").exists()
    with hold_workdir(tmp_path / "run") as note:
        assert note is None
        assert str(os.getpid()) in (tmp_path / "run" / "lock").read_text()


def test_released_lock_leaves_no_file_and_can_be_acquired_again(tmp_path):
    for _ in range(2):
        with hold_workdir(tmp_path):
            pass
        assert not list(tmp_path.iterdir())


def test_lock_is_mutually_exclusive_under_contention(tmp_path):
    inside, most, entered = [0], [0], [0]

    def enter():
        for _ in range(200):
            try:
                with hold_workdir(tmp_path):
                    inside[0] += 1
                    most[0], entered[0] = max(most[0], inside[0]), entered[0] + 1
                    inside[0] -= 1
            except UserError:
                pass

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert entered[0] >= 4


def test_file_system_without_locks_gives_a_note(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with hold_workdir(tmp_path) as note:
        assert "does not support locks (No locks available)" in note


def test_a_bucket_is_not_locked_and_the_note_names_the_process_that_is_there(tmp_path):
    folder = epath.Path(tmp_path)  # not a pathlib.Path, as a path in a bucket
    with hold_workdir(folder) as note:
        assert note == f"{tmp_path}: object stores have no locks; make sure that no other run writes there"
        with hold_workdir(folder) as second:
            ours = f"process {os.getpid()} on {socket.gethostname()}"
            assert second == f"{note}; {ours} was killed, or it is still writing there"
    assert not list(tmp_path.iterdir())


@pytest.fixture
def read_only(tmp_path):
    """A folder that this process cannot write in, root or not."""
    tmp_path.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield tmp_path
    if root:
        os.seteuid(0)
    tmp_path.chmod(0o755)


@pytest.mark.parametrize("name", ["", "new"])
def test_unwritable_folder_gives_one_line(read_only, name):
    with (
        pytest.raises(UserError, match=r"cannot be written \(Permission denied\); use another --workdir$"),
        hold_workdir(read_only / name),
    ):
        pass

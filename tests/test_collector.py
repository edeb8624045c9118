"""Python's garbage collector pauses only while a command starts."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ultrabm_jax import commands
from ultrabm_jax.collector import pause_collector, resume_collector


@pytest.fixture
def collecting():
    yield
    resume_collector()
    gc.unfreeze()
    gc.enable()


def test_it_pauses_and_continues_without_the_objects_that_exist(collecting):
    pause_collector()
    assert not gc.isenabled()
    resume_collector()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    resume_collector()
    assert gc.get_freeze_count() == 0


def test_a_program_that_stopped_the_collector_itself_keeps_it_stopped(collecting):
    gc.disable()
    resume_collector()
    assert not gc.isenabled()


def test_only_restore_starts_without_it(collecting, monkeypatch, capsys):
    for name, collects in (("models", True), ("restore", False)):
        monkeypatch.setattr(sys, "argv", ["ultrabm-jax", name, "--help"])
        with pytest.raises(SystemExit):
            commands.main()
        assert gc.isenabled() == collects


def test_the_collector_runs_while_images_are_restored(tmp_path):
    code = (
        "import gc, sys; from pathlib import Path; import numpy as np; from PIL import Image\n"
        "from ultrabm_jax.collector import pause_collector; pause_collector()\n"
        "from ultrabm_jax.inference.files import restore_files\n"
        "from ultrabm_jax.inference.jobs import Job\n"
        "def restorer(image): print(gc.isenabled()); return image\n"
        "Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save('a.png')\n"
        "sys.exit(restore_files(restorer, [Job(Path('a.png'), Path('b.png'))]))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert result.stdout.split() == ["True"]

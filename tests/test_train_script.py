"""`python train.py` in a subprocess: exit status, output and files. Compiles the real network once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import quick_xla

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = "configs/quickstart.py"
CHEAP = ["model.isdm=none", "model.upsampler=bilinear", "model.stream=one", "data.patch_size=16", "data.batch_size=2"]


@pytest.fixture
def train(request, tmp_path):
    """`train("config.field=value", ...)` on the quickstart, in a workdir under tmp_path."""
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(request.config.cache.mkdir("jax"))
    env = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache, "XLA_FLAGS": quick_xla.FLAGS}

    def run(*overrides, config=QUICKSTART, workdir=True):
        command = [sys.executable, "train.py", "--config", config]
        command += ["--workdir", str(tmp_path / "run")] if workdir else []
        command += [f"--config.{override}" for override in overrides]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False)

    return run


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith(("error:", "Traceback"))]


def test_the_quickstart_trains_evaluates_and_logs(train, tmp_path):
    pytest.importorskip("skimage")
    steps = ("train.steps=4", "checkpoint.every=2", "log_every=2", "eval.count=1")
    done = train(*CHEAP, *steps, "data.holdout=(0.12, 0.0)")  # by default it has no validation images
    assert done.returncode == 0, done.stderr[-3000:]
    first = re.search(r"^\d+ x cpu \(cpu\); jax .*\n", done.stderr, re.MULTILINE)
    assert first is not None
    assert first.end() <= done.stderr.index("ultrabm x2 small:")
    assert "starting at step 0 of 4" in done.stderr
    assert "step 4/4  loss" in done.stderr
    assert "step 4: evaluation: psnr_rgb" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 4]
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdecimal()) == [
        "2",
        "4",
    ]
    assert not errors(done)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.variant=huge"], "error: unknown variant of ultrabm: 'huge'; known: base, small"),
        (["data.root=/nowhere"], "error: /nowhere is not a folder: "),
    ],
)
def test_an_error_gives_one_line_and_status_one(train, tmp_path, overrides, message):
    done = train(*overrides)
    assert done.returncode == 1
    assert errors(done) == done.stderr.splitlines()[-1:]
    assert done.stderr.splitlines()[-1].startswith(message)
    assert not (tmp_path / "run" / "checkpoints").exists()

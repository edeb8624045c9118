"""`python eval.py` in a subprocess: exit status and output with an image that cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def test_the_exit_status_is_one_if_an_image_cannot_be_read(tmp_path):
    for kind, level in (("low", 40), ("high", 256)):
        (tmp_path / kind).mkdir()
        for i in range(4):
            pixels = np.random.default_rng(i).integers(0, level, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{i}.png")
    low = tmp_path / "low"
    whole = (low / "1.png").read_bytes()
    fields = {"dataset": "paired", "eval_root": tmp_path, "root": tmp_path}
    overrides = [f"--config.data.{name}={value}" for name, value in fields.items()]
    overrides += ["--config.model.scale=1", "--config.eval.baselines=('bicubic',)", "--config.eval.protocols=('rmse',)"]
    command = [sys.executable, "eval.py", "--config=configs/compare_lol.py", *overrides]

    def evaluate(output):
        env = os.environ | {"JAX_PLATFORMS": "cpu"}
        options = {"cwd": ROOT, "env": env, "capture_output": True, "text": True, "timeout": 300, "check": False}
        done = subprocess.run([*command, f"--output={output}"], **options)
        return done.returncode, done.stdout, done.stderr, json.loads((output / "metrics.json").read_text())

    status, _, said, summary = evaluate(tmp_path / "whole")
    assert (status, summary["count"], summary["failed"]) == (0, 4, []), said[-2000:]
    (low / "1.png").write_bytes(whole[: len(whole) // 2])  # its header is intact
    (low / "3.png").write_bytes(b"nothing")
    status, printed, said, summary = evaluate(tmp_path / "damaged")
    assert (status, summary["count"], len(summary["failed"])) == (1, 2, 2), said[-2000:]
    assert "Traceback" not in said
    for name in ("1.png", "3.png"):
        assert [line for line in printed.splitlines() if line.startswith("note: left out: ") and name in line]

"""What a training run leaves in its workdir."""

from __future__ import annotations

import json

from tiny import digest


def equal(a, b):
    return digest(a) == digest(b)


def log(workdir):
    return [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]


def checkpoints(workdir):
    folder = workdir / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.exists() else []


def damage(workdir, step):
    """Cuts the largest file of a checkpoint."""
    files = [path for path in (workdir / "checkpoints" / str(step) / "default").rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:100])

"""restore.py on damaged, inconsistent and hostile files: each is refused in one line, intact ones are restored.

1,000 files as a soak test, 100 in the normal tests, both from a fixed seed (docs/log/fuzzing.md).
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from inference.fuzz_files import cases
from PIL import Image

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size

SCRIPT = Path(__file__).parent / "fuzz_restore.py"
SECONDS, MEBIBYTES = 10.0, 2048
SEED = 2026
SIZES = {  # (h, w) by each reader
    "read_size": read_size,
    "read_rgb_uint8": lambda path: read_rgb_uint8(path).shape[:2],
    "read_image": lambda path: read_image(path).rgb.shape[:2],
}


def restore(folder, count, kind):
    """(report of the script, lines of standard error)"""
    argv = [sys.executable, str(SCRIPT), str(folder), str(count), str(SEED), kind]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "ULTRABM_COMPILATION_CACHE": "off"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]  # a crash, a traceback or a file that took too long
    return json.loads(done.stdout.splitlines()[-1]), done.stderr.splitlines()


def check(folder, count, kind):
    """All assertions of the test; returns a line for the summary."""
    report, lines = restore(folder, count, kind)
    files, inputs = report["files"], sorted(p.name for p in (folder / "in").iterdir())
    assert sorted(files) == inputs
    assert not any("Traceback" in line for line in lines)
    errors = [line for line in lines if line.startswith("error: ")]
    refused = {name for name in inputs for line in errors if name in line}
    assert len(errors) == len(refused)
    assert report["status"] == (1 if refused else 0)
    whole = {name for name in inputs if "_whole_" in name}
    assert not refused & whole
    written = list((folder / "out").glob("*.png"))
    assert len(written) == len(inputs) - len(refused)
    for path in written:
        with Image.open(path) as image:
            image.load()
    slowest, largest = (max(files.items(), key=lambda item, k=k: item[1][k]) for k in (0, 1))
    assert slowest[1][0] < SECONDS, slowest
    assert largest[1][1] < MEBIBYTES, largest
    by_kind = collections.Counter(name.split("_", 1)[1].rsplit(".", 1)[0] for name in refused)
    return (
        f"{kind}: {len(inputs)} files, {len(whole)} of them whole and all restored; {len(inputs) - len(refused)} "
        f"restored, {len(refused)} refused in one line each ({len(by_kind)} kinds), no traceback; at most "
        f"{slowest[1][0]:.1f} s of processor time ({slowest[0]}) and {largest[1][1]} MiB of memory ({largest[0]})"
    )


@pytest.mark.parametrize(("kind", "count"), [("photos", 40), ("raw", 40)])
def test_damaged_files_are_refused_and_intact_ones_restored(tmp_path, kind, count):
    check(tmp_path, count, kind)


@pytest.mark.soak
def test_a_thousand_damaged_files(tmp_path, capsys):
    lines = [check(tmp_path / kind, count, kind) for kind, count in (("photos", 700), ("raw", 300))]
    with capsys.disabled():
        print("", *lines, sep="\n")


def read_all(folder, count):
    """{name: reason} of the refused files; raises errors other than BadImage, and disagreements between readers."""
    refused = {}
    for case in cases(count, seed=SEED):
        path = folder / case.name
        path.write_bytes(case.data)
        sizes = {}
        for name, size in SIZES.items():
            try:
                sizes[name] = size(path)
            except BadImage as error:
                refused[case.name] = str(error)
        assert ("read_image" in sizes) == ("read_rgb_uint8" in sizes), case.name
        assert len(set(sizes.values())) <= 1, (case.name, sizes)
        path.unlink()
    return refused


@pytest.mark.parametrize("count", [100, pytest.param(700, marks=pytest.mark.soak)])
def test_all_readers_accept_the_same_files(tmp_path, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused = read_all(tmp_path, count)
    assert len(refused) > count // 2
    assert not any("\n" in reason for reason in refused.values())
    assert not [name for name in refused if "_whole_" in name]

"""training_speed.py: the further process that finds the program in the cache, and ours on several CPU devices."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import training_speed
from benchmarks.training.cases import Case

# Needs 2 GiB to compile and half of it with a filled cache.
WORKER = """
    import json, os, sys
    from pathlib import Path

    cache, peak = os.environ.get("JAX_COMPILATION_CACHE_DIR"), 2**31
    if cache:
        Path(cache).mkdir(exist_ok=True)
        peak = 2**30 if [*Path(cache).iterdir()] else 2**31
        (Path(cache) / "program").touch()
    for line in sys.stdin:
        if line.strip() == "step":
            losses = {"devices": float(os.environ.get("JAX_NUM_CPU_DEVICES", "1"))}
            print(json.dumps({"seconds": 0.5, "cpu": 1.0, "losses": losses, "peak": peak}), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "worker.py"
    path.write_text(textwrap.dedent(WORKER))
    monkeypatch.setattr(training_speed, "WORKER", path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "of the user"))
    return path


def test_a_row_has_the_peak_with_and_without_compiling(worker: Path, tmp_path: Path):
    side = training_speed.Side("ours", sys.executable, tmp_path / "case.npz")
    for _ in range(training_speed.WARM_UP + 2):
        side.step()
    side.close()
    side.cached = training_speed.from_cache(tmp_path / "case.npz", tmp_path / "cache")
    cells = training_speed.row(Case("red", "1x32"), "ours", {"ours": side}).split(" | ")
    assert cells[3:9] == ["500 (500 to 500)", "1.00", "1000", "1.00", "2.00", "1.00"]
    seconds = [float(cell.removesuffix(" |")) for cell in cells[9:11]]  # to the first step, in tenths
    assert all(0 <= value < 60 for value in seconds)


def test_without_a_further_process_its_columns_are_empty(worker: Path, tmp_path: Path):
    side = training_speed.Side("ours", sys.executable, tmp_path / "case.npz")
    for _ in range(training_speed.WARM_UP + 1):
        side.step()
    side.close()
    cells = training_speed.row(Case("red", "1x32"), "ours", {"ours": side}).split("|")
    assert (cells[9].strip(), cells[11].strip()) == ("", "")


def test_devices_adds_a_side_on_several_cpu_devices(worker: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setattr(training_speed, "make_case", lambda case, method: ({}, {}))
    options = training_speed.parser().parse_args(["--devices", "2", "--no-cache", "--rounds", "1"])
    sides = training_speed.measure(Case("red", "2x32"), options)
    assert {name: side.steps[0]["losses"]["devices"] for name, side in sides.items()} == {
        "ours": 1,
        "ours, 2 devices": 2,
        "torch": 1,
    }
    with pytest.raises(SystemExit, match="devices"):  # the second side's losses are compared, too
        training_speed.compare(Case("red", "2x32"), sides)

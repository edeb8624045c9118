"""accelerator.py keeps its budget, ends what takes too long, records failures and continues where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.device import runner as runners
from benchmarks.device.results import Results
from benchmarks.device.runner import Runner
from benchmarks.device.units import SECTIONS, Unit, all_units
from ultrabm_jax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")


def unit(name: str, *, group: str = "profile", guess: float = 20, **arguments: object) -> Unit:
    return Unit("profile", f"profile {name}", group, {"takes": 0, **arguments}, guess)


def run(folder: Path, units: list[Unit], *, budget: float = 60) -> tuple[Results, Runner, float]:
    start = time.monotonic()
    results = Results(folder)
    runner = Runner(results, script=FAKE, root=folder, start=start, budget=budget)
    runner.run(units)
    return results, runner, time.monotonic() - start


def units_of(results: Results, key: str) -> list[str]:
    return [line["unit"].removeprefix("profile ") for line in results.lines if key in line]


def test_finished_units_are_not_repeated(tmp_path: Path):
    run(tmp_path, [unit("a"), unit("b")])
    results, runner, _ = run(tmp_path, [unit("a"), unit("b"), unit("c", group="other")])
    assert units_of(results, "rows") == ["a", "b", "c"]
    assert not runner.left_out


def test_a_unit_that_takes_too_long_is_ended_and_needs_more_time_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runners, "LEAST_LIMIT", 0.0)
    slow = unit("slow", guess=0.4, takes=100)
    results, runner, seconds = run(tmp_path, [slow, unit("next")])
    assert seconds < 50
    assert units_of(results, "unfinished_after") == ["slow"]
    assert units_of(results, "rows") == ["next"]
    assert "not finished" in runner.left_out["profile slow"]
    assert Results(tmp_path).expected(slow) > 0.4


def test_a_slow_machine_gets_longer_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first unit takes hundreds of times its guess, so the second one is not ended after five guesses."""
    monkeypatch.setattr(runners, "LEAST_LIMIT", 0.0)
    results = Results(tmp_path)
    results.add({"unit": "profile first", "rows": [{}], "seconds": 20.0})
    results, runner, _ = run(tmp_path, [unit("first", guess=0.1), unit("second", guess=0.1, takes=3)])
    assert units_of(results, "rows") == ["first", "second"]
    assert not runner.left_out
    _, runner, _ = run(tmp_path, [unit("first", guess=0.1), unit("third", guess=0.1, takes=0)], budget=5)
    assert runner.left_out["profile third"].startswith("takes about")


def test_the_budget_holds_whatever_a_unit_takes(tmp_path: Path):
    units = [unit("endless", guess=5, takes=100), unit("large", group="large", guess=100)]
    budget = 30  # on a busy machine, ending a process takes more than a twentieth of a small budget
    _, runner, seconds = run(tmp_path, units, budget=budget)
    assert budget - 5 < seconds < budget * 1.05
    assert runner.left_out.keys() == {"profile endless", "profile large"}


def test_a_process_that_dies_fails_one_unit(tmp_path: Path):
    results, _, _ = run(tmp_path, [unit("a"), unit("dies", dies=True), unit("b")])
    assert units_of(results, "rows") == ["a", "b"]
    assert next(line["error"] for line in results.lines if "error" in line).startswith("the process ended with SIGKILL")


def test_training_runs_share_what_remains_and_continue(tmp_path: Path):
    runs = [Unit("fit", f"fit {name}", name, {"network": name}, 0.1) for name in ("a", "b")]
    for step in (1, 2):
        results, _, seconds = run(tmp_path, runs, budget=16)
        assert seconds < 16 * 1.05
        newest = {line["unit"]: line for line in results.lines if "rows" in line}
        assert [newest[f"fit {name}"]["rows"][0]["step"] for name in ("a", "b")] == [step, step]


def test_results_of_another_device_are_not_mixed(tmp_path: Path):
    run(tmp_path, [unit("a")])
    with pytest.raises(UserError, match="holds results of fake, and this is another"):
        run(tmp_path, [unit("b", kind="another")])


def test_names_are_unique_and_sections_in_order():
    for quick in (False, True):
        names = [unit.name for unit in all_units(quick=quick)]
        assert len(set(names)) == len(names)
        assert list(dict.fromkeys(unit.section for unit in all_units(quick=quick))) == list(SECTIONS)


def accelerator(folder: Path, *flags: str, budget: float) -> tuple[dict, float]:
    """(results.json, seconds that the call took)."""
    command = [sys.executable, "benchmarks/accelerator.py", "--quick", "--budget", str(budget), "--output", str(folder)]
    begin = time.monotonic()
    done = subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    assert (folder / "results.md").read_text() in done.stdout
    return json.loads((folder / "results.json").read_text()), seconds


def test_a_call_keeps_its_budget_and_the_next_one_continues(tmp_path: Path):
    """The networks are real; how many units fit depends on the machine."""
    for _ in range(2):
        summary, seconds = accelerator(tmp_path, "--only", "parity", budget=25)
        assert seconds < 25 * 1.05
        assert {*summary["units"], *summary["left_out"]} <= {"parity zero_dce", "parity sci"}
        for line in summary["units"].values():
            assert line["rows"][0]["passed"]
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    finished = [line["unit"] for line in lines if "rows" in line]
    assert len(finished) == len(set(finished))


@pytest.mark.soak
def test_everything_runs_and_a_training_continues(tmp_path: Path, image):
    for split, count in (("our485", 4), ("eval15", 2)):
        for k in range(count):
            for side in ("low", "high"):
                image(tmp_path / "lol" / split / side / f"{k}.png", 64, 64, seed=k)
    steps = []
    for _ in range(2):
        summary, seconds = accelerator(tmp_path / "out", "--data", str(tmp_path / "lol"), budget=240)
        assert seconds < 240 * 1.05
        steps.append(summary["units"]["fit ultrabm"]["rows"][0]["step"])
    assert 0 < steps[0] < steps[1]
    assert summary["units"].keys() == {unit.name for unit in all_units(quick=True)}
    assert "| red_synthetic |" in (tmp_path / "out" / "results.md").read_text()

"""What accelerator.py has measured: a file of JSON lines that grows, and the summaries made from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.device.tables import markdown
from benchmarks.device.units import Unit


class Results:
    """The lines of FOLDER/results.jsonl. One folder belongs to one kind of device."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._file = folder, folder / "results.jsonl"
        self.lines: list[dict] = []
        for line in self._file.read_text().splitlines() if self._file.exists() else []:
            try:
                self.lines.append(json.loads(line))
            except ValueError:  # written by a process that was killed
                continue

    def add(self, line: dict) -> None:
        """Appends a line."""
        self.lines.append(line)
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    @property
    def device(self) -> dict | None:
        """The device of the measurements; None before the first."""
        return next((line["device"] for line in self.lines if "device" in line), None)

    def finished(self, unit: Unit) -> bool:
        """Whether nothing is left to do for a unit; a training run never finishes here."""
        return unit.section != "fit" and any("rows" in line for line in self._of(unit))

    def expected(self, unit: Unit) -> float:
        """Seconds that the unit is expected to take: its guess, or 1.5 times an attempt that was too short."""
        tried = [line["unfinished_after"] for line in self._of(unit) if "unfinished_after" in line]
        return max([unit.guess, *(1.5 * seconds for seconds in tried)])

    def _of(self, unit: Unit) -> Iterable[dict]:
        return [line for line in self.lines if line.get("unit") == unit.name]

    def write(self, *, left_out: dict[str, str], budget: float) -> None:
        """Writes results.json, the newest line of each unit, and results.md."""
        newest = {line["unit"]: line for line in self.lines if "rows" in line or "error" in line}
        summary = {"device": self.device, "budget_seconds": budget, "units": newest, "left_out": left_out}
        for name, text in (("results.json", json.dumps(summary, indent=1) + "\n"), ("results.md", markdown(summary))):
            unfinished = self.folder / f"{name}.tmp"
            unfinished.write_text(text)
            os.replace(unfinished, self.folder / name)

"""Runs the units within a budget: each group in a process of its own, which is ended when its time is over.

A compilation cannot be interrupted from inside a process, and a process that runs out of memory may not report it. So
this process does not use the device; it starts workers (worker.py), reads what they report and keeps the time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.device import fit
from benchmarks.device.results import Results
from benchmarks.device.units import LEAST_LIMIT, LIMIT, Unit
from ultrabm_jax.errors import UserError

RESERVE = 0.02  # share of the budget kept for ending the last process and writing the tables


class Runner:
    """`deadline` is on the clock of time.monotonic; `left_out` maps units that were not started to the reason."""

    def __init__(self, results: Results, *, script: Path, root: Path | None, start: float, budget: float) -> None:
        self._results, self._script, self._root = results, script, root
        self.deadline = start + budget * (1 - RESERVE)
        self.left_out: dict[str, str] = {}
        self._guesses: dict[str, float] = {}

    def run(self, units: Sequence[Unit]) -> None:
        """Runs what is not finished and fits, in order; training runs share what remains. Writes no summary."""
        self._guesses = {unit.name: unit.guess for unit in units if unit.section != "fit"}
        pending = [unit for unit in units if not self._results.finished(unit)]
        measured = [unit for unit in pending if unit.section != "fit"]
        for group in dict.fromkeys(unit.group for unit in measured):
            self._run_group([unit for unit in measured if unit.group == group])
        runs = [unit for unit in pending if unit.section == "fit"]
        for done, unit in enumerate(runs):
            share = max((self._left() / (len(runs) - done)), self._expected(unit))
            if self._root is None:
                self.left_out[unit.name] = "no --data"
            elif self._fits(unit):
                self._train(unit, seconds=share)

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _expected(self, unit: Unit) -> float:
        """Seconds that the unit is expected to take on this machine: guesses are scaled by the finished units' pace."""
        ratios = [
            line["seconds"] / self._guesses[line["unit"]]
            for line in self._results.lines
            if "rows" in line and line["unit"] in self._guesses
        ]
        pace = max(1.0, statistics.median(ratios)) if ratios else 1.0
        return max(pace * unit.guess, self._results.expected(unit))

    def _fits(self, unit: Unit) -> bool:
        """Whether a unit may start; records it as left out otherwise."""
        expected, left = self._expected(unit), self._left()
        if expected <= left:
            return True
        self.left_out[unit.name] = f"takes about {expected:.0f} s; {max(left, 0):.0f} s were left"
        return False

    def _run_group(self, units: Sequence[Unit]) -> None:
        """Runs measurements in one process, or in several if one is ended or dies."""
        waiting = list(units)
        while waiting := [unit for unit in waiting if self._fits(unit)]:
            done = self._run_worker(waiting)
            waiting = [unit for unit in waiting if unit.name not in done]

    def _run_worker(self, units: Sequence[Unit]) -> set[str]:
        """Runs a worker on `units`; returns those with a result, an error or an unfinished attempt."""
        done: set[str] = set()
        current, begin = units[0], time.monotonic()
        with self._worker(units) as worker:
            while True:
                limit = min(self.deadline, begin + max(LEAST_LIMIT, LIMIT * self._expected(current)))
                event = worker.read(limit)
                if event is None:
                    break
                self._note(event)
                if "start" in event:
                    current = next(unit for unit in units if unit.name == event["start"])
                    begin = time.monotonic()
                elif "unit" in event:
                    done.add(str(event["unit"]))
                    begin = time.monotonic()
            if current.name not in done:
                done.add(current.name)
                seconds = round(time.monotonic() - begin, 1)
                ended = worker.died()
                reason: dict[str, object] = {"error": ended} if ended else {"unfinished_after": seconds}
                self._results.add({"unit": current.name, **reason})
                if not ended:
                    self.left_out[current.name] = f"not finished after {seconds:.0f} s"
        return done

    def _train(self, unit: Unit, *, seconds: float) -> None:
        """Trains for `seconds`: SIGTERM, after which the run saves a checkpoint, then the end of the process."""
        workdir = self._results.folder / "fit" / str(unit.arguments["network"])
        before, begin = fit.state_of(workdir)["step"], time.monotonic()
        end = min(begin + seconds, self.deadline)
        with self._worker([unit]) as worker:
            for limit in (end - min(30.0, 0.2 * seconds), end):
                while (event := worker.read(limit)) is not None:
                    if "unit" not in event or "error" in event:
                        self._note(event)
                worker.stop()
            error = worker.died()
        after = fit.state_of(workdir)
        passed = round(time.monotonic() - begin, 1)
        if after["step"] > before:
            self._results.add({"unit": unit.name, "rows": [after], "seconds": passed})
        else:
            self._results.add({"unit": unit.name, "unfinished_after": passed, **({"error": error} if error else {})})
            self.left_out[unit.name] = f"no checkpoint after {passed:.0f} s"

    def _note(self, event: dict) -> None:
        """Records an event. Raises UserError for measurements of another device."""
        if "device" not in event:
            if "start" not in event:
                self._results.add(event)
            return
        known = self._results.device
        if known is None:
            self._results.add(event)
        elif known["kind"] != event["device"]["kind"]:
            raise UserError(
                f"{self._results.folder} holds results of {known['kind']}, and this is {event['device']['kind']}; "
                "use another --output"
            )

    @contextlib.contextmanager
    def _worker(self, units: Sequence[Unit]) -> Iterator[_Worker]:
        expected = [dataclasses.asdict(dataclasses.replace(u, guess=self._expected(u))) for u in units]
        task = {
            "units": expected,
            "folder": str(self._results.folder),
            "root": self._root and str(self._root),
            "deadline": time.time() + self._left(),
        }
        worker = _Worker(self._script, task, folder=self._results.folder)
        try:
            yield worker
        finally:
            worker.kill()


class _Worker:
    """A process that runs units; its output goes to FOLDER/log.txt."""

    def __init__(self, script: Path, task: dict, *, folder: Path) -> None:
        self._events, report = os.pipe()
        env = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2"}
        env.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(script), "--worker", json.dumps({**task, "report": report})],
                **{"stdout": log, "stderr": log, "env": env, "pass_fds": (report,), "start_new_session": True},
            )
        os.close(report)
        self._unread, self._ended = b"", False

    def read(self, limit: float) -> dict | None:
        """The next event; None at `limit` (time.monotonic) or once the process has ended."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._events], [], [], max(0.0, limit - time.monotonic()))
            data = os.read(self._events, 2**16) if ready else b""
            if not data:
                self._ended = bool(ready)
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def stop(self) -> None:
        """Sends SIGTERM, unless the process has ended."""
        if self._process.poll() is None:
            self._process.terminate()

    def died(self) -> str:
        """How the process ended; "" if it runs or has ended without an error."""
        if self._ended:  # the pipe is closed shortly before the process ends
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        status = self._process.poll()
        if not status or status == -signal.SIGTERM:
            return ""
        return (
            f"the process ended with {signal.Signals(-status).name if status < 0 else f'status {status}'}; see log.txt"
        )

    def kill(self) -> None:
        """Ends the process and those that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._events)

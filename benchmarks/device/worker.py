"""The process that runs units: it alone uses the device. Started by runner.py, to which it reports over a pipe.

One line of JSON per event: {"start": unit}, then {"unit": unit, "rows": [...], "seconds": s} or, if it failed, {"unit":
unit, "error": text}.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

from benchmarks.device.units import Unit


def work(units: list[Unit], *, folder: Path, root: Path | None, deadline: float, report: int) -> None:
    """Runs `units` in order; leaves out those that would not finish before `deadline` (time.time)."""
    with os.fdopen(report, "w", buffering=1) as pipe:

        def send(event: dict[str, object]) -> None:
            pipe.write(json.dumps(event) + "\n")

        send({"device": describe_device()})
        for unit in units:
            if time.time() + unit.guess > deadline and unit is not units[0]:
                continue  # the runner reports it as left out
            send({"start": unit.name})
            begin = time.monotonic()
            try:
                rows = run(unit, folder=folder, root=root)
            except Exception as error:  # a unit that fails (memory, a missing operation) does not end the others
                send({"unit": unit.name, "error": f"{type(error).__name__}: {(str(error) or '?').splitlines()[0]}"})
            else:
                send({"unit": unit.name, "rows": rows, "seconds": round(time.monotonic() - begin, 1)})


def run(unit: Unit, *, folder: Path, root: Path | None) -> list[object]:
    """The rows of one unit."""
    options = dict(unit.arguments)
    if unit.section == "parity":
        from benchmarks.device import parity

        return [parity.measure(**options)]
    if unit.section == "inference":
        from benchmarks.device import inference

        return list(inference.measure(**options))
    if unit.section == "fit":
        from benchmarks.device import fit

        network, workdir = str(options["network"]), folder / "fit" / str(options["network"])
        assert root is not None, "runner.py leaves out training without images"
        fit.train(network, root, workdir, quick=bool(options.get("quick")))
        return [fit.state_of(workdir)]
    from benchmarks.device import training

    if unit.section == "profile":
        return [training.profile(folder=folder / "profile" / str(options["config"]), **options)]
    return [training.measure(**options)]


def describe_device() -> dict[str, object]:
    """The device and the versions that the results depend on."""
    import importlib.util

    import jax

    device = jax.devices()[0]
    versions = {"python": platform.python_version(), "jax": jax.__version__}
    if importlib.util.find_spec("torch") is not None:
        import torch

        versions["torch"] = torch.__version__
    return {
        "platform": device.platform,
        "kind": device.device_kind,
        "count": jax.device_count(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions,
    }

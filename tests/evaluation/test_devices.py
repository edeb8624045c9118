"""The results of an evaluation do not depend on the number of devices and processes."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import quick_xla

SCRIPT = Path(__file__).parent / "on_devices.py"


def evaluate(output, *, devices=1, processes=1):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = f"{quick_xla.FLAGS} --xla_force_host_platform_device_count={devices}"
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, str(SCRIPT), str(output)]
    started = [
        subprocess.Popen([*command, str(k), str(processes), str(port)], env=env, stderr=subprocess.PIPE, text=True)
        for k in range(processes)
    ]
    for process in started:
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said[-3000:]
    summary = json.loads((output / "metrics.json").read_text())
    with open(output / "per_image.csv", newline="") as file:
        rows = list(csv.reader(file))
    images = {path.name: path.read_bytes() for path in (output / "restored").iterdir()}
    return {name: summary[name] for name in ("mean", "std", "ci95", "groups", "baselines", "count")}, rows, images


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return evaluate(tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize(
    "setting",
    [
        {"devices": 8},
        {"devices": 2, "processes": 2},
        pytest.param({"devices": 2}, marks=pytest.mark.soak),
        pytest.param({"processes": 2}, marks=pytest.mark.soak),
    ],
)
def test_results_are_bitwise_equal(alone, tmp_path, setting):
    summary, rows, images = evaluate(tmp_path, **setting)
    assert summary["count"] == 11
    assert rows == alone[1]
    assert summary == alone[0]
    assert images == alone[2]

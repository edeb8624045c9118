"""Outputs of the networks on the device against values that a CPU computed.

The values are those of parity.json or, for networks that it lacks, those of the CPU backend of this process. Weights
and images are drawn by NumPy, the same everywhere. Products are computed twice: at the highest precision, whose error
must stay below TOLERANCE of the largest value, and at JAX's default precision (TF32 on an H100, one bfloat16 pass on a
TPU), whose error is only reported. `python benchmarks/accelerator.py --record-parity` writes the values anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

import jax
import numpy as np

from benchmarks.device.units import PARITY
from ultrabm_jax.config import CONFIGS, default_config
from ultrabm_jax.evaluation.random_variables import draw_variables
from ultrabm_jax.models import MODELS, create_model, create_task, task_from_config
from ultrabm_jax.typing import Batch, PyTree, Variables

VALUES = Path(__file__).with_name("parity.json")
COUNT = 64  # of recorded values, at equal distances in the output
SIDE = 64  # of the image
TOLERANCE = 1e-3


class Row(TypedDict):
    """Errors are the largest difference over the largest recorded value."""

    reference: str  # recorded | cpu (of this process)
    highest: float
    default: float
    passed: bool


def measure(network: str) -> Row:
    """Compares one network with its recorded values, or with those of this process's CPU backend."""
    reference = "recorded" if network in (recorded := read_recorded()) else "cpu"
    expected = np.asarray(recorded.get(network) or outputs_of_cpu(network), np.float32)
    errors = {}
    for precision in ("highest", "default"):
        values = outputs(network, precision=precision)
        errors[precision] = float(np.abs(values - expected).max() / np.abs(expected).max())
    highest, default = errors["highest"], errors["default"]
    return {"reference": reference, "highest": highest, "default": default, "passed": highest <= TOLERANCE}


def outputs(network: str, *, precision: str) -> np.ndarray:
    """(COUNT,) float32: values of the network's output for the drawn weights and image."""
    apply, variables, batch = _program(network)
    with jax.default_matmul_precision(precision):
        result = jax.jit(apply)(variables, batch)
    leaves = [np.asarray(leaf, np.float32).ravel() for leaf in jax.tree.leaves(result)]
    flat = np.concatenate(leaves)
    return flat[np.linspace(0, len(flat) - 1, COUNT).astype(int)]


def outputs_of_cpu(network: str) -> list[float]:
    """`outputs` by the CPU backend; RuntimeError if $JAX_PLATFORMS excludes it."""
    with jax.default_device(jax.devices("cpu")[0]):
        values = outputs(network, precision="highest")
    if not np.isfinite(values).all():
        raise ValueError(f"{network} is not finite for the drawn weights")
    return [float(f"{value:.8g}") for value in values]


def read_recorded() -> dict[str, list[float]]:
    """{network: values} of parity.json; empty without the file."""
    return json.loads(VALUES.read_text()) if VALUES.exists() else {}


def record(networks: Sequence[str] = PARITY) -> None:
    """Adds the values of `networks` to parity.json, one by one."""
    for network in networks:
        values = {**read_recorded(), network: outputs_of_cpu(network)}
        lines = [f"{json.dumps(name)}: {json.dumps(values[name])}" for name in sorted(values)]
        VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{network}: {min(values[network]):.4g} to {max(values[network]):.4g}", file=sys.stderr, flush=True)


def _program(network: str) -> tuple[Callable[[Variables, Batch], PyTree], Variables, Batch]:
    """(function of variables and batch, drawn variables, batch); outputs are not clipped, so that all values count."""
    if MODELS[network].task is None:  # a feature extractor
        model, channels = create_model(network), 3
        example = jax.ShapeDtypeStruct((1, SIDE, SIDE, channels), np.float32)
    else:
        task = task_from_config(default_config(network)) if network in CONFIGS else create_task(network)
        model, channels, example = task.model, task.channels, jax.eval_shape(task.example_input)
    variables = draw_variables(dict(jax.eval_shape(model.init, jax.random.key(0), example)))
    low = np.random.default_rng(0).beta(1, 5, (1, SIDE, SIDE, channels)).astype(np.float32)

    def apply(variables: Variables, batch: Batch) -> PyTree:
        out = model.apply(variables, batch["low"])
        return out["restored"] if isinstance(out, dict) and "restored" in out else out

    return apply, variables, {"low": low}

"""Run by test_lolisrflow.py with eight virtual devices: the same steps on one and on all. Prints one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from eight_devices import MESHES, apart, mesh_of

from configs import lolisrflow_lol_x2_small
from ultrabm_jax.methods import create_method
from ultrabm_jax.scaling.collectives import read_collectives
from ultrabm_jax.stages import Stage
from ultrabm_jax.training import sharding
from ultrabm_jax.training.step import compile_step, init_sharded_state
from ultrabm_jax.typing import Params

TINY = {"width": 4, "hidden": 4, "steps": 2, "levels": 1, "stages": 1, "blocks": 1}
BATCH, PATCH, STEPS = 8, 16, 3
Run = tuple[Params, Params, list[dict[str, float]], list[tuple[int, int]]]


def batch(seed: int) -> dict[str, np.ndarray]:
    """Images of different brightness, so that a part of the batch has other statistics than all."""
    gain = np.arange(1, BATCH + 1, dtype=np.float32)[:, None, None, None] / BATCH
    reference = gain * np.random.default_rng(seed).random((BATCH, 2 * PATCH, 2 * PATCH, 3), np.float32)
    low = 0.2 * reference[:, ::2, ::2]
    return {"low": low, "equalised": np.sqrt(low), "reference": reference}


def run(mesh: jax.sharding.Mesh, batches: list[dict[str, np.ndarray]]) -> Run:
    """Parameters after the first step and after the last, metrics of each, (bytes, times) of the last's all-reduces."""
    config = lolisrflow_lol_x2_small.get_config()
    config.model.update(TINY)
    method, logged = create_method(config), []
    state, shardings = init_sharded_state(method, config, Stage(0, STEPS, BATCH, PATCH), mesh)
    steps = [compile_step(step, mesh, shardings, input_kind="rgb") for step in method.phases(state).values()]
    inputs = state, sharding.global_batch(batches[0], mesh), jax.random.key(7)
    programs = [step.lower(*inputs).compile() for step in steps]
    found = read_collectives(programs[-1].as_text() or "", devices=mesh.size)
    for i, images in enumerate(batches):
        state, metrics = programs[min(i, 1)](state, sharding.global_batch(images, mesh), jax.random.key(7))
        logged.append({name: float(value) for name, value in metrics.items() if value.ndim == 0})
        if i == 0:
            fitted = jax.tree.map(np.asarray, state.params)
    return fitted, state.params, logged, [(c.bytes, c.times) for c in found if c.kind == "all-reduce"]


def main() -> None:
    batches = [batch(seed) for seed in range(STEPS)]
    half = {name: np.concatenate([x[: BATCH // 2]] * 2) for name, x in batches[0].items()}
    fitted_alone, alone, logged_alone, _ = run(mesh_of(None), batches)
    fitted_half, *_ = run(mesh_of(None), [half])
    report = {
        "fitted_to_half": apart(fitted_half, fitted_alone),
        "metrics_alone": logged_alone,
        "parameters": sum(leaf.nbytes for leaf in jax.tree.leaves(alone)),
    }
    for name in ("data", "mixed"):
        fitted, params, logged, reductions = run(mesh_of(MESHES[name]), batches)
        report[name] = {
            "fitted_apart": apart(fitted, fitted_alone),
            "apart": apart(params, alone),
            "metrics": logged,
            "reductions": reductions,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

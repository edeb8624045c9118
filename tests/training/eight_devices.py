"""Run by test_sharding.py with eight virtual devices: the same steps on several meshes. Prints one JSON object.

eight_devices.py CONFIG_JSON WORKDIR
"""

from __future__ import annotations

import json
import sys
from unittest import mock

import jax
import numpy as np
from ml_collections import ConfigDict
from tiny import tiny_config

from ultrabm_jax.methods import UltraBMMethod, create_method
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.scaling.measured import measure
from ultrabm_jax.stages import Stage
from ultrabm_jax.training import loop, sharding
from ultrabm_jax.training.step import compile_step, init_sharded_state
from ultrabm_jax.typing import Batch, Metrics, PyTree

MESHES = {
    "one": None,
    "data": {"data": 8, "fsdp": 1, "spatial": 1},
    "mixed": {"data": 2, "fsdp": 2, "spatial": 2},
}
PARTS = {"parts": ("mixed", 2)}  # train.accumulate
STEPS = 3


def mesh_of(sizes: dict[str, int] | None) -> jax.sharding.Mesh:
    axes = (jax.sharding.AxisType.Auto,) * 3
    if sizes is None:
        return jax.make_mesh((1, 1, 1), sharding.AXES, axis_types=axes, devices=jax.devices()[:1])
    return jax.make_mesh(tuple(sizes.values()), sharding.AXES, axis_types=axes)


def data_mesh(devices: int) -> jax.sharding.Mesh:
    axes = (jax.sharding.AxisType.Auto,) * 3
    return jax.make_mesh((devices, 1, 1), sharding.AXES, axis_types=axes, devices=jax.devices()[:devices])


def steps(config: ConfigDict, mesh: jax.sharding.Mesh) -> tuple[TrainState, PyTree, list[dict[str, float]]]:
    """The state after `STEPS` steps, its initial shardings, and the metrics of each step."""
    method = create_method(config)
    side, batch_size = config.data.patch_size, config.data.batch_size
    state, shardings = init_sharded_state(method, config, Stage(0, STEPS, batch_size, side), mesh)
    step = compile_step(method.train_step, mesh, shardings, input_kind="rgb")
    rng, logged = np.random.default_rng(0), []
    for _ in range(STEPS):
        shapes = {"low": (batch_size, side, side, 3), "reference": (batch_size, 2 * side, 2 * side, 3)}
        batch = {name: rng.uniform(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
        state, metrics = step(state, sharding.global_batch(batch, mesh), jax.random.key(7))
        logged.append({name: float(value) for name, value in metrics.items()})
    return state, shardings, logged


def fractions(tree: PyTree) -> dict[str, float]:
    """Which part of each leaf one device holds."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): x.addressable_shards[0].data.size / x.size for path, x in leaves}


def apart(a: PyTree, b: PyTree) -> float:
    """The largest difference between two trees of parameters, in units of the largest parameter."""
    pairs = list(zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    largest = max(float(np.abs(np.asarray(y)).max()) for _, y in pairs)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs) / largest


def count_traces(config: ConfigDict, workdir: str) -> int:
    """Trains over two stages and counts how often the step is traced."""
    traces, original = [], UltraBMMethod.train_step

    def counted(self: UltraBMMethod, state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        traces.append(1)
        return original(self, state, batch, key)

    with mock.patch.object(UltraBMMethod, "train_step", counted):
        loop.train_and_evaluate(config, workdir)
    return len(traces)


def main(overrides: str, workdir: str) -> None:
    config = tiny_config(**json.loads(overrides))
    report: dict[str, object] = {}
    alone = None
    cases = {name: (name, 1) for name in MESHES} | (PARTS if workdir else {})
    for name, (mesh, parts) in cases.items():
        config.train.accumulate = parts
        state, shardings, metrics = steps(config, mesh_of(MESHES[mesh]))
        alone = state if alone is None else alone
        report[name] = {
            "metrics": metrics,
            "apart": apart(state.params, alone.params),
            "kept": all(jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, state, shardings))),
            "fractions": {"params": fractions(state.params), "opt_state": fractions(state.opt_state)},
        }
    config.train.accumulate = 1
    if workdir:
        in_parts = config.copy_and_resolve_references()
        in_parts.train.accumulate = 2
        sizes = {"per_device": 1, "patch": config.data.patch_size}
        report["compiled"] = {
            "2": measure(config, data_mesh(2), **sizes),
            "8": measure(config, data_mesh(8), **sizes),
            "8 in parts": measure(in_parts, data_mesh(8), per_device=2, patch=config.data.patch_size),
            "mixed": measure(config, mesh_of(MESHES["mixed"]), per_device=2, patch=48),
        }
        config.mesh.update(MESHES["mixed"])
        config.data.patch_size, config.train.stages = 48, ((1, 8, 48), (1, 4, 64))
        report["traces"] = count_traces(config, workdir)
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])

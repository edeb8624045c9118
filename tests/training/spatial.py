"""Run by test_spatial.py with eight virtual devices: each model whole, and with its height split over them.

spatial.py restored|gradient [MODEL...] prints a line of JSON for each.
"""

from __future__ import annotations

import functools
import json
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from ultrabm_jax.models import create_model
from ultrabm_jax.scaling.collectives import read_collectives
from ultrabm_jax.scaling.measured import edge_bytes, gathered_activations
from ultrabm_jax.training.sharding import AXES
from ultrabm_jax.typing import PyTree

# name: (options of a small variant, channels, height and width of the image, ways in which its height is split)
MODELS: dict[str, tuple[dict[str, object], int, tuple[int, int], int]] = {
    "ultrabm": ({"width": 8, "semantic": "none"}, 3, (128, 32), 8),
    "red": ({}, 1, (128, 32), 8),
    "drgn": ({"width": 4, "groups": (1, 1, 1), "depths": (1, 1, 1), "reduction": 2}, 3, (64, 24), 8),
    "lw_drgn": ({"width": 4, "groups": 1, "depth": 1, "reduction": 2}, 3, (64, 24), 8),
    "zero_dce": ({}, 3, (48, 24), 8),
    "sci": ({}, 3, (48, 24), 8),
    "lolisrflow": ({"width": 4, "hidden": 4, "steps": 1, "levels": 1, "stages": 1, "blocks": 1}, 3, (128, 32), 8),
}


def variables_of(model: nn.Module, low: jax.Array) -> dict[str, PyTree]:
    """Plain normals, their sizes where variances are: compiling `init` takes longer than all the rest."""

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 16
        return np.random.default_rng(leaf.shape).normal(0, fan_in**-0.5, leaf.shape).astype(leaf.dtype)

    filled = jax.tree.map(fill, jax.eval_shape(model.init, jax.random.key(0), low))
    return filled | {"batch_stats": jax.tree.map(np.abs, filled.get("batch_stats", {}))}


def compare(name: str, *, gradient: bool) -> dict[str, object]:
    """The differences between both forms, and the arrays that the split one gathers."""
    options, channels, (height, width), ways = MODELS[name]
    model, rng = create_model(name, **options), np.random.default_rng(0)
    low = rng.uniform(0, 1, (1, height, width, channels)).astype(np.float32)
    variables = {k: v for k, v in variables_of(model, jnp.asarray(low)).items() if k != "statistics"}

    def restored(params: PyTree, low: jax.Array) -> jax.Array:
        return model.apply({**variables, "params": params}, low)["restored"]

    # A random flow's output is as large as 2e6, and a sine of that is chaos.
    largest = float(jnp.abs(jax.jit(restored)(variables["params"], low)).max()) if gradient else 1.0

    def slope(params: PyTree, low: jax.Array) -> PyTree:
        return jax.grad(lambda p: jnp.mean(jnp.sin(3 * restored(p, low) / largest)))(params)

    function = (lambda p, x: (restored(p, x), slope(p, x))) if gradient else (lambda p, x: (restored(p, x), {}))
    axes = (jax.sharding.AxisType.Auto,) * 3
    mesh = jax.make_mesh((8 // ways, 1, ways), AXES, axis_types=axes)
    split = NamedSharding(mesh, PartitionSpec(None, "spatial"))
    whole = NamedSharding(mesh, PartitionSpec())
    begin = time.monotonic()
    alone = jax.jit(function)(variables["params"], low)
    program = jax.jit(function, in_shardings=(whole, split), out_shardings=(split, whole))
    program = program.lower(variables["params"], low).compile()
    shared = program(jax.device_put(variables["params"], whole), jax.device_put(low, split))
    found = read_collectives(program.as_text(), devices=8)
    return {
        "model": name,
        "restored": _apart(shared[0], alone[0]),
        "gradient": _apart(shared[1], alone[1]) if gradient else None,
        "gathered": gathered_activations(found, variables, edge=edge_bytes(ways, width=2 * width, channels=16)),
        "halos": sum(c.kind == "collective-permute" for c in found),
        "seconds": round(time.monotonic() - begin, 1),
    }


def _apart(a: PyTree, b: PyTree) -> float:
    """The largest difference, in units of the largest value."""
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]
    largest = max(float(np.abs(y).max()) for _, y in pairs)
    return max(float(np.abs(x - y).max()) for x, y in pairs) / largest


if __name__ == "__main__":
    kind, *names = sys.argv[1:]
    for each in map(functools.partial(compare, gradient=kind == "gradient"), names or MODELS):
        print(json.dumps(each), flush=True)

"""Run by test_reductions.py with eight virtual devices: the gradients of a loss with a loop. Prints one JSON object."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from ultrabm_jax.optim.microbatches import value_and_grad
from ultrabm_jax.scaling.collectives import read_collectives
from ultrabm_jax.training.sharding import AXES, batch_sharding, replicated, split_over_data
from ultrabm_jax.typing import Batch, PyTree

MESHES = {"one": (1, 1, 1), "data": (8, 1, 1), "fsdp": (4, 2, 1), "spatial": (4, 1, 2), "fsdp only": (1, 8, 1)}
BATCH, WIDTH, LAYERS = 16, 32, 5


def loss(params: PyTree, batch: Batch, *, offset: jax.Array) -> tuple[jax.Array, PyTree]:
    """Like a flow: equal layers as a loop, a scalar of the batch, shared values by index, an exploding example."""

    def layer(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
        return jnp.tanh(batch["gain"] * x @ kernel + offset[np.array([1, 0])].sum()), None

    x, _ = jax.lax.scan(jax.checkpoint(layer), batch["x"], params["kernels"])
    errors = jnp.abs(x * params["scale"] - batch["y"])
    exploded = jnp.max(jnp.abs(batch["y"])) > 10
    return jnp.mean(errors**2), {"abs": jnp.mean(errors), "exploded": jnp.stack([jnp.inf, exploded])}


def example() -> tuple[PyTree, Batch]:
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(LAYERS, WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5
    x, y = rng.normal(size=(2, BATCH, WIDTH)).astype(np.float32)
    return {"kernels": kernels, "scale": np.ones((WIDTH,), np.float32)}, {"x": x, "y": y, "gain": np.float32(1.2)}


def gradients(sizes: tuple[int, ...], *, microbatches: int) -> jax.stages.Wrapped:
    """The jitted (params, batch, offset) -> ((loss, auxiliary outputs), gradients) on a mesh."""
    axis_types = (jax.sharding.AxisType.Auto,) * len(AXES)
    mesh = jax.make_mesh(sizes, AXES, axis_types=axis_types, devices=jax.devices()[: int(np.prod(sizes))])

    def of(params: PyTree, batch: Batch, offset: jax.Array) -> tuple[tuple[jax.Array, PyTree], PyTree]:
        with split_over_data(mesh):
            return value_and_grad(loss, microbatches=microbatches)(params, batch, offset=offset)

    split = {"x": batch_sharding(mesh, 2), "y": batch_sharding(mesh, 2), "gain": replicated(mesh)}
    return jax.jit(
        of,
        in_shardings=(replicated(mesh), split, replicated(mesh)),
        out_shardings=NamedSharding(mesh, PartitionSpec()),
    )


def compared(result: PyTree) -> list[np.ndarray]:
    """Loss, mean error and gradients."""
    (value, aux), grads = result
    return [np.asarray(x) for x in (value, aux["abs"], *jax.tree.leaves(grads))]


def apart(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest value of its array."""
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    params, batch = example()
    offset = np.array([0.04, 0.06], np.float32)
    exploding = batch | {"y": batch["y"].copy()}
    exploding["y"][9] = 100  # one example, of one device
    poisoned = batch | {"y": batch["y"].copy()}
    poisoned["y"][9, 3] = np.nan
    alone = gradients(MESHES["one"], microbatches=1)
    expected = compared(alone(params, batch, offset))
    report = {"parameters": sum(leaf.nbytes for leaf in jax.tree.leaves(params))}
    for name, sizes in MESHES.items():
        for microbatches in (1, 2):
            compiled = gradients(sizes, microbatches=microbatches).lower(params, batch, offset).compile()
            found = read_collectives(compiled.as_text(), devices=int(np.prod(sizes)))
            (_, aux), _ = compiled(params, exploding, offset)
            (value, _), grads = compiled(params, poisoned, offset)
            report[f"{name}, {microbatches}"] = {
                "reductions": [(c.devices, c.bytes, c.times) for c in found if c.kind == "all-reduce"],
                "apart": apart(compared(compiled(params, batch, offset)), expected),
                "exploded": [float(x) for x in aux["exploded"]],
                "nonfinite": bool(np.isnan(value)) and not np.isfinite(grads["kernels"]).all(),
            }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

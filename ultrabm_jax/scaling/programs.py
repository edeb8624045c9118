"""Inference programs, lowered for devices that may be absent: what `Task.restore` does to one image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import task_from_config
from ultrabm_jax.models.task import Task
from ultrabm_jax.training.sharding import replicated
from ultrabm_jax.typing import Batch, Variables

Size = tuple[int, int]
SENSORS: dict[str, Size] = {"sid_sony": (2848, 4256), "sid_fuji": (4032, 6032)}  # active pixels, data.dataset


def default_size(config: ConfigDict) -> Size:
    """A sensor's full frame for networks of mosaics, otherwise one tile; (height, width) of the low image."""
    task = task_from_config(config)
    if task.input_kind == "mosaic":
        return SENSORS.get(config.data.dataset, SENSORS["sid_sony"])
    return task.tile, task.tile


def trace_restore(
    config: ConfigDict, mesh: Mesh, *, batch: int, size: Size, sample: bool = False
) -> tuple[jax.stages.Traced, Variables]:
    """(the traced program that restores `batch` low images of `size` on each device, the shapes of its variables).

    `sample` adds the noise of one sample. Raises UserError if the network cannot be sampled.
    """
    task = task_from_config(config)
    if sample and not task.noise_channels:
        raise UserError(f"{task.name} restores one image only; it has no samples")
    everywhere = replicated(mesh)
    variables = jax.eval_shape(lambda: task.prepare(_initial(task)))
    variables = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), variables)
    channels = {"low": task.channels} | ({"noise": task.noise_channels} if sample else {})
    images = {
        name: jax.ShapeDtypeStruct((batch, *size, c), jnp.float32, sharding=everywhere) for name, c in channels.items()
    }

    def restore(variables: Variables, images: Batch) -> jax.Array:
        return task.restore(variables, images)

    return jax.jit(restore).trace(variables, images), variables


def _initial(task: Task) -> Variables:
    return dict(task.model.init(jax.random.key(0), task.example_input()))

"""Memory and communication of the compiled training step, and the check that it gathers no activations."""

from __future__ import annotations

import time
from typing import TypedDict

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.scaling.collectives import Collective, read_collectives, totals
from ultrabm_jax.scaling.compiled_program import text_and_buffers
from ultrabm_jax.scaling.step import lower_for
from ultrabm_jax.training.sharding import AXES
from ultrabm_jax.typing import PyTree

SMALL = 2**10  # bytes; smaller arrays, such as the losses of a batch, may be gathered


class Measurement(TypedDict):
    """Numbers per device and step; sizes in bytes."""

    devices: int
    mesh: dict[str, int]
    collectives: dict[str, int]  # kind: how often one step runs it
    bytes: dict[str, int]  # kind: payload
    sent: int
    parameters: int  # of the whole model
    arguments: int
    temporary: int
    gathered_activations: list[str]
    compile_seconds: float


def measure(config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int, phase: int = -1) -> Measurement:
    """Compiles the step of `config` for `mesh`, with `per_device` examples of side `patch` on each device."""
    begin = time.monotonic()
    lowered, state = lower_for(config, mesh, per_device=per_device, patch=patch, phase=phase)
    text, buffers = text_and_buffers(lowered.compile())
    found = read_collectives(text, devices=mesh.size)
    return {
        "devices": mesh.size,
        "mesh": {axis: mesh.shape[axis] for axis in AXES},
        **totals(found),
        "parameters": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params)),
        "arguments": buffers.arguments,
        "temporary": buffers.temporary,
        "gathered_activations": gathered_activations(
            found, state, edge=edge_bytes(mesh.shape["spatial"], width=config.model.scale * patch)
        ),
        "compile_seconds": round(time.monotonic() - begin, 1),
    }


def edge_bytes(ways: int, *, width: int, channels: int = 64) -> int:
    """Bytes that padding may gather: one row for each of the `ways` that an image's height is split."""
    return 4 * ways * width * channels if ways > 1 else 0


def gathered_activations(found: list[Collective], state: PyTree, *, edge: int = 0) -> list[str]:
    """All-gathers and all-to-alls of arrays that are not leaves of the state, with the operations that cause them.

    Arrays of at most `edge` bytes are allowed: the rows at the top and bottom of an image that padding repeats.
    """
    known = {tuple(leaf.shape) for leaf in jax.tree.leaves(state)}
    return [
        f"{c.kind} {kind}{list(shape)} for {c.source}"
        for c in found
        if c.kind in ("all-gather", "all-to-all") and c.bytes > max(SMALL, edge)
        for kind, shape in c.shapes[:1]
        if shape not in known
    ]

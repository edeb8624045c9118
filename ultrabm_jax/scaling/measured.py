"""One compiled step in numbers, and the promises that it has to keep."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ultrabm_jax.scaling.collectives import Collective, read_collectives
from ultrabm_jax.scaling.step import lower_for
from ultrabm_jax.training.sharding import AXES

SMALL = 2**10  # bytes: losses of a batch and the like may be gathered


def measure(config: ConfigDict, mesh: Mesh, *, per_device: int, patch: int, phase: int = -1) -> dict[str, Any]:
    """Numbers of the step, per device and step."""
    begin = time.monotonic()
    lowered, state = lower_for(config, mesh, per_device=per_device, patch=patch, phase=phase)
    compiled = lowered.compile()
    text, memory = compiled.as_text(), compiled.memory_analysis()
    assert text is not None  # every backend has both
    assert memory is not None
    found = read_collectives(text, devices=mesh.size)
    return {
        "devices": mesh.size,
        "mesh": {axis: mesh.shape[axis] for axis in AXES},
        "collectives": dict(Counter(c.kind for c in found for _ in range(c.times))),
        "bytes": {kind: sum(c.bytes * c.times for c in found if c.kind == kind) for kind in {c.kind for c in found}},
        "sent": round(sum(c.sent for c in found)),
        "parameters": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params)),
        "arguments": memory.argument_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "gathered_activations": gathered_activations(
            found, state, edge=edge_bytes(mesh.shape["spatial"], width=config.model.scale * patch)
        ),
        "compile_seconds": round(time.monotonic() - begin, 1),
    }


def edge_bytes(ways: int, *, width: int, channels: int = 64) -> int:
    """Of a row for each of the `ways` in which an image's height is split; what padding may gather."""
    return 4 * ways * width * channels if ways > 1 else 0


def gathered_activations(found: list[Collective], state: Any, *, edge: int = 0) -> list[str]:
    """All-gathers and all-to-alls of anything but a leaf of the state, by the operation that they serve.

    Up to `edge` bytes do not count: rows at the top and the bottom of an image, which are repeated or reflected there.
    """
    known = {tuple(leaf.shape) for leaf in jax.tree.leaves(state)}
    return [
        f"{c.kind} {kind}{list(shape)} for {c.source}"
        for c in found
        if c.kind in ("all-gather", "all-to-all") and c.bytes > max(SMALL, edge)
        for kind, shape in c.shapes[:1]
        if shape not in known
    ]

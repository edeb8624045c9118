"""A network with its weights as one StableHLO program (`jax.export`), which any program with JAX runs:

    program = jax.export.deserialize(open("NAME.stablehlo", "rb").read())
    restored = program.call(low)                  # low (b, h, w, c) float32 -> (b, s h, s w, 3), float32 in [0, 1]

The batch is free. The image size is fixed, or free: then sides are multiples of `Task.multiple`; reflect an image to
such a size and crop the result. Networks that can be sampled run at temperature 0. Programs do not cut large images
into tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax import export as jax_export

from ultrabm_jax.errors import UserError
from ultrabm_jax.export.difference import example_images, largest_difference, require_close
from ultrabm_jax.export.source import Source, describe_size
from ultrabm_jax.image.write import write_file

PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-5  # the compiler fuses the operations of both programs differently

Size = tuple[int, int]


def export_stablehlo(source: Source, path: Path, size: Size | None) -> Iterator[str]:
    """Writes `path` for images of `size`, None: of any size; runs it and compares; yields what to print.

    Raises UserError if the network cannot be exported for any size.
    """
    task = source.task
    variables = task.prepare(source.variables)
    m = task.multiple
    sides = f"{m}*h, {m}*w" if size is None else f"{size[0]}, {size[1]}"
    shape = jax_export.symbolic_shape(f"b, {sides}, {task.channels}")
    program = jax.jit(lambda low: task.restore(variables, {"low": low}))
    try:
        exported = jax_export.export(program, platforms=PLATFORMS)(jax.ShapeDtypeStruct(shape, np.float32))
    except (TypeError, ValueError, NotImplementedError) as error:  # an operation needs the size as a number
        if size is not None:
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        message = f"{source.name} cannot be exported for images of any size: give --size HxW ({reason})"
        raise UserError(message) from error
    write_file(path, bytes(exported.serialize()))
    yield f"wrote {path}: {describe_size(size, m)}"
    loaded = jax_export.deserialize(bytearray(path.read_bytes()))

    def engine(low: np.ndarray) -> np.ndarray:
        return np.asarray(loaded.call(low))

    tested = [example_images(task, 1, size or (2 * m, 3 * m)), example_images(task, 2, size or (3 * m, 2 * m))]
    differences = [largest_difference(engine, task, source.variables, images) for images in tested]
    require_close(max(differences), TOLERANCE, str(path))
    yield f"loaded again, its output differs from the network's by at most {max(differences):.1e} (batches of 1 and 2)"

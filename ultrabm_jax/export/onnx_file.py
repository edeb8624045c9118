"""A network with its weights as an ONNX file, for ONNX Runtime, OpenVINO and others; written by jax2onnx.

    session = onnxruntime.InferenceSession("NAME.onnx")
    restored, = session.run(None, {"low": low})   # low (1, h, w, c) float32 -> (1, s h, s w, 3), float32 in [0, 1]

The batch is 1. The image size is fixed, or free: then sides are multiples of `Task.multiple`; reflect an image to such
a size and crop the result. Networks that can be sampled run at temperature 0.

jax2onnx requires Orbax < 0.11.37 but never imports it, hence `pip install --no-deps`; it needs only the packages of
requirements/onnx.txt and of this package.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from jax import export as jax_export

from ultrabm_jax.errors import UserError
from ultrabm_jax.export.difference import Engine, example_images, largest_difference, require_close
from ultrabm_jax.export.inline import inline_calls
from ultrabm_jax.export.source import Source, describe_size
from ultrabm_jax.export.substitutes import SUBSTITUTES
from ultrabm_jax.extras import install
from ultrabm_jax.image.write import write_file
from ultrabm_jax.layers.by_platform import OTHER, traced_for

TOLERANCE = 1e-5
INPUT, OUTPUT = "low", "restored"
# The first warns about its missing examples, the second about types that it leaves out; the engines check the result.
NOISY_LOGGERS = ("jax2onnx.plugins.plugin_system", "onnx_ir.serde")

Size = tuple[int, int]


class ConversionError(UserError):
    """jax2onnx cannot convert a function."""


def export_onnx(source: Source, path: Path, size: Size | None) -> Iterator[str]:
    """Writes `path` for one image of `size`, None: of any size; yields what to print.

    ONNX Runtime and OpenVINO, or the one of them that is installed, run the program first. Raises UserError, and writes
    nothing, if neither is installed, if an output differs from the network's by more than `TOLERANCE`, or if jax2onnx
    cannot convert an operation.
    """
    task, model = source.task, onnx_program(source, size)
    m = task.multiple
    tested = [example_images(task, 1, each) for each in ([size] if size else [(2 * m, 3 * m), (3 * m, 2 * m)])]
    checked = False
    for name, load in ENGINES.items():
        try:
            engine = load(model)
        except ModuleNotFoundError:
            yield f"not run in {name}, which is not installed"
            continue
        try:
            difference = max(largest_difference(engine, task, source.variables, images) for images in tested)
        except UserError:
            raise
        except Exception as error:  # engines raise errors of any type
            raise UserError(f"{path} is not written: {name} cannot run it: {_first_line(error)}") from error
        require_close(difference, TOLERANCE, f"{path} is not written: its output in {name}")
        yield f"in {name} its output differs from the network's by at most {difference:.1e}"
        checked = True
    if not checked:
        raise UserError(f"{path} is not written, because no engine is installed to check it: {install('openvino')}")
    write_file(path, model)
    yield f"wrote {path}: {describe_size(size, m)}"


def onnx_program(source: Source, size: Size | None) -> bytes:
    """The ONNX program of a network for one image of `size`, None: of any size; not yet checked.

    Raises UserError as `convert` does.
    """
    task = source.task
    variables = task.prepare(source.variables)
    sides = f"{task.multiple}*h, {task.multiple}*w" if size is None else f"{size[0]}, {size[1]}"
    shape = jax_export.symbolic_shape(f"1, {sides}, {task.channels}")
    low = jax.ShapeDtypeStruct(shape, np.float32)

    @traced_for(OTHER)
    def restore(x: jax.Array) -> jax.Array:
        return task.restore(variables, {"low": x if size else _with_symbols(x, task.multiple)})

    try:
        return convert(restore, low, name=source.name)
    except ConversionError as error:
        if size is not None:
            raise
        raise UserError(f"{error}. That is for images of any size; for one size, give --size HxW") from error


def _with_symbols(low: jax.Array, multiple: int) -> jax.Array:
    """(1, m h, m w, c) -> the same values, from operations that tell jax2onnx 0.17.1 the values of h and w.

    It takes the value of a symbol from the first array that has a side of exactly this name, as the pooled image has.
    """
    window = (1, multiple, multiple)
    pooled = jax.lax.reduce_window(low.max(axis=-1), -np.inf, jax.lax.max, window, window, "VALID")
    return low + 0 * pooled.sum()


def convert(function: Callable[[jax.Array], jax.Array], low: jax.ShapeDtypeStruct, *, name: str) -> bytes:
    """The ONNX program of a function of one array like `low`, whose sides may be symbolic.

    Raises UserError if jax2onnx is not installed, and ConversionError with its message if it cannot convert the
    function.
    """
    for logger_name in NOISY_LOGGERS:
        logging.getLogger(logger_name).setLevel(logging.CRITICAL)
    try:
        from jax2onnx import to_onnx
    except ModuleNotFoundError as error:
        raise UserError(f"--format onnx needs jax2onnx: {install('jax2onnx')}") from error
    try:
        program = inline_calls(function, low, substitutes=SUBSTITUTES)
        model = to_onnx(program, [low], model_name=name, input_names=[INPUT], output_names=[OUTPUT])
    except Exception as error:  # jax2onnx raises errors of any type
        raise ConversionError(f"jax2onnx cannot convert {name}: {_first_line(error)}") from error
    return bytes(model.SerializeToString())


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def load_onnx_runtime(model: bytes) -> Engine:
    """An ONNX program in ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda low: np.asarray(session.run([OUTPUT], {INPUT: low})[0])


def load_openvino(model: bytes) -> Engine:
    """An ONNX program in OpenVINO on the CPU, in float32; its default is bfloat16 on CPUs that support it."""
    with _no_telemetry():
        import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda low: np.asarray(compiled(low)[0])


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Importing OpenVINO forks a process that reports the import, which may deadlock beside JAX; not where CI=true."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


ENGINES: dict[str, Callable[[bytes], Engine]] = {"ONNX Runtime": load_onnx_runtime, "OpenVINO": load_openvino}

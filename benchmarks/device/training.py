"""Time and memory of a training step on one device, beside what `ultrabm_jax.scaling` predicts from the program."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TypedDict

import jax
import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.config_flags import read_config
from ultrabm_jax.evaluation.random_variables import draw_variables
from ultrabm_jax.layers.by_platform import traced_for
from ultrabm_jax.scaling.arithmetic import product_flops
from ultrabm_jax.scaling.chips import CHIPS, Chip
from ultrabm_jax.scaling.compiled_program import describe_compiled, peak_bytes
from ultrabm_jax.scaling.roofline import roofline
from ultrabm_jax.scaling.step import abstract_batch, trace_for
from ultrabm_jax.training.sharding import make_mesh, replicated
from ultrabm_jax.typing import Metrics

STEPS, WARM_UP = 10, 2
# Part of the device's name -> key of CHIPS. A chip that is not listed has no bound.
CHIP_NAMES = {"H100": "H100", "v5 lite": "TPU v5e", "v5p": "TPU v5p"}


class Row(TypedDict):
    """Bytes and seconds of one step on one device; None: not known."""

    seconds: float
    compile_seconds: float
    flops: float  # of convolutions and matrix products
    predicted_bytes: int  # arguments, outputs and temporary memory of the compiled program
    peak_bytes: int | None  # what the allocator reports, with the state and everything else in the process
    bound_seconds: float | None  # the largest lower bound (scaling/roofline.py)
    limit: str  # its name


class Step:
    """The compiled step of a config with a random state and batch; a call runs it once and waits for the device."""

    def __init__(self, config: ConfigDict, *, batch: int, patch: int) -> None:
        mesh = make_mesh(ConfigDict({"data": 1, "fsdp": 1, "spatial": 1}), devices=jax.devices()[:1])
        with traced_for(mesh.devices.flat[0].platform):
            traced, state = trace_for(config, mesh, per_device=batch, patch=patch)
        begin = time.perf_counter()
        self._compiled = traced.lower().compile()
        seconds = time.perf_counter() - begin
        flops = product_flops(traced.jaxpr.jaxpr)
        self.program = describe_compiled(self._compiled, flops=flops, devices=1, seconds=seconds)
        self._inputs = {
            name: jax.device_put(_draw_stored(name, x), x.sharding)
            for name, x in abstract_batch(config, mesh, per_device=batch, patch=patch).items()
        }
        self._key = jax.device_put(jax.random.key(0), replicated(mesh))
        shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
        self._state = jax.tree.map(jax.device_put, draw_variables(state), shardings)

    def __call__(self) -> Metrics:
        self._state, metrics = self._compiled(self._state, self._inputs, self._key)
        return jax.block_until_ready(metrics)


def measure(config: str, *, batch: int, patch: int, dtype: str) -> Row:
    """Measures the last phase of a shipped config."""
    step = make_step(config, batch=batch, patch=patch, dtype=dtype)
    seconds = []
    for _ in range(WARM_UP + STEPS):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    chip = chip_of(jax.devices()[0].device_kind)
    bound = None if chip is None else roofline(step.program, chip, dtype=dtype)
    return {
        "seconds": statistics.median(seconds[WARM_UP:]),
        "compile_seconds": step.program["compile_seconds"],
        "flops": step.program["flops"],
        "predicted_bytes": peak_bytes(step.program),
        "peak_bytes": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
        "bound_seconds": None if bound is None else bound.seconds,
        "limit": "" if bound is None else bound.limit,
    }


def profile(config: str, folder: Path, *, batch: int, patch: int, dtype: str) -> dict[str, str]:
    """Writes a trace of three steps into `folder`, for xprof or Perfetto."""
    step = make_step(config, batch=batch, patch=patch, dtype=dtype)
    for _ in range(WARM_UP):
        step()
    with jax.profiler.trace(folder, create_perfetto_trace=True):
        for number in range(3):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                step()
    return {"trace": str(folder)}


def make_step(config: str, *, batch: int, patch: int, dtype: str) -> Step:
    """The step of a shipped config in a compute type; networks without the option compute in float32."""
    loaded = read_config(config)
    if "dtype" in loaded.model:
        loaded.model.dtype = dtype
    return Step(loaded, batch=batch, patch=patch)


def chip_of(kind: str) -> Chip | None:
    """The published numbers of a device by JAX's name for it; None if they are not listed."""
    return next((CHIPS[name] for part, name in CHIP_NAMES.items() if part in kind), None)


def _draw_stored(name: str, shape: jax.ShapeDtypeStruct) -> np.ndarray:
    """Random pixels; of mosaics, the levels of a 16-bit sensor and no amplification."""
    if np.issubdtype(shape.dtype, np.integer):
        top = np.iinfo(shape.dtype).max
        return np.random.default_rng(0).integers(0, top, shape.shape, shape.dtype, endpoint=True)
    return np.full(shape.shape, {"black": 0, "white": 65535, "ratio": 1}[name], shape.dtype)

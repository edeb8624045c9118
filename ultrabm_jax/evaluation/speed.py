"""Parameters, multiply-accumulates, memory and run time of a network for one image, as in the papers' tables.

parameters           trained ones and those of a frozen extractor
gmacs_convolutions   multiply-accumulates of the network's own convolutions, without a frozen extractor
gmacs_one_generator  the same of one of DRGN's two generators, as its paper counts; elsewhere equal
gflops_compiled      of the whole compiled program (XLA's cost analysis)
memory_gib           arguments, result and temporaries of the compiled program (XLA's analysis), without libraries
milliseconds         median of several calls after warm-up, with the input on the device

The program is `Task.restore` with prepared variables: what restoring one whole image computes.
"""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from ultrabm_jax import cli
from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Variables

Speed: TypeAlias = dict[str, str | int | float]  # the values above by name, "input" and the device
REPEATS = 10
WARM_UP = 2


class Size(NamedTuple):
    """Height and width of the network's input, in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


SIZE = Size(128, 128)  # of UltraBM's Table 3
# The sizes of the papers' tables: UltraBM 3, DRGN 2, RED 1 (Bayer, X-Trans) and 4. LoLiSRFlow's has none.
PAPER_SIZES: dict[str, tuple[Size, ...]] = {
    "ultrabm": (SIZE,),
    "lolisrflow": (SIZE,),
    "red": (Size(512, 512), Size(2848, 4256), Size(4032, 6032)),
}
DRGN_SIZE = Size(384, 384)  # also of the enhancers in DRGN's table


def paper_sizes(network: str) -> tuple[Size, ...]:
    """The sizes at which the papers measure the network."""
    return PAPER_SIZES.get(network, (DRGN_SIZE,))


def parse_size(text: str) -> Size:
    """ "384x512", height first. Raises UserError for another form."""
    return Size(*cli.parse_sides(text))


def speed(task: Task, variables: Variables, *, size: Size = SIZE, repeats: int = REPEATS) -> Speed:
    """The values above for one image on the first device."""
    kept = {name: value for name, value in variables.items() if name != "statistics"}
    dark = np.random.default_rng(0).beta(1, 9, (1, *size, task.channels)).astype(np.float32)
    prepared, low = jax.device_put(task.prepare(kept)), jax.device_put(dark)
    compiled = jax.jit(lambda v, x: task.restore(v, {"low": x})).lower(prepared, low).compile()
    seconds = []
    for _ in range(repeats + WARM_UP):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(prepared, low))
        seconds.append(time.perf_counter() - begin)
    cost, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    macs = count_convolution_macs(task.model, jax.ShapeDtypeStruct(low.shape, low.dtype))
    generators = 2 if getattr(task.model, "removes_degradation", False) else 1
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    used = sum(getattr(memory, part, 0) for part in parts)  # 0: the device's compiler does not say
    return {
        "input": str(size),
        "parameters": count_parameters({name: kept[name] for name in ("params", "frozen") if name in kept}),
        "gmacs_convolutions": round(macs / 1e9, 3),
        "gmacs_one_generator": round(macs / generators / 1e9, 3),
        "gflops_compiled": round(float(cost.get("flops", 0)) / 1e9, 3),
        "memory_gib": round(used / 2**30, 4),
        "milliseconds": round(1e3 * statistics.median(seconds[WARM_UP:]), 3),
        "repeats": repeats,
        **machine(),
    }


def machine() -> Speed:
    """The first device, and the number of CPU cores that this process may use."""
    device = jax.devices()[0]
    name = _processor() if device.platform == "cpu" else device.device_kind
    return {"device": name, "platform": device.platform, "cores": cli.available_cores()}


def _processor() -> str:
    """The CPU's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "cpu")

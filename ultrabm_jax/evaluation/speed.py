"""Parameters, multiply-accumulates and run time of a network for one 128x128 input, as in UltraBM's Table 3.

parameters          trained ones and those of a frozen extractor
gmacs_convolutions  multiply-accumulates of the convolutions alone, as papers count
gflops_compiled     of the whole compiled program (XLA's cost analysis)
milliseconds        median of several calls after warm-up, with the input on the device
"""

from __future__ import annotations

import statistics
import time
from typing import TypeAlias

import jax

from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.models.task import Task
from ultrabm_jax.typing import Variables

Speed: TypeAlias = dict[str, str | int | float]  # the values above by name, "input" and "device"
SIDE = 128  # pixels
REPEATS = 10


def speed(task: Task, variables: Variables) -> Speed:
    """The values above for one image of SIDE x SIDE on the first device."""
    model, low = task.model, task.example_input(SIDE)
    kept = {name: value for name, value in variables.items() if name != "statistics"}
    compiled = jax.jit(lambda v, x: model.apply(v, x)["restored"]).lower(kept, low).compile()
    seconds = []
    for _ in range(REPEATS + 2):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(kept, low))
        seconds.append(time.perf_counter() - begin)
    cost = compiled.cost_analysis() or {}
    return {
        "input": f"{SIDE}x{SIDE}",
        "parameters": count_parameters({name: kept[name] for name in ("params", "frozen") if name in kept}),
        "gmacs_convolutions": round(count_convolution_macs(model, jax.ShapeDtypeStruct(low.shape, low.dtype)) / 1e9, 3),
        "gflops_compiled": round(float(cost.get("flops", 0)) / 1e9, 3),
        "milliseconds": round(1e3 * statistics.median(seconds[2:]), 3),
        "device": jax.devices()[0].device_kind,
    }

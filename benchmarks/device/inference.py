"""Inference speed of one network, with PyTorch beside it where torch is installed and a peer exists.

RED and DRGN run beside their PyTorch peers (benchmarks/peers), eager and, on a GPU, compiled. UltraBM has no peer.
"""

from __future__ import annotations

import argparse
import os

import jax.numpy as jnp
import numpy as np

from benchmarks import drgn_speed, red_speed
from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import JaxProgram, Row
from ultrabm_jax.evaluation.random_variables import draw_variables

ROUNDS = 7


def measure(network: str, size: str, dtype: str) -> list[Row]:
    """The rows of one network, size and compute type; DRGN's include LW-DRGN."""
    threads = len(os.sched_getaffinity(0))
    side_by_side.heading(threads=threads)  # sets the number of PyTorch's threads
    options = argparse.Namespace(rounds=ROUNDS, weights=None, profile=None, threads=threads)
    if network == "red":
        return [{**red_speed.measure(size, dtype, options), "model": "red"}]
    if network == "drgn":
        return drgn_speed.measure(size, dtype, options)
    return [_ultrabm(size, dtype)]


def _ultrabm(size: str, dtype: str) -> Row:
    """UltraBM x2 base without a semantic extractor."""
    import jax

    from ultrabm_jax.models import create_model

    image = drgn_speed.image_of(size)
    model = create_model("ultrabm", scale=2, semantic="none", dtype=jnp.dtype(dtype))
    example = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    variables = draw_variables(dict(jax.eval_shape(model.init, jax.random.key(0), example)))
    program = JaxProgram(lambda v, x: model.apply(v, x)["restored"], variables, image)
    seconds = side_by_side.medians({"ours": program}, ROUNDS)
    return {
        "model": "ultrabm",
        "size": size,
        "dtype": dtype,
        "compile_seconds": program.compile_seconds,
        "seconds": seconds,
    }

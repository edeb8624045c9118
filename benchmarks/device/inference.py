"""Inference speed of one network, with PyTorch beside it where torch is installed and a peer exists.

RED, DRGN and UltraBM x2 base without a semantic extractor run beside their PyTorch peers (benchmarks/peers), eager and,
on a GPU, compiled.
"""

from __future__ import annotations

import os

from benchmarks import drgn_speed, red_speed, ultrabm_speed
from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import Row

ROUNDS = 7


def measure(network: str, size: str, dtype: str) -> list[Row]:
    """The rows of one network, size and compute type; DRGN's include LW-DRGN."""
    threads = len(os.sched_getaffinity(0))
    side_by_side.heading(threads=threads)  # sets the number of PyTorch's threads
    flags = ["--rounds", str(ROUNDS), "--threads", str(threads)]
    if network == "red":
        return [{**red_speed.measure(size, dtype, red_speed.parser().parse_args(flags)), "model": "red"}]
    if network == "drgn":
        return drgn_speed.measure(size, dtype, drgn_speed.parser().parse_args(flags))
    return [ultrabm_speed.measure("base_none_x2", size, dtype, rounds=ROUNDS)]

"""The former names of three compared methods: `function(low, scale)`; see compared.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ultrabm_jax.compared import make_compared

NAMES = {"bicubic": "bicubic", "gamma_bicubic": "gamma=>bicubic", "equalised_bicubic": "equalised=>bicubic"}


def _baseline(name: str) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda low, scale: make_compared(name, scale=scale)(low)


BASELINES = {former: _baseline(name) for former, name in NAMES.items()}

"""Random weights of flows, without compiling their initialisation; processes of several devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(scope="session")
def flow_variables():
    """`flow_variables(model, *inputs)`: orthogonal matrices, the rest normal and of the size that training has."""

    def fill(path, leaf):
        rng = np.random.default_rng((*leaf.shape, len(path)))
        name = path[-1].key
        values = rng.normal(size=leaf.shape)
        if name == "matrix":
            return np.linalg.qr(values)[0].astype(np.float32)
        fan_in = np.prod(leaf.shape[-4:-1]) if leaf.ndim > 3 else 100
        return (values * fan_in**-0.5).astype(np.float32)

    def make(model, *inputs, **options):
        shapes = jax.eval_shape(lambda *args: model.init(jax.random.key(0), *args, **options), *inputs)
        return jax.tree_util.tree_map_with_path(fill, shapes)

    return make


@pytest.fixture(scope="session")
def python():
    """`python("-c", code, devices=8)` -> a finished subprocess on that many virtual CPU devices."""

    def run(*arguments: str, devices: int) -> subprocess.CompletedProcess:
        flags = f"--xla_force_host_platform_device_count={devices} {QUICK_XLA}"
        env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False
        )

    return run

"""Fixtures for reference material that lies beside a developer's checkout; tests skip with a reason without it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
import quick_xla

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("ULTRABM_OFFLINE", "1")  # a test of missing weights must not download them
SHARED = Path(os.environ.get("ULTRABM_SHARED", ROOT.parent / "shared"))


def _load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference values and real images."""
    if not SHARED.is_dir():
        pytest.skip("no shared/ folder beside the checkout (set ULTRABM_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def parity(shared):
    """`parity("open/blocks.npz")` opens one file of the authors' own inputs and outputs."""
    return _load_module(shared / "reference" / "parity" / "compare.py").Oracle


@pytest.fixture(scope="session")
def rule_weights(shared):
    """`rule_weights("ultrais_x2")` makes the deterministic state dict behind the parity values."""
    folder = shared / "reference" / "parity"
    rule = _load_module(folder / "weights_rule.py")

    def make(name: str) -> dict[str, np.ndarray]:
        gains = rule.GAINS["vgg19" if name.startswith("vgg19") else "ultrais"]
        return rule.fill(rule.read_spec(folder / "state_dicts" / f"{name}_state_dict.txt"), gains)

    return make


@pytest.fixture(scope="session")
def random_variables():
    """`random_variables(model, *inputs)`: plain NumPy normals; compiling `model.init` takes far longer."""

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 16
        return np.random.default_rng(leaf.shape).normal(0, fan_in**-0.5, leaf.shape).astype(leaf.dtype)

    return lambda model, *inputs: jax.tree.map(fill, jax.eval_shape(model.init, jax.random.key(0), *inputs))


@pytest.fixture(scope="session")
def flow_variables():
    """`flow_variables(model, *inputs)`: as `random_variables`, but the matrices of a flow are orthogonal."""

    def fill(path, leaf):
        values = np.random.default_rng((*leaf.shape, len(path))).normal(size=leaf.shape)
        if path[-1].key == "matrix":
            return np.linalg.qr(values)[0].astype(np.float32)
        fan_in = np.prod(leaf.shape[-4:-1]) if leaf.ndim > 3 else 100
        strength = 0.3 if any(key.key == "conv3" for key in path) else 1  # starts at zero, and is small in training
        return (strength * values * fan_in**-0.5).astype(np.float32)

    def make(model, *inputs):
        shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
        return jax.tree_util.tree_map_with_path(fill, shapes)

    return make


@pytest.fixture(scope="session")
def python():
    """`python("file or -c", *arguments, devices=8)` -> a finished subprocess on that many virtual CPU devices."""

    def run(*arguments: str, devices: int = 1) -> subprocess.CompletedProcess:
        flags = f"--xla_force_host_platform_device_count={devices} {quick_xla.FLAGS}"
        env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=550, check=False)

    return run

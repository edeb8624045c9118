"""Fixtures for reference values, random network weights, image files and the default config.

Parity tests read the full set of reference values where a developer has it (`../shared`, or `$ULTRABM_SHARED`), and
the subset in `tests/reference/` elsewhere. Tests that need data sets or released weights skip, with the reason.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
import quick_xla
import skimage.data
from gcs_server import gcs_server
from ml_collections import ConfigDict
from PIL import Image

from ultrabm_jax.config import default_config
from ultrabm_jax.logging import PREFIXES, configure_logging, logger
from ultrabm_jax.weights import load_torch

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("ULTRABM_OFFLINE", "1")  # a test of missing weights must not download them
SHARED = Path(os.environ.get("ULTRABM_SHARED", ROOT.parent / "shared"))


REFERENCE = Path(__file__).resolve().parent / "reference"
# Released weights, and the listing that weights by the rule are made from where those may not be distributed.
LISTINGS = {
    "red_sony_released.pth": ("red", ""),
    "zero_dce_epoch99.pth": ("zerodce", ""),
    **{f"sci_{name}.pth": ("sci", f"{name}/") for name in ("easy", "medium", "difficult")},
}


def _load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def command_line_logging():
    """Shows log records on standard error, as command lines do."""
    configure_logging()


@pytest.fixture
def logged():
    """The lines that the package's logger has shown so far."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(PREFIXES.get(record.levelno, "") + record.getMessage())
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def bucket():
    """The URL of an empty bucket in a local server of Google Cloud Storage; skips without the server and gcsfs."""
    with gcs_server() as url:
        yield url


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference values, real images and released weights."""
    if not SHARED.is_dir():
        pytest.skip("no shared/ folder beside the checkout (set ULTRABM_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def parity():
    """`parity("open/blocks.npz")` opens one file of inputs and outputs: of the full set, else of the subset."""
    if SHARED.is_dir():
        return _load_module(SHARED / "reference" / "parity" / "compare.py").Oracle
    oracle = _load_module(REFERENCE / "oracle.py")

    def open_file(name: str):
        if name not in oracle.INDEX:
            pytest.skip(f"{name} is in the full set of reference values only (set ULTRABM_SHARED)")
        return oracle.Oracle(name)

    return open_file


@pytest.fixture(scope="session")
def rule_weights():
    """`rule_weights("ultrais_x2")` makes the deterministic state dict behind the parity values."""
    return _load_module(REFERENCE / "weights_rule.py").make_state_dict


@pytest.fixture(scope="session")
def released_weights(rule_weights):
    """`released_weights("red_sony_released.pth")`: the authors' state dict, or without shared/ one made by the rule."""

    def load(file: str) -> dict[str, np.ndarray]:
        if SHARED.is_dir():
            return load_torch(SHARED / "assets" / file)
        return rule_weights(*LISTINGS[file])

    return load


@pytest.fixture(scope="session")
def metric_vectors():
    """(values, {name: image}): metric values by published implementations, and the images they were measured on."""
    folder = SHARED / "reference" / "iqa"
    if SHARED.is_dir():
        vectors = json.loads((folder / "vectors.json").read_text())
        return vectors, {name: _pixels(folder / entry["file"]) for name, entry in vectors["images"].items()}
    vectors = json.loads((REFERENCE / "iqa" / "vectors.json").read_text())
    table = np.array(vectors["dim_table"], np.uint8)

    def make(name: str) -> np.ndarray:
        scene, kind = name.split("_")
        if kind not in ("ref", "dim"):
            return _pixels(REFERENCE / "iqa" / f"{name}.png")
        photo = getattr(skimage.data, scene)()
        return photo if kind == "ref" else table[photo]

    return vectors, {name: make(name) for name in vectors["images"]}


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


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


@pytest.fixture
def data() -> ConfigDict:
    """config.data with the default values."""
    return default_config().data


@pytest.fixture
def image() -> Callable[..., Path]:
    """`image(path, h, w, seed=0)` writes noise of that size and returns the path."""

    def make(path: Path, height: int, width: int, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make

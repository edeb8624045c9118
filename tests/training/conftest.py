from __future__ import annotations

import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "training"))

from tiny import tiny_config  # noqa: E402

from ultrabm_jax.training import train_and_evaluate  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(request):
    """Compiles each program once for all processes."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(request.config.cache.mkdir("jax"))
    settings = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    os.environ.update(settings)  # for subprocesses
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A folder of five pairs: low 20x24 and dark, reference 40x48."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for kind, size, level in (("low", (20, 24), 60), ("high", (40, 48), 256)):
        (root / kind).mkdir()
        for i in range(5):
            Image.fromarray(rng.integers(0, level, (*size, 3), np.uint8)).save(root / kind / f"{i}.png")
    return root


@pytest.fixture
def config(pairs):
    """`config(train__steps=4)`: the tiny network on `pairs`."""
    return lambda **overrides: tiny_config(**{"data.root": str(pairs), "data.eval_root": str(pairs)} | overrides)


@pytest.fixture
def no_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)  # importing TensorFlow takes longer than these tests


@pytest.fixture(scope="session")
def finished(tmp_path_factory, pairs):
    """(config, workdir, final state) of eight steps over two stages, with a frozen part. Tests leave it unchanged."""
    workdir = tmp_path_factory.mktemp("run")
    roots = {"data.root": str(pairs), "data.eval_root": str(pairs)}
    config = tiny_config(**roots, **{"model.semantic": "vgg16", "train.stages": ((4, 4, 16), (4, 2, 16))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "clu", None)
        return config, workdir, train_and_evaluate(config, workdir)

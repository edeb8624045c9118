"""A training run, exported from its workdir."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.export.__main__ import main
from ultrabm_jax.export.onnx_file import load_onnx_runtime
from ultrabm_jax.inference.runs import load_run

pytestmark = pytest.mark.usefixtures("no_tensorboard")


def test_a_workdir_is_exported_to_onnx(finished, tmp_path, capsys):
    for module in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(module)
    _, workdir, _ = finished
    path = tmp_path / "run.onnx"
    assert main([str(workdir), "--format", "onnx", "--size", "16x24", "--output", str(path)]) == 0
    assert f"wrote {path}: 16x24 pixels" in capsys.readouterr().out
    run = load_run(workdir, best=True)
    low = np.random.default_rng(0).random((1, 16, 24, 3), np.float32)
    restored = load_onnx_runtime(path.read_bytes())(low)
    assert restored.shape == (1, 32, 48, 3)
    np.testing.assert_allclose(restored, run.task.restore(run.variables, {"low": low}), atol=1e-5)

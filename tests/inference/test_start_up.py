"""Restoring an image imports neither the training loop nor the metrics, which would take longer than JAX itself."""

import subprocess
import sys

HEAVY = {"optax", "orbax", "scipy", "tensorflow", "tensorstore", "input_pipeline", "ultrabm_jax.training.loop"}


def test_a_bundled_model_is_loaded_without_packages_for_training():
    code = (
        "import sys, numpy as np, ultrabm_jax, ultrabm_jax.inference.files;"
        "restore = ultrabm_jax.load_pretrained();"
        "assert restore(np.full((16, 16, 3), 9, np.uint8)).shape == (16, 16, 3);"
        "print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {*result.stdout.split()}


def test_names_of_packages_that_import_on_first_use():
    code = (
        "from ultrabm_jax.metrics import METRICS, Metric, compute, find;"
        "from ultrabm_jax.training import train_and_evaluate;"
        "assert isinstance(METRICS['psnr_rgb'], Metric) and callable(train_and_evaluate);"
        "import ultrabm_jax.metrics, ultrabm_jax.training;"
        "print(hasattr(ultrabm_jax.metrics, 'none'), hasattr(ultrabm_jax.training, 'none'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]

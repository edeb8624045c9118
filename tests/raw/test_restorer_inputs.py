"""`restorer(image)` with a network for camera raw files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from raw.gray import Gray

from ultrabm_jax import Restorer
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import write_image
from ultrabm_jax.models.red.task import REDTask


def test_a_network_for_raw_files_takes_their_paths_and_samples(dng, tmp_path):
    restorer = Restorer(REDTask(Gray()), {"params": {}}, tile=0)
    path, _ = dng(make="Sony", model="ILCE-7SM2", orientation=6)
    restored = restorer(path)
    assert (restored.dtype, restored.shape[-1]) == (np.uint8, 3)
    samples = np.full((32, 32, 1), 1.5, np.float32)
    np.testing.assert_array_equal(restorer(samples), restorer.restore(samples))
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="not a camera raw file"):
        restorer(tmp_path / "a.png")
    with pytest.raises(UserError, match="not PIL images"):
        restorer(Image.fromarray(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(UserError, match="amplified samples of a camera raw file are floating-point"):
        restorer(np.zeros((4, 4, 1), np.uint16))

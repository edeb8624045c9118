from __future__ import annotations

import pytest
from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


@pytest.fixture
def data() -> ConfigDict:
    """config.data with the default values."""
    return default_config().data

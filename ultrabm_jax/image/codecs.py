"""imagecodecs and tifffile, which decode what Pillow would cut to 8 bits; imported on first use."""

from __future__ import annotations

import importlib
from types import ModuleType

from ultrabm_jax.errors import UserError


def codec(name: str) -> ModuleType:
    """The package of that name; `UserError` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"16-bit and TIFF files need a package: pip install {name}") from error

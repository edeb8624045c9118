"""Imports imagecodecs and tifffile, which decode the depths that Pillow would reduce to 8 bits, on first use."""

from __future__ import annotations

import functools
import importlib
import logging
from types import ModuleType

from ultrabm_jax.errors import UserError


@functools.cache  # setting a log level empties the caches of all loggers, which costs 0.1 ms
def codec(name: str) -> ModuleType:
    """Imports the package `name`; raises `UserError` if it is not installed."""
    # Their warnings about damaged files would duplicate our errors.
    logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"16-bit and TIFF files need a package: pip install {name}") from error

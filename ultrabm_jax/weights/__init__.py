"""Weights from elsewhere: read safely, renamed, checked.

`from_torch("ultrabm", load_torch("net_g.pth"), scale=2)` gives the variables for `module.apply`, and
`save_torch("red.pth", {"model": to_torch("red", variables)})` a file for the authors' program.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.weights.torch_file import load_torch
from ultrabm_jax.weights.torch_writer import save_torch

__all__ = ["EXPORTERS", "IMPORTERS", "from_torch", "load_torch", "release_options", "save_torch", "to_torch"]

# name: module and function (imported when asked for), options fixed by the name
IMPORTERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ultrabm": ("ultrabm_jax.weights.ultrabm", "import_ultrabm", {}),
    "hrnet_w48": ("ultrabm_jax.weights.extractors", "import_hrnet", {"width": 48}),
    "hrnet_w18": ("ultrabm_jax.weights.extractors", "import_hrnet", {"width": 18}),
    "vgg16": ("ultrabm_jax.weights.extractors", "import_vgg", {"depth": 16}),
    "vgg19": ("ultrabm_jax.weights.extractors", "import_vgg", {"depth": 19}),
    "alexnet": ("ultrabm_jax.weights.extractors", "import_alexnet", {}),
    "red": ("ultrabm_jax.weights.red", "import_red", {}),
    "zero_dce": ("ultrabm_jax.weights.zero_dce", "import_zero_dce", {}),
    "sci": ("ultrabm_jax.weights.sci", "import_sci", {}),
}
EXPORTERS: dict[str, tuple[str, str]] = {"red": ("ultrabm_jax.weights.red", "export_red")}


def from_torch(name: str, state_dict: Mapping[str, np.ndarray], **options: Any) -> dict[str, Any]:
    """Variables of the named model from a state dict in its authors' names; options as for `create_model`."""
    module, function, fixed = _importer(name)
    return getattr(importlib.import_module(module), function)(state_dict, **fixed, **options)


def to_torch(name: str, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The named model's variables as a state dict in its authors' names, for `save_torch`."""
    if name not in EXPORTERS:
        raise UserError(f"no exporter for {name!r}; known: {', '.join(sorted(EXPORTERS))}")
    module, function = EXPORTERS[name]
    return getattr(importlib.import_module(module), function)(variables)


def release_options(name: str) -> dict[str, Any]:
    """Options under which `create_model(name, ...)` is the network that the authors released."""
    return dict(getattr(importlib.import_module(_importer(name)[0]), "RELEASE_OPTIONS", {}))


def _importer(name: str) -> tuple[str, str, dict[str, Any]]:
    if name not in IMPORTERS:
        raise UserError(f"no importer for {name!r}; known: {', '.join(sorted(IMPORTERS))}")
    return IMPORTERS[name]

"""Weights from elsewhere: read safely, renamed, checked.

`from_torch("ultrabm", load_torch("net_g.pth"), scale=2)` gives the variables for `module.apply`, and
`save_torch("red.pth", {"model": to_torch("red", variables)})` a file for the authors' program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ultrabm_jax.backbones import importers as backbones
from ultrabm_jax.errors import UserError
from ultrabm_jax.models.baselines import sci_importer as sci
from ultrabm_jax.models.baselines import zero_dce_importer as zero_dce
from ultrabm_jax.models.red import importer as red
from ultrabm_jax.models.ultrabm import importer as ultrabm
from ultrabm_jax.storage.torch_file import load_torch
from ultrabm_jax.storage.torch_writer import save_torch

__all__ = ["EXPORTERS", "IMPORTERS", "from_torch", "load_torch", "release_options", "save_torch", "to_torch"]

Importer = Callable[..., dict[str, Any]]

IMPORTERS: dict[str, Importer] = {
    "ultrabm": ultrabm.import_ultrabm,
    "hrnet_w48": partial(backbones.import_hrnet, width=48),
    "hrnet_w18": partial(backbones.import_hrnet, width=18),
    "vgg16": partial(backbones.import_vgg, depth=16),
    "vgg19": partial(backbones.import_vgg, depth=19),
    "alexnet": backbones.import_alexnet,
    "red": red.import_red,
    "zero_dce": zero_dce.import_zero_dce,
    "sci": sci.import_sci,
}
EXPORTERS: dict[str, Callable[[Mapping[str, Any]], dict[str, np.ndarray]]] = {"red": red.export_red}
# Options under which `create_model(name, ...)` is the network that the authors released.
RELEASE_OPTIONS: dict[str, dict[str, Any]] = {
    "ultrabm": ultrabm.RELEASE_OPTIONS,
    "red": red.RELEASE_OPTIONS,
    "zero_dce": zero_dce.RELEASE_OPTIONS,
    "sci": sci.RELEASE_OPTIONS,
}


def from_torch(name: str, state_dict: Mapping[str, np.ndarray], **options: Any) -> dict[str, Any]:
    """Variables of the named model from a state dict in its authors' names; options as for `create_model`."""
    return _importer(name)(state_dict, **options)


def to_torch(name: str, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The named model's variables as a state dict in its authors' names, for `save_torch`."""
    if name not in EXPORTERS:
        raise UserError(f"no exporter for {name!r}; known: {', '.join(sorted(EXPORTERS))}")
    return EXPORTERS[name](variables)


def release_options(name: str) -> dict[str, Any]:
    """Options under which `create_model(name, ...)` is the network that the authors released."""
    _importer(name)
    return dict(RELEASE_OPTIONS.get(name, {}))


def _importer(name: str) -> Importer:
    if name not in IMPORTERS:
        raise UserError(f"no importer for {name!r}; known: {', '.join(sorted(IMPORTERS))}")
    return IMPORTERS[name]

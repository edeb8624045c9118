"""Released weights of other programs: read them safely, convert them, check them, write them.

variables = from_torch("ultrabm", load_torch("net_g.pth"), scale=2)              # for module.apply
save_torch("red.pth", {"model": to_torch("red", variables)})                     # for the authors' program
save_safetensors("red.safetensors", to_torch("red", variables))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ultrabm_jax.backbones.importers import import_alexnet, import_hrnet, import_vgg
from ultrabm_jax.errors import UserError
from ultrabm_jax.models.baselines import sci_importer, zero_dce_importer
from ultrabm_jax.models.red import importer as red
from ultrabm_jax.models.ultrabm import importer as ultrabm
from ultrabm_jax.storage.load import load_torch
from ultrabm_jax.storage.safetensors_file import save_safetensors
from ultrabm_jax.storage.state_dict import Tree
from ultrabm_jax.storage.torch_writer import save_torch
from ultrabm_jax.typing import Options, StateDict, Variables

__all__ = [
    "EXPORTERS",
    "IMPORTERS",
    "from_torch",
    "load_torch",
    "release_options",
    "save_safetensors",
    "save_torch",
    "to_torch",
]

Importer = Callable[..., Tree]  # (state dict, **options of create_model) -> variables

IMPORTERS: dict[str, Importer] = {
    "ultrabm": ultrabm.import_ultrabm,
    "hrnet_w48": partial(import_hrnet, width=48),
    "hrnet_w18": partial(import_hrnet, width=18),
    "vgg16": partial(import_vgg, depth=16),
    "vgg19": partial(import_vgg, depth=19),
    "alexnet": import_alexnet,
    "red": red.import_red,
    "zero_dce": zero_dce_importer.import_zero_dce,
    "sci": sci_importer.import_sci,
}
EXPORTERS: dict[str, Callable[[Variables], StateDict]] = {
    "red": red.export_red,
    "zero_dce": zero_dce_importer.export_zero_dce,
    "sci": sci_importer.export_sci,
}
RELEASE_OPTIONS: dict[str, Options] = {
    "ultrabm": ultrabm.RELEASE_OPTIONS,
    "red": red.RELEASE_OPTIONS,
    "zero_dce": zero_dce_importer.RELEASE_OPTIONS,
    "sci": sci_importer.RELEASE_OPTIONS,
}


def from_torch(name: str, state_dict: StateDict, **options: object) -> Tree:
    """Converts a state dict with its authors' names to variables of the named model.

    Args:
      name: a key of `IMPORTERS`.
      state_dict: {name: array}, usually of `load_torch`.
      **options: as for `create_model`; they default to those of the released network (`release_options`).

    Raises:
      UserError: for an unknown name, or if the state dict does not fit the model.
    """
    return _importer(name)(state_dict, **options)


def to_torch(name: str, variables: Variables) -> StateDict:
    """Converts variables of the named model to a state dict with its authors' names, for `save_torch`.

    Raises:
      UserError: if the model has no exporter.
    """
    if name not in EXPORTERS:
        raise UserError(f"no exporter for {name!r}; known: {', '.join(sorted(EXPORTERS))}")
    return EXPORTERS[name](variables)


def release_options(name: str) -> Options:
    """Options with which `create_model(name, ...)` is the network that its authors released.

    Raises:
      UserError: for an unknown name.
    """
    _importer(name)
    return dict(RELEASE_OPTIONS.get(name, {}))


def _importer(name: str) -> Importer:
    if name not in IMPORTERS:
        raise UserError(f"no importer for {name!r}; known: {', '.join(sorted(IMPORTERS))}")
    return IMPORTERS[name]

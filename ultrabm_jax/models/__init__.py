"""All networks by name. `create_model("ultrabm", scale=2, variant="base", ...)` gives a linen module.

variables = model.init(key, low)
out = model.apply(variables, low)      # {"restored": (b, s h, s w, 3), named intermediates ...}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import flax.linen as nn

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.errors import UserError
from ultrabm_jax.models.baselines import sci, zero_dce
from ultrabm_jax.models.drgn import network as drgn
from ultrabm_jax.models.lolisrflow import network as lolisrflow
from ultrabm_jax.models.red import network as red
from ultrabm_jax.models.ultrabm import network as ultrabm

Presets = Mapping[str, Mapping[str, Any]]  # value of the option -> the fields that it sets


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name of `MODELS`: the module's class and what its options may be."""

    module: type[nn.Module]
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    presets: Mapping[str, Presets] = dataclasses.field(default_factory=dict)  # the first of each is the default
    choices: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)


MODELS: dict[str, Entry] = {
    "ultrabm": Entry(
        ultrabm.UltraBM,
        presets={"variant": ultrabm.VARIANTS, "compat": ultrabm.COMPAT},
        choices=ultrabm.CHOICES,
    ),
    "red": Entry(red.RED, presets={"variant": red.VARIANTS}, choices=red.CHOICES),
    "drgn": Entry(drgn.DRGN, presets={"variant": drgn.VARIANTS}, choices=drgn.CHOICES),
    "lw_drgn": Entry(drgn.LWDRGN, presets={"variant": drgn.LIGHT_VARIANTS}, choices=drgn.LIGHT_CHOICES),
    "lolisrflow": Entry(lolisrflow.LoLiSRFlow, presets={"variant": lolisrflow.VARIANTS}, choices=lolisrflow.CHOICES),
    "zero_dce": Entry(zero_dce.ZeroDCE, choices=zero_dce.CHOICES),
    "sci": Entry(sci.SCI, choices=sci.CHOICES),
    "hrnet_w48": Entry(HRNet, fixed={"width": 48}),
    "hrnet_w18": Entry(HRNet, fixed={"width": 18}),
    "vgg16": Entry(VGG, fixed={"depth": 16}),
    "vgg19": Entry(VGG, fixed={"depth": 19}),
    "alexnet": Entry(AlexNet),
}


def create_model(name: str, **options: Any) -> nn.Module:
    """The named network. Options are the fields of its module, and its presets (`variant`, `compat`).

    A preset sets several fields at once; a field given by itself wins over it.

    Raises UserError for an unknown name, option or value, listing the known ones.
    """
    _check_known("model", name, MODELS)
    entry = MODELS[name]
    fields = dict(entry.fixed)
    for preset, table in entry.presets.items():
        value = options.pop(preset, next(iter(table)))
        _check_known(f"{preset} of {name}", value, table)
        fields |= table[value]
    known = {f.name for f in dataclasses.fields(entry.module)} - {"parent", "name"} - set(entry.fixed)
    for option, value in options.items():
        _check_known(f"option of {name}", option, known | set(entry.presets))
        if option in entry.choices:
            _check_known(f"{option} of {name}", value, entry.choices[option])
    return entry.module(**(fields | options))


def _check_known(what: str, value: Any, known: Collection[Any]) -> None:
    if value not in known:
        raise UserError(f"unknown {what}: {value!r}; known: {', '.join(sorted(map(str, known)))}")

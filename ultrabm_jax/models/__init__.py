"""All networks by name, as linen modules and as tasks.

    model = create_model("ultrabm", scale=2, variant="base", ...)
    variables = model.init(key, low)
    out = model.apply(variables, low)                      # {"restored": (b, s h, s w, 3), named intermediates ...}

    task = create_task("ultrabm", scale=2, ...)            # the network and how it is used: models/task.py
    restored = task.restore(variables, {"low": low})       # in [0, 1]

`MODELS` maps a name to its module, options and task. How a network is trained: ultrabm_jax/methods.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import flax.linen as nn
from ml_collections import ConfigDict

from ultrabm_jax.backbones.alexnet import AlexNet
from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.backbones.vgg import VGG
from ultrabm_jax.config import preset_fields
from ultrabm_jax.deprecation import rename_options
from ultrabm_jax.errors import UserError
from ultrabm_jax.models.baselines import sci, zero_dce
from ultrabm_jax.models.drgn import network as drgn
from ultrabm_jax.models.lolisrflow import network as lolisrflow
from ultrabm_jax.models.lolisrflow.task import LoLiSRFlowTask
from ultrabm_jax.models.red import network as red
from ultrabm_jax.models.red.task import REDTask
from ultrabm_jax.models.task import Task
from ultrabm_jax.models.ultrabm import network as ultrabm
from ultrabm_jax.models.ultrabm.task import UltraBMTask

Option: TypeAlias = Any  # the value of a field of any module: an int, a string, a tuple, a dtype ...
Presets: TypeAlias = Mapping[str, Mapping[str, Option]]  # value of the preset -> the fields that it sets


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name of `MODELS`: the class of the module, the values that its options take, and its task."""

    module: type[nn.Module]
    task: type[Task] | None = Task  # None: a feature extractor, which restores nothing
    fixed: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    presets: Mapping[str, Presets] = dataclasses.field(default_factory=dict)  # the first of each is the default
    choices: Mapping[str, tuple[Option, ...]] = dataclasses.field(default_factory=dict)


MODELS: dict[str, Entry] = {
    "ultrabm": Entry(
        ultrabm.UltraBM,
        UltraBMTask,
        presets={"variant": ultrabm.VARIANTS, "compat": ultrabm.COMPAT},
        choices=ultrabm.CHOICES,
    ),
    "red": Entry(red.RED, REDTask, presets={"variant": red.VARIANTS}, choices=red.CHOICES),
    "drgn": Entry(drgn.DRGN, presets={"variant": drgn.VARIANTS}, choices=drgn.CHOICES),
    "lw_drgn": Entry(drgn.LWDRGN, presets={"variant": drgn.LIGHT_VARIANTS}, choices=drgn.LIGHT_CHOICES),
    "lolisrflow": Entry(
        lolisrflow.LoLiSRFlow,
        LoLiSRFlowTask,
        presets={"variant": lolisrflow.VARIANTS},
        choices=lolisrflow.CHOICES,
    ),
    "zero_dce": Entry(zero_dce.ZeroDCE, choices=zero_dce.CHOICES),
    "sci": Entry(sci.SCI, choices=sci.CHOICES),
    "hrnet_w48": Entry(HRNet, None, fixed={"width": 48}),
    "hrnet_w18": Entry(HRNet, None, fixed={"width": 18}),
    "vgg16": Entry(VGG, None, fixed={"depth": 16}),
    "vgg19": Entry(VGG, None, fixed={"depth": 19}),
    "alexnet": Entry(AlexNet, None),
}


def create_model(name: str, **options: Option) -> nn.Module:
    """The named network. Options are the fields of its module, its `variant` or `compat`, and `preset`.

    These three set several fields at once; a field given explicitly overrides them. `preset` sets what config.preset
    sets of config.model: "paper" is the network as printed.

    Raises UserError for an unknown name, option or value, listing the known ones.
    """
    _check_known("model", name, MODELS)
    entry, options = MODELS[name], rename_options(name, options)
    if "preset" in options:
        options = _preset_options(name, options.pop("preset")) | options
    fields = dict(entry.fixed)
    for preset, table in entry.presets.items():
        value = options.pop(preset, next(iter(table)))
        _check_known(f"{preset} of {name}", value, table)
        fields |= table[value]
    known = {f.name for f in dataclasses.fields(entry.module)} - {"parent", "name"} - set(entry.fixed)
    for option, value in options.items():
        _check_known(f"option of {name}", option, known | set(entry.presets) | {"preset"})
        if option in entry.choices:
            _check_known(f"{option} of {name}", value, entry.choices[option])
    return entry.module(**(fields | options))


def create_task(name: str, **options: Option) -> Task:
    """The named network and how it is used; options and errors as for `create_model`."""
    model = create_model(name, **options)
    task = MODELS[name].task
    if task is None:
        raise UserError(f"{name} is a feature extractor and restores no images")
    return task(model, name=name)


def task_from_config(config: ConfigDict) -> Task:
    """The task of config.model."""
    name = config.model.name
    _check_known("model", name, MODELS)
    return create_task(name, **(MODELS[name].task or Task).model_options(config.model))


def _preset_options(name: str, preset: str) -> dict[str, Option]:
    fields = preset_fields(name, preset).items()
    return {field.removeprefix("model."): value for field, value in fields if field.startswith("model.")}


def _check_known(what: str, value: Option, known: Collection[Option]) -> None:
    if value not in known:
        raise UserError(f"unknown {what}: {value!r}; known: {', '.join(sorted(map(str, known)))}")

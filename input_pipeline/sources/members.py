"""Reads config.data.mixture: the data sets that a run mixes, and the config.data of each.

    config.data.mixture = (
        ("lol/v1_scenes:/data/records", 0.5),
        ("paired:/data/pairs", 0.3, {"holdout": (0.1, 0.1)}),
        ("synthetic:/data/photos", 0.2, {"darkness.ev": (-4.0, -2.0)}),
    )

An entry is (DATASET[:PATH], weight[, options]). PATH is the member's data.root, or its data.records if DATASET names
records; without it, the member has those of the run. All other fields are those of the run unless the options, which
are fields of config.data, replace them. A member is named after its folder, or after DATASET if it is read from
records; the option "name" gives it another name.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from input_pipeline.builders import BUILDERS
from input_pipeline.sources.datasets import DATASETS, UNDIVIDED
from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.config.values import check_tuples
from ultrabm_jax.errors import UserError

OPTIONS = (
    "name", "root", "records", "eval_root", "eval_split", "holdout", "holdout_by", "downscale", "crop_offsets", "flips",
    "zoom", "bayer_aug", "cache_gib", "on_unreadable",
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A data set of a mixture: its name, its share of the examples, and its own config.data."""

    name: str
    share: float
    data: ConfigDict


def read_members(data: ConfigDict) -> list[Member]:
    """The members of config.data.mixture; their shares add up to 1. Raises UserError for entries without a meaning."""
    entries = [_read_entry(data, entry) for entry in data.mixture]
    total = sum(weight for _, weight, _ in entries)
    members = [Member(name, weight / total, own) for name, weight, own in entries]
    twice = [name for name, count in Counter(member.name for member in members).items() if count > 1]
    if twice:
        raise UserError(f'data.mixture: two members are called {twice[0]!r}; rename one with the option "name"')
    for name in data.eval_members:
        if name not in [member.name for member in members]:
            known = ", ".join(member.name for member in members)
            raise UserError(f"data.eval_members: {name!r} is no member of data.mixture; its members: {known}")
    return members


def eval_members(data: ConfigDict) -> list[Member]:
    """The members that the evaluation uses: those that data.eval_members names, or all."""
    return [member for member in read_members(data) if not data.eval_members or member.name in data.eval_members]


def evaluated_name(data: ConfigDict) -> str:
    """What the evaluation images of config.data are called in reports."""
    if not data.mixture:
        return str(data.dataset)
    if data.eval_root:
        return "paired"
    return "mixture of " + " + ".join(member.name for member in eval_members(data))


def trained_name(data: ConfigDict) -> str:
    """What the training images of config.data are called in reports."""
    if not data.mixture:
        return str(data.dataset)
    return "mixture of " + " + ".join(member.name for member in read_members(data))


def _read_entry(data: ConfigDict, entry: object) -> tuple[str, float, ConfigDict]:
    """(name, weight, config.data) of an entry of data.mixture."""
    if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) not in (2, 3):
        raise UserError(f'data.mixture: {entry!r} is not of the form ("DATASET:PATH", weight[, {{option: value}}])')
    text, weight = entry[:2]
    options = entry[2] if len(entry) == 3 else {}
    if not isinstance(text, str) or not text or not isinstance(options, Mapping):
        raise UserError(f'data.mixture: {entry!r} is not of the form ("DATASET:PATH", weight[, {{option: value}}])')
    known = isinstance(weight, numbers.Real) and not isinstance(weight, bool) and math.isfinite(weight)
    if not known or weight <= 0:
        raise UserError(f"data.mixture: the weight of {text!r} is {weight!r}; it must be a number above 0")
    dataset, _, path = text.partition(":")
    own = _inherited(data, dataset, path)
    for field, value in options.items():
        _set_option(own, text, str(field), value)
    if "holdout" not in options and (own.dataset not in UNDIVIDED or own.root == "skimage"):
        own.holdout = (own.holdout[0], 0.0)  # it has a test split
    _check_dataset(own)
    try:
        check_tuples(ConfigDict({"data": own}))
    except UserError as error:
        raise UserError(f"data.mixture: {text!r}: {error}") from error
    return str(options.get("name") or _default_name(own)), float(weight), own


def _inherited(data: ConfigDict, dataset: str, path: str) -> ConfigDict:
    """config.data of a member without options."""
    own: ConfigDict = data.copy_and_resolve_references()
    with own.unlocked():
        own.update({"dataset": dataset, "mixture": (), "eval_members": (), "photos": "", "eval_root": ""})
        own.cache_gib = data.cache_gib / len(data.mixture)  # data.cache_gib limits all members together
        if path and dataset in DATASETS:
            own.update({"root": path, "records": ""})
        elif path:
            own.records = path
        elif dataset in DATASETS and own.root:
            own.records = ""
    return own


def _set_option(own: ConfigDict, text: str, field: str, value: object) -> None:
    section, name = (own.darkness, field.removeprefix("darkness.")) if field.startswith("darkness.") else (own, field)
    known = section if section is own.darkness else OPTIONS
    if name not in known:
        darkness = ", ".join(f"darkness.{name}" for name in own.darkness)
        raise UserError(
            f"data.mixture: {text!r} has an unknown option {field!r}; known: {', '.join(OPTIONS)}, {darkness}"
        )
    if field == "name":
        return
    try:
        section[name] = tuple(value) if isinstance(value, list) else value
    except TypeError as error:
        kind = type(section[name]).__name__
        raise UserError(
            f"data.mixture: {text!r}: option {field!r} takes a value of type {kind}; got {value!r}"
        ) from error


def _check_dataset(own: ConfigDict) -> None:
    dataset = own.dataset
    if dataset in DATASETS:
        return
    if not own.records and dataset.partition("/")[0] in BUILDERS:
        raise UserError(f"data.mixture: {dataset!r} is read from records: write {dataset}:RECORDS, or set data.records")
    stored = url_scheme(own.records) is not None  # what a bucket holds is known when it is opened
    known = dataset.partition("/")[0] in BUILDERS or stored
    if not known and not (Path(own.records).expanduser() / dataset).is_dir():
        names = ", ".join(dict.fromkeys([*DATASETS, *BUILDERS]))
        raise UserError(f"data.mixture: unknown data set {dataset!r}; choose one of: {names}")


def _default_name(own: ConfigDict) -> str:
    if own.records or own.dataset not in DATASETS:
        return str(own.dataset)
    return Path(own.root).expanduser().absolute().name if own.root else str(own.dataset)

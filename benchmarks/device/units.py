"""The units of work of accelerator.py, in order, with the time after which it does not pay to start one.

A unit gives one or more rows of the report. Units of one group share a process, so that programs of one network are
compared within it; each training step has its own, whose peak of memory is then that of the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

SECTIONS = ("parity", "inference", "training", "profile", "fit")
PARITY = (
    *("red", "lw_drgn", "drgn", "ultrabm", "lolisrflow"),
    *("zero_dce", "sci", "vgg16", "vgg19", "alexnet", "hrnet_w48"),
)
INFERENCE = {  # network: sizes of the low image
    "red": ("512x512", "2848x4256"),
    "drgn": ("384x384", "400x600"),  # with LW-DRGN
    "ultrabm": ("200x300", "512x512"),
}
TRAINING = (  # config, examples, side of the low patch, compute type
    ("lw_drgn_lol", 16, 96, "float32"),
    ("lw_drgn_lol", 16, 96, "bfloat16"),
    ("ultrabm_rellisur_x2", 8, 128, "float32"),
    ("ultrabm_rellisur_x2", 8, 128, "bfloat16"),
    ("ultrabm_rellisur_x2", 1, 384, "bfloat16"),
    ("lolisrflow_rellisur_x2", 16, 80, "float32"),
    ("drgn_lol", 16, 96, "float32"),
    ("red_sid_sony", 8, 512, "float32"),
)
PROFILE = ("lw_drgn_lol", "ultrabm_rellisur_x2")
FIT = ("lw_drgn", "ultrabm", "lolisrflow")
# Seconds of a first run on an accelerator, mostly compiling: H100, jax 0.12, ahead of time on two cores.
GUESS = {"parity": 20.0, "inference": 40.0, "training": 120.0, "profile": 40.0, "fit": 180.0}
LIMIT, LEAST_LIMIT = 5.0, 60.0  # a unit of the first four sections is ended after LIMIT guesses, at least 60 seconds


@dataclasses.dataclass(frozen=True)
class Unit:
    """One piece of work; `name` identifies it in the results."""

    section: str
    name: str
    group: str
    arguments: Mapping[str, str | int]
    guess: float  # seconds that a first run takes on an accelerator


def all_units(*, quick: bool = False) -> list[Unit]:
    """The units of all sections; with `quick`, a few with small networks and images, to try the script on a CPU."""
    return list(_quick() if quick else _full())


def _full() -> Iterator[Unit]:
    for network in PARITY:
        yield _unit("parity", network, group="parity", network=network)
    for network, sizes in INFERENCE.items():
        for size in sizes:
            for dtype in ("float32", "bfloat16"):
                name = f"{network} {size} {dtype}"
                yield _unit("inference", name, group=f"inference {network}", network=network, size=size, dtype=dtype)
    for config, batch, patch, dtype in TRAINING:
        name = f"{config} {batch} of {patch} {dtype}"
        yield _unit("training", name, group=name, config=config, batch=batch, patch=patch, dtype=dtype)
    for config in PROFILE:
        batch, patch, dtype = next(case[1:] for case in TRAINING if case[0] == config)
        yield _unit("profile", config, group=config, config=config, batch=batch, patch=patch, dtype=dtype)
    for network in FIT:
        yield _unit("fit", network, group=network, network=network)


def _quick() -> Iterator[Unit]:
    for network in ("zero_dce", "sci"):
        yield _unit("parity", network, group="parity", guess=2, network=network)
    yield _unit("inference", "red 64x64", group="red", guess=5, network="red", size="64x64", dtype="float32")
    step: dict[str, str | int] = {"config": "red_synthetic", "batch": 1, "patch": 192, "dtype": "float32"}
    yield _unit("training", "red_synthetic", group="red_synthetic", guess=8, **step)
    yield _unit("profile", "red_synthetic", group="red_synthetic profile", guess=8, **step)
    yield _unit("fit", "ultrabm", group="ultrabm", guess=10, network="ultrabm", quick=1)


def _unit(section: str, name: str, *, group: str, guess: float | None = None, **arguments: str | int) -> Unit:
    seconds = GUESS[section] if guess is None else guess
    return Unit(section, f"{section} {name}", f"{section} {group}", arguments, seconds)

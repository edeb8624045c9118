"""Lists the models that restore knows by name: input, scale, size, licence, speed and results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ultrabm_jax.cli import command_parser
from ultrabm_jax.inference.named import ALIASES, FORMULAS, RAW_MODEL, RELEASED
from ultrabm_jax.inference.pretrained import load_pretrained_run
from ultrabm_jax.models import create_task
from ultrabm_jax.models.task import Task
from ultrabm_jax.pretrained import CARD, DEFAULT_MODEL, ENLARGING_MODELS, list_pretrained, pretrained_weights
from ultrabm_jax.pretrained.cards import read_card
from ultrabm_jax.storage.asset_table import ASSETS
from ultrabm_jax.storage.assets import find_asset
from ultrabm_jax.weights import release_options

INPUTS = {"rgb": "photos", "mosaic": "camera raw files"}


def main(argv: Sequence[str]) -> int:
    """Prints the list."""
    command_parser("ultrabm-jax models", __doc__).parse_args(argv)
    print("\n".join(describe_models()))
    return 0


def describe_models() -> Iterator[str]:
    """The lines of the list."""
    names = list_pretrained()
    yield "contained in this package" + ("" if names else ": none in this version")
    for name in names:
        yield from _describe_contained(name)
    yield "\nreleased by their authors, downloaded on first use"
    for name, model in RELEASED.items():
        yield from _describe_released(name, create_task(model, **release_options(model)))
    yield "\nformulas without weights"
    yield f"  {', '.join(FORMULAS)}"


def _describe_contained(name: str) -> Iterator[str]:
    weights = pretrained_weights(name)
    facts = read_card(weights.with_suffix(CARD))
    defaults = {DEFAULT_MODEL: "", **{model: f" with --scale {scale}" for scale, model in ENLARGING_MODELS.items()}}
    default = f" (default for photos{defaults[name]})" if name in defaults else ""
    yield _properties(name, load_pretrained_run(name).task, weights.stat().st_size) + default
    yield f"      licence: {facts.licence or 'see its card'}"
    if facts.speed:
        yield f"      speed: {facts.speed}"
    for line in facts.results:
        yield f"      {line}"


def _describe_released(name: str, task: Task) -> Iterator[str]:
    asset = ASSETS[name]
    default = " (default for camera raw files)" if name == RAW_MODEL else ""
    alias = "".join(f" (also {short})" for short, full in ALIASES.items() if full == name)
    place = "on this machine" if find_asset(name) else "not downloaded yet"
    yield _properties(name, task, asset.size or 0) + alias + default
    yield f"      licence: {asset.licence}; {place}"


def _properties(name: str, task: Task, size: int) -> str:
    return f"  {name:24} x{task.scale}  {INPUTS[task.input_kind]}, {size / 1e6:.2f} MB"

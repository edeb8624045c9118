"""Measures a folder of images that any program wrote, beside their references or alone.

Images belong together by their path below the folder without its extension. Everything is measured on 8 bit, one
image after the other; a protocol that fails on one is given up for all, and the reason kept.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import is_image, read_image
from ultrabm_jax.image.formats import SUFFIXES
from ultrabm_jax.image.write import quantise
from ultrabm_jax.metrics import compute, find

Paths = dict[str, Path]  # image: its file


@dataclass
class Measured:
    """Values of each protocol, one per image, in order."""

    images: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


def list_images(folder: str | Path) -> Paths:
    """By path below the folder without its extension."""
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    found: Paths = {}
    for path in sorted(p for p in root.rglob("*") if is_image(p) and p.is_file()):
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{found[name]} and {path} are both the image {name}; keep one of them")
        found[name] = path
    if not found:
        raise UserError(f"{root}: no images in this folder (known: {', '.join(sorted(SUFFIXES))})")
    return found


def pair(restored: Paths, others: Mapping[str, Paths]) -> tuple[list[str], list[str]]:
    """(images that every folder has, one line for each folder that lacks some); `others`: "reference" and "low"."""
    folders = {"restored": restored, **others}
    everything = sorted(set().union(*folders.values()))
    common = [name for name in everything if all(name in folder for folder in folders.values())]
    notes = [
        f"{len(missing)} left out, not in the {kind} folder: {_some(missing)}"
        for kind, folder in folders.items()
        if (missing := [name for name in everything if name not in folder])
    ]
    if not common:
        raise UserError(f"no image is in every folder; {'; '.join(notes)}")
    return common, notes


def measure(
    images: Iterator[str], folders: Mapping[str, Paths], protocols: Sequence[str], *, assets: str | None = None
) -> Measured:
    """`folders`: "restored", and "reference" and "low" where there are such."""
    result = Measured(values={name: [] for name in protocols})
    for image in images:
        arrays = {kind: _read(folder[image]) for kind, folder in folders.items()}
        result.images.append(image)
        for name in [name for name in protocols if name not in result.unavailable]:
            try:
                result.values[name].append(_value(name, arrays, assets))
            except UserError as error:
                result.unavailable[name] = f"{error} (at {image})"
    return result


def write_csv(path: str | Path, result: Measured) -> None:
    """A row for each image, a column for each protocol that is available."""
    columns = [name for name in result.values if name not in result.unavailable]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", *columns])
        for i, image in enumerate(result.images):
            writer.writerow([image, *(f"{result.values[name][i]:.9g}" for name in columns)])


def _value(name: str, images: Mapping[str, np.ndarray], assets: str | None) -> float:
    metric, _ = find(name)
    options: dict[str, Any] = {"assets": assets} if assets and metric.assets else {}
    others = {kind: images[kind] for kind in ("reference", "low") if kind in images}
    return float(np.asarray(compute(name, images["restored"], **others, **options))[0])


def _read(path: Path) -> np.ndarray:
    return quantise(read_image(path).rgb, 8)[None]


def _some(names: Sequence[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest

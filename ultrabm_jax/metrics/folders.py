"""Measures a folder of images that any program wrote, against a folder of references or alone.

Images are paired by their path below the folder without its extension, and measured as 8-bit images one at a time in
each thread: batches were slower on a CPU (docs/log/benchmarks.md).
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import is_image, read_image
from ultrabm_jax.image.colour_space import profile_notes
from ultrabm_jax.image.formats import SUFFIXES
from ultrabm_jax.image.listing import affix_hint, describe_skipped, list_tree
from ultrabm_jax.image.write import quantise, write_file
from ultrabm_jax.logging import logger
from ultrabm_jax.metrics.features import SharedFeatures
from ultrabm_jax.metrics.images import AssetFolder
from ultrabm_jax.metrics.ordered_map import ordered_map
from ultrabm_jax.metrics.registry import find
from ultrabm_jax.metrics.scoring import UNDEFINED, Scores, score_image
from ultrabm_jax.storage.assets import MissingAsset

Paths = dict[str, Path]  # name of an image: its file

MAX_NAMES = 8  # names that a message lists


@dataclass
class FolderScores:
    """The scores of each image, and why some have none."""

    protocols: Sequence[str]
    scores: dict[str, Scores] = field(default_factory=dict)  # image: protocol: value
    problems: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # image: reason: protocols without a score
    unavailable: dict[str, str] = field(default_factory=dict)  # protocol: why no image has a score
    identical: list[str] = field(default_factory=list)  # images equal to their reference
    notes: Counter[str] = field(default_factory=Counter)  # what was converted or left out: number of files

    def add(self, other: FolderScores) -> None:
        """Adds the scores of further images."""
        self.scores |= other.scores
        self.problems |= other.problems
        self.unavailable = other.unavailable | self.unavailable
        self.identical += other.identical
        self.notes.update(other.notes)

    @property
    def complete(self) -> bool:
        """Whether every image has a score under every protocol."""
        return not self.problems and not self.unavailable

    def reason(self, protocol: str) -> str:
        """The reason why no image has a score under `protocol`, else that of the first image without one."""
        if protocol in self.unavailable:
            return self.unavailable[protocol]
        lines = ((image, *item) for image, reasons in self.problems.items() for item in reasons.items())
        return next(f"{reason} (at {image})" for image, reason, protocols in lines if protocol in protocols)

    def values(self, protocol: str) -> np.ndarray:
        """The scores of the images that have one, (n,) float64."""
        column = [scores[protocol] for scores in self.scores.values()]
        return np.array([value for value in column if value is not None], np.float64)


def list_named(path: str | Path, *, suffix: str = "") -> Paths:
    """The images of a folder by the names of their references, without `suffix`, or by a pattern: "out/*_mynet".

    In a pattern, * stands for the name. Files with other names are left out and counted. Raises UserError as
    `list_images` does, and if no file has such a name.
    """
    root, before, after = Path(path).expanduser(), "", suffix
    if "*" in root.name:
        before, _, rest = root.name.partition("*")
        root, after = root.parent, rest + suffix
    listed = list_images(root)
    if not (before or after):
        return listed
    found: Paths = {}
    for name, file in listed.items():
        parent, slash, last = name.rpartition("/")
        if last.startswith(before) and last.endswith(after) and len(last) > len(before) + len(after):
            found[f"{parent}{slash}{last[len(before) : len(last) - len(after)]}"] = file
    if not found:
        raise UserError(f"{root}: no image has a name of the form {before}NAME{after}; the first: {next(iter(listed))}")
    if left := len(listed) - len(found):
        logger.info(f"{root}: left out {left} image{'s' if left > 1 else ''} not named {before}NAME{after}")
    return found


def list_images(folder: str | Path) -> Paths:
    """The images of a folder and its subfolders, by relative path without extension.

    Raises UserError if there are none, or if two files differ in their extension only.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    found: Paths = {}
    tree = list_tree(root, is_image)
    if tree.unlisted:
        raise UserError("; ".join(tree.unlisted))
    for path in tree.dangling:
        logger.warning(f"{path}: a broken link")
    for path in tree.files:
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{found[name]} and {path} are both the image {name}; keep one of them")
        found[name] = path
    if not found:
        what = describe_skipped(tree.others)
        known = f"known: {', '.join(sorted(SUFFIXES))}"
        raise UserError(f"{root}: no images in this folder ({f'{what}; ' if what else ''}{known})")
    if tree.others:
        logger.info(f"{root}: {describe_skipped(tree.others)}")
    return found


def pair(restored: Paths, others: Mapping[str, Paths]) -> tuple[list[str], list[str]]:
    """(the images that every folder has, one line for each folder that lacks some); `others`: "reference", "low".

    Raises UserError if no image is in every folder.
    """
    folders = {"restored": restored, **others}
    everything = sorted(set().union(*folders.values()))
    common = [name for name in everything if all(name in folder for folder in folders.values())]
    missing = [
        f"{len(names)} not in the {kind} folder: {_first_names(names)}{_hint(kind, names, folder, common)}"
        for kind, folder in folders.items()
        if (names := [name for name in everything if name not in folder])
    ]
    if not common:
        raise UserError(f"no image is in every folder; {'; '.join(missing)}")
    return common, missing


def _hint(kind: str, missing: Sequence[str], folder: Paths, common: Sequence[str]) -> str:
    """A suggestion if the folder has the missing images under names with one suffix or prefix."""
    extra = folder.keys() - set(common)
    hint = affix_hint(missing, extra) if extra and kind != "restored" else ""
    return f" ({hint})" if hint else ""


def measure(
    images: Iterable[str],
    methods: Mapping[str, Paths],
    others: Mapping[str, Paths],
    protocols: Sequence[str],
    *,
    assets: AssetFolder = None,
    workers: int = 1,
) -> dict[str, FolderScores]:
    """Measures `images` of each method; `others` are "reference" and "low", if there are any.

    `workers` threads measure as many images at a time. An image that cannot be read or measured is recorded in
    `problems` and does not affect the others. The scores depend neither on `workers` nor on the other methods.
    """
    results = {method: FolderScores(protocols) for method in methods}

    def measure_one(name: str) -> dict[str, FolderScores]:
        known = {method: dict(result.unavailable) for method, result in results.items()}
        return _measure_image(name, methods, others, protocols, known, assets)

    for found in ordered_map(measure_one, images, workers=workers):
        for method, result in found.items():
            results[method].add(result)
    return results


def _measure_image(
    name: str,
    methods: Mapping[str, Paths],
    others: Mapping[str, Paths],
    protocols: Sequence[str],
    unavailable: Mapping[str, dict[str, str]],
    assets: AssetFolder,
) -> dict[str, FolderScores]:
    """One image of all methods, which share the other images and their features."""
    read_others = functools.cache(lambda: {kind: _read(folder[name]) for kind, folder in others.items()})
    shared: SharedFeatures | None = {} if len(methods) > 1 else None
    results = {}
    for method, paths in methods.items():
        result = results[method] = FolderScores(protocols, unavailable=unavailable[method])
        try:
            images = {"restored": _read(paths[name]), **read_others()}
        except UserError as error:
            result.scores[name] = dict.fromkeys(protocols)
            result.problems[name] = {str(error): list(protocols)}
            continue
        for _, notes in images.values():
            result.notes.update(notes)
        arrays = {kind: array for kind, (array, _) in images.items()}
        if "reference" in arrays and np.array_equal(arrays["restored"], arrays["reference"]):
            result.identical.append(name)
        result.scores[name] = _score_all(name, arrays, result, assets, shared)
    return results


def _score_all(
    image: str,
    arrays: Mapping[str, np.ndarray],
    result: FolderScores,
    assets: AssetFolder,
    shared: SharedFeatures | None,
) -> Scores:
    """The scores of one image; what is missing is recorded in `result`."""
    scores: Scores = dict.fromkeys(result.protocols)
    reasons: dict[str, list[str]] = {}
    for protocol in result.protocols:
        if protocol in result.unavailable:
            continue
        try:
            _check_same_size(protocol, arrays)
            value = score_image(protocol, arrays["restored"], arrays, assets=assets, shared=shared)
        except MissingAsset as error:
            result.unavailable[protocol] = str(error)
        except UserError as error:
            reasons.setdefault(str(error), []).append(protocol)
        else:
            if math.isnan(value):
                reasons.setdefault(UNDEFINED, []).append(protocol)
            else:
                scores[protocol] = value
    if reasons:
        result.problems[image] = reasons
    return scores


def _check_same_size(protocol: str, arrays: Mapping[str, np.ndarray]) -> None:
    metric = find(protocol)[0]
    kind = metric.against
    if kind != "none" and not metric.any_size and arrays[kind].shape != arrays["restored"].shape:
        (h, w), (other_h, other_w) = arrays["restored"].shape[:2], arrays[kind].shape[:2]
        raise UserError(f"the restored image has {w}x{h} pixels, the {kind} image {other_w}x{other_h}")


def write_csv(path: str | Path, result: FolderScores | Mapping[str, FolderScores]) -> None:
    """A row for each image and a last one, `mean`; a column for each protocol that has a value.

    A missing score is an empty cell. Several methods have a first column `method`, and a mean each.
    """
    results = {"": result} if isinstance(result, FolderScores) else result
    protocols = next(iter(results.values())).protocols
    columns = [name for name in protocols if any(len(each.values(name)) for each in results.values())]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(["method"] if result is results else []), "image", *columns])
    for method, each in results.items():
        first = [method] if result is results else []
        for image, scores in each.scores.items():
            writer.writerow([*first, image, *(_cell(scores[c]) for c in columns)])
        known = {c: each.values(c) for c in columns}
        writer.writerow([*first, "mean", *(_cell(float(np.mean(v)) if len(v) else None) for v in known.values())])
    write_file(path, text.getvalue().encode(errors="backslashreplace"))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def write_json(
    path: str | Path, result: FolderScores | Mapping[str, FolderScores], missing: Sequence[str] = ()
) -> None:
    """Means, deviations and counts by protocol, the scores of each image, and what is incomplete.

    Strict JSON: an infinite value is the string "inf", a missing one null. Several methods: {"methods": {NAME: ...}}.
    """
    content = (
        _as_json(result, missing)
        if isinstance(result, FolderScores)
        else {"methods": {method: _as_json(each, missing) for method, each in result.items()}}
    )
    write_file(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def _as_json(result: FolderScores, missing: Sequence[str]) -> dict[str, object]:
    values = {name: result.values(name) for name in result.protocols}
    return {
        "count": len(result.scores),
        "mean": {name: _json_number(np.mean(v)) if len(v) else None for name, v in values.items()},
        "std": {name: _json_number(deviation(v)) if len(v) else None for name, v in values.items()},
        "counts": {name: len(v) for name, v in values.items()},
        "complete": result.complete and not missing,
        "missing": list(missing),
        "unavailable": result.unavailable,
        "problems": result.problems,
        "identical": result.identical,
        "notes": dict(result.notes),
        "images": {
            image: {name: None if value is None else _json_number(value) for name, value in scores.items()}
            for image, scores in result.scores.items()
        },
    }


def deviation(values: np.ndarray) -> float:
    """The population standard deviation; nan if a value is infinite."""
    return float(np.std(values)) if np.isfinite(values).all() else math.nan


def _json_number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(float(value))


def _read(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """((h, w, 3) uint8, the reader's notes)."""
    image = read_image(path)
    return quantise(image.rgb, 8), (*image.notes, *(profile_notes(image.icc) if image.icc else ()))


def _first_names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest

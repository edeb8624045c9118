"""Lists the files of a data set: the usable pairs, and every defect by kind."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import is_image
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.image.listing import (
    affix_hint,
    describe_os_error,
    describe_skipped,
    is_folder,
    is_utf8,
    list_folder,
    list_tree,
    other_kinds,
    similar_folder,
)
from ultrabm_jax.logging import logger

MAX_LISTED = 3  # defects of each kind in an error message; `python -m input_pipeline.check` lists all


@dataclass(frozen=True)
class Pair:
    """The files of a dark image and its reference; `group` is the exposure level where the data set has one."""

    name: str
    low: Path
    reference: Path
    group: str | None = None


DEFECT_KINDS = {
    "missing folder": "folders that do not exist or cannot be listed",
    "linked folder": "links to a folder that is already included",
    "empty folder": "folders without an image",
    "bad name": "files whose name is not UTF-8 or does not follow the data set's layout",
    "duplicate name": "names that several files of one folder share (they differ only in the extension)",
    "unpaired": "images without a partner",
    "bad list line": "lines of a list file that cannot be parsed",
    "missing file": "files that a list names and that do not exist",
    "unreadable": "files that cannot be read",
    "shard": "record shards that are missing or damaged",
    "sizes": "pairs whose sizes do not match",
    "too small": "images smaller than the training patch",
}


@dataclass(frozen=True)
class Defect:
    """One fault of a data set. `kind` is a key of DEFECT_KINDS; `what` names the file or folder and the reason."""

    kind: str
    what: str

    def __post_init__(self) -> None:
        if self.kind not in DEFECT_KINDS:
            raise KeyError(self.kind)  # reports go through DEFECT_KINDS, so an unknown kind would never be printed


class MissingData(UserError):
    """The data set, or one of its splits, is not where the config says. The message says where to get it."""


@dataclass
class Listing:
    """Pairs in a fixed order (sorted by name), and the defects found while listing them."""

    pairs: list[Pair] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)


def images_by_stem(folder: Path) -> tuple[dict[str, Path], list[Defect]]:
    """Maps the stems of a folder's images to their files, and lists defects.

    Stems are normalised to NFC, because macOS and Linux encode accented letters differently. A missing folder is
    replaced by the only one whose name differs in upper and lower case.
    """
    similar = None if os.path.lexists(folder) else similar_folder(folder)
    if similar is not None and similar.name.lower() == folder.name.lower():
        folder = similar
    try:
        entries = list_folder(folder)
    except OSError as error:
        hint = f"; did you mean {similar}? Rename or link it" if similar is not None else ""
        return {}, [Defect("missing folder", f"{folder}: {describe_os_error(error)}{hint}")]
    found: dict[str, Path] = {}
    duplicates: dict[str, list[Path]] = {}
    defects = []
    for path in entries:
        if not is_image(path):
            continue
        if not is_utf8(path.name):
            defects.append(Defect("bad name", f"{path} (not UTF-8: rename it)"))
            continue
        name = unicodedata.normalize("NFC", path.stem)
        if name in found:
            duplicates.setdefault(name, [found[name]]).append(path)
        found.setdefault(name, path)
    defects += [Defect("duplicate name", ", ".join(map(str, paths))) for paths in duplicates.values()]
    if not found:
        defects.append(empty_folder(folder, entries))
    elif others := other_kinds(path for path in entries if not (is_image(path) or is_folder(path))):
        logger.info(f"{folder}: {describe_skipped(others)}")
    return found, defects


def files_below(root: Path, wanted: Callable[[Path], bool], *, what: str = "image") -> tuple[list[Path], list[Defect]]:
    """Returns the wanted files at any depth below the root, sorted, and lists defects; logs which files it skips."""
    tree = list_tree(root, wanted)
    defects = [Defect("linked folder", f"{folder} leads to {folder.resolve()}") for folder in tree.linked]
    defects += [Defect("missing folder", reason) for reason in tree.unlisted]
    defects += [Defect("missing folder", f"{path}: a broken link") for path in tree.dangling]
    if not tree.files and not defects:
        defects.append(empty_folder(root, list_folder(root)))
    elif tree.others:
        logger.info(f"{root}: {describe_skipped(tree.others, what)}")
    return tree.files, defects


def empty_folder(folder: Path, entries: Sequence[Path]) -> Defect:
    """The defect of a folder without images; says what the folder contains instead."""
    kinds = Counter("folders" if is_folder(path) else path.suffix.lower() or path.name for path in entries)
    summary = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(MAX_LISTED))
    return Defect("empty folder", f"{folder} ({f'it contains {summary}' if summary else 'it is empty'})")


def pair_folders(low: Path, reference: Path) -> Listing:
    """Pairs images with equal stems; extensions may differ."""
    lows, defects = images_by_stem(low)
    references, more = images_by_stem(reference)
    defects += more
    if lows and references:
        alone = unpaired(lows, references, reference) + unpaired(references, lows, low)
        hint = affix_hint(lows.keys() - references.keys(), references.keys() - lows.keys())
        if hint:
            alone[0] = Defect("unpaired", f"{alone[0].what}; {hint}")
        defects += alone
    names = sorted(lows.keys() & references.keys(), key=natural_key)
    return Listing([Pair(name, lows[name], references[name]) for name in names], defects)


def unpaired(images: dict[str, Path], partners: Iterable[str], folder: Path) -> list[Defect]:
    """A defect for each of `images` whose stem is not among the `partners` found in `folder`."""
    missing = sorted(images.keys() - set(partners), key=natural_key)
    return [Defect("unpaired", f"{images[name]} (no {name}.* in {folder})") for name in missing]


def natural_key(name: str) -> tuple[int, str]:
    """Sort key that orders 2 before 10, independently of the file system."""
    return (int(name) if name.isascii() and name.isdigit() else -1, name)


def raise_on_defects(defects: Sequence[Defect]) -> None:
    """Raises a one-line UserError that counts the defects by kind and lists the first few, if there are any."""
    if not defects:
        return
    parts = []
    for kind in DEFECT_KINDS:
        found = [defect.what for defect in defects if defect.kind == kind]
        if found:
            rest = f"; and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
            parts.append(f"{len(found)} {kind}: " + "; ".join(found[:MAX_LISTED]) + rest)
    hint = " (`python -m input_pipeline.check` lists all)" if len(defects) > MAX_LISTED else ""
    raise UserError("data set: " + printable(" | ".join(parts)) + hint)

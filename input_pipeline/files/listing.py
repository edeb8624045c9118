"""What a data set's folders hold: the pairs that can be used and, by kind, everything that is wrong."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from input_pipeline.files.folders import contents, identity, is_folder, is_utf8, no_folder
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import is_image, printable

MAX_LISTED = 3  # defects named in an error; `python -m input_pipeline.check` names them all


@dataclass(frozen=True)
class Pair:
    """One dark image and its reference; `group` is the exposure level where the data set has one."""

    name: str
    low: Path
    reference: Path
    group: str | None = None


KINDS = {
    "missing folder": "folders that are not there or may not be listed",
    "linked folder": "links to a folder that is read already",
    "empty folder": "folders without an image",
    "bad name": "files whose name is not UTF-8, or not as the data set's layout has it",
    "doubled name": "names that several files of one folder share (they differ in the extension alone)",
    "unpaired": "images without their partner",
    "bad list line": "lines of a list file that cannot be understood",
    "missing file": "files that a list names and that are not there",
    "unreadable": "files that cannot be read",
    "shard": "record shards that are missing or damaged",
    "sizes": "pairs whose sizes do not fit together",
    "too small": "images smaller than the training patch",
}


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong. `kind` is a key of KINDS, `what` names the file or folder and the reason."""

    kind: str
    what: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise KeyError(self.kind)  # it would be missing from every report


class MissingData(UserError):
    """The data set, or one of its splits, is not where the config says. The message says where to get it."""


@dataclass
class Listing:
    """Pairs in a fixed order (sorted by name), beside the defects found on the way."""

    pairs: list[Pair] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)


def images_by_stem(folder: Path) -> tuple[dict[str, Path], list[Defect]]:
    """{name without extension: file} of one folder. What macOS and Linux spell differently, such as e-acute, is one."""
    try:
        inside = contents(folder)
    except OSError as error:
        return {}, [Defect("missing folder", f"{folder}: {no_folder(error)}")]
    found: dict[str, Path] = {}
    doubled: dict[str, list[Path]] = {}
    defects = []
    for path in inside:
        if not is_image(path):
            continue
        if not is_utf8(path.name):
            defects.append(Defect("bad name", f"{path} (not UTF-8: rename it)"))
            continue
        name = unicodedata.normalize("NFC", path.stem)
        if name in found:
            doubled.setdefault(name, [found[name]]).append(path)
        found.setdefault(name, path)
    defects += [Defect("doubled name", ", ".join(map(str, paths))) for paths in doubled.values()]
    if not found:
        defects.append(empty_folder(folder, inside))
    return found, defects


def files_below(root: Path, wanted: Callable[[Path], bool]) -> tuple[list[Path], list[Defect]]:
    """The wanted files below the root, sorted.

    Links to folders are followed, but no folder is read twice, so circles come to an end. Links wait until the last,
    so that a folder that has a path of its own goes by that.
    """
    files, defects = [], []
    read = {identity(parent) for parent in root.resolve().parents}
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            inside = contents(folder)
            if (this := identity(folder)) in read:
                defects.append(Defect("linked folder", f"{folder} leads to {folder.resolve()}"))
                continue
        except OSError as error:
            defects.append(Defect("missing folder", f"{folder}: {no_folder(error)}"))
            continue
        read.add(this)
        for path in inside:
            if is_folder(path):
                (links if path.is_symlink() else folders).append(path)
            elif wanted(path):
                files.append(path)
            elif path.is_symlink() and not os.path.exists(path):  # perhaps to a disk that is not mounted
                defects.append(Defect("missing folder", f"{path}: a link that leads nowhere"))
    if not files and not defects:
        defects.append(empty_folder(root, contents(root)))
    return sorted(files), defects


def empty_folder(folder: Path, inside: Sequence[Path]) -> Defect:
    """A folder without images, and what it holds instead."""
    kinds = Counter("folders" if is_folder(path) else path.suffix.lower() or path.name for path in inside)
    held = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(MAX_LISTED))
    return Defect("empty folder", f"{folder} ({f'it holds {held}' if held else 'nothing is in it'})")


def pair_folders(low: Path, reference: Path) -> Listing:
    """Pairs of equal stems, whatever the extensions."""
    lows, defects = images_by_stem(low)
    references, more = images_by_stem(reference)
    defects += more
    if lows and references:
        defects += unpaired(lows, references, reference) + unpaired(references, lows, low)
    names = sorted(lows.keys() & references.keys(), key=natural_key)
    return Listing([Pair(name, lows[name], references[name]) for name in names], defects)


def unpaired(these: dict[str, Path], those: Iterable[str], folder: Path) -> list[Defect]:
    """The files of `these` whose stem is not among `those`, which lie in `folder`."""
    missing = sorted(these.keys() - set(those), key=natural_key)
    return [Defect("unpaired", f"{these[name]} (no {name}.* in {folder})") for name in missing]


def natural_key(name: str) -> tuple[int, str]:
    """Sorts 2 before 10; the order is the same on every file system."""
    return (int(name) if name.isascii() and name.isdigit() else -1, name)


def refuse(defects: Sequence[Defect]) -> None:
    """Raises one line that counts the defects by kind and names the first few of each."""
    if not defects:
        return
    parts = []
    for kind in KINDS:
        these = [defect.what for defect in defects if defect.kind == kind]
        if these:
            rest = f"; and {len(these) - MAX_LISTED} more" if len(these) > MAX_LISTED else ""
            parts.append(f"{len(these)} {kind}: " + "; ".join(these[:MAX_LISTED]) + rest)
    hint = " (`python -m input_pipeline.check` names them all)" if len(defects) > MAX_LISTED else ""
    raise UserError("data set: " + printable(" | ".join(parts)) + hint)

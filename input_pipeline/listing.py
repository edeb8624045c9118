"""What a data set's folders hold: the pairs that can be used and, by kind, everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from input_pipeline.images import is_picture
from ultrabm_jax.errors import UserError

SHOWN = 3  # defects named in an error; `python -m input_pipeline.check` names them all


@dataclass(frozen=True)
class Pair:
    """One dark picture and its reference; `group` is the exposure level where the data set has one."""

    name: str
    low: Path
    reference: Path
    group: str | None = None


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong. `kind` is a key of KINDS, `what` names the file or folder and the reason."""

    kind: str
    what: str


KINDS = {
    "missing folder": "folders that are not there",
    "empty folder": "folders without a picture",
    "bad name": "files whose name the data set's layout does not know",
    "doubled name": "names that several files of one folder share (they differ in the extension alone)",
    "unpaired": "pictures without their partner",
    "unreadable": "files that cannot be read",
    "sizes": "pairs whose sizes do not fit together",
    "too small": "pictures smaller than the training patch",
}


class MissingData(UserError):
    """The data set, or one of its splits, is not where the config says. The message says where to get it."""


@dataclass
class Listing:
    """Pairs in a fixed order (sorted by name), beside the defects found on the way."""

    pairs: list[Pair] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)


def pictures_by_stem(folder: Path) -> tuple[dict[str, Path], list[Defect]]:
    """{name without extension: file} of one folder."""
    if not folder.is_dir():
        return {}, [Defect("missing folder", str(folder))]
    found: dict[str, Path] = {}
    doubled: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if not is_picture(path):
            continue
        if path.stem in found:
            doubled.setdefault(path.stem, [found[path.stem]]).append(path)
        found.setdefault(path.stem, path)
    defects = [Defect("doubled name", ", ".join(map(str, paths))) for paths in doubled.values()]
    if not found:
        defects.append(Defect("empty folder", str(folder)))
    return found, defects


def pair_folders(low: Path, reference: Path) -> Listing:
    """Pairs of equal stems, whatever the extensions."""
    lows, defects = pictures_by_stem(low)
    references, more = pictures_by_stem(reference)
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
            rest = f"; and {len(these) - SHOWN} more" if len(these) > SHOWN else ""
            parts.append(f"{len(these)} {kind}: " + "; ".join(these[:SHOWN]) + rest)
    hint = " (`python -m input_pipeline.check` names them all)" if len(defects) > SHOWN else ""
    raise UserError("data set: " + " | ".join(parts) + hint)

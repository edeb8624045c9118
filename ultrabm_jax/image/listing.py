"""Lists folders by one rule for training, restoring and metrics, in the order of names on every file system.

Hidden entries (including AppleDouble files `._1.png` and `.thumbnails/`) and files that servers, archivers and file
systems create are ignored. Links are followed, and no folder is read twice. Other files are skipped and counted. For
names of images and folders that do not match, similar ones are suggested ("did you mean").
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

# In lower case. Like hidden entries, they hold no data.
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "#recycle", "__macosx", "lost+found", "$recycle.bin", "system volume information"}
)
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
MAX_AFFIX = 24  # characters that a program may have added to the names of its outputs
# Names that other data sets and trainers use, in lower case.
SYNONYMS = (
    frozenset({"low", "input", "inputs", "lq", "lr", "lllr", "dark", "lowlight", "low_light", "short", "source", "a"}),
    frozenset({
        "high", "normal", "gt", "target", "targets", "reference", "references", "hq", "hr", "bright", "label", "labels",
        "long", "ground_truth", "groundtruth", "b",
    }),
)  # fmt: skip


@dataclass
class FolderTree:
    """The files below a folder.

    files: the wanted ones, sorted. others: the number of other files by suffix. linked: links to a folder that is
    already included. dangling: broken links. unlisted: folders that cannot be listed, with the reason.
    """

    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    linked: list[Path] = field(default_factory=list)
    dangling: list[Path] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def list_folder(folder: Path) -> list[Path]:
    """Lists the entries of a folder that may be data; raises OSError if the folder cannot be listed."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return [folder / name for name in names if name.lower() not in SYSTEM_FOLDERS]


def list_tree(root: Path, wanted: Callable[[Path], bool]) -> FolderTree:
    """Lists the wanted files at any depth below `root`.

    Links to folders are followed after all ordinary folders, so that a folder inside the root is listed under its own
    path, and circular links end.
    """
    tree = FolderTree()
    visited = {file_id(parent) for parent in root.resolve().parents}
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            entries = list_folder(folder)
            if (this := file_id(folder)) in visited:
                tree.linked.append(folder)
                continue
        except OSError as error:
            tree.unlisted.append(f"{folder}: {describe_os_error(error)}")
            continue
        visited.add(this)
        for path in entries:
            if is_folder(path):
                (links if path.is_symlink() else folders).append(path)
            elif wanted(path):
                tree.files.append(path)
            elif path.is_symlink() and not os.path.exists(path):  # its target may be on a disk that is not mounted
                tree.dangling.append(path)
            else:
                tree.others.update(other_kinds([path]))
    tree.files.sort()
    return tree


def other_kinds(paths: Iterable[Path]) -> Counter[str]:
    """Counts files by suffix (without one: by name), except the files that Windows creates."""
    return Counter(path.suffix.lower() or path.name for path in paths if path.name.lower() not in SYSTEM_FILES)


def describe_skipped(others: Counter[str], what: str = "image") -> str:
    """One line: "skipped 3 files that are not images: .txt 2, .mp4 1"; empty if there are none."""
    if not others:
        return ""
    total = others.total()
    ordered = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{kind} {count}" for kind, count in ordered)
    article = "an" if what[0] in "aeiou" else "a"
    files = f"file that is not {article} {what}" if total == 1 else f"files that are not {what}s"
    return f"skipped {total} {files}: {counts}"


def is_folder(path: Path) -> bool:
    """Like `path.is_dir()`, but returns False where that raises PermissionError."""
    return os.path.isdir(path)


def file_id(path: Path) -> tuple[int, int]:
    """Identifies a file or folder independently of the path by which it was reached (device, inode)."""
    status = path.stat()
    return status.st_dev, status.st_ino


def describe_os_error(error: OSError) -> str:
    """Explains why a folder cannot be listed."""
    known = {
        errno.ENOENT: "there is no such folder",
        errno.ENOTDIR: "a file, not a folder",
        errno.ELOOP: "a circular link",
        errno.EACCES: "no permission to list it",
    }
    return known.get(error.errno or 0) or str(error)


def is_utf8(name: str) -> bool:
    """Whether a file name is valid UTF-8; Python represents other bytes as surrogates, which no report can print."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def affix_hint(names: Collection[str], partners: Collection[str]) -> str:
    """ "did you mean 0001x2 for 0001?", if one text at the ends or beginnings of unpaired names explains most of them.

    names, partners: names that are in one of two folders only. Another case explains them, too. Returns "" without an
    explanation.
    """
    folded = {name.casefold(): name for name in partners}
    same = sorted(name for name in names if name.casefold() in folded)
    if same and 2 * len(same) >= min(len(names), len(partners)):
        return f"did you mean {folded[same[0].casefold()]} for {same[0]}? The names differ in case"
    for longer, shorter in ((names, partners), (partners, names)):
        found = _affixes(longer, set(shorter))
        if found:
            ((where, affix), count), *_ = found.most_common(1)
            if 2 * count >= min(len(longer), len(shorter)):
                example = min(name for name in longer if _stripped(name, where, affix) in set(shorter))
                verb = "ends in" if where == "end" else "begins with"
                return f"did you mean {example} for {_stripped(example, where, affix)}? The name {verb} {affix!r}"
    return _two_suffixes(names, partners)


def _affixes(longer: Iterable[str], shorter: Collection[str]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for name in longer:
        for length in range(1, min(len(name), MAX_AFFIX + 1)):
            if name[:-length] in shorter:
                found["end", name[-length:]] += 1
            if name[length:] in shorter:
                found["beginning", name[:length]] += 1
    return found


def _stripped(name: str, where: str, affix: str) -> str | None:
    """The name without the affix, None if it does not have it."""
    if where == "end":
        return name[: -len(affix)] if name.endswith(affix) else None
    return name[len(affix) :] if name.startswith(affix) else None


def _two_suffixes(names: Collection[str], partners: Collection[str]) -> str:
    """The hint for names such as 1_low and 1_high: each folder has its own suffix."""
    first, second = _common_suffix(names), _common_suffix(partners)
    stripped = {name.removesuffix(first): name for name in names}
    matched = sorted(stem for name in partners if (stem := name.removesuffix(second)) in stripped and stem)
    if len(names) < 2 or len(partners) < 2 or 2 * len(matched) < min(len(names), len(partners)):
        return ""
    stem = matched[0]
    return f"did you mean {stem}{first} for {stem}{second}? The names end in {first!r} and {second!r}"


def _common_suffix(names: Collection[str]) -> str:
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*(name[::-1] for name in names), strict=False))
    return "".join(column[0] for column in letters)[::-1]


def similar_folder(folder: Path) -> Path | None:
    """The only existing sibling of a missing folder that has its name in another case, or a synonym of its name."""
    try:
        siblings = [path for path in list_folder(folder.parent) if is_folder(path)]
    except OSError:
        return None
    name = folder.name.lower()
    same = [path for path in siblings if path.name.lower() == name]
    if len(same) == 1:
        return same[0]
    known = next((group for group in SYNONYMS if name in group), frozenset[str]())
    others = [path for path in siblings if path.name.lower() in known]
    return others[0] if len(others) == 1 else None

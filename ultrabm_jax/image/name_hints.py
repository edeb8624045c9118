"""Suggestions ("did you mean") for names of images and folders that do not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import takewhile
from pathlib import Path

from ultrabm_jax.image.listing import is_folder, list_folder

MAX_AFFIX = 24  # characters that a program may have added to the names of its outputs
# Names that other data sets and trainers use, in lower case.
SYNONYMS = (
    frozenset({"low", "input", "inputs", "lq", "lr", "lllr", "dark", "lowlight", "low_light", "short", "source", "a"}),
    frozenset({
        "high", "normal", "gt", "target", "targets", "reference", "references", "hq", "hr", "bright", "label", "labels",
        "long", "ground_truth", "groundtruth", "b",
    }),
)  # fmt: skip


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

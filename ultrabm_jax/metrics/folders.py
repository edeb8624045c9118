"""Lists the images of folders that any program wrote, by name, and pairs those of several folders.

Images are paired by their path below the folder without its extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import is_image
from ultrabm_jax.image.formats import SUFFIXES
from ultrabm_jax.image.listing import affix_hint, describe_skipped, list_tree
from ultrabm_jax.logging import logger

Paths = dict[str, Path]  # name of an image: its file

MAX_NAMES = 8  # names that a message lists


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


def _first_names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest

"""Plans which files are restored and how the outputs are named.

Folders are searched recursively, and their tree is kept below the output folder. An output is named STEM.png, or
STEM_restored.png beside its input. If another input or an earlier output has that name, it becomes STEM_EXTENSION.png,
STEM_FOLDER.png or STEM_EXTENSION_HASH.png, of the input's own extension, folder and path. An input that was restored
into the same folder before keeps its name.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.formats import SUFFIXES, VIDEO_SUFFIXES
from ultrabm_jax.image.listing import describe_skipped, is_folder, list_tree
from ultrabm_jax.image.write import FORMATS
from ultrabm_jax.inference.records import identity, outputs_of, read_records
from ultrabm_jax.logging import logger
from ultrabm_jax.raw import CAMERA_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Job:
    """An input file and its output file."""

    source: Path
    target: Path


def plan(
    inputs: Sequence[str | Path],
    output: str | Path | None,
    *,
    extensions: Collection[str] = SUFFIXES,
    what: str = "image",
    format: str | None = None,
) -> list[Job]:
    """All files to restore, in order. A path that does not exist is included and fails when it is restored.

    output: a folder, or for one input a file name with the suffix of an image format; None: beside each input.
    extensions: files with other extensions are skipped in folders. what: their name in messages.
    format: suffix of the outputs without the dot; default: png.
    Raises UserError if an output would replace an input, or for a folder without images.
    """
    output = None if output is None else Path(output)
    sources = _find(inputs, output, extensions, what)
    if output is not None and output.suffix.lower() in SUFFIXES | FORMATS.keys() and not is_folder(output):
        if len(sources) != 1:
            raise UserError(f"--output {output} names one file, and there are {len(sources)} inputs; name a folder")
        if format is not None and FORMATS.get(f".{format}") != FORMATS.get(output.suffix.lower()):
            raise UserError(f"--output {output} and --format {format} contradict each other")
        jobs = [Job(next(iter(sources)), output)]
    else:
        jobs = _name(sources, output, f".{format or 'png'}")
    refuse_replacing(jobs, (job.target for job in jobs))
    return jobs


def refuse_replacing(jobs: Sequence[Job], targets: Iterable[Path]) -> None:
    """Raises UserError if one of the targets is an input, by any spelling of its path, or if two are the same."""
    inputs: set[object] = {name for job in jobs for name in (identity(job.source), os.path.realpath(job.source))}
    inputs |= {_file_id(job.source) for job in jobs}
    seen: set[str] = set()
    for target in targets:
        name = identity(target)
        if name in seen:
            raise UserError(f"{target}: two outputs would have this name")
        seen.add(name)
        if not inputs.isdisjoint({name, os.path.realpath(target), _file_id(target) or target}):
            raise UserError(f"{target}: the output would replace an input; choose another --output")


def _file_id(path: Path) -> tuple[int, int] | None:
    """Identifies a file on file systems that ignore case, too; None if it is missing or has several names."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_nlink == 1 else None


def _find(
    inputs: Sequence[str | Path], output: Path | None, extensions: Collection[str], what: str
) -> dict[Path, Path]:
    """Maps each file to its path below the output folder. A file that is given by two spellings is one."""
    found: dict[str, tuple[Path, Path]] = {}
    listed: set[str] = set()
    others: collections.Counter[str] = collections.Counter()
    folders: dict[Path, list[str]] = {}  # the identities of the files in each
    for root in map(Path, inputs):
        if not is_folder(root):
            found.setdefault(identity(root), (root, Path(root.name)))
            listed.discard(identity(root))
            continue
        tree = list_tree(root, lambda path: path.suffix.lower() in extensions)
        if tree.unlisted:
            raise UserError("; ".join(tree.unlisted))
        for path in tree.dangling:
            logger.warning(f"{path}: a broken link")
        others += tree.others
        folders[root] = []
        for path in tree.files:
            if output is not None and _is_below(path, output) and not _is_below(root, output):
                continue
            name = identity(path)
            folders[root].append(name)
            if name not in found:
                found[name] = (path, path.relative_to(root))
                listed.add(name)
    made = _made_from_others(found, listed, output)
    for root, names in folders.items():
        if made.issuperset(names):
            rest = f"{describe_skipped(others, what)}{_skipped_hint(others, extensions)}; " if others else ""
            raise UserError(f"{root}: no {what}s in this folder ({rest}known: {', '.join(sorted(extensions))})")
    if others:
        logger.info(describe_skipped(others, what) + _skipped_hint(others, extensions))
    return dict(pair for name, pair in found.items() if name not in made)


def _made_from_others(found: Mapping[str, tuple[Path, Path]], listed: set[str], output: Path | None) -> set[str]:
    """The outputs of other inputs: those listed in folders, and those given by name where this run writes."""
    made = outputs_of(found)
    named = {name: found[name][0] for name in found.keys() - listed}
    return (made & listed) | left_out(named, made, output)


def left_out(named: Mapping[str, Path], made: set[str], output: Path | None) -> set[str]:
    """The identities of files given by name, as by a shell's `*`, that are no inputs; logs their number.

    They were `made` from other inputs, and lie where this run writes: beside the inputs, or below `output`.
    """
    names = {name for name, path in named.items() if name in made and (output is None or _is_below(path, output))}
    if names:
        files = "1 file that was" if len(names) == 1 else f"{len(names)} files that were"
        logger.info(f"left out {files} restored from other inputs")
    return names


def _skipped_hint(others: Iterable[str], extensions: Collection[str]) -> str:
    """How camera raw files and videos among skipped files are restored; `others` are their suffixes."""
    skipped = {kind.lower() for kind in others}
    hint = "; to restore a video, name the file" if skipped & VIDEO_SUFFIXES else ""
    if skipped & CAMERA_SUFFIXES.difference(extensions):
        hint += "; without --model, camera raw files are restored with RED"
    return hint


def _is_below(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or inside it; both paths may have links."""
    top = os.path.realpath(folder)
    return any(os.path.commonpath([top, name]) == top for name in (identity(path), os.path.realpath(path)))


def _name(sources: Mapping[Path, Path], output: Path | None, suffix: str) -> list[Job]:
    """Names that stay distinct, also on file systems that ignore case or normalise Unicode.

    Raises UserError if two inputs have the same possible names.
    """
    folders = {s: s.parent if output is None else (output / relative).parent for s, relative in sources.items()}
    folded = {folder: _folded(os.path.realpath(folder)) for folder in dict.fromkeys(folders.values())}
    owners: dict[tuple[str, str], str] = {}  # folder, stem, both folded: the identity of the source
    recorded: dict[tuple[str, str], str] = {}  # folder, identity of the source: stem
    for folder, place in folded.items():
        for record in read_records(folder):
            owners[place, _folded(record.stem)] = record.source
            recorded[place, record.source] = record.stem
    stems: dict[Path, str] = {}
    for source, folder in folders.items():
        stem = recorded.get((folded[folder], identity(source)))
        if stem is not None and owners[folded[folder], _folded(stem)] == identity(source):
            stems[source] = stem
    candidates = {source: _stems(source, folders[source]) for source in sources if source not in stems}
    for rank in range(4):
        keys = {s: (folded[folders[s]], _folded(names[rank])) for s, names in candidates.items() if s not in stems}
        counts = collections.Counter(keys.values())
        for source, key in keys.items():
            if counts[key] == 1 and key not in owners:
                stems[source] = candidates[source][rank]
        owners |= {key: identity(source) for source, key in keys.items() if source in stems}
    for source in sources:
        if source not in stems:
            raise UserError(f"{source}: all possible names of its output belong to other inputs; use another --output")
    return [Job(source, folders[source] / f"{stems[source]}{suffix}") for source in sources]


def _folded(name: str) -> str:
    """One text for the names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _stems(source: Path, folder: Path) -> tuple[str, str, str, str]:
    """The possible names of an output in `folder`, the preferred first; all follow from the input's path."""
    whole = identity(source)
    beside = os.path.dirname(whole) == os.path.realpath(folder)
    stem = f"{source.stem}_restored" if beside else source.stem
    extension = source.suffix[1:].lower()
    parent = os.path.basename(os.path.dirname(whole))
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]
    return stem, f"{stem}_{extension}", f"{stem}_{parent}", f"{stem}_{extension}_{digest}"

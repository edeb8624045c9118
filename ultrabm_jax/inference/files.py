"""Restores files and folders: names the outputs, and continues after a file that fails.

Folders are searched recursively, and their tree is kept below the output folder. Every output is STEM.png; inputs with
the same stem become STEM_EXTENSION.png, with a number if that is still ambiguous.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import jax
import numpy as np

from ultrabm_jax.cli import progress
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import Image, read_image, write_image
from ultrabm_jax.image.colour import LUMA_F32
from ultrabm_jax.image.formats import SUFFIXES
from ultrabm_jax.image.hidden import fill_hidden
from ultrabm_jax.image.listing import list_tree, passed_over
from ultrabm_jax.image.resize import LANCZOS, resize
from ultrabm_jax.logging import logger


@dataclasses.dataclass(frozen=True)
class Job:
    """An input file and its output file."""

    source: Path
    target: Path


def plan(inputs: Sequence[str | Path], output: str | Path, *, extensions: Collection[str] = SUFFIXES) -> list[Job]:
    """All files to restore, in order. A path that does not exist is included and fails when it is restored.

    `extensions`: files with other extensions are ignored in folders. Raises UserError if an output would replace an
    input, or for a folder without images.
    """
    output = Path(output)
    found = [pair for path in inputs for pair in _expand(Path(path), output.resolve(), extensions)]
    found = list(dict.fromkeys(found))
    targets = _unique([relative for _, relative in found])
    jobs = [Job(source, output / target) for (source, _), target in zip(found, targets, strict=True)]
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise UserError(f"{job.target}: the output would replace an input; choose another --output folder")
    return jobs


def _expand(path: Path, output: Path, extensions: Collection[str]) -> list[tuple[Path, Path]]:
    """(file, its path below the output folder) for a file or a folder; earlier outputs are not inputs."""
    if not path.is_dir():
        return [(path, Path(path.name))]
    tree = list_tree(path, lambda p: p.suffix.lower() in extensions)
    if tree.unlisted:
        raise UserError("; ".join(tree.unlisted))
    if tree.others:
        logger.info(f"{path}: {passed_over(tree.others)}")
    files = [p for p in tree.files if output == path.resolve() or output not in p.resolve().parents]
    if not files:
        raise UserError(f"{path}: no images in this folder (known: {', '.join(sorted(extensions))})")
    return [(p, p.relative_to(path)) for p in files]


def _unique(paths: Sequence[Path]) -> list[Path]:
    """PNG names that stay distinct on file systems that ignore case."""
    plain = [p.with_name(f"{p.stem}.png") for p in paths]
    shared = collections.Counter(str(p).lower() for p in plain)
    taken: set[str] = {name for name, count in shared.items() if count == 1}
    names = []
    for path, name in zip(paths, plain, strict=True):
        if shared[str(name).lower()] > 1:
            stem, number = f"{path.stem}_{path.suffix[1:].lower()}", 1
            name = path.with_name(f"{stem}.png")
            while str(name).lower() in taken:
                number += 1
                name = path.with_name(f"{stem}_{number}.png")
            taken.add(str(name).lower())
        names.append(name)
    return names


def restore_photo(restorer: Callable[[np.ndarray], np.ndarray], photo: Image) -> np.ndarray:
    """(s*h, s*w, 3), or 4 with alpha, which is resized. A gray photo stays gray: a tint would be the network's own."""
    restored = restorer(fill_hidden(photo.rgb, photo.alpha))
    if photo.gray:
        restored = np.repeat((restored @ LUMA_F32)[..., None], 3, axis=-1)
    if photo.alpha is None:
        return restored
    return np.dstack([restored, resize(photo.alpha, restored.shape[:2], LANCZOS)])


def restore_files(
    restorer: Callable[[np.ndarray], np.ndarray], jobs: Sequence[Job], *, bits: int = 8, overwrite: bool = False
) -> int:
    """Restores every image file; returns the number of failures."""

    def work(job: Job) -> None:
        photo = read_image(job.source)
        for note in photo.notes:
            logger.info(f"note: {job.source}: {note}")
        write_image(
            job.target, restore_photo(restorer, photo), bits=bits, icc=photo.icc, exif=photo.exif, dpi=photo.dpi
        )

    return run_jobs(jobs, work, overwrite=overwrite)


def _line(job: Job, error: Exception) -> str:
    """One printable line that names the file."""
    message = str(error) if str(job.source) in str(error) else f"{job.source}: {error}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in message)


def run_jobs(
    jobs: Sequence[Job],
    work: Callable[[Job], None],
    *,
    targets: Callable[[Job], Sequence[Path]] = lambda job: [job.target],
    overwrite: bool = False,
) -> int:
    """Runs `work` on every job and returns the number of failures, each of which is reported in one line.

    Jobs whose `targets` all exist are skipped unless `overwrite`.
    """
    failed = kept = 0
    for job in progress(jobs, "image", describe=lambda job: f"{job.source} -> {job.target}"):
        if not overwrite and all(target.exists() for target in targets(job)):
            kept += 1
            continue
        try:
            work(job)
        except (UserError, OSError) as error:
            failed += 1
            logger.error(_line(job, error))
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            failed += 1
            logger.error(f"{job.source}: does not fit into memory; use smaller tiles (--tile)")
    logger.info(
        f"{len(jobs) - failed - kept} restored, {failed} failed"
        + (f", {kept} kept because the output exists (--overwrite restores them again)" if kept else "")
    )
    return failed

"""Runs jobs (jobs.py): keeps current outputs, records what is written, and continues after a file that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import jax

from ultrabm_jax.cli import progress
from ultrabm_jax.collector import resume_collector
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import check_folder, format_of, why_unwritable
from ultrabm_jax.inference.jobs import Job, refuse_replacing
from ultrabm_jax.inference.records import FileState, OutputOrigins, append_record, check_records, state_of
from ultrabm_jax.logging import logger

MISSING = FileState(0, 0, 0, "")  # of a file that cannot be read, which fails before a record is written


def run_jobs(
    jobs: Sequence[Job],
    work: Callable[[Job, Callable[[], None]], None],
    *,
    targets: Callable[[Job], Sequence[Path]] = lambda job: [job.target],
    bits: int | None = 8,
    unit: str = "image",
    overwrite: bool = False,
    hash_sources: bool = True,
    options: Mapping[str, object] | None = None,
) -> int:
    """Runs `work` on every job and returns the number of failures, each of which is reported in one line.

    `work` also gets a function that it calls before it writes the first output.
    A job whose `targets` were all made from its source is kept, and a file that was not is never replaced, unless
    `overwrite`. What prevents writing is reported before the first job runs; a folder or a format that fails all
    outputs raises UserError. Without `hash_sources`, only `work` opens the sources; a copied one is restored again.
    bits: per channel of the images; None: the outputs are no images. unit: what the progress bar counts.
    options: what else the outputs depend on, by flag, as JSON values; the last line names those that differ for outputs
    that are kept.
    """
    refuse_replacing(jobs, (target for job in jobs for target in targets(job)))
    for target in {(job.target.parent, job.target.suffix): job.target for job in jobs}.values():
        if bits is not None:
            format_of(target, bits, alpha=False)
        check_folder(target.parent)
        check_records(target.parent)
    todo, kept, failed, origins = list[Job](), list[set[str]](), 0, OutputOrigins()
    for job in jobs:
        paths = targets(job)
        if not overwrite and origins.are_current(job.source, paths):
            kept.append(origins.other_options(paths, options or {}))
        elif reason := _unwritable(paths) or ("" if overwrite else _why_kept_back(origins, job.source, paths)):
            failed += 1
            logger.error(_line(job, reason))
        else:
            todo.append(job)
    for number, job in enumerate(progress(todo, unit, describe=None), start=1):
        state = state_of(job.source, hashed=hash_sources) or MISSING
        resume_collector()  # modules and weights are loaded
        stem = job.target.name if bits is None else job.target.stem  # images may share the stem of a video
        record = partial(append_record, job.source, state, stem=stem, outputs=targets(job), options=options)
        try:
            work(job, partial(record, complete=False))
            record(complete=True)
        except KeyboardInterrupt:
            if len(todo) > 1:
                logger.info(f"{number - 1} of {len(todo)} files done; the same command continues with {job.source}")
            raise
        except (UserError, OSError) as error:
            failed += 1
            logger.error(_line(job, error))
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            failed += 1
            logger.error(f"{job.source}: does not fit into memory; use smaller tiles (--tile)")
        else:
            logger.info(_line(job, f"[{number}/{len(todo)}] {job.source} -> {job.target}"))
    logger.info(summary(len(jobs) - failed - len(kept), failed, kept))
    return failed


def summary(restored: int, failed: int, kept: Sequence[set[str]]) -> str:
    """The last line of a run. kept: for each kept output, the options that it was made with other values of."""
    line = f"{restored} restored, {failed} failed"
    if not kept:
        return line
    line += f", {len(kept)} kept because the output exists (--overwrite restores them again)"
    if names := sorted(set().union(*kept)):
        others = sum(map(bool, kept))
        line += f"; {others} of these {'was' if others == 1 else 'were'} made with another {', '.join(names)}"
    return line


def _line(job: Job, error: Exception | str) -> str:
    """One printable line that names the file."""
    message = str(error) if str(job.source) in str(error) else f"{job.source}: {error}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in message)


def _unwritable(targets: Sequence[Path]) -> str:
    """Why one of the files cannot be written, as far as it is known before it is computed."""
    return next(filter(None, map(why_unwritable, targets)), "")


def _why_kept_back(origins: OutputOrigins, source: Path, paths: Sequence[Path]) -> str:
    reason = origins.why_foreign(source, paths)
    return f"{reason}; --overwrite replaces it" if reason else ""

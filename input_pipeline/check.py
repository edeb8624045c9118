"""Reads a whole data set and names everything that is wrong with it, by kind; exit status 1 if there is anything.

python -m input_pipeline.check --config configs/NAME.py [--config.data.root=DIR | --config.data.records=DIR ...]
python -m input_pipeline.check --paired DIR [--scale S]
python -m input_pipeline.check --raw DIR         # camera raw files at any depth, or SID: a folder with its list files

Images are decoded, record shards compared with their checksums, camera raw files decoded. What is unusual and not
wrong, such as a count that is not the published one, is a note.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from input_pipeline.files.layouts import find_pairs
from input_pipeline.files.listing import KINDS, Defect, MissingData
from input_pipeline.records import find_records, split_names, verify
from input_pipeline.sources.base import too_small
from input_pipeline.sources.from_records import record_name, record_split
from input_pipeline.sources.open import SID, inspect, splits
from ultrabm_jax.cli import read_config
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.decode import BadImage, printable, read_size
from ultrabm_jax.stages import progressive_stages

Found = tuple[dict[str, int], list[Defect]]  # {split: usable images}, every defect


def check(config: Any, *, patch: int = 0) -> Found:
    """All splits that the config can open; `patch` 0: any size will do."""
    if config.data.dataset in SID and not config.data.records:
        return _check_raw(config.data.root, SID[config.data.dataset][:1])
    counts: dict[str, int] = {}
    defects: list[Defect] = []
    for split in splits(config.data):
        try:
            counts[split], found = _check_split(config, split, patch if split == "train" else 0)
        except MissingData as error:  # of one split; the other is still worth reading
            found = [Defect("missing folder", str(error))]
        defects += found
    return counts, defects


def _check_split(config: Any, split: str, patch: int) -> tuple[int, list[Defect]]:
    data, scale = config.data, config.model.scale
    if data.records and not (split == "eval" and data.eval_root):
        defects = _check_shards(data, split, scale)
        if defects:
            return 0, defects
    source, defects = inspect(data, scale=scale, split=split, decode=True, watch=_bar(split))
    small = too_small(source, patch)
    return len(source), defects + [Defect("too small", f"{what}, the patch is {patch}x{patch}") for what in small]


def _check_shards(data: Any, split: str, scale: int) -> list[Defect]:
    name, part = record_name(data.dataset, scale=scale), record_split(data, split, scale=scale)
    known = split_names(find_records(data.records, name))
    parts = [part for part in (part, f"{part}_reference") if part in known]
    return [d for part in parts for d in verify(data.records, name, part, watch=_bar(part, unit="shard"))[1]]


def report(counts: dict[str, int], defects: Sequence[Defect], notes: Sequence[str] = ()) -> str:
    """One line per defect under a heading with the count of its kind, then notes and a summary."""
    lines = []
    for kind, meaning in KINDS.items():
        these = [printable(defect.what) for defect in defects if defect.kind == kind]
        if these:
            lines += [f"{kind}: {len(these)} {meaning}", *(f"  {what}" for what in these)]
    lines += [f"note: {printable(note)}" for note in notes]
    usable = ", ".join(f"{split} {count}" for split, count in counts.items()) or "nothing"
    return "\n".join([*lines, f"{len(defects)} defects; usable: {usable}"])


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m input_pipeline.check", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="config file; any field can be set, as in --config.data.root=DIR")
    what.add_argument("--paired", help="folder with low/ and high/")
    what.add_argument("--raw", help="folder of camera raw files, or of SID")
    parser.add_argument(
        "--scale", type=int, help="with --paired: size of high/ over low/; default: what most pairs have"
    )
    options, overrides = parser.parse_known_args(argv)
    try:
        if not options.config and overrides:
            raise UserError(f"unknown arguments: {' '.join(overrides)}")
        with _collected() as notes:
            counts, defects = _run(options, overrides)
    except UserError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 1
    print(report(counts, defects, notes))
    return 1 if defects else 0


def _run(options: argparse.Namespace, overrides: Sequence[str]) -> Found:
    if options.raw:
        return _check_raw(options.raw)
    if options.paired:
        return check(_paired_config(options.paired, options.scale))
    config = read_config(options.config, overrides)
    return check(config, patch=_largest_patch(config))


def _check_raw(root: str, cameras: Collection[str] = ()) -> Found:
    from input_pipeline.check_raw import check_raw  # imports rawpy, which images do not need

    return check_raw(root, cameras=cameras, bar=_bar)


def _largest_patch(config: Any) -> int:
    sizes = {"batch_size": config.data.batch_size, "patch_size": config.data.patch_size}
    return max(stage.patch_size for stage in progressive_stages(config.train.stages, steps=config.train.steps, **sizes))


def _paired_config(root: str, scale: int | None) -> Any:
    config = default_config()
    config.data.root = root
    config.model.scale = scale or _common_scale(root)
    return config


def _common_scale(root: str) -> int:
    """The whole ratio of sizes that most pairs have, by their headers; 1 if there is none."""
    ratios: Counter[int] = Counter()
    for pair in find_pairs("paired", root, split="train", scale=1, option="--paired").pairs:
        with contextlib.suppress(BadImage):  # reported later, by its name
            low, reference = read_size(pair.low), read_size(pair.reference)
            scale = reference[0] // low[0]
            ratios[scale] += reference == (low[0] * scale, low[1] * scale)
    scale, count = max(ratios.items(), key=lambda item: item[1], default=(1, 0))
    return scale if count else 1


@contextlib.contextmanager
def _collected() -> Iterator[list[str]]:
    """What this package logs, for the report; decoders' own remarks on bad files are dropped, the report has them."""
    notes: list[str] = []

    class Collect(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.levelno >= logging.WARNING:
                notes.append(record.getMessage())
            return False

    collect = Collect()
    logging.getLogger().addFilter(collect)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield notes
        finally:
            logging.getLogger().removeFilter(collect)


def _bar(name: str, unit: str = "image") -> Any:
    def watch(items: Iterator, count: int) -> Iterable:
        from tqdm import tqdm

        return tqdm(items, total=count, desc=name, unit=unit, disable=None)  # None: off unless a terminal

    return watch


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Reads a whole data set and reports all defects by kind; the exit status is 1 if there are any.

python -m input_pipeline.check --config configs/NAME.py [--config.data.root=DIR | --config.data.records=DIR ...]
python -m input_pipeline.check --paired DIR [--scale S]
python -m input_pipeline.check --raw DIR         # camera raw files at any depth, or SID: a folder with its list files

Images and camera raw files are decoded, and record shards are compared with their checksums. Notes report what is
unusual but not wrong, such as a number of images that differs from the published one.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from ml_collections import ConfigDict

from input_pipeline.files.layouts import find_pairs
from input_pipeline.files.listing import DEFECT_KINDS, Defect, MissingData
from input_pipeline.object_stores import local_data, local_folder
from input_pipeline.progress import progress_bar
from input_pipeline.raw_pairs.eld import ELD
from input_pipeline.raw_pairs.sid_lists import SID
from input_pipeline.records import find_records, record_name, split_names, verify
from input_pipeline.sources.base import too_small
from input_pipeline.sources.from_records import record_split
from input_pipeline.sources.members import eval_members, read_members
from input_pipeline.sources.open import inspect, shared_evaluation, splits
from ultrabm_jax.cli import command_parser
from ultrabm_jax.config import default_config
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import BadImage, read_size
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.stages import progressive_stages

Result = tuple[dict[str, int], list[Defect]]  # {split: number of usable images}, all defects


def check(config: ConfigDict, *, patch: int = 0, wanted: Collection[str] = ("train", "val", "eval")) -> Result:
    """Checks those of the wanted splits that the config can open.

    Training images must hold a patch of this side; 0 allows any size. Data in an object store are copied first.
    """
    data = local_data(config.data, scale=config.model.scale, splits=wanted)
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data = data
    if config.data.mixture:
        return _check_mixture(config, patch)
    if config.data.dataset in SID and not config.data.records:
        return _check_raw(config.data.root, [SID[config.data.dataset]])
    if config.data.dataset in ELD and not config.data.records:
        from input_pipeline.check_raw import check_eld  # imports rawpy, which images do not need

        return check_eld(config.data.root, config.data.dataset, bar=progress_bar)
    counts: dict[str, int] = {}
    defects: list[Defect] = []
    for split in (split for split in splits(config.data, scale=config.model.scale) if split in wanted):
        try:
            counts[split], found = _check_split(config, split, patch if split == "train" else 0)
        except MissingData as error:  # of this split; the other can still be checked
            found = [Defect("missing folder", str(error))]
        defects += found
    return counts, defects


def _check_mixture(config: ConfigDict, patch: int) -> Result:
    """Checks the members of data.mixture; with the first one, the photos that all of them share."""
    counts: dict[str, int] = {}
    defects: list[Defect] = []
    evaluated = [] if config.data.eval_root else [member.name for member in eval_members(config.data)]
    for k, member in enumerate(read_members(config.data)):
        own = config.copy_and_resolve_references()
        own.data = member.data
        own.data.photos = "" if k else config.data.photos
        wanted = ("train", "val", "eval") if member.name in evaluated else ("train",)
        found_counts, found = check(own, patch=patch, wanted=wanted)
        counts |= {f"{member.name} {split}": count for split, count in found_counts.items()}
        defects += found
    if config.data.eval_root:
        own = config.copy_and_resolve_references()
        own.data = shared_evaluation(config.data)
        found_counts, found = check(own, wanted=("eval",))
        counts |= found_counts
        defects += found
    return counts, defects


def _check_split(config: ConfigDict, split: str, patch: int) -> tuple[int, list[Defect]]:
    data, scale = config.data, config.model.scale
    if data.records and not (split != "train" and data.eval_root):
        defects = _check_shards(data, split, scale)
        if defects:
            return 0, defects
    source, defects = inspect(data, scale=scale, split=split, decode=True, progress=progress_bar(split))
    small = too_small(source, patch)
    return len(source), defects + [Defect("too small", f"{what}, the patch is {patch}x{patch}") for what in small]


def _check_shards(data: ConfigDict, split: str, scale: int) -> list[Defect]:
    name, part = record_name(data.dataset, scale=scale), record_split(data, split, scale=scale)
    known = split_names(find_records(data.records, name))
    parts = [part for part in (part, f"{part}_reference") if part in known]
    return [
        defect
        for part in parts
        for defect in verify(data.records, name, part, progress=progress_bar(part, unit="shard"))[1]
    ]


def report(counts: dict[str, int], defects: Sequence[Defect], notes: Sequence[str] = ()) -> str:
    """Formats the defects, one per line under a heading for each kind, then the notes and a summary."""
    lines = []
    for kind, meaning in DEFECT_KINDS.items():
        found = [printable(defect.what) for defect in defects if defect.kind == kind]
        if found:
            lines += [f"{kind}: {len(found)} {meaning}", *(f"  {what}" for what in found)]
    lines += [f"note: {printable(note)}" for note in notes]
    usable = ", ".join(f"{split} {count}" for split, count in counts.items()) or "nothing"
    return "\n".join([*lines, f"{len(defects)} defects; usable: {usable}"])


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit status."""
    parser = command_parser("python -m input_pipeline.check", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="config file; any field can be set, as in --config.data.root=DIR")
    what.add_argument("--paired", help="folder with low/ and high/")
    what.add_argument("--raw", help="folder of camera raw files, or of SID")
    parser.add_argument(
        "--scale", type=int, help="with --paired: size of high/ over low/; default: the scale of most pairs"
    )
    options, overrides = parser.parse_known_args(argv)
    try:
        if not options.config and overrides:
            raise UserError(f"unknown arguments: {' '.join(overrides)}")
        with _collect_warnings() as notes:
            counts, defects = _run(options, overrides)
    except UserError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 1
    print(report(counts, defects, notes))
    return 1 if defects else 0


def _run(options: argparse.Namespace, overrides: Sequence[str]) -> Result:
    if options.raw:
        return _check_raw(local_folder(options.raw))
    if options.paired:
        return check(_paired_config(local_folder(options.paired), options.scale))
    config = read_config(options.config, overrides)
    return check(config, patch=_largest_patch(config))


def _check_raw(root: str, cameras: Collection[str] = ()) -> Result:
    from input_pipeline.check_raw import check_raw  # imports rawpy, which images do not need

    return check_raw(root, cameras=cameras, bar=progress_bar)


def _largest_patch(config: ConfigDict) -> int:
    sizes = {"batch_size": config.data.batch_size, "patch_size": config.data.patch_size}
    return max(stage.patch_size for stage in progressive_stages(config.train.stages, steps=config.train.steps, **sizes))


def _paired_config(root: str, scale: int | None) -> ConfigDict:
    config = default_config()
    config.data.root = root
    config.model.scale = scale or _common_scale(root)
    return config


def _common_scale(root: str) -> int:
    """The whole-number size ratio that most pairs have according to their headers; 1 if there is none."""
    ratios: Counter[int] = Counter()
    for pair in find_pairs("paired", root, split="train", scale=1, option="--paired").pairs:
        with contextlib.suppress(BadImage):  # reported by the check itself
            low, reference = read_size(pair.low), read_size(pair.reference)
            scale = reference[0] // low[0]
            ratios[scale] += reference == (low[0] * scale, low[1] * scale)
    scale, count = max(ratios.items(), key=lambda item: item[1], default=(1, 0))
    return scale if count else 1


@contextlib.contextmanager
def _collect_warnings() -> Iterator[list[str]]:
    """Collects log messages of level WARNING and above; decoders' own warnings are dropped, the report covers them."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

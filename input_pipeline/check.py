"""Reads a whole data set and names everything that is wrong with it, by kind; exit status 1 if there is anything.

python -m input_pipeline.check --config configs/NAME.py [--config.data.root=DIR ...]
python -m input_pipeline.check --paired DIR [--scale S]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from configs import base
from input_pipeline.datasets import inspect, splits
from input_pipeline.images import BadImage, read_size
from input_pipeline.layouts import find_pairs
from input_pipeline.listing import KINDS, Defect, MissingData
from input_pipeline.source import too_small
from ultrabm_jax.cli import read_config
from ultrabm_jax.errors import UserError


def check(config: Any, *, patch: int = 0) -> tuple[dict[str, int], list[Defect]]:
    """({split: usable pictures}, every defect) of all splits that the config can open; `patch` 0: any size will do."""
    counts: dict[str, int] = {}
    defects: list[Defect] = []
    for split in splits(config.data):
        try:
            source, found = inspect(config.data, scale=config.model.scale, split=split, decode=True, watch=_bar(split))
        except MissingData as error:  # of one split; the other is still worth reading
            defects.append(Defect("missing folder", str(error)))
            continue
        counts[split] = len(source)
        defects += found
        if split == "train" and patch:
            small = too_small(source, patch)
            defects += [Defect("too small", f"{what}, the patch is {patch}x{patch}") for what in small]
    return counts, defects


def report(counts: dict[str, int], defects: Sequence[Defect]) -> str:
    """One line per defect under a heading with the count of its kind, then a summary."""
    lines = []
    for kind, meaning in KINDS.items():
        these = [defect.what for defect in defects if defect.kind == kind]
        if these:
            lines += [f"{kind}: {len(these)} {meaning}", *(f"  {what}" for what in these)]
    usable = ", ".join(f"{split} {count}" for split, count in counts.items()) or "nothing"
    return "\n".join([*lines, f"{len(defects)} defects; usable: {usable}"])


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m input_pipeline.check", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="config file; any field can be set, as in --config.data.root=DIR")
    what.add_argument("--paired", help="folder with low/ and high/")
    parser.add_argument(
        "--scale", type=int, help="with --paired: size of high/ over low/; default: what most pairs have"
    )
    options, overrides = parser.parse_known_args(argv)
    try:
        if options.config:
            config = read_config(options.config, overrides)
            counts, defects = check(config, patch=_largest_patch(config))
        else:
            counts, defects = check(_paired_config(options.paired, options.scale, overrides))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report(counts, defects))
    return 1 if defects else 0


def _largest_patch(config: Any) -> int:
    from ultrabm_jax.training.schedules import progressive_stages  # imports JAX, which --paired does not need

    sizes = {"batch_size": config.data.batch_size, "patch_size": config.data.patch_size}
    return max(stage.patch_size for stage in progressive_stages(config.train.stages, steps=config.train.steps, **sizes))


def _paired_config(root: str, scale: int | None, overrides: Sequence[str]) -> Any:
    if overrides:
        raise UserError(f"unknown arguments: {' '.join(overrides)}")
    config = base.get_config()
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


def _bar(split: str) -> Any:
    def watch(items: Iterator, count: int) -> Iterable:
        from tqdm import tqdm

        return tqdm(items, total=count, desc=split, unit="picture", disable=None)  # None: off unless a terminal

    return watch


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

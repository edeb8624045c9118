"""Packs a part of a paired data set into one ZIP file, to carry it to a machine without a network.

python -m input_pipeline.pack lol LOL --output lol.zip [--megabytes 60] [--scale 1]

The archive holds the original bytes of the image files under the data set's own layout: all test pairs, then as many
training pairs as fit, in the order of SHA-256 of their names. Unpacked, its folder is a `data.root` of that data set.
Needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from input_pipeline.files.layouts import LAYOUTS, find_pairs
from input_pipeline.files.listing import Pair, raise_on_defects
from ultrabm_jax.cli import command_parser, local_path, run
from ultrabm_jax.errors import UserError

ENTRY_BYTES = 200  # upper bound of what ZIP adds to a file, with its short name twice
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry, so that equal files give equal archives


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m input_pipeline.pack", __doc__)
    flags.add_argument("dataset", choices=LAYOUTS, metavar="DATASET", help=f"one of: {', '.join(LAYOUTS)}")
    flags.add_argument("root", type=local_path, help="folder of the data set")
    flags.add_argument("--output", required=True, type=local_path, help="the ZIP file")
    flags.add_argument("--megabytes", type=float, default=60.0, help="upper bound of its size, 10^6 bytes; default 60")
    flags.add_argument("--scale", type=int, default=1, help="of the pairs, where the layout depends on it")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    args = parser().parse_args(argv)
    pairs = choose_pairs(args.dataset, args.root, scale=args.scale, limit=int(args.megabytes * 1e6))
    try:
        write_zip(args.output, [path for chosen in pairs.values() for path in files_of(chosen)], root=args.root)
    except OSError as error:
        raise UserError(f"{args.output} cannot be written ({error.strerror})") from error
    counts = ", ".join(f"{split} {len(chosen)}" for split, chosen in pairs.items())
    print(f"{args.output}: pairs: {counts}; {args.output.stat().st_size / 1e6:.1f} MB")
    return 0


def choose_pairs(dataset: str, root: Path, *, scale: int, limit: int) -> dict[str, list[Pair]]:
    """The pairs of each split that fit `limit` bytes together. Raises UserError if no training pair does."""
    subsets = LAYOUTS[dataset].subsets
    chosen: dict[str, list[Pair]] = {}
    taken: set[Path] = set()  # a reference may belong to several pairs
    size = 0
    for split in sorted(subsets, key=lambda name: name == "train"):  # training pairs fill what the others leave
        listing = find_pairs(dataset, str(root), split=split, scale=scale, option="root")
        raise_on_defects(listing.defects)
        chosen[split] = []
        for pair in sorted(listing.pairs, key=lambda pair: hashlib.sha256(pair.name.encode()).digest()):
            new = set(files_of([pair])) - taken
            more = sum(path.stat().st_size + ENTRY_BYTES for path in new)
            if size + more > limit:
                break
            chosen[split].append(pair)
            taken |= new
            size += more
        if not chosen[split]:
            raise UserError(f"no pair of {split} fits the limit of {limit / 1e6:g} MB; set a larger --megabytes")
    return chosen


def files_of(pairs: Sequence[Pair]) -> list[Path]:
    """The files of the pairs, each once."""
    return list(dict.fromkeys(path for pair in pairs for path in (pair.low, pair.reference)))


def write_zip(target: Path, files: Sequence[Path], *, root: Path) -> None:
    """Writes `files` uncompressed, under their paths below `root`; images are compressed already."""
    unfinished = target.with_name(f"{target.name}.tmp")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.relative_to(root).as_posix(), EPOCH), path.read_bytes())
    unfinished.replace(target)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))

"""Writes a data set as records, from which crops are read without decoding whole images.

python -m input_pipeline.prepare DATASET[/CONFIG] --data_dir DIR --manual_dir DIR [--processes N] [--overwrite]
python -m input_pipeline.prepare --list

--manual_dir is the downloaded and unpacked data set, --data_dir the folder for the records of all data sets. After a
kill, the same command continues with the missing shards.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from input_pipeline.builders import BUILDERS, builder_class, open_builder
from input_pipeline.object_stores import local_folder
from ultrabm_jax.cli import command_parser, require_local_path, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

if TYPE_CHECKING:
    from input_pipeline.builders.base import RecordBuilder


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m input_pipeline.prepare", __doc__)
    flags.add_argument("dataset", nargs="?", metavar="DATASET[/CONFIG]", help="what to prepare, such as lol/v1")
    flags.add_argument("--data_dir", help="folder of the records")
    flags.add_argument("--manual_dir", help="folder of the data set as downloaded")
    flags.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per CPU core")
    flags.add_argument("--overwrite", action="store_true", help="write everything again, even what is finished")
    flags.add_argument("--list", action="store_true", help="list the data sets and where to get them")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit status."""
    args = parser().parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow starts, here and in the processes
    os.environ["OMP_NUM_THREADS"] = "1"  # a process per core is enough; and see builders/sid.py
    if args.list:
        print("\n\n".join(describe(name) for name in BUILDERS))
        return 0
    missing = [flag for flag in ("dataset", "data_dir") if getattr(args, flag) is None]
    if missing:
        raise UserError(f"missing: {', '.join(missing)}; --help lists the flags, --list the data sets")
    if args.processes < 1:
        raise UserError(f"--processes {args.processes} must be 1 or more")
    require_local_path(args.data_dir, "--data_dir")
    data_dir = Path(args.data_dir)
    manual_dir = None if args.manual_dir is None else Path(local_folder(args.manual_dir))
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--data_dir {data_dir} cannot be made ({error.strerror})") from error
    builder = open_builder(args.dataset, data_dir, manual_dir)
    builder.processes = args.processes
    prepare(builder, overwrite=args.overwrite)
    print(summary(builder, data_dir))
    return 0


def prepare(builder: RecordBuilder, *, overwrite: bool = False) -> None:
    """Writes the missing shards or, with `overwrite`, all shards."""
    import tensorflow_datasets as tfds

    if overwrite:
        builder.remove_staging()
    elif builder.data_path.exists():
        builder.remove_staging()  # left by a kill after the last step
        logger.info(f"{builder.data_dir} exists already; --overwrite writes it again")
        return
    modes = tfds.download.GenerateMode
    mode = modes.REUSE_CACHE_IF_EXISTS if overwrite else modes.REUSE_DATASET_IF_EXISTS
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(download_mode=mode))


def summary(builder: RecordBuilder, data_dir: Path) -> str:
    """Describes the records: counts, size, and the config fields to use them."""
    counts = ", ".join(f"{split} {info.num_examples:,}" for split, info in builder.info.splits.items())
    size = sum(info.num_bytes for info in builder.info.splits.values()) / 2**30
    dataset = "/".join(part for part in (builder.name, builder.builder_config_name) if part)
    fields = f"--config.data.dataset={dataset} --config.data.records={data_dir}"
    return f"{builder.info.full_name}: {counts}; {size:.2f} GiB in {builder.data_dir}\nuse them with {fields}"


def describe(name: str) -> str:
    """Describes a data set: name, configs and instructions."""
    kind = builder_class(name)
    configs = [f"{name}/{config.name}: {config.description}" for config in kind.BUILDER_CONFIGS] or [name]
    instructions = textwrap.indent(textwrap.dedent(kind.MANUAL_DOWNLOAD_INSTRUCTIONS).rstrip(), "    ")
    return "\n".join([*configs, instructions])


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))

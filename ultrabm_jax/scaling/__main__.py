"""Prints Markdown tables of how a config scales: see docs/scaling.md.

python -m ultrabm_jax.scaling footprint --config configs/NAME.py [--config.field=value ...]
python -m ultrabm_jax.scaling compile   --config configs/NAME.py --devices 8 64 512 [--batch 1] [--patch 64]
python -m ultrabm_jax.scaling compile   --config NAME ... --target tpu:v5e:16x16 tpu:v5p:4x4x4 gpu:h100:8 cpu:8
                                        [--program train restore sample] [--largest-batch] [--json FILE] [--hlo DIR]
                                        [--without-code]
python -m ultrabm_jax.scaling memory    --config configs/NAME.py [--batch 8] [--patch 64] [--dry]
python -m ultrabm_jax.scaling predict   --config configs/NAME.py [--batch 1] [--patch 128] [--target ...] [--json FILE]

Nothing is trained and no weight file is read. `compile` starts one process per device count, with virtual CPU devices,
or per program and target, with the compiler of the target's chip. `predict` reads the rows of --json and compiles the
missing ones. --config all stands for every file of configs/.
--batch is the number of examples on each device, --patch the side of the low-resolution patch in pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_collections import ConfigDict

from ultrabm_jax import cli
from ultrabm_jax.config_files import config_names
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling import ahead, ahead_tables, tables
from ultrabm_jax.scaling.tables import Options

COMMANDS: dict[str, Callable[[ConfigDict, Options], None]] = {
    "footprint": tables.footprint,
    "compile": tables.compiled,
    "memory": tables.memory,
}
PREDICTED_TARGETS = ["gpu:h100:8", "tpu:v5e:2x2", "tpu:v5p:2x2x1"]  # of `predict` without --target


def main(argv: list[str]) -> None:
    """Runs one of `COMMANDS`, or `compile_for_targets`."""
    parser = argparse.ArgumentParser(
        prog="python -m ultrabm_jax.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=(*COMMANDS, "predict"))
    parser.add_argument("--config", required=True, nargs="+")
    parser.add_argument("--devices", type=at_least_1, nargs="+", default=[8, 64, 512], help="compile: device counts")
    parser.add_argument("--target", nargs="+", default=[], help="compile: chips, for example tpu:v5e:2x2 gpu:h100:1")
    parser.add_argument("--program", nargs="+", choices=ahead.PROGRAMS, default=["train"], help="compile --target")
    parser.add_argument("--size", type=at_least_1, nargs=2, help="compile --target: height and width of the low image")
    parser.add_argument("--largest-batch", action="store_true", help="compile --target: find the batch that fits")
    parser.add_argument("--json", type=Path, help="with --target: file of JSON lines; its rows are not repeated")
    parser.add_argument("--hlo", type=Path, help="with --target: folder for the text of the compiled programs")
    parser.add_argument("--timeout", type=float, help="with --target: seconds for one program")
    parser.add_argument(
        "--without-code", action="store_true", help="with --target: no machine code for TPUs, minutes less"
    )
    parser.add_argument("--batch", type=at_least_1, help="examples on each device")
    parser.add_argument("--patch", type=at_least_1, help="side of the low patch in pixels")
    parser.add_argument("--phase", type=int, default=-1, help="index of the method's training phase; default: the last")
    parser.add_argument("--here", action="store_true", help="compile: one line of JSON for this process's devices")
    parser.add_argument("--dry", action="store_true", help="memory: compile nothing, print the residuals only")
    given, overrides = parser.parse_known_args(argv)
    if given.json and given.phase != -1:
        raise UserError("the rows of --json are those of the last phase; leave out --phase or --json")
    if given.command == "predict":
        predict_for_targets(given, tuple(overrides))
        return
    if given.target:
        if given.command != "compile":
            raise UserError("--target belongs to the commands compile and predict")
        compile_for_targets(given, tuple(overrides))
        return
    if len(given.config) > 1:
        raise UserError("several configs are only accepted with --target")
    config = read_config(given.config[0], overrides)
    options = Options(
        argv=argv,
        devices=given.devices,
        batch=given.batch,
        patch=given.patch or config.data.patch_size,
        phase=given.phase,
        here=given.here,
        dry=given.dry,
    )
    COMMANDS[given.command](config, options)


def at_least_1(text: str) -> int:
    """A number of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, not {text!r}")
    return int(text)


def compile_for_targets(given: argparse.Namespace, overrides: tuple[str, ...]) -> None:
    """Prints one row for each config, program and target."""
    wanted = _cases(given, overrides, programs=given.program, targets=given.target)
    if given.here:
        (case,) = wanted
        known, code = ahead.read_rows(given.json), not given.without_code
        print(
            json.dumps(ahead.compile_case(case, phase=given.phase, known=known, hlo=given.hlo, code=code)), flush=True
        )
        if given.without_code:
            os._exit(0)  # libtpu is still compiling
        return
    tables.print_row(ahead_tables.HEADER)
    tables.print_row(["---"] * len(ahead_tables.HEADER))
    for case in wanted:
        tables.print_row(ahead_tables.cells(_obtain(case, given)))
        if given.largest_batch:
            batch = ahead.largest_fitting(case, phase=given.phase, code=not given.without_code)
            print(f"largest batch of {case.config} {case.program} per device of {case.target}: {batch}", flush=True)


def predict_for_targets(given: argparse.Namespace, overrides: tuple[str, ...]) -> None:
    """Prints the bounds of the step and the weak-scaling efficiency on each chip, from the compiled step.

    Raises UserError for a mesh that splits more than the batch.
    """
    for name in given.config:
        mesh = read_config(name, overrides).mesh
        if (mesh.fsdp, mesh.spatial) != (1, 1):
            raise UserError(f"{name}: predict models data parallelism only; set mesh.fsdp=1 and mesh.spatial=1")
    for case in _cases(given, overrides, programs=["train"], targets=given.target or PREDICTED_TARGETS):
        print(f"\n{case.config}, {case.batch} of {case.size[0]} per chip, compiled for {case.target}\n")
        rows = list(ahead_tables.predicted(_obtain(case, given)))
        for row in (ahead_tables.PREDICTED, ["---"] * len(ahead_tables.PREDICTED), *rows):
            tables.print_row(row)


def _cases(
    given: argparse.Namespace, overrides: tuple[str, ...], *, programs: list[str], targets: list[str]
) -> Iterator[ahead.Case]:
    size = (given.patch, given.patch) if given.patch else given.size and tuple(given.size)
    configs = config_names() if given.config == ["all"] else given.config
    return ahead.cases(configs, programs, targets, batch=given.batch, size=size, overrides=overrides)


def _obtain(case: ahead.Case, given: argparse.Namespace) -> ahead.Row:
    code = not given.without_code
    return ahead.obtain(case, phase=given.phase, file=given.json, timeout=given.timeout, hlo=given.hlo, code=code)


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(sys.argv[1:])))

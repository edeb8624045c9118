"""Prints Markdown tables of how a config scales: see docs/scaling.md.

python -m ultrabm_jax.scaling footprint --config configs/NAME.py [--config.field=value ...]
python -m ultrabm_jax.scaling compile   --config configs/NAME.py --devices 8 64 512 [--batch 1] [--patch 64]
python -m ultrabm_jax.scaling compile   --config NAME ... --target tpu:v5e:16x16 tpu:v5p:4x4x4 gpu:h100:8 cpu:8
                                        [--program train restore sample] [--largest-batch] [--json FILE] [--hlo DIR]
python -m ultrabm_jax.scaling memory    --config configs/NAME.py [--batch 8] [--patch 64] [--dry]
python -m ultrabm_jax.scaling predict   --config configs/NAME.py [--batch 8] [--patch 128]

Nothing is trained and no weight file is read. `compile` starts one process per device count, with virtual CPU devices,
or per program and target, with the compiler of the target's chip. --config all stands for every file of configs/.
--batch is the number of examples on each device, --patch the side of the low-resolution patch in pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from ultrabm_jax import cli
from ultrabm_jax.config_files import config_names
from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling import ahead, tables
from ultrabm_jax.scaling.tables import Options

COMMANDS: dict[str, Callable[[ConfigDict, Options], None]] = {
    "footprint": tables.footprint,
    "compile": tables.compiled,
    "memory": tables.memory,
    "predict": tables.predicted,
}


def main(argv: list[str]) -> None:
    """Runs one of `COMMANDS`, or `compile_for_targets`."""
    parser = argparse.ArgumentParser(
        prog="python -m ultrabm_jax.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--config", required=True, nargs="+")
    parser.add_argument("--devices", type=int, nargs="+", default=[8, 64, 512], help="compile: device counts")
    parser.add_argument("--target", nargs="+", default=[], help="compile: chips, for example tpu:v5e:2x2 gpu:h100:1")
    parser.add_argument("--program", nargs="+", choices=ahead.PROGRAMS, default=["train"], help="compile --target")
    parser.add_argument("--size", type=int, nargs=2, help="compile --target: height and width of the low image")
    parser.add_argument("--largest-batch", action="store_true", help="compile --target: find the batch that fits")
    parser.add_argument("--json", type=Path, help="compile --target: file of JSON lines; its rows are not repeated")
    parser.add_argument("--hlo", type=Path, help="compile --target: folder for the text of the compiled programs")
    parser.add_argument("--timeout", type=float, help="compile --target: seconds for one program")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--patch", type=int, default=None)
    parser.add_argument("--phase", type=int, default=-1, help="index of the method's training phase; default: the last")
    parser.add_argument("--here", action="store_true", help="compile: one line of JSON for this process's devices")
    parser.add_argument("--dry", action="store_true", help="memory: compile nothing, print the residuals only")
    given, overrides = parser.parse_known_args(argv)
    if given.target:
        if given.command != "compile":
            raise UserError("--target belongs to the command compile")
        compile_for_targets(given, tuple(overrides))
        return
    if len(given.config) > 1:
        raise UserError("several configs are only accepted with --target")
    config = cli.read_config(given.config[0], overrides)
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


def compile_for_targets(given: argparse.Namespace, overrides: tuple[str, ...]) -> None:
    """Prints one row for each config, program and target."""
    size = (given.patch, given.patch) if given.patch else given.size and tuple(given.size)
    configs = config_names() if given.config == ["all"] else given.config
    wanted = ahead.cases(configs, given.program, given.target, batch=given.batch, size=size, overrides=overrides)
    if given.here:
        (case,) = wanted
        print(json.dumps(ahead.compile_case(case, phase=given.phase, known=ahead.read_rows(given.json), hlo=given.hlo)))
        return
    known = ahead.read_rows(given.json)
    tables.print_row(ahead.HEADER)
    tables.print_row(["---"] * len(ahead.HEADER))
    for case in wanted:
        row = next((row for row in known if ahead.is_case(row, case)), None)
        if row is None:
            row = ahead.compile_in_process(
                case, phase=given.phase, timeout=given.timeout, rows=given.json, hlo=given.hlo
            )
            if given.json:
                with given.json.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        tables.print_row(ahead.cells(row))
        if given.largest_batch:
            batch = ahead.largest_fitting(case, phase=given.phase)
            print(f"largest batch of {case.config} {case.program} per device of {case.target}: {batch}", flush=True)


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(sys.argv[1:])))

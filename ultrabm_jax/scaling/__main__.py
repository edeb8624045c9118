"""Prints Markdown tables of how a config scales: see docs/scaling.md.

python -m ultrabm_jax.scaling footprint --config configs/NAME.py [--config.field=value ...]
python -m ultrabm_jax.scaling compile   --config configs/NAME.py --devices 8 64 512 [--batch 1] [--patch 64]
python -m ultrabm_jax.scaling memory    --config configs/NAME.py [--batch 8] [--patch 64] [--dry]
python -m ultrabm_jax.scaling predict   --config configs/NAME.py [--batch 8] [--patch 128]

Nothing is trained and no weight file is read. `compile` starts one process with virtual CPU devices per device count.
--batch is the number of examples on each device, --patch the side of the low-resolution patch in pixels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ml_collections import ConfigDict

from ultrabm_jax import cli
from ultrabm_jax.scaling import tables
from ultrabm_jax.scaling.tables import Options

COMMANDS: dict[str, Callable[[ConfigDict, Options], None]] = {
    "footprint": tables.footprint,
    "compile": tables.compiled,
    "memory": tables.memory,
    "predict": tables.predicted,
}


def main(argv: list[str]) -> None:
    """Runs one of `COMMANDS`."""
    parser = argparse.ArgumentParser(
        prog="python -m ultrabm_jax.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--config", required=True)
    parser.add_argument("--devices", type=int, nargs="+", default=[8, 64, 512], help="compile: device counts")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--patch", type=int, default=None)
    parser.add_argument("--phase", type=int, default=-1, help="index of the method's training phase; default: the last")
    parser.add_argument("--here", action="store_true", help="compile: one line of JSON for this process's devices")
    parser.add_argument("--dry", action="store_true", help="memory: compile nothing, print the residuals only")
    given, overrides = parser.parse_known_args(argv)
    config = cli.read_config(given.config, overrides)
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


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(sys.argv[1:])))

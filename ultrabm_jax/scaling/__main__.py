"""Prints Markdown tables of how a config scales: see docs/scaling.md.

python -m ultrabm_jax.scaling footprint --config configs/NAME.py [--config.field=value ...]
python -m ultrabm_jax.scaling compile   --config configs/NAME.py --devices 8 64 512 [--batch 1] [--patch 64]
python -m ultrabm_jax.scaling memory    --config configs/NAME.py [--batch 8] [--patch 64] [--dry]
python -m ultrabm_jax.scaling predict   --config configs/NAME.py [--batch 8] [--patch 128]

Nothing is trained and no weight file is read; `compile` starts a process with virtual CPU devices for each number.
--batch is the number of examples on each device, --patch the side of the low-resolution patch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from ultrabm_jax import cli
from ultrabm_jax.scaling import tables

COMMANDS: dict[str, Callable[..., None]] = {
    "footprint": tables.footprint,
    "compile": tables.compiled,
    "memory": tables.memory,
    "predict": tables.predicted,
}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--config", required=True)
    parser.add_argument("--devices", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--patch", type=int, default=None)
    parser.add_argument("--phase", type=int, default=-1, help="of a method with several, in order")
    parser.add_argument("--here", action="store_true", help="compile: a line of JSON for this process's devices")
    parser.add_argument("--dry", action="store_true", help="memory: compile nothing, print only what a pass keeps")
    options, overrides = parser.parse_known_args(argv)
    config: ConfigDict = cli.read_config(options.config, overrides)
    del options.config
    settings: dict[str, Any] = vars(options)
    COMMANDS[settings.pop("command")](config, argv=argv, **settings)


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main(sys.argv[1:])))

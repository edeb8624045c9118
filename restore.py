"""Restores photos and camera raw files: `python restore.py night.jpg` (docs/restore.md)."""

import sys

from ultrabm_jax import cli
from ultrabm_jax.commands.restore import main

if __name__ == "__main__":
    sys.exit(cli.run(main))

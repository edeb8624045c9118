"""Restores photos and camera raw files: `python restore.py night.jpg` (docs/restore.md)."""

import sys

from ultrabm_jax.collector import pause_collector

if __name__ == "__main__":
    pause_collector()
    from ultrabm_jax import cli
    from ultrabm_jax.commands.restore import main

    sys.exit(cli.run(main))

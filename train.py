"""Trains a model: `python train.py --config configs/NAME.py --workdir DIR [--config.field=value ...]`.

The same command goes on where an earlier one stopped.
"""

from __future__ import annotations

import sys

from absl import app, flags
from ml_collections import config_flags

from ultrabm_jax import cli

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for checkpoints and logs.")


def main(argv: list[str]) -> int:
    """Exit status 0, or 1 with one line for an error that a person can mend."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")

    def body() -> None:
        from ultrabm_jax.training import train_and_evaluate

        cli.enable_compilation_cache()
        train_and_evaluate(_CONFIG.value, _WORKDIR.value or "")

    return cli.run(body)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    sys.exit(app.run(main))

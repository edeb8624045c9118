"""Trains a model: `python train.py --config configs/NAME.py --workdir DIR [--config.field=value ...]`.

The same command resumes from the last checkpoint, and so does `python train.py --workdir DIR`, with the config of the
run. On several hosts, start it once on each: docs/scaling.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from absl import flags

from ultrabm_jax import cli

RUN_CONFIG = str(Path(__file__).with_name("run_config.py"))


def main(_: Sequence[str] | None = None) -> NoReturn:
    """Trains to the config's last step, with the flags of `sys.argv`, and exits the process."""
    config = cli.define_config()
    workdir = flags.DEFINE_string("workdir", "", "Folder for checkpoints and logs.")

    def train() -> None:
        from ultrabm_jax.training import train_and_evaluate  # slow to import; a wrong flag is reported first
        from ultrabm_jax.training.distributed import initialize_distributed

        initialize_distributed(config.value.distributed)
        cli.require_devices()
        train_and_evaluate(config.value, workdir.value)

    cli.start(train, required=("config", "workdir"), description=__doc__, run_config=RUN_CONFIG)

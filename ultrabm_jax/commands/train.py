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
from ultrabm_jax.buckets import open_path
from ultrabm_jax.config_flags import define_config, run_with_flags
from ultrabm_jax.logging import logger

RUN_CONFIG = str(Path(__file__).with_name("run_config.py"))


def main(_: Sequence[str] | None = None) -> NoReturn:
    """Trains to the config's last step, with the flags of `sys.argv`, and exits the process."""
    config = define_config()
    workdir = flags.DEFINE_string("workdir", "", "Folder for checkpoints and logs, or gs://BUCKET/RUN.")
    platform = flags.DEFINE_enum(
        "platform", "", ["", "cpu", "gpu", "tpu"], "Ends with an error if JAX computes on another platform."
    )
    overlap = flags.DEFINE_bool(
        "overlap", False, "Sets and prints XLA's options to overlap communication with computation; with --platform."
    )

    def train() -> None:
        open_path(workdir.value)
        from ultrabm_jax.training import train_and_evaluate  # slow to import; wrong flags are reported first
        from ultrabm_jax.training.devices import check_platform, describe_devices, set_overlap_options
        from ultrabm_jax.training.distributed import initialize_distributed, log_on_main_process

        if overlap.value:
            set_overlap_options(platform.value)
        initialize_distributed(config.value.distributed)
        cli.require_devices()
        with log_on_main_process():
            logger.info(describe_devices())
            check_platform(platform.value)
        train_and_evaluate(config.value, workdir.value)

    run_with_flags(train, required=("config", "workdir"), description=__doc__, run_config=RUN_CONFIG)

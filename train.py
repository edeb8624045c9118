"""Trains a model: `python train.py --config configs/NAME.py --workdir DIR [--config.field=value ...]`.

The same command resumes from the last checkpoint. On several hosts, start it once on each: docs/scaling.md.
"""

from __future__ import annotations

from absl import flags

from ultrabm_jax import cli

_CONFIG = cli.define_config()
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder for checkpoints and logs.")


def main() -> None:
    """Trains to the config's last step."""
    from ultrabm_jax.training import train_and_evaluate  # slow to import; a wrong flag is reported first
    from ultrabm_jax.training.distributed import initialize_distributed

    initialize_distributed(_CONFIG.value.distributed)
    cli.require_devices()
    train_and_evaluate(_CONFIG.value, _WORKDIR.value)


if __name__ == "__main__":
    cli.start(main, required=("config", "workdir"))

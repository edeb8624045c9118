"""Trains a model: `python train.py --config configs/NAME.py --workdir DIR [--config.field=value ...]`."""

from ultrabm_jax.commands.train import main

if __name__ == "__main__":
    main()

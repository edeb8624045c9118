"""Trains a model: `python train.py --config configs/NAME.py --workdir DIR [--config.field=value ...]`."""

from ultrabm_jax.huge_pages import restart_with_huge_pages

if __name__ == "__main__":
    restart_with_huge_pages()
    from ultrabm_jax.commands.train import main

    main()

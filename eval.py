"""Evaluates a training run: `python eval.py --workdir DIR [--output DIR]`."""

from ultrabm_jax.commands.evaluate import main

if __name__ == "__main__":
    main()

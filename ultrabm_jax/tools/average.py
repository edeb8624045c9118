"""Averages the parameters of models of the same network, such as a model and its fine-tuned version.

python -m ultrabm_jax.tools.average MODEL MODEL... --output FILE.safetensors [--weights 0.5 0.5]
                                 [--checkpoint best]

A MODEL is a name of `ultrabm-jax models` or the workdir of a training run. The average of a model and of the same model
after further training on other data often keeps what both have learned (Wortsman et al., "Robust fine-tuning of
zero-shot models", CVPR 2022); models that were trained from different random parameters cannot be averaged.
The file is a starting point for a run: train.py --config.train.init_from=FILE.safetensors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from ultrabm_jax.cli import command_parser, local_path, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.export.source import open_source
from ultrabm_jax.inference.pretrained import to_arrays
from ultrabm_jax.logging import logger
from ultrabm_jax.storage.safetensors_file import save_safetensors
from ultrabm_jax.typing import StateDict


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m ultrabm_jax.tools.average", __doc__)
    flags.add_argument("models", nargs="+", metavar="MODEL", help="name of a model, or folder of a training run")
    flags.add_argument("--output", required=True, type=local_path, help="safetensors file to write")
    flags.add_argument("--weights", type=float, nargs="+", help="of the models (default: equal); divided by their sum")
    flags.add_argument("--checkpoint", default="best", help="of runs: best, latest or a step (default: best)")
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    args = parser().parse_args(argv)
    if len(args.models) < 2:
        raise UserError("give two or more models")
    weights = [1.0] * len(args.models) if args.weights is None else args.weights
    if len(weights) != len(args.models) or min(weights) < 0 or sum(weights) <= 0:
        raise UserError(f"--weights: one number of at least 0 for each of the {len(args.models)} models, not all 0")
    arrays = [to_arrays(open_source(name, checkpoint=args.checkpoint).variables) for name in args.models]
    save_safetensors(args.output, average(arrays, names=args.models, weights=weights))
    logger.info("wrote %s", args.output)
    return 0


def average(arrays: Sequence[StateDict], *, names: Sequence[str], weights: Sequence[float]) -> StateDict:
    """The weighted mean of each array, float32; raises UserError if names or shapes differ."""
    shapes = [{name: array.shape for name, array in each.items()} for each in arrays]
    for other, name in zip(shapes[1:], names[1:], strict=True):
        if different := sorted(key for key in shapes[0] | other if shapes[0].get(key) != other.get(key)):
            raise UserError(
                f"{name} and {names[0]} are different networks: {different[0]} and {len(different) - 1} more"
            )
    result = {}
    for key in arrays[0]:
        mean = np.average([np.asarray(each[key], np.float64) for each in arrays], axis=0, weights=weights)
        result[key] = mean.astype(np.float32)
    return result


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))

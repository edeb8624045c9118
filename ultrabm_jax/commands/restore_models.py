"""The model that the flags of `restore` name: --model, --weights, --workdir, --scale, or the default for photos."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger
from ultrabm_jax.pretrained import DEFAULT_MODEL, ENLARGING_MODELS, list_pretrained

if TYPE_CHECKING:
    import numpy as np

    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables


def photo_model(args: argparse.Namespace) -> str:
    """The default model for photos at `--scale`."""
    return ENLARGING_MODELS.get(args.scale, DEFAULT_MODEL)


def check_scale(args: argparse.Namespace) -> None:
    """Raises UserError if no default model has the `--scale` that is given without a model, or if a formula has not."""
    if args.scale in (None, 1) or args.weights is not None:
        return
    if args.model is None and args.workdir is None and args.scale not in ENLARGING_MODELS:
        scales = " or ".join(map(str, (1, *ENLARGING_MODELS)))
        raise UserError(
            f"--scale {args.scale}: photos are restored at scale {scales}; "
            "another scale needs --model NETWORK --weights FILE, or --workdir"
        )
    if find_formula(args):
        require_scale(args, 1)


def check_weights(args: argparse.Namespace) -> None:
    """Raises UserError for `--weights` without its network, and for its flags without it, which would be ignored."""
    if args.weights is not None and args.model is None:
        raise UserError("--weights needs --model, the network that the file is of")
    if args.weights is None and (args.option or args.weights_key is not None):
        own = "a workdir has --checkpoint" if args.workdir is not None else "a pretrained model has its own options"
        raise UserError(f"--option and --weights-key go with --weights; {own}")


def require_scale(args: argparse.Namespace, scale: int) -> None:
    """Raises UserError if `--scale` is given and is not the scale of the model that the flags name."""
    if args.scale not in (None, scale):
        name = args.model or args.workdir
        default = "; without --model, photos are enlarged by 2" if args.scale in ENLARGING_MODELS else ""
        raise UserError(f"--scale {args.scale}: {name} has scale {scale}{default}")


def find_formula(args: argparse.Namespace) -> Callable[[np.ndarray], np.ndarray] | None:
    """The formula that --model names, such as gamma."""
    from ultrabm_jax.inference.named import FORMULAS

    return FORMULAS.get(args.model) if args.weights is None else None


def load(args: argparse.Namespace) -> tuple[Task, Variables]:
    """The network that the flags name, and its variables."""
    if args.workdir is not None:
        from ultrabm_jax.inference.runs import load_trained

        run = load_trained(args.workdir, args.checkpoint)
        require_scale(args, run.task.scale)
        return run.task, run.variables
    from ultrabm_jax.weights import IMPORTERS, from_torch, load_torch, release_options

    if args.weights is None:
        from ultrabm_jax.inference.named import is_named, known_models

        if args.model in IMPORTERS and not is_named(args.model):
            raise UserError(f"--model {args.model} needs --weights FILE.pth; {known_models(args.model)}")
        task, variables = load_by_name(args.model)
        require_scale(args, task.scale)
        return task, variables
    from ultrabm_jax.models import create_task

    given = dict(option(text) for text in args.option)
    scale = {} if args.scale is None else {"scale": args.scale}
    options = {"scale": 2, **release_options(args.model), **scale, **given}
    state_dict = load_torch(args.weights, key=args.weights_key)
    return create_task(args.model, **options), from_torch(args.model, state_dict, **options)


def load_by_name(name: str) -> tuple[Task, Variables]:
    """The network of a model that `--model` knows by name, and its variables."""
    from ultrabm_jax.inference.named import load_named

    if name == DEFAULT_MODEL and name not in list_pretrained():
        raise UserError(f"this version does not contain the default model {name}; choose one of --list-models")
    return load_named(name)


def load_for_videos(args: argparse.Namespace, videos: int) -> tuple[Task, Variables]:
    """The network that the flags name, or the default one for photos, and its variables."""
    if args.model is not None or args.workdir is not None:
        return load(args)
    logger.info(f"{videos} video{'s' if videos > 1 else ''}: model {photo_model(args)}")
    return load_by_name(photo_model(args))


def option(text: str) -> tuple[str, object]:
    """Parses `key=value`; a value that is not a Python literal is kept as a string."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UserError(f"--option takes KEY=VALUE, not {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value

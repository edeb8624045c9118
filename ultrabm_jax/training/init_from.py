"""Parameters that a new run starts from (train.init_from): those of another run, of a file, or of a bundled model.

Arrays are taken by name and shape, so a run can start from a network of another scale, width or variant; the others
keep their random initialisation. Optimiser, moving average, schedule and step are those of a new run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.logging import logger
from ultrabm_jax.models import task_from_config
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.pretrained import known_pretrained, list_pretrained, pretrained_weights
from ultrabm_jax.storage.state_dict import IncompatibleWeights
from ultrabm_jax.training.load_run import load_run
from ultrabm_jax.training.sharding import distribute
from ultrabm_jax.typing import PyTree, StateDict
from ultrabm_jax.weights import IMPORTERS, from_torch, load_torch

Arrays = Mapping[str, jax.Array | np.ndarray]  # by path, such as "reg/conv_in/kernel"
MAX_NAMES = 3  # listed in a line of the log


class Initial(NamedTuple):
    """Arrays to start from, and where they are from."""

    origin: str
    params: Arrays
    frozen: Arrays


def initialise(state: TrainState, shardings: TrainState, config: ConfigDict) -> TrainState:
    """`state` with the parameters of train.init_from, which must be set; logs what is taken, new and not used.

    Raises UserError if there is no such run or file, or if nothing of it fits the model.
    """
    initial = read_initial(str(config.train.init_from), config)
    own = _flatten(state.params)
    taken = {name: array for name, array in initial.params.items() if name in own and array.shape == own[name].shape}
    if not taken:
        raise UserError(
            f"train.init_from: no array of {initial.origin} has a name and shape of {config.model.name} "
            f"x{config.model.scale}: it has {_names(initial.params)}; the model has {_names(own)}"
        )
    logger.info("train.init_from: taken from %s: %s", initial.origin, _count(taken))
    for what, arrays in (("new", own), ("not used", initial.params)):
        if rest := {name: array for name, array in arrays.items() if name not in taken}:
            logger.info("train.init_from: %s: %s", what, _count(rest))
    state = state.replace(params=_replaced(state.params, taken, shardings.params))
    if state.ema is not None:  # built separately: a step donates both
        state = state.replace(ema=_replaced(state.ema, taken, shardings.ema))
    if initial.frozen and "model" in state.frozen:
        state = state.replace(frozen=_with_frozen(state.frozen, initial.frozen, shardings.frozen))
    return state


def read_initial(source: str, config: ConfigDict) -> Initial:
    """The arrays of a run's workdir, of a file of the config's model, or of a bundled model."""
    if url_scheme(source) is not None:
        return _read_run(source)
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_run(path)
    if path.exists():
        return _read_file(path, config)
    if source in list_pretrained():
        return _read_file(pretrained_weights(source), config)
    raise UserError(
        f"train.init_from={printable(source)} is neither a workdir nor a file nor a pretrained model; "
        f"{known_pretrained()}"
    )


def _read_run(workdir: str | Path) -> Initial:
    """The best checkpoint of a run, or the newest if none was evaluated: its moving average if it has one."""
    run = load_run(workdir, best=True, or_newest=True)
    origin = f"{workdir}, step {run.step} ({run.reason})"
    return Initial(origin, _flatten(run.variables["params"]), _flatten(run.variables.get("frozen", {})))


def _read_file(path: Path, config: ConfigDict) -> Initial:
    """Weights with the names of the parameters, separated by "/", or with those of the model's authors."""
    state_dict = load_torch(path)
    if any("/" in name for name in state_dict):
        params = {name.removeprefix("params/"): array for name, array in state_dict.items()}
        frozen = {name: params.pop(name) for name in list(params) if name.startswith("frozen/")}
        return Initial(str(path), params, {name.removeprefix("frozen/"): array for name, array in frozen.items()})
    if config.model.name not in IMPORTERS:
        raise UserError(
            f"train.init_from: {printable(path)} has names such as {printable(next(iter(state_dict)))}; a file for "
            f"{config.model.name} has the names of its parameters, separated by '/'"
        )
    variables = _imported(state_dict, config)
    return Initial(str(path), _flatten(variables["params"]), _flatten(variables.get("frozen", {})))


def _imported(state_dict: StateDict, config: ConfigDict) -> PyTree:
    """The variables of the config's model or, if the file holds another variant, of the one that was released."""
    options = dict(task_from_config(config).model_options(config.model.to_dict()))
    options.pop("scale", None)
    try:
        return from_torch(config.model.name, state_dict, **options)
    except IncompatibleWeights:
        return from_torch(config.model.name, state_dict)


def _replaced(tree: PyTree, arrays: Arrays, shardings: PyTree) -> PyTree:
    """`tree` with the leaves named in `arrays` replaced, in the dtypes and shardings of the leaves."""
    places = _flatten(shardings)
    leaves = {
        name: distribute(np.asarray(arrays[name], leaf.dtype), places[name]) if name in arrays else leaf
        for name, leaf in _flatten(tree).items()
    }
    return unflatten_dict(leaves, sep="/")


def _with_frozen(frozen: PyTree, arrays: Arrays, shardings: PyTree) -> PyTree:
    """`frozen` with the extractor that the parameters were trained with, if it has the same shapes."""
    own = _flatten(frozen["model"])
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != {name: leaf.shape for name, leaf in own.items()}:
        logger.info("train.init_from: the semantic extractor is another one: not taken")
        return frozen
    return {**frozen, "model": _replaced(frozen["model"], arrays, shardings["model"])}


def _flatten(tree: PyTree) -> dict[str, PyTree]:
    return {str(name): leaf for name, leaf in flatten_dict(tree, sep="/").items()}


def _count(arrays: Arrays) -> str:
    values = sum(int(np.prod(array.shape)) for array in arrays.values())
    return f"{len(arrays)} arrays, {values:,} parameters ({_names(arrays)})"


def _names(names: Collection[str]) -> str:
    listed = ", ".join(printable(name) for name in list(names)[:MAX_NAMES])
    return listed + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")

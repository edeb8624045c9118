"""Loads a bundled model (ultrabm_jax/pretrained) as the run that it was made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ultrabm_jax.deprecation import SavedConfig
from ultrabm_jax.errors import UserError
from ultrabm_jax.models import task_from_config
from ultrabm_jax.pretrained import METADATA, pretrained_weights
from ultrabm_jax.storage.safetensors_file import read_safetensors
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.training.run import Run
from ultrabm_jax.training.tree_shapes import describe_mismatch
from ultrabm_jax.training.workdir import parse_run_config
from ultrabm_jax.typing import StateDict, Variables

SEPARATOR = "/"  # between the parts of an array's path
FINGERPRINT = "fingerprint"  # field of NAME.json: that of files which fit each other
REMEDY = "install the package again"


def load_pretrained_run(name: str) -> Run:
    """The bundled model of this name. Raises UserError for an unknown name, listing the known ones."""
    return load_bundle(pretrained_weights(name))


def load_bundle(weights: Path, *, compare: bool = False) -> Run:
    """The model of NAME.safetensors and of NAME.json beside it.

    Raises UserError if one of the files is missing, damaged or changed, or if the arrays are not those of the config's
    model. They were compared when the files were written, and the fingerprint shows that these are still the same;
    comparing traces the model's initialisation, which takes a fifth of the time of restoring a small photo.

    compare: compare them again.
    """
    path = weights.with_suffix(METADATA)
    try:
        text = path.read_text(encoding="utf-8")
        variables = to_variables(read_safetensors(weights))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; {REMEDY}") from error
    config = parse_run_config(text, path, remedy=REMEDY)
    try:
        metadata: dict[str, Any] = json.loads(text)  # Any: parsed JSON
        step, selection = int(metadata["step"]), metadata["selection"]
        reason, evaluated = str(selection["reason"]), EvaluationSet(**selection["evaluation_set"])
        checked = metadata.get(FINGERPRINT)
        is_checked = checked == fingerprint(weights, metadata["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error!r}; {REMEDY}") from error
    task = task_from_config(config)
    if compare or not is_checked:
        expected = jax.eval_shape(task.model.init, jax.random.key(0), task.example_input())
        kept = {name: expected[name] for name in ("params", "frozen") if name in expected}
        if mismatch := describe_mismatch(variables, kept):
            raise UserError(f"{weights} does not fit the model of {path.name}: {mismatch}")
        if checked is not None and not is_checked:
            raise UserError(f"{weights} or {path.name} was changed after it was written; {REMEDY}")
    return Run(config, task, jax.device_put(variables), step, reason, evaluated)


def fingerprint(weights: Path, config: SavedConfig) -> str:
    """Identifies the content of NAME.safetensors together with "config" of NAME.json."""
    content = hashlib.sha256(weights.read_bytes())
    content.update(json.dumps(config, sort_keys=True).encode())
    return content.hexdigest()


def to_arrays(variables: Variables) -> StateDict:
    """Variables -> {path: array}, the content of NAME.safetensors."""
    return {str(name): jax.device_get(leaf) for name, leaf in flatten_dict(variables, sep=SEPARATOR).items()}


def to_variables(arrays: StateDict) -> Variables:
    """The inverse of `to_arrays`; float16 arrays become float32."""
    wide = {name: x.astype(np.float32) if x.dtype == np.float16 else x for name, x in arrays.items()}
    return unflatten_dict(wide, sep=SEPARATOR)

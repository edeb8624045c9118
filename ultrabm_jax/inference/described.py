"""Weight files with a description beside them: FILE.safetensors or FILE.pth, and FILE.json.

The description names the network and all its options, so that `load_pretrained("FILE.safetensors")` and
`restore.py --model FILE.safetensors` need nothing else:

    {"model": "sci", "options": {...}, "names": "release", "licence": "...", "source": "..."}

names: "release": tensors have the names and axes of the authors' file, as `to_torch` writes them. "flax": arrays have
our paths, "params/.../kernel", and our axes; so do those of networks without an exporter.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.pretrained import to_arrays, to_variables
from ultrabm_jax.models import create_task
from ultrabm_jax.models.task import Task
from ultrabm_jax.storage.load import load_torch
from ultrabm_jax.training.tree_shapes import describe_mismatch
from ultrabm_jax.typing import Options, StateDict, Variables
from ultrabm_jax.weights import EXPORTERS, from_torch, save_safetensors, save_torch, to_torch

DESCRIPTION = ".json"
WRITERS: dict[str, Callable[[Path, StateDict], None]] = {".safetensors": save_safetensors, ".pth": save_torch}


def is_weight_file(name: str | os.PathLike[str]) -> bool:
    """Whether a model's name is a file of this module, by its suffix."""
    return Path(name).suffix in WRITERS


def save_described(path: Path, task: Task, variables: Variables, *, licence: str, source: str) -> None:
    """Writes the weights to `path` (.safetensors or .pth) and the description beside it. Replaces both.

    source: where the weights come from; licence: of the weights, "" if unknown.
    """
    names = "release" if task.name in EXPORTERS else "flax"
    arrays = to_torch(task.name, variables) if names == "release" else to_arrays(variables)
    WRITERS[path.suffix](path, arrays)
    description = {"model": task.name, "options": network_options(task), "names": names}
    text = json.dumps(description | {"licence": licence, "source": source}, indent=2)
    path.with_suffix(DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def load_described(path: Path) -> tuple[Task, Variables]:
    """The network of a weight file and its variables.

    Raises UserError if the file or its description is missing or damaged, or if they do not fit each other.
    """
    beside = path.with_suffix(DESCRIPTION)
    arrays = load_torch(path)
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        model, names = str(description["model"]), str(description["names"])
        options = {name: _from_json(name, value) for name, value in description["options"].items()}
    except FileNotFoundError as error:
        hint = "it describes the network; for a file of another program use restore.py --model NAME --weights FILE"
        raise UserError(f"{beside} is missing: {hint}") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{beside} is damaged: {error!r}; export the model again") from error
    task = create_task(model, **options)
    if names == "release":
        return task, from_torch(model, arrays, **options)
    variables = to_variables(arrays)
    expected = jax.eval_shape(task.model.init, jax.random.key(0), task.example_input())
    if mismatch := describe_mismatch(variables, {name: expected[name] for name in expected if name != "statistics"}):
        raise UserError(f"{path} does not fit the network of {beside.name}: {mismatch}")
    return task, jax.device_put(variables)


def network_options(task: Task) -> Options:
    """All options of the network, as JSON values."""
    fields = [field.name for field in dataclasses.fields(task.model) if field.name not in ("parent", "name")]
    values = {name: getattr(task.model, name) for name in fields}
    return {name: jnp.dtype(value).name if name == "dtype" else value for name, value in values.items()}


def _from_json(name: str, value: object) -> object:
    if name == "dtype":
        return jnp.dtype(str(value))
    return tuple(_from_json("", part) for part in value) if isinstance(value, list) else value

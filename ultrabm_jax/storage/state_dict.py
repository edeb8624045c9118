"""Reads a PyTorch state dict into a Flax tree and reports everything that does not fit in one error.

A `StateDictReader` returns tensors by their PyTorch names in Flax layout and records which names were read, missing or
misshapen; `check_complete` raises the error. Layouts: a convolution (out, in / groups, kh, kw) becomes
(kh, kw, in / groups, out), a linear layer (out, in) becomes (in, out).

An importer either names every layer (`reader.conv("a.b")`, ...) or, where the module's names mirror PyTorch's, calls
`reader.read_tree(shapes, rename)` with the shapes of `jax.eval_shape(model.init, ...)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import StateDict

Tree = dict[str, Any]  # nested dictionaries of arrays or of `jax.ShapeDtypeStruct`s
ModulePath = tuple[str, ...]
TORCH_LEAF = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class IncompatibleWeights(UserError):
    """A state dict does not fit the network it was given to."""


@dataclass
class _Log:
    """What the readers of one state dict have read so far, by full name."""

    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    returned: list[tuple[np.ndarray, str]] = field(default_factory=list)  # keeps the arrays alive: ids stay unique


class StateDictReader:
    """Reads the names of one state dict below `prefix`. Readers made by `scope` share one log."""

    def __init__(self, state_dict: StateDict, prefix: str = "", *, log: _Log | None = None) -> None:
        self._state = state_dict
        self._prefix = prefix
        self._log = log or _Log()

    def scope(self, prefix: str) -> StateDictReader:
        """The reader of the names below `prefix`; a trailing dot may be omitted."""
        return StateDictReader(self._state, self._prefix + prefix.rstrip(".") + ".", log=self._log)

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._state

    def tensor(self, name: str, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The tensor as stored. A missing or misshapen one is logged and replaced by zeros."""
        return self._take(name, shape, ndim=None if shape is None else len(shape))

    def conv(self, name: str, *, bias: bool | None = None) -> Tree:
        """{"kernel": HWIO[, "bias"]}. `bias=None` reads a bias if there is one; True and False require either."""
        kernel = self._take(f"{name}.weight", None, ndim=4, convert=lambda x: x.transpose(2, 3, 1, 0))
        return {"kernel": kernel} | self._bias(name, bias)

    def norm(self, name: str) -> Tree:
        """{"scale", "bias"} of a batch or layer normalisation."""
        return {"scale": self.tensor(f"{name}.weight"), "bias": self.tensor(f"{name}.bias")}

    def read_tree(self, shapes: Tree, rename: Callable[[ModulePath], str]) -> Tree:
        """Reads a tree like `shapes` ({collection: modules}); `rename(module path)` is the PyTorch name of a module."""

        def read(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
            _, *module, last = (entry.key for entry in path)
            name = rename(tuple(module))
            if last == "mean":
                self._skip(f"{name}.num_batches_tracked")
            return self._leaf(f"{name}.{TORCH_LEAF[last]}", last, tuple(leaf.shape))

        tree: Tree = jax.tree_util.tree_map_with_path(read, shapes)
        return tree

    def check_complete(
        self,
        variables: Tree | None = None,
        *,
        shapes: Tree | None = None,
        ignore: str | None = None,
        network: str = "this model",
    ) -> None:
        """Checks that every name below this reader's prefix was read and that everything had the right shape.

        Args:
          variables: the tree that the importer has built; only needed with `shapes`.
          shapes: the tree that `variables` must match, usually of `jax.eval_shape(model.init, key, low)`.
          ignore: regular expression of full names that need not be read.
          network: name of the network for the error message.

        Raises:
          IncompatibleWeights: with the number and the first name of what is missing, unexpected or misshapen.
        """
        if shapes is not None:
            self._compare(variables or {}, shapes)
        log = self._log
        unread = [name for name in self._state if name.startswith(self._prefix) and name not in log.used]
        unexpected = log.unexpected + [name for name in unread if not (ignore and re.search(ignore, name))]
        if log.missing or log.misshapen or unexpected:
            problems = [_summary("missing", log.missing), _summary("unexpected", unexpected)]
            problems.append(_summary("of another shape", log.misshapen))
            raise IncompatibleWeights(f"these weights do not belong to {network}: {'; '.join(filter(None, problems))}")

    def _bias(self, name: str, required: bool | None) -> Tree:
        read = f"{name}.bias" in self if required is None else required
        return {"bias": self.tensor(f"{name}.bias")} if read else {}

    def _take(
        self,
        name: str,
        shape: tuple[int, ...] | None,
        *,
        ndim: int | None = None,
        convert: Callable[[np.ndarray], np.ndarray] = lambda x: x,
    ) -> np.ndarray:
        full = self._prefix + name
        value = self._state.get(full)
        if value is None:
            self._log.missing.append(full)
            return self._return(np.zeros(shape or (1,) * (ndim or 1), np.float32), full)
        self._log.used.add(full)
        if (shape is not None and value.shape != shape) or (ndim is not None and value.ndim != ndim):
            wanted = f"{shape}" if shape is not None else f"{ndim} axes"
            self._log.misshapen.append(f"{full} {value.shape} instead of {wanted}")
            return self._return(np.zeros(shape or (1,) * (ndim or 1), np.float32), full)
        return self._return(convert(np.asarray(value)), full)

    def _return(self, array: np.ndarray, name: str) -> np.ndarray:
        self._log.returned.append((array, name))
        return array

    def _leaf(self, name: str, last: str, shape: tuple[int, ...]) -> np.ndarray:
        if last != "kernel":
            return self._take(name, shape)
        torch_axes, flax_axes = ((3, 2, 0, 1), (2, 3, 1, 0)) if len(shape) == 4 else ((1, 0), (1, 0))
        value = self._take(name, tuple(shape[axis] for axis in torch_axes))
        return self._return(value.transpose(flax_axes), self._prefix + name)

    def _skip(self, name: str) -> None:
        if name in self:
            self._log.used.add(self._prefix + name)

    def _compare(self, variables: Tree, shapes: Tree) -> None:
        """Logs where `variables` and `shapes` differ, under PyTorch names where the tensor was read by this reader."""
        unmatched = dict(_leaves(variables))
        names = {id(array): name for array, name in self._log.returned}
        reported = set(self._log.missing) | {entry.split(" ")[0] for entry in self._log.misshapen}
        for path, leaf in _leaves(shapes):
            value = unmatched.pop(path, None)
            name = path if value is None else names.get(id(value), path)
            if value is None:
                self._log.missing.append(name)
            elif name not in reported and tuple(value.shape) != tuple(leaf.shape):
                shapes_differ = f"{_torch_shape(value.shape)} instead of {_torch_shape(leaf.shape)}"
                self._log.misshapen.append(f"{name} {shapes_differ}")
        # Read by the importer but absent from the module: the file is of a larger variant.
        self._log.unexpected += [names.get(id(value), path) for path, value in unmatched.items()]


def write_tree(variables: Tree, rename: Callable[[ModulePath], str]) -> dict[str, np.ndarray]:
    """The inverse of `StateDictReader.read_tree`: {PyTorch name: array} of {collection: modules}.

    PyTorch's batch counter, which `read_tree` drops, is written as 0.
    """
    state_dict: dict[str, np.ndarray] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        _, *module, last = (entry.key for entry in path)
        name, array = rename(tuple(module)), np.asarray(leaf)
        if last == "kernel":
            array = array.transpose((3, 2, 0, 1) if array.ndim == 4 else (1, 0))
        state_dict[f"{name}.{TORCH_LEAF[last]}"] = np.ascontiguousarray(array)
        if last == "mean":
            state_dict[f"{name}.num_batches_tracked"] = np.zeros((), np.int64)
    return state_dict


def strip_common_prefix(state_dict: StateDict, prefix: str) -> dict[str, np.ndarray]:
    """Removes `prefix` from the names if all names start with it."""
    if state_dict and all(name.startswith(prefix) for name in state_dict):
        return {name[len(prefix) :]: value for name, value in state_dict.items()}
    return dict(state_dict)


def _leaves(tree: Tree) -> Iterable[tuple[str, Any]]:  # Any: leaves as in `Tree`
    """("a/b/kernel", leaf) of every leaf."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr(path, simple=True, separator="/"), leaf


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in (3, 2, 0, 1)) if len(shape) == 4 else tuple(shape[::-1])


def _summary(kind: str, names: list[str]) -> str:
    return f"{len(names)} {kind}, first {names[0]}" if names else ""

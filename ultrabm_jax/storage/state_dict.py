"""Read a torch-style state dict into a Flax tree, and say once, by name, everything that does not fit.

A `Reader` hands out tensors by their torch names in Flax layout and remembers which it gave, which were missing and
which had another shape; `finish` raises the one error. Layouts: torch convolution (out, in/groups, kh, kw) becomes
(kh, kw, in/groups, out); torch linear (out, in) becomes (in, out).

An importer is either a list of calls (`reader.conv("a.b")`, ...) or, where the module's names mirror torch's,
`reader.read_like(shapes, rename)` with the shapes of `jax.eval_shape(model.init, ...)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ultrabm_jax.errors import UserError

Tree = dict[str, Any]
Path = tuple[str, ...]
TORCH_LEAF = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class WrongWeights(UserError):
    """A state dict does not belong to the architecture it was given to."""


@dataclass
class _Record:
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    given: list[tuple[np.ndarray, str]] = field(default_factory=list)  # keeps each array alive beside its name


class Reader:
    """Names below `prefix` of one state dict; readers made by `sub` share one record."""

    def __init__(self, state_dict: Mapping[str, np.ndarray], prefix: str = "", *, record: _Record | None = None):
        self._state = state_dict
        self._prefix = prefix
        self._record = record or _Record()

    def sub(self, prefix: str) -> Reader:
        """The reader of the names below `prefix` (a final dot may be left out)."""
        return Reader(self._state, self._prefix + prefix.rstrip(".") + ".", record=self._record)

    def has(self, name: str) -> bool:
        return self._prefix + name in self._state

    def tensor(self, name: str, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The tensor as stored; a missing or misshapen one is noted and replaced by zeros, so that reading goes on."""
        return self._take(name, shape, ndim=None if shape is None else len(shape), convert=lambda x: x)

    def conv(self, name: str, *, bias: bool | None = None) -> Tree:
        """{"kernel": HWIO[, "bias"]}; `bias=None` takes a bias if there is one, True and False insist."""
        out = {"kernel": self._take(f"{name}.weight", None, ndim=4, convert=lambda x: x.transpose(2, 3, 1, 0))}
        if self.has(f"{name}.bias") if bias is None else bias:
            out["bias"] = self.tensor(f"{name}.bias")
        return out

    def dense(self, name: str, *, bias: bool | None = None) -> Tree:
        """{"kernel": (in, out)[, "bias"]}, from a torch linear layer or a 1x1 convolution."""
        out = {"kernel": self._take(f"{name}.weight", None, ndim=None, convert=lambda x: x.reshape(x.shape[:2]).T)}
        if self.has(f"{name}.bias") if bias is None else bias:
            out["bias"] = self.tensor(f"{name}.bias")
        return out

    def norm(self, name: str) -> Tree:
        """{"scale", "bias"} of a batch or layer normalisation."""
        return {"scale": self.tensor(f"{name}.weight"), "bias": self.tensor(f"{name}.bias")}

    def stats(self, name: str) -> Tree:
        """{"mean", "var"} of a batch normalisation; its batch counter is accepted and dropped."""
        self._skip_counter(f"{name}.num_batches_tracked")
        return {"mean": self.tensor(f"{name}.running_mean"), "var": self.tensor(f"{name}.running_var")}

    def read_like(self, shapes: Tree, rename: Callable[[Path], str]) -> Tree:
        """A tree like `shapes` (collections of modules), each module's tensors read below `rename(module path)`."""

        def read(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
            _, *module, last = (entry.key for entry in path)
            name = rename(tuple(module))
            if last == "mean":
                self._skip_counter(f"{name}.num_batches_tracked")
            return self._leaf(f"{name}.{TORCH_LEAF[last]}", last, tuple(leaf.shape))

        return jax.tree_util.tree_map_with_path(read, shapes)

    def finish(
        self,
        variables: Tree | None = None,
        *,
        like: Tree | None = None,
        ignore: str | None = None,
        what: str = "this model",
    ) -> None:
        """Raise `WrongWeights` if anything was missing, misshapen or left over (below this reader's prefix).

        `like`: shapes that `variables` must have, usually of `jax.eval_shape(model.init, key, low)`.
        `ignore`: a regular expression of full names that may be left over.
        """
        if like is not None:
            self._compare(variables, like)
        left = [name for name in self._state if name.startswith(self._prefix) and name not in self._record.used]
        record = self._record
        unexpected = record.unexpected + [name for name in left if not (ignore and re.search(ignore, name))]
        if record.missing or record.misshapen or unexpected:
            parts = [_list("missing", record.missing), _list("unexpected", unexpected)]
            parts.append(_list("of another shape", record.misshapen))
            raise WrongWeights(f"these weights do not belong to {what}: {'; '.join(p for p in parts if p)}")

    def _take(
        self, name: str, shape: tuple[int, ...] | None, *, ndim: int | None, convert: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        full = self._prefix + name
        value = self._state.get(full)
        if value is None:
            self._record.missing.append(full)
            return self._give(np.zeros(shape or (1,) * (ndim or 1), np.float32), full)
        self._record.used.add(full)
        if (shape is not None and value.shape != shape) or (ndim is not None and value.ndim != ndim):
            wanted = f"{shape}" if shape is not None else f"{ndim} axes"
            self._record.misshapen.append(f"{full} {value.shape} instead of {wanted}")
            return self._give(np.zeros(shape or (1,) * (ndim or 1), np.float32), full)
        return self._give(convert(np.asarray(value)), full)

    def _give(self, array: np.ndarray, name: str) -> np.ndarray:
        self._record.given.append((array, name))
        return array

    def _leaf(self, name: str, last: str, shape: tuple[int, ...]) -> np.ndarray:
        if last != "kernel":
            return self._take(name, shape, ndim=None, convert=lambda x: x)
        torch_axes, flax_axes = ((3, 2, 0, 1), (2, 3, 1, 0)) if len(shape) == 4 else ((1, 0), (1, 0))
        torch_shape = tuple(shape[axis] for axis in torch_axes)
        value = self._take(name, torch_shape, ndim=None, convert=lambda x: x)
        return self._give(value.transpose(flax_axes), self._prefix + name)

    def _skip_counter(self, name: str) -> None:
        if self.has(name):
            self._record.used.add(self._prefix + name)

    def _compare(self, variables: Tree | None, like: Tree) -> None:
        got = dict(_leaves(variables or {}))
        names = {id(array): name for array, name in self._record.given}
        bad = set(self._record.missing) | {entry.split(" ")[0] for entry in self._record.misshapen}
        for path, leaf in _leaves(like):
            value = got.pop(path, None)
            name = path if value is None else names.get(id(value), path)
            if value is None:
                self._record.missing.append(name)
            elif name not in bad and tuple(value.shape) != tuple(leaf.shape):
                self._record.misshapen.append(f"{name} {_torch_shape(value)} instead of {_torch_shape(leaf)}")
        # what the importer read and the module has not: the file is of a larger variant
        self._record.unexpected += [names.get(id(value), path) for path, value in got.items()]


def strip_common_prefix(state_dict: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Names without `prefix` if every name has it, else the names as they are."""
    if state_dict and all(name.startswith(prefix) for name in state_dict):
        return {name[len(prefix) :]: value for name, value in state_dict.items()}
    return dict(state_dict)


def _leaves(tree: Tree) -> Iterable[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield "/".join(str(getattr(entry, "key", entry)) for entry in path), leaf


def _torch_shape(leaf: Any) -> tuple[int, ...]:
    shape = tuple(leaf.shape)
    return tuple(shape[axis] for axis in (3, 2, 0, 1)) if len(shape) == 4 else shape[::-1]


def _list(kind: str, names: list[str]) -> str:
    return f"{len(names)} {kind}, first {names[0]}" if names else ""

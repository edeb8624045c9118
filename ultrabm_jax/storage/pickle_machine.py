"""Interprets the opcodes of a pickle without executing anything: no import, no attribute access, no call into the file.

Python's unpicklers call any object that a file names, and its methods. This interpreter builds numbers,
strings, lists, dictionaries and tuples. Every other object becomes an `Inert` record of its name and of the data in the
file. It calls only functions of this package that the caller lists in `known`.

The opcodes are decoded by `pickletools`, which executes nothing. Time and memory are linear in the length of the file.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from ultrabm_jax.storage.pickle_objects import CorruptFile, Global, Inert, Known, Stateful, UnsafePickle


class Machine:
    """The stack, the marks and the memo of one pickle. `run` returns the pickled value."""

    def __init__(self, known: Known, *, inert: bool, persistent_load: Callable[[object], object] | None = None) -> None:
        self._known, self._inert, self._persistent_load = known, inert, persistent_load
        self._stack: list[object] = []
        self._marks: list[list[object]] = []  # the stacks below each mark
        self._memo: dict[int, object] = {}

    def run(self, file: BinaryIO) -> object:
        """Interprets `file` from its position up to and including the STOP opcode.

        Raises:
          UnsafePickle: unless `inert`, for an unknown name; for out-of-band buffers; for a change of a known function.
          CorruptFile: for opcodes that no pickler writes in that order.
          ValueError, IndexError, KeyError, TypeError: for other damage.
        """
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in _IGNORED:
                continue
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _MADE:
                self._stack.append(_MADE[name]())
            elif (method := _METHODS.get(name)) is not None:
                method(self, argument)
            else:
                raise UnsafePickle(f"refused: the opcode {name} is not needed for plain arrays")
        raise CorruptFile("it has no STOP opcode")

    def _to_mark(self) -> list[object]:
        """Removes the values above the last mark, and the mark."""
        values, self._stack = self._stack, self._marks.pop()
        return values

    def _mark(self, _: object) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop(self, _: object) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _pop_mark(self, _: object) -> None:
        self._to_mark()

    def _dup(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def _get(self, key: int | str) -> None:
        self._stack.append(self._memo[int(key)])

    def _put(self, key: int | str) -> None:
        self._memo[int(key)] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _list(self, _: object) -> None:
        values = self._to_mark()
        self._stack.append(values)

    def _tuple(self, _: object) -> None:
        values = self._to_mark()
        self._stack.append(tuple(values))

    def _tuple_of(self, count: int) -> None:
        values = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def _dict(self, _: object) -> None:
        values = self._to_mark()
        self._stack.append(_pairs(values))

    def _append(self, _: object) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _appends(self, _: object) -> None:
        self._extend(self._to_mark())

    def _extend(self, values: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):  # elements of other objects are dropped
            target.extend(values)

    def _setitem(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _setitems(self, _: object) -> None:
        self._update(self._to_mark())

    def _update(self, values: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, Inert):
            target.items.update(_pairs(values))
        elif isinstance(target, dict):
            target.update(_pairs(values))

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._find(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise CorruptFile("a global name is not a string")
        self._find(module, name)

    def _find(self, module: str, name: str) -> None:
        known = self._known.get((module, name))
        if known is None and not self._inert:
            raise UnsafePickle(f"refused: it refers to {module}.{name}, which is not needed for plain arrays")
        self._stack.append(known if isinstance(known, str) else Global(module, name, known))

    def _extension(self, code: int) -> None:
        self._find("copyreg", f"extension {code}")

    def _inst(self, argument: str) -> None:
        arguments = tuple(self._to_mark())
        self._global(argument)
        self._call(self._stack.pop(), arguments)

    def _obj(self, _: object) -> None:
        function, *arguments = self._to_mark()
        self._call(function, tuple(arguments))

    def _reduce(self, _: object) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _newobj_ex(self, _: object) -> None:
        _keywords, arguments, function = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _call(self, function: object, arguments: object) -> None:
        if isinstance(function, Global) and function.function is not None and isinstance(arguments, tuple):
            self._stack.append(function.function(*arguments))
        else:
            self._stack.append(Inert(str(function) if isinstance(function, Global) else "a call", arguments))

    def _build(self, _: object) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Stateful):
            target.set_state(state)
        elif isinstance(target, Inert):
            target.state = state
        elif isinstance(target, Global) and target.function is not None:
            raise UnsafePickle(f"refused: it tries to change {target}, a function of the reader")

    def _persistent(self, _: object) -> None:
        self._refer(self._stack.pop())

    def _refer(self, pid: object) -> None:
        if self._persistent_load is None:
            raise UnsafePickle("refused: it refers to objects outside the file")
        self._stack.append(self._persistent_load(pid))


def _pairs(values: list[object]) -> dict[object, object]:
    """A dictionary of alternating keys and values. A key that is not a plain value is dropped with its value.

    Tuples are not accepted as keys, because hashing one recurses without a limit.
    """
    if len(values) % 2:
        raise CorruptFile("a dictionary has a key without a value")
    pairs = zip(values[::2], values[1::2], strict=True)
    return {key: value for key, value in pairs if key is None or isinstance(key, str | int | float | bytes)}


_IGNORED = frozenset({"PROTO", "FRAME"})
_PUSHED = frozenset({
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
})  # fmt: skip
_MADE: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # sets are read as lists, so that their elements are not hashed
    "EMPTY_DICT": dict,
}
_METHODS: dict[str, Callable[[Machine, Any], None]] = {  # Any: each opcode has an argument of its own type
    "MARK": Machine._mark,
    "POP": Machine._pop,
    "POP_MARK": Machine._pop_mark,
    "DUP": Machine._dup,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._put),
    "MEMOIZE": Machine._memoize,
    "LIST": Machine._list,
    "FROZENSET": Machine._list,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "DICT": Machine._dict,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "ADDITEMS": Machine._appends,
    "SETITEM": Machine._setitem,
    "SETITEMS": Machine._setitems,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine._extension),
    "INST": Machine._inst,
    "OBJ": Machine._obj,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._reduce,
    "NEWOBJ_EX": Machine._newobj_ex,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent,
    "PERSID": Machine._refer,
}

"""The pickle interpreter: plain data as Python reads it; nothing executed, imported or looked up for hostile files."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import itertools
import pathlib
import pickle
import struct
import sys
import time
import tracemalloc

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.pickle_objects import Inert, UnsafePickle
from ultrabm_jax.storage.safe_pickle import load_restricted

PLAIN = {
    "numbers": [0, 1, -1, 255, 256, 65_536, -(2**31), 2**31, 2**63, -(2**200), 1.5, float("inf"), True, False, None],
    "texts": ["", "a", "é" * 300, "line\nbreak", b"", b"bytes" * 100],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, (4, 5))],
    "nested": {"a": {"b": [{"c": 1}] * 3}, 1: "one", None: 0, 2.5: [[[]]]},
}

DEEP = 100_000  # levels; recursion in C would overflow the stack


class Colour(enum.Enum):
    RED = 1


class OnLoad:
    """Runs code wherever Python's unpickler would call a method of it."""

    def __setstate__(self, state):
        raise AssertionError("executed")

    def __reduce_ex__(self, protocol):
        return (OnLoad, (), {"a": 1})

    append = extend = __setitem__ = __setstate__


def read(data, known=None, *, inert=True):
    return load_restricted(io.BytesIO(data), known or {}, inert=inert, name="x")


def outcome(data, **options):
    """The value, or the error, which is one short printable line."""
    try:
        return read(data, **options)
    except UserError as error:
        message = str(error)
    assert message.isprintable()
    assert message.startswith("x")
    assert len(message) < 250
    return message


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def stack_global(module, name):
    return short(module) + short(name) + b"\x93"


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_as_python_reads_it(protocol):
    values = (
        {**PLAIN, "array": bytearray(b"array")}
        if protocol == 5
        else PLAIN
        if protocol > 2
        else {key: PLAIN[key] for key in ("numbers", "tuples", "nested")}
    )
    got = read(pickle.dumps(values, protocol), inert=False)
    assert got == values
    assert repr(got) == repr(values)


def test_shared_and_recursive_values():
    shared = [1]
    loop = {"shared": [shared, shared]}
    loop["self"] = loop
    got = read(pickle.dumps(loop, 4), inert=False)
    assert got["self"] is got
    assert got["shared"][0] is got["shared"][1]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5),
        np.int32(4),
        np.arange(5.0),
        np.array([{}, None], object),
        np.random.default_rng(0),
        argparse.Namespace(lr=1e-3, name="run"),
        collections.OrderedDict(a=1),
        collections.Counter("abca"),
        collections.deque([1, 2]),
        datetime.datetime(2024, 5, 1),
        pathlib.PurePosixPath("/data/run"),
        Colour.RED,
        complex(1, 2),
        range(4),
        slice(1, 2),
        {1, 2},
        frozenset("ab"),
        OnLoad(),
        print,
        OnLoad,
        time.struct_time(range(9)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_objects_are_inert(protocol, value):
    got = read(pickle.dumps({"before": 1, "value": value, "after": [2]}, protocol))
    assert (got["before"], got["after"]) == (1, [2])
    assert not isinstance(got["value"], type(value))


def hostile(marker):
    """(name, pickle) of programs that create `marker` in Python's unpickler, or change objects of this process."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    call = lambda function, argument: function + short(argument) + b"\x85R"  # noqa: E731
    os_system, evaluate = stack_global("os", "system"), stack_global("builtins", "eval")
    getattribute = stack_global("builtins", "getattr")
    yield "global", b"cos\nsystem\n(" + short(command) + b"tR."
    yield "stack_global", b"\x80\x04" + call(os_system, command) + b"."
    yield "eval", b"\x80\x04" + call(evaluate, code) + b"."
    yield "inst", b"(" + short(command) + b"ios\nsystem\n."
    yield "obj", b"(" + os_system + short(command) + b"o."
    yield "newobj", os_system + short(command) + b"\x85\x81."
    yield "newobj_ex", os_system + short(command) + b"\x85}\x92."
    yield "nested_reduce", b"\x80\x04" + evaluate + call(os_system, command) + b"\x85R."
    inner = getattribute + call(stack_global("builtins", "__import__"), "os") + short("system") + b"\x86R"
    yield "getattr_chain", b"\x80\x04" + call(inner, command) + b"."
    yield "attribute_path", b"\x80\x04" + call(stack_global("os", "path.os.system"), command) + b"."
    state = short("__setstate__") + os_system
    yield (
        "setstate_by_build",
        stack_global("argparse", "Namespace") + b")\x81}(" + state + b"ub" + short(command) + b"b.",
    )
    yield "setstate_of_a_class", stack_global("argparse", "Namespace") + b"}(" + state + b"ub" + short(command) + b"b."
    yield "setitems", stack_global("builtins", "globals") + b")R(" + short("x") + call(evaluate, code) + b"u."
    yield "append", stack_global("collections", "deque") + b")R" + call(os_system, command) + b"a."
    yield "additems", b"\x8f(" + call(os_system, command) + b"\x90."
    yield "as_a_key", b"}(" + call(os_system, command) + b"Ku."
    yield "unknown_module", b"\x80\x04" + call(stack_global("ultrabm_no_such_module", "f"), "x") + b"."
    yield "extension", b"\x80\x02\x82\x01(" + short(command) + b"tR."
    yield "codecs", b"\x80\x04" + stack_global("_codecs", "encode") + short(command) + short("rot13") + b"\x86R."


CASES = [name for name, _ in hostile("x")]


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_executed_or_imported(case, tmp_path):
    marker = tmp_path / "executed"
    data = dict(hostile(marker))[case]
    before = set(sys.modules)
    for inert in (True, False):
        outcome(data, inert=inert)
    assert not marker.exists()
    assert set(sys.modules) == before


def test_known_functions_receive_only_data():
    """The results of unknown calls reach a known function as inert records, never as objects."""
    seen = []
    data = stack_global("m", "f") + stack_global("os", "getcwd") + b")R\x85R."
    read(data, {("m", "f"): seen.append})
    assert [(type(value), value.name) for value in seen] == [(Inert, "os.getcwd")]


def test_references_outside_the_file_are_refused():
    for data in (b"Pid\n.", short("id") + b"Q.", b"\x80\x05\x97."):
        with pytest.raises(UnsafePickle, match="refused"):
            read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.",  # a terabyte of bytes
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"abc.",
        b"\x80\x02B" + struct.pack("<I", 2**32 - 1) + b"abc.",
        b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc.",
        b"\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",  # an integer of 2 GB
        b"I" + b"9" * 100_000 + b"\n.",
        b"Nr" + struct.pack("<I", 2**32 - 1) + b".",  # the last place of a memo of 64 GB
        b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",  # a frame longer than any file
    ],
)
def test_stated_sizes_allocate_no_memory(data):
    tracemalloc.start()
    result = outcome(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result is None or "damaged" in result
    assert peak < 2**22


@pytest.mark.parametrize(
    "body",
    [
        b")" + b"\x85" * DEEP,
        b"]" + b"]" * DEEP + b"a" * DEEP,
        b"(" * DEEP,
        b"N" + b"2" * DEEP,
        b")" + b"\x85" * DEEP + b"0N",
    ],
    ids=["tuples", "lists", "marks", "duplicates", "dropped"],
)
def test_deep_nesting_neither_recurses_nor_crashes(body):
    for data in (body + b".", b"}" + body + b"Ns.", stack_global("a", "b") + body + b"R.", body + b"b."):
        outcome(data)


def test_a_deep_tuple_as_a_key_is_not_hashed():
    assert read(b"})" + b"\x85" * 2 * DEEP + b"Ns.") == {}


def test_every_truncation_and_random_bytes_give_one_line():
    rng = np.random.default_rng(0)
    data = pickle.dumps({**PLAIN, "options": argparse.Namespace(lr=1), "array": np.arange(9.0)}, 4)
    cut = [data[:length] for length in range(0, len(data) - 1, 7)]
    noise = [rng.integers(0, 256, 60, np.uint8).tobytes() for _ in range(1000)]
    flipped = []
    for _ in range(1000):
        array = bytearray(data)
        for index in rng.integers(0, len(array), 3):
            array[index] = rng.integers(0, 256)
        flipped.append(bytes(array))
    for item in itertools.chain(cut, noise, flipped):
        outcome(item)

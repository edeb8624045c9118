"""Locates the features of a serialised tf.train.Example without copying or decoding the large ones.

Protocol buffers' wire format: a message is a sequence of (key, value), key = field number * 8 + wire type; type 0 is a
varint, 1 and 5 are 8 and 4 bytes, 2 is a length and that many bytes. Of an Example only this part is used:

    Example  { Features features = 1 }
    Features { map<string, Feature> feature = 1 }       an entry is a message: key = 1, value = 2
    Feature  { BytesList | FloatList | Int64List = 1 | 2 | 3 }     each a repeated value = 1, numbers packed or not

Source: https://protobuf.dev/programming-guides/encoding and tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from input_pipeline.records.file_bytes import FileBytes

Buffer = bytes | FileBytes
Span = tuple[int, int]  # start and stop in the file
Feature = list[Span] | list[float] | list[int]  # byte strings are not read, only located

BYTES, FLOAT, INT64 = 1, 2, 3


def parse_example(buffer: Buffer, start: int, stop: int) -> dict[str, Feature]:
    """{feature: spans of its byte strings, or its numbers}; raises ValueError if the bytes are not an Example."""
    features: dict[str, Feature] = {}
    for _, outer in _messages(buffer, start, stop, field=1):
        for _, entry in _messages(buffer, *outer, field=1):
            key, value = "", (0, 0)
            for field, span in _messages(buffer, *entry):
                if field == 1:
                    key = buffer[span[0] : span[1]].decode()
                elif field == 2:
                    value = span
            features[key] = _feature(buffer, *value)
    return features


def _feature(buffer: Buffer, start: int, stop: int) -> Feature:
    for kind, span in _messages(buffer, start, stop):
        if kind == BYTES:
            return [value for _, value in _messages(buffer, *span, field=1)]
        if kind in (FLOAT, INT64):
            return _numbers(buffer, *span, kind=kind)
    return []


def _numbers(buffer: Buffer, start: int, stop: int, *, kind: int) -> list[float] | list[int]:
    values: list[Any] = []  # one type throughout: floats or integers
    for _, wire, span in _fields(buffer, start, stop):
        data = buffer[span[0] : span[1]]
        if kind == FLOAT:
            values += struct.unpack(f"<{len(data) // 4}f", data)
        elif wire == 2:
            at = 0
            while at < len(data):
                value, at = _varint(data, at)
                values.append(_signed(value))
        else:
            values.append(_signed(_varint(data, 0)[0]))
    return values


def _messages(buffer: Buffer, start: int, stop: int, *, field: int | None = None) -> Iterator[tuple[int, Span]]:
    """Yields the length-delimited fields, all or those of one field number."""
    for number, wire, span in _fields(buffer, start, stop):
        if wire == 2 and field in (None, number):
            yield number, span


def _fields(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, Span]]:
    at = start
    while at < stop:
        key, at = _varint(buffer, at)
        wire = key & 7
        if wire == 0:
            end = _varint(buffer, at)[1]
        elif wire == 2:
            size, at = _varint(buffer, at)
            end = at + size
        elif wire in (1, 5):
            end = at + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if end > stop:
            raise ValueError(f"a field ends at byte {end}, its message at {stop}")
        yield key >> 3, wire, (at, end)
        at = end


def _varint(buffer: Buffer, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while shift < 70:
        if at >= len(buffer):
            break
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(f"no varint before byte {at}")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value

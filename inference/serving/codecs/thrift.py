"""Structs in thrift's compact protocol, of which a few fields are wanted and the others passed over. Pure.

What is read here is read again by others. So that both read the same, a wanted field that has another type
than expected, or is there twice, is no struct at all.
Source: github.com/apache/thrift doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

I32, I64 = 5, 6
_NUMBERS = (4, I32, I64)
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
_SIZES = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}  # of the fields whose bytes need no reading
_DEEPEST = 12
_LONGEST_NUMBER = 10

# The wanted fields by their numbers: I32 or I64, the fields wanted of a struct, or in a list those of each
# struct in it.
Wanted = Mapping[int, Any]


class Faulty(ValueError):
    """These bytes are not the struct that is wanted."""


def read(source: bytes, at: int, wanted: Wanted) -> tuple[dict[int, Any], int]:
    """The wanted fields of the struct that begins there, as far as they are in it, and where it ends."""
    reader = _Reader(source, at)
    return reader.struct(wanted, 1), reader.at


class _Reader:
    def __init__(self, source: bytes, at: int) -> None:
        self._source = source
        self.at = at

    def struct(self, wanted: Wanted, depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise Faulty("a struct is nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._signed()
            if number not in wanted:
                self._pass(kind, depth)
                continue
            if number in fields:
                raise Faulty(f"field {number} is there twice")
            fields[number] = self._wanted(kind, wanted[number], depth)
        return fields

    def _wanted(self, kind: int, wanted: Any, depth: int) -> Any:
        expected = _STRUCT if isinstance(wanted, dict) else _LIST if isinstance(wanted, list) else wanted
        if kind != expected:
            raise Faulty(f"a field has the type {kind}, expected {expected}")
        if kind == _STRUCT:
            return self.struct(wanted, depth + 1)
        if kind == _LIST:
            return self._structs(wanted[0], depth)
        return self._signed()

    def _structs(self, wanted: Wanted, depth: int) -> list[dict[int, Any]]:
        count, kind = self._list_head()
        if count and kind != _STRUCT:
            raise Faulty(f"a list holds the type {kind}, expected {_STRUCT}")
        return [self.struct(wanted, depth + 1) for _ in range(count)]

    def _pass(self, kind: int, depth: int) -> None:
        if kind in _SIZES:
            self._forward(_SIZES[kind])
        elif kind in _NUMBERS:
            self._unsigned()
        elif kind == _BINARY:
            self._forward(self._unsigned())
        elif kind == _STRUCT:
            self.struct({}, depth + 1)
        elif kind in (_LIST, _SET):
            self._pass_all(*self._list_head(), depth)
        elif kind == _MAP:
            self._pass_map(depth)
        else:
            raise Faulty(f"a field of the unknown type {kind}")

    def _pass_all(self, count: int, kind: int, depth: int) -> None:
        if depth >= _DEEPEST:
            raise Faulty("a list is nested too deep")
        # In a list a boolean has a byte of its own, so that each element takes one at least.
        for _ in range(count):
            self._pass(_BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)

    def _pass_map(self, depth: int) -> None:
        count = self._unsigned()
        kinds = self._byte() if count else 0
        for _ in range(count):
            self._pass_all(1, kinds >> 4, depth)
            self._pass_all(1, kinds & 15, depth)

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._unsigned() if count == 15 else count), head & 15

    def _signed(self) -> int:
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)

    def _unsigned(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number
        raise Faulty("a number is too long")

    def _byte(self) -> int:
        self._forward(1)
        return self._source[self.at - 1]

    def _forward(self, count: int) -> None:
        self.at += count
        if self.at > len(self._source):
            raise Faulty("it is cut off")

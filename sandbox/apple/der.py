"""Just enough of ASN.1 to take a signature apart: a value, and the values inside it."""

from __future__ import annotations

from dataclasses import dataclass

SEQUENCE, SET, OBJECT_ID, OCTETS, INTEGER = 0x30, 0x31, 0x06, 0x04, 0x02


class DerError(ValueError):
    """The bytes are no DER."""


@dataclass(frozen=True)
class Value:
    tag: int
    content: bytes
    # With tag and length, as it was signed.
    whole: bytes

    def inside(self) -> list[Value]:
        found, at = [], 0
        while at < len(self.content):
            value = read(self.content[at:])
            found.append(value)
            at += len(value.whole)
        return found


def read(data: bytes) -> Value:
    """The first value. Raises `DerError`."""
    if len(data) < 2:
        raise DerError("cut off")
    head, length = 2, data[1]
    if length & 0x80:
        count = length & 0x7F
        head += count
        if not 0 < count <= 4 or len(data) < head:
            raise DerError("a length that cannot be")
        length = int.from_bytes(data[2:head])
    if len(data) < head + length:
        raise DerError("cut off")
    return Value(data[0], data[head : head + length], data[: head + length])


def object_id(value: Value) -> str:
    """1.2.840... Raises `DerError`."""
    if value.tag != OBJECT_ID or not value.content:
        raise DerError("no object id")
    parts, number = [], 0
    for byte in value.content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(number)
            number = 0
    first = min(parts[0] // 40, 2)
    return ".".join(map(str, (first, parts[0] - first * 40, *parts[1:])))

"""BinaryPack, the encoding of BinaryJS messages, as far as the data channels of early 2016 use it.

The type bytes are those of the `js-binarypack` package: those of MessagePack of 2012, but with other types for texts
(0xb0 to 0xbf, 0xd8, 0xd9) than for bytes (0xa0 to 0xaf, 0xda, 0xdb).
"""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["pack", "unpack"]

_SCALARS = {0xC0: None, 0xC1: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_LENGTHS = {0xD8: ">H", 0xD9: ">I", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
_MAX_DEPTH = 16  # the messages of a channel have two levels
_MAX_ENTRIES = 64  # their lists and dicts have three entries; a hostile one could fill the memory


def pack(value: Any) -> bytes:
    """Encode the parts of a request on a channel: short lists and dicts of texts and small numbers."""
    if isinstance(value, int):
        return struct.pack(">B", value)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        if len(text) < 16:
            return bytes([0xB0 + len(text)]) + text
        head = struct.pack(">BH", 0xD8, len(text)) if len(text) < 1 << 16 else struct.pack(">BI", 0xD9, len(text))
        return head + text
    if isinstance(value, dict):
        return bytes([0x80 + len(value)]) + b"".join(pack(key) + pack(each) for key, each in value.items())
    return bytes([0x90 + len(value)]) + b"".join(pack(each) for each in value)


def unpack(data: bytes) -> Any:
    """Decode one value.

    Raises:
        ValueError: the bytes are not BinaryPack, or there are bytes after the value.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.position != len(data):
        raise ValueError("there are bytes after the value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        kind = self._take(1)[0]
        if kind < 0x80:
            return kind
        if kind >= 0xE0:
            return kind - 0x100
        if kind in _SCALARS:
            return _SCALARS[kind]
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind in _LENGTHS:
            return self._sized(
                ("text", "bytes", "list", "dict")[(kind - 0xD8) // 2], self._number(_LENGTHS[kind]), depth
            )
        if kind < 0xC0:
            return self._sized(("dict", "list", "bytes", "text")[(kind - 0x80) // 16], kind & 0x0F, depth)
        raise ValueError(f"no such type: {kind:#x}")

    def _sized(self, kind: str, size: int, depth: int) -> Any:
        if kind == "bytes":
            return self._take(size)
        if kind == "text":
            return self._take(size).decode("utf-8")
        if size > _MAX_ENTRIES:
            raise ValueError("more entries than any message of a channel has")
        if kind == "list":
            return [self.value(depth + 1) for _ in range(size)]
        return {str(self.value(depth + 1)): self.value(depth + 1) for _ in range(size)}

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, size: int) -> bytes:
        taken = self._data[self.position : self.position + size]
        if len(taken) < size:
            raise ValueError("cut short")
        self.position += size
        return taken

"""Read a reply's bytes: skip interim replies ("100 Continue"), unpack the content, limit its size. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead

from .. import config

__all__ = ["Content", "ReplyStart", "decoding_is_bounded"]

_MAX_INTERIM_BYTES = 64 * 1024  # the longest interim reply; honest ones are short
_JSON_CONTAINER = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]")
_FREE_BYTES = 64 * 1024 * 1024  # memory that decoding any JSON may take
_JSON_COSTS = {b"[": 72, b"{": 240, b":": 40, b",": 40, b'"': 25}  # what each adds to the decoded value, in bytes
_MAX_LINE = len("HTTP/1.1 200")  # what tells an interim reply from a final one


class ReplyStart:
    """Reads the bytes of one reply up to the end of its head, and drops interim replies.

    Attributes:
        begun: whether a byte of the final reply has arrived, or a byte that is not HTTP.
        complete: whether the whole head of the final reply has arrived.
    """

    def __init__(self) -> None:
        self.begun = False
        self.complete = False
        self._data = b""
        self._interim = 0

    @property
    def is_http(self) -> bool:
        """Whether the bytes so far look like the beginning of a reply."""
        return self._data[:7] == b"HTTP/1."[: len(self._data)]

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that belong to the final reply.

        Raises:
            HTTPException: there are more interim replies, or longer ones, than any honest server sends.
        """
        if self.complete:
            return data
        if not self.begun:
            self._data = data = self._without_interim_replies(self._data + data)
            self.begun = data != b"" and _interim_length(data) == 0
            if not self.begun:
                return b""
        else:
            self._data += data
        self.complete = b"\n\r\n" in self._data or b"\n\n" in self._data
        return data

    def _without_interim_replies(self, data: bytes) -> bytes:
        while data and (length := _interim_length(data)):
            if length < 0:  # not complete
                if len(data) > _MAX_INTERIM_BYTES:
                    raise HTTPException("an interim reply has no end")
                break
            data = data[length:]
            self._interim += 1
            if self._interim > config.MAX_INTERIM_REPLIES:
                raise HTTPException("the interim replies have no end")
        return data


def _interim_length(data: bytes) -> int:
    """Return the length of the interim reply that `data` begins with.

    It is 0 if `data` begins with anything else, and -1 if more bytes are needed to decide. 101 is not an interim
    reply: no HTTP follows after it.
    """
    start = data[:_MAX_LINE]
    if start[:7] != b"HTTP/1."[: len(start)] or start[8:10] != b" 1"[: max(len(start) - 8, 0)]:
        return 0
    if len(start) < _MAX_LINE:
        return -1
    if start[9:12] == b"101":
        return 0
    end = data.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1


class Content:
    """The content of a reply: as it came, or unpacked from one layer of gzip. Its size is bounded either way.

    Arguments:
        encoding: the header `Content-Encoding`; "" if there is none.

    Raises:
        HTTPException: the encoding is another one, or there is more than one layer.
    """

    def __init__(self, encoding: str) -> None:
        self.data = bytearray()
        self._received = 0
        self._unpacker = None
        encoding = encoding.strip().lower()
        if encoding in ("gzip", "x-gzip"):
            self._unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        elif encoding not in ("", "identity"):
            raise HTTPException(f"the reply has an encoding that was not asked for: {encoding[:100]!r}")

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            HTTPException: the reply is too large, or cannot be decoded.
        """
        limit = config.MAX_REPLY_BYTES
        self._received += len(piece)
        if self._unpacker is not None and len(self.data) <= limit:
            piece = self._unpacked(self._unpacker, piece, limit + 1 - len(self.data))
        self.data += piece
        if max(len(self.data), self._received) > limit:
            raise HTTPException(f"the reply is larger than {limit} bytes")

    def finish(self) -> bytes:
        """Return the whole content.

        Raises:
            IncompleteRead: the compressed content ends too early.
        """
        if self._unpacker is not None and self._received and not self._unpacker.eof:
            raise IncompleteRead(bytes(self.data))
        return bytes(self.data)

    def _unpacked(self, unpacker: zlib._Decompress, piece: bytes, limit: int) -> bytes:
        try:
            data = unpacker.decompress(piece, limit)
        except zlib.error as error:
            raise HTTPException(f"the reply cannot be decoded: {error}") from error
        if unpacker.unused_data:
            raise HTTPException("the reply cannot be decoded: there are bytes after its end")
        return data


def decoding_is_bounded(body: bytes) -> bool:
    """Tell whether decoding this JSON takes no more memory than 64 MiB and sixteen times its size.

    `[[[]]],...` takes 35 times its size, a listing of files about five times. Eight times is for the text and the
    strings in it: one character may make them four bytes wide. Other text is no JSON: it is bounded.
    """
    limit = _FREE_BYTES + 8 * len(body)
    if _json_cost(body) <= limit or not _JSON_CONTAINER.match(body):
        return True
    return sum(map(_json_cost, _outside_of_strings(body))) <= limit


def _outside_of_strings(body: bytes) -> Iterator[bytes]:
    """Give the bytes outside of JSON's strings, and the quotes, a chunk at a time.

    Split at once, they would take too much memory.
    """
    body = body.replace(rb"\\", b"").replace(rb"\"", b"")  # no quote is left that does not begin or end a string
    within = 0
    for place in range(0, len(body), config.CHUNK_BYTES):
        pieces = body[place : place + config.CHUNK_BYTES].split(b'"')
        yield b"".join([*pieces[within::2], b'"' * (len(pieces) - 1)])
        within = (within + len(pieces) - 1) % 2


def _json_cost(text: bytes) -> int:
    return sum(cost * text.count(sign) for sign, cost in _JSON_COSTS.items())

"""Fetch a shard by plain HTTP, from the URL in its pointer: at the bridge, or at its store.

Each connection makes one GET, without credentials. A redirect is not followed. If the connection breaks, the next one
continues where the shard stopped. The URL is a secret, like a token: anybody who has it can read the shard.

Why not httpx: here the socket receives directly into the shard's buffer, without a copy. httpx cannot do that.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import BadStatusLine, IncompleteRead
from urllib.parse import urlsplit

from .. import config
from ..core.job import Job
from ..core.network import Stream, deadline
from ..errors import ChannelError
from .connections import Connections
from .shards import ShardBuffer

__all__ = ["DirectDownloads"]

_STATUS = re.compile(r"HTTP/1\.[01] ([0-9]{3})(?: .*)?")
_SENT_AS_IT_IS = re.compile(r"https?://[!-~]+", re.ASCII)  # a character that would end the request's line
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")
_MAX_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 1024 * 1024  # read and hashed at a time: a large piece, so that a window's thread is seldom interrupted


@dataclass(frozen=True)
class _Address:
    """A URL, in parts."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str = field(repr=False)


@dataclass(frozen=True)
class _Head:
    """The head of a reply, and the bytes that came after it."""

    status: int
    headers: dict[str, str]
    rest: bytes = field(repr=False)


class DirectDownloads(Connections):
    """The direct downloads of one client."""

    def fetch(self, url: str, job: Job, buffer: ShardBuffer) -> None:
        """Gather the bytes of a shard, unchecked.

        Arguments:
            url: where they are.
            job: stops the transfer when it is cancelled.
            buffer: where the bytes go.

        Raises:
            OSError, HTTPException: the connection failed, or the server does not speak HTTP.
            ChannelError: the server sent something other than the shard. No message repeats the URL.
        """
        address = _parsed(url)
        buffer.clear()
        for _ in range(1, config.MAX_ATTEMPTS):
            before = buffer.size
            try:
                return self._get(address, job, buffer)
            except (ConnectionError, IncompleteRead):
                if buffer.size == before:
                    raise
        return self._get(address, job, buffer)

    def _get(self, address: _Address, job: Job, buffer: ShardBuffer) -> None:
        end = deadline(self._timeout.connect)
        with closing(self._connect(address.host, address.port, address.secure, end, job)) as stream:
            asked = [f"GET {address.target} HTTP/1.1", f"Host: {address.authority}", "Accept-Encoding: identity"]
            asked += ["Connection: close"] + [f"Range: bytes={buffer.size}-"] * (buffer.size > 0)
            stream.send("\r\n".join([*asked, "", ""]).encode("ascii"), deadline(self._timeout.channel))
            head = self._head(stream)
            missing = _length(head, buffer)
            buffer.add(head.rest[:missing])
            self._receive(stream, missing - len(head.rest), buffer)

    def _head(self, stream: Stream) -> _Head:
        end = deadline(self._timeout.channel)
        data = bytearray()
        while (at := data.find(b"\r\n\r\n")) < 0:
            received = stream.receive(end)
            data += received
            if not received or len(data) > _MAX_HEAD_BYTES + config.CHUNK_BYTES:
                raise BadStatusLine("the store gave no HTTP reply")
        first, *lines = data[:at].decode("latin-1").split("\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise BadStatusLine("the store does not speak HTTP")
        pairs = (line.partition(":") for line in lines)
        return _Head(int(status[1]), {name.lower(): value.strip() for name, _, value in pairs}, bytes(data[at + 4 :]))

    def _receive(self, stream: Stream, missing: int, buffer: ShardBuffer) -> None:
        while missing > 0:
            room = buffer.room(min(missing, _PIECE_BYTES))[: min(missing, _PIECE_BYTES)]
            came = self._fill(stream, room)
            buffer.received(came)
            missing -= came
            if came < len(room):
                raise IncompleteRead(b"", missing)

    def _fill(self, stream: Stream, room: memoryview) -> int:
        """Fill a piece, and return how many bytes came before the other side closed."""
        came = 0
        while came < len(room):
            size = stream.receive_into(room[came:], deadline(self._timeout.channel))
            if not size:
                break
            came += size
        return came


def _parsed(url: str) -> _Address:
    host = None
    if _SENT_AS_IT_IS.fullmatch(url):
        with suppress(ValueError):
            parts = urlsplit(url)
            secure = parts.scheme == "https"
            port = parts.port or (443 if secure else 80)
            host = parts.hostname
    if not host or "@" in parts.netloc:
        raise ChannelError("the bridge gave a pointer with a malformed URL")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Address(secure, host, port, parts.netloc, target)


def _length(head: _Head, buffer: ShardBuffer) -> int:
    """Return how many bytes of the shard follow. If the reply has the whole shard, forget the bytes from before.

    Raises:
        ChannelError: the reply is not the shard.
    """
    start = _RANGE.fullmatch(head.headers.get("content-range", ""))
    if head.status == 206 and start is not None and int(start[1]) == buffer.size:
        pass
    elif head.status == 200:
        buffer.clear()
    else:
        raise ChannelError(f"the store answered {head.status} instead of the shard")
    length = head.headers.get("content-length", "")
    if not re.fullmatch("[0-9]{1,18}", length) or "transfer-encoding" in head.headers:
        raise ChannelError("the store does not say how long the shard is")
    if buffer.size + int(length) > buffer.most:
        raise ChannelError(f"more than {buffer.most} bytes came for one shard")
    return int(length)

"""The data channel: fetch one shard from where a pointer says that it is, and check it.

The only file that knows websockets.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import BadStatusLine, IncompleteRead
from typing import Any, NoReturn
from urllib.error import URLError

from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidURI,
    WebSocketException,
)
from websockets.sync.client import ClientConnection, connect

from . import binarypack, config
from .errors import ChannelError, IntegrityError
from .hashes import content_hash
from .job import Job

__all__ = ["Farmers", "Pointer"]

Pointer = Mapping[str, Any]
"""Where a shard is: `{"hash", "token", "operation": "PULL", "channel": "ws://host:port"}`."""


class _NoAnswerError(Exception):
    """A channel that says nothing: it may speak the earlier form, or have no answer to a bad token."""


class Farmers:
    """The channels of one client, and what has been learned about them.

    Arguments:
        timeout: limits on silence; `connect` and `channel` serve here.
        verify: as for `Client`.
    """

    def __init__(self, timeout: config.Timeout, verify: ssl.SSLContext | bool) -> None:
        self._timeout = timeout
        self._ssl = verify if isinstance(verify, ssl.SSLContext) else None
        self._forms: dict[str, bool] = {}  # by channel: whether it speaks the earlier form

    def fetch(self, pointer: Pointer, job: Job, received: Callable[[int], None]) -> bytes:
        """Return the bytes of a shard.

        Arguments:
            pointer: where it is.
            job: stops the transfer when it is cancelled.
            received: called with the size of each message as it arrives.

        Raises:
            URLError, OSError, HTTPException: the channel failed, with the meaning that these have in `pymdc.errors`.
            TimeoutError: the farmer fell silent.
            ChannelError: the farmer refused, or what it sent is no shard.
            IntegrityError: the bytes are not those of the pointer's hash.
        """
        channel, shard_hash = _text(pointer, "channel"), _text(pointer, "hash")
        request = {"token": _text(pointer, "token"), "hash": shard_hash, "operation": "PULL"}
        body = self._read(channel, request, job, received)
        if content_hash(hashlib.sha256(body).hexdigest()) != shard_hash:
            raise IntegrityError(f"the shard {shard_hash} came with other content")
        return body

    def _read(self, channel: str, request: dict[str, str], job: Job, received: Callable[[int], None]) -> bytes:
        earlier = self._forms.get(channel)
        if earlier is None:
            try:
                body = self._speak(_later_form, channel, request, job, received)
            except _NoAnswerError:
                earlier = True
            else:
                self._forms[channel] = False
                return body
        form = _earlier_form if earlier else _later_form
        try:
            body = self._speak(form, channel, request, job, received)
        except _NoAnswerError as error:
            raise TimeoutError(f"the farmer at {channel} did not answer") from error
        self._forms[channel] = earlier
        return body

    def _speak(
        self,
        form: Callable[[_Channel, dict[str, str]], Iterator[bytes]],
        channel: str,
        request: dict[str, str],
        job: Job,
        received: Callable[[int], None],
    ) -> bytes:
        body = bytearray()
        with _documented(channel, body), self._open(channel, job) as connection:
            for piece in form(_Channel(connection, job, self._timeout.channel), request):
                body += piece
                if len(body) > config.MAX_SHARD_BYTES:
                    raise ChannelError(f"the farmer at {channel} sent more than {config.MAX_SHARD_BYTES} bytes")
                received(len(piece))
        return bytes(body)

    @contextmanager
    def _open(self, channel: str, job: Job) -> Iterator[ClientConnection]:
        job.check()
        connecting = connect(
            channel,
            ssl=self._ssl if channel.startswith("wss:") else None,
            compression=None,  # shards are random to a compressor
            open_timeout=self._timeout.connect,
            ping_interval=None,  # the limit on silence is ours
            close_timeout=config.POLL_SECONDS,
            max_size=config.MAX_SHARD_BYTES,
        )
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(connecting)
            except OSError as error:
                raise URLError(error) from error
            yield connection


class _Channel:
    """An open channel whose reads end: with a message, at the end of patience, or when nobody wants it any more."""

    def __init__(self, connection: ClientConnection, job: Job, silence: float | None) -> None:
        self._connection = connection
        self._job = job
        self._silence = silence
        self._answered = False

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def receive(self) -> str | bytes:
        give_up = None if self._silence is None else time.monotonic() + self._silence
        while True:
            self._job.check()
            try:
                message = self._connection.recv(timeout=config.POLL_SECONDS)
            except TimeoutError:
                if give_up is not None and time.monotonic() >= give_up:
                    self._fell_silent()
            except ConnectionClosed as error:
                if not self._answered and not isinstance(error, ConnectionClosedOK):
                    raise _NoAnswerError from error
                raise
            else:
                self._answered = True
                return message

    def _fell_silent(self) -> NoReturn:
        if not self._answered:
            raise _NoAnswerError
        raise TimeoutError("the farmer fell silent in the middle of a shard")


def _later_form(channel: _Channel, request: dict[str, str]) -> Iterator[bytes]:
    """Speak as from v0.3.0 on: a JSON text, binary messages in answer, and close 1000. Any other text is an error."""
    channel.send(json.dumps(request))
    while True:
        try:
            message = channel.receive()
        except ConnectionClosedOK:
            return
        if isinstance(message, bytes):
            yield message
        elif (answer := _json_object(message)).get("code") != 200:  # v0.6.6 says {"code": 200} before it closes
            raise ChannelError(str(answer.get("message", "the farmer refused")))


def _earlier_form(channel: _Channel, request: dict[str, str]) -> Iterator[bytes]:
    """Speak as up to v0.2.4: BinaryJS, whose messages are `[kind, payload, stream]` in BinaryPack."""
    new, data, end = 1, 2, 5
    channel.send(binarypack.pack([new, request, 0]))
    while True:
        message = channel.receive()
        try:
            kind, payload, _ = binarypack.unpack(message if isinstance(message, bytes) else message.encode())
        except (ValueError, TypeError) as error:
            raise ChannelError("the farmer sent what is neither form of the channel") from error
        if kind == data and isinstance(payload, bytes):
            yield payload
        elif kind == data and isinstance(payload, dict):
            raise ChannelError(str(payload.get("message", "the farmer refused")))
        elif kind == end:
            return


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"message": text[:200]}


def _text(pointer: Pointer, name: str) -> str:
    value = pointer.get(name) if isinstance(pointer, Mapping) else None
    if not isinstance(value, str):
        raise ChannelError(f"the bridge gave a pointer without {name}")
    return value


@contextmanager
def _documented(channel: str, body: bytes | bytearray) -> Iterator[None]:
    """Turn what websockets raises into what `pymdc.errors` lists."""
    try:
        yield
    except ConnectionClosed as error:
        raise IncompleteRead(bytes(body)) from error
    except InvalidMessage as error:
        raise BadStatusLine(f"the farmer at {channel} does not speak HTTP") from error
    except InvalidURI as error:
        raise ChannelError("the bridge gave a pointer to no channel") from error
    except WebSocketException as error:
        raise ChannelError(f"the farmer at {channel} does not speak the protocol: {error}") from error

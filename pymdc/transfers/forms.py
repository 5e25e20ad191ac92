"""The two forms of the protocol on a data channel, as in the recordings of farmers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..core.hashes import content_hash
from ..errors import ChannelError
from . import binarypack

__all__ = ["Channel", "ClosedError", "Form", "NoAnswerError", "earlier_form", "later_form"]

_EMPTY = content_hash(hashlib.sha256().hexdigest())  # the one shard whose answer may hold no bytes


class NoAnswerError(Exception):
    """A channel that gave no answer: it may speak the earlier form, or have no answer to a bad token.

    Attributes:
        reason: the error to report if it speaks neither form.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ClosedError(Exception):
    """The farmer has closed the channel in good order."""


class Channel(Protocol):
    """An open channel, in messages.

    Attributes:
        answered: whether a message has come.
    """

    answered: bool

    def send(self, message: str | bytes) -> None:
        """Send a message."""

    def receive(self) -> str | bytes:
        """Return the next message; raise a `ClosedError` if there is none, or an error of the connection."""

    def pass_over(self) -> None:
        """Ignore a message that is no part of the shard; raise a `ChannelError` if there are too many."""


Form = Callable[[Channel, dict[str, str]], Iterator[bytes]]
"""Asks for a shard on a channel, and gives its pieces."""


def later_form(channel: Channel, request: dict[str, str]) -> Iterator[bytes]:
    """The form of v0.3.0 and later: a JSON text, binary messages in answer, and close 1000. Any other text is an error.

    Observed: a farmer of v0.2.4, which speaks the earlier form, answers the JSON text with close 1000 and nothing else.
    """
    channel.send(json.dumps(request))
    while True:
        try:
            message = channel.receive()
        except ClosedError:
            if channel.answered or request["hash"] == _EMPTY:
                return
            raise NoAnswerError(ChannelError("the farmer closed the channel without an answer")) from None
        if isinstance(message, bytes):
            yield message
        elif (answer := _json_object(message)).get("code") != 200:  # v0.6.6 says {"code": 200} before it closes
            raise ChannelError(str(answer.get("message", "the farmer refused")))
        else:
            channel.pass_over()


def earlier_form(channel: Channel, request: dict[str, str]) -> Iterator[bytes]:
    """The form of v0.2.4 and before: BinaryJS, whose messages are `[kind, payload, stream]` in BinaryPack."""
    new, data, end = 1, 2, 5
    channel.send(binarypack.pack([new, request, 0]))
    while True:
        message = channel.receive()
        if isinstance(message, str):  # so it speaks the later form, and had another reason for giving no answer
            raise NoAnswerError(ChannelError(str(_json_object(message).get("message", "the farmer refused"))))
        kind, payload = _opened_message(message)
        if kind == data and isinstance(payload, bytes):
            yield payload
        elif kind == data and isinstance(payload, dict):
            raise ChannelError(str(payload.get("message", "the farmer refused")))
        elif kind == end:
            return
        else:
            channel.pass_over()


def _opened_message(message: bytes) -> tuple[Any, Any]:
    try:
        parts = binarypack.unpack(message)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != 3:
        raise ChannelError("the farmer sent what is neither form of the channel")
    return parts[0], parts[1]


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"message": text[:200]}

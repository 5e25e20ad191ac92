"""The oracle: the documented value for a fault, for any call."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Protocol
from urllib.error import HTTPError, URLError

from pymdc.errors import ChannelError

from ..hostile import Received
from .calls import Call

__all__ = ["Asked", "Expected", "Fails", "Gives", "OneOf", "Refused", "what_was_asked"]


class Expected(Protocol):
    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        """Compare a value with what is documented; `asked` are the requests that the bridge has had."""


@dataclass(frozen=True)
class Fails:
    """An exception value, of one of these classes; `reason` is that of a `URLError`."""

    kinds: type[Exception] | tuple[type[Exception], ...]
    reason: type[Exception] | None = None

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        kinds = self.kinds if isinstance(self.kinds, tuple) else (self.kinds,)
        assert type(value) in kinds, f"{value!r} instead of {kinds}"
        if self.reason is not None and isinstance(value, URLError):
            assert isinstance(value.reason, self.reason), repr(value.reason)


@dataclass(frozen=True)
class Refused:
    """An `HTTPError` with this status and this body."""

    status: int
    body: bytes = b""

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        assert type(value) is HTTPError, repr(value)
        value.fp.seek(0)
        assert (value.code, value.read()) == (self.status, self.body)


@dataclass(frozen=True)
class Gives:
    """A result. A download needs pointers, a transfer without a token one, and both take a refusal in words."""

    result: Any

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        refusal = isinstance(self.result, dict) and "error" in self.result
        if call.transfer and not refusal and (call.asks or call.transfer == "down"):
            assert type(value) is (HTTPException if call.asks else ChannelError), repr(value)
            return
        assert type(value) is type(self.result), repr(value)[:500]
        assert value == self.result


def what_was_asked(request: Received) -> str:
    """Return a text that identifies a request, without the secrets that its path may hold."""
    return hashlib.sha256(f"{request.method} {request.target}".encode()).hexdigest()


@dataclass(frozen=True)
class Asked:
    """A result that says for which request it is the reply: that of the last one."""

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        Gives({"you asked": what_was_asked(asked[-1])}).check(value, call, asked)


@dataclass(frozen=True)
class OneOf:
    """One or the other, as the network has it."""

    either: Expected
    other: Expected

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        try:
            self.either.check(value, call, asked)
        except AssertionError:
            self.other.check(value, call, asked)

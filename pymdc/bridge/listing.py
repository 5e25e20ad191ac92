"""Lists of any length, fetched and sent in pieces: they need little memory and block nobody for long."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .context import Bridge
from .errors import Refused
from .requests import Reply, is_gone

__all__ = ["listing"]

_log = logging.getLogger("pymdc.bridge")


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


_Item = TypeVar("_Item", bound=_Numbered)


async def listing(
    bridge: Bridge, fetch: Callable[[int], tuple[Sequence[_Item], bool]], show: Callable[[_Item], dict[str, Any]]
) -> Response:
    """Return a reply with a list in JSON.

    Arguments:
        fetch: called with a number, in a thread. It returns some of the items with higher numbers, and whether there
            are more.
        show: returns one item as a JSON object.
    """

    def piece(after: int) -> tuple[list[dict[str, Any]], bytes, int, bool]:
        items, more = fetch(after)
        shown = [show(item) for item in items]
        text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))[1:-1] if more or after else ""
        return shown, text.encode(), items[-1].number if items else after, more

    shown, first, last, more = await bridge.in_database(piece, 0)
    if not more:
        return Reply(shown)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"[" + first
        after, unfinished = last, True
        while unfinished:
            _, text, after, unfinished = await bridge.in_database(piece, after)
            yield b"," + text if text else b""
        yield b"]"

    return _Pieces(pieces())


class _Pieces(Response):
    """A reply in pieces. If a piece cannot be fetched or sent, the connection ends before the reply is complete."""

    media_type = Reply.media_type

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]  # it is not known yet
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            if scope["method"] != "HEAD":
                await self._send(Request(scope), send)
        except Refused as refused:
            _log.warning("the rest of a list was not sent: %s", refused.message)
            return
        except ConnectionError:
            _log.warning("the rest of a list was not sent: the client has gone, or does not read")
            return
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, request: Request, send: Send) -> None:
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if is_gone(request):
                raise ConnectionError

"""The data channel: fetch one shard from the farmer that a pointer names.

The only file that knows websockets.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.error import URLError

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidMessage, InvalidURI, WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.uri import parse_uri

from .. import config
from ..core.job import Job
from ..core.network import Stream, deadline
from ..errors import ChannelError
from .connections import Connections
from .forms import ClosedError, Form, NoAnswerError, earlier_form, later_form
from .shards import Pointer, ShardBuffer, text_in

__all__ = ["DataChannels"]

_MOST_CONTROL_BYTES = 131  # of a ping or a close, with its header (RFC 6455, section 5.5)
_MOST_OTHER_MESSAGES = 100  # that are no bytes of the shard: a farmer may not hold a download with them

_SILENT = logging.Logger("pymdc.shards", logging.CRITICAL + 1)  # websockets would log the tokens


class DataChannels(Connections):
    """The data channels of one client, and which form each farmer speaks."""

    def __init__(self, timeout: config.Timeout, verify: ssl.SSLContext | bool) -> None:
        super().__init__(timeout, verify)
        self._forms: dict[str, Form] = {}  # by channel: the form that it speaks

    def fetch(self, pointer: Pointer, job: Job, body: ShardBuffer) -> None:
        """Gather the bytes of a shard, unchecked.

        Arguments:
            pointer: where it is.
            job: stops the transfer when it is cancelled.
            body: where the bytes go.

        Raises:
            URLError, OSError, HTTPException: the channel failed, with the meaning that these have in `pymdc.errors`.
            TimeoutError: the farmer fell silent.
            ChannelError: the farmer refused, or what it sent is no shard.
        """
        channel, shard = text_in(pointer, "channel"), text_in(pointer, "hash")
        request = {"token": text_in(pointer, "token"), "hash": shard, "operation": "PULL"}
        self._read(channel, request, job, body)

    def _read(self, channel: str, request: dict[str, str], job: Job, body: ShardBuffer) -> None:
        form = self._forms.get(channel, later_form)
        try:
            self._speak(form, channel, request, job, body)
        except NoAnswerError as silence:
            if channel in self._forms:
                raise silence.reason from None
            form = earlier_form
            try:
                self._speak(form, channel, request, job, body)
            except NoAnswerError:
                raise silence.reason from None
        self._forms[channel] = form

    def _speak(self, form: Form, channel: str, request: dict[str, str], job: Job, body: ShardBuffer) -> None:
        body.clear()
        with _documented(channel, body), self._open(channel, job) as opened:
            for piece in form(opened, request):
                if piece:
                    body.add(piece)
                else:
                    opened.pass_over()

    @contextmanager
    def _open(self, channel: str, job: Job) -> Iterator[_Channel]:
        try:
            address = parse_uri(channel)
        except (InvalidURI, ValueError) as error:
            raise ChannelError("the bridge gave a pointer to no channel") from error
        end = deadline(self._timeout.connect)
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(
                    closing(self._connect(address.host, address.port, address.secure, end, job))
                )
                protocol = ClientProtocol(address, max_size=config.MAX_SHARD_BYTES, logger=_SILENT)
                opened = _Channel(stream, protocol, self._timeout.channel)
                opened.shake_hands(end)
            except (OSError, UnicodeError) as error:  # UnicodeError: a host name that is none
                raise URLError(error) from error
            yield opened


class _Channel:
    """An open channel.

    Arguments:
        stream: the connection.
        protocol: what makes and reads the frames on it.
        silence: how long to wait for a message, in seconds.

    Attributes:
        answered: whether a message has come.
    """

    def __init__(self, stream: Stream, protocol: ClientProtocol, silence: float | None) -> None:
        self._stream = stream
        self._protocol = protocol
        self._silence = silence
        self._end: float | None = None  # of the wait for more of the shard
        self._others = 0  # messages that are no part of the shard
        self._partial = 0  # how many bytes of a frame have come that is not whole
        self._events: deque[Any] = deque()  # the reply to the request, then frames
        self.answered = False

    def shake_hands(self, end: float | None) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush(end)
        while not self._events and self._protocol.handshake_exc is None:
            self._advance(end)
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc
        self._events.popleft()  # the reply to the request; the protocol has judged it

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._end = deadline(self._silence)
        self._flush(self._end)

    def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            ClosedError: there is none: the farmer has closed the channel.
            NoAnswerError: the channel failed before the farmer had said anything.
            OSError, HTTPException, WebSocketException: the channel failed.
        """
        frame = self._next_frame()
        pieces = [frame.data]
        text = frame.opcode is Opcode.TEXT
        while True:
            if frame.data and not text:
                self._end = deadline(self._silence)
            if frame.fin:
                break
            frame = self._next_frame()
            pieces += [frame.data] * (len(frame.data) > 0)
        message = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return str(message, "utf-8", "replace") if text else bytes(message)

    def pass_over(self) -> None:
        """Count a message that is no part of the shard, and ignore it.

        Raises:
            ChannelError: there are too many: a farmer could hold a download with them.
        """
        self._others += 1
        if self._others > _MOST_OTHER_MESSAGES:
            raise ChannelError("the farmer sends messages without end that are no part of the shard")

    def _next_frame(self) -> Frame:
        while True:
            while self._events:
                frame: Frame = self._events.popleft()
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    self.answered = True
                    return frame
            self._stop_where_it_ends()
            try:
                self._advance(self._end)
            except TimeoutError:
                words = "fell silent in the middle of a shard" if self.answered else "did not answer"
                raise self._failure(TimeoutError(f"the farmer {words}")) from None
            except OSError as error:
                raise self._failure(error) from error

    def _stop_where_it_ends(self) -> None:
        closed, broken = self._protocol.close_rcvd, self._protocol.parser_exc
        if closed is not None and closed.code == CloseCode.NORMAL_CLOSURE:
            raise ClosedError
        if closed is not None or isinstance(broken, EOFError):
            raise self._failure(IncompleteRead(b""))
        if broken is not None:
            raise broken

    def _failure(self, error: Exception) -> Exception:
        return error if self.answered else NoAnswerError(error)

    def _advance(self, end: float | None) -> None:
        data = self._stream.receive(end)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        events = self._protocol.events_received()
        self._partial = 0 if events else self._partial + len(data)
        if self._partial > _MOST_CONTROL_BYTES:  # so these are bytes of the shard: its frame is only not whole yet
            self._end = deadline(self._silence)
        self._events += events
        self._flush(end)

    def _flush(self, end: float | None) -> None:
        for data in self._protocol.data_to_send():
            self._stream.send(data, end)  # b"" says that no more follows: the stream is closed soon enough


@contextmanager
def _documented(channel: str, body: ShardBuffer) -> Iterator[None]:
    """Turn what websockets raises into what `pymdc.errors` lists."""
    try:
        yield
    except IncompleteRead as error:
        raise IncompleteRead(bytes(body.whole())) from error
    except InvalidMessage as error:
        if isinstance(error.__cause__, EOFError):
            raise RemoteDisconnected(f"the farmer at {channel} closed the connection without a reply") from error
        raise BadStatusLine(f"the farmer at {channel} does not speak HTTP") from error
    except (WebSocketException, ClosedError) as error:
        raise ChannelError(f"the farmer at {channel} does not speak the protocol: {error}") from error

"""The error values of a call.

An error that happens while a call runs is not raised: it is the value of the call. Its cause is in `__cause__`. The
names in brackets are the Python 2 names in the documentation of 2016.

    Exception                                 anything else, such as a defect of this library
    ├── OSError (socket.error)                the file to upload is missing, unreadable, or changed under the upload
    │   ├── urllib.error.URLError (urllib2)   no connection; `.reason` is the OSError that caused it, if there is one
    │   │   └── urllib.error.HTTPError        not JSON, with status >= 400 or a redirect that is not followed
    │   ├── ConnectionError                   reset, or broken pipe, while sending or reading
    │   │   └── http.client.RemoteDisconnected      closed without a reply
    │   └── TimeoutError (socket.timeout)     no answer in time
    ├── http.client.HTTPException
    │   ├── http.client.IncompleteRead        a reply cut short
    │   └── http.client.BadStatusLine         a reply that is not HTTP
    ├── concurrent.futures.CancelledError     the call was cancelled
    ├── IntegrityError                        content that does not match its hash
    ├── ChannelError                          a farmer refused, or does not speak the protocol of the data channel
    └── MetadiskError                         raised by `unwrap` for a refusal: `{"error": "..."}`
"""

from __future__ import annotations

import copyreg
import io
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, TypedDict, TypeVar, cast, final
from urllib.error import HTTPError

__all__ = ["ChannelError", "IntegrityError", "MetadiskError", "Refusal", "unwrap"]

_E = TypeVar("_E", bound=BaseException)
_T = TypeVar("_T")


@final
class Refusal(TypedDict):
    """The reply of a bridge that refuses a request."""

    error: str


class IntegrityError(Exception):
    """Content that does not match its hash."""


class ChannelError(Exception):
    """A farmer that refused to give a shard, or that does not speak the protocol of the data channel."""


class MetadiskError(Exception):
    """A refusal of the bridge, raised by `unwrap`; its text is the bridge's message.

    Attributes:
        value: the decoded reply, `{"error": "..."}`.
    """

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__(str(value["error"]))
        self.value = value

    def __reduce__(self) -> tuple[Callable[..., MetadiskError], tuple[dict[str, Any]], dict[str, Any]]:
        return type(self), (self.value,), self.__dict__


def unwrap(value: _T | Refusal | Exception) -> _T:
    """Return the value of a call if it is a result. If it is an error, raise it.

    For programs that prefer exceptions: `bucket = pymdc.unwrap(buckets.create("photos", 10, 10, [key_pair]))`.

    Raises:
        MetadiskError: the value is a refusal, `{"error": "..."}`.
        Exception: the value is an exception; it is raised as it is.
    """
    if isinstance(value, BaseException):
        raise value
    if isinstance(value, dict) and "error" in value:
        raise MetadiskError(cast("dict[str, Any]", value))
    return value


def caused_by(value: _E, cause: BaseException) -> _E:
    """Return `value` with its `__cause__` set, as `raise value from cause` would have done."""
    value.__cause__ = cause
    return value


def at_host(value: _E, host: str) -> _E:
    """Store in an exception value which host it is about, unless it has one already, and return it."""
    with suppress(Exception):  # an exception of the program may refuse new attributes
        if getattr(value, "host", None) is None:
            value.host = host  # type: ignore[attr-defined]  # which are pickled, too
    return value


_GENERATOR = 0x20  # inspect.CO_GENERATOR: inspect takes long to load
_LAYERS = ("pymdc", "httpx", "httpcore", "h11", "websockets")  # their frames hold requests, with credentials

# As Python itself reads them: the class of an exception of the program may name something else so, or raise.
_CAUSE, _CONTEXT, _TRACEBACK = (vars(BaseException)[name] for name in ("__cause__", "__context__", "__traceback__"))


def without_locals(value: _E) -> _E:
    """Remove our variables from the traceback of an exception value, and from those of its causes. Return the value.

    Some tools print the variables of each frame: they would print hashes of passwords, tokens and signatures. Files and
    lines stay, except those of our generators, and so do the variables of the program's own functions.
    """
    for error in _chain(value):
        kept = _without_generators(_TRACEBACK.__get__(error))
        _TRACEBACK.__set__(error, kept)
        for frame, _ in traceback.walk_tb(kept):
            if _is_ours(frame):
                with suppress(RuntimeError):  # the frame is still running
                    frame.clear()
    return value


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and its causes, each once: a cause may have itself among its causes."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [_CONTEXT.__get__(each), _CAUSE.__get__(each)]


def cut_off(error: BaseException, handled: BaseException | None) -> None:
    """Remove from the causes of an exception the one that the program was handling before the call: it is no cause."""
    for each in _chain(error):
        if handled is not None and _CONTEXT.__get__(each) is handled:
            _CONTEXT.__set__(each, None)


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _LAYERS  # a program may call a module `None`


def _without_generators(entry: TracebackType | None) -> TracebackType | None:
    # Early versions of Python 3.13 crash when a tool asks for the variables of a generator that was freed:
    # https://github.com/python/cpython/issues/125723. So the lines of our generators are left out.
    kept = [
        each for each in _entries(entry) if not (each.tb_frame.f_code.co_flags & _GENERATOR and _is_ours(each.tb_frame))
    ]
    following = None
    for each in reversed(kept):
        each.tb_next = following
        following = each
    return following


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def os_error_under(error: BaseException) -> OSError | None:
    """Return the operating system's error that caused a library's exception, or `None`.

    It may be under a context: httpcore's pool raises again "from None".
    """
    return next((each for each in _chain(error) if isinstance(each, OSError)), None)


def _reduced_http_error(error: HTTPError) -> tuple[Any, ...]:
    """Pickle and copy an `HTTPError` with its whole body. The body must be in memory, as in our values."""
    if not isinstance(error.fp, io.BytesIO):
        raise TypeError("an HTTPError whose body is not in memory cannot be pickled")
    state = {"host": getattr(error, "host", None)}
    return _http_error, (error.url, error.code, error.msg, error.headers, error.fp.getvalue()), state


def _http_error(url: str, code: int, message: str, headers: Any, body: bytes) -> HTTPError:
    return HTTPError(url, code, message, headers, io.BytesIO(body))


copyreg.pickle(HTTPError, _reduced_http_error)  # without this it cannot be pickled: it holds an open file

"""Error values: `unwrap`, their causes, and pickling."""

import builtins
import copy
import http.client
import importlib
import inspect
import io
import itertools
import multiprocessing
import pickle
import re
import socket
import ssl
import traceback
from concurrent.futures import CancelledError
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

import pymdc
from pymdc import errors

from .hostile import Connection, Server


@pytest.mark.parametrize(
    "value", [{"id": "1"}, {}, [], [{"error": "no"}], "", "error", b"error", None, 0, False, 1.5, {"ERROR": "x"}]
)
def test_a_result_is_returned_as_it_is(value: Any) -> None:
    assert errors.unwrap(value) is value


def test_the_package_has_unwrap() -> None:
    assert pymdc.unwrap is errors.unwrap


def test_a_refusal_is_raised_with_the_bridges_words_and_its_value() -> None:
    value = {"error": "Email is already registered"}
    with pytest.raises(errors.MetadiskError, match=r"^Email is already registered$") as caught:
        errors.unwrap(value)
    assert caught.value.value is value


@pytest.mark.parametrize("message", [None, 5, ["a", "b"], {"code": 1}, ""])
def test_a_refusal_may_hold_anything_under_error(message: Any) -> None:
    with pytest.raises(errors.MetadiskError) as caught:
        errors.unwrap({"error": message})
    assert str(caught.value) == str(message)
    assert caught.value.value == {"error": message}


@pytest.mark.parametrize(
    "value",
    [
        URLError(ConnectionRefusedError(111, "refused")),
        ConnectionResetError(),
        TimeoutError("timed out"),
        http.client.RemoteDisconnected("x"),
        http.client.IncompleteRead(b"x"),
        errors.IntegrityError("x"),
        Exception("x"),
        KeyboardInterrupt(),
    ],
)
def test_an_exception_value_is_raised_itself(value: BaseException) -> None:
    with pytest.raises(type(value)) as caught:
        errors.unwrap(value)
    assert caught.value is value


def http_error() -> HTTPError:
    headers = Message()
    headers["Content-Type"] = "text/html"
    return HTTPError("http://bridge.test/buckets", 502, "Bad Gateway", headers, io.BytesIO(b"<html>"))


VALUES: list[BaseException] = [
    URLError(ConnectionRefusedError(111, "refused")),
    URLError(socket.gaierror(-2, "no such host")),
    URLError(ssl.SSLCertVerificationError(1, "expired")),
    URLError("malformed endpoint"),
    ConnectionResetError(104, "reset"),
    TimeoutError("timed out"),
    FileNotFoundError(2, "no such file", "a.txt"),
    http.client.RemoteDisconnected("x"),
    http.client.IncompleteRead(b"x", 5),
    http.client.BadStatusLine("SSH"),
    http.client.HTTPException("too large"),
    CancelledError("the call was cancelled"),
    errors.IntegrityError("x"),
    errors.ChannelError("x"),
    errors.MetadiskError({"error": "Email is already registered"}),
    http_error(),
]


def again(value: Any) -> list[Any]:
    protocols = range(3, pickle.HIGHEST_PROTOCOL + 1)  # those of Python 2 know no TimeoutError
    pickled = [pickle.loads(pickle.dumps(value, protocol)) for protocol in protocols]
    return [*pickled, copy.copy(value), copy.deepcopy(value)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_error_values_pickle_and_copy(value: BaseException) -> None:
    for other in again(errors.at_host(value, "bridge.test:6382")):
        assert type(other) is type(value)
        assert (str(other), repr(other.args)) == (str(value), repr(value.args)) or isinstance(value, HTTPError)
        assert vars(other).get("host") == "bridge.test:6382"
        for name in ("reason", "errno", "filename", "code", "partial", "expected", "value"):
            assert repr(getattr(other, name, None)) == repr(getattr(value, name, None))


def test_an_http_error_keeps_its_body_and_its_headers() -> None:
    value = http_error()
    for other in [value, *again(value)]:
        assert (other.code, other.url, other.read()) == (502, "http://bridge.test/buckets", b"<html>")
        assert other.headers["Content-Type"] == "text/html"


def test_an_http_error_with_an_open_body_still_does_not_pickle(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"")
    with (tmp_path / "body").open("rb") as body, pytest.raises(TypeError, match="not in memory"):
        pickle.dumps(HTTPError("http://bridge.test", 502, "Bad Gateway", Message(), body))


def test_error_values_come_back_from_another_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map_async(type_of, VALUES).get(60)
        assert found == [type(value) for value in VALUES]
        with pytest.raises(errors.MetadiskError, match="Email is already registered"):
            pool.apply_async(errors.unwrap, [{"error": "Email is already registered"}]).get(60)


def type_of(value: object) -> type:
    return type(value)


def test_the_values_are_what_a_program_of_2016_asks_for() -> None:
    """It looks for `urllib2.HTTPError`, `urllib2.URLError`, `socket.error`, `socket.timeout` and `Exception`."""
    assert socket.error is OSError
    assert socket.timeout is TimeoutError
    assert issubclass(HTTPError, URLError)
    assert issubclass(URLError, OSError)
    assert issubclass(http.client.RemoteDisconnected, ConnectionError)
    assert issubclass(errors.IntegrityError, Exception)
    assert issubclass(errors.MetadiskError, Exception)


def test_the_drawn_tree_is_that_of_the_classes() -> None:
    drawn = re.findall(r"^    ((?:[│ ]   )*(?:[├└]── )?)([\w.]+)", errors.__doc__ or "", re.MULTILINE)
    assert len(drawn) > 10
    branch: list[type] = []
    for indent, name in drawn:
        module, _, cls = name.rpartition(".")
        home: Any = importlib.import_module(module) if module else errors
        found = getattr(home, cls, None) or getattr(builtins, cls)
        branch[len(indent) // 4 :] = [found]
        assert issubclass(branch[-1], branch[-2:][0])
    assert {*errors.__all__} - {"unwrap", "Refusal"} <= {name for _, name in drawn}


def test_a_value_keeps_its_cause_as_raise_from_would_have_it() -> None:
    cause = ValueError("cause")
    value = errors.caused_by(URLError("x"), cause)
    assert isinstance(value, URLError)
    assert value.__cause__ is cause
    assert value.__suppress_context__


def chain(*chained: Exception) -> Exception:
    for error, cause in itertools.pairwise(chained):
        error.__cause__ = cause
    return chained[0]


def test_the_operating_systems_error_is_found_under_the_libraries_ones() -> None:
    below = ConnectionRefusedError(111, "refused")
    assert errors.os_error_under(chain(RuntimeError("httpx"), RuntimeError("httpcore"), below)) is below
    assert errors.os_error_under(below) is below
    assert errors.os_error_under(chain(RuntimeError("httpx"), ValueError("no system in it"))) is None


def test_the_error_is_found_although_a_library_raised_again_from_none() -> None:
    below = ConnectionRefusedError(111, "refused")
    above = RuntimeError("httpcore")
    above.__context__ = below
    above.__suppress_context__ = True
    assert errors.os_error_under(chain(RuntimeError("httpx"), above)) is below


def test_the_variables_of_frames_that_hold_credentials_are_forgotten_and_the_programs_are_not() -> None:
    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            kept = "a variable of the program"
            raise ValueError(len(kept))

    token = "a-token-that-nobody-may-see"
    with Server(Connection.wait) as server, pymdc.Client(server.url) as client:
        value = pymdc.api.Files("id", None, client=client).upload(File(b"abc"), token, name="a")
    assert isinstance(value, ValueError)
    text = "".join(traceback.TracebackException.from_exception(value, capture_locals=True).format())
    assert "a variable of the program" in text
    assert "transport.py" in text
    assert token not in text
    variables: dict[str, set[str]] = {}
    for frame, _ in traceback.walk_tb(value.__traceback__):
        variables.setdefault(frame.f_globals["__name__"].partition(".")[0], set()).update(frame.f_locals)
    assert [variables[layer] for layer in ("pymdc", "httpx", "httpcore")] == [set(), set(), set()]
    assert "kept" in variables["tests"]


def test_tracebacks_hold_no_generators_of_the_library() -> None:
    """Early versions of Python 3.13 crash when somebody asks for the variables of one that was freed."""

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ValueError(size)

    with Server(Connection.wait) as server, pymdc.Client(server.url) as client:
        value = pymdc.api.Files("id", None, client=client).upload(File(b"abc"), "token", name="a")
    assert isinstance(value, ValueError)
    frames = [frame for frame, _ in traceback.walk_tb(value.__traceback__)]
    assert not [frame for frame in frames if frame.f_code.co_flags & inspect.CO_GENERATOR]
    assert frames[-1].f_code.co_name == "read"

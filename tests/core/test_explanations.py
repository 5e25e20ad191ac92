"""`explain`: for every row of the table of errors, and for values of real calls."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from concurrent.futures import CancelledError
from email.message import Message
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

import pymdc
from pymdc import Client, Timeout, explain
from pymdc.api import REST, Files
from pymdc.errors import ChannelError, IntegrityError, MetadiskError, at_host

from ..documents import section
from ..hostile import HOST, Connection, Server, answering, client_context, refusing_port, reply_bytes, server_context

pytestmark = pytest.mark.usefixtures("_no_waiting")

PLACE = "bridge.test:6382"


def os_error(number: int, filename: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), filename)


def http_error(status: int, reason: str) -> HTTPError:
    return HTTPError(f"http://{PLACE}/buckets", status, reason, Message(), BytesIO(b"<html>"))


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


# The rows of the table in the guide, by their beginnings, with values and their explanations.
ROWS: dict[str, list[tuple[Any, str]]] = {
    "the bridge refused": [
        ({"error": "Email is already registered"}, "The bridge refused: Email is already registered."),
        (MetadiskError({"error": "Bucket not found!"}), "The bridge refused: Bucket not found!"),
    ],
    "no connection": [
        (
            URLError(ConnectionRefusedError(111, "Connection refused")),
            f"Nothing answers at the bridge at {PLACE}: the connection was refused.",
        ),
        (
            URLError(socket.gaierror(-2, "Name or service not known")),
            f"The bridge at {PLACE} was not found: check the address and the network.",
        ),
        (
            URLError(untrusted()),
            f"The certificate of the bridge at {PLACE} cannot be trusted: certificate has expired.",
        ),
        (URLError(ssl.SSLError(1, "x")), f"The bridge at {PLACE} makes no TLS connection: it may not speak TLS."),
        (URLError(TimeoutError("timed out")), f"The bridge at {PLACE} could not be reached in time."),
        (
            URLError(os_error(errno.ENETUNREACH)),
            f"The bridge at {PLACE} cannot be reached: Network is unreachable.",
        ),
        (URLError("407 Proxy"), f"The bridge at {PLACE} cannot be reached: 407 Proxy."),
        (URLError("malformed endpoint 'x': expected"), "Malformed endpoint 'x': expected."),
    ],
    "the connection was reset": [
        (os_error(errno.ECONNRESET), f"The connection to the bridge at {PLACE} was lost."),
        (BrokenPipeError(), f"The connection to the bridge at {PLACE} was lost."),
    ],
    "no reply in time": [(TimeoutError("timed out"), f"The bridge at {PLACE} did not answer in time.")],
    "the bridge closed the connection": [
        (RemoteDisconnected("x"), f"The bridge at {PLACE} closed the connection without a reply.")
    ],
    "a reply that ends too early": [(IncompleteRead(b"x", 5), f"The reply of the bridge at {PLACE} ended too early.")],
    "a reply that is not HTTP": [
        (BadStatusLine("SSH"), f"The bridge at {PLACE} does not speak HTTP: it may not be a bridge.")
    ],
    "a reply that is too large": [
        (HTTPException("too large"), f"The reply of the bridge at {PLACE} cannot be used: too large."),
    ],
    "a reply that is not JSON, with status 400": [
        (http_error(502, "Bad Gateway"), f"The bridge at {PLACE} answered with an error: 502 Bad Gateway."),
        (
            http_error(302, "Found"),
            f"The bridge at {PLACE} redirected the call (302 Found), and pymdc does not follow this redirect.",
        ),
    ],
    "a reply that is not JSON, with a status below": [("", ""), ("text", ""), (b"\xff", "")],
    "the file to upload": [
        (os_error(errno.ENOENT, "a.txt"), "There is no file a.txt."),
        (os_error(errno.EISDIR, "photos"), "photos is a folder, not a file."),
        (os_error(errno.ENOTDIR, "a.txt/b"), "There is no folder for a.txt/b."),
        (os_error(errno.EACCES, "a.txt"), "You have no permission to use the file a.txt."),
        (os_error(errno.ENOSPC), "No space left on device."),
        (
            OSError(errno.EBUSY, "the file changed while it was sent", "a.txt"),
            "The file a.txt changed while it was sent.",
        ),
        (OSError(errno.EBUSY, "the file changed while it was sent"), "The file changed while it was sent."),
        (OSError(), "The system reports an error."),
    ],
    "the download cannot be written": [
        (os_error(errno.EEXIST, "a.txt"), "The file a.txt exists already."),
        (os_error(errno.ENOSPC, "a.txt"), "The file a.txt cannot be used: No space left on device."),
    ],
    "content that does not match": [
        (IntegrityError("the shard ff came with other content"), "The content does not match its hash: the shard"),
    ],
    "a farmer refused": [
        (ChannelError("the farmer refused"), "A farmer did not give its part of the file: the farmer refused."),
    ],
    "the call was cancelled": [(CancelledError(), "The call was cancelled.")],
    "anything else": [
        (ZeroDivisionError("a defect"), "Something went wrong: ZeroDivisionError: a defect."),
    ],
}


def test_every_row_of_the_table_of_errors_is_explained() -> None:
    table = re.findall(r"^\| (?!what happened|-)(.*?) \|", section("docs/guide.md", "### 7. Errors"), re.M)
    assert len(table) == len(ROWS) > 10
    for row, begin in zip(table, ROWS, strict=True):
        assert row.startswith(begin)


@pytest.mark.parametrize(("value", "said"), [pair for pairs in ROWS.values() for pair in pairs], ids=repr)
def test_each_value_is_explained_in_one_sentence(value: Any, said: str) -> None:
    if isinstance(value, Exception):
        at_host(value, PLACE)
    text = explain(value)
    assert text.startswith(said)
    assert "Errno" not in text
    assert "\n" not in text
    assert text == "" or text.endswith((".", "!"))


@pytest.mark.parametrize("value", [{"id": "1"}, {}, [], [{"error": "no"}], "", "error", None, 0, False])
def test_a_result_needs_no_explanation(value: Any) -> None:
    assert explain(value) == ""


def test_an_explanation_without_a_host_says_the_bridge() -> None:
    assert explain(TimeoutError()) == "The bridge did not answer in time."
    assert explain(RuntimeError("[Errno 5] x\n [WinError 10061] y")) == "Something went wrong: RuntimeError: x y."


def test_a_value_keeps_the_host_that_it_knows() -> None:
    error = at_host(at_host(TimeoutError(), "farmer.test"), "bridge.test")
    assert explain(error) == "The bridge at farmer.test did not answer in time."


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


def test_values_of_real_calls_name_the_host_in_both_modes() -> None:
    with refusing_port() as port:
        with Client(f"http://{HOST}:{port}") as one:
            values: list[Any] = []
            REST("GET", "/a", callback=values.append, client=one).join()
            values.append(REST("GET", "/a", client=one))
        said = f"Nothing answers at {HOST}:{port}: the connection was refused."
        assert [explain(value).replace("the bridge at ", "") for value in values] == [said] * 2
    with Server(silent) as server, Client(server.url, timeout=Timeout(read=0.05)) as one:
        assert explain(REST("GET", "/a", client=one)) == f"The bridge at {HOST}:{server.port} did not answer in time."
    with Server(answering(lambda _: reply_bytes(200, "[]")), context=server_context()) as server:
        with Client(server.url) as one:
            text = explain(REST("GET", "/a", client=one))
        assert text.startswith(f"The certificate of the bridge at {HOST}:{server.port} cannot be trusted")
        with Client(server.url, verify=client_context()) as one:
            assert explain(REST("GET", "/a", client=one)) == ""


def test_values_of_real_uploads_name_the_file(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1") as one:
        files = Files("1", pymdc.keypair.ECDSA(), client=one)
        missing = tmp_path / "missing.txt"
        assert explain(files.upload(missing, "token")) == f"There is no file {missing}."
        assert explain(files.upload(tmp_path, "token")) == f"{tmp_path} is a folder, not a file."


def test_the_package_has_explain() -> None:
    assert pymdc.explain is explain

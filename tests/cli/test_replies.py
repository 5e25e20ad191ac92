"""A server that is not a bridge, or answers in another shape: each command ends with one line and code 5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from pymdc.cli.failures import Failure
from pymdc.cli.replies import entries, entry, keys_of

from .typist import Typist

KEY = "02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
BUCKET = {"id": "ab" * 12, "name": "b", "pubkeys": None}


class Stranger(ThreadingHTTPServer):
    """A server with fixed answers. It follows no recording: it is no bridge.

    Attributes:
        answers: by path; "" is for all other paths.
    """

    daemon_threads = True
    answers: dict[str, bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self.server.answers.get(urlsplit(self.path).path, self.server.answers[""])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library names them

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with Stranger(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def environment(server: Stranger) -> dict[str, str]:
    return {
        "STORJ_BRIDGE": server.url,
        "STORJ_BRIDGE_USER": "somebody@example.com",
        "STORJ_BRIDGE_PASS": "a password",
    }


COMMANDS = [
    "ls",
    "ls storj://b/",
    "cat storj://b/x",
    "rm -y storj://b/x",
    "sync {folder} storj://b/",
    "sync storj://b/ {folder}/new",
    "mirror storj:// {folder}/new",
    "mb new",
    "rb -y b",
    "bucket show b",
    "du",
    "find",
    "token b pull",
    "whoami",
    "keys",
    f"keys add {KEY}",
    f"keys rm {KEY}",
    "register somebody@example.com",
    f"activate {'a' * 64}",
    "login somebody@example.com",
]


@pytest.mark.parametrize("answer", ["<html>", "null", "[null]", '[{"name": "b"}]'])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_of_another_shape_is_one_line(
    command: str, answer: str, stranger: Stranger, typist: Typist, tmp_path: Path
) -> None:
    stranger.answers = {"": answer.encode()}
    arguments = command.format(folder=tmp_path).split()
    words = typist.failed(5, *arguments, env=environment(stranger))
    assert words.startswith("the answer is not what a bridge of the Metadisk API sends. Check the URL")


@pytest.mark.parametrize(
    "command", ["token b pull", f"bucket grant b {KEY}", "bucket set b --name new", "mb new", "keys import {key}"]
)
def test_an_answer_about_a_bucket_can_have_another_shape_too(
    command: str, stranger: Stranger, typist: Typist, tmp_path: Path
) -> None:
    stranger.answers = {"/buckets": json.dumps([BUCKET]).encode(), "": b"[]"}
    key = tmp_path / "key"
    key.write_text("01" * 32)
    assert typist.failed(5, *command.format(key=key).split(), env=environment(stranger))


def test_a_mirror_is_not_sent_to_a_server_that_makes_no_bucket(
    stranger: Stranger, typist: Typist, tmp_path: Path
) -> None:
    (tmp_path / "buckets").mkdir()
    bucket = {"id": "1", "name": "c", "storage": 1, "transfer": 1, "pubkeys": []}
    manifest = {"bridge": "", "account": None, "keys": [], "buckets": [{"folder": "c", "bucket": bucket, "files": []}]}
    (tmp_path / "mirror.json").write_text(json.dumps(manifest))
    stranger.answers = {"": b"[]"}
    assert typist.failed(5, "mirror", str(tmp_path), "storj://", env=environment(stranger))


def test_a_bucket_without_a_name_is_listed_by_its_id(stranger: Stranger, typist: Typist) -> None:
    stranger.answers = {"/buckets": b'[{"id": "abc", "name": 7}]', "": b"[]"}
    assert typist.done("ls", env=environment(stranger)) == "\tabc\n"
    assert typist.done("du", env=environment(stranger)) == "0\t0\tstorj://abc/\n"


def test_an_answer_of_the_right_shape_is_returned() -> None:
    assert entry({"id": "x", "size": 3}, "id") == {"id": "x", "size": 3}
    assert entries([{"id": "x"}], "id") == [{"id": "x"}]
    assert (keys_of({"pubkeys": [1]}), keys_of({})) == ([1], [])


@pytest.mark.parametrize("value", [{"id": 3}, {}, [], "", None, {"error": "no", "id": "x"}])
def test_an_answer_of_a_wrong_shape_is_a_failure(value: Any) -> None:
    with pytest.raises(Failure):
        entry(value, "id")

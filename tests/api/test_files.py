"""The files in a bucket."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from multipart import PushMultipartParser  # type: ignore[import-untyped]

from pymdc import Client, api, config
from pymdc.api.files import Files
from pymdc.core.hashes import content_hash
from pymdc.errors import IntegrityError
from pymdc.keypair import ECDSA

from ..core.test_wire import verify
from . import positional
from .conftest import Ask, Scripted, recorded

PAIR = ECDSA(private_key="11" * 32)
ID = "56ef0d0656ea9c0d1f8e4e1a"
DATA = b"some content\r\n--"
HASH = content_hash(hashlib.sha256(DATA).hexdigest())
STORED = recorded("upload", bucket=ID, filename="a.txt", size=len(DATA), hash=HASH)
CREDENTIALS = {"authorization", "x-signature", "x-pubkey"}


@pytest.fixture
def files(client: Client) -> Files:
    return Files(ID, PAIR, client=client)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(DATA)
    return path


def test_the_signatures_are_those_of_2016() -> None:
    assert api.Files is Files
    assert positional(Files) == "bucket_id, key_pair"
    assert positional(Files.list) == "self, callback=None"
    assert positional(Files.token) == "self, operation, callback=None"
    assert positional(Files.upload) == "self, path, token=None, callback=None"
    assert positional(Files.download) == "self, file_hash, token=None, callback=None"
    assert positional(Files.pointers) == "self, file_hash, token, callback=None"
    assert positional(Files.delete) == "self, file_hash, callback=None"


@pytest.mark.parametrize("bucket_id", [ID, {"id": ID, "name": "photos"}, ID.encode()])
def test_the_bucket_is_known_by_its_id_or_the_result_of_create(bucket_id: Any) -> None:
    assert Files(bucket_id, PAIR).bucket_id == Files(bucket_id=bucket_id, key_pair=PAIR).bucket_id == ID


@pytest.mark.parametrize("wrong", [None, "", {}, {"error": "no"}, OSError("x")])
def test_a_wrong_id_raises_at_once(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected a bucket's id"):
        Files(wrong, PAIR)


def test_listing_is_signed(bridge: Scripted, files: Files, ask: Ask) -> None:
    value = bridge.plays("list files")
    assert ask(files.list) == value
    assert bridge.line == ("GET", f"/base/buckets/{ID}/files")
    verify(bridge.request)


@pytest.mark.parametrize("operation", ["PUSH", "PULL"])
def test_a_token_is_asked_for_by_its_operation(bridge: Scripted, files: Files, ask: Ask, operation: str) -> None:
    value = bridge.plays(f"token {operation}")
    assert ask(files.token, operation) == value
    assert bridge.line == ("POST", f"/base/buckets/{ID}/tokens")
    body = json.loads(bridge.request.content)
    assert isinstance(body.pop("__nonce"), int)
    assert body == {"operation": operation}
    verify(bridge.request)


def test_an_operation_that_is_not_text_raises_at_once(bridge: Scripted, files: Files) -> None:
    with pytest.raises(TypeError, match="an operation is 'PUSH' or 'PULL', not int"):
        files.token(5)  # type: ignore[call-overload]
    assert bridge.asked == []


# Uploads


def parts(request: Any) -> list[tuple[str | None, str | None, str | None, bytes]]:
    parser = PushMultipartParser(request.headers["content-type"].partition("boundary=")[2], strict=True)
    found: list[list[Any]] = []
    for event in (*parser.parse(request.content), *parser.parse(b"")):
        if isinstance(event, bytes | bytearray):
            found[-1][3] += event
        elif event is not None:
            found.append([event.name, event.filename, event.content_type, b""])
    return [(name, file_name, kind, content) for name, file_name, kind, content in found]


@pytest.mark.parametrize("token", ["t0ken", {"token": "t0ken", "operation": "PUSH", "id": "x"}, b"t0ken"])
def test_an_upload_puts_the_file_with_its_token_and_no_other_credentials(
    bridge: Scripted, files: Files, ask: Ask, file: Path, token: Any
) -> None:
    value = bridge.says(STORED)
    assert ask(files.upload, file, token) == value
    assert bridge.line == ("PUT", f"/base/buckets/{ID}/files")
    assert bridge.request.url.query == b""
    headers = bridge.request.headers
    assert (headers["x-token"], headers["x-filesize"]) == ("t0ken", str(len(DATA)))
    assert headers["content-length"] == str(len(bridge.request.content))
    assert "transfer-encoding" not in headers
    assert not CREDENTIALS & set(headers)
    nonce, id_, sent = parts(bridge.request)
    assert (nonce[0], nonce[3].isdigit()) == ("__nonce", True)
    assert (id_[0], id_[3]) == ("id", ID.encode())
    assert sent == ("file", "a.txt", "text/plain", DATA)
    assert os.fspath(file.parent).encode() not in bridge.request.content


@pytest.mark.parametrize("kind", [str, Path])
def test_the_path_may_be_text_or_a_path(bridge: Scripted, files: Files, file: Path, kind: Any) -> None:
    bridge.says(STORED)
    assert files.upload(path=kind(os.fspath(file)), token="t") == STORED


def test_an_empty_file_can_be_uploaded(bridge: Scripted, files: Files, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    value = bridge.plays("upload: empty file")
    assert ask(files.upload, tmp_path / "empty", "t") == value
    assert bridge.request.headers["x-filesize"] == "0"
    assert parts(bridge.request)[-1] == ("file", "empty", "application/octet-stream", b"")


def test_a_bridge_that_stored_something_else_is_an_integrity_error(
    bridge: Scripted, files: Files, ask: Ask, file: Path
) -> None:
    bridge.says({**STORED, "hash": "00" * 20})
    value = ask(files.upload, file, "t")
    assert isinstance(value, IntegrityError)
    assert HASH in str(value)
    assert "00" * 20 in str(value)


def test_a_refused_upload_is_the_documented_dict(bridge: Scripted, files: Files, ask: Ask, file: Path) -> None:
    refusal = bridge.plays("upload: reused token")
    assert ask(files.upload, file, "t") == refusal == {"error": "Invalid or expired token"}


def test_a_file_that_cannot_be_read_is_a_value(bridge: Scripted, files: Files, ask: Ask, tmp_path: Path) -> None:
    assert isinstance(ask(files.upload, tmp_path / "missing", "t"), FileNotFoundError)
    assert isinstance(ask(files.upload, tmp_path, "t"), IsADirectoryError)
    assert isinstance(ask(files.upload, os.devnull, "t"), OSError)
    assert bridge.asked == []


@pytest.mark.parametrize("wrong", [None, 5, {}])
def test_a_wrong_path_raises_at_once(bridge: Scripted, files: Files, ask: Ask, wrong: Any) -> None:
    with pytest.raises(TypeError):
        ask(files.upload, wrong, "t")
    assert bridge.asked == []


@pytest.mark.parametrize("wrong", [{"name": Path("x")}, {"name": 5}, {"mimetype": 5}, {"mimetype": "a\r\nb: c"}])
def test_a_wrong_name_or_mime_type_raises_at_once(
    bridge: Scripted, files: Files, ask: Ask, file: Path, wrong: Any
) -> None:
    with pytest.raises((TypeError, ValueError)):
        ask(files.upload, file, "t", **wrong)
    assert bridge.asked == []


def test_name_and_mime_type_stand_in_for_those_of_the_file(
    bridge: Scripted, files: Files, ask: Ask, file: Path
) -> None:
    bridge.says(STORED)
    assert ask(files.upload, file, "t", name='é "b".jpg', mimetype="x/y") == STORED
    assert b'filename="\xc3\xa9 \\"b\\".jpg"\r\nContent-Type: x/y\r\n' in bridge.request.content


def test_content_and_open_files_are_uploaded(bridge: Scripted, files: Files, ask: Ask, file: Path) -> None:
    bridge.says(STORED)
    assert ask(files.upload, DATA, "t") == STORED
    assert ask(files.upload, io.BytesIO(b"x" + DATA[1:]), "t", name="x").__class__ is IntegrityError
    with file.open("rb") as opened:
        assert files.upload(opened, "t") == STORED
        assert not opened.closed
    assert parts(bridge.asked[-1])[-1] == ("file", "a.txt", "text/plain", DATA)


def test_an_upload_without_a_token_asks_for_its_own(bridge: Scripted, files: Files, ask: Ask, file: Path) -> None:
    bridge.says({"token": "its-own", **STORED})
    assert ask(files.upload, file) == {"token": "its-own", **STORED}
    assert [request.method for request in bridge.asked] == ["POST", "PUT"]
    assert json.loads(bridge.asked[0].content)["operation"] == "PUSH"
    verify(bridge.asked[0])
    assert bridge.asked[1].headers["x-token"] == "its-own"


def test_a_refusal_to_give_a_token_is_the_value(bridge: Scripted, files: Files, ask: Ask, file: Path) -> None:
    refusal = bridge.plays("token: unknown bucket")
    assert ask(files.upload, file) == refusal
    assert ask(files.download, HASH) == refusal
    assert [request.method for request in bridge.asked] == ["POST", "POST"]


@pytest.mark.parametrize("reply", [5, {}, {"token": 5}, {"token": ""}, {"token": "a\nb"}, {"token": "é"}, []])
def test_a_bridge_that_gives_no_token_is_an_http_exception(
    bridge: Scripted, files: Files, ask: Ask, file: Path, reply: Any
) -> None:
    bridge.says(reply)
    for value in (ask(files.upload, file), ask(files.download, HASH)):
        assert type(value) is HTTPException
        assert str(value) == "the bridge did not answer with a token"


def test_no_token_is_asked_for_if_the_file_cannot_be_read(
    bridge: Scripted, files: Files, ask: Ask, tmp_path: Path
) -> None:
    assert isinstance(ask(files.upload, tmp_path / "missing"), FileNotFoundError)
    assert bridge.asked == []


def test_an_uploads_progress_is_told_up_to_its_size(bridge: Scripted, files: Files, ask: Ask, tmp_path: Path) -> None:
    bridge.says({})
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    reports: list[tuple[int, int | None]] = []
    assert ask(files.upload, tmp_path / "large", "t", progress=lambda *report: reports.append(report)) == {}
    assert reports[-1] == (3_000_000, 3_000_000)
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    reports.clear()
    assert ask(files.upload, b"", "t", progress=lambda *report: reports.append(report)) == {}
    assert reports[-1] == (0, 0)


def test_deleting_is_signed(bridge: Scripted, files: Files, ask: Ask) -> None:
    bridge.plays("file delete")
    assert ask(files.delete, STORED) == ""
    assert bridge.line == ("DELETE", f"/base/buckets/{ID}/files/{HASH}")
    verify(bridge.request)


@pytest.mark.parametrize("wrong", ["", 5, {}, {"error": "Not authorized"}, OSError("x"), "t\r\nx: y", "é"])
def test_a_wrong_token_raises_at_once(bridge: Scripted, files: Files, ask: Ask, file: Path, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="token"):
        ask(files.upload, file, wrong)
    with pytest.raises((TypeError, ValueError), match="token"):
        ask(files.download, HASH, wrong)
    assert bridge.asked == []


def test_each_upload_has_a_nonce_of_its_own(bridge: Scripted, files: Files, file: Path) -> None:
    bridge.says(STORED)
    files.upload(file, "t")
    files.upload(file, "t")
    first, second = (int(parts(request)[0][3]) for request in bridge.asked)
    assert first < second


# Pointers


@pytest.mark.parametrize("file_hash", [HASH, STORED, HASH.encode()])
@pytest.mark.parametrize("token", ["t0ken", {"token": "t0ken", "operation": "PULL"}])
def test_pointers_are_asked_for_with_their_token_alone(
    bridge: Scripted, files: Files, ask: Ask, file_hash: Any, token: Any
) -> None:
    value = bridge.plays("pointers")
    assert ask(files.pointers, file_hash, token) == value
    assert bridge.line == ("GET", f"/base/buckets/{ID}/files/{HASH}")
    assert bridge.request.headers["x-token"] == "t0ken"
    assert not CREDENTIALS & set(bridge.request.headers)


@pytest.mark.parametrize("wrong", [None, "", {}, {"error": "no"}, IntegrityError("x")])
def test_a_wrong_hash_raises_at_once(bridge: Scripted, files: Files, ask: Ask, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected a file's hash"):
        ask(files.download, wrong, "t")
    assert bridge.asked == []


def test_a_callback_that_cannot_be_called_raises_at_once(bridge: Scripted, files: Files, file: Path) -> None:
    with pytest.raises(TypeError, match="the callback must be callable"):
        files.upload(file, "t", callback="f")  # type: ignore[call-overload]
    assert bridge.asked == []


def test_an_upload_without_a_client_uses_the_default_one(
    bridge: Scripted, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://bridge.test:6382")
    bridge.says(STORED)
    assert Files(ID, PAIR).upload(file, "t") == STORED
    assert bridge.line == ("PUT", f"/buckets/{ID}/files")


def test_an_upload_reads_the_file_that_was_there_when_it_was_called(
    files: Files, file: Path, bridge: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / file.name).write_bytes(b"something else")
    bridge.says(STORED)
    go = threading.Event()
    monkeypatch.chdir(tmp_path)
    for _ in range(config.WORKERS):
        files.list(callback=lambda value: go.wait(20))
    handle = files.upload(file.name, "t0k", callback=print)
    monkeypatch.chdir(tmp_path / "elsewhere")
    go.set()
    assert handle.result(20) == STORED

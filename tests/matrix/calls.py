"""The table of the calls, and the secrets that they carry."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymdc import Client
from pymdc.api import ECDSA, REST, Bucket, Buckets, Files, Keys, Users

from ..farmers import BUCKET, hash_of

__all__ = ["CALLS", "CONTENT", "DOWNLOADS", "FILE_HASH", "PAIR", "SECRETS", "Call"]

PAIR = ECDSA(private_key="3f8a71c2e5d90b64" * 4)
NAME, PASSWORD = "alice@example.com", "correct horse battery staple"
TOKEN, ACTIVATION = "token-of-the-bucket-31415926", "token-of-the-mail-27182818"
CONTENT = random.Random(5).randbytes(300_001)
FILE_HASH = hash_of(CONTENT)
_UPLOADED = bytes(range(256)) * 16 * 1024  # 4 MiB: more than the buffers of a connection take unread

_HASH = Users(NAME, PASSWORD).password_hash()
SECRETS = (
    PASSWORD,
    _HASH,
    base64.b64encode(f"{NAME}:{_HASH}".encode()).decode(),
    TOKEN,
    ACTIVATION,
    PAIR.get_private_key(),
    str(PAIR.private_key),
)
"""The secrets that must be seen nowhere. Signatures and the tokens of channels are added."""


@dataclass(frozen=True)
class Call:
    """One public call.

    Attributes:
        name: as the documentation writes it.
        method: that of the request which it makes; of a download, of those that it makes.
        make: makes it, given a client, a callback or `None`, and a folder of its own.
        transfer: "up", "down", or "".
        asks: whether a transfer asks for its own token first.
    """

    name: str
    method: str
    make: Callable[[Client, Any, Path], Any]
    transfer: str = ""
    asks: bool = False


def _user(client: Client) -> Users:
    return Users(NAME, PASSWORD, client=client)


def _keys(client: Client) -> Keys:
    return Keys(_user(client))


def _bucket(client: Client) -> Bucket:
    return Bucket(BUCKET, PAIR, client=client)


def _files(client: Client) -> Files:
    return Files(BUCKET, PAIR, client=client)


def _upload_path(client: Client, callback: Any, folder: Path) -> Any:
    path = folder / "up.bin"
    path.write_bytes(_UPLOADED)
    return _files(client).upload(path, TOKEN, callback)


def _download_path(client: Client, callback: Any, folder: Path) -> Any:
    return _files(client).download(FILE_HASH, TOKEN, callback, path=folder / "down.bin")


def _rest(method: str, auth: Callable[[Client], object]) -> Call:
    def make(client: Client, callback: Any, _folder: Path) -> Any:
        return REST(method, "/things", {"a": "b"}, auth(client), {"x-token": TOKEN}, callback, client=client)

    return Call(f"REST {method}", method, make)


_ALL = [
    Call("Users.register", "POST", lambda client, callback, _: _user(client).register(callback)),
    Call("Users.activate", "GET", lambda client, callback, _: _user(client).activate(ACTIVATION, callback)),
    Call("Keys.list", "GET", lambda client, callback, _: _keys(client).list(callback)),
    Call("Keys.create", "POST", lambda client, callback, _: _keys(client).create(PAIR, callback)),
    Call("Keys.delete", "DELETE", lambda client, callback, _: _keys(client).delete(PAIR, callback)),
    Call(
        "Buckets.create",
        "POST",
        lambda client, callback, _: Buckets(PAIR, client=client).create("b", 1, 1, [], callback),
    ),
    Call("Buckets.list", "GET", lambda client, callback, _: Buckets(PAIR, client=client).list(callback)),
    Call("Bucket.list", "GET", lambda client, callback, _: _bucket(client).list(callback)),
    Call("Bucket.patch", "PATCH", lambda client, callback, _: _bucket(client).patch({"name": "c"}, callback)),
    Call("Bucket.delete", "DELETE", lambda client, callback, _: _bucket(client).delete(callback)),
    Call("Files.list", "GET", lambda client, callback, _: _files(client).list(callback)),
    Call("Files.token", "POST", lambda client, callback, _: _files(client).token("PULL", callback)),
    Call("Files.upload of a path", "PUT", _upload_path, "up"),
    Call(
        "Files.upload of bytes", "PUT", lambda client, callback, _: _files(client).upload(b"abc", TOKEN, callback), "up"
    ),
    Call(
        "Files.download of bytes",
        "GET",
        lambda client, callback, _: _files(client).download(FILE_HASH, TOKEN, callback),
        "down",
    ),
    Call("Files.download to a path", "GET", _download_path, "down"),
    Call(
        "Files.upload without a token",
        "POST",
        lambda client, callback, _: _files(client).upload(b"abc", callback=callback),
        "up",
        asks=True,
    ),
    Call(
        "Files.download without a token",
        "POST",
        lambda client, callback, _: _files(client).download(FILE_HASH, callback=callback),
        "down",
        asks=True,
    ),
    Call("Files.pointers", "GET", lambda client, callback, _: _files(client).pointers(FILE_HASH, TOKEN, callback)),
    Call("Files.delete", "DELETE", lambda client, callback, _: _files(client).delete(FILE_HASH, callback)),
    _rest("GET", lambda client: PAIR),
    _rest("POST", _user),
    _rest("PUT", lambda client: PAIR),
    _rest("PATCH", _user),
    _rest("DELETE", lambda client: PAIR),
]

CALLS = {call.name: call for call in _ALL}

DOWNLOADS = [name for name, call in CALLS.items() if call.transfer == "down"]

"""A running bridge, and accounts that use it by plain HTTP, without the client's code."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import obstore
import sqlalchemy as sa
from obstore.store import LocalStore, ObjectStore, from_url
from websockets.sync.client import connect

from pymdc.bridge import cleaning
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread
from pymdc.bridge.settings import UPLOAD_LEASE_SECONDS, Settings
from pymdc.bridge.store import Store
from pymdc.bridge.store.tables import metadata
from pymdc.keypair import ECDSA

from .. import engines

BOUNDARY = "----rb7MA4YWxk"
PASSWORD = hashlib.sha256(b"password").hexdigest()
_numbers = itertools.count(1)
_nonces = itertools.count(time.time_ns() // 1_000_000)


def file_hash(data: bytes) -> str:
    """The hash of a file, computed without our own code."""
    digest = hashlib.new("ripemd160", usedforsecurity=False)
    digest.update(hashlib.sha256(data).hexdigest().encode())
    return digest.hexdigest()


def multipart(data: bytes, name: str | None = "hello.txt", kind: str | None = "text/plain") -> bytes:
    """A multipart body with one file in it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="data"'
    head += "" if name is None else f'; filename="{name}"'
    head += "" if kind is None else f"\r\nContent-Type: {kind}"
    return head.encode() + b"\r\n\r\n" + data + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass
class Person:
    """Somebody with an account, a password and a key pair."""

    bridge: Running
    email: str
    key: ECDSA = field(default_factory=ECDSA)

    @property
    def basic(self) -> tuple[str, str]:
        return self.email, PASSWORD

    def signed(
        self, method: str, path: str, sent: dict[str, Any] | None = None, key: ECDSA | None = None
    ) -> httpx.Request:
        """A signed request, with a nonce unless `sent` holds one."""
        sent = {"__nonce": next(_nonces), **(sent or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        in_body = method in ("POST", "PATCH", "PUT")
        payload = json.dumps(sent) if in_body else "&".join(f"{name}={value}" for name, value in sent.items())
        key = key or self.key
        headers = {"x-pubkey": key.get_public_key(), "x-signature": key.sign(f"{method}\n{path}\n{payload}")}
        url = path if in_body or not payload else f"{path}?{payload}"
        return self.bridge.http.build_request(method, url, content=payload if in_body else None, headers=headers)

    def send(
        self, method: str, path: str, sent: dict[str, Any] | None = None, key: ECDSA | None = None
    ) -> httpx.Response:
        """Send a signed request."""
        return self.bridge.http.send(self.signed(method, path, sent, key))

    def bucket(self, **fields: Any) -> str:
        """Make a bucket and return its id."""
        return str(self.send("POST", "/buckets", {"name": "a bucket", **fields}).json()["id"])

    def token(self, bucket: str, operation: str) -> str:
        """Return a token."""
        return str(self.send("POST", f"/buckets/{bucket}/tokens", {"operation": operation}).json()["token"])

    def put(
        self, bucket: str, body: bytes, size: int | str | None, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """Upload a multipart body."""
        sent = {
            "x-token": self.token(bucket, "PUSH") if token is None else token,
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
            **({} if size is None else {"x-filesize": str(size)}),
            **headers,
        }
        return self.bridge.http.put(f"/buckets/{bucket}/files", content=body, headers=sent)

    def upload(self, bucket: str, data: bytes, name: str = "hello.txt") -> httpx.Response:
        """Upload a file."""
        return self.put(bucket, multipart(data, name), len(data))

    def pointers(self, bucket: str, content: str, token: str | None = None) -> httpx.Response:
        """Ask for the pointers of a file."""
        token = self.token(bucket, "PULL") if token is None else token
        return self.bridge.http.get(f"/buckets/{bucket}/files/{content}", headers={"x-token": token})

    def download(self, bucket: str, content: str) -> bytes:
        """Fetch a file over the data channel."""
        return b"".join(fetch(pointer) for pointer in self.pointers(bucket, content).json())


@dataclass
class Running:
    """A bridge, and the mails that it has sent."""

    thread: BridgeThread
    http: httpx.Client
    data: Path
    mails: list[Mail]

    def person(self) -> Person:
        """Register and activate somebody new, with one key."""
        person = Person(self, f"person{next(_numbers)}@example.com")
        self.http.post("/users", json={"email": person.email, "password": PASSWORD}).raise_for_status()
        self.http.get(self.mails[-1].link).raise_for_status()
        key = {"key": person.key.get_public_key()}
        self.http.post("/keys", json=key, auth=person.basic).raise_for_status()
        return person

    @property
    def settings(self) -> Settings:
        return self.thread.settings

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement on the bridge's database, from outside. Each `?` stands for a value."""
        return run_sql(self.settings.database_url, statement, *values)

    def blobs(self) -> list[str]:
        """The names of all blobs in the store, half-written ones included."""
        return sorted(blob_names(self.settings))

    def lose(self, blob: str) -> None:
        """Remove a blob from the store, from outside."""
        obstore.delete(object_store(self.settings), blob)

    @contextmanager
    def without_store(self) -> Iterator[None]:
        """The store is away, and then back."""
        if "://" in self.settings.store_location:
            engines.shared_s3().stop()
            try:
                yield
            finally:  # the tests that follow need it
                engines.shared_s3().start()
        else:
            shards, elsewhere = self.data / "shards", self.data / "elsewhere"
            shards.rename(elsewhere)
            shards.write_text("in the way")
            try:
                yield
            finally:
                shards.unlink()
                elsewhere.rename(shards)


def run_sql(url: str, statement: str, *values: Any) -> list[Any]:
    """Run a statement on a database. Each `?` stands for a value."""
    with connected_to(url) as run:
        return run(statement, *values)


@contextmanager
def connected_to(url: str) -> Iterator[Callable[..., list[Any]]]:
    """Connect to a database. Give a function that runs statements as `run_sql` does, each in its own transaction."""
    with _engine(url).connect() as connection:

        def run(statement: str, *values: Any) -> list[Any]:
            names = [f"value{number}" for number in range(len(values))]
            for name in names:
                statement = statement.replace("?", f":{name}", 1)
            with connection.begin():
                done = connection.execute(sa.text(statement), dict(zip(names, values, strict=True)))
                return [tuple(row) for row in done] if done.returns_rows else []

        yield run


@cache
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the lock of a whole database, so that no other connection can write to it."""
    engine = _engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            tables = ", ".join(metadata.tables)
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        yield
        connection.rollback()


def object_store(settings: Settings) -> ObjectStore:
    """The store of the shards."""
    location = settings.store_location
    return from_url(location) if "://" in location else LocalStore(location)


def blob_names(settings: Settings) -> set[str]:
    """The names of all blobs in the store, half-written ones included, without the marker of the bridge."""
    if "://" not in settings.store_location:
        folder = Path(settings.store_location)
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    else:
        names = {item["path"] for page in obstore.list(object_store(settings)) for item in page}
    return names - {"identity"}


def settings_for(data: Path, **settings: Any) -> Settings:
    """Settings with the data in `data`, on the engines that are chosen: the same ones for the same folder."""
    return Settings(**{"data": data, "port": 0, **engines.chosen_for(data), **settings})


def cleaned(settings: Settings) -> None:
    """Clean up as any bridge on the same engines will do, once what is left there is old enough."""
    store, later = Store(settings.database_url), (UPLOAD_LEASE_SECONDS + 60) * 1000
    cleaning.sweep(store, Blobs(settings.store_location), time.time_ns() // 1_000_000 + later)
    store.close()


@contextmanager
def running(data: Path, **settings: Any) -> Iterator[Running]:
    """Run a bridge with its data in `data`."""
    mails: list[Mail] = []
    with (
        BridgeThread(settings_for(data, **{"on_mail": mails.append, **settings})) as thread,
        httpx.Client(base_url=thread.url, timeout=30, trust_env=False) as http,
    ):
        yield Running(thread, http, data, mails)


def until(bridge: Running, condition: Callable[[], object]) -> None:
    """Wait until a bridge has done something by itself. Requests to it serve as the clock."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        bridge.http.get("/nosuch")


def fetch(pointer: dict[str, str]) -> bytes:
    """Fetch the shard of a pointer; the channel must end with close 1000."""
    with connect(pointer["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(pointer))
        received = b"".join(message for message in socket if isinstance(message, bytes))
        assert socket.close_code == 1000
    return received

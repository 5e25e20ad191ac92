"""Lists of any length."""

from __future__ import annotations

import base64
import logging
import os
import tracemalloc
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from pymdc.bridge import peers
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.store import Entry
from pymdc.bridge.store import buckets as stored_buckets
from pymdc.bridge.store.files import Files
from pymdc.bridge.store.tables import bucket_keys, buckets, contents, entries, keys

from ..harness import Person, Running, until
from ..test_middleware import connected

MANY = 20_000 if os.environ.get("PYMDC_LARGE") else 6_000


def insert(bridge: Running, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    engine = sa.create_engine(bridge.settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)


def fill(bridge: Running, bucket: str, count: int, name: str = "n" * 100) -> list[str]:
    """Put many files into a bucket, and return their hashes in the order in which they are listed."""
    names = [f"{number:040x}" for number in range(count)]
    insert(bridge, contents, [{"hash": name, "size": 0, "references": 1} for name in names])
    about = {"bucket": bucket, "filename": name, "mimetype": "text/plain"}
    insert(bridge, entries, [{**about, "content": name} for name in names])
    return names


@pytest.fixture
def alice(own_bridge: Running) -> Person:
    return own_bridge.person()


def test_a_bucket_of_many_files_is_listed_in_order_within_little_memory(own_bridge: Running, alice: Person) -> None:
    bucket = alice.bucket()
    names = fill(own_bridge, bucket, MANY, name="n" * 1000)
    size = 0
    request = alice.signed("GET", f"/buckets/{bucket}/files")
    tracemalloc.start()
    reply = own_bridge.http.send(request, stream=True)
    for chunk in reply.iter_bytes():
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 6_000_000
    assert peak < size / 2, "the list as a whole was never in memory"
    assert "content-length" not in reply.headers
    again = alice.send("GET", f"/buckets/{bucket}/files").json()
    assert [file["hash"] for file in again] == names


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 300])
def test_a_list_of_any_length_is_whole(own_bridge: Running, alice: Person, count: int) -> None:
    bucket = alice.bucket()
    if count:
        names = fill(own_bridge, bucket, count)
    reply = alice.send("GET", f"/buckets/{bucket}/files")
    assert [file["hash"] for file in reply.json()] == (names if count else [])
    assert ("content-length" in reply.headers) == (count < 100)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


def test_many_buckets_and_keys_are_listed_in_order(own_bridge: Running, alice: Person) -> None:
    about = {"email": alice.email, "storage": 1, "transfer": 1, "created": 1, "stored": 0, "sent": 0}
    names = [f"{number:024x}" for number in range(1200)]
    insert(own_bridge, buckets, [{**about, "id": name} for name in names])
    assert [bucket["id"] for bucket in alice.send("GET", "/buckets").json()] == names
    rows = [{"email": alice.email, "text": f"k{n}", "point": f"k{n}"} for n in range(2100)]
    insert(own_bridge, keys, rows)
    listed = [key["key"] for key in alice.send("GET", "/keys").json()]
    assert listed == [alice.key.get_public_key(), *(row["text"] for row in rows)]


def test_buckets_with_many_keys_are_listed_a_few_at_a_time(
    own_bridge: Running, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_buckets, "_KEYS", 100)
    made = [alice.bucket() for _ in range(5)]
    row = {"text": "t", "point": "p"}
    for bucket, count in zip(made, (60, 30, 200, 1, 1), strict=True):
        insert(own_bridge, bucket_keys, [{**row, "bucket": bucket, "position": n + 1} for n in range(count)])
    listed = alice.send("GET", "/buckets").json()
    assert [(bucket["id"], len(bucket["pubkeys"])) for bucket in listed] == list(
        zip(made, (61, 31, 201, 2, 2), strict=True)
    )


def test_a_long_list_has_no_body_for_head(own_bridge: Running, alice: Person) -> None:
    bucket = alice.bucket()
    fill(own_bridge, bucket, 600)
    reply = own_bridge.http.head(f"/buckets/{bucket}/files", auth=alice.basic)
    assert (reply.status_code, reply.content) == (200, b"")


def test_a_list_that_cannot_be_finished_ends_before_its_end(
    own_bridge: Running, alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pymdc.bridge")
    bucket = alice.bucket()
    fill(own_bridge, bucket, 600)
    page = Files.page

    def away(files: Files, bucket: str, after: int = 0) -> tuple[list[Entry], bool]:
        if after:
            raise Unavailable("The database is not available, try again later")
        return page(files, bucket, after)

    monkeypatch.setattr(Files, "page", away)
    with pytest.raises(httpx.RemoteProtocolError):
        alice.send("GET", f"/buckets/{bucket}/files")
    assert "the rest of a list was not sent: The database is not available" in caplog.text


def test_a_list_that_the_client_does_not_read_is_given_up(
    own_bridge: Running, alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pymdc.bridge")
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.1)
    bucket = alice.bucket()
    fill(own_bridge, bucket, 6000, name="n" * 2000)
    credentials = base64.b64encode(":".join(alice.basic).encode()).decode()
    with connected(own_bridge) as connection:
        request = f"GET /buckets/{bucket}/files HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n"
        connection.sendall(request.encode())
        until(own_bridge, lambda: "the client has gone, or does not read" in caplog.text)

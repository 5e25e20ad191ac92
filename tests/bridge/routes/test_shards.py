"""Direct downloads: pointers with URLs, and the bytes behind these URLs.

Where a test does not say otherwise, the shards lie in a folder, whatever the other tests use: from S3 the bytes do not
come from the bridge.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from pymdc.bridge.settings import CHANNEL_TOKEN_SECONDS

from ...engines import postgres_folder, shared_s3
from ..harness import Person, Running, fetch, file_hash, object_store, running

DATA = os.urandom((8 << 20) + 700_000)
DIRECT = {"x-direct": "1"}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bridge"), store=None) as bridge:
        yield bridge


@pytest.fixture
def own_bridge(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, store=None) as bridge:
        yield bridge


@pytest.fixture(scope="module")
def person(bridge: Running) -> tuple[Person, str]:
    alice = bridge.person()
    bucket = alice.bucket()
    assert alice.upload(bucket, DATA).status_code == 200
    return alice, bucket


def direct(person: Person, bucket: str, data: bytes = DATA) -> list[dict[str, str]]:
    """The pointers to a file for a client that asks for URLs."""
    headers = {"x-token": person.token(bucket, "PULL"), **DIRECT}
    found: list[dict[str, str]] = person.bridge.http.get(
        f"/buckets/{bucket}/files/{file_hash(data)}", headers=headers
    ).json()
    return found


def sent(bridge: Running, bucket: str) -> int:
    ((bytes_sent,),) = bridge.sql("SELECT sent FROM buckets WHERE id = ?", bucket)
    return int(bytes_sent)


def ask(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers={name.replace("_", "-"): text for name, text in headers.items()}, trust_env=False)


def test_a_client_that_asks_for_them_gets_the_urls_of_the_shards_in_order(person: tuple[Person, str]) -> None:
    pointers = direct(*person)
    assert [sorted(pointer) for pointer in pointers] == [["channel", "hash", "operation", "token", "url"]] * 2
    replies = [ask(pointer["url"]) for pointer in pointers]
    assert b"".join(reply.content for reply in replies) == DATA
    for pointer, reply in zip(pointers, replies, strict=True):
        assert reply.status_code == 200
        assert reply.headers["etag"] == f'"{pointer["hash"]}"'
        assert reply.headers["content-length"] == str(len(reply.content))


@pytest.mark.parametrize("value", ["0", "yes", ""])
def test_all_other_clients_get_the_pointers_of_2016(person: tuple[Person, str], value: str) -> None:
    alice, bucket = person
    headers = {"x-token": alice.token(bucket, "PULL"), "x-direct": value}
    reply = alice.bridge.http.get(f"/buckets/{bucket}/files/{file_hash(DATA)}", headers=headers)
    for pointer in reply.json():
        assert list(pointer) == ["hash", "token", "operation", "channel"]


@pytest.fixture(scope="module")
def second(person: tuple[Person, str]) -> str:
    """The URL of the second shard, whose bytes are `SECOND`."""
    return direct(*person)[1]["url"]


SECOND = DATA[8 << 20 :]
SIZE = len(SECOND)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, SIZE),
        ("BYTES=300000-600000", 300_000, 600_001),
        ("bytes=5-99999999", 5, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ],
)
def test_a_range_is_given(second: str, asked: str, start: int, stop: int) -> None:
    reply = ask(second, range=asked, if_range=f'"{file_hash(SECOND)}"')
    assert reply.status_code == 206
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert reply.content == SECOND[start:stop]


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=1-2,5-6"},
        {"range": "bytes=9-3"},
        {"range": "lines=1-2"},
        {"range": "bytes=-"},
        {"range": "bytes=0-"},
        {"range": f"bytes=-{SIZE + 5}"},
        {"range": "bytes=1-2", "if_range": '"another"'},
        {"range": "bytes=1-2", "if_range": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_a_range_that_is_not_understood_gives_the_whole_shard(second: str, headers: dict[str, str]) -> None:
    reply = ask(second, **headers)
    assert reply.status_code == 200
    assert reply.content == SECOND


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0"])
def test_a_range_without_bytes_is_refused(second: str, asked: str) -> None:
    reply = ask(second, range=asked)
    assert (reply.status_code, reply.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert reply.json() == {"error": "The shard has no such bytes"}


def test_head_tells_of_a_shard_without_its_bytes(second: str) -> None:
    reply = httpx.head(second, trust_env=False)
    assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, str(SIZE), b"")


def test_transfer_is_charged_once_when_the_url_is_given(person: tuple[Person, str]) -> None:
    alice, bucket = person
    before = sent(alice.bridge, bucket)
    pointers = direct(alice, bucket)
    assert sent(alice.bridge, bucket) == before + len(DATA)
    for _ in range(2):
        assert ask(pointers[1]["url"]).content == SECOND
    assert fetch(pointers[1]) == SECOND, "the channel serves too"
    assert sent(alice.bridge, bucket) == before + len(DATA)


def test_no_url_is_given_beyond_the_transfer_of_a_bucket(bridge: Running) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(transfer=1e-6), b"x" * 600
    alice.upload(bucket, data)
    (pointer,) = direct(alice, bucket, data)
    refused: Any = direct(alice, bucket, data)
    assert refused == {"error": "The transfer limit of the bucket is exceeded"}
    assert ask(pointer["url"]).content == data


def gone(url: str) -> bool:
    reply = ask(url)
    return (reply.status_code, reply.json()) == (404, {"error": "The requested shard was not found"})


def test_a_url_opens_its_shard_alone_and_only_with_its_token(person: tuple[Person, str]) -> None:
    alice, bucket = person
    first, second = direct(alice, bucket)
    base, _, token = first["url"].partition("?token=")
    assert gone(base)
    assert gone(f"{base}?token={token[:-1]}")
    assert gone(f"{base}?token={second['token']}")
    undirected = alice.pointers(bucket, file_hash(DATA)).json()[0]
    assert gone(f"{base}?token={undirected['token']}"), "it was not charged"


def test_a_url_ends_with_its_hour_its_file_and_its_bucket(bridge: Running) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(), os.urandom(1000)
    alice.upload(bucket, data)
    late, (deleted,), (bucketless,) = direct(alice, bucket, data), *(direct(alice, bucket, data) for _ in range(2))
    hour = CHANNEL_TOKEN_SECONDS * 1000
    bridge.sql("UPDATE channel_tokens SET expires = expires - ? WHERE shard = ?", hour, file_hash(data))
    assert gone(late[0]["url"])
    bridge.sql("UPDATE channel_tokens SET expires = expires + ? WHERE shard = ?", hour, file_hash(data))
    alice.send("DELETE", f"/buckets/{bucket}/files/{file_hash(data)}")
    assert gone(deleted["url"])
    other = alice.bucket()
    alice.upload(other, data)
    alice.send("DELETE", f"/buckets/{bucket}")
    assert gone(bucketless["url"])


@pytest.mark.parametrize("harm", ["lost", "empty", "cut"])
def test_a_shard_that_is_lost_or_cut_is_not_given_as_whole_and_is_mended(bridge: Running, harm: str) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(), os.urandom(600_000)
    alice.upload(bucket, data)
    (pointer,) = direct(alice, bucket, data)
    ((blob,),) = bridge.sql("SELECT blob FROM shards WHERE hash = ?", file_hash(data))
    bridge.lose(blob)
    if harm != "lost":
        obstore.put(object_store(bridge.settings), blob, b"" if harm == "empty" else data[:-1])
    if harm == "cut":
        with pytest.raises(httpx.RemoteProtocolError):
            ask(pointer["url"])
    else:
        assert ask(pointer["url"]).status_code == 500
    alice.upload(bucket, data)
    assert ask(pointer["url"]).content == data


def test_a_store_that_cannot_be_reached_is_reported(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    alice.upload(bucket, b"data")
    (pointer,) = direct(alice, bucket, b"data")
    with own_bridge.without_store():
        assert ask(pointer["url"]).status_code == 503


def test_the_urls_of_shards_begin_with_the_public_url(tmp_path: Path) -> None:
    with running(tmp_path, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, b"data")
    with running(tmp_path, store=None, public_url="https://bridge.example/") as bridge:
        (pointer,) = direct(Person(bridge, alice.email, alice.key), bucket, b"data")
        assert pointer["url"].startswith(f"https://bridge.example/shards/{file_hash(b'data')}?token=")


def test_the_access_log_holds_no_token(tmp_path: Path) -> None:
    with running(tmp_path, store=None, access_log=str(tmp_path / "log")) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, b"data")
        (pointer,) = direct(alice, bucket, b"data")
        assert ask(pointer["url"]).content == b"data"
    log = (tmp_path / "log").read_text()
    assert "/shards/" in log
    assert pointer["token"] not in log


@pytest.mark.skipif(postgres_folder() is None, reason="needs PostgreSQL")
def test_bytes_on_s3_do_not_pass_through_the_bridge(tmp_path: Path) -> None:
    with running(tmp_path, store=shared_s3().create("direct")) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, DATA)
        pointers = direct(alice, bucket)
        asked: list[Any] = [pointer["url"] for pointer in pointers]
    assert all(url.startswith(f"http://127.0.0.1:{shared_s3().port}/") for url in asked)
    assert b"".join(ask(url).content for url in asked) == DATA, "the bridge is not even running"
    assert ask(asked[1], range="bytes=10-19").content == SECOND[10:20]

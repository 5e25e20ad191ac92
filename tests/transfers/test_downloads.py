"""Downloads: the right bytes or the documented error, whatever the bridge and the farmers do."""

from __future__ import annotations

import errno
import gc
import random
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from pymdc import Timeout, config
from pymdc.errors import ChannelError, IntegrityError

from ..farmers import PAIR, Answer, Network, Shard, cut, hash_of, names_in, whole, whole_as_in_v066
from ..hostile import Connection, full_backlog, refusing_port
from .test_targets import limited

pytestmark = pytest.mark.usefixtures("_no_waiting")

POLL_SECONDS = config.POLL_SECONDS
LONG = 60.0  # a bound on what should take milliseconds; reaching it is a failure
HASTY = Timeout(connect=20, read=0.3, write=20, pool=20, transfer=20, channel=0.1)
DATA = random.Random(1).randbytes(450_000)
DOCUMENTED = (OSError, HTTPException, ChannelError, IntegrityError)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.02)


def noted(folder: Path) -> list[str]:
    """Give the hashes of the shards that an unfinished download has verified and kept."""
    found = []
    for part in folder.glob(".pymdc-*"):
        found += [line.split()[0] for line in (part / "journal").read_text().splitlines()]
        found += [each.name for each in part.iterdir() if len(each.name) == 40]
    return found


# The value of a download


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000, 100_001, 200_000, 450_000])
@pytest.mark.parametrize("answer", [whole, whole_as_in_v066])
def test_a_download_gives_the_bytes_and_with_a_path_the_file(answer: Any, size: int, tmp_path: Path) -> None:
    with Network(answer) as network:
        data = DATA[:size]
        file_hash = network.store(data)
        assert network.bucket().download(file_hash, network.token()) == data
        assert network.bucket().download(file_hash, network.token(), path=tmp_path / "x") == {
            "bucket": network.bucket().bucket_id,
            "mimetype": "a/b",
            "filename": "a.bin",
            "size": size,
            "hash": file_hash,
            "path": str(tmp_path / "x"),
        }
        assert (tmp_path / "x").read_bytes() == data
        assert names_in(tmp_path) == ["x"]


def test_the_entry_of_a_listing_is_accepted_and_the_bridge_is_not_asked_for_it_again(tmp_path: Path) -> None:
    with Network() as network:
        entry = network.files[network.store(DATA)][0]
        value = network.bucket().download(entry, network.token(), path=tmp_path)
        assert value == {**entry, "path": str(tmp_path / "a.bin")}
        assert len(network.bridge_asked) == 1


def test_without_a_token_a_download_makes_its_own() -> None:
    with Network() as network:
        assert network.bucket().download(network.store(DATA)) == DATA
        assert [request.method for request in network.bridge_asked] == ["POST", "GET"]
        assert network.bridge_asked[0].json["operation"] == "PULL"


def test_a_token_alone_is_enough_if_the_bridge_lists_nothing(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        value = network.bucket(None).download(file_hash, network.token(), path=tmp_path)
        assert value["filename"] == file_hash
        assert value["mimetype"] is None
        assert Path(value["path"]) == tmp_path / file_hash
        assert (tmp_path / file_hash).read_bytes() == DATA


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..", None),
        ("C:\\x\\..\\evil.exe", "evil.exe"),
        ("C:evil", "C_evil"),
        ("con.txt", "_con.txt"),
        ("a\nb\x00c", "a_b_c"),
        ("漢字 é🖇.txt", "漢字 é🖇.txt"),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_in_a_folder_a_file_has_its_own_name_made_safe(name: Any, safe: str | None, tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA, name=name)
        value = network.bucket().download(file_hash, path=tmp_path)
        assert value["path"] == str(tmp_path / (safe or file_hash))
        assert names_in(tmp_path) == [safe or file_hash]


def test_a_hash_that_would_lead_elsewhere_makes_no_folder_elsewhere(tmp_path: Path) -> None:
    """A hostile bridge may list what it likes."""
    inner = tmp_path / "inner"
    inner.mkdir()
    with Network() as network:
        network.files["x"] = ({}, [])
        entry = {"hash": "../../x", "size": 0}
        value = network.bucket().download(entry, path=inner)
        assert isinstance(value, DOCUMENTED) or "error" in value
    assert names_in(tmp_path) == ["inner"]
    assert names_in(inner) == []


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with Network() as network:
        network.bucket().download(network.store(DATA), path=tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA


def test_in_a_folder_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    with Network() as network:
        file_hash, other = network.store(DATA), network.store(DATA[:10])
        assert network.bucket().download(file_hash, path=tmp_path)["path"] == str(tmp_path / "a (2).bin")
        assert network.bucket().download(other, path=tmp_path)["path"] == str(tmp_path / "a (3).bin")
    assert names_in(tmp_path) == ["a (2).bin", "a (3).bin", "a.bin"]
    assert [(tmp_path / name).read_bytes() for name in names_in(tmp_path)] == [DATA, DATA[:10], b"old"]


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize(
    ("exists", "names"), [("replace", ["a.bin"]), ("rename", ["a (2).bin", "a.bin"]), ("error", ["a.bin"])]
)
def test_exists_says_what_happens_to_a_file_that_is_there(
    exists: str, names: list[str], folder: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    with Network() as network:
        file_hash = network.store(DATA)
        path = tmp_path if folder else tmp_path / "a.bin"
        value = network.bucket().download(file_hash, network.token(), path=path, exists=exists)
        assert isinstance(value, FileExistsError) == (exists == "error")
        assert len(network.bucket_tokens) == (exists == "error")
    assert names_in(tmp_path) == names
    assert ((tmp_path / "a.bin").read_bytes() == b"old") == (exists != "replace")


def test_a_file_that_appears_during_a_download_is_not_replaced_if_exists_is_error(tmp_path: Path) -> None:
    def make_it(shard: Shard) -> None:
        (tmp_path / "x").write_bytes(b"other")
        whole(shard)

    with Network(make_it) as network:
        file_hash = network.store(DATA[:10])
        value = network.bucket().download(file_hash, path=tmp_path / "x", exists="error")
        assert isinstance(value, FileExistsError)
        assert value.filename == str(tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == b"other"
        assert network.bucket().download(file_hash, path=tmp_path / "x", exists="rename")["size"] == 10
    assert len(network.asked) == 1
    assert names_in(tmp_path) == ["x", "x (2)"]


@pytest.mark.parametrize("exists", ["Replace", "", 5, True])
def test_a_wrong_exists_raises_at_once(exists: Any, tmp_path: Path) -> None:
    with Network() as network, pytest.raises(ValueError, match="exists is one of 'replace', 'rename', 'error'"):
        network.bucket().download("00" * 20, path=tmp_path / "x", exists=exists)
    with pytest.raises(ValueError, match="it needs path="):
        network.bucket().download("00" * 20, exists="error")
    assert network.bridge_asked == []


@pytest.mark.parametrize("wrong", [{"path": 5}, {"path": b"x"}, {"progress": 5}])
def test_a_wrong_path_or_progress_raises_at_once(wrong: dict[str, Any]) -> None:
    with Network() as network, pytest.raises(TypeError, match=r"a path is a str|progress must be callable"):
        network.bucket().download("00" * 20, **wrong)
    assert network.bridge_asked == []


@pytest.mark.parametrize("name", [".bashrc", "..bashrc", " .bashrc", "x/.bashrc"])
def test_a_name_from_the_bridge_never_makes_a_hidden_file(name: str, tmp_path: Path) -> None:
    with Network() as network:
        network.bucket().download(network.store(DATA, name=name), path=tmp_path)
    assert names_in(tmp_path) == ["bashrc"]


@pytest.mark.parametrize("written", [str.upper, lambda text: f" {text}\n", lambda text: {"hash": text.upper()}])
def test_a_hash_may_be_written_in_upper_case_and_with_spaces(written: Any, tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        token = f" {network.token()}\n"
        value = network.bucket().download(written(file_hash), token, path=tmp_path / "x")
        assert value["hash"] == file_hash
        assert len(network.bucket().pointers(written(file_hash), network.token())) == 5


def test_a_path_of_a_missing_folder_is_a_value_and_no_token_is_spent(tmp_path: Path) -> None:
    with Network() as network:
        value = network.bucket().download(network.store(DATA), network.token(), path=tmp_path / "no" / "x")
        assert isinstance(value, FileNotFoundError)
        assert len(network.bucket_tokens) == 1


def test_a_folder_of_the_files_own_name_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with Network() as network:
        file_hash = network.store(DATA)
        value = network.bucket().download(file_hash, network.token(), path=tmp_path, exists="replace")
        assert isinstance(value, IsADirectoryError)
        assert len(network.bucket_tokens) == 1
        assert network.bucket().download(file_hash, path=tmp_path)["path"] == str(tmp_path / "a (2).bin")
    assert names_in(tmp_path) == ["a (2).bin", "a.bin"]


def test_a_refusal_of_the_bridge_is_the_value_and_leaves_nothing(tmp_path: Path) -> None:
    with Network() as network:
        refusal = {"error": "The requested file was not found"}
        assert network.bucket().download("00" * 20, path=tmp_path / "x") == refusal
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "answer",
    [b"5", b'"x"', b"[5]", b'[{"hash": 5}]', b'[{"hash": "xyz"}]', b'[{"token": "x"}]', b"{}", b"hello", b"null"],
)
def test_pointers_that_are_not_a_list_are_a_channel_error(answer: bytes) -> None:
    with Network() as network:
        network.spoil = lambda connection, reply: connection.reply(200, answer)
        value = network.bucket().download("00" * 20, "token")
        assert isinstance(value, ChannelError)
        assert str(value) == "the bridge did not answer with pointers"


@pytest.mark.parametrize("wrong", [{"channel": None}, {"token": 5}, {"channel": "http://h"}, {"channel": "ws://h:x"}])
def test_a_pointer_to_nowhere_is_a_channel_error(wrong: dict[str, Any]) -> None:
    with Network() as network:
        file_hash = network.store(b"x")
        make = network._pointer
        network._pointer = lambda shard: {**make(shard), **wrong}  # type: ignore[method-assign]
        assert isinstance(network.bucket().download(file_hash), ChannelError)


def mixed(*uploads: list[bytes]) -> list[bytes]:
    """Mix the shards of several uploads as the bridges of 2016 do: the first of each, the second of each, ..."""
    return [shard for shards in zip(*uploads, strict=True) for shard in shards]


@pytest.mark.parametrize("to_path", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("true", [0, 1, 2])
def test_the_shards_of_a_file_are_found_among_those_of_several_uploads(
    true: int, listed: bool, to_path: bool, tmp_path: Path
) -> None:
    """Only one upload has the file's hash, so the download must find it."""
    uploads = [cut(random.Random(seed).randbytes(450_000), 100_000) for seed in range(3)]
    data = b"".join(uploads[true])
    with Network() as network:
        file_hash = network.store(data, pieces=mixed(*uploads))
        path = tmp_path / "x" if to_path else None
        bucket = network.bucket() if listed else network.bucket(None)
        progress = (lambda *_: None) if listed else None
        value = bucket.download(file_hash, network.token(), path=path, progress=progress)
        assert (path.read_bytes() if path else value) == data
        assert len(network.asked) <= 2 * 15
    assert names_in(tmp_path) == ["x"] * to_path


def test_the_shards_of_uploads_that_were_cut_into_other_numbers_are_found_by_the_listed_size(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA, pieces=[*cut(DATA[:-1] + b"x", 100_000), *cut(DATA, 70_000)])
        assert network.bucket().download(file_hash, path=tmp_path / "x")["size"] == len(DATA)
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


def test_a_search_by_size_ends_if_too_much_was_fetched() -> None:
    """Each stride stays below the listed size, and all of them together are more than eight uploads."""
    pieces = [random.Random(seed).randbytes(90_000) for seed in range(23)]  # a prime number: there is no stride
    with Network() as network:
        entry = {**network.files[network.store(DATA, pieces=pieces)][0], "size": 100_000}
        assert isinstance(network.bucket().download(entry), IntegrityError)
        assert len(network.asked) < 23


@pytest.mark.parametrize("listed", [True, False])
def test_shards_that_are_not_the_file_are_an_integrity_error_and_are_not_kept(listed: bool, tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA, pieces=[*cut(DATA[:-1], 100_000), b"other", b"shards"])
        bucket = network.bucket() if listed else network.bucket(None)
        for path in (None, tmp_path / "x"):
            value = bucket.download(file_hash, network.token(), path=path)
            assert isinstance(value, IntegrityError)
            assert file_hash in str(value)
    assert names_in(tmp_path) == []


def test_one_wrong_shard_is_an_integrity_error() -> None:
    with Network() as network:
        value = network.bucket().download(network.store(DATA, pieces=[b"other"]))
        assert isinstance(value, IntegrityError)


@pytest.mark.parametrize("to_path", [True, False])
def test_a_download_stops_if_it_is_larger_than_its_listed_size(to_path: bool, tmp_path: Path) -> None:
    """A hostile bridge lists 100 kB and points to 20 MB."""
    size, pieces = 100_000, [random.Random(seed).randbytes(100_000) for seed in range(200)]
    with Network() as network:
        entry = {**network.files[network.store(DATA, pieces=pieces)][0], "size": size}
        path = tmp_path / "x" if to_path else None
        assert isinstance(network.bucket().download(entry, path=path), IntegrityError)
        assert len(network.asked) < 80
    assert names_in(tmp_path) == []


def test_a_shard_that_is_larger_than_the_listed_size_is_not_taken() -> None:
    with Network() as network:
        entry = {**network.files[network.store(DATA, len(DATA))][0], "size": 70_000}
        value = network.bucket(None).download(entry, network.token(), progress=lambda *_: None)
        assert isinstance(value, ChannelError)
        assert str(value) == "more than 70000 bytes came for one shard"


def test_a_file_in_many_equal_shards_is_whole(tmp_path: Path) -> None:
    with Network() as network:
        data = bytes(1_000_000)
        network.bucket().download(network.store(data), path=tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == data


# Faults


def then(*steps: Callable[[Shard], object]) -> Answer:
    """Answer in these steps."""

    def answer(shard: Shard) -> None:
        for step in steps:
            step(shard)

    return answer


def sending(size: int) -> Answer:
    return lambda shard: shard.send(shard.body[:size])


def dropping(at: int) -> Answer:
    return then(sending(at), Shard.drop)


def falling_silent(at: int) -> Answer:
    return then(sending(at), Shard.wait)


def ending_early(at: int) -> Answer:
    return sending(at)


def closing_badly(at: int) -> Answer:
    return then(sending(at), lambda shard: shard.connection.close(1011))


def changing(at: int) -> Answer:
    def answer(shard: Shard) -> None:
        body = bytearray(shard.body)
        body[at % len(body)] ^= 1
        shard.send(body)

    return answer


def going_on(at: int) -> Answer:
    return then(whole, sending(at), lambda shard: shard.send(b"x"))


def refusing(at: int) -> Answer:
    return then(sending(at), lambda shard: shard.say(500, "out of order"), Shard.drop)


def babbling(at: int) -> Answer:
    noise = random.Random(at).randbytes(200)
    return then(sending(at), lambda shard: shard.raw(noise), Shard.drop)


FAULTS = [
    dropping,
    falling_silent,
    ending_early,
    closing_badly,
    changing,
    going_on,
    refusing,
    babbling,
]


@pytest.mark.parametrize("seed", range(30))
def test_any_faults_of_farmers_give_the_file_or_a_documented_error_and_a_later_call_completes_it(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    data = chance.randbytes(chance.choice([1, 1000, 100_000, 250_000, 450_000]))
    path = chance.choice([None, tmp_path / "x"])
    before = chance.choice([None, b"before"]) if path else None
    if path and before is not None:
        path.write_bytes(before)
    with Network(timeout=HASTY, earlier=chance.random() < 0.2) as network:
        file_hash = network.store(data)
        network.answers = [
            chance.choice(FAULTS)(chance.choice([0, chance.randrange(100_000)])) if chance.random() < 0.6 else None
            for _ in range(chance.randrange(1, 16))
        ]
        single = network.token() if chance.random() < 0.4 else None
        value = network.bucket(PAIR if single is None else None).download(file_hash, single, path=path)
        check(value, data, path, before)
        network.answers = []
        network.asked = []
        kept = noted(tmp_path)
        value = network.bucket().download(file_hash, path=path)
        assert not isinstance(value, BaseException)
        check(value, data, path, before)
        assert not set(kept) & set(network.asked)
    assert names_in(tmp_path) == ["x"] * (path is not None)


def check(value: Any, data: bytes, path: Path | None, before: bytes | None) -> None:
    if isinstance(value, BaseException):
        assert isinstance(value, DOCUMENTED), repr(value)
        assert str(value)
        if path:
            assert (path.read_bytes() if path.exists() else None) == before
    elif path:
        assert isinstance(value, dict)
        assert path.read_bytes() == data
    else:
        assert value == data


@pytest.mark.parametrize("seed", range(20))
def test_any_faults_of_the_bridge_give_the_file_or_a_documented_error_and_a_later_call_completes_it(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)

    def spoil(connection: Connection, reply: bytes) -> None:
        if chance.random() < 0.5:
            connection.send(reply)
            return
        at = chance.randrange(len(reply))
        connection.send(reply[:at])
        kind = chance.randrange(4)
        if kind == 0:
            connection.reset()
        elif kind == 1:
            connection.sock.close()
        elif kind == 2:
            connection.send(chance.randbytes(300))
            connection.sock.close()
        else:
            connection.wait()

    with Network(timeout=HASTY) as network:
        file_hash = network.store(DATA)
        network.answers = [chance.choice(FAULTS)(chance.randrange(100_000)) for _ in range(chance.randrange(3))]
        good, network.spoil = network.spoil, spoil
        value = network.bucket().download(file_hash, path=tmp_path / "x")
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(value)
        check(value, DATA, tmp_path / "x", None)
        network.spoil, network.answers = good, []
        network.asked = []
        kept = noted(tmp_path)
        check(network.bucket().download(file_hash, path=tmp_path / "x"), DATA, tmp_path / "x", None)
        assert not set(kept) & set(network.asked)
    assert names_in(tmp_path) == ["x"]


# New pointers


@pytest.mark.parametrize("fault", FAULTS)
def test_a_farmer_that_fails_is_asked_again_with_new_pointers(fault: Any) -> None:
    with Network(timeout=HASTY) as network:
        file_hash = network.store(DATA[:1000])
        network.answers = [fault(500), fault(100)]
        assert network.bucket().download(file_hash) == DATA[:1000]
        assert len(network.asked) == 3
        assert [request.method for request in network.bridge_asked] == ["POST", "GET"] * 3


def test_three_failures_of_a_shard_are_its_error() -> None:
    with Network() as network:
        file_hash = network.store(DATA[:1000])
        network.answer = refusing(10)
        value = network.bucket().download(file_hash)
        assert isinstance(value, ChannelError)
        assert str(value) == "out of order"
        assert len(network.asked) == 3


def test_a_single_token_allows_no_second_attempt() -> None:
    with Network() as network:
        file_hash = network.store(DATA[:1000])
        network.answers = [refusing(10)]
        value = network.bucket(None).download(file_hash, network.token())
        assert isinstance(value, ChannelError)
        assert len(network.asked) == 1


def test_a_single_token_and_credentials_allow_more_attempts() -> None:
    with Network() as network:
        file_hash = network.store(DATA[:1000])
        network.answers = [refusing(10)]
        assert network.bucket().download(file_hash, network.token()) == DATA[:1000]


def test_tokens_that_are_spent_are_replaced_once_for_all_shards() -> None:
    with Network() as network:
        file_hash = network.store(DATA[:400_000])
        spoilt: list[bool] = []

        def spend_first(connection: Connection, reply: bytes) -> None:
            if b"channel" in reply and not spoilt:
                spoilt.append(True)
                network.tokens.clear()
            connection.send(reply)

        network.spoil = spend_first
        assert network.bucket().download(file_hash) == DATA[:400_000]
        assert [request.method for request in network.bridge_asked] == ["POST", "GET"] * 2


def test_a_file_that_is_stored_anew_in_other_shards_is_an_integrity_error() -> None:
    with Network() as network:
        file_hash = network.store(DATA)

        def store_anew(shard: Shard) -> None:
            network.store(DATA, size=90_000)
            shard.drop()

        network.answer = store_anew
        value = network.bucket().download(file_hash)
        assert isinstance(value, IntegrityError)
        assert "stored again" in str(value)


def test_a_bridge_that_gives_no_new_pointers_ends_the_download_with_its_words() -> None:
    with Network() as network:
        file_hash = network.store(DATA[:10])

        def delete(shard: Shard) -> None:
            network.files.clear()
            shard.drop()

        network.answer = delete
        assert network.bucket().download(file_hash) == {"error": "The requested file was not found"}


# Resuming


def test_a_download_goes_on_with_the_shards_that_it_lacks(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        last = network.files[file_hash][1][-1]
        lost = network.shards.pop(last)
        first = network.bucket().download(file_hash, path=tmp_path / "x")
        assert isinstance(first, ChannelError)
        assert not (tmp_path / "x").exists()
        assert names_in(tmp_path) == [f".pymdc-{file_hash}"]
        network.shards[last] = lost
        network.asked = []
        assert network.bucket(None).download(file_hash, network.token(), path=tmp_path / "x")["size"] == len(DATA)
        assert network.asked == [last]
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


def test_shards_that_came_before_their_turn_are_kept(tmp_path: Path) -> None:
    with Network(timeout=HASTY) as network:
        file_hash = network.store(DATA[:400_000])
        first, *others = network.files[file_hash][1]
        arrived = threading.Barrier(4, timeout=LONG)

        def last_of_all(shard: Shard) -> None:
            if shard.hash == first:
                arrived.wait()
                shard.wait()
            else:
                shard.send(shard.body)
                shard.connection.close()
                arrived.wait()

        network.answer = last_of_all
        value = network.bucket(None).download(file_hash, network.token(), path=tmp_path / "x")
        assert isinstance(value, TimeoutError)
        assert sorted(noted(tmp_path)) == sorted(others)
        network.answer = whole
        network.asked = []
        network.bucket().download(file_hash, path=tmp_path / "x")
        assert network.asked == [first]
    assert (tmp_path / "x").read_bytes() == DATA[:400_000]


@pytest.mark.parametrize("seed", range(30))
def test_a_folder_of_kept_shards_that_was_damaged_never_gives_wrong_bytes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with Network() as network:
        file_hash = network.store(DATA)
        lost = network.files[file_hash][1][chance.randrange(1, 5)]
        body = network.shards.pop(lost)
        assert isinstance(network.bucket().download(file_hash, path=tmp_path / "x"), ChannelError)
        network.shards[lost] = body
        folder = tmp_path / f".pymdc-{file_hash}"
        for name in names_in(folder):
            damage(folder / name, chance)
        assert isinstance(network.bucket().download(file_hash, path=tmp_path / "x"), dict)
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


def damage(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    kind = chance.randrange(7)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.write_bytes(content[: chance.randrange(len(content) + 1)])
    elif kind == 2 and content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    elif kind == 3:
        path.write_bytes(content + chance.randbytes(chance.randrange(1, 100)))
    elif kind == 4:
        path.write_bytes(chance.randbytes(len(content)))
    elif kind == 5:
        path.write_bytes(content.replace(b" 100000\n", b" 999999999\n"))


@pytest.mark.parametrize("in_folder", [True, False])
def test_the_kept_part_of_an_interrupted_download_can_be_discarded(in_folder: bool, tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        path = tmp_path if in_folder else tmp_path / "x"
        assert network.bucket().discard(file_hash, path) is False
        network.answers = [None, None, refusing(5)]
        assert isinstance(network.bucket(None).download(file_hash, network.token(), path=path), ChannelError)
        assert names_in(tmp_path) == [f".pymdc-{file_hash}"]
        asked = len(network.bridge_asked)
        assert network.bucket().discard({"hash": file_hash.upper()}, str(path)) is True
        assert len(network.bridge_asked) == asked
    assert names_in(tmp_path) == []


def test_a_download_that_is_under_way_is_not_discarded(tmp_path: Path) -> None:
    with Network(Shard.wait) as network:
        file_hash = network.store(DATA)
        handle = network.bucket().download(file_hash, callback=lambda value: None, path=tmp_path / "x")
        assert network.begun.wait(LONG)
        value = network.bucket().discard(file_hash, tmp_path / "x")
        assert isinstance(value, BlockingIOError)
        handle.cancel()
        handle.join()


def test_two_downloads_of_one_file_to_one_path_at_once_are_both_whole(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        together = threading.Barrier(2, timeout=LONG)

        def in_step(shard: Shard) -> None:
            together.wait()
            shard.send(shard.body)

        network.answers = [in_step, in_step]
        values: list[Any] = []
        handles = [network.bucket().download(file_hash, callback=values.append, path=tmp_path / "x") for _ in range(2)]
        for handle in handles:
            handle.join(LONG)
        assert [value["size"] for value in values] == [len(DATA)] * 2
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


def test_many_downloads_of_one_file_to_one_path_are_all_whole(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        handles = [
            network.bucket().download(file_hash, callback=lambda value: None, path=tmp_path / "x") for _ in range(24)
        ]
        for handle in handles:
            assert handle.result(LONG)["size"] == len(DATA)
            assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


# Silence, and the earlier form


def test_a_farmer_of_v066_that_never_answers_a_bad_token_is_a_timeout_error() -> None:
    with Network(refusal=Shard.wait, timeout=HASTY) as network:
        file_hash = network.store(DATA[:1000])

        def spend(connection: Connection, reply: bytes) -> None:
            network.tokens.clear()
            connection.send(reply)

        network.spoil = spend
        value = network.bucket(None).download(file_hash, network.token())
        assert isinstance(value, TimeoutError)
        assert str(value) == "the farmer did not answer"


def test_a_farmer_that_falls_silent_in_a_shard_is_a_timeout_error_that_says_so() -> None:
    with Network(falling_silent(500), timeout=HASTY) as network:
        value = network.bucket(None).download(network.store(DATA[:1000]), network.token())
        assert isinstance(value, TimeoutError)
        assert str(value) == "the farmer fell silent in the middle of a shard"


def test_a_farmer_of_the_earlier_form_is_understood_and_remembered() -> None:
    with Network(earlier=True, timeout=HASTY) as network:
        first, second = network.store(DATA[:150_000], 200_000), network.store(DATA[:10])
        assert network.bucket().download(first) == DATA[:150_000]
        assert network.connections == 2
        assert network.bucket().download(second) == DATA[:10]
        assert network.connections == 3


def test_the_words_of_a_farmer_of_the_earlier_form_are_in_the_error() -> None:
    with Network(lambda shard: shard.say(400, "no such shard"), earlier=True, timeout=HASTY) as network:
        value = network.bucket(None).download(network.store(DATA[:10]), network.token())
        assert isinstance(value, ChannelError)
        assert str(value) == "no such shard"


# TLS, and farmers that cannot be reached


def test_a_channel_with_tls_is_verified_by_the_clients_own_context(monkeypatch: pytest.MonkeyPatch) -> None:
    with Network(tls=ssl.TLSVersion.TLSv1_3) as network:
        file_hash = network.store(DATA)
        assert network.bucket().download(file_hash) == DATA
        monkeypatch.setattr(network.client._core, "_verify", True)
        network.client.close()
        value = network.bucket().download(file_hash)
        assert isinstance(value, URLError)
        assert "CERTIFICATE_VERIFY_FAILED" in str(value.reason)


def test_a_farmer_that_cannot_be_reached_is_a_url_error() -> None:
    with Network() as network, refusing_port() as port:
        network.channel = f"ws://127.0.0.1:{port}"
        value = network.bucket().download(network.store(DATA))
        assert isinstance(value, URLError)
        assert isinstance(value.reason, ConnectionRefusedError)


# Progress


@pytest.mark.parametrize("to_path", [True, False])
def test_progress_goes_up_to_the_whole_and_no_oftener_than_twenty_times_a_second(to_path: bool, tmp_path: Path) -> None:
    path = tmp_path / "x" if to_path else None
    reports: list[tuple[int, int | None]] = []
    with Network() as network:
        file_hash = network.store(DATA, 5000)
        began = time.monotonic()
        network.bucket().download(file_hash, path=path, progress=lambda *report: reports.append(report))
        took = time.monotonic() - began
    done = [each for each, _ in reports]
    assert done == sorted(set(done))
    assert {total for _, total in reports} == {len(DATA)}
    assert reports[-1] == (len(DATA), len(DATA))
    assert all(each < len(DATA) for each in done[:-1])
    assert len(reports) <= took * 20 + 2


def test_progress_of_a_size_that_is_not_known_ends_with_the_whole() -> None:
    reports: list[tuple[int, int | None]] = []
    with Network() as network:
        file_hash = network.store(DATA)
        network.bucket(None).download(file_hash, network.token(), progress=lambda *report: reports.append(report))
    assert reports[-1] == (len(DATA), len(DATA))
    assert {total for _, total in reports[:-1]} <= {None}


def test_progress_is_told_while_a_single_shard_arrives() -> None:
    told = threading.Event()

    def slowly(shard: Shard) -> None:
        shard.send(shard.body[:500])
        assert told.wait(LONG)
        shard.send(shard.body[500:])

    def progress(done: int, total: int | None) -> None:
        if done == 500:
            told.set()

    with Network(slowly) as network:
        assert network.bucket().download(network.store(DATA[:1000]), progress=progress) == DATA[:1000]


def test_progress_is_told_for_each_shard_that_was_kept(tmp_path: Path) -> None:
    reports: list[int] = []
    with Network() as network:
        file_hash = network.store(DATA)
        lost = network.shards.pop(network.files[file_hash][1][-1])
        network.bucket().download(file_hash, path=tmp_path / "x")
        network.shards[hash_of(lost)] = lost
        network.bucket().download(file_hash, path=tmp_path / "x", progress=lambda done, total: reports.append(done))
    assert (reports[0], reports[-1]) == (100_000, len(DATA))


# Failing


def test_other_shards_are_stopped_when_a_download_fails() -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        first = network.files[file_hash][1][0]
        waiting = threading.Event()

        def refuse_the_first(shard: Shard) -> None:
            if shard.hash == first:
                assert waiting.wait(LONG)
                shard.refuse("no")
            else:
                waiting.set()
                shard.wait()

        network.answer = refuse_the_first
        began = time.monotonic()
        assert isinstance(network.bucket(None).download(file_hash, network.token()), ChannelError)
        assert time.monotonic() - began < 10  # the limit on silence is 20


def test_a_disk_that_becomes_full_is_an_os_error_and_whole_shards_are_kept(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        with limited(250_000):
            value = network.bucket().download(file_hash, path=tmp_path / "x")
        assert isinstance(value, OSError)
        assert value.errno == errno.EFBIG
        kept = noted(tmp_path)
        assert len(kept) >= 2
        network.asked = []
        assert network.bucket().download(file_hash, path=tmp_path / "x")["size"] == len(DATA)
        assert not set(kept) & set(network.asked)
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


# Cancelling


def silent_bridge(network: Network) -> threading.Event:
    waiting = threading.Event()

    def spoil(connection: Connection, reply: bytes) -> None:
        waiting.set()
        connection.wait()

    network.spoil = spoil
    return waiting


def silent_farmer(network: Network) -> threading.Event:
    network.answer = Shard.wait
    return network.begun


def farmer_that_trickles(network: Network) -> threading.Event:
    several = threading.Event()

    def trickle(shard: Shard) -> None:
        for i in range(0, len(shard.body)):
            shard.send(shard.body[i : i + 1])
            if i == 100:
                several.set()
            shard.network.left.wait(0.001)

    network.answer = trickle
    return several


@pytest.mark.parametrize("phase", [silent_bridge, silent_farmer, farmer_that_trickles])
def test_a_cancelled_download_ends_within_a_second_and_leaves_no_file(
    phase: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", POLL_SECONDS)
    files = open_files()
    values: list[Any] = []
    with Network() as network:
        file_hash = network.store(DATA)
        reached = phase(network)
        handle = network.bucket().download(file_hash, callback=values.append, path=tmp_path / "x")
        assert reached.wait(LONG)
        began = time.monotonic()
        assert handle.cancel()
        handle.join(LONG)
        assert time.monotonic() - began < 1
        assert [type(value) for value in values] == [CancelledError]
        assert handle.cancelled()
        network.left.set()
    assert not (tmp_path / "x").exists()
    assert open_files() <= files


def test_a_download_is_cancelled_while_it_connects_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", POLL_SECONDS)
    with full_backlog() as port, Network() as network:
        network.channel = f"ws://127.0.0.1:{port}"
        pointed = threading.Event()

        def tell(connection: Connection, reply: bytes) -> None:
            connection.send(reply)
            if b"channel" in reply:
                pointed.set()

        network.spoil = tell
        handle = network.bucket().download(network.store(DATA), callback=lambda value: None)
        assert pointed.wait(LONG)
        began = time.monotonic()
        handle.cancel()
        assert isinstance(handle.result(LONG), CancelledError)
        assert time.monotonic() - began < 1


def test_a_download_that_has_its_name_cannot_be_cancelled_any_more(tmp_path: Path) -> None:
    """The last report comes when the file has its name, and before the value."""
    answers: list[bool] = []
    with Network() as network:
        file_hash, ready = network.store(DATA), threading.Event()

        def progress(done: int, total: int | None) -> None:
            if done == len(DATA):
                assert ready.wait(LONG)
                answers.append(handle.cancel())

        handle = network.bucket().download(
            file_hash, callback=lambda value: None, path=tmp_path / "x", progress=progress
        )
        ready.set()
        assert handle.result(LONG)["size"] == len(DATA)
    assert answers == [False]


def test_a_cancelled_download_goes_on_in_a_later_call(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        network.answers = [None, Shard.wait]
        some = threading.Event()
        handle = network.bucket().download(
            file_hash, callback=lambda value: None, path=tmp_path / "x", progress=lambda *_: some.set()
        )
        assert some.wait(LONG)
        handle.cancel()
        assert isinstance(handle.result(LONG), CancelledError)
        kept = noted(tmp_path)
        network.asked = []
        assert isinstance(network.bucket().download(file_hash, path=tmp_path / "x"), dict)
        assert not set(kept) & set(network.asked)
    assert (tmp_path / "x").read_bytes() == DATA


def open_files() -> int:
    gc.collect()  # the farmer's connections are cycles; what nobody closed is a ResourceWarning, and so an error
    kinds = []
    if (own := Path("/proc/self/fd")).exists():
        for each in list(own.iterdir()):
            with suppress(OSError):  # the one through which this was listed
                kinds.append(str(each.readlink()))
    return sum(not kind.startswith("pipe:") for kind in kinds)  # older servers of websockets leave pipes


def test_downloads_leave_no_files_and_no_sockets_open(tmp_path: Path) -> None:
    with Network():
        pass
    before = open_files()
    with Network() as network:
        file_hash = network.store(DATA)
        for answers in ([], [refusing(5)], [dropping(5)], [changing(5)], [closing_badly(5)]):
            network.answers = list(answers)
            network.bucket(None).download(file_hash, network.token(), path=tmp_path / "x")
    assert open_files() == before

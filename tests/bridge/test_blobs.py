from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import anyio
import pytest

from pymdc.bridge import folder
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.errors import Damaged, Full, Unavailable
from pymdc.bridge.settings import BLOB_BYTES, HASH_THREADS

from .harness import file_hash


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "shards") if request.param == "folder" else "memory:///")


def read(blobs: Blobs, name: str) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [bytes(piece) async for piece in blobs.read(name)]

    return anyio.run(collect)


DATA = bytes(range(256)) * 4000


def checked(blobs: Blobs, data: bytes) -> bytes:
    """Read a blob that should hold `data`."""

    async def collect() -> bytes:
        pieces = blobs.read_checked("upload/0", len(data), file_hash(data))
        return b"".join([bytes(piece) async for piece in pieces])

    return anyio.run(collect)


def test_a_blob_is_read_back_in_pieces(blobs: Blobs) -> None:
    blobs.put("upload/0", bytearray(DATA))
    pieces = read(blobs, "upload/0")
    assert b"".join(pieces) == DATA
    assert {len(piece) for piece in pieces[:-1]} == {BLOB_BYTES}


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (10, 500_000), (len(DATA) - 1, len(DATA)), (5, 5)])
def test_a_part_of_a_blob_is_read(blobs: Blobs, start: int, stop: int) -> None:
    blobs.put("upload/0", DATA)

    async def collect() -> bytes:
        return b"".join([bytes(piece) async for piece in blobs.read("upload/0", start, stop)])

    assert anyio.run(collect) == DATA[start:stop]


def test_an_undamaged_blob_is_read_whole(blobs: Blobs) -> None:
    for data in (DATA, b"x"):
        blobs.put("upload/0", data)
        assert checked(blobs, data) == data
        blobs.delete("upload/0")


@pytest.mark.parametrize("stored", [DATA[:-1], DATA + b"x", b"x" + DATA[1:], DATA[:-1] + b"x", b""])
def test_the_last_piece_of_a_damaged_blob_is_not_sent(blobs: Blobs, stored: bytes) -> None:
    blobs.put("upload/0", stored)
    given = bytearray()

    async def collect() -> None:
        async for piece in blobs.read_checked("upload/0", len(DATA), file_hash(DATA)):
            given.extend(piece)

    with pytest.raises(Damaged):
        anyio.run(collect)
    assert len(given) < len(DATA)


def test_a_blob_that_is_lost_is_damaged(blobs: Blobs) -> None:
    with pytest.raises(Damaged):
        checked(blobs, DATA)


def test_reading_of_many_blobs_may_end_before_their_hashes_are_known(tmp_path: Path) -> None:
    """Only a few threads hash at once, so most of these still wait for one when their clients go."""
    blobs, count = Blobs(str(tmp_path)), 3 * HASH_THREADS
    for number in range(count):
        blobs.put(f"upload/{number}", DATA)

    async def leave() -> None:
        reading = [blobs.read_checked(f"upload/{number}", len(DATA), file_hash(DATA)) for number in range(count)]
        for pieces in reading:
            assert await anext(pieces) == DATA[:BLOB_BYTES]
        for pieces in reading:
            await pieces.aclose()
        assert not blobs._hashing.borrowed_tokens

    anyio.run(leave)
    assert checked(blobs, DATA) == DATA


def test_a_store_that_fails_while_a_blob_is_checked_is_unavailable(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    (tmp_path / "upload").write_text("in the way")
    with pytest.raises(Unavailable):
        checked(blobs, DATA)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP, None])
def test_bytes_that_are_not_in_memory_are_read_by_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    readv, readers = os.preadv, set()

    def on_a_disk(descriptor: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if flags and code is not None:
            raise OSError(code, "not at once")
        readers.add(threading.current_thread())
        return readv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", on_a_disk)
    if code is None:
        monkeypatch.setattr(folder, "_NO_WAIT", 0)
    blobs = Blobs(str(tmp_path))
    blobs.put("upload/0", DATA)
    assert b"".join(read(blobs, "upload/0")) == DATA
    assert threading.main_thread() not in readers


def test_a_disk_that_cannot_be_read_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    blobs = Blobs(str(tmp_path))
    blobs.put("upload/0", DATA)
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(Unavailable):
        read(blobs, "upload/0")


def test_a_write_that_takes_only_a_part_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: writev(descriptor, [parts[0][:700]]))
    blobs = Blobs(str(tmp_path))
    writing = blobs.writer("upload/0")
    writing.write([DATA[:1000], b"", DATA[1000:1001], DATA[1001:]])
    writing.commit()
    assert b"".join(read(blobs, "upload/0")) == DATA


def test_a_discarded_blob_leaves_nothing(blobs: Blobs) -> None:
    upload = "a" * 32
    writing = blobs.writer(f"{upload}/0")
    writing.write([DATA])
    writing.discard()
    writing.close()
    assert [name for page in blobs.pages() for name, _ in page] == []


def test_a_link_to_a_folder_of_blobs_is_not_followed(tmp_path: Path) -> None:
    blobs, elsewhere = Blobs(str(tmp_path / "shards")), Blobs(str(tmp_path / "elsewhere"))
    elsewhere.put(f"{'b' * 32}/0", DATA)
    (tmp_path / "shards" / ("c" * 32)).symlink_to(tmp_path / "elsewhere" / ("b" * 32))
    skipped: list[str] = []
    assert [name for page in blobs.pages(skipped.append) for name, _ in page] == []
    assert skipped == ["c" * 32]


def test_a_full_disk_is_reported_and_named_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    blobs = Blobs(str(tmp_path))
    with pytest.raises(Full):
        blobs.put("upload/0", DATA)
    assert str(tmp_path) in caplog.text


def test_removing_a_blob_twice_is_no_error(blobs: Blobs) -> None:
    blobs.put("upload/0", b"data")
    for _ in range(2):
        blobs.delete("upload/0")
    with pytest.raises(Unavailable):
        read(blobs, "upload/0")


def test_an_upload_is_removed_as_a_whole_and_no_other(blobs: Blobs) -> None:
    for name in ("one/0", "one/1", "oneandahalf/0"):
        blobs.put(name, b"data")
    for _ in range(2):
        blobs.delete_upload("one")
    assert read(blobs, "oneandahalf/0") == [b"data"]
    for name in ("one/0", "one/1"):
        with pytest.raises(Unavailable):
            read(blobs, name)


def test_a_store_that_answers_is_healthy(blobs: Blobs) -> None:
    blobs.check()


def test_incomplete_files_of_a_killed_process_are_removed_too(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    blobs.put("upload/0", b"data")
    (tmp_path / "upload" / "1#1").write_bytes(b"hal")
    blobs.delete_upload("upload")
    assert list(tmp_path.iterdir()) == []


def test_no_empty_folder_is_left(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path))
    blobs.put("upload/0", b"data")
    blobs.delete("upload/0")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_fails_is_unavailable(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "shards"))
    (tmp_path / "shards").rmdir()
    with pytest.raises(Unavailable):
        blobs.check()
    (tmp_path / "shards").write_text("in the way")
    with pytest.raises(Unavailable):
        blobs.put("upload/0", b"data")
    with pytest.raises(Unavailable):
        Blobs(str(tmp_path / "shards" / "below"))
    with pytest.raises(Unavailable):
        Blobs("nonsense://somewhere")


def test_removing_a_missing_blob_is_no_error(tmp_path: Path) -> None:
    for location in (str(tmp_path), "memory:///"):
        Blobs(location).delete("0123/0")


def test_a_store_in_memory_answers_and_has_no_urls() -> None:
    blobs = Blobs("memory:///")
    blobs.check()
    assert blobs.urls(["0123/0"], 60) is None


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_blobs_that_wait_to_be_sent_cost_no_memory_and_leave_no_file(tmp_path: Path) -> None:
    blobs, piece, count = Blobs("memory:///", tmp_path), os.urandom(1 << 20), 40
    before = resident_bytes()
    writings = [blobs.writer(f"upload/{number}") for number in range(count)]
    for writing in writings:
        for _ in range(8):
            writing.write([piece[:1000], piece[1000:]])
    assert resident_bytes() - before < (count * 8 << 20) / 4
    writings[0].commit()
    assert blobs.size("upload/0") == 8 << 20
    assert blobs.content("upload/0") == piece * 8
    for writing in writings:
        writing.close()
    assert not list(tmp_path.iterdir())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

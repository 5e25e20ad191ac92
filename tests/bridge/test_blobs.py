from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from pymdc.bridge.blobs import Blobs
from pymdc.bridge.errors import Unavailable


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "shards") if request.param == "folder" else "memory:///")


def read(blobs: Blobs, name: str) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [piece async for piece in blobs.read(name)]

    return anyio.run(collect)


def test_a_blob_is_read_back_in_messages_of_64_kib(blobs: Blobs) -> None:
    data = bytes(range(256)) * 1000
    blobs.put("upload/0", bytearray(data))
    pieces = read(blobs, "upload/0")
    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} == {65536}


def test_a_blob_is_removed_once_and_again(blobs: Blobs) -> None:
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


def test_a_store_that_is_there_is_well(blobs: Blobs) -> None:
    blobs.check()


def test_what_a_killed_process_left_half_written_is_removed_too(tmp_path: Path) -> None:
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

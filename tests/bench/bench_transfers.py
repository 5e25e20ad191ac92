"""Uploads and downloads by the client, beside curl with the same bridge, and beside a copy with SHA-256.

A copy with SHA-256 is what nobody does faster who checks what comes. The downloads are checked and put in place by one
rename; curl checks nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymdc import Client, Timeout, unwrap
from pymdc.api import ECDSA, Bucket, Buckets, Keys, Users
from pymdc.core.job import Job
from pymdc.transfers.access import Access
from pymdc.transfers.downloads import Download
from pymdc.transfers.sources import ShardSources

from ..test_large_files import BridgeProcess, bridge_process
from .racing import MIB, Line, Memory, Race, Way, speed

SIZE = 256 * MIB


class PointersOnly:
    """A bridge that gives these pointers."""

    def __init__(self, pointers: list[Any]) -> None:
        self._pointers = pointers

    def perform(self, call: object, job: Job) -> list[Any]:
        return self._pointers

    def shared(self, make: Callable[..., ShardSources]) -> ShardSources:
        return make(Timeout(), True)


@contextmanager
def bucket_on(bridge: BridgeProcess) -> Iterator[Bucket]:
    """Give the bucket of somebody new."""
    with Client(bridge.url) as client:
        user = Users("somebody@example.com", "a password", client=client)
        unwrap(user.register())
        unwrap(user.activate(bridge.line_with("/activations/([0-9a-f]+)")))
        key_pair = ECDSA()
        unwrap(Keys(user, client=client).create(key_pair))
        made = unwrap(Buckets(key_pair, client=client).create("bench", 10_000, 10_000, []))
        yield Bucket(made, key_pair, client=client)


def copy(source: Path, target: Path) -> None:
    """Copy a file, and hash it in the same pass."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(MIB):
            digest.update(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())


def fill(path: Path) -> None:
    """Write random bytes, which no bridge has yet, and have them on the disk."""
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    os.sync()


def transfers(seconds: float) -> Iterator[Line]:
    """Upload and download a file."""
    with (
        tempfile.TemporaryDirectory() as name,
        bridge_process(Path(name) / "bridge") as bridge,
        bucket_on(bridge) as bucket,
    ):
        unwrap(bucket.files.download(unwrap(bucket.files.upload(bytes(10))), path=Path(name) / "small"))
        yield from _uploads(bucket, Path(name), seconds / 2)
        yield from _downloads(bucket, Path(name), seconds / 2)


def _uploads(bucket: Bucket, folder: Path, seconds: float) -> Iterator[Line]:
    source, figure, memory = folder / "source.bin", speed(SIZE), Memory(os.getpid())

    def curl(_: object) -> None:
        token = unwrap(bucket.files.token("PUSH"))["token"]
        url = f"{bucket.files._client_now.endpoint}/buckets/{bucket.bucket_id}/files"
        headers = ["-H", f"x-token: {token}", "-H", f"x-filesize: {SIZE}", "-H", "Expect:"]
        _curl("-o", os.devnull, "-X", "PUT", *headers, "-F", f"file=@{source}", url)

    ways = {
        "curl": curl,
        "pymdc": lambda _: unwrap(bucket.files.upload(source)),
        "copy with sha256": lambda _: copy(source, folder / "copy"),
    }
    race = Race([Way(name, run, figure, lambda: fill(source)) for name, run in ways.items()], seconds)
    yield race.line("upload of 256 MiB", "pymdc", "curl")
    yield race.line("upload of 256 MiB", "pymdc", "copy with sha256")
    yield memory.line("of the client, an upload of 256 MiB", 35)


def _downloads(bucket: Bucket, folder: Path, seconds: float) -> Iterator[Line]:
    fill(folder / "source.bin")
    stored, figure = unwrap(bucket.files.upload(folder / "source.bin")), speed(SIZE)
    memory = Memory(os.getpid())

    def curl(_: object) -> None:
        token = unwrap(bucket.files.token("PULL"))["token"]
        call = Access(bucket.bucket_id, None).call(
            "GET", "files", stored["hash"], token=token, headers={"x-direct": "1"}
        )
        urls = [pointer["url"] for pointer in unwrap(bucket.files._client_now.call(call, None))]
        _curl(*[word for url in urls for word in ("-o", str(folder / "curl"), url)])

    def by_channel(_: object) -> None:
        """Do what `Files.download` does once it has pointers, with pointers that have no URL."""
        pointers: Any = unwrap(bucket.files.pointers(stored, unwrap(bucket.files.token("PULL"))))
        download = Download(
            Access(bucket.bucket_id, None), stored["hash"], "token", stored, folder / "channel", None, None
        )
        unwrap(download.run(PointersOnly(pointers), Job(lambda report: None)))  # type: ignore[arg-type]

    ways = {
        "curl": curl,
        "direct": lambda _: unwrap(bucket.files.download(stored, path=folder / "direct")),
        "by channel": by_channel,
        "copy with sha256": lambda _: copy(folder / "source.bin", folder / "copy"),
    }
    race = Race([Way(name, run, figure, os.sync) for name, run in ways.items()], seconds)
    yield race.line("download of 256 MiB, direct", "direct", "curl", 0.7)
    yield race.line("download of 256 MiB, by channel", "by channel", "curl", 0.6)
    yield race.line("download of 256 MiB, direct", "direct", "copy with sha256")
    yield memory.line("of the client, downloads of 256 MiB", 64)


def _curl(*words: str) -> None:
    subprocess.run(["curl", "-sSf", "--noproxy", "*", *words], check=True)

"""Uploads to a bridge and downloads from it, beside what the disk and the hash take alone.

Files of 8 MiB, each a shard. With a folder, the limit of an upload is writing, hashing twice (as a file and as a shard)
and syncing the same bytes; that of a download by channel is reading and hashing them; a direct one is compared with
nginx, both under curl. With S3, the limit is what obstore takes to bring the bytes to the same S3 server or from it,
and the hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore, from_url

from .. import engines
from ..bridge.chaos.processes import Process
from ..bridge.harness import Person, file_hash, multipart
from .bench_bridge import bridge_on
from .load import Connection, put, spread
from .racing import MIB, Line, Memory, Race, Way, processor_of, speed

CLIENTS = (1, 16)
FILES = 16
SIZE = 8 * MIB
FIGURE = speed(FILES * SIZE)

Limit = Callable[[int, Any], object]


def in_folder(seconds: float) -> Iterator[Line]:
    """Transfers of a bridge on SQLite and a folder."""
    with tempfile.TemporaryDirectory() as name, bridge_on(Path(name) / "bridge", {}) as (person, process):
        folder = Path(name) / "plain"
        folder.mkdir()
        yield from _uploads(
            "folder", person, process, partial(written, folder), "write, 2 x sha256, fsync", seconds / 3
        )
        bucket, files = _stored(person)
        written(folder, 1, files)
        yield from _downloads(
            "folder", person, process, bucket, files, partial(read, folder), "read, sha256", seconds / 3
        )
        if shutil.which("nginx") and shutil.which("curl"):
            yield from _direct(person, process, bucket, files, folder, seconds / 3)


def in_s3(seconds: float) -> Iterator[Line]:
    """Transfers of a bridge on PostgreSQL and S3."""
    if engines.postgres_folder() is None:
        return
    with tempfile.TemporaryDirectory() as name, engines.postgresql(durable=True) as server, engines.s3() as s3:
        os.environ.update(s3.environment)
        chosen = {"database": server.create("bench"), "store": s3.create("bench")}
        plain = from_url(s3.create("plain"))
        with bridge_on(Path(name), chosen) as (person, process):
            yield from _uploads("S3", person, process, partial(brought, plain), "obstore, 2 x sha256", seconds / 2)
            bucket, files = _stored(person)
            brought(plain, 1, files)
            yield from _downloads(
                "S3", person, process, bucket, files, partial(got, plain), "obstore, sha256", seconds / 2
            )


def sending() -> dict[str, float]:
    """Return how many seconds of its processor a bridge with a folder takes to send a GB."""
    with tempfile.TemporaryDirectory() as name, bridge_on(Path(name), {}) as (person, process):
        bucket, files = _stored(person)
        files *= 4
        pointers = [pointer for data in files for pointer in person.pointers(bucket, file_hash(data)).json()]
        urls, used = _urls(person, bucket, files), processor_of(process.pid)

        def by_channel() -> None:
            spread(pointers, 1, process.port, lambda _, pointer: _fetch(process.port, pointer))

        ways: dict[str, Callable[[], None]] = {
            "by channel": by_channel,
            "by direct URL of a folder": partial(curled, urls, 1),
        }
        took = {}
        for way, send in ways.items():
            before = used()
            send()
            took[way] = (used() - before) / (len(files) * SIZE / 1e9)
        return took


AIMS = {  # of a folder
    ("upload", 1): 0.7,
    ("upload", 16): 0.6,
    ("download", 1): 0.75,
    ("download", 16): 0.75,
}
GROWTH = {"upload": 40, "download": 10}  # the most memory, in MiB


def _uploads(store: str, person: Person, process: Process, limit: Limit, name: str, seconds: float) -> Iterator[Line]:
    bucket = person.bucket(storage=1000, transfer=1000)
    person.upload(bucket, os.urandom(SIZE)).raise_for_status()

    def ready() -> list[tuple[bytes, bytes]]:
        bodies = [multipart(data) for data in _random()]
        os.sync()
        return [(put(bucket, person.token(bucket, "PUSH"), body, SIZE), body) for body in bodies]

    def sent(clients: int, work: list[tuple[bytes, bytes]]) -> None:
        spread(work, clients, process.port, lambda connection, pair: connection.request(*pair))

    yield from _lines("upload", store, process, sent, ready, limit, name, _random, seconds)


def _downloads(
    store: str,
    person: Person,
    process: Process,
    bucket: str,
    files: list[bytes],
    limit: Limit,
    name: str,
    seconds: float,
) -> Iterator[Line]:
    def ready() -> list[dict[str, str]]:
        return [pointer for data in files for pointer in person.pointers(bucket, file_hash(data)).json()]

    def came(clients: int, work: list[dict[str, str]]) -> None:
        spread(work, clients, process.port, lambda _, pointer: _fetch(process.port, pointer))

    yield from _lines("download", store, process, came, ready, limit, name, lambda: files, seconds)


def _lines(
    what: str, store: str, process: Process, run: Limit, ready: Callable[[], Any], limit: Limit, name: str,
    ready_for_limit: Callable[[], Any], seconds: float,
) -> Iterator[Line]:  # fmt: skip
    for clients in CLIENTS:
        memory, many = Memory(process.pid), f"{clients} client{'s' * (clients > 1)}"
        race = Race(
            [
                Way("bridge", partial(run, clients), FIGURE, ready, processor_of(process.pid)),
                Way(name, partial(limit, clients), FIGURE, ready_for_limit),
            ],
            seconds / 2,
        )
        aim = AIMS[what, clients] if store == "folder" else None
        yield race.line(f"{what}, {store}, {many}", "bridge", name, aim)
        yield memory.line(f"{what}s, {store}, {many}", GROWTH[what])


def _direct(
    person: Person, process: Process, bucket: str, files: list[bytes], folder: Path, seconds: float
) -> Iterator[Line]:
    urls = _urls(person, bucket, files)
    with nginx(folder) as (port, pid):
        plain = [f"http://127.0.0.1:{port}/{number}" for number in range(len(files))]
        for clients in CLIENTS:
            race = Race(
                [
                    Way("bridge", lambda _, n=clients: curled(urls, n), FIGURE, os.sync, processor_of(process.pid)),  # type: ignore[misc]
                    Way("nginx", lambda _, n=clients: curled(plain, n), FIGURE, os.sync, processor_of(pid)),  # type: ignore[misc]
                ],
                seconds / 2,
            )
            many = f"{clients} client{'s' * (clients > 1)}"
            yield race.line(f"direct download, folder, {many}", "bridge", "nginx")


def _urls(person: Person, bucket: str, files: list[bytes]) -> list[str]:
    urls = []
    for data in files:
        headers = {"x-token": person.token(bucket, "PULL"), "x-direct": "1"}
        reply = person.bridge.http.get(f"/buckets/{bucket}/files/{file_hash(data)}", headers=headers)
        urls += [pointer["url"] for pointer in reply.json()]
    return urls


def _stored(person: Person) -> tuple[str, list[bytes]]:
    """Upload files, and return their bucket and their bytes."""
    bucket, files = person.bucket(storage=1000, transfer=1000), _random()
    for data in files:
        person.upload(bucket, data).raise_for_status()
    return bucket, files


def _random() -> list[bytes]:
    files = [os.urandom(SIZE) for _ in range(FILES)]
    os.sync()
    return files


def _fetch(port: int, pointer: dict[str, str]) -> None:
    with closing(Connection(port)) as connection:
        assert connection.fetch(pointer)


# The limits.


def written(folder: Path, _clients: int, files: list[bytes]) -> None:
    """Hash files, write them and sync them."""
    for number, data in enumerate(files):
        hashlib.sha256(data)
        hashlib.sha256(data)
        with (folder / str(number)).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def read(folder: Path, _clients: int, files: list[bytes]) -> None:
    """Read files and hash them."""
    for number in range(len(files)):
        hashlib.sha256((folder / str(number)).read_bytes())


def brought(store: ObjectStore, clients: int, files: list[bytes]) -> None:
    """Hash what goes to a store."""

    def one(number: int) -> None:
        hashlib.sha256(files[number])
        hashlib.sha256(files[number])
        obstore.put(store, str(number), files[number])

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(len(files))))


def got(store: ObjectStore, clients: int, files: list[bytes]) -> None:
    """Hash what a store gives."""
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda number: hashlib.sha256(obstore.get(store, str(number)).bytes()), range(len(files))))


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int]]:
    """Serve a folder by nginx, in one process; give its port and the process's number."""
    port, home = engines.free_port(), folder.parent / "nginx"
    home.mkdir()
    (home / "conf").write_text(
        f"daemon off; master_process off; pid {home}/pid; error_log {home}/log; user root; events {{}}"
        f" http {{ sendfile on; tcp_nopush on; access_log off;"
        f" server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
    )
    with subprocess.Popen(["nginx", "-c", str(home / "conf"), "-e", str(home / "log")]) as process:
        try:
            engines.wait_for_port(port)
            yield port, process.pid
        finally:
            process.terminate()


def curled(urls: list[str], clients: int) -> None:
    """Fetch URLs by one curl, so many at a time."""
    command = ["curl", "--silent", "--fail", "--noproxy", "*"]
    command += ["--no-progress-meter", "--parallel", "--parallel-max", str(clients)] * (clients > 1)
    subprocess.run([*command, *[word for url in urls for word in ("--output", "/dev/null", url)]], check=True)

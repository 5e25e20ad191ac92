"""The engines that a bridge grows to, real ones: a PostgreSQL server and an S3 server, started here and stopped again.

The environment variable `PYMDC_TEST_ENGINES` says what the bridges of the tests stand on, where a test does not say:
`sqlite` (SQLite and a folder, as by default), `postgresql` (PostgreSQL and a folder) or `s3` (PostgreSQL and S3).
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

LONG = 60.0  # a bound on what should take a second; reaching it is a failure
ACCESS_KEY, SECRET_KEY = "a-key", "a-secret-that-is-long-enough"
CHOSEN = os.environ.get("PYMDC_TEST_ENGINES", "sqlite")
NANIO = Path(sys.executable).parent / "nanio"  # an S3 server
assert CHOSEN in ("sqlite", "postgresql", "s3"), f"PYMDC_TEST_ENGINES is {CHOSEN!r}"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until somebody listens on a port."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


def postgres_folder() -> Path | None:
    """Return the folder of PostgreSQL's programs, or `None` if it is not installed. Debian keeps it off the PATH."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


@dataclass
class PostgreSQL:
    """A PostgreSQL server with an empty data folder."""

    folder: Path
    port: int
    durable: bool = False

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create a database, and return its URL."""
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", database)
        return self.url(database)

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c max_connections=200"
        options += "" if self.durable else " -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def run(self, program: str, *arguments: str) -> None:
        programs = postgres_folder()
        assert programs is not None
        # PostgreSQL refuses to run as root; Debian's package brings a user for it.
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*prefix, str(programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=LONG)


@contextmanager
def postgresql(durable: bool = False) -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server. Unless it is to be durable, it does not wait for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="pymdc-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = PostgreSQL(folder, free_port(), durable)
    try:
        server.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class S3:
    """An S3 server, whose buckets are folders."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables that point a program at this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def create(self, bucket: str) -> str:
        """Create a bucket, and return its URL."""
        (self.folder / bucket).mkdir()
        return f"s3://{bucket}/shards"

    def start(self) -> None:
        credentials = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
        command = [str(NANIO), "serve", "--data-dir", str(self.folder)]
        self.process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "error", "--no-access-log"],
            env={**os.environ, **credentials},
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LONG)


@contextmanager
def s3() -> Iterator[S3]:
    """Run an S3 server."""
    with tempfile.TemporaryDirectory(prefix="pymdc-s3-") as folder:
        server = S3(Path(folder), free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()


_shared = ExitStack()  # the servers that all tests of this process share
atexit.register(_shared.close)
_numbers = itertools.count(1)


@cache
def shared_postgresql() -> PostgreSQL:
    """Return the PostgreSQL server of this process."""
    return _shared.enter_context(postgresql())


@cache
def shared_s3() -> S3:
    """Return the S3 server of this process, to which the environment points from now on."""
    if CHOSEN != "s3" and not NANIO.exists():
        pytest.skip("needs nanio, which needs Python 3.11")
    server = _shared.enter_context(s3())
    os.environ.update(server.environment)
    return server


@cache
def chosen_for(data: Path) -> dict[str, str]:
    """Return the settings that put a bridge on the chosen engines: the same for the same data folder, else new ones."""
    name = f"bridge{next(_numbers)}"
    settings = {}
    if CHOSEN != "sqlite":
        settings["database"] = shared_postgresql().create(name)
    if CHOSEN == "s3":
        settings["store"] = shared_s3().create(name)
    return settings

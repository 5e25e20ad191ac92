"""Transfers that are cancelled or killed at random moments leave no partial file and nothing else, by TCP and by TLS.

`PYMDC_SEED` makes other moments; the whole of it runs with `-m slow`.
"""

from __future__ import annotations

import gc
import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

import pymdc
from pymdc import Client, unwrap
from pymdc.api import Files

from ..bridges import running_bridge
from ..farmers import hash_of, names_in
from ..matrix.watch import Lateness

SEED = int(os.environ.get("PYMDC_SEED", "1"))
LONG = 60.0
MIB = 2**20
CONTENT = random.Random(0).randbytes(20 * MIB)
HASH = hash_of(CONTENT)
PROGRAM = f"""
import sys
sys.path[:0] = [{str(Path(pymdc.__file__).parents[1])!r}]
import pymdc
from pymdc.api import ECDSA, Files
what, url, bucket, key, path, file_hash = sys.argv[1:]
files = Files(bucket, ECDSA(private_key=key), client=pymdc.Client(url))
print("ready", flush=True)
sys.stdin.readline()
value = files.upload(path) if what == "upload" else files.download(file_hash, path=path)
print(value, flush=True)
"""


@dataclass
class Here:
    """A bridge with a file of 20 MiB, and how to reach it."""

    url: str
    files: Files
    key: str
    authority: Path | None
    client: Client
    data: Path

    def listed(self) -> set[str]:
        return {entry["hash"] for entry in unwrap(self.files.list())}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Here]]:
    """Two bridges, of which the second one has TLS."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    tls = {"tls_certificate": folder / "both.pem", "tls_key": folder / "both.pem"}
    trusting = ssl.create_default_context(cafile=folder / "authority.pem")
    with ExitStack() as stack:
        made = []
        for settings in ({}, tls):
            bridge = stack.enter_context(running_bridge(tmp_path_factory.mktemp("bridge"), **settings))
            client = stack.enter_context(Client(bridge.url, verify=trusting))
            files = bridge.bucket(client).files
            unwrap(files.upload(CONTENT, name="content"))
            key = files.key_pair.get_private_key()  # type: ignore[attr-defined]
            made.append(
                Here(bridge.url, files, key, folder / "authority.pem" if settings else None, client, bridge.data)
            )
        yield made


def things(places: list[Here]) -> tuple[int, int]:
    """Count this process's sockets and files, and its threads, but for what the bridges keep for themselves."""
    for here in places:
        here.client.close()
    gc.collect()
    open_ = 0
    kept = tuple(str(here.data) for here in places)
    for name in os.listdir("/proc/self/fd") if Path("/proc/self/fd").exists() else ():  # noqa: PTH208
        with suppress(OSError):  # the folder itself
            open_ += not os.readlink(f"/proc/self/fd/{name}").startswith(kept)  # noqa: PTH115
    threads = (thread.name for thread in threading.enumerate())
    return open_, sum(not name.startswith(("AnyIO", "pymdc-bridge")) for name in threads)


def cancel_one(here: Here, chance: random.Random, folder: Path, late: Lateness) -> None:
    """Begin a transfer, cancel it at some moment, and check that nothing is left."""
    values: list[Any] = []
    up, path = folder / "up", folder / "down"
    upload = chance.random() < 0.4
    content = chance.randbytes(6 * MIB) if upload else b""
    to = chance.choice([path, None])
    up.write_bytes(content)
    if upload:
        handle = here.files.upload(up, callback=values.append)
    else:
        handle = here.files.download(HASH, callback=values.append, path=to)
    threading.Event().wait(chance.random() ** 2 * 0.4)
    began = time.monotonic()
    stopped = handle.cancel()
    handle.join(LONG)
    took = time.monotonic() - began
    (value,) = values
    assert isinstance(value, CancelledError) == stopped
    if stopped:
        assert took < 1 + late.since(began)
    else:
        assert value == CONTENT or unwrap(value)["hash"] == (hash_of(content) if upload else HASH)
    if upload:
        assert (hash_of(content) in here.listed()) != stopped
    if path.exists():
        assert not stopped
        assert path.read_bytes() == CONTENT
        path.unlink()
    assert here.files.discard(HASH, path) in (True, False)
    up.unlink()
    assert names_in(folder) == []


@pytest.mark.parametrize("count", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_transfers_that_are_cancelled_leave_nothing_half_and_nothing_behind(
    count: int, places: list[Here], tmp_path: Path
) -> None:
    for here in places:  # the first call has opened its sockets and files
        unwrap(here.files.download(HASH))
    pause = threading.Event()
    seen = [(pause.wait(0.02), things(places))[1] for _ in range(50)]  # the bridges close connections a little later
    before = min(seen)
    with Lateness() as late:
        for number in range(count):
            cancel_one(places[number % 2], random.Random(f"{SEED} cancel {number}"), tmp_path, late)
    deadline = time.monotonic() + LONG
    while (now := things(places))[0] > before[0] or now[1] > before[1]:
        assert time.monotonic() < deadline, (before, now)


def kill_one(here: Here, chance: random.Random, folder: Path) -> None:
    """Kill a program in the middle of a transfer, and check what is left; then make the transfer."""
    path = folder / "x"
    upload = chance.random() < 0.5
    content = chance.randbytes(12 * MIB) if upload else CONTENT
    if upload:
        path.write_bytes(content)
    environment = dict(os.environ) | ({"SSL_CERT_FILE": str(here.authority)} if here.authority else {})
    arguments = ["upload" if upload else "download", here.url, here.files.bucket_id, here.key, path, HASH]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        program.stdin.write(b"\n")
        program.stdin.flush()
        threading.Event().wait(0.1 + chance.random() * 0.5)
        program.kill()
    if upload:
        if hash_of(content) in here.listed():
            assert here.files.download(hash_of(content)) == content
        assert unwrap(here.files.upload(path))["hash"] == hash_of(content)
        assert here.files.delete(hash_of(content)) == ""
    else:
        assert not path.exists() or path.read_bytes() == content
        assert unwrap(here.files.download(HASH, path=path))["size"] == len(content)
        assert path.read_bytes() == content
    assert names_in(folder) == ["x"]
    path.unlink()


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_programs_that_are_killed_in_a_transfer_leave_nothing_half(
    count: int, places: list[Here], tmp_path: Path
) -> None:
    for number in range(count):
        kill_one(places[number % 2], random.Random(f"{SEED} kill {number}"), tmp_path)

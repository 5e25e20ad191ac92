"""What a bridge acknowledges survives a loss of power: the system calls of a request, in their order.

`test_writer.py` has those of a signed request on SQLite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .. import engines
from .chaos.processes import LONG, Process, people, visited
from .harness import Person, multipart, settings_for

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
SIMPLE = {"database": None, "store": None}  # SQLite and a folder: for servers, see their manuals
CALLS = "fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg,write"


@contextmanager
def traced(log: Path, *processes: int) -> Iterator[None]:
    """Write the system calls of processes to a file, each with the paths of its files."""
    command = ["strace", "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(log)]
    command += [word for process in processes for word in ("-p", str(process))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        for _ in processes:
            said = tracer.stderr.readline()
            if "attached" not in said:
                tracer.terminate()
                tracer.wait(LONG)
                pytest.skip(f"strace may not look at another process: {said}")
        yield
        tracer.terminate()
        tracer.communicate(timeout=LONG)


def ended(log: Path) -> list[str]:
    """The calls in the order in which they ended, and what was sent in the order in which that began."""
    calls, begun = [], {}
    for line in log.read_text().splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>") and not call.startswith("send"):
            begun[thread] = call.removesuffix("<unfinished ...>")
        elif "resumed>" in call:
            calls.append(begun.pop(thread, "") + call.partition("resumed>")[2])
        else:
            calls.append(call)
    return calls


def first(calls: list[str], pattern: str) -> int:
    found = [number for number, call in enumerate(calls) if re.search(pattern, call)]
    assert found, f"{pattern} in {calls}"
    return found[0]


@pytest.mark.parametrize("size", [1000, (8 << 20) + 1000])
def test_data_names_and_the_database_are_synced_before_an_upload_is_acknowledged(tmp_path: Path, size: int) -> None:
    data = tmp_path / "data"
    (somebody,), process = people(data, SIMPLE, 1), Process(data, {})
    settings = settings_for(data, **SIMPLE)
    with process.serving(), visited(settings, process.url) as bridge:
        alice = Person(bridge, somebody.email, somebody.key)
        bucket = alice.bucket()
        token = alice.token(bucket, "PUSH")
        with traced(tmp_path / "log", process.pid):
            assert alice.put(bucket, multipart(os.urandom(size)), size, token).status_code == 200
    calls = ended(tmp_path / "log")
    shards = re.escape(str(data / "shards"))
    reply = first(calls, r"^(sendto|sendmsg|write)\(.*HTTP/1\.1 200")
    commit = max(n for n, call in enumerate(calls[:reply]) if re.search(r"^f(data)?sync\(.*bridge\.sqlite-wal>", call))
    for number in range(1 if size < 8 << 20 else 2):
        written = first(calls, rf"^fsync\(\d+<{shards}/[0-9a-f]+/{number}#1>")
        renamed = first(calls, rf'^rename\w*\(.*{shards}/[0-9a-f]+/{number}#1", .*{shards}/[0-9a-f]+/{number}"')
        named = first(calls[renamed:], rf"^fsync\(\d+<{shards}/[0-9a-f]+>") + renamed
        assert written < renamed < named < commit
    assert first(calls, rf"^fsync\(\d+<{shards}>") < commit
    assert commit < reply


@pytest.mark.skipif(engines.postgres_folder() is None, reason="PostgreSQL is missing")
def test_a_signed_request_is_answered_after_postgresql_has_synced_it(tmp_path: Path) -> None:
    with engines.postgresql(durable=True) as server:
        chosen = {"database": server.create("synced")}
        (somebody,), process = people(tmp_path, chosen, 1), Process(tmp_path, chosen)
        first_line, _, _ = (server.folder / "data" / "postmaster.pid").read_text().partition("\n")
        with process.serving(), visited(settings_for(tmp_path, **chosen), process.url) as bridge:
            alice = Person(bridge, somebody.email, somebody.key)
            alice.send("GET", "/buckets").raise_for_status()
            backends = Path(f"/proc/{first_line}/task/{first_line}/children").read_text().split()
            with traced(tmp_path / "log", process.pid, *map(int, backends)):
                alice.send("GET", "/buckets").raise_for_status()
    calls = ended(tmp_path / "log")
    assert first(calls, r"^f(data)?sync\(\d+<.*/pg_wal/") < first(calls, r"^(sendto|sendmsg|write)\(.*HTTP/1\.1 200")

"""An acknowledged upload survives a loss of power: its system calls, in their order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .chaos.processes import LONG, Process, people, visited
from .harness import Person, multipart, settings_for

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
SIMPLE = {"database": None, "store": None}  # SQLite and a folder: for servers, see their manuals
CALLS = "fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg,write"


@contextmanager
def traced(process: int, log: Path) -> Iterator[None]:
    """Write the system calls of a process to a file, each with the paths of its files."""
    command = ["strace", "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(log), "-p", str(process)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
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
        with traced(process.pid, tmp_path / "log"):
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

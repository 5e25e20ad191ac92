"""Large files: memory does not grow with them, neither here nor at the bridge."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .bridges import LONG

MIB = 2**20
GIB = 2**30

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"),
]


@dataclass
class BridgeProcess:
    """`pymdc bridge`, in a process of its own."""

    process: subprocess.Popen[str]
    url: str = ""

    def line_with(self, pattern: str) -> str:
        """Return what `pattern` captures in the next line of the bridge's output that has it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"the bridge ended without a line that has {pattern}")

    def peak(self) -> int:
        """Return the most memory that the bridge has had at any time, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


@contextmanager
def bridge_process(data: Path) -> Iterator[BridgeProcess]:
    command = [sys.executable, "-u", "-m", "pymdc", "bridge", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        bridge = BridgeProcess(process)
        try:
            bridge.url = bridge.line_with("STORJ_BRIDGE=(.*)")
            yield bridge
        finally:
            process.terminate()
            process.wait(LONG)


PROGRAM = """
import resource, sys
import pymdc

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

small, large = sys.argv[1:]
user = pymdc.api.Users("somebody@example.com", "a password")
pymdc.unwrap(user.register())
pymdc.unwrap(user.activate(input()))
key_pair = pymdc.keypair.ECDSA()
pymdc.unwrap(pymdc.api.Keys(user).create(key_pair))
bucket = pymdc.api.Bucket(pymdc.api.Buckets(key_pair).create("large files", 100, 100, [key_pair]), key_pair)

def upload(path):
    return pymdc.unwrap(bucket.files.upload(path, bucket.files.token("PUSH")))

upload(small)
before = peak()
print("ready", flush=True)
input()
print(upload(large)["size"], peak() - before, flush=True)
"""


def sparse(path: Path, size: int) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


def test_an_upload_of_two_gibibytes_takes_less_than_32_mebibytes_of_memory_on_either_side(tmp_path: Path) -> None:
    small, large = sparse(tmp_path / "small.bin", 20 * MIB), sparse(tmp_path / "large.bin", 2 * GIB)
    with bridge_process(tmp_path / "bridge") as bridge:
        environment = {**os.environ, "STORJ_BRIDGE": bridge.url}
        command = [sys.executable, "-c", PROGRAM, str(small), str(large)]
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(bridge.line_with("/activations/([0-9a-f]+)") + "\n")
            program.stdin.flush()
            assert program.stdout.readline() == "ready\n"
            before = bridge.peak()
            out, _ = program.communicate("\n", timeout=10 * LONG)
        size, client_more = map(int, out.split())
        bridge_more = bridge.peak() - before
    assert size == 2 * GIB
    assert client_more < 32 * MIB
    assert bridge_more < 32 * MIB

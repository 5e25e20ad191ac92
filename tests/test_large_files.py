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


PROGRAM = r"""
import re, sys
import pymdc

def peak():  # ru_maxrss would begin with what the process that has started us had
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024

small, large, target = sys.argv[1:]
user = pymdc.api.Users("somebody@example.com", "a password")
pymdc.unwrap(user.register())
pymdc.unwrap(user.activate(input()))
key_pair = pymdc.keypair.ECDSA()
pymdc.unwrap(pymdc.api.Keys(user).create(key_pair))
bucket = pymdc.api.Bucket(pymdc.api.Buckets(key_pair).create("large files", 100, 100, [key_pair]), key_pair)

def upload(path):
    return pymdc.unwrap(bucket.files.upload(path, bucket.files.token("PUSH")))

def download(stored):
    return pymdc.unwrap(bucket.files.download(stored, path=target))

download(upload(small))
before = peak()
print("ready", flush=True)
input()
stored = upload(large)
up = peak() - before
print("uploaded", flush=True)
input()
print(download(stored)["size"], up, peak() - before, flush=True)
"""


def sparse(path: Path, size: int) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


def transferred(size: int, folder: Path) -> tuple[int, int]:
    """Upload and download so many bytes; give the more of memory that the upload took, and that both took.

    Of the client or of the bridge, whichever took more.
    """
    small, large, target = sparse(folder / "small.bin", MIB), sparse(folder / "large.bin", size), folder / "target"
    with bridge_process(folder / "bridge") as bridge:
        environment = {**os.environ, "STORJ_BRIDGE": bridge.url}
        command = [sys.executable, "-c", PROGRAM, str(small), str(large), str(target)]
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(bridge.line_with("/activations/([0-9a-f]+)") + "\n")
            program.stdin.flush()
            assert program.stdout.readline() == "ready\n"
            before = bridge.peak()
            program.stdin.write("\n")
            program.stdin.flush()
            assert program.stdout.readline() == "uploaded\n"
            bridge_up = bridge.peak() - before
            out, _ = program.communicate("\n", timeout=30 * LONG)
        got, up, both = map(int, out.split())
        bridge_both = bridge.peak() - before
    assert got == target.stat().st_size == size
    with target.open("rb") as file:
        file.seek(size - 3)
        assert file.read() == bytes(3)
    print(*(f"{more / MIB:.0f} MiB" for more in (up, both, bridge_up, bridge_both)))
    return max(up, bridge_up), max(both, bridge_both)


def test_two_gibibytes_up_and_down_take_less_than_64_mebibytes_of_memory_on_either_side(tmp_path: Path) -> None:
    up, both = transferred(2 * GIB, tmp_path)
    assert up < 32 * MIB
    assert both < 64 * MIB


@pytest.mark.skipif("PYMDC_LARGE" not in os.environ, reason="takes minutes; set PYMDC_LARGE")
@pytest.mark.parametrize("size", [2**32 - 1, 2**32 + 1, 10 * GIB], ids=["below 2**32", "above 2**32", "10 GiB"])
def test_files_beyond_two_to_the_32_take_no_more_memory_either(size: int, tmp_path: Path) -> None:
    up, both = transferred(size, tmp_path)
    assert up < 32 * MIB
    assert both < 64 * MIB

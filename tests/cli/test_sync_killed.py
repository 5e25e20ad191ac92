"""`pymdc sync` that is killed goes on where it was, ends equal, and takes no more memory for more or larger files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets, Keys, Users

from ..bridges import LONG
from ..test_large_files import GIB, MIB, bridge_process, sparse

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")

PROGRAM = r"""
import atexit, re, sys

def peak():
    return re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]

atexit.register(lambda: print("peak", peak(), file=sys.stderr))
from pymdc.__main__ import main
main()
"""


def syncs(arguments: list[str], environment: Mapping[str, str], killed_after: int | None) -> tuple[int, int]:
    """Run `pymdc sync`; kill it when it has told so many files. Return how many it told, and its peak in bytes."""
    command = [sys.executable, "-c", PROGRAM, "sync", *arguments]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = 0
        for _ in process.stdout:
            told += 1
            if told == killed_after:
                status = Path(f"/proc/{process.pid}/status").read_text()
                process.kill()
                process.wait(LONG)
                return told, int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert killed_after is None, "it ended before it was killed"
    return told, int(re.findall(r"^peak (\d+)$", said, re.M)[0]) * 1024


def goes_there_and_back(tmp_path: Path, count: int, size: int) -> int:
    """Sync so many small files and one of that size to a bridge and back, and kill it three times each way.

    Return the peak of its memory in bytes.
    """
    folder, back = tmp_path / "folder", tmp_path / "back"
    for number in range(count):
        path = folder / f"{number % 100:02}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}")
    sparse(folder / "00-large", size)
    peaks = []
    with bridge_process(tmp_path / "bridge") as bridge:
        environment = {
            "STORJ_BRIDGE": bridge.url,
            "STORJ_BRIDGE_USER": "you@example.com",
            "STORJ_BRIDGE_PASS": "a password",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        with Client(bridge.url) as client:
            user = Users("you@example.com", "a password", client=client)
            unwrap(user.register())
            unwrap(user.activate(bridge.line_with("/activations/([0-9a-f]+)")))
            key_pair = ECDSA()
            unwrap(Keys(user).create(key_pair))
            bucket = Bucket(unwrap(Buckets(user).create("photos", 100, 100, [key_pair])), user)
            for arguments in ([str(folder), "storj://photos/"], ["storj://photos/", str(back)]):
                for killed_after in (count // 5, count // 4, count // 3, None):
                    told, peak = syncs(arguments, environment, killed_after)
                    peaks.append(peak)
                assert told < count / 2  # the last one did what was left
            assert len(unwrap(bucket.files.list())) == count + 1
    for path in folder.rglob("*.txt"):
        assert (back / path.relative_to(folder)).read_text() == path.read_text()
    assert (back / "00-large").stat().st_size == size
    assert sorted(path.name for path in back.rglob(".pymdc-*")) == []
    print(f"{count} files and one of {size / MIB:.0f} MiB:", *(f"{peak / MIB:.0f} MiB" for peak in peaks))
    return max(peaks)


def test_a_sync_that_is_killed_three_times_each_way_ends_equal(tmp_path: Path) -> None:
    assert goes_there_and_back(tmp_path, 60, 20 * MIB) < 120 * MIB


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif("PYMDC_LARGE" not in os.environ, reason="takes minutes; set PYMDC_LARGE")
def test_ten_thousand_files_and_one_of_four_gibibytes_take_no_more_memory(tmp_path: Path) -> None:
    assert goes_there_and_back(tmp_path, 10_000, 4 * GIB) < 120 * MIB

"""What the benchmarks of transfers share: a bridge in a process of its own, a file, a stopwatch."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets, Keys, Users

from ..test_large_files import bridge_process

MIB = 2**20


@contextmanager
def bench(about: str) -> Iterator[tuple[Bucket, Path, Path, int]]:
    """Give a bucket, a file of random bytes, a folder for what comes, and how many runs to make."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--mib", type=int, default=512, help="the size of the file")
    parser.add_argument("--runs", type=int, default=5, help="how often each way is taken, in turn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bridge_process(Path(folder) / "bridge") as bridge:
        source = Path(folder) / "source.bin"
        with source.open("wb") as file:
            for _ in range(arguments.mib):
                file.write(os.urandom(MIB))
        with Client(bridge.url) as client:
            user = Users("somebody@example.com", "a password", client=client)
            unwrap(user.register())
            unwrap(user.activate(bridge.line_with("/activations/([0-9a-f]+)")))
            key_pair = ECDSA()
            unwrap(Keys(user, client=client).create(key_pair))
            made = unwrap(Buckets(key_pair, client=client).create("bench", 10_000, 10_000, []))
            yield Bucket(made, key_pair, client=client), source, Path(folder), arguments.runs
        print(f"peak memory of the bridge: {bridge.peak() / MIB:.0f} MiB")


def measure(ways: Mapping[str, Callable[[], object]], size: int, runs: int) -> None:
    """Take each way in turn, so many times, and print the medians, against those of the first."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            os.sync()  # what the way before has left to the disk is not charged to this one
            before = time.monotonic(), _processor()
            way()
            taken[name].append(time.monotonic() - before[0])
            print(f"  {name}: {taken[name][-1]:.2f} s, {_processor() - before[1]:.2f} s of it on a processor")
    first = statistics.median(next(iter(taken.values())))
    for name, times in taken.items():
        median = statistics.median(times)
        spread = f"({min(times):.2f} to {max(times):.2f} s)"
        print(f"{name:24} {size / median / 1e6:7.0f} MB/s   ratio {first / median:.2f}   {spread}")


def _processor() -> float:
    """Return the processor time of this process and of the programs that it has run and seen end, in seconds."""
    return sum(
        use.ru_utime + use.ru_stime
        for use in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)

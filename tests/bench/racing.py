"""How everything here is measured: ways to do the same work, taken in turn, and ratios within each turn.

What else runs on the machine slows all ways alike, so a ratio within one turn says more than a time. Processor time is
steadier still: it does not count how long a process waited for its turn.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20
LEAST_TURNS = 3
TICKS = os.sysconf("SC_CLK_TCK")


def own_processor() -> float:
    """Return the processor time of this process and of its ended children, in seconds."""
    return sum(
        use.ru_utime + use.ru_stime
        for use in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def processor_seconds(pids: Sequence[int]) -> float:
    """Return what processes have used of the processors, their ended children included."""
    total = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(word) for word in words[11:15])
    return total / TICKS


def processor_of(pid: int) -> Callable[[], float]:
    """Return what tells the processor time of a process."""
    return lambda: processor_seconds([pid])


@dataclass(frozen=True)
class Way:
    """A way to do a piece of work.

    Attributes:
        name: what the table calls it.
        run: does the work once, with what `prepare` gave.
        figure: says the time of a run in the usual unit: `per_call(300)`, `per_second(300)`, `speed(size)`.
        prepare: makes ready what the work needs; not measured.
        processor: the processor time so far of the processes that the table is about, in seconds.
    """

    name: str
    run: Callable[[Any], object]
    figure: Callable[[float], str]
    prepare: Callable[[], Any] = lambda: None
    processor: Callable[[], float] = own_processor


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        what, beside: the work, and what it is compared with.
        figure: how fast ours was, in the usual unit.
        ratios: the speed of ours as a part of the other's, for each turn.
        processor: the other's processor time as a part of ours; `None` where that says nothing.
        aim: the least median that is wanted; `None` for no aim.
    """

    what: str
    beside: str
    figure: str
    ratios: Sequence[float]
    processor: float | None = None
    aim: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)


@dataclass(frozen=True)
class Taken:
    """What a run took, in seconds."""

    wall: float
    processor: float


class Race:
    """Takes ways in turn for some time, and compares them.

    Arguments:
        ways: what is measured.
        seconds: when no further turn is begun; there are at least three.
    """

    def __init__(self, ways: Sequence[Way], seconds: float) -> None:
        self._ways = {way.name: way for way in ways}
        self._taken: dict[str, list[Taken]] = {way.name: [] for way in ways}
        end = time.monotonic() + seconds
        for way in ways:
            _once(way)  # the first time is that of caches and of lazy imports
        turns = 0
        while turns < LEAST_TURNS or time.monotonic() < end:
            for way in ways if turns % 2 else reversed(ways):
                self._taken[way.name].append(_once(way))
            turns += 1

    def line(self, what: str, ours: str, beside: str, aim: float | None = None) -> Line:
        """Compare two of the ways."""
        mine, other = self._taken[ours], self._taken[beside]
        used = sum(each.processor for each in mine), sum(each.processor for each in other)
        return Line(
            what,
            f"{beside}: {self._figure(beside)}",
            self._figure(ours),
            [b.wall / a.wall for a, b in zip(mine, other, strict=True)],
            used[1] / used[0] if min(used) > 0 else None,
            aim,
        )

    def _figure(self, name: str) -> str:
        return self._ways[name].figure(statistics.median(each.wall for each in self._taken[name]))


def _once(way: Way) -> Taken:
    prepared = way.prepare()
    before = way.processor()
    began = time.perf_counter()
    way.run(prepared)
    took = time.perf_counter() - began
    return Taken(took, way.processor() - before)


def per_call(calls: int) -> Callable[[float], str]:
    return lambda seconds: f"{seconds / calls * 1e6:.0f} µs"


def per_second(count: int) -> Callable[[float], str]:
    return lambda seconds: f"{count / seconds:.0f}/s"


def speed(size: int) -> Callable[[float], str]:
    return lambda seconds: f"{size / seconds / 1e6:.0f} MB/s"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


class Memory:
    """The memory of a process, from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        self.before = memory(pid, "VmRSS")

    def line(self, what: str, most: int) -> Line:
        """Say how much it has grown, and whether that is within `most` MiB."""
        grown = memory(self._pid, "VmHWM") - self.before
        return memory_line(what, f"at most +{most} MiB", max(grown, 1), most * MIB)


def memory(pid: int | str, what: str) -> int:
    """Return a figure of a process's memory, in bytes: "VmRSS", "VmHWM" (the peak)."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def memory_line(what: str, beside: str, ours: int, other: int) -> Line:
    """Compare two amounts of memory; more than 1 means that ours is the smaller one."""
    return Line(f"memory: {what}", beside, f"{ours / MIB:.0f} MiB", [other / ours], None, 1.0)

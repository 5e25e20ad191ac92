"""Nonces: milliseconds, each higher than the one before, in all threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from pymdc.core import nonces
from pymdc.core.nonces import next_nonce


def test_nonces_are_milliseconds_since_1970() -> None:
    before = time.time_ns() // 1_000_000
    nonce = next_nonce()
    assert (
        before <= nonce <= time.time_ns() // 1_000_000 + 100_000
    )  # tests take nonces faster than the clock gives them


def test_nonces_strictly_increase_across_threads() -> None:
    taken: list[list[int]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def take(into: list[int]) -> None:
        start.wait(10)
        into.extend(next_nonce() for _ in range(2000))

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(mine == sorted(mine) for mine in taken)
    assert len({nonce for mine in taken for nonce in mine}) == 16000


def test_nonces_increase_even_if_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = next_nonce()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert [next_nonce(), next_nonce()] == [before + 1, before + 2]


FORK = """
import os, signal
from pymdc.core import nonces
nonces._lock.acquire()  # as another thread of the parent may, which the child does not have
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if nonces.next_nonce() > 0 else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_the_child_of_a_fork_waits_for_no_thread_of_its_parent() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)


def test_the_lock_is_a_new_one_in_the_child_of_a_fork() -> None:
    with nonces._lock:  # this is what the child runs, seen from within
        nonces._begin_anew()
        assert nonces.next_nonce() > 0

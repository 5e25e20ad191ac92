"""How many threads hash at once."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pymdc.transfers import hashing

LONG = 60.0


class Watched:
    """A digest that notes how many digests work at the same time."""

    def __init__(self, others: int) -> None:
        self.at_work, self.most = 0, 0
        self.lock = threading.Lock()
        self.all_here = threading.Event()
        self.others = others

    def update(self, data: bytes | memoryview, /) -> None:
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            if self.at_work == self.others:
                self.all_here.set()
        assert self.all_here.wait(LONG)
        with self.lock:
            self.at_work -= 1


@pytest.mark.parametrize(("cores", "at_once"), [(None, 1), (1, 1), (2, 1), (4, 3)])
def test_a_core_is_left_to_the_threads_of_the_program(
    cores: int | None, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    turns, digest = hashing.Turns(), Watched(at_once)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(hashing.add_to, digest, b"", True, turns) for _ in range(8)]:
            each.result(LONG)
    assert digest.most == at_once


def test_without_a_window_all_threads_hash_at_once() -> None:
    turns, digest = hashing.Turns(), Watched(8)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(hashing.add_to, digest, b"", False, turns) for _ in range(8)]:
            each.result(LONG)
    assert digest.most == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_hashes_though_threads_of_the_parent_did() -> None:
    taken = [hashing._turns.free for _ in range(max(1, (os.cpu_count() or 1) - 1))]
    for each in taken:
        each.acquire()
    try:
        child = os.fork()
        if not child:
            digest = hashlib.sha256()
            hashing.add_to(digest, b"abc", for_window=True)
            os._exit(digest.digest() != hashlib.sha256(b"abc").digest())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        for each in taken:
            each.release()

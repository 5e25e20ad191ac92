"""Hash bytes, but leave one core of the machine free for the thread of a window."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Digest", "Turns", "add_to", "turn"]


class Digest(Protocol):
    """A hash object, such as those of `hashlib`."""

    def update(self, data: bytes | memoryview, /) -> None: ...


class Turns:
    """Lets one thread fewer than there are cores be busy at once, so that the thread of a window finds a free core.

    `hashlib` lets other threads run meanwhile. Eight downloads would keep more threads busy than there are cores, and a
    window would wait for its turn on a core as long as all of them.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the threads that hash: the child of a fork does not have them."""
        self.free = threading.Semaphore(max(1, (os.cpu_count() or 1) - 1))


_turns = Turns()


def turn(for_window: bool, turns: Turns = _turns) -> AbstractContextManager[object]:
    """Return a context for long work of a thread. Within it, `add_to` may wait for ever.

    Arguments:
        for_window: whether a window waits for this work; then the thread waits for its turn.
    """
    return turns.free if for_window else nullcontext()


def add_to(digest: Digest, data: bytes | memoryview, for_window: bool, turns: Turns = _turns) -> None:
    """Hash more bytes; for a window, when it is this thread's turn."""
    with turn(for_window, turns):
        digest.update(data)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_turns.begin_anew)

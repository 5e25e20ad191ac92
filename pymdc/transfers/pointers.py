"""The pointers of a download. The bridge is asked for new ones when a token is spent or a farmer fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from ..core.job import Job
from ..errors import ChannelError, IntegrityError
from .shards import Pointer

__all__ = ["Pointers"]


class Pointers:
    """The pointers of one download. All its threads share them.

    Arguments:
        ask: asks the bridge; its arguments tell whether it is the first time, and for which job. What it raises ends
            the download.
        again: whether it may be asked more than once: a given token works only once.
        job: the download.

    Attributes:
        hashes: those of the shards, in the bridge's order.

    Raises:
        ChannelError: the bridge did not answer with pointers.
        Exception: what `ask` raises.
    """

    def __init__(self, ask: Callable[[bool, Job], Any], again: bool, job: Job) -> None:
        self._ask = ask
        self._again = again
        self._lock = threading.Lock()  # guards the three below
        self._answers = 1
        self._taken: set[int] = set()
        self._current = _checked(ask(True, job))
        self.hashes = [str(pointer["hash"]) for pointer in self._current]

    def take(self, index: int, job: Job) -> tuple[Pointer, int]:
        """Return the pointer of a shard, and which of the bridge's answers it is from.

        A channel's token works once. If the pointer was used before, the bridge is asked for a new one, if allowed.
        """
        with self._lock:
            if index in self._taken and self._again:
                self._renew(job)
            self._taken.add(index)
            return self._current[index], self._answers

    def renew(self, answer: int, job: Job) -> bool:
        """Ask again, unless another thread did since that answer. Return whether there are other pointers now."""
        with self._lock:
            if self._answers == answer and self._again:
                self._renew(job)
            return self._answers != answer

    def _renew(self, job: Job) -> None:
        job.check()
        fresh = _checked(self._ask(False, job))
        if [str(pointer["hash"]) for pointer in fresh] != self.hashes:
            raise IntegrityError("the file was stored again, in other shards, while it was downloaded")
        self._current = fresh
        self._taken.clear()
        self._answers += 1


def _checked(pointers: Any) -> list[Pointer]:
    if isinstance(pointers, list) and all(isinstance(each, dict) and _is_hash(each.get("hash")) for each in pointers):
        return pointers
    raise ChannelError("the bridge did not answer with pointers")


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{40}", value) is not None

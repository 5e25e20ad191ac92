"""The counter of nonces, one for the whole process.

Why milliseconds: a bridge of 2016 keeps the highest nonce of each user, and refuses a nonce that is not higher.
The original counted seconds, so the second request within a second was refused. Why not microseconds: all programs of
one user must count in the same unit, or the one with the larger numbers locks the others out.
"""

from __future__ import annotations

import os
import threading
import time

__all__ = ["next_nonce"]

_lock = threading.Lock()
_last = 0


def next_nonce() -> int:
    """Return a nonce: milliseconds since 1970, and higher than all earlier nonces of this process.

    One number for all threads and key pairs: a bridge of 2016 counts per user, and a user may have several keys.
    """
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000)
        return _last


def _begin_anew() -> None:
    # In the child of a fork: another thread of the parent may have held the lock.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows knows no fork
    os.register_at_fork(after_in_child=_begin_anew)

"""The base of the schedulers: functions wait in a queue, and a loop's thread runs them in slices of 10 ms.

The loop answers its own events between two slices. So a thousand callbacks at once do not freeze a window.
"""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Slices"]

_SLICE_SECONDS = 0.01
"""For how many seconds functions may delay a loop's own events. One function alone may take longer."""


class Slices(ABC):
    """A scheduler: call it with a function of no arguments, from any thread, and a loop runs the function.

    A subclass wakes the loop. The functions run one after the other, in the order of the calls.
    """

    def __init__(self) -> None:
        self.ended = False
        """Set this when no function may run any more, because the window is destroyed."""
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()  # guards the one below
        self._woken = False

    def __call__(self, function: Callable[[], None]) -> None:
        """Have the loop run `function`. Any thread may call this; it never waits for the loop."""
        self._waiting.append(function)
        with self._lock:
            woken, self._woken = self._woken, True
        if not woken:
            self._have_woken(self.wake)

    @abstractmethod
    def wake(self) -> None:
        """Have the loop call `turn` soon. Any thread may call this."""

    def wake_again(self) -> None:
        """Have the loop call `turn` after it has handled its own events. Only the loop's thread calls this."""
        self.wake()

    def wanted(self) -> bool:
        """Tell whether callbacks may run: not while the window is closed."""
        return True

    def report(self, error: BaseException) -> None:
        """Report what a function raised: to the hook of the toolkit, which is `sys.excepthook` for most of them."""
        sys.excepthook(type(error), error, error.__traceback__)

    def turn(self) -> None:
        """Run the waiting functions for one slice. Only the loop's thread calls this."""
        with self._lock:
            self._woken = more = len(self._waiting) > 1
        try:
            if more:
                self._have_woken(self.wake_again)  # before the functions: a dialog that one opens has a loop of its own
        finally:
            self.run_slice()

    def _have_woken(self, wake: Callable[[], None]) -> None:
        try:
            wake()
        except BaseException:
            with self._lock:
                self._woken = False  # nothing will call `turn`: the next function must wake the loop again
            raise

    def run_slice(self) -> None:
        """Run waiting functions: at least one, and no further one after `_SLICE_SECONDS`."""
        until = time.monotonic() + _SLICE_SECONDS
        while self._waiting:
            function = self._waiting.popleft()
            self._run(function)
            del function  # here, in the loop's thread: it may hold widgets
            if time.monotonic() >= until:
                return

    def _run(self, function: Callable[[], None]) -> None:
        try:
            if not self.ended and self.wanted():
                function()
        except BaseException as error:  # noqa: BLE001 - nothing that a callback raises may end the loop
            with suppress(BaseException):  # and neither must an exception of the program's own hook
                self.report(error)

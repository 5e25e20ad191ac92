"""The pool: a bounded number of threads, started when there is work and ended when there is none.

Why not `ThreadPoolExecutor`: it refuses work once the main thread has ended, though programs of 2016 start calls from
callbacks until long after that. And it stops for ever when all its workers wait for work that is still queued.

The bound limits how many calls run. A worker whose callback waits for another call, or takes long while work is queued,
does not count: another worker takes its place. So a callback may wait for calls in any way, and the bound still holds.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Pool", "Task", "make_room", "user_code"]

# How long a callback may run, while work is queued, before another worker takes its place.
_HOLD_SECONDS = 0.02

# How long a worker without work waits for more. The end of the process waits for it no longer than that.
_LINGER_SECONDS = 0.01

_numbers = itertools.count(1)
_this_thread = threading.local()  # `place`: the place of the worker that runs in this thread


class Task(Protocol):
    """A piece of work. Running it a second time does nothing. It never raises."""

    def run(self) -> None: ...


class _Place:
    """A worker's place in its pool.

    Attributes:
        held: whether the bound counts it.
        since: when the worker began to run a function of the program; `None` while it runs none.
        lost: whether this is the child of a fork, whose pool has no workers.
        called: notified when there is work for its waiting worker, which then has its place again.
    """

    def __init__(self, pool: Pool, lock: threading.Lock) -> None:
        self.pool = pool
        self.called = threading.Condition(lock)
        self.held = True
        self.since: float | None = None
        self.lost = False


class Pool:
    """At most `workers` threads that run tasks in their order.

    The threads are not daemons: the process does not end before the work is done. There is nothing to shut down.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._places: set[_Place] = set()
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the work and the workers. The child of a fork has none, and a lock may be held there for ever."""
        for place in self._places:
            place.lost = True  # one of them may be that of the thread that forked
        self._lock = threading.Lock()  # guards all of the below
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Task] = deque()
        self._urgent: set[Task] = set()
        self._places = set()
        self._idle: list[_Place] = []  # their workers wait a little for work; a new thread would cost far more
        self._working = 0  # how many places are held
        self._watching = False

    def submit(self, task: Task, *, urgent: bool = False) -> None:
        """Run a task when its turn comes. An urgent one runs at once, beside those that the bound allows."""
        with self._lock:
            if urgent:
                self._urgent.add(task)
                self._waiting.appendleft(task)  # it may be in the queue already; run twice, it does nothing
            else:
                self._waiting.append(task)
        self._ensure_worker()

    def release(self, place: _Place) -> bool:
        """Give up a place until its worker goes on. Return `False` if no thread can be started to take the place."""
        with self._lock:
            if place.lost:
                return True  # the work is the parent's, or the new pool's
            if place.held:
                self._give_up(place)
        return self._ensure_worker()

    def _ensure_worker(self) -> bool:
        """Start a worker if there is work and a place, else a watcher. Return `False` if no thread can be started."""
        with self._lock:
            full = self._working >= self._capacity
            if not self._waiting or (full and self._watching):
                return True
            if self._idle and not full:
                self._call(self._idle.pop())
                return True
            place = None if full else self._new_place()
            self._watching = self._watching or full
        try:
            _start(self._watch if place is None else lambda: self._serve(place))
        except (RuntimeError, MemoryError):  # the interpreter is shutting down, or the system has no thread left
            self._without_a_thread(place)
            return False
        return True

    def _without_a_thread(self, place: _Place | None) -> None:
        mine = getattr(_this_thread, "place", None)
        with self._lock:
            if place is None:
                self._watching = False
                return
            if (mine is not None and mine.pool is self) or self._working > 1:  # a worker looks for work again
                self._leave(place)
                return
        self._serve(place)

    def _serve(self, place: _Place) -> None:
        before = getattr(_this_thread, "place", None)
        _this_thread.place = place
        try:
            while (task := self._next(place)) is not None:
                task.run()
                del task  # or an idle worker would keep the last value alive
        finally:
            _this_thread.place = before

    def _next(self, place: _Place) -> Task | None:
        with self._lock:
            if place.lost:
                return None
            self._take_back(place)
            while not self._waiting and self._working <= self._capacity and self._linger(place):
                pass
            if not self._waiting or self._working > self._capacity or not place.held:
                self._leave(place)
                return None
            task = self._waiting.popleft()
            self._urgent.discard(task)
            if not self._waiting:
                self._changed.notify()
            return task

    def _watch(self) -> None:
        """While work is queued, free the places of workers whose callbacks take long: they may wait for that work."""
        while True:
            with self._changed:
                if self._waiting:
                    self._changed.wait(_HOLD_SECONDS)
                if not self._waiting:
                    self._watching = False
                    return
                late = time.monotonic() - _HOLD_SECONDS
                slow = [each for each in self._places if each.held and (each.since or late) < late]
                for place in slow:
                    self._give_up(place)
            for _ in slow:
                self._ensure_worker()

    # The following are called with the lock held.

    @property
    def _capacity(self) -> int:
        return self._workers + bool(self._urgent)

    def _linger(self, place: _Place) -> bool:
        """Wait a little for more work, without a place. Return whether the place was given back."""
        if not threading.main_thread().is_alive():  # the process is about to end
            return False
        self._give_up(place)
        self._idle.append(place)
        place.called.wait(_LINGER_SECONDS)
        if not place.held and not place.lost:
            self._idle.remove(place)
        return place.held

    def _call(self, place: _Place) -> None:
        self._take_back(place)
        place.called.notify()

    def _new_place(self) -> _Place:
        place = _Place(self, self._lock)
        self._places.add(place)
        self._working += 1
        return place

    def _give_up(self, place: _Place) -> None:
        place.held = False
        self._working -= 1

    def _take_back(self, place: _Place) -> None:
        if not place.held:
            place.held = True
            self._working += 1

    def _leave(self, place: _Place) -> None:
        if place.held:
            self._give_up(place)
        self._places.discard(place)

    def went_on(self, place: _Place) -> None:
        """Count a worker again: a function of the program has returned, and the worker goes on with its call."""
        with self._lock:
            if not place.lost:
                self._take_back(place)


@contextmanager
def user_code() -> Iterator[None]:
    """Note that this thread runs a function of the program, which may wait for other calls without telling us."""
    place: _Place | None = getattr(_this_thread, "place", None)
    if place is None or place.since is not None:
        yield
        return
    place.since = time.monotonic()
    try:
        yield
    finally:
        place.since = None
        if not place.held:
            place.pool.went_on(place)


def make_room() -> bool:
    """Give up this thread's place before it waits for a call, if it is a worker.

    Returns:
        `False` if only this thread is left to run that call.
    """
    place: _Place | None = getattr(_this_thread, "place", None)
    return threading.main_thread().is_alive() if place is None else place.pool.release(place)


def _start(function: Callable[[], None]) -> None:
    """Run a function in a thread of its own.

    Raises:
        RuntimeError: no thread can be started, or the interpreter would not wait for it any more.
    """
    main = threading.main_thread()
    if threading.current_thread() is main and not main.is_alive():
        raise RuntimeError("a handler of atexit runs: all threads have been waited for")
    threading.Thread(target=function, name=f"pymdc-worker-{next(_numbers)}").start()

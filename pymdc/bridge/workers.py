"""Several worker processes on one port: a supervisor starts them, restarts those that die, and stops them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from typing import Any

__all__ = ["end_with_parent", "supervise"]

_log = logging.getLogger("pymdc.bridge")
_PAUSE_SECONDS = 1.0  # seconds between two starts of a worker: one that dies at once would otherwise use up a processor
# Signals that the supervisor only passes on to its workers. Windows has none of them.
_PASSED_ON = [getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)]


def supervise(
    count: int, work: Callable[..., None], arguments: tuple[Any, ...], patience: float, greet: Callable[[], None]
) -> None:
    """Run `work` in `count` processes until this process gets SIGINT or SIGTERM. Call it in the main thread.

    Arguments:
        count: the number of processes.
        work: what a worker runs. It gets its number (from 0), `arguments`, and an event to set when it serves. It must
            end at SIGTERM.
        patience: how many seconds the workers get to end before they are killed.
        greet: called once, when the first worker serves.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
    """
    context = multiprocessing.get_context("spawn")
    serving = context.Event()
    workers = [
        _Worker(partial(context.Process, target=work, args=(number, *arguments, serving))) for number in range(count)
    ]
    with _catch_signals() as signals:
        try:
            for worker in workers:
                worker.start()
            _look_after(workers, signals, serving, greet)
        finally:
            _stop(workers, patience)
    if signals.stop == signal.SIGINT:
        raise KeyboardInterrupt


def end_with_parent() -> None:
    """End this worker, as SIGTERM does, when its supervisor has died: nobody else would stop it.

    Signals that the supervisor passes on are ignored until the worker handles them itself.
    """
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="pymdc-bridge-parent", daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Signals:
    """The signals that have arrived: the one that stops, and those to pass on. Each makes `waker` readable."""

    def __init__(self, waker: socket.socket) -> None:
        self.waker = waker
        self.stop: int | None = None
        self.pass_on: list[int] = []

    def note(self, number: int, _: object) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self.stop = self.stop or number
        else:
            self.pass_on.append(number)


class _Worker:
    """One worker: its process, and the next process when that one dies."""

    def __init__(self, make: Callable[[], SpawnProcess]) -> None:
        self._make = make
        self._began = 0.0
        self.process: SpawnProcess | None = None

    def start(self) -> None:
        self._began = time.monotonic()
        self.process = self._make()
        self.process.start()

    def due(self) -> float:
        """Return in how many seconds a dead process may be started again."""
        return self._began + _PAUSE_SECONDS - time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def tell(self, number: int) -> None:
        if self.process is not None and self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)


def _look_after(workers: list[_Worker], signals: _Signals, serving: Any, greet: Callable[[], None]) -> None:
    greeted = False
    while signals.stop is None:
        if not greeted and serving.is_set():
            greeted = True
            greet()
        dead = [worker for worker in workers if not worker.alive]
        wait = min([*(max(worker.due(), 0.0) for worker in dead), _PAUSE_SECONDS if greeted else 0.05])
        alive = [worker.process.sentinel for worker in workers if worker.process is not None and worker.alive]
        connection.wait([signals.waker, *alive], wait)
        _drain(signals.waker)
        while signals.pass_on:
            number = signals.pass_on.pop()
            for worker in workers:
                worker.tell(number)
        for worker in workers:
            if not worker.alive and worker.due() <= 0 and signals.stop is None:
                _log.warning("a worker has died and is started again")
                worker.start()


def _stop(workers: list[_Worker], patience: float) -> None:
    for worker in workers:
        worker.tell(signal.SIGTERM)
    end = time.monotonic() + patience
    for worker in workers:
        if worker.process is not None:
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.process.close()


def _drain(waker: socket.socket) -> None:
    with suppress(BlockingIOError):
        waker.recv(1024)


@contextmanager
def _catch_signals() -> Iterator[_Signals]:
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    woken.setblocking(False)
    signals = _Signals(waker)
    before = {number: signal.signal(number, signals.note) for number in (signal.SIGINT, signal.SIGTERM, *_PASSED_ON)}
    wakeup = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        waker.close()
        woken.close()

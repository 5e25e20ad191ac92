"""Objects that a callback holds are freed in its thread: toolkits crash when another thread frees widgets."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from pymdc.core.dispatch import Dispatcher
from pymdc.core.job import Job

LONG = 60.0


class Widget:
    """Notes which thread it is freed in."""

    freed: ClassVar[list[str]] = []

    def shown(self, value: object) -> None:
        pass

    def __del__(self) -> None:
        Widget.freed.append(threading.current_thread().name)


@pytest.fixture(autouse=True)
def _nothing_else_frees_it() -> Iterator[None]:
    Widget.freed.clear()
    gc.disable()
    yield
    gc.enable()


def in_the_windows_thread(function: Callable[[], None]) -> None:
    """Run the function, and be done with it before the worker is."""
    given = [function]
    thread = threading.Thread(target=lambda: given.pop()(), name="the window's")
    thread.start()
    thread.join(LONG)


def begin() -> threading.Event:
    go_on = threading.Event()
    widget = Widget()

    def call(_: Job, progress: object = widget.shown) -> object:
        return go_on.wait(LONG)

    Dispatcher(1).run(call, widget.shown, in_the_windows_thread)
    return go_on


def test_objects_that_a_callback_holds_are_freed_in_its_thread() -> None:
    go_on = begin()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("pymdc-worker")]
    go_on.set()
    for worker in workers:
        worker.join(LONG)
    assert Widget.freed == ["the window's"]

"""The pool where the ways of the dispatcher's tests do not lead: forks in callbacks, and the end of the interpreter."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pymdc.core.dispatch import Dispatcher
from pymdc.core.job import Job

LONG = 30.0


def test_a_callback_that_forked_waits_for_calls_of_the_new_pool_and_leaves_it_alone() -> None:
    """What runs in the child of a fork, called here: a child's coverage is nobody's."""
    dispatcher, ended = Dispatcher(1), threading.Event()
    values: list[Any] = []
    begun, go = threading.Event(), threading.Event()

    def call(_: Job) -> str:
        begun.set()
        assert go.wait(LONG)
        return "in the child"

    def callback(_: Any) -> None:
        dispatcher.run(lambda _: "before", values.append, None).join(LONG)  # it gives up its place
        dispatcher.start_anew()
        handle = dispatcher.run(call, values.append, None)
        assert begun.wait(LONG)
        threading.Timer(0.01, go.set).start()
        handle.join(LONG)
        ended.set()

    dispatcher.run(lambda _: None, callback, None)
    assert ended.wait(LONG)
    dispatcher.run(lambda _: "after", values.append, None).join(LONG)
    assert values == ["before", "in the child", "after"]


class EndedMain(threading.Thread):
    """What the main thread is to handlers of atexit: the one that runs, and no longer alive."""

    def is_alive(self) -> bool:
        return False


def test_in_a_handler_of_atexit_a_call_runs_in_the_thread_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    main = EndedMain()
    monkeypatch.setattr(threading, "main_thread", lambda: main)
    monkeypatch.setattr(threading, "current_thread", lambda: main)
    threads: list[int] = []
    handle = Dispatcher(1).run(lambda _: None, lambda _: threads.append(threading.get_ident()), None)
    assert not handle.is_alive()
    assert threads == [threading.get_ident()]

"""The pool in cases that the dispatcher's tests do not reach: forks in callbacks, and the end of the interpreter."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from pymdc.core import pool
from pymdc.core.dispatch import Dispatcher
from pymdc.core.job import Job

LONG = 30.0


def test_a_callback_that_forked_waits_for_calls_of_the_new_pool_and_leaves_it_alone() -> None:
    """Call the code of a forked child here: coverage of a child is not measured."""
    dispatcher, ended = Dispatcher(1), threading.Event()
    values: list[Any] = []
    begun, go = threading.Event(), threading.Event()

    def call(_: Job) -> str:
        begun.set()
        assert go.wait(LONG)
        return "in the child"

    def callback(_: Any) -> None:
        dispatcher.run(lambda _: "before", values.append, None).join(LONG)  # it gives up its place
        dispatcher.reset_after_fork()
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
    """The main thread as handlers of atexit see it: it runs, but is not alive."""

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


def test_a_worker_waits_a_little_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_LINGER_SECONDS", 0.3)
    dispatcher, names = Dispatcher(1), set()
    for _ in range(20):
        dispatcher.run(lambda _: None, lambda _: names.add(threading.current_thread().name), None).join(LONG)
    assert len(names) == 1


def test_a_worker_that_waits_for_calls_when_its_pool_begins_anew_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_LINGER_SECONDS", 0.3)
    dispatcher, names = Dispatcher(1), []
    for _ in range(2):
        dispatcher.run(lambda _: None, lambda _: names.append(threading.current_thread().name), None).join(LONG)
        dispatcher.reset_after_fork()
    assert len(set(names)) == 2
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(LONG)
            assert not thread.is_alive()


def test_a_process_ends_though_workers_wait_for_calls() -> None:
    script = "from pymdc.core.dispatch import Dispatcher\nDispatcher(4).run(lambda _: 'value', print, None).join()"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("value\n", "", 0)

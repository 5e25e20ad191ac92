"""Forks: clients, calls and the pool work in the child, whatever the parent's other threads did at that moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import pymdc
from pymdc import Client, client
from pymdc.api import REST
from pymdc.core import base_client, client_core, transport
from tests.hostile import Received, Server, answering, reply_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def echo(request: Received) -> bytes:
    return reply_bytes(200, f'"{request.path}"')


def echo_or_wait() -> Callable[[Received], bytes]:
    """Return an `echo` that answers `/slow` only when `/release` was asked for."""
    released = threading.Event()

    def answer(request: Received) -> bytes:
        if request.path == "/slow":
            assert released.wait(60)
        if request.path == "/release":
            released.set()
        return echo(request)

    return answer


def ran(script: str, *arguments: str, bridge: str = "") -> int:
    """Run a script, and return its exit code. At the end its children end as well: a child that hangs must not stay."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],  # 3.12 warns: fork and threads
        env={**os.environ, "STORJ_BRIDGE": bridge, "PYTHONPATH": str(Path(pymdc.__file__).parents[1])},
        start_new_session=True,
    )
    try:
        return process.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


FORKING = """
import os, sys, threading
import pymdc
from pymdc.rest import REST

explicit = pymdc.Client()
clients = [None, explicit, explicit.with_scheduler(lambda function: function())]
for one in clients:
    assert REST("GET", "/parent", client=one) == "/parent"
released, answered = threading.Event(), []
under_way = REST("GET", "/slow", callback=answered.append, client=explicit)

def in_child(number):
    values = []
    for one in clients:
        REST("GET", f"/callback/{number}", callback=values.append, client=one).join()
        values.append(REST("GET", f"/child/{number}", client=one))
    under_way.join()
    ended = not under_way.is_alive() and under_way.cancelled() and answered == []
    return values == [f"/callback/{number}", f"/child/{number}"] * 3 and ended

children = []
for number in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if in_child(number) else 1)
    children.append(child)
    assert REST("GET", f"/again/{number}", client=explicit) == f"/again/{number}"
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert REST("GET", "/release", client=explicit) == "/release"
under_way.join()
assert answered == ["/slow"]
sys.exit(sum(codes))
"""


def test_after_a_fork_every_client_works_in_parent_and_child() -> None:
    with Server(answering(echo_or_wait())) as server:
        assert ran(FORKING, bridge=server.url) == 0
        paths = [request.path for request in server.requests]
        assert len(paths) == 3 + 10 * 2 * 3 + 10 + 2
        assert len(set(paths)) == 1 + 10 * 2 + 10 + 2


FORKING_IN_A_CALLBACK = """
import os, threading
import pymdc
from pymdc.rest import REST

codes = []

def callback(value):
    child = os.fork()
    if child == 0:
        values = []
        REST("GET", "/child", callback=values.append).join()
        os._exit(0 if values == ["/child"] else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

REST("GET", "/a", callback=callback).join()
assert codes == [0]
"""


def test_a_callback_may_fork() -> None:
    with Server(answering(echo)) as server:
        assert ran(FORKING_IN_A_CALLBACK, bridge=server.url) == 0


HOLDING_LOCKS = """
import os, sys, threading
from contextlib import ExitStack
import pymdc
from pymdc import client
from pymdc.core import base_client, nonces
from pymdc.rest import REST

one = pymdc.Client()
assert REST("GET", "/a", client=one) == REST("GET", "/a") == "/a"
under_way = REST("GET", "/slow", callback=lambda value: None, client=one)
locks = [base_client._default_lock, nonces._lock, under_way._condition, under_way._delivered._cond]
for core in (one._core, client.default_client()._core):
    locks += [core._lock, core.dispatcher._pool._lock, core.dispatcher._calls._changed]
    locks += [core._transport._http._transport._pool._optional_thread_lock]
held, forked = threading.Event(), threading.Event()

def hold():
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)
        held.set()
        forked.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()
child = os.fork()
if child == 0:
    values = []
    for each in (one, None):
        values.append(REST("GET", "/child", client=each))
        REST("GET", "/child", callback=values.append, client=each).join()
    under_way.join()
    one.close()
    client.default_client().close()
    sys.exit(values != ["/child"] * 4)  # the interpreter ends as usual: that may hang, too
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
forked.set()
holder.join()
assert REST("GET", "/release", client=one) == "/release"
assert under_way.result() == "/slow"
sys.exit(code)
"""


def test_a_child_waits_for_no_lock_that_another_thread_of_the_parent_held() -> None:
    with Server(answering(echo_or_wait())) as server:
        assert ran(HOLDING_LOCKS, bridge=server.url) == 0


POOL_AT_WORK = """
import gc, os, sys, threading, weakref
import pymdc
from pymdc.core import pool

pool._HOLD_SECONDS = 60  # no place becomes free until the fork
client = pymdc.Client(workers=1)
dispatcher = client._core.dispatcher
begun, end = threading.Semaphore(0), threading.Event()

def nothing(_):
    pass

class Widget:
    def until_the_end(self, _):
        begun.release()
        end.wait()

widget = Widget()
dispatcher.run(nothing, widget.until_the_end, None)
begun.acquire()
cancelled = [dispatcher.run(nothing, widget.until_the_end, None) for _ in range(2)]
cancelled[0].cancel()  # it gets a worker of its own, at once
begun.acquire()
cancelled[1].cancel()  # it waits for one: now there is a queue, an urgent call, two workers, and one that watches
queued = Widget()
gone = weakref.ref(queued)
dispatcher.run(nothing, queued.until_the_end, None)
del queued
child = os.fork()
if child == 0:
    pool._HOLD_SECONDS = 0.01
    gc.collect()
    assert gone() is None, "the child keeps a call that waits for its turn in the parent"
    second_began, together = threading.Event(), []
    first = dispatcher.run(lambda _: together.append(second_began.wait(0.2)), nothing, None)
    second = dispatcher.run(lambda _: second_began.set(), nothing, None)
    dispatcher.finish(cancel=False)
    assert together == [False], "two calls run at once, though there may be one worker"
    done = threading.Event()
    dispatcher.run(nothing, lambda _: done.wait(), None)
    dispatcher.run(nothing, lambda _: done.set(), None)  # it never runs, if nobody watches
    dispatcher.finish(cancel=False)
    sys.exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
end.set()
sys.exit(code)
"""


def test_a_child_has_a_whole_pool_though_the_parent_had_workers_and_a_queue() -> None:
    assert ran(POOL_AT_WORK) == 0


WAITING_THREADS = """
import os, sys, threading, time
import pymdc

client, codes = pymdc.Client(workers=1), []
dispatcher = client._core.dispatcher
calls = dispatcher._calls

def callback(_):
    while len(calls._closing) + len(calls._joined) < 4:
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        values = []
        dispatcher.run(lambda _: threading.Event().wait(0.2), values.append, None)  # in a thread with an old identifier
        dispatcher.finish(cancel=False)
        os._exit(values != [False])
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

handle = dispatcher.run(lambda _: None, callback, None)
wait = handle.join if sys.argv[1] == "join" else lambda: dispatcher.finish(cancel=False)
threads = [threading.Thread(target=wait) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
sys.exit(codes != [0])
"""


@pytest.mark.parametrize("wait", ["join", "close"])
def test_in_a_child_close_waits_for_calls_though_threads_of_the_parent_waited(wait: str) -> None:
    """A new thread of the child may have the identifier of a thread that only the parent has."""
    assert ran(WAITING_THREADS, wait) == 0


def test_in_a_forked_child_no_lock_of_another_thread_of_the_parent_is_waited_for() -> None:
    """Call the code of a forked child here: coverage of a child is not measured."""
    with Server(answering(echo)) as server, Client(server.url) as one, Client(server.url) as unused:
        pymdc.configure(endpoint=server.url)
        assert REST("GET", "/a", client=one) == REST("GET", "/a") == "/a"
        inherited = one._core._transport
        with base_client._default_lock, one._core._lock, unused._core._lock:
            base_client._forget_in_child()
            client_core._start_anew_in_child()
            assert REST("GET", "/b", client=one) == REST("GET", "/b") == REST("GET", "/b", client=unused) == "/b"
        assert one._core._transport is not inherited
        client.default_client().close()
        assert inherited is not None
        inherited.close()  # the last call of the child that the parent had begun
        assert not inherited._http.is_closed
        for each in transport._inherited:
            each._http.close()
        transport._inherited.clear()

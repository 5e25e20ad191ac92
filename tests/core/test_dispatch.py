"""The dispatcher and its handles: once, in order, without deadlock, to the very end of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pymdc.core.dispatch import Dispatcher, Handle
from pymdc.core.job import Job

LONG = 30.0  # a bound on what should take milliseconds; reaching it is a failure


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    errors: list[BaseException] = []

    def hook(arguments: threading.ExceptHookArgs) -> None:
        assert arguments.exc_value is not None
        errors.append(arguments.exc_value)

    monkeypatch.setattr(threading, "excepthook", hook)
    return errors


@pytest.fixture(autouse=True)
def _no_thread_stays_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)
        assert not thread.is_alive()


def start(call: Callable[[Job], Any], callback: Callable[[Any], object], workers: int = 2, **more: Any) -> Handle:
    handle = Dispatcher(workers).run(call, callback, more.get("scheduler"))
    assert isinstance(handle, Handle)
    return handle


def failing(error: BaseException) -> Callable[..., Any]:
    def call(*_: object) -> Any:
        raise error

    return call


def giving(value: Any) -> Callable[[Job], Any]:
    return lambda _: value


class Gate:
    """A call that says when it has begun, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self, _job: Job | None = None) -> str:
        self.begun.set()
        assert self.open.wait(LONG)
        return "through"


def test_without_a_callback_the_value_is_returned_from_the_callers_thread() -> None:
    assert Dispatcher(1).run(lambda _: threading.get_ident(), None, None) == threading.get_ident()


def test_without_a_callback_an_exception_is_returned_not_raised() -> None:
    error = OSError("gone")
    assert Dispatcher(1).run(failing(error), None, None) is error


def test_without_a_callback_ctrl_c_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        Dispatcher(1).run(failing(KeyboardInterrupt()), None, None)


@pytest.mark.parametrize("error", [ValueError("a defect"), SystemExit(3), KeyboardInterrupt()])
def test_with_a_callback_whatever_the_call_raises_is_its_value(error: BaseException) -> None:
    values: list[Any] = []
    handle = start(failing(error), values.append)
    handle.join(LONG)
    assert values == [error]
    assert handle.result() is error


def test_a_callback_that_cannot_be_called_raises_at_once() -> None:
    with pytest.raises(TypeError, match="callback must be callable, not str"):
        Dispatcher(1).run(lambda _: 1, "show", None)  # type: ignore[arg-type]


def test_the_call_returns_at_once_and_the_callback_runs_in_another_thread() -> None:
    seen: list[tuple[Any, int]] = []
    gate = Gate()
    handle = start(gate, lambda value: seen.append((value, threading.get_ident())))
    assert gate.begun.wait(LONG)
    assert handle.is_alive()
    assert handle.isAlive()
    assert handle.running()
    assert not handle.done()
    handle.join(timeout=0.001)
    assert handle.is_alive()
    gate.open.set()
    handle.join(LONG)
    assert not handle.is_alive()
    assert handle.done()
    assert [value for value, _ in seen] == ["through"]
    assert seen[0][1] != threading.get_ident()


def test_a_handle_is_a_thread_to_old_programs_and_a_future_to_new_ones() -> None:
    handle = start(lambda _: {"error": "no"}, lambda _: None)
    assert isinstance(handle, concurrent.futures.Future)
    assert handle.daemon is False
    assert handle.name.startswith("pymdc-call-")
    assert handle.join(LONG) is None  # type: ignore[func-returns-value]
    assert handle.result(LONG) == {"error": "no"}
    assert handle.exception(LONG) is None
    assert not handle.cancelled()
    assert concurrent.futures.wait([handle], LONG).done == {handle}


def test_join_returns_after_the_callback_has_returned() -> None:
    gate, finished = Gate(), threading.Event()

    def callback(_: Any) -> None:
        gate()
        finished.set()

    handle = start(lambda _: 1, callback)
    assert gate.begun.wait(LONG)
    assert handle.result(LONG) == 1  # the value is there before the callback returns
    assert handle.is_alive()
    gate.open.set()
    handle.join(LONG)
    assert finished.is_set()


def test_a_handle_can_be_awaited() -> None:
    async def main() -> Any:
        return await asyncio.wait_for(asyncio.wrap_future(start(lambda _: 42, lambda _: None)), LONG)

    assert asyncio.run(main()) == 42


def test_an_exception_in_a_callback_is_reported_and_harms_nothing_else(reported: list[BaseException]) -> None:
    values: list[Any] = []
    dispatcher = Dispatcher(1)
    handles = [dispatcher.run(giving(i), failing_once(values, 1), None) for i in range(3)]
    for handle in handles:
        handle.join(LONG)
    assert values == [0, 1, 2]
    assert [str(error) for error in reported] == ["the callback of 1"]


def failing_once(values: list[int], which: int) -> Callable[[int], None]:
    def callback(value: int) -> None:
        values.append(value)
        if value == which:
            raise ZeroDivisionError(f"the callback of {value}")

    return callback


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_nothing_that_a_callback_raises_ends_a_worker(error: BaseException, reported: list[BaseException]) -> None:
    values: list[Any] = []
    dispatcher = Dispatcher(1)
    first = dispatcher.run(lambda _: 1, lambda _: failing(error)(), None)
    second = dispatcher.run(lambda _: 2, values.append, None)
    first.join(LONG)
    second.join(LONG)
    assert reported == [error]
    assert values == [2]


def test_a_hook_that_raises_ends_no_worker_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: failing(RuntimeError("the hook"))())
    values: list[Any] = []
    dispatcher = Dispatcher(1)
    handles = [dispatcher.run(lambda _: 1, lambda _: failing(ValueError("no"))(), None)]
    handles.append(dispatcher.run(lambda _: 2, values.append, None))
    for handle in handles:
        handle.join(LONG)
    assert values == [2]


def test_no_more_calls_run_at_once_than_there_are_workers() -> None:
    dispatcher, lock, running, most = Dispatcher(3), threading.Lock(), 0, 0

    def call(_: Job) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert barrier.wait(LONG) >= 0
        with lock:
            running -= 1

    barrier = threading.Barrier(3)
    done = threading.Semaphore(0)
    for _ in range(30):
        dispatcher.run(call, lambda _: done.release(), None)
    for _ in range(30):
        assert done.acquire(timeout=LONG)
    assert most == 3


def test_each_of_many_callbacks_runs_exactly_once() -> None:
    dispatcher, lock, counts = Dispatcher(8), threading.Lock(), [0] * 2000

    def count(value: int) -> None:
        with lock:
            counts[value] += 1

    handles = [dispatcher.run(giving(i), count, None) for i in range(len(counts))]
    for handle in handles:
        handle.join(LONG)
    assert counts == [1] * len(counts)


def test_joining_a_call_that_nobody_has_begun_makes_it_begin() -> None:
    values: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()
    blocked = dispatcher.run(gate, values.append, None)
    assert gate.begun.wait(LONG)
    waiting = [dispatcher.run(giving(i), values.append, None) for i in range(3)]
    waiting[2].join(LONG)
    assert waiting[1].result(LONG) == 1
    assert waiting[0].exception(LONG) is None
    for handle in waiting:
        handle.join(LONG)
    assert sorted(values) == [0, 1, 2]
    gate.open.set()
    blocked.join(LONG)
    assert len(values) == 4


def test_callbacks_may_join_calls_that_they_make_at_any_depth_on_one_worker() -> None:
    dispatcher, depths = Dispatcher(1), []

    def descend(depth: int) -> None:
        if depth:
            dispatcher.run(lambda _: depth - 1, descend, None).join(LONG)
        depths.append(depth)

    dispatcher.run(lambda _: 200, descend, None).join(LONG)
    assert depths == list(range(201))


def test_callbacks_may_make_blocking_calls_and_start_many_others_and_join_them_all() -> None:
    dispatcher, lock, leaves = Dispatcher(2), threading.Lock(), []

    def branch(depth: int) -> None:
        assert dispatcher.run(lambda _: "blocking", None, None) == "blocking"
        if depth == 0:
            with lock:
                leaves.append(1)
            return
        handles = [dispatcher.run(lambda _: depth - 1, branch, None) for _ in range(5)]
        for handle in handles:
            handle.join(LONG)

    roots = [dispatcher.run(lambda _: 2, branch, None) for _ in range(5)]
    for root in roots:
        root.join(LONG)
    assert len(leaves) == 5 * 25


def test_a_callback_that_joins_its_own_call_is_told_so(reported: list[BaseException]) -> None:
    holder: list[Handle] = []
    gate = Gate()
    holder.append(start(gate, lambda _: holder[0].join()))
    gate.open.set()
    holder[0].join(LONG)
    assert [str(error) for error in reported] == ["cannot join a call in its own callback"]


def test_a_call_that_has_not_begun_can_be_cancelled_and_its_callback_is_told() -> None:
    values: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()
    blocked = dispatcher.run(gate, lambda _: None, None)
    assert gate.begun.wait(LONG)
    handle = dispatcher.run(failing(AssertionError("the call was made")), values.append, None)
    assert handle.cancel()
    handle.join(LONG)
    assert handle.cancelled()
    assert handle.cancel()
    assert isinstance(handle.result(LONG), concurrent.futures.CancelledError)
    assert [type(value) for value in values] == [concurrent.futures.CancelledError]
    gate.open.set()
    blocked.join(LONG)


def test_a_call_that_has_begun_is_asked_to_stop() -> None:
    values: list[Any] = []
    begun = threading.Event()

    def call(job: Job) -> None:
        begun.set()
        while True:
            job.check()

    handle = start(call, values.append)
    assert begun.wait(LONG)
    assert not handle.cancelled()
    assert handle.cancel()
    handle.join(LONG)
    assert handle.cancelled()
    assert [type(value) for value in values] == [concurrent.futures.CancelledError]


def test_a_call_that_has_ended_cannot_be_cancelled() -> None:
    handle = start(lambda _: 1, lambda _: None)
    handle.join(LONG)
    assert not handle.cancel()
    assert not handle.cancelled()
    assert handle.result() == 1


def test_a_call_that_gives_a_value_although_it_was_cancelled_is_cancelled_all_the_same() -> None:
    for ending in (lambda: "a result", failing(OSError("an error"))):
        values: list[Any] = []
        gate = Gate()

        def call(_job: Job, gate: Gate = gate, ending: Callable[[], str] = ending) -> str:
            gate()
            return ending()

        handle = start(call, values.append)
        assert gate.begun.wait(LONG)
        assert handle.cancel()
        gate.open.set()
        handle.join(LONG)
        assert handle.cancelled()
        assert [type(value) for value in values] == [concurrent.futures.CancelledError]


def test_a_call_that_has_committed_itself_cannot_be_cancelled() -> None:
    gate = Gate()

    def call(job: Job) -> str:
        job.commit()
        return gate()

    handle = start(call, lambda _: None)
    assert gate.begun.wait(LONG)
    assert not handle.cancel()
    gate.open.set()
    handle.join(LONG)
    assert not handle.cancel()
    assert handle.result() == "through"


def test_cancelling_what_awaits_a_handle_cancels_the_call() -> None:
    def call(job: Job) -> None:
        while True:
            job.check()

    async def main() -> Handle:
        handle = start(call, lambda _: None)
        future = asyncio.wrap_future(handle)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        return handle

    handle = asyncio.run(main())
    handle.join(LONG)
    assert handle.cancelled()


def test_a_scheduler_carries_the_callback_to_its_own_thread() -> None:
    scheduled: list[Callable[[], None]] = []
    values: list[Any] = []
    handle = start(lambda _: 7, values.append, scheduler=scheduled.append)
    handle.join(LONG)  # returns when the callback was handed over: a loop that joins must not wait for itself
    assert values == []
    assert handle.result() == 7
    scheduled[0]()
    scheduled[0]()  # a scheduler may be wrong
    assert values == [7]


def test_what_a_scheduler_raises_is_reported_and_the_value_stays_on_the_handle(reported: list[BaseException]) -> None:
    handle = start(lambda _: 7, lambda _: None, scheduler=lambda _: failing(RuntimeError("the loop is closed"))())
    handle.join(LONG)
    assert handle.result() == 7
    assert [str(error) for error in reported] == ["the loop is closed"]


def test_an_exception_in_a_scheduled_callback_is_reported(reported: list[BaseException]) -> None:
    scheduled: list[Callable[[], None]] = []
    start(lambda _: 7, lambda _: failing(ValueError("no"))(), scheduler=scheduled.append).join(LONG)
    scheduled[0]()
    assert [str(error) for error in reported] == ["no"]


class NoThreads(threading.Thread):
    """What `threading.Thread` is when the system has no thread left, or the interpreter is shutting down."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_without_any_thread_left_a_call_runs_in_the_thread_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", NoThreads)
    values: list[Any] = []
    handle = start(lambda _: 1, values.append)
    assert values == [1]
    assert not handle.is_alive()


def test_without_any_thread_left_a_callback_leaves_its_calls_to_the_worker_that_runs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dispatcher, order = Dispatcher(4), []

    def callback(value: int) -> None:
        monkeypatch.setattr(threading, "Thread", NoThreads)
        if value < 500:  # far deeper than the stack, were the calls to nest
            dispatcher.run(lambda _: value + 1, callback, None)
        order.append(value)
        if value == 500:
            finished.set()

    finished = threading.Event()
    dispatcher.run(lambda _: 0, callback, None)
    assert finished.wait(LONG)
    assert order == list(range(501))


def test_without_any_thread_left_joining_runs_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()
    blocked = dispatcher.run(gate, lambda _: None, None)
    assert gate.begun.wait(LONG)
    monkeypatch.setattr(threading, "Thread", NoThreads)
    handle = dispatcher.run(lambda _: 1, values.append, None)
    handle.join(LONG)
    assert values == [1]
    gate.open.set()
    blocked.join(LONG)


CHAIN = """
import threading
from pymdc.core.dispatch import Dispatcher

dispatcher = Dispatcher(workers={workers})
main = threading.current_thread()

def step(value):
    main.join()  # from here on, the main thread has ended
    if value < 300:
        dispatcher.run(lambda _: value + 1, step, None)
    else:
        print("the end of the chain", flush=True)

dispatcher.run(lambda _: 1, step, None)
"""


@pytest.mark.parametrize("workers", [1, 4])
def test_callbacks_go_on_starting_calls_after_the_main_thread_has_ended(workers: int) -> None:
    script = CHAIN.format(workers=workers)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("the end of the chain\n", "", 0)


USER_THREAD = """
import threading
from pymdc.core.dispatch import Dispatcher

dispatcher = Dispatcher(workers=4)
main = threading.current_thread()

def later():
    main.join()
    handles = [dispatcher.run(lambda _, i=i: i, values.append, None) for i in range(20)]
    for handle in handles:
        handle.join()
    print(sorted(values) == list(range(20)), flush=True)

values = []
threading.Thread(target=later).start()
"""


def test_a_programs_own_thread_may_make_calls_after_the_main_thread_has_ended() -> None:
    ran = subprocess.run([sys.executable, "-c", USER_THREAD], capture_output=True, text=True, timeout=LONG, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("True\n", "", 0)

"""The dispatcher and its handles: every callback once, in order, without deadlock, up to the end of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pymdc.core import dispatch
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
    """A call that notes its beginning, and ends when the test says so."""

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
def test_with_a_callback_each_exception_of_the_call_is_its_value(error: BaseException) -> None:
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


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_nothing_that_a_done_callback_raises_keeps_the_value_from_the_callback(
    error: BaseException, reported: list[BaseException]
) -> None:
    gate = Gate()
    values: list[Any] = []
    dispatcher = Dispatcher(1)
    handle = dispatcher.run(gate, values.append, None)
    seen: list[Any] = []
    handle.add_done_callback(failing(error))
    handle.add_done_callback(lambda done: seen.append(done.result()))
    gate.open.set()
    handle.join(LONG)
    handle.add_done_callback(failing(error))  # called at once, in this thread
    assert reported == [error, error]
    assert seen == values == ["through"]
    last = dispatcher.run(giving(2), values.append, None)
    last.join(LONG)
    assert values == ["through", 2]


def test_a_handle_has_the_methods_of_a_thread_of_python_2() -> None:
    gate = Gate()
    handle, other = start(gate, lambda _: None), start(giving(1), lambda _: None)
    assert isinstance(handle.ident, int)
    assert handle.native_id == handle.ident != other.ident
    assert handle.getName() == handle.name
    handle.setName("upload")
    assert handle.getName() == handle.name == "upload"
    assert handle.isDaemon() is False
    handle.setDaemon(True)
    assert handle.isDaemon() is handle.daemon is True
    assert handle.isAlive()
    gate.open.set()
    handle.join(LONG)
    other.join(LONG)
    assert not handle.isAlive()


class AsyncCallable:
    async def __call__(self, value: object) -> None: ...


async def coroutine_function(value: object) -> None: ...


@pytest.mark.parametrize("callback", [coroutine_function, functools.partial(coroutine_function), AsyncCallable()])
def test_a_coroutine_function_is_refused_as_a_callback(callback: Any) -> None:
    with pytest.raises(TypeError, match="must be a plain function, not a coroutine function"):
        Dispatcher(1).run(giving(1), callback, None)


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


def test_looking_at_a_call_that_waits_its_turn_starts_nothing() -> None:
    dispatcher, gate = Dispatcher(1), Gate()
    blocked = dispatcher.run(gate, lambda _: None, None)
    assert gate.begun.wait(LONG)
    waiting = [dispatcher.run(giving(i), lambda _: None, None) for i in range(50)]
    for handle in waiting:
        handle.join(0)
        handle.join(0.001)
        assert handle.is_alive()
        with pytest.raises(concurrent.futures.TimeoutError):
            handle.result(0)
        with pytest.raises(concurrent.futures.TimeoutError):
            handle.exception(0.001)
        assert not handle.running()
    gate.open.set()
    for handle in [blocked, *waiting]:
        handle.join(LONG)
    assert [handle.result() for handle in waiting] == list(range(50))


def by_join(handle: Handle) -> None:
    handle.join(LONG)


def by_result(handle: Handle) -> None:
    handle.result(LONG)


def by_exception(handle: Handle) -> None:
    handle.exception(LONG)


def by_wait(handle: Handle) -> None:
    concurrent.futures.wait([handle], LONG)


def by_as_completed(handle: Handle) -> None:
    list(concurrent.futures.as_completed([handle], LONG))


def by_polling(handle: Handle) -> None:
    pause = threading.Event()
    while handle.is_alive():
        handle.join(0)
        pause.wait(0.001)


def by_an_event(handle: Handle) -> None:
    ended = threading.Event()
    handle.add_done_callback(lambda _: ended.set())
    assert ended.wait(LONG)


WAYS = [by_join, by_result, by_exception, by_wait, by_as_completed, by_polling, by_an_event]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_callback_may_wait_for_queued_calls_in_any_way_and_at_any_depth(
    way: Callable[[Handle], None], workers: int
) -> None:
    dispatcher, depths = Dispatcher(workers), []

    def descend(depth: int) -> None:
        if depth:
            way(dispatcher.run(lambda _: depth - 1, descend, None))
        depths.append(depth)

    dispatcher.run(lambda _: 12, descend, None)
    dispatcher.finish(cancel=False)
    assert sorted(depths) == list(range(13))


@pytest.mark.parametrize("way", WAYS)
def test_progress_may_wait_for_a_queued_call_in_any_way(way: Callable[[Handle], None]) -> None:
    values: list[Any] = []
    dispatcher = Dispatcher(1)

    def call(job: Job) -> str:
        job.deliver(lambda: way(dispatcher.run(giving(1), values.append, None)))
        return "done"

    dispatcher.run(call, values.append, None).join(LONG)
    dispatcher.run(giving(2), values.append, None)
    dispatcher.finish(cancel=False)
    assert sorted(values, key=str) == [1, 2, "done"]


def test_a_callback_may_wait_for_a_call_of_another_client() -> None:
    first, second, values = Dispatcher(1), Dispatcher(1), []

    def callback(value: int) -> None:
        values.append(value)
        if value < 5:
            other = second if value % 2 else first
            other.run(giving(value + 1), callback, None).join(LONG)

    first.run(giving(0), callback, None).join(LONG)
    assert values == [0, 1, 2, 3, 4, 5]


def test_the_bound_on_workers_holds_while_callbacks_take_long_and_handles_are_polled() -> None:
    dispatcher, lock, running, most = Dispatcher(4), threading.Lock(), 0, 0

    def call(_: Job) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pause.wait(0.001)
        with lock:
            running -= 1

    pause = threading.Event()
    handles = [dispatcher.run(call, lambda _: pause.wait(0.03), None) for _ in range(100)]
    for handle in handles:
        handle.join(0)
    for handle in handles:
        handle.join(LONG)
    assert 2 <= most <= 4


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


@pytest.mark.parametrize("wait", [Handle.join, Handle.result, Handle.exception])
def test_waiting_for_a_call_in_its_own_callback_is_an_error(
    wait: Callable[[Handle], Any], reported: list[BaseException]
) -> None:
    holder: list[Handle] = []
    gate = Gate()

    def call(job: Job) -> str:
        gate()
        job.deliver(lambda: wait(holder[0]))  # as progress is told
        return "through"

    values: list[Any] = []
    holder.append(start(call, lambda value: values.append((value, wait(holder[0])))))
    gate.open.set()
    holder[0].join(LONG)
    assert {str(error) for error in reported} == {"cannot join a call in its own callback or progress"}
    if wait is Handle.join:
        assert (len(reported), values) == (2, [])
    else:  # in the callback the value is there
        assert (len(reported), values) == (1, [("through", holder[0].result() if wait is Handle.result else None)])


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


def test_the_callback_of_a_cancelled_call_is_told_before_its_turn_though_nobody_waits_for_it() -> None:
    told = threading.Event()
    dispatcher, gate = Dispatcher(1), Gate()
    blocked = dispatcher.run(gate, lambda _: None, None)
    assert gate.begun.wait(LONG)
    assert dispatcher.run(giving(1), lambda _: told.set(), None).cancel()
    told_before = told.wait(LONG)
    gate.open.set()
    blocked.join(LONG)
    assert told_before


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


def test_an_exception_of_a_scheduler_is_reported_and_the_value_stays_on_the_handle(
    reported: list[BaseException],
) -> None:
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
    """A `threading.Thread` that cannot start: the system has no thread left, or the interpreter is shutting down."""

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


def test_without_any_thread_left_a_callback_that_waits_runs_the_call_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[Any] = []
    dispatcher = Dispatcher(1)

    def descend(depth: int) -> None:
        monkeypatch.setattr(threading, "Thread", NoThreads)
        if depth:
            dispatcher.run(lambda _: depth - 1, descend, None).join(LONG)
        values.append(depth)

    dispatcher.run(giving(5), descend, None).join(LONG)
    assert values == [0, 1, 2, 3, 4, 5]


def test_without_any_thread_left_a_call_that_is_queued_waits_for_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()
    dispatcher.run(gate, values.append, None)
    assert gate.begun.wait(LONG)
    monkeypatch.setattr(threading, "Thread", NoThreads)
    handle = dispatcher.run(giving(1), values.append, None)
    gate.open.set()
    handle.join(LONG)
    assert values == ["through", 1]


ATEXIT = """
import atexit, threading
from pymdc.core.dispatch import Dispatcher

def chain(value):
    print("value", value, flush=True)
    if value < 3:
        dispatcher.run(lambda _: value + 1, chain, None).join()

def at_the_end():
    print(dispatcher.run(lambda _: "blocking", None, None), flush=True)
    handle = dispatcher.run(lambda _: 1, chain, None)
    handle.join()
    print(handle.result(), handle.is_alive(), flush=True)

{register}
dispatcher = Dispatcher(workers=1)
{first}
"""


@pytest.mark.parametrize("first", ["", "dispatcher.run(lambda _: 0, print, None)"])
def test_handlers_of_atexit_may_make_calls_of_both_kinds(first: str) -> None:
    script = ATEXIT.format(register="atexit.register(at_the_end)", first=first)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=False)
    lines = ["0"] if first else []
    assert ran.stdout.splitlines() == [*lines, "blocking", "value 1", "value 2", "value 3", "1 False"]
    assert (ran.stderr, ran.returncode) == ("", 0)


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


# The end of a client


def test_finish_waits_for_calls_of_both_kinds_and_for_calls_that_callbacks_start() -> None:
    order: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()

    def finish() -> None:
        dispatcher.finish(cancel=False)
        order.append("finished")

    def chain(value: int) -> None:
        order.append(value)
        if value < 3:
            dispatcher.run(giving(value + 1), chain, None)

    blocking = threading.Thread(target=lambda: order.append(dispatcher.run(gate, None, None)))
    blocking.start()
    assert gate.begun.wait(LONG)
    second = Gate()
    dispatcher.run(lambda _: second() and 1, chain, None)
    finisher = threading.Thread(target=finish)
    finisher.start()
    gate.open.set()
    blocking.join(LONG)
    assert "finished" not in order
    second.open.set()
    finisher.join(LONG)
    assert order == ["through", 1, 2, 3, "finished"]


@pytest.mark.parametrize("cancel", [False, True])
def test_callbacks_may_finish_and_wait_for_each_other(cancel: bool) -> None:
    values: list[str] = []
    dispatcher, both = Dispatcher(3), threading.Barrier(3)

    def finish(value: str) -> None:
        both.wait(LONG)
        dispatcher.finish(cancel=cancel)
        values.append(value)

    handles = [dispatcher.run(giving("first"), finish, None), dispatcher.run(giving("second"), finish, None)]

    def join_them(_: Any) -> None:  # those two wait for all others, and this one waits for them
        both.wait(LONG)
        for handle in handles:
            handle.join(LONG)
        values.append("joined")

    dispatcher.run(giving(None), join_them, None).join(LONG)
    assert sorted(values) == ["first", "joined", "second"]


def test_cancelling_all_ends_calls_of_both_kinds_those_that_wait_their_turn_and_those_that_are_committed() -> None:
    values: list[Any] = []
    dispatcher, begun = Dispatcher(2), threading.Semaphore(0)

    def until_stopped(job: Job) -> None:
        begun.release()
        while True:
            job.check()
            pause.wait(0.001)

    pause = threading.Event()

    def committed(job: Job) -> None:
        job.commit()
        until_stopped(job)

    blocking = threading.Thread(target=lambda: values.append(dispatcher.run(until_stopped, None, None)))
    blocking.start()
    handles = [dispatcher.run(call, values.append, None) for call in (until_stopped, committed)]
    for _ in range(3):
        assert begun.acquire(timeout=LONG)
    handles += [dispatcher.run(giving(i), values.append, None) for i in range(1000)]
    dispatcher.finish(cancel=True)
    assert [handle for handle in handles if handle.is_alive()] == []
    blocking.join(LONG)
    assert [type(value) for value in values] == [concurrent.futures.CancelledError] * 1003


def test_cancelling_all_calls_takes_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_CLOSE_SECONDS", 0.05)
    dispatcher, gate = Dispatcher(1), Gate()
    handle = dispatcher.run(gate, lambda _: None, None)
    assert gate.begun.wait(LONG)
    dispatcher.finish(cancel=True)
    assert handle.is_alive()
    gate.open.set()
    handle.join(LONG)
    assert handle.cancelled()


# Forks: the code of the child is called here, since coverage of a child is not measured. See test_forks.py, too.


def test_in_the_child_of_a_fork_the_parents_calls_are_ended_and_new_ones_run() -> None:
    values: list[Any] = []
    dispatcher, gate = Dispatcher(1), Gate()
    waiting_for_delivery = threading.Event()
    in_callback = Gate()

    def callback(value: Any) -> None:
        waiting_for_delivery.set()
        in_callback()
        values.append(value)

    threading.Thread(target=lambda: dispatcher.run(gate, None, None)).start()
    first = dispatcher.run(giving(1), callback, None)
    assert waiting_for_delivery.wait(LONG)
    queued = dispatcher.run(giving(2), values.append, None)
    assert gate.begun.wait(LONG)
    dispatcher.reset_after_fork()
    assert [handle.is_alive() for handle in (first, queued)] == [False, False]
    assert first.result() == 1
    assert isinstance(queued.result(), concurrent.futures.CancelledError)
    assert not queued.cancel() or queued.cancelled()
    fresh = dispatcher.run(giving(3), values.append, None)
    fresh.join(LONG)
    assert values == [3]
    in_callback.open.set()  # in a child this is the thread that forked: it goes on, and takes nothing of the new work
    gate.open.set()
    dispatcher.finish(cancel=False)


def test_a_worker_that_forked_in_its_callback_leaves_the_new_pool_alone() -> None:
    """Nobody joins what forked: in a child, whoever waited would be gone."""
    values: list[Any] = []
    dispatcher = Dispatcher(1)
    over = [threading.Event(), threading.Event()]

    def fork(_: Any) -> None:
        dispatcher.reset_after_fork()
        dispatcher.run(giving(1), values.append, None).join(LONG)
        over[0].set()

    dispatcher.run(giving(0), fork, None)
    assert over[0].wait(LONG)

    def progress_forks(job: Job) -> int:
        job.deliver(dispatcher.reset_after_fork)
        over[1].set()
        return 2

    forked = dispatcher.run(progress_forks, values.append, None)
    assert over[1].wait(LONG)
    assert forked.cancelled()
    dispatcher.run(giving(3), values.append, None).join(LONG)
    assert values.count(1) == values.count(3) == 1

"""Schedulers, over the smallest things that look like their toolkits; `gui/test_loops.py` has the real ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pymdc
from pymdc import schedulers
from pymdc.core.dispatch import Dispatcher

from .bridges import running_bridge

LONG = 60.0


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    """What is kept until the process ends is not kept until the tests end."""
    before = list(schedulers._kept)
    yield
    schedulers._kept[:] = before


class Root:
    """A Tk window whose loop turns when the test says so."""

    tk = object()

    def __init__(self) -> None:
        self.timers: dict[str, Callable[[], None]] = {}
        self.bound: list[Callable[[Any], None]] = []

    def after(self, _: int, function: Callable[[], None]) -> str:
        name = f"after#{len(self.timers)}"
        self.timers[name] = function
        return name

    def after_cancel(self, name: str) -> None:
        del self.timers[name]

    def bind(self, event: str, function: Callable[[Any], None], add: bool) -> None:
        assert (event, add) == ("<Destroy>", True)
        self.bound.append(function)

    def turn(self) -> None:
        _, function = self.timers.popitem()
        assert not self.timers, "one timer at a time"
        function()

    def destroy(self, widget: object = None) -> None:
        for function in self.bound:
            function(SimpleNamespace(widget=widget or self))


@pytest.fixture
def root() -> Any:
    return Root()


def test_tk_runs_what_is_waiting_in_order_when_its_loop_turns(root: Any) -> None:
    schedule = schedulers.tk(root)
    ran: list[int] = []
    for number in range(3):
        schedule(lambda number=number: ran.append(number))  # type: ignore[misc]
    assert ran == []
    root.turn()
    assert ran == [0, 1, 2]
    root.turn()
    assert ran == [0, 1, 2]


def test_tk_is_not_called_by_who_schedules(root: Any) -> None:
    """Even a reference to the window would do harm: the last one may be dropped, and the window freed, by a worker."""
    schedule = schedulers.tk(root)
    assert schedule.__self__.__class__.__name__ == "deque"  # type: ignore[attr-defined]


def test_tk_goes_on_after_a_function_that_raises(root: Any) -> None:
    schedule = schedulers.tk(root)
    ran: list[str] = []
    schedule(lambda: 1 // 0)  # type: ignore[arg-type]
    schedule(lambda: ran.append("next"))
    with pytest.raises(ZeroDivisionError):
        root.turn()
    root.turn()
    assert ran == ["next"]


def test_tk_lets_the_loop_turn_between_slow_functions(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "_SLICE_SECONDS", 0.0)
    schedule = schedulers.tk(root)
    schedule(lambda: None)
    root.turn()
    assert schedule.__self__  # type: ignore[attr-defined] # there was no time for it
    monkeypatch.setattr(schedulers, "_SLICE_SECONDS", LONG)
    root.turn()
    assert not schedule.__self__  # type: ignore[attr-defined]


def test_tk_goes_on_in_a_dialog_that_a_function_opens(root: Any) -> None:
    schedule = schedulers.tk(root)
    ran: list[str] = []

    def dialog() -> None:
        root.turn()  # a dialog has a loop of its own
        ran.append("closed")

    schedule(dialog)
    schedule(lambda: ran.append("in the dialog"))
    root.turn()
    assert ran == ["in the dialog", "closed"]


def test_tk_ends_with_its_window_and_not_with_a_widget_in_it(root: Any) -> None:
    schedule = schedulers.tk(root)
    ran: list[str] = []
    root.destroy(widget="another one")

    def last() -> None:
        ran.append("last")
        root.destroy()

    schedule(last)
    schedule(lambda: ran.append("too late"))
    root.turn()
    assert ran == ["last"]
    assert root.timers == {}


class Application:
    """As much of Qt as the scheduler needs: signals arrive when the test says so."""

    def __init__(self, binding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = True
        self.arriving: list[Callable[[], None]] = []
        application = self

        class Signal:
            def connect(self, slot: Callable[[], None], kind: str) -> None:
                assert kind == "queued"
                self.slot = slot

            def emit(self) -> None:
                application.arriving.append(self.slot)

        class QObject:
            def moveToThread(self, thread: str) -> None:  # noqa: N802
                assert thread == "the window's"

        core: Any = ModuleType(f"{binding}.QtCore")
        setattr(core, "Signal" if binding == "PySide6" else "pyqtSignal", Signal)
        core.QObject = QObject
        core.QCoreApplication = SimpleNamespace(instance=lambda: self if self.there else None)
        core.Qt = SimpleNamespace(ConnectionType=SimpleNamespace(QueuedConnection="queued"))
        monkeypatch.setitem(sys.modules, f"{binding}.QtCore", core)

    def thread(self) -> str:
        return "the window's"

    def turn(self) -> None:
        while self.arriving:
            self.arriving.pop(0)()


@pytest.fixture(params=["PySide6", "PyQt6"])
def application(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Application:
    for binding in ("PySide6", "PyQt6"):
        monkeypatch.delitem(sys.modules, f"{binding}.QtCore", raising=False)
    return Application(request.param, monkeypatch)


def test_qt_runs_functions_in_order_when_its_signals_arrive(application: Application) -> None:
    schedule = schedulers.qt()
    ran: list[int] = []
    schedule(lambda: ran.append(1))
    schedule(lambda: ran.append(2))
    assert ran == []
    application.turn()
    assert ran == [1, 2]


def test_qt_ends_with_the_widget(application: Application) -> None:
    destroyed: list[Callable[..., None]] = []
    schedule = schedulers.qt(SimpleNamespace(destroyed=SimpleNamespace(connect=destroyed.append)))
    ran: list[int] = []
    schedule(lambda: ran.append(1))
    application.turn()
    schedule(lambda: ran.append(2))
    destroyed[0]()
    application.turn()
    assert ran == [1]


def test_qt_wants_its_application_first(application: Application) -> None:
    application.there = False
    with pytest.raises(RuntimeError, match="QApplication first"):
        schedulers.qt()


def test_glib_runs_a_function_as_an_idle_source_that_is_not_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    idle: list[Callable[[], object]] = []
    glib: Any = ModuleType("gi.repository.GLib")
    glib.idle_add = idle.append
    for name, module in [
        ("gi", ModuleType("gi")),
        ("gi.repository", ModuleType("gi.repository")),
        (glib.__name__, glib),
    ]:
        monkeypatch.setitem(sys.modules, name, module)
    destroyed: list[Callable[..., None]] = []
    widget = SimpleNamespace(connect=lambda signal, function: destroyed.append(function))
    ran: list[str] = []
    schedulers.glib()(lambda: ran.append("without a widget"))
    schedule = schedulers.glib(widget)
    schedule(lambda: ran.append("with one"))
    assert [each() for each in idle] == [False, False]
    destroyed[0](widget)
    schedule(lambda: ran.append("too late"))
    assert idle[-1]() is False
    assert ran == ["without a widget", "with one"]


class Frame:
    alive = True

    def __bool__(self) -> bool:
        return self.alive


@pytest.fixture
def wx(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("wx")
    module.events = []
    module.CallAfter = lambda function, *arguments: module.events.append((function, arguments))
    module.GetApp = lambda: "an application"
    module.turn = lambda: [function(*arguments) for function, arguments in module.events]
    monkeypatch.setitem(sys.modules, "wx", module)
    return module


def test_wx_runs_a_function_after_the_event(wx: Any) -> None:
    ran: list[str] = []
    schedulers.wx()(lambda: ran.append("run"))
    assert ran == []
    wx.turn()
    assert ran == ["run"]


def test_wx_ends_with_the_window(wx: Any) -> None:
    frame, ran = Frame(), []
    schedule = schedulers.wx(frame)
    schedule(lambda: ran.append("run"))
    wx.turn()
    frame.alive = False
    wx.turn()
    del frame
    wx.turn()
    assert ran == ["run"]


def test_wx_wants_its_application_first(wx: Any) -> None:
    wx.GetApp = lambda: None
    with pytest.raises(RuntimeError, match=r"wx\.App first"):
        schedulers.wx()


def test_asyncio_runs_callbacks_in_the_running_loop() -> None:
    async def main() -> tuple[int, int]:
        come: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        schedule = schedulers.asyncio()
        Dispatcher(1).run(lambda _: 7, lambda _: come.set_result(threading.get_ident()), schedule)
        return await asyncio.wait_for(come, LONG), threading.get_ident()

    came_in, loop_in = asyncio.run(main())
    assert came_in == loop_in


def test_asyncio_takes_a_loop_that_is_not_running_yet() -> None:
    loop = asyncio.new_event_loop()
    schedulers.asyncio(loop)(loop.stop)
    loop.run_forever()
    loop.close()


def test_asyncio_ends_with_its_loop() -> None:
    loop = asyncio.new_event_loop()
    schedule = schedulers.asyncio(loop)
    loop.close()
    schedule(lambda: None)


def test_asyncio_says_what_else_is_wrong_with_a_loop() -> None:
    def broken(_: object) -> None:
        raise RuntimeError("broken")

    loop: Any = SimpleNamespace(call_soon_threadsafe=broken, is_closed=lambda: False)
    with pytest.raises(RuntimeError, match="broken"):
        schedulers.asyncio(loop)(lambda: None)


def test_asyncio_wants_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        schedulers.asyncio()


def test_a_handle_can_be_awaited_without_a_scheduler() -> None:
    async def main() -> Any:
        handle = Dispatcher(1).run(lambda _: 7, lambda _: None, None)
        return await asyncio.wrap_future(handle)

    assert asyncio.run(main()) == 7


def test_a_client_with_another_scheduler_shares_all_else_with_the_one_it_was_made_from(tmp_path: Path) -> None:
    scheduled: list[str] = []

    def scheduler(name: str) -> Callable[[Callable[[], None]], None]:
        def schedule(function: Callable[[], None]) -> None:
            scheduled.append(name)
            function()

        return schedule

    with running_bridge(tmp_path) as bridge, pymdc.Client(bridge.url, scheduler=scheduler("first")) as client:
        other = client.with_scheduler(scheduler("other"))
        for each in (client, other, other.with_scheduler(None), client):
            handle = pymdc.api.Buckets(None, client=each).list(callback=lambda _: None)
            handle.join(LONG)
            assert handle.result()["error"]
        assert repr(other) == repr(client)
        other.close()
        assert pymdc.api.Buckets(None, client=client).list()["error"]
    assert scheduled == ["first", "other", "first"]


def test_another_scheduler_must_be_callable() -> None:
    with pytest.raises(TypeError, match="must be callable, not int"):
        pymdc.Client("http://127.0.0.1:9").with_scheduler(5)  # type: ignore[arg-type]


def test_importing_the_schedulers_imports_no_toolkit() -> None:
    script = "import sys, pymdc.schedulers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"tkinter", "PySide6", "PyQt6", "gi", "wx", "_tkinter"} & set(done.stdout.split())

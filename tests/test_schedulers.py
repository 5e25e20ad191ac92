"""Schedulers, over the smallest things that look like their toolkits; `gui/test_loops.py` has the real ones."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref
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
    """Forget the objects that are kept until the process ends, after each test."""
    before = list(schedulers._kept)
    yield
    schedulers._kept[:] = before


class Root:
    """A Tk window whose loop turns when the test says so."""

    tk = object()

    def __init__(self, main: Any = None) -> None:
        self.main = main or self
        self.timers: dict[str, Callable[[], None]] = {}
        self.bound: dict[str, list[Callable[[Any], None]]] = {"<Destroy>": [], "<Map>": []}
        self.reported: list[Any] = []
        self.shown = "normal"

    def nametowidget(self, name: str) -> Any:
        assert name == "."
        return self.main

    def winfo_toplevel(self) -> Any:
        return self

    def state(self) -> str:
        return self.shown

    def after(self, _: int, function: Callable[[], None]) -> str:
        name = f"after#{len(self.timers)}"
        self.timers[name] = function
        return name

    def after_cancel(self, name: str) -> None:
        del self.timers[name]

    def bind(self, event: str, function: Callable[[Any], None], add: bool) -> None:
        assert add
        self.bound[event].append(function)

    def turn(self) -> None:
        _, function = self.timers.popitem()
        assert not self.timers, "one timer at a time"
        function()

    def event(self, name: str, widget: object = None) -> None:
        for function in self.bound[name]:
            function(SimpleNamespace(widget=widget or self))

    def report_callback_exception(self, *error: Any) -> None:
        self.reported.append(error)


@pytest.fixture
def root() -> Any:
    return Root()


def test_tk_runs_waiting_functions_in_order_when_its_loop_turns(root: Any) -> None:
    schedule = schedulers.tk(root)
    ran: list[int] = []
    for number in range(3):
        schedule(lambda number=number: ran.append(number))  # type: ignore[misc]
    assert ran == []
    root.turn()
    assert ran == [0, 1, 2]
    root.turn()
    assert ran == [0, 1, 2]


def test_tk_reports_to_the_main_windows_hook_and_goes_on(root: Any) -> None:
    window: Any = Root(root)
    schedule = schedulers.tk(window)
    ran: list[str] = []
    schedule(lambda: 1 // 0)  # type: ignore[arg-type]
    schedule(lambda: ran.append("next"))
    window.turn()
    assert [error[0] for error in root.reported] == [ZeroDivisionError]
    assert ran == ["next"]


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
    root.event("<Destroy>", widget="another one")

    def last() -> None:
        ran.append("last")
        root.event("<Destroy>")
        root.event("<Map>")

    schedule(last)
    schedule(lambda: ran.append("too late"))
    root.turn()
    assert ran == ["last"]
    assert root.timers == {}


def ran_while(window: Any, schedule: Any, turn: Callable[[], object]) -> list[str]:
    """Return in which states of the window a function ran."""
    ran: list[str] = []
    for name, change in window.items():
        change()
        schedule(lambda name=name: ran.append(name))
        turn()
    return ran


def test_tk_drops_callbacks_while_a_dialog_is_withdrawn_after_it_was_shown(root: Any) -> None:
    dialog: Any = Root(root)
    schedule = schedulers.tk(dialog)

    def show(state: str, event: bool) -> Callable[[], None]:
        def change() -> None:
            dialog.shown = state
            dialog.event("<Map>", None if event else "a widget in it")

        return change

    states = {
        "not yet shown": show("withdrawn", False),
        "shown": show("normal", True),
        "withdrawn": show("withdrawn", False),
        "shown again": show("normal", True),
    }
    assert ran_while(states, schedule, dialog.turn) == ["not yet shown", "shown", "shown again"]


def test_tk_goes_on_while_the_main_window_is_withdrawn(root: Any) -> None:
    schedule = schedulers.tk(root)
    root.event("<Map>")
    root.shown = "withdrawn"
    ran: list[str] = []
    schedule(lambda: ran.append("run"))
    root.turn()
    assert ran == ["run"]


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
        core.Qt = SimpleNamespace(
            ConnectionType=SimpleNamespace(QueuedConnection="queued"),
            WidgetAttribute=SimpleNamespace(WA_WState_ExplicitShowHide="explicit"),
        )
        monkeypatch.setitem(sys.modules, f"{binding}.QtCore", core)

    def thread(self) -> str:
        return "the window's"

    def turn(self) -> None:
        while self.arriving:
            self.arriving.pop(0)()


class Dialog:
    """A widget of Qt, which is its own window."""

    def __init__(self) -> None:
        self.connected: list[Callable[..., None]] = []
        self.destroyed = SimpleNamespace(connect=self.connected.append)
        self.hidden, self.explicit = True, False

    def window(self) -> Dialog:
        return self

    def isHidden(self) -> bool:  # noqa: N802 - Qt's name
        return self.hidden

    def testAttribute(self, attribute: str) -> bool:  # noqa: N802 - Qt's name
        assert attribute == "explicit"
        return self.explicit

    def show(self, shown: bool) -> None:
        self.hidden, self.explicit = not shown, True


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
    dialog = Dialog()
    schedule = schedulers.qt(dialog)
    ran: list[int] = []
    schedule(lambda: ran.append(1))
    application.turn()
    schedule(lambda: ran.append(2))
    dialog.connected[0]()
    application.turn()
    assert ran == [1]


def test_qt_drops_callbacks_while_a_dialog_is_closed_after_it_was_shown(application: Application) -> None:
    dialog = Dialog()
    states: dict[str, Callable[[], None]] = {
        "not yet shown": lambda: None,
        "shown": lambda: dialog.show(True),
        "closed": lambda: dialog.show(False),
        "shown again": lambda: dialog.show(True),
    }
    ran = ran_while(states, schedulers.qt(dialog), application.turn)
    assert ran == ["not yet shown", "shown", "shown again"]


def test_qt_does_not_keep_the_widget(application: Application) -> None:
    dialog = Dialog()
    schedulers.qt(dialog)
    gone = weakref.ref(dialog)
    del dialog
    gc.collect()
    assert gone() is None


def test_qt_wants_its_application_first(application: Application) -> None:
    application.there = False
    with pytest.raises(RuntimeError, match="QApplication first"):
        schedulers.qt()


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """The idle sources of a GLib."""
    sources: list[Callable[[], object]] = []
    glib: Any = ModuleType("gi.repository.GLib")
    glib.idle_add = sources.append
    for name, module in [
        ("gi", ModuleType("gi")),
        ("gi.repository", ModuleType("gi.repository")),
        (glib.__name__, glib),
    ]:
        monkeypatch.setitem(sys.modules, name, module)
    return sources


def test_glib_runs_a_function_as_an_idle_source_that_is_not_called_again(idle: list[Callable[[], object]]) -> None:
    ran: list[str] = []
    schedule = schedulers.glib()
    schedule(lambda: ran.append("run"))
    assert [each() for each in idle] == [False]
    assert ran == ["run"]


def test_glib_drops_callbacks_while_a_window_is_hidden_and_ends_with_it(idle: list[Callable[[], object]]) -> None:
    signals: dict[str, Callable[[], None]] = {}

    def connect(signal: str, function: Callable[..., None], *arguments: object) -> None:
        signals[signal] = lambda: function("the widget", *arguments)

    states = {
        "not yet shown": lambda: None,
        "shown": lambda: signals["show"](),
        "hidden": lambda: signals["hide"](),
        "shown again": lambda: signals["show"](),
        "without a screen": lambda: signals["unrealize"](),
        "on a screen": lambda: signals["realize"](),
        "destroyed": lambda: signals["destroy"](),
    }
    schedule = schedulers.glib(SimpleNamespace(connect=connect))
    ran = ran_while(states, schedule, lambda: idle.pop()())
    assert ran == ["not yet shown", "shown", "shown again", "on a screen"]


class Frame:
    """A window of wx."""

    alive = True

    def __bool__(self) -> bool:
        return self.alive

    def Bind(self, event: str, function: Callable[[Any], None]) -> None:  # noqa: N802 - wx's name
        assert event == "shown or hidden"
        self.function = function

    def show(self, shown: bool) -> None:
        skipped: list[bool] = []
        self.function(SimpleNamespace(IsShown=lambda: shown, Skip=lambda: skipped.append(True)))
        assert skipped


@pytest.fixture
def wx(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("wx")
    module.events = []
    module.EVT_SHOW = "shown or hidden"
    module.CallAfter = module.events.append
    module.CallLater = lambda _, function: module.events.append(function)
    module.GetApp = lambda: "an application"
    module.GetTopLevelParent = lambda window: window

    def turn() -> None:
        while module.events:
            module.events.pop(0)()

    module.turn = turn
    monkeypatch.setitem(sys.modules, "wx", module)
    return module


def test_wx_runs_functions_after_the_event(wx: Any) -> None:
    ran: list[int] = []
    schedule = schedulers.wx()
    for number in range(3):
        schedule(lambda number=number: ran.append(number))  # type: ignore[misc]
    assert ran == []
    wx.turn()
    assert ran == [0, 1, 2]


def test_wx_drops_callbacks_while_a_window_is_hidden_after_it_was_shown(wx: Any) -> None:
    frame = Frame()
    states: dict[str, Callable[[], None]] = {
        "not yet shown": lambda: None,
        "shown": lambda: frame.show(True),
        "hidden": lambda: frame.show(False),
        "shown again": lambda: frame.show(True),
    }
    assert ran_while(states, schedulers.wx(frame), wx.turn) == ["not yet shown", "shown", "shown again"]


def test_wx_ends_with_the_window(wx: Any) -> None:
    frame = Frame()
    ran: list[str] = []
    schedule = schedulers.wx(frame)
    schedule(lambda: ran.append("run"))
    wx.turn()
    frame.alive = False
    schedule(lambda: ran.append("destroyed"))
    wx.turn()
    del frame
    schedule(lambda: ran.append("gone"))
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


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def test_asyncio_keeps_the_context_variables_of_where_it_was_made() -> None:
    async def main() -> list[str]:
        VARIABLE.set("set")
        both: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        schedule = schedulers.asyncio()
        seen: list[str] = []

        def callback(_: Any) -> None:
            seen.append(VARIABLE.get())
            if len(seen) == 2:
                both.set_result(None)

        dispatcher = Dispatcher(2)
        for _ in range(2):
            dispatcher.run(lambda _: 7, callback, schedule)
        await asyncio.wait_for(both, LONG)
        return seen

    assert asyncio.run(main()) == ["set", "set"]


def test_asyncio_reports_to_the_handler_of_its_loop() -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        reported: asyncio.Future[Any] = loop.create_future()
        loop.set_exception_handler(lambda _, context: reported.set_result(context["exception"]))
        Dispatcher(1).run(lambda _: 7, lambda _: 1 // 0, schedulers.asyncio())
        return await asyncio.wait_for(reported, LONG)

    assert isinstance(asyncio.run(main()), ZeroDivisionError)


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
    def broken(*_: object, **__: object) -> None:
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
            handle = pymdc.api.Buckets(pymdc.keypair.ECDSA(), client=each).list(callback=lambda _: None)
            handle.join(LONG)
            assert handle.result()["error"]
        assert repr(other) == repr(client)
        other.close()
        value: Any = pymdc.api.Buckets(pymdc.keypair.ECDSA(), client=client).list()
        assert value["error"]
    assert scheduled == ["first", "other", "first"]


def test_another_scheduler_must_be_callable() -> None:
    with pytest.raises(TypeError, match="must be callable, not int"):
        pymdc.Client("http://127.0.0.1:9").with_scheduler(5)  # type: ignore[arg-type]


def test_importing_the_schedulers_imports_no_toolkit() -> None:
    script = "import sys, pymdc.schedulers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"tkinter", "PySide6", "PyQt6", "gi", "wx", "_tkinter"} & set(done.stdout.split())

"""Schedulers for windows and event loops: with one of them, callbacks run where widgets may be touched.

    client = pymdc.Client(scheduler=pymdc.schedulers.tk(root))

Make it in the thread of the loop. From then on, every callback and every progress report of that client runs in that
thread, one after the other, in the order in which the calls were answered. Nothing of a toolkit is imported before its
scheduler is made.

A window may be closed while calls are under way: their callbacks are then not called, nothing is raised, and nothing
waits. Their handles still get the values. Whoever wants the process to end soon cancels them: `handle.cancel()`.

What such a callback holds, the window and its widgets perhaps, stays in memory until the process ends. Otherwise the
thread that made the call would be the one to free it, and toolkits crash when widgets are freed in a thread not theirs.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Any

from .core.dispatch import Scheduler

if TYPE_CHECKING:
    import tkinter
    from asyncio import AbstractEventLoop

__all__ = ["asyncio", "glib", "qt", "tk", "wx"]

_POLL_MS = 20  # how often Tk looks: sooner than an eye sees, and no load on an idle machine
_SLICE_SECONDS = 0.01  # how long callbacks may hold up Tk's own events at a time, if one callback does not

_kept: list[object] = []  # what must not be freed by whatever thread is the last to use it, until the process ends


def tk(root: tkinter.Misc) -> Scheduler:
    """Run callbacks in Tk's main loop.

    The loop looks for them by itself: a thread that calls Tk, be it `after`, waits for the loop, or fails without one.

    Arguments:
        root: the window, or any widget. When it is destroyed, callbacks end.
    """
    waiting: deque[Callable[[], None]] = deque()
    ended = Event()
    timer = ""

    def poll() -> None:
        nonlocal timer
        timer = root.after(_POLL_MS, poll)  # before the callbacks: one may open a dialog, which has a loop of its own
        until = time.monotonic() + _SLICE_SECONDS
        while waiting and not ended.is_set() and time.monotonic() < until:
            waiting.popleft()()

    def end(event: tkinter.Event[tkinter.Misc]) -> None:
        if str(event.widget) == str(root):  # a window is told of its widgets' ends as well
            ended.set()
            root.after_cancel(timer)

    root.bind("<Destroy>", end, add=True)
    poll()
    _kept.append((root.tk, waiting))
    return waiting.append  # which knows nothing of Tk


def qt(widget: Any = None) -> Scheduler:
    """Run callbacks in the thread of the `QApplication`, of PySide6 or of PyQt6.

    Arguments:
        widget: when it is destroyed, callbacks end. Without one, they end with the application's loop.

    Raises:
        RuntimeError: there is no `QApplication` yet.
    """
    relay = _qt_relay(_qt_core())
    _kept.append(relay)
    ended = Event()
    if widget is not None:
        widget.destroyed.connect(lambda *_: ended.set())

    def schedule(function: Callable[[], None]) -> None:
        relay.waiting.append(_unless(ended, function))
        relay.wake.emit()

    return schedule


def glib(widget: Any = None) -> Scheduler:
    """Run callbacks in the main loop of GLib, which is that of GTK.

    Arguments:
        widget: a GTK widget; when it is destroyed, callbacks end. Without one, they end with the loop.
    """
    idle_add = import_module("gi.repository.GLib").idle_add
    ended = Event()
    if widget is not None:
        widget.connect("destroy", lambda *_: ended.set())

    def schedule(function: Callable[[], None]) -> None:
        run = _unless(ended, function)
        idle_add(lambda: run() is not None)  # an idle source that returns what is true is called again

    return schedule


def wx(window: Any = None) -> Scheduler:
    """Run callbacks in the main loop of wxPython.

    Arguments:
        window: when it is destroyed (wx keeps a closed frame until its loop is idle), callbacks end. Without one, they
            end with the application's loop.

    Raises:
        RuntimeError: there is no `wx.App` yet.
    """
    toolkit = import_module("wx")
    app = toolkit.GetApp()
    if app is None:
        raise RuntimeError("make the wx.App first: callbacks run in its loop")
    _kept.append(app)
    living = None if window is None else weakref.ref(window)

    def run(function: Callable[[], None]) -> None:
        if living is None or living():  # a window that was destroyed is false
            function()

    return lambda function: toolkit.CallAfter(run, function)


def asyncio(loop: AbstractEventLoop | None = None) -> Scheduler:
    """Run callbacks in an asyncio loop.

    Who awaits calls needs no scheduler: `value = await asyncio.wrap_future(users.register(callback=print))`.

    Arguments:
        loop: the loop, else the one that is running. When it is closed, callbacks end.

    Raises:
        RuntimeError: no loop is given, and none is running.
    """
    if loop is None:
        from asyncio import get_running_loop

        loop = get_running_loop()

    def schedule(function: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:
            if not loop.is_closed():
                raise

    return schedule


def _qt_core() -> Any:
    """Return the `QtCore` of the binding that the application was made with."""
    for binding in ("PySide6", "PyQt6"):
        core = sys.modules.get(f"{binding}.QtCore")
        if core is not None and core.QCoreApplication.instance() is not None:
            return core
    raise RuntimeError("make the QApplication first: callbacks run in its thread")


def _qt_relay(core: Any) -> Any:
    """Return an object of the application's thread whose signal `wake` makes it run the next one of `waiting` there."""
    waiting: deque[Callable[[], None]] = deque()
    signal = core.Signal if hasattr(core, "Signal") else core.pyqtSignal
    members = {"wake": signal(), "run": lambda _relay: waiting.popleft()(), "waiting": waiting}
    relay = type("Relay", (core.QObject,), members)()
    relay.moveToThread(core.QCoreApplication.instance().thread())
    relay.wake.connect(relay.run, core.Qt.ConnectionType.QueuedConnection)
    return relay


def _unless(ended: Event, function: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        if not ended.is_set():
            function()

    return run

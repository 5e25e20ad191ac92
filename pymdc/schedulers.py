"""Schedulers for windows and event loops: they run callbacks in the thread that may touch widgets.

    pymdc.configure(scheduler=pymdc.schedulers.tk(root))

Make the scheduler in the thread of the loop. Then every callback and every progress report of that client runs in that
thread, one after the other, in the order in which the calls were answered. They run in slices of 10 ms; between two
slices the loop handles its own events. A toolkit is imported only when its scheduler is made.

An exception in a callback is reported like an exception in a handler of the toolkit: to `report_callback_exception` of
Tk, to the exception handler of an asyncio loop, or to `sys.excepthook` for the others. It harms nothing else.

A window may be closed while calls are running: their callbacks are then not called, nothing is raised, and nothing
waits. Their handles still get the values. To end the process soon, cancel the calls: `handle.cancel()`.

Such a callback, and everything that it refers to (often the window and its widgets), stays in memory until the process
ends. Otherwise the thread that made the call would free it, and toolkits crash when another thread frees widgets.

Callbacks see the context variables of the loop, like every handler of a window. An asyncio loop has none: there,
callbacks see those of the place where the scheduler was made.
"""

from __future__ import annotations

import contextvars
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.delivery import Scheduler
from .core.slices import Slices

if TYPE_CHECKING:
    import tkinter
    from asyncio import AbstractEventLoop

__all__ = ["asyncio", "glib", "qt", "tk", "wx"]

_POLL_MS = 20  # how often Tk polls: faster than an eye sees, and no load on an idle machine
_AGAIN_MS = 1  # the pause between two slices in wx: a timer, because wx handles all posted events before any others

_kept: list[object] = []  # kept until the process ends, because any thread could be the one that frees these objects


def tk(root: tkinter.Misc) -> Scheduler:
    """Run callbacks in Tk's main loop.

    Arguments:
        root: the window, or any widget. When it is destroyed, callbacks end. While a window other than the main one is
            withdrawn, after it was shown, callbacks are dropped.
    """
    scheduler = _Tk(root)
    _kept.append((root.tk, scheduler))
    return scheduler


class _Tk(Slices):
    """Tk polls for functions: no other thread can wake it, since any call of Tk, even `after`, waits for the loop."""

    def __init__(self, root: tkinter.Misc) -> None:
        super().__init__()
        self._main = root.nametowidget(".")
        self._widgets: tuple[tkinter.Misc, Any] | None = (root, root.winfo_toplevel())
        self._was_shown = False
        self._timer = ""
        root.bind("<Destroy>", self._destroyed, add=True)
        self._widgets[1].bind("<Map>", self._shown, add=True)
        self._poll()

    def wake(self) -> None:
        """Do nothing: the next poll finds the function."""

    def wanted(self) -> bool:
        window = self._widgets[1] if self._widgets else self._main
        return window is self._main or not self._was_shown or bool(window.state() != "withdrawn")

    def report(self, error: BaseException) -> None:
        self._main.report_callback_exception(type(error), error, error.__traceback__)

    def _poll(self) -> None:
        assert self._widgets is not None  # the timer ends with the window
        self._timer = self._widgets[0].after(_POLL_MS, self._poll)  # first, because a callback may open a dialog
        self.run_slice()

    def _shown(self, event: tkinter.Event[tkinter.Misc]) -> None:
        if self._widgets and event.widget is self._widgets[1]:  # a window also gets the events of its widgets
            self._was_shown = True

    def _destroyed(self, event: tkinter.Event[tkinter.Misc]) -> None:
        if self._widgets and str(event.widget) == str(self._widgets[0]):
            self.ended = True
            self._widgets[0].after_cancel(self._timer)
            self._widgets = None  # the scheduler stays until the process ends, but the widgets need not


def qt(widget: Any = None) -> Scheduler:
    """Run callbacks in the thread of the `QApplication`, of PySide6 or of PyQt6.

    Arguments:
        widget: when it is destroyed, callbacks end. While its window is closed or hidden, after it was shown, they are
            dropped. Without a widget, they end with the application's loop.

    Raises:
        RuntimeError: there is no `QApplication` yet.
    """
    scheduler = _Qt(_qt_core(), widget)
    _kept.append(scheduler)
    return scheduler


class _Qt(Slices):
    """A signal wakes the loop. Qt handles other events before it delivers a signal that a slot has sent."""

    def __init__(self, core: Any, widget: Any) -> None:
        super().__init__()
        self._relay = _qt_relay(core, self.turn)
        self._attribute = core.Qt.WidgetAttribute.WA_WState_ExplicitShowHide
        self._widget = (lambda: None) if widget is None else weakref.ref(widget)
        if widget is not None:
            widget.destroyed.connect(self._destroyed)

    def wake(self) -> None:
        self._relay.wake.emit()

    def wanted(self) -> bool:
        widget = self._widget()
        window = widget and widget.window()
        return not (window and window.isHidden() and window.testAttribute(self._attribute))

    def _destroyed(self, *_: object) -> None:
        self.ended = True


def _qt_core() -> Any:
    """Return the `QtCore` of the binding that made the application."""
    for binding in ("PySide6", "PyQt6"):
        core = sys.modules.get(f"{binding}.QtCore")
        if core is not None and core.QCoreApplication.instance() is not None:
            return core
    raise RuntimeError("make the QApplication first: callbacks run in its thread")


def _qt_relay(core: Any, turn: Callable[[], None]) -> Any:
    """Return an object in the application's thread; its signal `wake` calls `turn` there."""
    signal = core.Signal if hasattr(core, "Signal") else core.pyqtSignal
    relay = type("Relay", (core.QObject,), {"wake": signal(), "run": lambda _relay: turn()})()
    relay.moveToThread(core.QCoreApplication.instance().thread())
    relay.wake.connect(relay.run, core.Qt.ConnectionType.QueuedConnection)
    return relay


def glib(widget: Any = None) -> Scheduler:
    """Run callbacks in the main loop of GLib, which is that of GTK 3 and GTK 4.

    Arguments:
        widget: a GTK window, or another widget; when it is destroyed, callbacks end. While it is hidden, after it was
            shown, they are dropped. Without a widget, they end with the loop.
    """
    scheduler = _GLib(widget)
    _kept.append(scheduler)
    return scheduler


class _GLib(Slices):
    """An idle source wakes the loop. GTK's own events come before idle sources."""

    def __init__(self, widget: Any) -> None:
        super().__init__()
        self._idle_add = import_module("gi.repository.GLib").idle_add
        self._hidden = False
        if widget is not None:
            widget.connect("destroy", self._destroyed)
            for signal, shown in (("show", True), ("realize", True), ("hide", False), ("unrealize", False)):
                widget.connect(signal, self._shown, shown)  # GTK 4 destroys a window that somebody holds by "unrealize"

    def wake(self) -> None:
        self._idle_add(self._idle)

    def wanted(self) -> bool:
        return not self._hidden

    def _idle(self) -> bool:
        self.turn()
        return False  # do not call this again

    def _shown(self, _: object, shown: bool) -> None:
        self._hidden = not shown

    def _destroyed(self, *_: object) -> None:
        self.ended = True


def wx(window: Any = None) -> Scheduler:
    """Run callbacks in the main loop of wxPython.

    Arguments:
        window: when it is destroyed (wx keeps a closed frame until its loop is idle), callbacks end. While the frame or
            dialog that it is in is hidden, after it was shown, they are dropped. Without one, they end with the
            application's loop.

    Raises:
        RuntimeError: there is no `wx.App` yet.
    """
    toolkit = import_module("wx")
    app = toolkit.GetApp()
    if app is None:
        raise RuntimeError("make the wx.App first: callbacks run in its loop")
    scheduler = _Wx(toolkit, window)
    _kept.append((app, scheduler))
    return scheduler


class _Wx(Slices):
    """A posted event wakes the loop."""

    def __init__(self, toolkit: Any, window: Any) -> None:
        super().__init__()
        self._wx = toolkit
        self._hidden = False
        self._window = None if window is None else weakref.ref(window)
        if window is not None:
            toolkit.GetTopLevelParent(window).Bind(toolkit.EVT_SHOW, self._shown)

    def wake(self) -> None:
        self._wx.CallAfter(self.turn)

    def wake_again(self) -> None:
        self._wx.CallLater(_AGAIN_MS, self.turn)

    def wanted(self) -> bool:
        # A window that was destroyed is false.
        return not self._hidden and (self._window is None or bool(self._window()))

    def _shown(self, event: Any) -> None:
        self._hidden = not event.IsShown()
        event.Skip()  # other handlers of this event must run too


def asyncio(loop: AbstractEventLoop | None = None) -> Scheduler:
    """Run callbacks in an asyncio loop.

    To await a call, no scheduler is needed: `value = await asyncio.wrap_future(users.register(callback=print))`.

    Arguments:
        loop: the loop, else the one that is running. When it is closed, callbacks end.

    Raises:
        RuntimeError: no loop is given, and none is running.
    """
    if loop is None:
        from asyncio import get_running_loop

        loop = get_running_loop()
    return _Asyncio(loop)


class _Asyncio(Slices):
    """An asyncio loop, and the context variables of the place where the scheduler was made."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._context = contextvars.copy_context()

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.turn, context=self._context)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def report(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "an error in a callback of pymdc", "exception": error})

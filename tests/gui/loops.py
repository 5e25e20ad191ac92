"""A program that makes calls from within a real loop, of a toolkit named on the command line; prints what came of it.

It is run by `test_loops.py` in an interpreter that has the toolkit, so it imports nothing of the tests.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pymdc import schedulers
from pymdc.core.dispatch import Dispatcher, Handle, Scheduler
from pymdc.core.job import Job

LONG = 60.0


class Tk:
    """A main window and a second one; `show` touches a window, and fails when it is dead."""

    def __init__(self) -> None:
        tkinter = importlib.import_module("tkinter")
        self.main = tkinter.Tk()
        self.second = tkinter.Toplevel(self.main)
        self.things = [tkinter.StringVar(self.main, "text"), tkinter.PhotoImage(master=self.main, width=2, height=2)]

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.tk(self.main), schedulers.tk(self.second)

    def show(self, window: Any) -> None:
        window.title("shown")
        window.nametowidget(".").update_idletasks()

    def soon(self, function: Callable[[], Any]) -> None:
        self.main.after(1, function)

    def run(self) -> None:
        self.main.mainloop()

    def end(self) -> None:
        self.main.destroy()

    def close(self, window: Any) -> None:
        window.destroy()

    def hide(self, window: Any) -> None:
        window.withdraw()

    def hook(self, report: Callable[[BaseException], None]) -> None:
        self.main.report_callback_exception = lambda _kind, error, _trace: report(error)

    def every(self, milliseconds: int, function: Callable[[], None]) -> None:
        def again() -> None:
            self.main.after(milliseconds, again)
            function()

        again()


def excepthook(report: Callable[[BaseException], None]) -> None:
    sys.excepthook = lambda _kind, error, _trace: report(error)


class Qt:
    def __init__(self, binding: str) -> None:
        self.core = importlib.import_module(f"{binding}.QtCore")
        widgets = importlib.import_module(f"{binding}.QtWidgets")
        self.deleted = (
            (lambda each: not importlib.import_module("shiboken6").isValid(each))
            if binding == "PySide6"
            else importlib.import_module("PyQt6.sip").isdeleted
        )
        self.app = widgets.QApplication([])
        self.main = widgets.QLabel("main")
        self.second = widgets.QLabel("second")
        self.main.show()
        self.second.show()
        self.things: list[Any] = [widgets.QLabel("one more")]

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.qt(), schedulers.qt(self.second)

    def show(self, window: Any) -> None:
        window.setText("shown")

    def soon(self, function: Callable[[], Any]) -> None:
        self.core.QTimer.singleShot(1, function)

    def run(self) -> None:
        self.app.exec()

    def end(self) -> None:
        self.app.quit()

    def close(self, window: Any) -> None:
        window.deleteLater()

    def hide(self, window: Any) -> None:
        window.close()

    hook = staticmethod(excepthook)

    def every(self, milliseconds: int, function: Callable[[], None]) -> None:
        self.timer = self.core.QTimer()
        self.timer.setTimerType(self.core.Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(function)
        self.timer.start(milliseconds)


class GLib:
    def __init__(self) -> None:
        self.glib = importlib.import_module("gi.repository.GLib")
        self.loop = self.glib.MainLoop()
        self.main: Any = None
        self.second: Any = None
        self.things: list[Any] = []

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.glib(), schedulers.glib()

    def show(self, window: Any) -> None:
        pass

    def soon(self, function: Callable[[], Any]) -> None:
        self.glib.timeout_add(1, lambda: bool(function()) and False)

    def run(self) -> None:
        self.loop.run()

    def end(self) -> None:
        self.loop.quit()

    hook = staticmethod(excepthook)

    def every(self, milliseconds: int, function: Callable[[], None]) -> None:
        def again() -> bool:
            function()
            return True

        self.glib.timeout_add(milliseconds, again)


class Gtk(GLib):
    def __init__(self, version: str) -> None:
        importlib.import_module("gi").require_version("Gtk", version)
        self.gtk = importlib.import_module("gi.repository.Gtk")
        if version == "4.0":
            self.gtk.init()
        super().__init__()
        self.main, self.second = self.gtk.Window(title="main"), self.gtk.Window(title="second")
        self.things = [self.gtk.Label(label="text")]
        self.main.present()
        self.second.present()

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.glib(), schedulers.glib(self.second)

    def show(self, window: Any) -> None:
        window.set_title("shown")

    def close(self, window: Any) -> None:
        window.destroy()

    def hide(self, window: Any) -> None:
        window.hide()


class Wx:
    def __init__(self) -> None:
        self.wx = importlib.import_module("wx")
        self.app = self.wx.App()
        self.main = self.wx.Frame(None, title="main")
        self.second = self.wx.Panel(self.main)  # which goes at once; a frame stays until the loop is idle
        self.main.Show()
        self.things = [self.wx.StaticText(self.main, label="text")]

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.wx(), schedulers.wx(self.second)

    def show(self, window: Any) -> None:
        window.SetLabel("shown")

    def soon(self, function: Callable[[], Any]) -> None:
        self.wx.CallLater(1, function)

    def run(self) -> None:
        self.app.MainLoop()

    def end(self) -> None:
        self.main.Destroy()
        self.app.ExitMainLoop()

    def close(self, window: Any) -> None:
        window.Destroy()

    def hide(self, window: Any) -> None:
        self.main.Show(False)

    hook = staticmethod(excepthook)

    def every(self, milliseconds: int, function: Callable[[], None]) -> None:
        self.timer = self.wx.Timer(self.main)
        self.main.Bind(self.wx.EVT_TIMER, lambda _: function(), self.timer)
        self.timer.Start(milliseconds)


class Asyncio:
    def __init__(self) -> None:
        self.loop = importlib.import_module("asyncio").new_event_loop()
        self.main: Any = None
        self.second: Any = None
        self.things: list[Any] = []

    def schedulers(self) -> tuple[Scheduler, Scheduler]:
        return schedulers.asyncio(self.loop), schedulers.asyncio(self.loop)

    def show(self, window: Any) -> None:
        pass

    def soon(self, function: Callable[[], Any]) -> None:
        self.loop.call_soon(function)

    def run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def end(self) -> None:
        self.loop.stop()

    def hook(self, report: Callable[[BaseException], None]) -> None:
        self.loop.set_exception_handler(lambda _, context: report(context["exception"]))

    def every(self, milliseconds: int, function: Callable[[], None]) -> None:
        def again() -> None:
            self.loop.call_later(milliseconds / 1000, again)
            function()

        self.loop.call_soon(again)


LOOPS: dict[str, Callable[[], Any]] = {
    "tk": Tk,
    "pyside6": lambda: Qt("PySide6"),
    "pyqt6": lambda: Qt("PyQt6"),
    "glib": GLib,
    "gtk3": lambda: Gtk("3.0"),
    "gtk4": lambda: Gtk("4.0"),
    "wx": Wx,
    "asyncio": Asyncio,
}


def numbered(scheduler: Scheduler, ran: list[int]) -> Scheduler:
    """Return a scheduler that notes the order in which what it is given is run: 0, 1, 2, ... if it is the same."""
    lock, numbers = threading.Lock(), itertools.count()

    def schedule(function: Callable[[], None]) -> None:
        with lock:
            number = next(numbers)

            def run() -> None:
                ran.append(number)
                function()

            scheduler(run)

    return schedule


def giving(value: int) -> Callable[[Job], int]:
    return lambda _: value


def thousand(loop: Any) -> dict[str, Any]:
    scheduler = loop.schedulers()[0]
    ran: list[int] = []
    values: list[int] = []
    threads = set()
    dispatcher = Dispatcher(16)

    def callback(value: int) -> None:
        values.append(value)
        threads.add(threading.get_ident())
        loop.show(loop.main)
        if len(values) == 1000:
            loop.soon(loop.soon_end)

    loop.soon_end = lambda: loop.soon(loop.end)  # one more turn, for a callback too many
    ordered = numbered(scheduler, ran)
    loop.soon(lambda: [dispatcher.run(giving(number), callback, ordered) for number in range(1000)])
    loop.run()
    return {
        "in order": ran == list(range(1000)),
        "each once": sorted(values) == list(range(1000)),
        "in the loop's thread": threads == {threading.get_ident()},
    }


def raising(loop: Any) -> dict[str, Any]:
    scheduler = loop.schedulers()[0]
    reported: list[str] = []
    loop.hook(lambda error: reported.append(str(error)))
    values: list[int] = []

    def callback(value: int) -> None:
        values.append(value)
        if value == 9:
            loop.soon(loop.end)
        raise ValueError(value)

    dispatcher = Dispatcher(1)
    loop.soon(lambda: [dispatcher.run(giving(number), callback, scheduler) for number in range(10)])
    loop.run()
    return {"values": values, "reported": reported}


def held_up(dispatcher: Dispatcher, go_on: threading.Event, callback: Any, scheduler: Scheduler) -> list[Handle]:
    return [dispatcher.run(lambda _: go_on.wait(LONG), callback, scheduler) for _ in range(8)]


def watched() -> tuple[list[str], list[Any]]:
    """What is reported, and what callbacks were called with: nothing, they must stay empty."""
    reported: list[str] = []
    threading.excepthook = lambda arguments: reported.append(repr(arguments.exc_value))
    sys.unraisablehook = lambda arguments: reported.append(repr(arguments.exc_value))
    return reported, []


def ended(loop: Any) -> dict[str, Any]:
    """The loop ends with calls under way; whatever it was is let go of before they are answered."""
    reported, called = watched()
    go_on = threading.Event()
    values: list[Any] = []
    begin_and_end(loop, go_on, called, values)
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("pymdc-worker")]
    assert len(workers) == 8
    if not isinstance(loop, Qt):  # Qt wants its application to be the last to go
        del loop
    gc.disable()
    go_on.set()
    for worker in workers:
        worker.join(LONG)
    collector = threading.Thread(target=gc.collect)  # any thread may happen to be the one that collects garbage
    collector.start()
    collector.join(LONG)
    return {"called": called, "reported": reported, "values": values, "alive": [each.is_alive() for each in workers]}


def begin_and_end(loop: Any, go_on: threading.Event, called: list[Any], values: list[Any]) -> None:
    scheduler = loop.schedulers()[0]

    def callback(value: Any, main: Any = loop.main, things: Any = loop.things) -> None:
        called.append(value)
        loop.show(main)

    def begin() -> None:
        for handle in held_up(Dispatcher(8), go_on, callback, scheduler):
            handle.add_done_callback(lambda done: values.append(done.result()))
        loop.soon(loop.end)

    loop.soon(begin)
    loop.run()


def closed(loop: Any) -> dict[str, Any]:
    """A window is closed with its calls under way, and the loop goes on with another."""
    main, second = loop.schedulers()
    reported, called = watched()
    go_on = threading.Event()
    handles: list[Handle] = []
    dispatcher = Dispatcher(9)

    def callback(_: Any) -> None:
        called.append("called")
        loop.show(loop.second)

    def begin() -> None:
        handles.extend(held_up(dispatcher, go_on, callback, second))
        loop.soon(close)

    def close() -> None:
        loop.close(loop.second)
        loop.soon(lambda: loop.soon(lambda: dispatcher.run(answer, last, main)))

    def answer(_: Any) -> Any:
        go_on.set()
        for handle in handles:
            handle.join(LONG)
        return "last"

    def last(value: str) -> None:
        loop.show(loop.main)
        called.append(value)
        loop.soon(lambda: loop.soon(loop.end))

    loop.soon(begin)
    loop.run()
    return {"called": called, "reported": reported, "values": [handle.result() for handle in handles]}


def closing(loop: Any) -> dict[str, Any]:
    """A callback closes its window: those behind it are not called."""
    main, second = loop.schedulers()
    reported, called = watched()

    def callback(_: Any) -> None:
        called.append("called")
        loop.show(loop.second)
        if isinstance(loop, Qt):  # "later" would be behind the others
            name = "shiboken6" if "PySide6" in sys.modules else "PyQt6.sip"
            module = importlib.import_module(name)
            module.delete(loop.second)
        else:
            loop.close(loop.second)
        if len(called) == 1:
            loop.soon(lambda: Dispatcher(1).run(lambda _: "last", last, main))

    def last(value: str) -> None:
        called.append(value)
        loop.soon(lambda: loop.soon(loop.end))

    def begin() -> None:
        handles = [Dispatcher(1).run(lambda _: "value", callback, second) for _ in range(8)]
        for handle in handles:
            handle.join(LONG)  # with a scheduler: until it was handed over, so all of them wait for the loop now

    loop.soon(begin)
    loop.run()
    return {"called": called, "reported": reported}


def hidden(loop: Any) -> dict[str, Any]:
    """A dialog is closed, and not destroyed: what is answered from then on is not told to it."""
    main, second = loop.schedulers()
    reported, called = watched()

    def begin() -> None:
        Dispatcher(1).run(lambda _: "shown", shown, second)

    def shown(value: str) -> None:
        called.append(value)
        loop.hide(loop.second)
        loop.soon(lambda: Dispatcher(1).run(lambda _: "closed", called.append, second).join(LONG))
        loop.soon(lambda: loop.soon(lambda: Dispatcher(1).run(lambda _: "last", last, main)))

    def last(value: str) -> None:
        called.append(value)
        loop.soon(lambda: loop.soon(loop.end))

    loop.every(50, lambda: None)
    loop.soon(lambda: loop.soon(begin))
    loop.run()
    return {"called": called, "reported": reported}


def busy(loop: Any) -> dict[str, Any]:
    """A thousand callbacks of a millisecond are waiting; a timer of the loop's own ticks meanwhile."""
    scheduler = loop.schedulers()[0]
    ticks: list[float] = []
    ran: list[float] = []

    def callback() -> None:
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass
        ran.append(until)
        if len(ran) == 1000:
            loop.soon(loop.end)

    loop.every(5, lambda: ticks.append(time.perf_counter()))
    loop.soon(lambda: [scheduler(callback) for _ in range(1000)])
    loop.run()
    during = [tick for tick in ticks if ran[0] <= tick <= ran[-1]]
    gaps = sorted(later - sooner for sooner, later in itertools.pairwise(during))
    return {"ticks": len(during), "p95": gaps[int(len(gaps) * 0.95)] if gaps else None}


if __name__ == "__main__":
    scenarios = {each.__name__: each for each in (thousand, raising, ended, closed, closing, hidden, busy)}
    make = LOOPS[sys.argv[1]]
    print(json.dumps(scenarios[sys.argv[2]](make())))

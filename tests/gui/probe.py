"""Runs an example program and tells what its window shows, and where on the screen; it presses nothing itself.

    python probe.py tk|qt PROGRAM

Each line that it reads is a question in JSON, each line that it prints the answer. It runs in the program's process,
and looks in the program's own loop. It imports nothing of the tests.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

TICK_MS = 5
BUTTONS = [
    *("sign_in", "register", "activate", "new_bucket", "rename_bucket", "delete_bucket", "upload", "download"),
    *("delete", "refresh", "sign_out", "cancel", "retry", "open", "clear"),
]
TABLES = ("buckets", "files", "transfers")
FIELDS = ("email", "password", "link")


class Tk:
    """Looks at a window of `tk_files.py`."""

    def __init__(self, window: Any) -> None:
        self.window = window
        self.keep_beating()

    def keep_beating(self) -> None:
        self.window.root.after(TICK_MS, self.keep_beating)
        beat()

    def rectangle(self, widget: Any) -> list[int]:
        widget.update_idletasks()
        return [widget.winfo_rootx(), widget.winfo_rooty(), widget.winfo_width(), widget.winfo_height()]

    def visible(self, widget: Any) -> bool:
        return bool(widget.winfo_viewable())

    def enabled(self, widget: Any) -> bool:
        return not widget.instate(["disabled"])

    def value(self, widget: Any) -> str:
        return str(widget.get())

    def text(self, widget: Any) -> str:
        return str(widget.cget("text")) if widget.winfo_ismapped() else ""

    def rows(self, tree: Any) -> list[list[str]]:
        items = [tree.item(row) for row in tree.get_children()]
        return [[item["text"], *map(str, item["values"] or [])] for item in items]

    def selected(self, tree: Any) -> list[str]:
        return [tree.item(row)["text"] for row in tree.selection()]

    def row(self, tree: Any, index: int) -> list[int]:
        row = tree.get_children()[index]
        tree.see(row)
        tree.update_idletasks()
        x, y, width, height = tree.bbox(row, "#0")
        return [tree.winfo_rootx() + x, tree.winfo_rooty() + y, width, height]

    def heading(self, tree: Any, place: int) -> list[int]:
        widths = [tree.column(each, "width") for each in ("#0", *tree.cget("columns"))]
        return [tree.winfo_rootx() + sum(widths[:place]), tree.winfo_rooty(), widths[place], self.window.line + 6]

    def clipboard(self) -> str:
        return str(self.window.root.clipboard_get())

    def tip(self) -> str:
        """Return what the tooltips show now."""
        kind = importlib.import_module("tkinter").Toplevel
        windows = [tip for tree in self.trees() for tip in tree.winfo_children() if isinstance(tip, kind)]
        return "".join(str(each.cget("text")) for tip in windows for each in tip.winfo_children())

    def trees(self) -> list[Any]:
        return [getattr(self.window, name) for name in TABLES]

    def focus(self) -> Any:
        with suppress(KeyError):  # the keyboard is in a dialog that Tk draws without a widget of Python's
            return self.window.root.focus_get()


class Qt:
    """Looks at a window of `qt_files.py`."""

    def __init__(self, window: Any) -> None:
        self.window = window
        self.core = importlib.import_module("PySide6.QtCore")
        self.timer = self.core.QTimer(timerType=self.core.Qt.TimerType.PreciseTimer, interval=TICK_MS)
        self.timer.timeout.connect(beat)
        self.timer.start()

    def place(self, widget: Any, rect: Any) -> list[int]:
        corner, ratio = widget.mapToGlobal(rect.topLeft()), self.window.devicePixelRatio()
        return [round(ratio * each) for each in (corner.x(), corner.y(), rect.width(), rect.height())]

    def rectangle(self, widget: Any) -> list[int]:
        return self.place(widget, widget.rect())

    def visible(self, widget: Any) -> bool:
        return bool(widget.isVisible())

    def enabled(self, widget: Any) -> bool:
        return bool(widget.isEnabled())

    def value(self, widget: Any) -> str:
        return str(widget.text())

    def text(self, widget: Any) -> str:
        return str(widget.text()) if widget.isVisible() else ""

    def items(self, tree: Any) -> list[Any]:
        return [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]

    def rows(self, tree: Any) -> list[list[str]]:
        return [[item.text(place) for place in range(tree.columnCount())] for item in self.items(tree)]

    def selected(self, tree: Any) -> list[str]:
        return [item.text(0) for item in self.items(tree) if item.isSelected()]

    def row(self, tree: Any, index: int) -> list[int]:
        item = tree.topLevelItem(index)
        tree.scrollToItem(item)
        rect = tree.visualItemRect(item)
        rect.setWidth(tree.columnWidth(0))
        return self.place(tree.viewport(), rect)

    def heading(self, tree: Any, place: int) -> list[int]:
        header = tree.header()
        left = header.sectionViewportPosition(place)
        return self.place(header, self.core.QRect(left, 0, header.sectionSize(place), header.height()))

    def clipboard(self) -> str:
        widgets = importlib.import_module("PySide6.QtWidgets")
        return str(widgets.QApplication.clipboard().text())

    def tip(self) -> str:
        """Return what the tooltip shows now."""
        shown = importlib.import_module("PySide6.QtWidgets").QToolTip
        document = importlib.import_module("PySide6.QtGui").QTextDocument()
        document.setHtml(shown.text() if shown.isVisible() else "")
        return str(document.toPlainText()).replace("\u200b", "")  # where a line may end

    def focus(self) -> Any:
        widgets = importlib.import_module("PySide6.QtWidgets")
        return widgets.QApplication.focusWidget()


beats: list[tuple[float, float]] = []
last = worked = 0.0


def beat() -> None:
    """Note how late the loop is, and how long its thread has worked since the last beat."""
    global last, worked
    now, work = time.perf_counter(), time.thread_time()
    if last:
        beats.append((1000 * (now - last) - TICK_MS, 1000 * (work - worked)))
    last, worked = now, work


class Probe:
    """Answers questions, in the loop of the window."""

    def __init__(self, eyes: Any) -> None:
        self.eyes, self.window = eyes, eyes.window

    def see(self) -> dict[str, Any]:
        eyes, window, model = self.eyes, self.window, self.window.model
        buttons = [name for name in BUTTONS if eyes.visible(getattr(window, name))]
        names = {id(getattr(window, name)): name for name in (*BUTTONS, *TABLES, *FIELDS)}
        return {
            "message": eyes.text(window.message),
            "problem": model.is_problem,
            "page": "files" if eyes.visible(window.files) else "account",
            "buttons": buttons,
            "enabled": [name for name in buttons if eyes.enabled(getattr(window, name))],
            "fields": {name: eyes.value(getattr(window, name)) for name in FIELDS},
            "selected": {name: eyes.selected(getattr(window, name)) for name in TABLES},
            "rows": {name: eyes.rows(getattr(window, name)) for name in TABLES},
            "hint": eyes.text(window.hint if hasattr(window, "hint") else window.files.hint),
            "full": eyes.text(window.full_words),
            "total": eyes.text(window.total_words),
            "states": [each.state for each in model.transfers],
            "shares": [each.share for each in model.transfers],
            "names": [each["filename"] for each in model.files or []],
            "behind": self.behind(),
            "tip": eyes.tip(),
            "focus": names.get(id(eyes.focus()), ""),
        }

    def behind(self) -> bool:
        """Tell whether the window knows more than it shows; of transfers under way that is always so."""
        planned = self.window.refreshes.planned
        return "files" in planned or ("transfers" in planned and not self.window.model.unfinished)

    def where(self, name: str) -> list[int]:
        found: list[int] = self.eyes.rectangle(getattr(self.window, name))
        return found

    def row(self, table: str, index: int) -> list[int]:
        found: list[int] = self.eyes.row(getattr(self.window, table), index)
        return found

    def heading(self, place: int) -> list[int]:
        found: list[int] = self.eyes.heading(self.window.files, place)
        return found

    def clipboard(self) -> str:
        copied: str = self.eyes.clipboard()
        return copied

    def late(self) -> list[list[float]]:
        """Return how late the loop's ticks have been since this was asked last, and how long it worked for each.

        Both are sorted, and in milliseconds. What the thread worked says how long the slowest handler was, however
        busy the machine is.
        """
        noted = [sorted(late for late, _ in beats), sorted(work for _, work in beats)]
        beats.clear()
        return noted

    def done(self) -> list[int]:
        """Return how many transfers there are, how many are done, and how many files: a look that costs nothing."""
        model = self.window.model
        return [len(model.transfers), sum(each.state == "done" for each in model.transfers), len(model.files or [])]


def answer(probe: Probe, schedule: Any) -> None:
    """Answer each line. A question waits for the loop, so its answer is what the window has come to by then."""
    # Not sys.stdin: the end of the program would wait for the thread that holds its lock.
    for text in os.fdopen(os.dup(0)):
        name, *arguments = json.loads(text)
        answered: queue.Queue[Any] = queue.Queue()

        def look(name: str = name, arguments: Any = arguments, answered: Any = answered) -> None:
            try:
                answered.put(getattr(probe, name)(*arguments))
            except Exception as error:
                answered.put({"error": repr(error)})

        schedule(look)
        print(json.dumps(answered.get()), flush=True)


def main() -> None:
    toolkit, program = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, str(program.parent))
    spec = importlib.util.spec_from_file_location(program.stem, program)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[program.stem] = module
    spec.loader.exec_module(module)
    sys.argv[:] = [str(program), *sys.argv[3:]]
    window_of = module.Window

    def meet(*arguments: Any) -> Any:
        window = window_of(*arguments)
        schedulers = module.pymdc.schedulers
        schedule = schedulers.tk(window.root) if toolkit == "tk" else schedulers.qt()
        probe = Probe((Tk if toolkit == "tk" else Qt)(window))
        threading.Thread(target=answer, args=[probe, schedule], daemon=True).start()
        return window

    module.Window = meet
    module.main()


if __name__ == "__main__":
    main()

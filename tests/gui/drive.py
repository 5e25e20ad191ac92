"""Drives an example program as a person does, with clicks and keys, and prints what came of it.

    python drive.py tk|qt PROGRAM JOURNEY.json

It runs in the program's own process and loop, between the program's own events, and measures how late that loop is. It
imports nothing of the tests.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

TICK_MS = 5
LONG = 60.0

Script = Iterator[Callable[[], Any]]
_ATTEMPTS = 200


class TkHands:
    """Clicks and types in a window of `tk_files.py`, and sees what it shows."""

    def __init__(self, window: Any) -> None:
        self.window = window

    def every(self, function: Callable[[], None]) -> None:
        def again() -> None:
            self.window.root.after(TICK_MS, again)
            function()

        self.window.root.after(TICK_MS, again)

    def choose(self, files: list[str], folder: str) -> None:
        """Answer the dialogs, which belong to Tk."""
        dialogs: Any = importlib.import_module("tkinter.filedialog")
        dialogs.askopenfilenames = lambda **_: files
        dialogs.askdirectory = lambda **_: folder

    def click(self, widget: Any, x: int = 5, y: int = 5, state: int = 0) -> None:
        self.window.root.update_idletasks()
        for event in ("<Enter>", "<Motion>", "<ButtonPress-1>", "<ButtonRelease-1>"):
            more = {"state": state} if event.startswith("<Button") else {}
            widget.event_generate(event, x=x, y=y, **more)

    def type_in(self, widget: Any, text: str) -> None:
        names = {"@": "at", ".": "period", " ": "space"}
        for _ in range(_ATTEMPTS):  # keys go astray until the server has told the window that it has the focus
            widget.focus_force()
            widget.update()
            widget.delete(0, "end")
            for letter in text:
                widget.event_generate("<Key>", keysym=names.get(letter, letter))
            if widget.get() == text:
                return
        raise AssertionError(f"the keys did not arrive: {text!r}")

    def shown(self, widget: Any) -> str:
        return str(widget["text"])

    def status(self) -> str:
        return self.shown(self.window.status)

    def rows(self, tree: Any) -> list[str]:
        return [tree.item(row)["text"] for row in tree.get_children()]

    def click_row(self, tree: Any, index: int, *, through: bool = False) -> None:
        tree.update_idletasks()
        row = tree.get_children()[index]
        tree.see(row)
        x, y, _, height = tree.bbox(row)
        self.click(tree, x + 40, y + height // 2, state=1 if through else 0)

    def share(self, transfer: Any) -> float:
        return float(transfer.bar["value"])

    def photograph(self, path: Path) -> Callable[[], Any]:
        self.window.root.update_idletasks()
        process = subprocess.Popen(["import", "-window", "root", str(path)])
        return lambda: process.poll() is not None

    def close(self) -> None:
        """Close the window, as its manager does when its cross is clicked."""
        root = self.window.root
        root.tk.call(root.protocol("WM_DELETE_WINDOW"))


class QtHands:
    """Clicks and types in a window of `qt_files.py`, and sees what it shows."""

    def __init__(self, window: Any) -> None:
        self.window = window
        self.core = importlib.import_module("PySide6.QtCore")
        self.test = importlib.import_module("PySide6.QtTest").QTest

    def every(self, function: Callable[[], None]) -> None:
        self.timer = self.core.QTimer(timerType=self.core.Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(function)
        self.timer.start(TICK_MS)

    def choose(self, files: list[str], folder: str) -> None:
        dialog = importlib.import_module("PySide6.QtWidgets").QFileDialog
        dialog.getOpenFileNames = lambda *_: (files, "")
        dialog.getExistingDirectory = lambda *_: folder

    def click(self, widget: Any, place: Any = None, *, through: bool = False) -> None:
        keys = self.core.Qt.KeyboardModifier
        held = keys.ShiftModifier if through else keys.NoModifier
        self.test.mouseClick(widget, self.core.Qt.MouseButton.LeftButton, held, place or widget.rect().center())

    def type_in(self, widget: Any, text: str) -> None:
        widget.clear()
        self.test.keyClicks(widget, text)

    def shown(self, widget: Any) -> str:
        return str(widget.text())

    def status(self) -> str:
        return str(self.window.statusBar().currentMessage())

    def _items(self, view: Any) -> list[Any]:
        if view is self.window.bucket_list:
            return [view.item(row) for row in range(view.count())]
        return [view.topLevelItem(row) for row in range(view.topLevelItemCount())]

    def rows(self, view: Any) -> list[str]:
        items = self._items(view)
        return [item.text() if view is self.window.bucket_list else item.text(0) for item in items]

    def click_row(self, view: Any, index: int, *, through: bool = False) -> None:
        item = self._items(view)[index]
        view.scrollToItem(item)
        self.click(view.viewport(), view.visualItemRect(item).center(), through=through)

    def share(self, transfer: Any) -> float:
        return float(transfer.bar.value()) / 1000

    def photograph(self, path: Path) -> Callable[[], Any]:
        self.window.grab().save(str(path))
        return lambda: True

    def close(self) -> None:
        self.window.close()


class Person:
    """Does one thing after the other; each step of the script yields what it waits for before it goes on."""

    def __init__(self, hands: Any, journey: dict[str, Any]) -> None:
        self.hands, self.window, self.journey = hands, hands.window, journey
        self.seen: dict[str, Any] = {}
        self.script = self.whole()
        self.awaited: Callable[[], Any] = lambda: True
        self.until = time.monotonic() + LONG
        self.beats: list[float] | None = None
        self.last = 0.0
        self.busy = False
        hands.every(self.beat)

    def beat(self) -> None:
        """Note how long the loop did not answer, and go on with the script."""
        now = time.perf_counter()
        if self.beats is not None:
            self.beats.append(1000 * (now - self.last) - TICK_MS)
        if time.monotonic() > self.until:
            print(f"waited for too long; the window says {self.hands.status()!r}", self.seen, file=sys.stderr)
            os._exit(1)
        if not self.busy and self.awaited():
            self.until = time.monotonic() + LONG
            self.busy = True  # a step may let the loop run, and so come here again
            self.awaited = next(self.script, lambda: False)
            self.busy = False
        self.last = time.perf_counter()

    def photograph(self, name: str) -> Callable[[], Any]:
        folder = self.journey.get("screenshots")
        if folder is None:
            return lambda: True
        done: Callable[[], Any] = self.hands.photograph(Path(folder, f"{self.journey['name']}-{name}.png"))
        return done

    def whole(self) -> Script:
        yield from self.log_in()
        yield from self.make_a_bucket()
        yield from self.transfer(self.window.upload, "uploads")
        yield lambda: len(self.hands.rows(self.window.file_list)) == len(self.journey["files"])
        yield self.photograph("uploaded")
        self.hands.click_row(self.window.file_list, 0)
        self.hands.click_row(self.window.file_list, len(self.journey["files"]) - 1, through=True)
        yield lambda: True
        yield from self.transfer(self.window.download, "downloads")
        yield self.photograph("downloaded")
        yield from self.cancel()
        yield from self.leave()

    def log_in(self) -> Script:
        hands, window = self.hands, self.window
        yield self.photograph("started")
        hands.type_in(window.email, "somebody@example.com")
        hands.type_in(window.password, "a password")
        hands.click(window.log_in)
        yield lambda: not hands.status().startswith(("Logging", "Log in"))
        self.seen["refusal"] = hands.status()
        hands.click(window.register)
        if "outbox" in self.journey:
            yield lambda: hands.status().startswith("A mail is on its way")
            hands.type_in(window.token, mailed_token(Path(self.journey["outbox"])))
            hands.click(window.activate)
        yield lambda: hands.status().startswith("Buckets")
        hands.click(window.log_in)
        yield lambda: hands.status().startswith("Buckets")

    def make_a_bucket(self) -> Script:
        hands, window = self.hands, self.window
        hands.type_in(window.name, "holidays")
        hands.click(getattr(window, "create_button", None) or window.create)
        yield lambda: hands.rows(window.bucket_list) == ["holidays"]
        hands.click_row(window.bucket_list, 0)
        yield lambda: window.bucket is not None

    def transfer(self, pressed: Any, name: str) -> Script:
        """Start all of them at once, and watch the loop while they run."""
        hands, window = self.hands, self.window
        before = len(window.transfers)
        hands.choose(self.journey["files"], self.journey["folder"])
        hands.click(pressed)
        yield lambda: True
        started = time.monotonic()
        self.beats, self.last = [], time.perf_counter()
        ours = window.transfers[before:]
        shares: set[float] = set()

        def look(enough: Callable[[], bool]) -> Callable[[], bool]:
            def enough_now() -> bool:
                shares.update(hands.share(each) for each in ours)
                return enough()

            return enough_now

        yield look(lambda: any(0.2 < each < 1 for each in shares))
        if name == "uploads":
            yield self.photograph("uploading")
        yield look(lambda: all(hands.shown(each.button) == "Clear" for each in ours))
        self.seen[name] = [hands.shown(each.words) for each in ours]
        self.seen[f"{name} late"], self.beats = sorted(self.beats), None
        self.seen[f"{name} seconds"] = time.monotonic() - started
        self.seen[f"{name} shares"] = len(shares)

    def cancel(self) -> Script:
        hands, window = self.hands, self.window
        hands.choose([self.journey["large"]], self.journey["folder"])
        hands.click(window.upload)
        row = window.transfers[-1]
        yield lambda: hands.share(row) > 0
        started = time.monotonic()
        hands.click(row.button)
        yield lambda: hands.shown(row.button) == "Clear"
        self.seen["cancelled after"], self.seen["cancelled"] = time.monotonic() - started, hands.shown(row.words)
        yield self.photograph("cancelled")
        hands.click(row.button)
        yield lambda: True

    def leave(self) -> Script:
        """Close the window while something is under way."""
        hands, window = self.hands, self.window
        hands.click(window.upload)
        row = window.transfers[-1]
        yield lambda: hands.share(row) > 0
        self.seen["closed"] = time.monotonic()
        hands.close()


def mailed_token(outbox: Path) -> str:
    """Return the token at the end of the link in the last mail."""
    mail: Any = message_from_bytes(max(outbox.glob("*.eml")).read_bytes(), policy=default)
    tokens = re.findall(r"/activations/(\w+)", mail.get_content())
    return str(tokens[-1])


def main() -> None:
    hands, program, journey = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    spec = importlib.util.spec_from_file_location(program.stem, program)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[program.stem] = module
    spec.loader.exec_module(module)
    sys.argv[:] = [str(program), journey["data"]]
    people: list[Person] = []
    window_of = module.Window

    def meet(*arguments: Any) -> Any:
        window = window_of(*arguments)
        people.append(Person({"tk": TkHands, "qt": QtHands}[hands](window), journey))
        return window

    module.Window = meet
    module.main()
    seen = people[0].seen
    seen["ended after"] = time.monotonic() - seen.pop("closed")
    print(json.dumps(seen))


if __name__ == "__main__":
    main()

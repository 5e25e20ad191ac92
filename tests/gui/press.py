"""Runs a program of the manual: uploads a file, cancels the upload of a large one, and prints what the window shows.

python press.py tk|qt PROGRAM SMALL LARGE
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from typing import Any

LOOK_MS = 10
Steps = Iterator[Callable[[], Any]]


def person(window: Any, choose: Callable[[str], None], small: str, large: str) -> Steps:
    """Do one thing after the other; each step gives what it waits for."""
    seen = {}
    yield lambda: window.names()
    seen["first"] = window.names()
    choose(small)
    window.press("Upload")
    yield lambda: window.words() == "Uploaded" and len(window.names()) == 2
    seen["then"] = window.names()
    choose(large)
    window.press("Upload")
    yield lambda: 0 < window.share() < 1
    window.press("Cancel")
    yield lambda: window.words() != "Uploaded"
    seen["cancelled"] = window.words()
    print(json.dumps(seen))
    window.close()


class Tk:
    """Sees and presses what is in a window of Tk."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.parts = {each.winfo_class(): each for each in root.winfo_children() if each.winfo_class() != "Button"}

    def names(self) -> list[str]:
        return list(self.parts["Listbox"].get(0, "end"))

    def words(self) -> str:
        return str(self.parts["Label"]["text"])

    def share(self) -> float:
        return float(self.parts["TProgressbar"]["value"])

    def press(self, text: str) -> None:
        buttons = [each for each in self.root.winfo_children() if each.winfo_class() == "Button"]
        button = next(each for each in buttons if each["text"] == text)
        for event in ("<Enter>", "<ButtonPress-1>", "<ButtonRelease-1>"):
            button.event_generate(event, x=2, y=2)

    def close(self) -> None:
        self.root.destroy()


class Qt:
    """Sees and presses what is in a window of Qt."""

    def __init__(self, window: Any, widgets: Any) -> None:
        self.window, self.widgets = window, widgets

    def names(self) -> list[str]:
        found = self.window.findChild(self.widgets.QListWidget)
        return [found.item(row).text() for row in range(found.count())]

    def words(self) -> str:
        return str(self.window.findChild(self.widgets.QLabel).text())

    def share(self) -> float:
        return float(self.window.findChild(self.widgets.QProgressBar).value()) / 1000

    def press(self, text: str) -> None:
        test, core = importlib.import_module("PySide6.QtTest"), importlib.import_module("PySide6.QtCore")
        button = next(each for each in self.window.findChildren(self.widgets.QPushButton) if each.text() == text)
        test.QTest.mouseClick(button, core.Qt.MouseButton.LeftButton)

    def close(self) -> None:
        self.window.close()


def look(steps: Steps, again: Callable[[Callable[[], None]], object]) -> None:
    """Go on with the steps, one after the other, in the loop of the window."""
    awaited: list[Callable[[], Any]] = [lambda: True]

    def turn() -> None:
        try:
            if awaited[0]():
                awaited[0] = next(steps)
        except StopIteration:
            return
        again(turn)

    turn()


def drive_tk(small: str, large: str) -> None:
    tkinter: Any = importlib.import_module("tkinter")
    dialogs: Any = importlib.import_module("tkinter.filedialog")
    mainloop = tkinter.Tk.mainloop

    def choose(path: str) -> None:
        dialogs.askopenfilename = lambda: path

    def used(root: Any) -> None:
        root.update()
        look(person(Tk(root), choose, small, large), lambda turn: root.after(LOOK_MS, turn))
        mainloop(root)

    tkinter.Tk.mainloop = used


def drive_qt(small: str, large: str) -> None:
    widgets: Any = importlib.import_module("PySide6.QtWidgets")
    core: Any = importlib.import_module("PySide6.QtCore")
    execute = widgets.QApplication.exec

    def choose(path: str) -> None:
        widgets.QFileDialog.getOpenFileName = lambda: (path, "")

    def used(_: Any) -> None:
        (window,) = [each for each in widgets.QApplication.topLevelWidgets() if each.isVisible()]
        look(person(Qt(window, widgets), choose, small, large), lambda turn: core.QTimer.singleShot(LOOK_MS, turn))
        execute()

    widgets.QApplication.exec = used


if __name__ == "__main__":
    {"tk": drive_tk, "qt": drive_qt}[sys.argv[1]](sys.argv[3], sys.argv[4])
    runpy.run_path(sys.argv[2], run_name="__main__")

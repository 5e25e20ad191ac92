"""Runs a program with one button and one label: clicks the one, waits for the other to change, and prints what it says.

python press.py tk|qt PROGRAM
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable
from typing import Any


def drive_tk() -> None:
    tkinter: Any = importlib.import_module("tkinter")
    mainloop = tkinter.Tk.mainloop

    def clicked(root: Any) -> None:
        button = next(each for each in root.winfo_children() if isinstance(each, tkinter.Button))
        label = next(each for each in root.winfo_children() if isinstance(each, tkinter.Label))
        root.update()
        for event in ("<Enter>", "<ButtonPress-1>", "<ButtonRelease-1>"):
            button.event_generate(event, x=2, y=2)
        before = label["text"]

        def look() -> None:
            if label["text"] == before:
                root.after(10, look)
            else:
                print(label["text"])
                root.destroy()

        look()
        mainloop(root)

    tkinter.Tk.mainloop = clicked


def drive_qt() -> None:
    core: Any = importlib.import_module("PySide6.QtCore")
    widgets: Any = importlib.import_module("PySide6.QtWidgets")
    test: Any = importlib.import_module("PySide6.QtTest")
    execute = widgets.QApplication.exec

    def clicked(_: Any) -> None:
        window = widgets.QApplication.topLevelWidgets()[0]
        button, label = window.findChild(widgets.QPushButton), window.findChild(widgets.QLabel)
        before = label.text()
        timer = core.QTimer()

        def look() -> None:
            if label.text() != before:
                print(label.text())
                window.close()
                timer.stop()

        timer.timeout.connect(look)
        timer.start(10)
        test.QTest.mouseClick(button, core.Qt.MouseButton.LeftButton)
        execute()

    widgets.QApplication.exec = clicked


if __name__ == "__main__":
    drivers: dict[str, Callable[[], None]] = {"tk": drive_tk, "qt": drive_qt}
    drivers[sys.argv[1]]()
    runpy.run_path(sys.argv[2], run_name="__main__")

"""A person in front of an example program: sees what the window shows, clicks and types."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymdc

from .programs import EXAMPLES, HERE, NOISE, missing, python_with
from .screen import LONG, Screen

MODULES = {"tk": "tkinter", "qt": "PySide6.QtWidgets"}


class Person:
    """Uses a program; every action is one of the mouse or of the keyboard."""

    def __init__(self, toolkit: str, screen: Screen, process: subprocess.Popen[str], name: str) -> None:
        self.toolkit, self.screen, self.process, self.name = toolkit, screen, process, name
        self.shots = 0
        self.late: list[float] = []

    def ask(self, *question: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert not (isinstance(answer, dict) and set(answer) == {"error"}), answer
        return answer

    def see(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.ask("see")
        return seen

    def wait(self, until: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait until what is seen is as it should be, and the window shows all that it knows; return it."""
        end = time.monotonic() + LONG
        seen = self.see()
        while seen["behind"] or not until(seen):
            if time.monotonic() > end:
                self.photograph("waited-in-vain")
                raise AssertionError(f"waited in vain: {str(seen)[:3000]}")
            seen = self.see()
        return seen

    def wait_until_done(self, number: int) -> None:
        """Wait until so many transfers are done, without a look at all that the window shows: that takes it time."""
        end = time.monotonic() + 2 * LONG
        while self.ask("done")[1] < number:
            assert time.monotonic() < end, self.ask("done")
            time.sleep(0.1)

    def wait_for(self, words: str) -> dict[str, Any]:
        return self.wait(lambda seen: words in seen["message"])

    def photograph(self, name: str) -> None:
        self.shots += 1
        self.screen.photograph(f"{self.name}-{self.shots:02}-{name}")

    def on_screen(self, rectangle: list[int]) -> tuple[int, int]:
        """Return the middle of a rectangle, which must be on the screen, or nobody could click it."""
        x, y, width, height = rectangle
        middle = x + min(width // 2, 60), y + height // 2
        wide, high = map(int, self.screen.run("xdotool", "getdisplaygeometry").split())
        assert 0 <= middle[0] < wide, rectangle
        assert 0 <= middle[1] < high, rectangle
        return middle

    def click(self, name: str) -> None:
        self.screen.click(*self.on_screen(self.ask("where", name)))

    def press(self, name: str) -> None:
        """Click a button once it can be pressed."""
        self.wait(lambda seen: name in seen["enabled"])
        self.click(name)

    def click_row(self, table: str, index: int, **how: Any) -> None:
        self.screen.click(*self.on_screen(self.ask("row", table, index)), **how)

    def click_heading(self, place: int) -> None:
        self.screen.click(*self.on_screen(self.ask("heading", place)))

    def type_in(self, name: str, text: str) -> None:
        self.click(name)
        self.screen.key("ctrl+a" if self.toolkit == "qt" else "ctrl+slash")
        self.screen.type(text)
        self.wait(lambda seen: seen["fields"][name] == text)

    def answer(self, title: str, text: str = "", key: str = "Return") -> None:
        """Answer a dialog."""
        self.screen.wait_for_window(title)
        if text:
            self.screen.key("ctrl+a" if self.toolkit == "qt" else "ctrl+slash")
            self.screen.type(text)
        self.photograph(f"dialog {title}")
        self.screen.key(key)
        if title != "Files":
            self.screen.wait_for_window("Files")

    def yes(self, title: str) -> None:
        self.answer(title, key="alt+y")

    def yes_and_gone(self, title: str) -> None:
        """Answer a question with yes; the program ends."""
        self.screen.wait_for_window(title)
        self.screen.key("alt+y")
        self.ended(10)

    def choose_files(self, paths: list[Path]) -> None:
        quote = '"{}"' if self.toolkit == "qt" else "{{{}}}"
        quoted = len(paths) > 1 or self.toolkit == "tk"
        texts = [quote.format(path) if quoted else str(path) for path in paths]
        self.answer("Files to upload", " ".join(texts))

    def choose_folder(self, path: Path) -> None:
        title = "Folder to download to"
        self.screen.wait_for_window(title)
        self.screen.key("ctrl+a" if self.toolkit == "qt" else "ctrl+slash")
        self.screen.type(str(path))
        self.photograph(f"dialog {title}")
        self.screen.key("Return")
        if not self.screen.has_window("Files"):  # Tk's first Return goes to the folder, and its second one takes it
            self.screen.key("Return")
        self.screen.wait_for_window("Files")

    def upload(self, *paths: Path) -> None:
        self.press("upload")
        self.choose_files(list(paths))

    def sign_in(self, email: str, password: str = "a password") -> None:
        self.type_in("email", email)
        self.type_in("password", password)
        self.screen.key("Return")

    def close_window(self) -> None:
        self.screen.key("alt+F4")

    def ended(self, within: float) -> None:
        """The program has ended by now, without a complaint."""
        self.process.wait(within)
        assert self.process.stderr is not None
        said = [line for line in self.process.stderr.read().splitlines() if not any(each in line for each in NOISE)]
        assert (self.process.returncode, said) == (0, []), said


def must_open_windows(python: str, environment: dict[str, str]) -> None:
    """Skip the test where Qt is there and libraries of the system that its windows need are not."""
    script = "from PySide6.QtWidgets import QApplication; QApplication([])"
    done = subprocess.run([python, "-c", script], env=environment, capture_output=True, text=True)
    if done.returncode:
        missing(f"Qt opens no window here: {done.stderr.strip()}")


@contextmanager
def using(toolkit: str, screen: Screen, home: Path, url: str | None, name: str) -> Iterator[Person]:
    """Start an example program, and give who uses it."""
    where = [str(Path(pymdc.__file__).parents[1]), sysconfig.get_path("purelib")]
    tools = home / "bin"
    tools.mkdir(exist_ok=True, parents=True)
    opener = tools / "xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$1" >>"{home}/opened"\n')
    opener.chmod(0o755)
    environment = {
        **os.environ,
        "DISPLAY": screen.display,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(where),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "QT_QPA_PLATFORM": "xcb",
        "QT_SCALE_FACTOR": str(screen.dpi / 96),
    }
    if url is None:
        environment.pop("STORJ_BRIDGE", None)
    else:
        environment["STORJ_BRIDGE"] = url
    python = python_with(MODULES[toolkit])
    if toolkit == "qt":
        must_open_windows(python, environment)
    command = [python, "-W", "error", str(HERE / "probe.py"), toolkit]
    command.append(str(EXAMPLES / f"{toolkit}_files.py"))
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, cwd=home, **pipes) as process:
        person = Person(toolkit, screen, process, name)
        try:
            screen.wait_for_window("Files")
            yield person
        finally:
            process.kill()

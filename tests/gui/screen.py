"""A screen with a window manager, a mouse and a keyboard; a screen in memory, looked at by photographs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .programs import missing

LONG = 60.0
SIZES = {"small": ("640x400", 96), "usual": ("1280x800", 96), "fine": ("1280x800", 192)}
"""The screens on which the programs are used: pixels, and dots for each inch."""

SCREENSHOTS = "PYMDC_SCREENSHOTS"
"""Names a folder in which photographs of the windows are kept."""


@dataclass
class Screen:
    """An X server."""

    display: str
    dpi: int = 96

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env={**os.environ, "DISPLAY": self.display}, capture_output=True, text=True, timeout=LONG
        )
        return done.stdout

    def click(self, x: int, y: int, button: int = 1, times: int = 1, held: str = "") -> None:
        keys = (["keydown", held], ["keyup", held]) if held else ([], [])
        click = ["click", "--repeat", str(times), "--delay", "60", str(button)]
        self.run("xdotool", "mousemove", str(x), str(y), *keys[0], *click, *keys[1])

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse here, move it there in steps as a hand does, and let go."""
        steps = [
            f"{start[0] + (end[0] - start[0]) * n // 8} {start[1] + (end[1] - start[1]) * n // 8}" for n in range(9)
        ]
        moves = [word for step in steps for word in ("mousemove", *step.split(), "sleep", "0.05")]
        self.run("xdotool", "mousemove", str(start[0]), str(start[1]), "mousedown", "1", *moves, "mouseup", "1")

    def key(self, *keys: str) -> None:
        self.run("xdotool", "key", "--delay", "30", *keys)

    def type(self, text: str) -> None:
        self.run("xdotool", "type", "--delay", "8", text)

    def wait_for_window(self, title: str) -> None:
        """Wait until a window of this title has the keyboard."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            if self.has_window(title):
                return
        self.photograph(f"no-window {title}")
        raise AssertionError(f"no window {title!r} came")

    def has_window(self, title: str) -> bool:
        """Tell whether the window that has the keyboard now has this title."""
        return self.run("xdotool", "getactivewindow", "getwindowname").strip() == title

    def photograph(self, name: str) -> None:
        folder = os.environ.get(SCREENSHOTS)
        if folder is not None:
            self.run("import", "-window", "root", str(Path(folder, f"{name}.png")))


@contextmanager
def x_server(size: str = "1024x700", dpi: int = 96) -> Iterator[Screen]:
    """Run an X server whose screen is in memory."""
    if shutil.which("Xvfb") is None:
        missing("Xvfb is not installed")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-dpi", str(dpi)]
    command.append("-r")  # no repeated keys: on a busy machine one that is pressed shortly is held for long
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "-noreset", "-nolisten", "tcp"], pass_fds=[write], **quiet) as server:  # type: ignore[call-overload]
        try:
            os.close(write)
            with os.fdopen(read) as told:
                number = told.readline().strip()
            yield Screen(f":{number}", dpi)
        finally:
            server.terminate()


@contextmanager
def desktop(size: str, dpi: int) -> Iterator[Screen]:
    """Run an X server with a window manager, and with what moves its mouse and presses its keys."""
    for program in ("openbox", "xdotool", "import"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    with x_server(size, dpi) as screen:
        environment = {**os.environ, "DISPLAY": screen.display}
        with subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL) as manager:
            try:
                yield screen
            finally:
                manager.terminate()

"""Somebody who has files in a bridge, and types commands: in this process, in a real one, or on a terminal."""

from __future__ import annotations

import codecs
import fcntl
import itertools
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymdc import Client, unwrap
from pymdc.api import Bucket, Buckets

from ...bridges import LONG, RunningBridge
from ..keyboard import Keyboard

_numbers = itertools.count()


class Holder(Keyboard):
    """Types commands about the files of one account.

    Attributes:
        folder: where the files of this machine are.
    """

    def __init__(self, bridge: RunningBridge, client: Client, folder: Path) -> None:
        self.folder = folder
        self._bridge = bridge
        self._client = client
        self._email = f"holder{next(_numbers)}@example.com"
        self.user, self.key_pair = bridge.member(self._email, client)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables with the bridge and the account."""
        return {
            "STORJ_BRIDGE": self._bridge.url,
            "STORJ_BRIDGE_USER": self._email,
            "STORJ_BRIDGE_PASS": "a password",
            "PYMDC_CONFIG": str(self.folder / "config"),
        }

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own."""
        environment = {**os.environ, **self.variables, **settings.pop("variables", {})}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
        return subprocess.Popen([sys.executable, "-m", "pymdc", *arguments], env=environment, cwd=self.folder, **pipes)

    def bucket(self, name: str, **contents: bytes) -> Bucket:
        """Make a bucket with files in it, by their names."""
        made = unwrap(Buckets(self.user).create(name, 10, 10, [self.key_pair]))
        bucket = Bucket(made["id"], self.key_pair, client=self._client)
        for file, content in contents.items():
            unwrap(bucket.files.upload(content, name=file))
        return bucket

    def written(self, **contents: bytes) -> None:
        """Write files of this machine, by their paths."""
        for name, content in contents.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def names(bucket: Bucket) -> list[str]:
    """Return the names of a bucket's files."""
    return sorted(file["filename"] for file in unwrap(bucket.files.list()))


class Terminal:
    """A command on a terminal of its own. What it writes gathers in `text`."""

    def __init__(self, holder: Holder, *arguments: str, columns: int = 80, **settings: Any) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs, **settings}
        command = ["setsid", "--ctty", sys.executable, "-m", "pymdc", *arguments]
        variables = {"TERM": "xterm", "COLUMNS": "", **streams.pop("variables", {})}
        environment = {**os.environ, **holder.variables, **variables}
        del environment["COLUMNS"]
        self.process = subprocess.Popen(command, env=environment, cwd=holder.folder, **streams)
        os.close(theirs)
        self.text = ""
        self._ours = ours
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # the last one who could write has gone
                piece = b""
            with self._news:
                self.text += decoder.decode(piece)
                self._news.notify_all()
            if not piece:
                return

    def until(self, pattern: str) -> None:
        """Wait until something is on the terminal."""
        with self._news:
            assert self._news.wait_for(lambda: re.search(pattern, self.text), LONG), self.text

    def press(self, keys: str) -> None:
        """Press keys, such as "\\x03" for Ctrl+C."""
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(LONG)
        self._reader.join(LONG)
        os.close(self._ours)
        return code

    def hang_up(self) -> None:
        """Close the terminal, as a person who closes its window."""
        os.close(self._ours)

    @property
    def lines(self) -> list[str]:
        """All lines that stood on the terminal at some time, without what moves the cursor and sets colours."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)
        return [line for line in re.split(r"[\r\n]+", plain) if line]


class Valve:
    """A proxy before a bridge. Until it is opened, it passes only so many bytes of each connection in each direction.

    Until then, at most 6.5 MB pass in a second.

    Arguments:
        up, down: how many bytes to the bridge, and from it.
    """

    def __init__(self, bridge: RunningBridge, *, up: int = 2**60, down: int = 2**60) -> None:
        host, _, port = bridge.url.removeprefix("http://").rpartition(":")
        self._to = (host, int(port))
        self._limits = (up, down)
        self._opened = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    def open(self) -> None:
        """Let everything through from now on."""
        self._opened.set()

    def close(self) -> None:
        """Close all connections."""
        self.open()
        self._server.shutdown(socket.SHUT_RDWR)
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join(LONG)
        for each in [self._server, *self._sockets]:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            bridge = socket.create_connection(self._to)
            self._sockets += [client, bridge]
            for source, sink, limit in zip((client, bridge), (bridge, client), self._limits, strict=True):
                self._threads.append(threading.Thread(target=self._pump, args=(source, sink, limit)))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(65536):
                passed += len(piece)
                if passed > limit:
                    self._opened.wait(LONG)
                # So slowly that progress is reported, which is a few times a second only.
                self._opened.wait(0.01)
                sink.sendall(piece)
        _end(sink)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)

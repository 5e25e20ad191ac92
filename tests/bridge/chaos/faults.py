"""Faults at every exchange between a bridge and its database: a question that is lost, an answer that is lost.

On SQLite a connection of Python's own module is replaced by one that fails where it is told. On PostgreSQL a TCP proxy
stands between the bridge and the server. Both count the exchanges from the moment when they are armed.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pymdc.bridge.store.statements import STATEMENTS, Answers, Statements

KINDS = ("question lost", "answer lost", "away before", "away after")
_READY = b"Z\x00\x00\x00\x05"  # the message by which PostgreSQL says that it is done; one byte follows


class Plan:
    """Which exchange fails, and how.

    Attributes:
        met: whether the fault has happened.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed = False
        self._left = 0
        self._kind = ""
        self.met = False
        self.away = False

    def set(self, kind: str, number: int) -> None:
        """Let exchange `number`, counted from 1, fail."""
        self._kind, self._left, self.met, self.away = kind, number, False, False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Count exchanges meanwhile."""
        self._armed = True
        try:
            yield
        finally:
            self._armed = self.away = False

    def next(self) -> str:
        """Count an exchange. Return what to do with it: "lose question", "lose answer" or "pass"."""
        with self._lock:
            if not self._armed:
                return "pass"
            if self.away:
                return "lose question"
            self._left -= 1
            if self._left:
                return "pass"
            self.met = True
            self.away = self._kind.startswith("away")
            return "lose answer" if self._kind in ("answer lost", "away after") else "lose question"


class Killer:
    """Kills this process before or after a statement or a commit, or before a change to the files of a folder."""

    def __init__(self, plan: Plan) -> None:
        def moment(*_: Any, **__: Any) -> None:
            if plan.next() != "pass":
                os.kill(os.getpid(), signal.SIGKILL)

        def change(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _CHANGES or (event == "open" and arguments[2] & os.O_CREAT):
                moment()

        for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
            sa.event.listen(sa.Engine, event, moment)
        sa.event.listen(sa.Pool, "checkin", moment)
        for engine, statements in STATEMENTS.items():
            STATEMENTS[engine] = _Watched(statements, moment)
        sys.addaudithook(change)


_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


@dataclass
class _Watched:
    """The statements of signed requests, which SQLAlchemy does not see."""

    statements: Statements
    moment: Callable[[], None]

    def run(self, *args: Any) -> Answers:
        self.moment()
        answers = self.statements.run(*args)
        self.moment()
        return answers


def failing_connection(plan: Plan) -> type[sqlite3.Connection]:
    """Return a class of SQLite connections that follow a plan."""

    @contextmanager
    def exchange() -> Iterator[None]:
        what = plan.next()
        if what == "lose question":
            raise sqlite3.OperationalError("the question was lost")
        yield
        if what == "lose answer":
            raise sqlite3.OperationalError("the answer was lost")

    class Cursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Cursor:
            with exchange():
                super().execute(*args)
            return self

        def executemany(self, *args: Any) -> Cursor:
            with exchange():
                super().executemany(*args)
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            with exchange():
                super().commit()

    return Connection


class Proxy:
    """Stands between bridges and a PostgreSQL server, and follows a plan.

    Attributes:
        frozen: while it is set, connections stand and nothing passes.
    """

    def __init__(self, plan: Plan, port: int) -> None:
        self._plan = plan
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: list[_Link] = []
        self.frozen = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._plan.away:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._behind))
                self._links.append(_Link(self._plan, client, server, self.frozen))

    def close(self) -> None:
        # A thread that waits in accept() is not woken by close() alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.close()


class _Link:
    def __init__(self, plan: Plan, client: socket.socket, server: socket.socket, frozen: threading.Event) -> None:
        self._plan = plan
        self._frozen = frozen
        self._client = client
        self._server = server
        self._swallow = False
        for relay in (self._questions, self._answers):
            threading.Thread(target=relay, daemon=True).start()

    def _questions(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(1 << 20):
                if self._frozen.is_set():
                    continue  # lost on the way
                what = self._plan.next()
                if what == "lose question":
                    break
                self._swallow = what == "lose answer"
                self._server.sendall(data)
        self.close(answers=self._swallow)

    def _answers(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1 << 20):
                if not self._swallow:
                    self._client.sendall(data)
                elif data[-6:-1] == _READY:
                    break  # the server has done what it was told to
        self.close()

    def close(self, *, answers: bool = False) -> None:
        if answers:  # the server ends what it was told to, and then the session: nobody is left who would
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_WR)
        for one in (self._client,) if answers else (self._client, self._server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

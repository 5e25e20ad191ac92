"""Bridges in processes of their own, which can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread
from pymdc.bridge.settings import Settings

from ...engines import free_port, wait_for_port
from ..harness import Person, Running, running

LONG = 60.0  # a bound on what should take a second; reaching it is a failure


class Process:
    """A bridge as `pymdc bridge` runs it, always on the same port."""

    def __init__(self, data: Path, engines: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "pymdc", "bridge", "--port", str(self.port), "--data", str(data)]
        self._command += [part for name, value in engines.items() for part in (f"--{name}", value)]
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._running = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def kill(self) -> None:
        """End it as a loss of power would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def check(self) -> str:
        """Run `pymdc bridge check`, which must find no missing and no damaged shard; return its output."""
        done = subprocess.run([*self._command, "check"], capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _end(self, how: int) -> None:
        assert self._running is not None
        self._running.send_signal(how)
        self._running.wait(LONG)

    @contextmanager
    def serving(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.kill()


class Elsewhere(BridgeThread):
    """Has the settings and the URL of a bridge that runs in another process."""

    def __init__(self, settings: Settings, url: str) -> None:
        super().__init__(settings)
        self.url = url


@contextmanager
def visited(settings: Settings, url: str) -> Iterator[Running]:
    """A bridge in another process, to use over HTTP."""
    mails: list[Mail] = []
    with httpx.Client(base_url=url, timeout=LONG, trust_env=False) as http:
        yield Running(Elsewhere(settings, url), http, settings.data, mails)


def people(data: Path, engines: Mapping[str, str | None], count: int) -> list[Person]:
    """Register people, before any bridge runs elsewhere."""
    with running(data, **engines) as bridge:
        return [bridge.person() for _ in range(count)]

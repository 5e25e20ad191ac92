"""Somebody who types commands, in this process or in a real one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..bridges import LONG, RunningBridge
from .keyboard import Keyboard

PASSWORD = "correct horse battery staple"

_numbers = itertools.count()


class Typist(Keyboard):
    """Types commands.

    Attributes:
        bridge: where the account is.
        email: an address that nobody else has.
        config: the folder of the profiles.
        password_file: holds the password.
    """

    def __init__(self, bridge: RunningBridge, folder: Path) -> None:
        self.bridge = bridge
        self.email = f"somebody{next(_numbers)}@example.com"
        self.config = folder / "config"
        self.password_file = folder / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self.password_file.chmod(0o600)

    def failed(self, code: int, *arguments: str, **settings: Any) -> str:
        """Run a command that must fail with a code and one line, and return that line."""
        return super().failed(code, *arguments, **settings).splitlines()[-1].removeprefix("Error: ")

    def run(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "pymdc", *arguments],
            **{
                "capture_output": True,
                "text": True,
                "check": False,
                "timeout": LONG,
                "env": self.environment,
                **settings,
            },
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command in a process of its own."""
        return {**os.environ, "PYMDC_CONFIG": str(self.config)}

    @property
    def with_password(self) -> tuple[str, str]:
        """The option that names the password."""
        return "--password-file", str(self.password_file)

    def mailed_token(self, email: str | None = None) -> str:
        """Return the activation token in the mail to an address. Mails to others are thrown away."""
        while True:
            mail = self.bridge.mails.get(timeout=LONG)
            if mail.to == (email or self.email):
                return mail.token

    def join(self, *options: str, email: str | None = None) -> str:
        """Register, activate and log in; return the e-mail address."""
        email = email or self.email
        self.done("register", email, "--bridge", self.bridge.url, *options, *self.with_password)
        self.done("activate", self.mailed_token(email), "--bridge", self.bridge.url, *options)
        self.done("login", email, *options, "--bridge", self.bridge.url, *self.with_password)
        return email

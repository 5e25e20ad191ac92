"""No secret is in the list of processes, a log, the shell's history, or a file that others can read."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from pymdc.api import ECDSA
from pymdc.cli.main import cli
from pymdc.cli.profiles import Profiles

from .terminals import terminal
from .typist import PASSWORD, Typist

HASH = hashlib.sha256(PASSWORD.encode()).hexdigest()


def command_lines() -> str:
    """Return the arguments of all processes, as anybody can read them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def for_others(folder: Path) -> Iterator[Path]:
    """Give the files below a folder that others may read."""
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o044:
            yield path


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_a_typed_password_is_written_nowhere(typist: Typist, tmp_path: Path) -> None:
    typist.done("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    typist.done("activate", typist.mailed_token())
    typist.password_file.unlink()
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **typist.environment,
        "HOME": str(home),
        "HISTFILE": str(home / "history"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PS1": "> ",
    }
    with terminal(["bash", "--norc", "--noprofile", "-i"], environment) as shell:
        shell.type(f"umask 0; pymdc login {typist.email} --verbose\n")
        shell.wait_for("Password: ")
        assert f"pymdc login {typist.email}" in command_lines()
        shell.type(f"{PASSWORD}\n")
        shell.wait_for("is logged in")
        seen = command_lines()
        shell.type("exit\n")
        shell.wait()
    private = Profiles().private_key(Profiles().find("default"))
    history = (home / "history").read_text()
    assert "pymdc login" in history
    readable = "".join(path.read_text(errors="replace") for path in for_others(tmp_path))
    for secret in (PASSWORD, HASH, private):
        for place in (shell.shown, seen, history, readable):
            assert secret not in place


def test_log_lines_hold_no_secret(member: Typist, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with caplog.at_level(logging.DEBUG, "pymdc"):
        said = [member.type("login", "--verbose", *member.with_password).output]
        said.append(member.type("whoami", "--verbose").output)
        said.append(member.type("login", "--verbose", "--bridge", "http://127.0.0.1:1", *member.with_password).output)
    private = Profiles().private_key(Profiles().find("default"))
    logging.getLogger("pymdc").setLevel(logging.NOTSET)
    for secret in (PASSWORD, HASH, private):
        assert secret not in caplog.text
        assert secret not in "".join(said)


def test_a_traceback_holds_no_secret(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(self: ECDSA, message: object) -> str:
        raise ZeroDivisionError

    private = Profiles().private_key(Profiles().find("default"))
    monkeypatch.setattr(ECDSA, "sign", break_down)
    ran = member.type("whoami", "--verbose")
    assert ran.exit_code == 1
    assert private not in ran.output
    logging.getLogger("pymdc").setLevel(logging.NOTSET)


def options(command: click.Command) -> Iterator[click.Option]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below)
    yield from (param for param in command.params if isinstance(param, click.Option))


def test_no_option_of_an_account_takes_a_secret_itself() -> None:
    named = {option.name for option in options(cli) if "password" in str(option.name) or "private" in str(option.name)}
    # That of the mail server belongs in the environment or the file, as its help says.
    assert named == {"password_file", "password_fd", "smtp_password"}

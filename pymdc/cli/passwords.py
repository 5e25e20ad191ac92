"""Passwords: asked for without echo, or read from a file or a descriptor. They are never arguments."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from .failures import Code, Failure
from .plain_files import open_at_once
from .questions import has_terminal

__all__ = ["asks_password"]

PASSWORD_VARIABLE = "STORJ_BRIDGE_PASS"  # noqa: S105 - a name

_MOST_BYTES = 64 * 1024
_WRITER_SECONDS = 10.0  # how long a named pipe may wait for a program that writes to it
_LARGEST_DESCRIPTOR = 2**31 - 1  # a C int


def asks_password(*, twice: bool = False) -> Callable[[Any], Any]:
    """Give a command the options for a password, and an argument `password`: a function that reads or asks for it.

    Arguments:
        twice: whether a person types it twice, so that a new password has no slip.
    """

    def decorate(function: Any) -> Any:
        def call(*arguments: Any, password_file: Path | None, password_fd: int | None, **values: Any) -> Any:
            def password() -> str:
                return _password(password_file, password_fd, twice)

            return function(*arguments, password=password, **values)

        command = update_wrapper(call, function)
        for option in (_DESCRIPTOR, _FILE):
            command = option(command)
        return command

    return decorate


_FILE = click.option(
    "--password-file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Read the password from the first line of a file; - is standard input.",
)
_DESCRIPTOR = click.option(
    "--password-fd",
    type=click.IntRange(0, _LARGEST_DESCRIPTOR),
    metavar="NUMBER",
    help="Read the password from the first line of an open descriptor, such as 3 for 3<FILE.",
)


def _password(path: Path | None, descriptor: int | None, twice: bool) -> str:
    if path is not None and descriptor is not None:
        raise Failure("name a file or a descriptor for the password, not both", Code.USAGE)
    if path is not None or descriptor is not None:
        return _first_line(path, descriptor)
    named = os.environ.get(PASSWORD_VARIABLE)
    return named if named else _asked(twice)


def _first_line(path: Path | None, descriptor: int | None) -> str:
    name = f"descriptor {descriptor}" if path is None else path
    try:
        read = _read(path, descriptor)
        line = read.rstrip(b"\r\n").decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise Failure(f"the password cannot be read from {name}: {words}", Code.USAGE) from error
    if len(read) >= _MOST_BYTES:
        raise Failure(f"the first line of {name} is too long for a password", Code.USAGE)
    if not line:
        raise Failure(f"there is no password in the first line of {name}", Code.USAGE)
    return line


def _read(path: Path | None, descriptor: int | None) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.readline(_MOST_BYTES)
    if path is None:
        with open(descriptor or 0, "rb", closefd=False) as file:
            return file.readline(_MOST_BYTES)
    with open(path, "rb", opener=open_at_once) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):  # a read ends at once while nobody has it open to write
            select.select([file], [], [], _WRITER_SECONDS)
        if hasattr(os, "O_NONBLOCK"):  # pragma: no branch - Windows has none
            os.set_blocking(file.fileno(), True)
        return file.readline(_MOST_BYTES)


def _asked(twice: bool) -> str:
    if not has_terminal():
        words = "there is no terminal to ask for the password on"
        raise Failure(f"{words}: use --password-file FILE or --password-fd NUMBER", Code.USAGE)
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=twice, err=True)
    return answer

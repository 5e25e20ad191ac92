"""Failures of a command: one line that says what to do, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any, TextIO, TypeVar

import click

from .texts import clean

__all__ = ["Code", "Failure", "checked", "code_of", "ended", "leave_pipe", "unforeseen", "words_for"]

_T = TypeVar("_T")


class Code(IntEnum):
    """The exit codes of the command."""

    OTHER = 1
    """Anything that has no code of its own."""

    USAGE = 2
    """The command line is wrong, or means several things."""

    CREDENTIALS = 3
    """There is no login, or the bridge does not accept it."""

    NOT_FOUND = 4
    """There is no such bucket, file, key or profile."""

    NETWORK = 5
    """The bridge or a farmer cannot be reached, or does not answer as one."""

    REFUSED = 6
    """The bridge refuses."""

    SOME_FAILED = 7
    """Some of several failed; the others were done."""

    HUNG_UP = 129
    """The terminal was closed (SIGHUP)."""

    INTERRUPTED = 130
    """Ctrl+C."""

    CLOSED_PIPE = 141
    """The program that reads the output has ended."""

    TERMINATED = 143
    """Another program has ended the command (SIGTERM)."""


class Failure(click.ClickException):
    """A failure, told in one line.

    Arguments:
        message: what went wrong and what to do, in one line, without "Error:".
        code: the exit code.
    """

    def __init__(self, message: str, code: Code = Code.OTHER) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads the instance's

    def format_message(self) -> str:
        return clean(self.message)


def checked(value: _T | dict[str, Any] | Exception) -> Any:
    """Return what a call gave if it is a result.

    Raises:
        Failure: it is an exception value or a refusal, `{"error": ...}`.
    """
    if isinstance(value, BaseException) or (isinstance(value, dict) and "error" in value):
        raise Failure(words_for(value), code_of(value))
    return value


def words_for(value: Any) -> str:
    """Return one line for an error value: what `pymdc.explain` says, and what to do where that is known."""
    from ..core.explanations import explain

    return " ".join([explain(value), *_remedy(value)])


# Parts of the bridges' messages, in lower case, and what to do.
_CREDENTIALS = {
    "no authentication strategy": "Log in: pymdc login EMAIL",
    "invalid email or password": "Check both, then try again.",
    "has not been activated": "Activate it with the link in its mail: pymdc activate LINK",
    "public key not registered": "Log in again: pymdc login EMAIL",
    "invalid signature": "Log in again: pymdc login EMAIL",
    "invalid nonce": "The command `pymdc doctor` finds out why.",
}
_OTHERS = {
    "already registered": "If it is yours: pymdc login EMAIL",
    "invalid activation token": "A link serves once: if the account is active, pymdc login EMAIL",
}
_NOT_THERE = "not found"

_EXTRA = ("platformdirs", "rich", "tomlkit")


def _message(value: Any) -> str:
    return str(value["error"]).lower() if isinstance(value, dict) else ""


def _remedy(value: Any) -> list[str]:
    message = _message(value)
    known = [words for part, words in {**_CREDENTIALS, **_OTHERS}.items() if part in message]
    if not known and code_of(value) is Code.NETWORK:
        known = ["The command `pymdc doctor` looks at each step on the way."]
    return known[:1]


def code_of(value: Any) -> Code:
    """Return the exit code that stands for an error value."""
    if isinstance(value, dict):
        message = _message(value)
        if any(part in message for part in _CREDENTIALS):
            return Code.CREDENTIALS
        return Code.NOT_FOUND if _NOT_THERE in message else Code.REFUSED
    from concurrent.futures import CancelledError
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from ..errors import ChannelError

    if isinstance(value, HTTPError):
        return {401: Code.CREDENTIALS, 404: Code.NOT_FOUND}.get(value.code, Code.NETWORK)
    kinds: list[tuple[tuple[type[BaseException], ...], Code]] = [
        ((URLError, HTTPException, ConnectionError, TimeoutError, ChannelError), Code.NETWORK),
        ((CancelledError, KeyboardInterrupt), Code.INTERRUPTED),
        ((FileNotFoundError,), Code.NOT_FOUND),
    ]
    return next((code for classes, code in kinds if isinstance(value, classes)), Code.OTHER)


@contextmanager
def ended() -> Iterator[None]:
    """Turn every exception that ends a command into one line on standard error and an exit code."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a test's stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        leave_pipe()
        raise SystemExit(int(Code.CLOSED_PIPE)) from None
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        raise SystemExit(int(Code.USAGE)) from None
    except click.UsageError as error:
        raise SystemExit(_told(_usage(error), Code.USAGE)) from None
    except click.ClickException as error:
        raise SystemExit(_told(error.format_message(), error.exit_code)) from None
    except (click.Abort, KeyboardInterrupt) as error:
        raise SystemExit(_aborted(error)) from None
    except OSError as error:  # such as a full disk below standard output
        leave_pipe()
        words = f"the output cannot be written: {error.strerror or error}"
        raise SystemExit(_told(words, Code.OTHER)) from None


def _nowhere() -> TextIO:
    """Return a stream that keeps nothing: the shell has closed the real one (`>&-`), and Python has `None` for it."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - pathlib takes as long to load as all of the help


def _told(message: str, code: int) -> int:
    with suppress(OSError):  # the terminal is gone, or the disk is full: the code still tells
        click.echo(f"Error: {' '.join(message.split())}", err=True)
    return int(code)


def _usage(error: click.UsageError) -> str:
    message = error.format_message()
    path = error.ctx.command_path if error.ctx is not None else "pymdc"
    return f"{message.rstrip('.')}. See: {path} --help"


def _aborted(error: BaseException) -> int:
    """Tell Ctrl+C from a "no" to a question: click raises the same exception for both."""
    interrupted = any(isinstance(each, KeyboardInterrupt) for each in (error, error.__cause__, error.__context__))
    return _told("interrupted.", Code.INTERRUPTED) if interrupted else _told("nothing was changed.", Code.OTHER)


def unforeseen(error: Exception, *, verbose: bool) -> Failure:
    """Return one line for an unexpected exception. With `verbose`, write its traceback first."""
    from ..errors import without_locals

    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in _EXTRA:
        return Failure(f'the command needs more ({error.name}): pip install "pymdc-metadisk[cli]"')
    if verbose:
        import traceback

        click.echo("".join(traceback.format_exception(without_locals(error))), err=True)
    return Failure(" ".join([words_for(error), *([] if verbose else ["To see more, add --verbose."])]), code_of(error))


def leave_pipe() -> None:
    """Point standard output to the null device: at its end Python flushes the buffer, and would print an error."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)

"""Calling functions of the program: in the thread where callbacks belong, and reporting what they raise."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .pool import user_code

__all__ = ["Callback", "Scheduler", "check_callable", "delivery", "reporting"]

Callback = Callable[[Any], object]
"""Takes the value of a call."""

Scheduler = Callable[[Callable[[], None]], object]
"""Takes a function of no arguments, and runs it later in the thread where callbacks belong.

It may have a method `report(error)`, which is then called there with what a callback raised; else the error goes to
`threading.excepthook`.
"""


def check_callable(function: object, what: str) -> None:
    """Raise a `TypeError` for what cannot be called, and for a coroutine function: calling one does not run it."""
    if not callable(function):
        raise TypeError(f"the {what} must be callable, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"the {what} must be a plain function, not a coroutine function: nobody would await it")


def delivery(
    scheduler: Scheduler | None, reported: type[BaseException] = BaseException
) -> Callable[[Callable[[], object]], None]:
    """Return a function that runs another one where callbacks belong, and reports what that one raises.

    Arguments:
        reported: which exceptions are reported; others are raised.
    """
    if scheduler is None:
        return lambda function: reporting(function, reported)
    report: Callable[[BaseException], object] = getattr(scheduler, "report", _to_the_hook)
    return lambda function: reporting(lambda: scheduler(lambda: reporting(function, reported, report)), reported)


def reporting(
    function: Callable[[], object],
    reported: type[BaseException] = BaseException,
    report: Callable[[BaseException], object] | None = None,
) -> None:
    """Call a function of the program; what it raises of that kind is reported, by default to `threading.excepthook`."""
    try:
        with user_code():
            function()
    except reported as error:  # nothing that a callback raises may end a worker
        with suppress(BaseException):  # nor what a program's own hook raises
            (report or _to_the_hook)(error)


def _to_the_hook(_error: BaseException) -> None:
    told = sys.exc_info()  # of this error, whose own class may give no traceback
    threading.excepthook(threading.ExceptHookArgs((*told, threading.current_thread())))

"""Call functions of the program in the thread where callbacks belong, and report what they raise."""

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

If it has a method `report(error)`, this is called there with the exception that a callback raised; otherwise the
exception goes to `threading.excepthook`.
"""


def check_callable(function: object, what: str) -> None:
    """Raise a `TypeError` if it cannot be called, or is a coroutine function: calling one does not run it."""
    if not callable(function):
        raise TypeError(f"the {what} must be callable, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"the {what} must be a plain function, not a coroutine function: nobody would await it")


def delivery(
    scheduler: Scheduler | None, reported: type[BaseException] = BaseException
) -> Callable[[Callable[[], object]], None]:
    """Return a function that runs another one where callbacks belong, and reports its exceptions.

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
    """Call a function of the program, and report its exceptions of that kind, by default to `threading.excepthook`."""
    try:
        with user_code():
            function()
    except reported as error:  # an exception of a callback must not end a worker
        with suppress(BaseException):  # an exception of the program's hook must not end the worker either
            (report or _to_the_hook)(error)


def _to_the_hook(_error: BaseException) -> None:
    told = sys.exc_info()  # the hook gets this error's own traceback
    threading.excepthook(threading.ExceptHookArgs((*told, threading.current_thread())))

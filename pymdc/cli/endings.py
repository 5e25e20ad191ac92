"""SIGTERM and SIGHUP end a command as Ctrl+C does: what runs is cancelled, and temporary files are removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .failures import Code, Failure

__all__ = ["ends_in_order"]

_CODES = {"SIGTERM": Code.TERMINATED, "SIGHUP": Code.HUNG_UP}


@contextmanager
def ends_in_order() -> Iterator[None]:
    """While the context is open, SIGTERM and SIGHUP do what Ctrl+C does, but with exit codes of their own.

    A signal that the parent has told the process to ignore is ignored still, as under `nohup`.

    Raises:
        Failure: one of the signals came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    codes = {getattr(signal, name): code for name, code in _CODES.items() if hasattr(signal, name)}
    codes = {number: code for number, code in codes.items() if signal.getsignal(number) == signal.SIG_DFL}
    came: list[int] = []

    def end(number: int, frame: object) -> None:
        came.append(number)
        for each in codes:  # `timeout`, for one, sends the signal twice: the second one must not stop the cleaning
            signal.signal(each, signal.SIG_IGN)
        handler = signal.getsignal(signal.SIGINT)  # the one of `engine.run` while files are transferred
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)  # type: ignore[arg-type]

    for number in codes:
        signal.signal(number, end)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not came:
            raise
        words = error.message if isinstance(error, Failure) else "interrupted."
        raise Failure(words, codes[came[0]]) from error
    finally:
        for number in codes if not came else ():
            signal.signal(number, signal.SIG_DFL)

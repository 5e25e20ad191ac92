"""Note whether an engine (the database or the store) answers."""

from __future__ import annotations

import logging
import time

__all__ = ["Engine"]

_log = logging.getLogger("pymdc.bridge")
_PAUSE_SECONDS = 60.0  # an engine that fails for some calls only would else fill the log


class Engine:
    """Notes the failures of an engine. Threads may share it.

    The log gets one line when an engine stops answering and one when it answers again, however many requests fail in
    between: at most one such pair in `_PAUSE_SECONDS`. Nothing is logged for an engine that has never answered: then
    the start of the bridge fails and says so.

    Attributes:
        errors: how many times it failed.
        away: whether its last call failed.
    """

    def __init__(self, name: str) -> None:
        self.errors = 0
        self.away = False
        self._name = name
        self._answered = False
        self._told = False  # whether the last line said that it does not answer
        self._quiet_until = 0.0

    def failed(self, why: str) -> None:
        """Note that the engine failed. `why` is for the log, so nothing secret may be in it."""
        self.errors += 1
        self.away = True
        if self._answered and not self._told:
            self._told = True
            _log.warning("%s does not answer: %s", self._name, why.partition("\n")[0].strip())

    def answered(self) -> None:
        """Note that a call to the engine succeeded."""
        if self._told and time.monotonic() >= self._quiet_until:
            self._told, self._quiet_until = False, time.monotonic() + _PAUSE_SECONDS
            _log.warning("%s answers again", self._name)
        self._answered, self.away = True, False

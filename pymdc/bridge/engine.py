"""Note whether an engine (the database or the store) answers."""

from __future__ import annotations

import logging

__all__ = ["Engine"]

_log = logging.getLogger("pymdc.bridge")


class Engine:
    """Notes the failures of an engine. Threads may share it.

    The log gets one line when an engine stops answering and one when it answers again, however many requests fail in
    between. Nothing is logged for an engine that has never answered: then the start of the bridge fails and says so.

    Attributes:
        errors: how many times it failed.
        away: whether its last call failed.
    """

    def __init__(self, name: str) -> None:
        self.errors = 0
        self.away = False
        self._name = name
        self._answered = False

    def failed(self, why: str) -> None:
        """Note that the engine failed. `why` is for the log, so nothing secret may be in it."""
        self.errors += 1
        was_away, self.away = self.away, True
        if self._answered and not was_away:
            _log.warning("%s does not answer: %s", self._name, why.partition("\n")[0].strip())

    def answered(self) -> None:
        """Note that a call to the engine succeeded."""
        if self._answered and self.away:
            _log.warning("%s answers again", self._name)
        self._answered, self.away = True, False

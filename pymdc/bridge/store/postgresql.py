"""A connection to PostgreSQL whose waits end.

The system notices a server whose machine or network is gone. It does not notice one that is frozen, or a pooler that
forgot a question: the connection stands, and no answer comes. Without a limit a thread of the bridge would wait for
ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from ..settings import ANSWER_SECONDS

__all__ = ["Connection"]

_Result = TypeVar("_Result")
_Exchange = Generator[Any, Any, _Result]

# psycopg warns when it cannot tidy up on a connection that broke. The call fails too, and that is logged.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for too long.

    Attributes:
        patience: how many seconds the server may take for an answer.
    """

    patience: float = ANSWER_SECONDS

    def wait(self, gen: _Exchange[_Result], *args: Any, **kwargs: Any) -> _Result:
        """Wait for an exchange with the server. psycopg calls this for each one.

        Raises:
            psycopg.OperationalError: no answer came in time. Nobody knows whether the server did what it was asked.
        """
        result: _Result = super().wait(self._bounded(gen), *args, **kwargs)
        return result

    def _bounded(self, exchange: _Exchange[_Result]) -> _Exchange[_Result]:
        end = time.monotonic() + self.patience
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end:  # psycopg looks up several times a second
                    exchange.close()
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer within {self.patience:g} seconds")
                wanted = exchange.send(ready)
        except StopIteration as done:
            result: _Result = done.value
            return result

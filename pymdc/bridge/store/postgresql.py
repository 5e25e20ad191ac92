"""A connection to PostgreSQL with a time limit on each answer.

The system notices when the server's machine or network fails. It does not notice a server that is frozen, or a pooler
that lost a question: the connection stays open, and no answer comes. Without a limit, a thread of the bridge would wait
for ever.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import errors, generators, pq
from psycopg.adapt import Transformer

from ..settings import ANSWER_SECONDS

__all__ = ["Connection"]

Row = tuple[Any, ...]

_Result = TypeVar("_Result")
_Exchange = Generator[Any, Any, _Result]

# psycopg warns when it cannot clean up a broken connection. The call fails too, and its error is logged.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for too long.

    Attributes:
        patience: how many seconds the server may take for an answer.
    """

    patience: float = ANSWER_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count()
        self._loaders = Transformer(self)

    def transact(self, statements: Sequence[tuple[str, Sequence[str]]]) -> list[list[Row]]:
        """Run statements in a transaction of their own, in one round trip, and return the rows of each.

        psycopg's own pipeline does the same at three times the cost: it wakes both sides for each statement. Here all
        are sent at once. Without a BEGIN the server takes them for one transaction, and it commits them before it
        answers the sync. psycopg does not document `generators`: this follows psycopg 3.3.

        Arguments:
            statements: SQL that returns rows, with parameters `$1` and so on, and their values. Each is prepared at
                its first use.

        Raises:
            psycopg.OperationalError: nobody knows whether they were committed.
            psycopg.Error: none of them was done.
        """
        try:
            return self.wait(self._transact(statements))
        except errors.InvalidSqlStatementName:  # psycopg frees all that is prepared, after some rollbacks
            self._names.clear()
            return self.wait(self._transact(statements))

    def _transact(self, statements: Sequence[tuple[str, Sequence[str]]]) -> _Exchange[list[list[Row]]]:
        self.pgconn.enter_pipeline_mode()
        new = [sql for sql, _ in statements if sql not in self._names]
        for sql in new:
            self._names[sql] = b"pymdc_%d" % next(self._numbers)
            self.pgconn.send_prepare(self._names[sql], sql.encode())
        for sql, values in statements:
            self.pgconn.send_query_prepared(self._names[sql], [value.encode() for value in values])
        self.pgconn.pipeline_sync()
        yield from generators.send(self.pgconn)
        results: list[pq.abc.PGresult] = []
        while not results or results[-1].status != pq.ExecStatus.PIPELINE_SYNC:
            results += yield from generators.fetch_many(self.pgconn)
        self.pgconn.exit_pipeline_mode()
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        return [self._rows(result) for result in results[len(new) : -1]]

    def _rows(self, result: pq.abc.PGresult) -> list[Row]:
        self._loaders.set_pgresult(result)
        return self._loaders.load_rows(0, result.ntuples, tuple)

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
                if not ready and time.monotonic() > end:  # psycopg calls this several times a second
                    exchange.close()
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer within {self.patience:g} seconds")
                wanted = exchange.send(ready)
        except StopIteration as done:
            result: _Result = done.value
            return result

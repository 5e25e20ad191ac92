"""A connection to PostgreSQL with a time limit on each answer.

The system notices when the server's machine or network fails. It does not notice a server that is frozen, or a pooler
that lost a question: the connection stays open, and no answer comes. Without a limit, a thread of the bridge would wait
for ever.

Behind a pooler, several connections may share one session of the server, in turns. So a name of a prepared statement is
made of its SQL: even if it was prepared by somebody else, it is the SQL that was meant. And behind a pooler nothing is
prepared under a name, and values are set for one transaction at a time.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Generator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors, generators, pq
from psycopg._preparing import Prepare, PrepareManager
from psycopg.adapt import Transformer

from ..settings import ANSWER_SECONDS

__all__ = ["Connection"]

Row = tuple[Any, ...]

_Result = TypeVar("_Result")
_Exchange = Generator[Any, Any, _Result]

# psycopg warns when it cannot clean up a broken connection. The call fails too, and its error is logged.
logging.getLogger("psycopg").setLevel(logging.ERROR)


@lru_cache(maxsize=1024)
def _name(*meaning: object) -> bytes:
    return b"pymdc_" + hashlib.sha256(repr(meaning).encode()).hexdigest()[:32].encode()


class _Prepared(PrepareManager):
    """What psycopg prepares by itself, under our names."""

    def get(self, query: Any, prepare: bool | None = None) -> tuple[Prepare, bytes]:
        state, name = super().get(query, prepare)
        return state, _name(*self.key(query)) if state is Prepare.SHOULD else name


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for too long.

    Attributes:
        patience: how many seconds the server may take for an answer.
        pooled: whether other connections may use the same session of the server.
        limits: SQL that begins each transaction behind a pooler, or nothing.
    """

    patience: float = ANSWER_SECONDS
    pooled = False
    limits = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepared = _Prepared()
        self._known: set[str] = set()
        self._loaders = Transformer(self)

    def set_values(self, limits: Mapping[str, int], others: Mapping[str, int]) -> None:
        """Find out whether a pooler is between, and set values of the session, or behind a pooler of each transaction.

        A pooler gives each of its clients a process number of its own: it needs that to pass on the wish to cancel.

        Arguments:
            limits: values that must hold in each transaction.
            others: values that only make sense for a session of our own.
        """
        ((process,),) = self.execute("SELECT pg_backend_pid()").fetchall()
        self.pooled = process != self.info.backend_pid
        if self.pooled:
            self.prepare_threshold = None
            self.limits = _setting(limits, local="true")
        else:
            self.execute(_setting({**limits, **others}, local="false"))
        self.commit()

    def transact(self, statements: Sequence[tuple[str, Sequence[str]]]) -> list[list[Row]]:
        """Run statements in a transaction of their own, in one round trip, and return the rows of each.

        psycopg's own pipeline does the same at three times the cost: it wakes both sides for each statement. Here all
        are sent at once. Without a BEGIN the server takes them for one transaction, and it commits them before it
        answers the sync. psycopg does not document `generators`: this follows psycopg 3.3.

        Arguments:
            statements: SQL that returns rows, with parameters `$1` and so on, and their values. Each is prepared at
                its first use, except behind a pooler.

        Raises:
            psycopg.OperationalError: nobody knows whether they were committed.
            psycopg.Error: none of them was done.
        """
        if not self.pooled:
            try:
                return self.wait(self._transact(statements))
            except (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement):
                self.pooled = True  # somebody else frees or prepares statements of this session
                self.prepare_threshold = None
        if self.limits:
            statements = [(self.limits, []), *statements]
        return self.wait(self._transact(statements))[bool(self.limits) :]

    def _transact(self, statements: Sequence[tuple[str, Sequence[str]]]) -> _Exchange[list[list[Row]]]:
        self.pgconn.enter_pipeline_mode()
        prepared = self._send(statements)
        self.pgconn.pipeline_sync()
        yield from generators.send(self.pgconn)
        results: list[pq.abc.PGresult] = []
        while not results or results[-1].status != pq.ExecStatus.PIPELINE_SYNC:
            results += yield from generators.fetch_many(self.pgconn)
        self.pgconn.exit_pipeline_mode()
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        return [self._rows(result) for result in results[prepared:-1]]

    def _send(self, statements: Sequence[tuple[str, Sequence[str]]]) -> int:
        """Send statements, and return how many had to be prepared before."""
        new = set() if self.pooled else {sql for sql, _ in statements} - self._known
        for sql in new:
            self.pgconn.send_prepare(_name(sql), sql.encode())
        self._known |= new
        for sql, values in statements:
            encoded = [value.encode() for value in values]
            if self.pooled:
                self.pgconn.send_query_params(sql.encode(), encoded)
            else:
                self.pgconn.send_query_prepared(_name(sql), encoded)
        return len(new)

    def _deallocate(self, name: bytes | None) -> _Exchange[None]:
        if name is None:  # psycopg frees all that is prepared, after some rollbacks
            self._known.clear()
        yield from super()._deallocate(name)

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


def _setting(values: Mapping[str, int], local: str) -> str:
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', {local})" for name, value in values.items())

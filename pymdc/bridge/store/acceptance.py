"""Accept signed requests, many in one transaction: who sent them, whether they are new, and which buckets they list.

A commit waits for the disk. Requests that arrive meanwhile share the next commit. `statements.py` has the SQL.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Full, Refused, Unavailable
from ..fields import Key
from .buckets import Bucket
from .database import Database
from .nonces import Nonce, Replayed, Stale, forget, start_floor, to_forget_for
from .statements import STATEMENTS, Answers
from .users import User

__all__ = ["Acceptance", "Accepted", "Claim"]

_log = logging.getLogger("pymdc.bridge")
_IDLE_SECONDS = 1.0  # a connection that was unused for longer is tested first: the server may have closed it


@dataclass(frozen=True)
class Claim:
    """A signed request that waits to be accepted.

    Attributes:
        point: the key that signed it.
        signature: the hash of its signature.
        nonce: its nonce; or, if that is invalid, the refusal to give after the sender was found.
        buckets: whether it asks for the buckets of its sender.
    """

    point: str
    signature: str
    nonce: Nonce | Refused
    buckets: bool = False


@dataclass(frozen=True)
class Accepted:
    """A request that was accepted: its sender, and the sender's buckets, if they were asked for and are few."""

    user: User
    buckets: list[Bucket] | None = None


class Acceptance:
    """Accepts signed requests, on one connection that stays open. Use it in one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = STATEMENTS[database.dialect]
        self._connection: Any = None
        self._used = 0.0
        self._without_floor: dict[str, Nonce] = {}
        self._to_forget: set[str] = set()

    def accept(self, claims: Sequence[Claim]) -> list[Accepted | Refused]:
        """Accept requests in one transaction. When this returns, they are on the disk.

        Returns:
            for each claim the accepted request, or the error that refuses it.
        """
        try:
            return self._outcomes(claims, self._run(claims))
        except Full:
            return [Full() for _ in claims]
        except Unavailable as refused:
            return [Unavailable(refused.message) for _ in claims]
        except Exception:  # noqa: BLE001 -- the others are to be served, and this one to be answered
            if len(claims) == 1:
                _log.exception("a signed request could not be looked at")
                return [Refused(500, "Internal error")]
            return [outcome for claim in claims for outcome in self.accept([claim])]  # a bad one must not stop others

    def tidy(self) -> None:
        """Do the work that the last requests left: see `start_floor` and `forget`. It may raise `Unavailable`."""
        floors, self._without_floor = self._without_floor, {}
        subjects, self._to_forget = self._to_forget, set()
        if floors or subjects:
            with self._database.write() as connection:
                for email, nonce in floors.items():
                    start_floor(connection, email, nonce)
                for email in subjects:
                    forget(connection, email)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, claims: Sequence[Claim]) -> Answers:
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self.close()
        new = [claim for claim in claims if isinstance(claim.nonce, Nonce)]
        rows = [(claim.point, claim.signature, claim.nonce.timed, claim.nonce.value) for claim in new
                if isinstance(claim.nonce, Nonce)]  # fmt: skip
        points = sorted({claim.point for claim in claims})
        listing = sorted({claim.point for claim in claims if claim.buckets})
        try:
            with self._database.writing():
                if self._connection is None:
                    self._connection = self._database.driver_connection()
                answers = self._statements.run(self._connection.driver_connection, rows, points, listing)
        except BaseException:
            self._drop()
            raise
        self._used = time.monotonic()
        return answers

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

    def _outcomes(self, claims: Sequence[Claim], answers: Answers) -> list[Accepted | Refused]:
        added = set(answers.added)
        users = {row[0]: row for row in answers.users}
        buckets = None if answers.buckets is None else _by_user(answers.buckets, answers.keys)
        outcomes: list[Accepted | Refused] = []
        for claim in claims:
            user = self._accepted(claim, users.get(claim.point), added)
            if isinstance(user, Refused):
                outcomes.append(user)
            else:
                few = buckets.get(user.email, []) if claim.buckets and buckets is not None else None
                outcomes.append(Accepted(user, few))
        senders = [outcome.user.email for outcome in outcomes if isinstance(outcome, Accepted)]
        self._to_forget.update(to_forget_for(senders))
        return outcomes

    def _accepted(self, claim: Claim, row: Any, added: set[tuple[str, str]]) -> User | Refused:
        if row is None:
            return Refused(401, "Public key not registered")
        point, email, created, activated, text, *floors = row
        if not activated:
            return Refused(401, "User account has not been activated")
        if isinstance(claim.nonce, Refused):
            return claim.nonce
        if (email, claim.signature) not in added:
            return Replayed()
        added.discard((email, claim.signature))  # the same request may be in a batch twice
        floor = floors[claim.nonce.timed]
        if floor is None:
            if claim.nonce.timed:
                self._without_floor.setdefault(email, claim.nonce)
        elif claim.nonce.value <= floor:
            return Stale()
        return User(email, created, activated=True, key=(text, point))


def _by_user(rows: Sequence[Any], keys: Sequence[Any]) -> dict[str, list[Bucket]]:
    by_bucket: dict[str, list[Key]] = {}
    for bucket, _, text, point in sorted(keys):
        by_bucket.setdefault(bucket, []).append((text, point))
    buckets: dict[str, list[Bucket]] = {}
    for number, name, email, text, storage, transfer, created, stored, sent in sorted(rows):
        shown = None if text is None else json.loads(text)
        mine = tuple(by_bucket.get(name, ()))
        found = Bucket(name, email, shown, storage, transfer, created, stored, sent, mine, number)
        buckets.setdefault(email, []).append(found)
    return buckets

"""The SQL database of a bridge: users, keys, buckets, tokens and files. `tables.py` has the tables."""

from __future__ import annotations

from ..engine import Engine
from .acceptance import Acceptance, Accepted, Claim
from .accounts import Account, Accounts
from .allowances import Allowance
from .buckets import Bucket, Buckets
from .contents import AT_ONCE, Shard, Stored
from .database import Database
from .files import Entry, Files
from .inventory import Inventory
from .leftovers import Leftovers
from .nonces import NO_NONCE, Nonce, Replayed, Stale, comparable
from .pointers import Pointers
from .registrations import Registrations
from .tokens import Tokens
from .users import EMAIL_IS_TAKEN, User, Users

__all__ = [
    "AT_ONCE", "EMAIL_IS_TAKEN", "NO_NONCE", "Acceptance", "Accepted", "Account", "Accounts", "Allowance", "Bucket",
    "Claim", "Entry", "Nonce", "Replayed", "Shard", "Stale", "Store", "Stored", "User", "Users", "comparable",
]  # fmt: skip


class Store:
    """The database of a bridge, with one attribute for each subject. Its methods block. Threads may share it."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """Open a database.

        Arguments:
            migrate: whether to migrate the tables if they are of an earlier release.

        Raises:
            Unavailable: the database is away.
            ValueError: its tables are not a bridge's, or of another release.
        """
        self._database = Database(url)
        try:
            if migrate:
                self._database.migrate()
            else:
                self._database.require_current()
            self._database.measure_clock()
        except BaseException:
            self._database.close()
            raise
        self.users = Users(self._database)
        self.buckets = Buckets(self._database)
        self.tokens = Tokens(self._database)
        self.files = Files(self._database)
        self.pointers = Pointers(self._database)
        self.leftovers = Leftovers(self._database)
        self.registrations = Registrations(self._database)
        self.accounts = Accounts(self._database)
        self.inventory = Inventory(self._database)

    def acceptance(self) -> Acceptance:
        """Return an object that accepts signed requests, for one thread."""
        return Acceptance(self._database)

    @property
    def engine(self) -> Engine:
        """Whether the database answers."""
        return self._database.engine

    def check(self) -> None:
        """Ask the database whether it works; raise `Unavailable` if it does not."""
        with self._database.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def now(self) -> int:
        """Return the time at the database, in milliseconds since 1970."""
        return self._database.now()

    def measure_clock(self) -> None:
        """Read the database's clock again: see `now`."""
        self._database.measure_clock()

    def identity(self) -> str:
        """Return the identity of this database; see `Leftovers.identity`."""
        return self.leftovers.identity()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

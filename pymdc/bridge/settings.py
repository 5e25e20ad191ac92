"""How a bridge is set up, and the limits that it keeps, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mail import Mail

__all__ = ["Settings"]

# What the protocol of 2016 fixes.
PORT = 6382  # the port of the bridges of 2016; programs of the time have it written down
SHARD_BYTES = 8 * 1024 * 1024  # a shard is cut at 8 MiB; here at exactly that, so that equal files have equal shards
MESSAGE_BYTES = 64 * 1024  # the messages of the data channel hold up to 64 KiB
TOKEN_SECONDS = 300  # a bucket token lives five minutes
GIGABYTE = 10**9  # `storage` and `transfer` are in GB

# What keeps one client from harming the others.
JSON_BYTES = 1024 * 1024  # the largest JSON body; a bucket with ten thousand keys still fits
MULTIPART_BYTES = 1024 * 1024  # what an upload may hold besides its file: other fields, boundaries, headers
CHANNEL_REQUEST_BYTES = 16 * 1024  # the one message a channel's client sends holds about 150 bytes
READ_SECONDS = 60.0  # silence in the middle of a body; a phone that changes cells is back by then
SEND_SECONDS = 60.0  # a channel's reader that takes nothing for so long is gone
CHANNEL_REQUEST_SECONDS = 30.0  # who opens a channel has its token in hand
CHANNEL_TOKEN_SECONDS = 3600  # the pointers of a large file are fetched one after the other, so they live longer
DRAIN_SECONDS = 30.0  # how long the rest of a refused body is read and thrown away, so that the reply arrives
DRAIN_BYTES = 256 * 1024 * 1024  # and how much of it: reading on for ever would be a gift to a hostile client
KEEP_ALIVE_SECONDS = 75  # longer than the pauses of a person at a keyboard, as common servers have it
NONCES = 1024  # how many signed requests of a user are remembered, to tell a replay from one that overtook another
NONCE_SLACK = 60_000  # how far below a user's first nonce others may lie: a minute, for clients that count ms

# What keeps the bridge itself steady.
DATABASE_THREADS = 8  # statements are short: more threads would only queue at the database instead of here
PASSWORD_THREADS = 2  # one scrypt takes 16 MiB and a core for about 50 ms
SHARD_THREADS = 8  # shards being hashed and written at the same time
PASSWORD_CACHE_SECONDS = 60.0  # how long a verified password is remembered, so that Basic does not cost 50 ms each
PASSWORD_CACHE_SIZE = 1024
UPLOAD_LEASE_SECONDS = 300  # an upload that gives no sign of life for so long belonged to a process that died
UPLOAD_TOUCH_SECONDS = 60.0  # how often it gives one: often enough to survive a hiccup of the database
MAIL_LEASE_SECONDS = 300  # a registration whose mail was not sent by then belonged to a process that died
SWEEP_SECONDS = 60.0  # how often the bridge cleans up
STOP_SECONDS = 5  # how long a stopping bridge waits for what is under way


@dataclass(frozen=True)
class Settings:
    """How one bridge is set up.

    Attributes:
        data: the folder for whatever is not named below: the SQLite file, the shards, the outbox. Made if missing.
        host: the address to listen on.
        port: the port to listen on; 0 takes any free one.
        database: an SQLAlchemy URL; by default the SQLite file `bridge.sqlite` in `data`.
        store: a folder, or a URL such as `s3://bucket/prefix`; by default the folder `shards` in `data`.
        public_url: how clients reach the bridge, where that is not `http://host:port`: it is what activation links
            and the channels of pointers are made from.
        redirect_origins: where an activation may redirect to, such as `https://app.example`.
        on_mail: called with each `Mail` after it is written to the outbox, in a worker thread.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = PORT
    database: str | None = None
    store: str | None = None
    public_url: str | None = None
    redirect_origins: tuple[str, ...] = ()
    on_mail: Callable[[Mail], None] | None = None

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database or f"sqlite:///{self.data / 'bridge.sqlite'}"

    @property
    def store_location(self) -> str:
        """The folder or the URL of the shards."""
        return self.store or str(self.data / "shards")

    @property
    def outbox(self) -> Path:
        """The folder that mails are written to."""
        return self.data / "outbox"

    @property
    def base_url(self) -> str:
        """How clients reach the bridge, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

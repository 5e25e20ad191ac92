"""The settings of a bridge, and its limits, each with its reason.

These limit an upload: of `Settings`, `uploads_per_address`, `max_requests`, `minimum_free` and `user_storage`; the
constants `MULTIPART_BYTES`, `READ_BYTES`, `READ_SECONDS` and `TOKEN_SECONDS`; and the `storage` of the bucket.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from .message import Mail
from .options import option

__all__ = ["Settings"]

# Set by the protocol of 2016, and sizes of buffers.
PORT = 6382  # the port of the bridges of 2016; programs of the time have it built in
SHARD_BYTES = 8 * 1024 * 1024  # files are cut into shards of exactly 8 MiB, so that equal files have equal shards
BLOB_BYTES = 256 * 1024  # how much of a shard is read and sent at a time; each time costs a turn of the event loop
HASH_BYTES = 1024 * 1024  # how much of a shard is hashed at a time beside the event loop; each time costs two waits
READ_AHEAD_BYTES = 2 * 1024 * 1024  # how much the system is asked to read ahead from a slow disk
PIECE_BYTES = 1024 * 1024  # how much of an upload is written at a time at most; each time costs waking a thread
INPUT_BYTES = 384 * 1024  # how much is received at a time; more saves little
PIECES = 1000  # how many pieces are written in one call; Linux takes at most 1,024
MESSAGE_BYTES = 64 * 1024  # the messages of the data channel hold up to 64 KiB
TOKEN_SECONDS = 300  # a bucket token is valid for five minutes
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}  # the usual ports of mail servers
GIGABYTE = 10**9  # `storage` and `transfer` are in GB

# Protect clients from each other.
JSON_BYTES = 1024 * 1024  # the largest JSON body; a bucket with ten thousand keys still fits
JSON_PARTS = 32 * 1024  # commas, colons and brackets in it: decoding each takes a microsecond, while all others wait
MULTIPART_BYTES = 1024 * 1024  # the bytes of an upload's body besides the file: other fields, boundaries, headers
CHANNEL_REQUEST_BYTES = 16 * 1024  # the request on a data channel; clients send about 150 bytes
CHANNEL_BYTES = 24 * 1024  # all bytes that the client of a channel may send: its request, and pongs for hours
HEAD_BYTES = 32 * 1024  # the head of a request, and other bytes that are not a body; clients send about 1 KiB
PIPELINED = 16  # requests on one connection that wait for the reply to an earlier one; clients of 2016 send none
HANDSHAKE_SECONDS = 20.0  # how long a TLS handshake may take: a few packets each way
HEAD_SECONDS = 30.0  # how long a head may take from its first byte; it fits into a few packets
READ_BYTES = 16 * 1024  # how much of a body must arrive within `READ_SECONDS`: any modem is faster
READ_SECONDS = 60.0  # how long a body may stall; a phone that changes cells is back by then
SEND_SECONDS = 60.0  # a client that reads nothing for so long is gone
CHANNEL_REQUEST_SECONDS = 30.0  # how long a channel waits for its request; the client has it ready
CHANNEL_TOKEN_SECONDS = 3600  # a large file takes long, and its pointers are used one after the other
DRAIN_SECONDS = 30.0  # how long the rest of a refused body is read and thrown away, so that the reply arrives
DRAIN_BYTES = 256 * 1024 * 1024  # how much of a refused body is read; a hostile client could send for ever
KEEP_ALIVE_SECONDS = 75  # how long an idle connection is kept, as by common servers: longer than a person pauses
NONCES = 1024  # how many signed requests of a user are stored, to tell a replay from a request that arrives late
NONCE_SECONDS = 300  # how long a signed request is stored at least: the clocks of two clients may differ by minutes
NONCES_AT_MOST = 65_536  # how many of a user are stored at most: they take about 10 MB of a database
FORGET_ONE_IN = 512  # one request in so many deletes old nonces: that costs as much as fifty requests

# Protect the bridge itself.
DATABASE_THREADS = 8  # statements are short: more threads would only wait at the database instead of here
ANSWER_SECONDS = 60.0  # how long a database server may be silent: it waits 10 s for a lock, and the rest is short
LONG_ANSWER_SECONDS = 4 * 3600.0  # how long it may be silent while tables are rebuilt or all rows are counted
PASSWORD_THREADS = 2  # one scrypt takes 16 MiB and a core for about 50 ms
HASH_THREADS = max(2, os.cpu_count() or 1)  # shards that are hashed while they are sent: more would slow the sending
SHARD_THREADS = 8  # shards that are hashed and written at the same time
SENDS = 2  # how many large blobs are sent to an object store at once; each is in memory
SMALL_BYTES = 1024 * 1024  # a blob of more than this is large
GATHERED_BYTES = 4 * 1024 * 1024  # how much all uploads together gather before they write it
PASSWORD_CACHE_SECONDS = 60.0  # how long a verified password passes at once, so that each login need not take 50 ms
PASSWORD_CACHE_SIZE = 1024
GUESSES_AT_ONCE = 5  # wrong passwords from one address to one account; the reply to each further one is delayed
GUESSES_OF_ACCOUNT_AT_ONCE = (
    50  # wrong passwords from all addresses together to one account, before replies are delayed
)
GUESS_SECONDS = 5.0  # the longest delay of the reply to a wrong password
GUESSES_REMEMBERED_SECONDS = 900.0  # after so long without a wrong password, a count starts again
GUESSES_REMEMBERED = 8192  # how many counts of wrong passwords are in memory: about 2 MB
TURN_SECONDS = 0.5  # how often a waiting upload checks whether its client has gone or the bridge is stopping
UPLOAD_LEASE_SECONDS = 300  # an upload that was not touched for so long belonged to a process that died
UPLOAD_TOUCH_SECONDS = 60.0  # how often an upload is touched: some failures of the database do no harm
MAIL_LEASE_SECONDS = 300  # a registration whose mail was not sent by then belonged to a process that died
READY_SECONDS = 2.0  # how long an answer of the engines is reused: anybody may ask /health/ready, and often
SWEEP_SECONDS = 60.0  # how often the bridge cleans up
CANCEL_SECONDS = 2  # how long a request that is cancelled when the bridge stops may take to end
MAILS_PER_ACCOUNT = 3  # further activation mails an hour to one mailbox, if mails are sent by SMTP
MAIL_THREADS = 4  # mails that are sent at the same time
SMTP_SECONDS = 15.0  # how long the mail server may be silent; the user who registers is waiting


# Defaults of options, which the operator can change.
UPLOADS_PER_ADDRESS = 32  # each holds up to 2 MiB of memory; a busy office still gets through
REQUESTS = 512  # requests under way: more would only wait for the database, and take memory meanwhile
CONNECTIONS = 800  # a process may usually open 1,024 files; this leaves room for the shards and the database
REGISTRATIONS_PER_HOUR = 20  # activation mails that one address may cause; more could flood other people's inboxes
MINIMUM_FREE = 256  # MB that stay free: on a full disk a database cannot even delete
ACTIVATION_DAYS = 30  # nobody wants an account that was not activated within a month
STOP_SECONDS = 30.0  # how long a stopping bridge lets transfers finish: enough for most, and the operator is waiting

_DOMAIN = r"[\w-]+(?:\.[\w-]+)+"
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- only compared


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "pymdc-bridge"


@dataclass(frozen=True)
class Settings:
    """The settings of one bridge. Each attribute is an option of `pymdc bridge`, except `on_mail`.

    Attributes:
        on_mail: called with each `Mail` after it is sent, in a worker thread.

    Raises:
        ValueError: a setting is wrong. The message says which one, and why.
    """

    data: Path = field(
        default_factory=_default_data,
        metadata={
            "help": "The folder for the database, the shards and the outbox, unless other options name other places.",
            "shown": "~/.local/share/pymdc-bridge",
        },
    )
    host: str = option("127.0.0.1", "The address to listen on; 0.0.0.0 or :: means all addresses.")
    port: int = option(PORT, "The port to listen on; 0 takes any free one.", least=0, most=65535)
    database: str | None = option(
        None,
        "The database, as an SQLAlchemy URL: postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
        shown="an SQLite file in the data folder",
        repr=False,  # it contains a password
    )
    store: str | None = option(
        None, "Where to keep the shards: a folder, or s3://BUCKET/PREFIX.", shown="a folder in the data folder"
    )
    public_url: str | None = option(
        None,
        "The address that clients use, if it is another one. Links, data channels and URLs of shards begin with it.",
        shown="http://HOST:PORT",
    )
    redirect_origins: tuple[str, ...] = option(
        (), "A site that the activation link may redirect to, as https://HOST.", name="redirect-origin"
    )
    on_mail: Callable[[Mail], None] | None = None
    tls_certificate: Path | None = option(
        None,
        "A file with a certificate and those above it, in PEM. With it, the bridge speaks https and wss.",
        reloads=True,
    )
    tls_key: Path | None = option(
        None, "The file with the private key of the certificate, in PEM, without a password.", reloads=True
    )
    trusted_proxies: tuple[str, ...] = option(
        (),
        "The address or network of a proxy. The bridge believes the X-Forwarded-For that it sends.",
        name="trusted-proxy",
    )
    access_log: str = option(
        "off",
        "Write a line of JSON for each request: on (to the standard error), or a file.",
        metavar="off|on|FILE",
    )
    log: str = option("on", "Where to log what goes wrong: on (to the standard error), or a file.", metavar="on|FILE")
    log_level: str = option(
        "info",
        "The least serious events to log: debug, info, warning or error.",
        choices=("debug", "info", "warning", "error"),
        reloads=True,
    )
    log_format: str = option("text", "Log each event as a line of text or of JSON.", choices=("text", "json"))
    metrics_port: int | None = option(
        None,
        "The port to serve figures for Prometheus on, at /metrics. With --workers, each process takes the next port.",
        shown="off",
        least=0,
        most=65535,
    )
    metrics_host: str = option("127.0.0.1", "The address to serve these figures on.")
    smtp_host: str | None = option(
        None, "The mail server that sends the activation mails.", shown="write mails to the outbox"
    )
    smtp_port: int | None = option(
        None, "The port of the mail server.", shown="587, 465 or 25, as the security needs", least=1, most=65535
    )
    smtp_security: str = option(
        "starttls",
        "The security of the connection to the mail server: starttls, tls or none.",
        choices=tuple(SMTP_PORTS),
    )
    smtp_user: str | None = option(None, "The user name at the mail server.")
    smtp_password: str | None = option(
        None,
        "The password of that user. Put it into the environment or the file: other people can see options.",
        repr=False,
    )
    smtp_sender: str | None = option(None, "The address that mails come from. Needed with --smtp-host.")
    registrations_per_hour: int = option(
        REGISTRATIONS_PER_HOUR,
        "How many registrations one address may make in an hour, if mails are sent by SMTP.",
        least=1,
        reloads=True,
    )
    workers: int = option(
        1, "How many processes serve the port. Each counts uploads, requests and connections for itself.", least=1
    )
    uploads_per_address: int = option(
        UPLOADS_PER_ADDRESS, "How many uploads one address may run at once; further ones wait.", least=1, reloads=True
    )
    minimum_free: int = option(
        MINIMUM_FREE,
        "How many MB must stay free on the disks of the bridge. With less, it refuses uploads with 507.",
        least=0,
        reloads=True,
    )
    registrations: str = option(
        "open",
        "Who may register: open (anybody), closed (nobody), or domains of e-mail addresses, with commas between.",
        reloads=True,
    )
    activation_days: int = option(
        ACTIVATION_DAYS,
        "After how many days the bridge removes an account that was never activated; 0 means never.",
        least=0,
        reloads=True,
    )
    user_storage: float | None = option(
        None,
        "How many GB an account may store; `users limit` sets it for one account.",
        shown="no limit",
        least=0,
        reloads=True,
    )
    user_buckets: int | None = option(
        None,
        "How many buckets an account may have; `users limit` sets it for one account.",
        shown="no limit",
        least=0,
        reloads=True,
    )
    max_requests: int = option(REQUESTS, "How many requests may run at once.", least=1, reloads=True)
    max_connections: int = option(
        CONNECTIONS, "How many connections may be open; beyond that, the bridge closes idle ones.", least=1
    )
    stop_seconds: float = option(
        STOP_SECONDS, "How many seconds a stopping bridge lets transfers finish.", least=0, reloads=True
    )

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("give both a TLS certificate and its key, or neither of them")
        if self.public_url is not None:
            _check_url(self.public_url, "the public URL")
            if "?" in self.public_url or "#" in self.public_url:
                raise ValueError(f"the public URL must have no query (?) and no fragment (#): {self.public_url!r}")
        for origin in self.redirect_origins:
            _check_url(origin, "a redirect origin")
        for proxy in self.trusted_proxies:
            _check_network(proxy)
        if not re.fullmatch(rf"open|closed|{_DOMAIN}(?:\s*,\s*{_DOMAIN})*", self.registrations):
            known = "registrations are open, closed, or for domains such as example.com"
            raise ValueError(f"{known}, not {self.registrations!r}")
        if self.smtp_security not in SMTP_PORTS:
            raise ValueError(f"the security of SMTP must be one of {', '.join(SMTP_PORTS)}, not {self.smtp_security!r}")
        if self.smtp_host is not None and self.smtp_sender is None:
            raise ValueError("mail by SMTP needs the address of a sender: give --smtp-sender")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("give both an SMTP user and a password, or neither of them")

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
    def listens_everywhere(self) -> bool:
        """Whether the bridge listens on all addresses. Then `host` is not an address that clients can use."""
        return self.host in _LOOPBACK

    @property
    def base_url(self) -> str:
        """How clients reach the bridge, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = _LOOPBACK.get(self.host, self.host)
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"


def _check_url(text: str, what: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{what} must begin with http:// or https:// and a host: {text!r}")


def _check_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"a trusted proxy must be an address or a network: {error}") from error

"""The steps of `pymdc doctor`: what each one looks at, and what it finds."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from .failures import Code, Failure, checked, code_of, words_for
from .replies import entry

if TYPE_CHECKING:
    from ..api import ECDSA, Users
    from .session import Session

__all__ = ["Finding", "diagnose"]

_SECONDS = 10.0  # for one step
_CLOCK_SECONDS = 300.0  # bridges accept requests that are up to five minutes old
_BYTES = 1000


class Finding(NamedTuple):
    """What one step has found.

    Attributes:
        step: the name of the step, in one word.
        ok: whether all is well.
        words: what was found, in one line.
        remedy: what a person can do; "" if there is nothing to do.
        code: the exit code if all is not well.
    """

    step: str
    ok: bool
    words: str
    remedy: str = ""
    code: Code = Code.OTHER


class _EndedError(Exception):
    """A step failed, so the next steps would fail as well."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.words)
        self.finding = finding


def diagnose(session: Session, *, transfer: bool) -> Iterator[Finding]:
    """Look at each step on the way to the bridge, and give each finding at once.

    Arguments:
        transfer: also send a small file and fetch it, in a bucket that is removed afterwards.
    """
    try:
        yield _bridge(session)
        url = urlsplit(session.bridge.url)
        proxy = _proxy(url)
        yield _proxy_finding(proxy)
        place = urlsplit(proxy) if proxy else url
        yield _name(place)
        yield _connection(place)
        yield from _answer(session, url)
        yield from _account(session)
        if transfer:
            yield _transfer(session)
    except _EndedError as ended:
        yield ended.finding


def _ended(step: str, words: str, remedy: str, code: Code = Code.NETWORK) -> _EndedError:
    return _EndedError(Finding(step, False, words, remedy, code))


def _bridge(session: Session) -> Finding:
    try:
        bridge = session.bridge
    except Failure as failure:
        code = Code(failure.exit_code)
        remedy = "Write it like http://127.0.0.1:6382" if code is Code.USAGE else ""  # other messages say what to do
        raise _ended("bridge", failure.message, remedy, code) from failure
    if bridge.source == "default":
        words = f"no bridge is named, and the public one of 2016 ({bridge.url}) was retired"
        raise _ended("bridge", words, "Name one: --bridge URL, STORJ_BRIDGE=URL or pymdc login EMAIL", Code.USAGE)
    return Finding("bridge", True, f"{bridge.url}, named by {bridge.named_by}")


def _proxy(url: SplitResult) -> str | None:
    from ..core.endpoints import proxy_for

    return proxy_for(url.netloc, url.scheme)


def _proxy_finding(proxy: str | None) -> Finding:
    if proxy is None:
        return Finding("proxy", True, "none")
    parts = urlsplit(proxy)
    return Finding(
        "proxy", True, f"{parts.scheme}://{_host(parts)}:{_port(parts)}; a variable such as HTTPS_PROXY names it"
    )


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _port(parts: SplitResult) -> int:
    return parts.port or {"https": 443, "socks5": 1080}.get(parts.scheme, 80)


def _name(place: SplitResult) -> Finding:
    host = _host(place)
    try:
        found = socket.getaddrinfo(host, _port(place), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = f"no host is known by the name {host}"
        raise _ended("name", words, "Check the spelling, the network and the name server.") from error
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return Finding("name", True, f"{host} has the address {', '.join(addresses)}")


def _connection(place: SplitResult) -> Finding:
    started = time.monotonic()
    try:
        with socket.create_connection((_host(place), _port(place)), _SECONDS) as link:
            peer = link.getpeername()
    except OSError as error:
        words = f"nothing answers at {_host(place)} port {_port(place)}: {error.strerror or error}"
        raise _ended("connection", words, "Is it running? Is this its port? Is a firewall between?") from error
    took = (time.monotonic() - started) * 1000
    return Finding("connection", True, f"{peer[0]} port {peer[1]} answers within {took:.0f} ms")


def _answer(session: Session, url: SplitResult) -> Iterator[Finding]:
    """Ask for the bridge's own description, which needs no login."""
    reply = _sent(session, "/", None, int(time.time() * 1000))
    if isinstance(reply, Exception):
        words = words_for(reply).split(" The command `pymdc doctor`")[0]
        remedy = "Check the scheme (http or https), the certificate, and its authority (SSL_CERT_FILE)."
        raise _ended("tls" if url.scheme == "https" else "answer", words, remedy)
    if url.scheme == "https":
        yield Finding("tls", True, "the certificate is valid")
    yield _version(reply)
    yield _clock(dict(reply.headers).get("date"))


def _sent(session: Session, path: str, credentials: ECDSA | Users | None, nonce: int) -> Any:
    from ..core import calls

    call = calls.describe("GET", path, {}, credentials, {})
    return session.client.run(lambda exchange, job: exchange.send_once(call, nonce, job), None)


def _version(reply: Any) -> Finding:
    from ..core import wire

    value = wire.decode(reply)
    if not isinstance(value, dict) or not isinstance(value.get("info"), dict):
        words = f"the server is not a bridge (status {reply.status})"
        raise _ended("version", words, "Check the URL, its port and its path.")
    kind = "of pymdc" if "openapi" in value else "of 2016's kind"
    return Finding("version", True, f"{value['info'].get('title')} {value['info'].get('version')}, a bridge {kind}")


def _clock(date: str | None) -> Finding:
    try:
        ahead = time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Finding("clock", True, "the bridge does not tell the time")
    words = f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the bridge's"
    if abs(ahead) > _CLOCK_SECONDS:
        return Finding("clock", False, words, "Set the clock of the one that is wrong.", Code.OTHER)
    return Finding("clock", True, words)


def _account(session: Session) -> Iterator[Finding]:
    from ..api import ECDSA

    try:
        credentials = session.credentials
    except Failure as failure:
        raise _ended("account", "nobody is logged in", failure.message, Code.CREDENTIALS) from failure
    if not isinstance(credentials, ECDSA):
        value = _keys(session, credentials, 0)
        if _is_error(value):
            raise _refused("account", value)
        yield Finding("account", True, f"{credentials.username} is active; its password is in a variable")
        return
    yield from _signed(session, credentials)


def _signed(session: Session, pair: ECDSA) -> Iterator[Finding]:
    """Find out which nonces the bridge accepts from this user, without locking out other programs.

    A bridge of 2016 keeps the highest nonce of a user and refuses lower ones. A refused nonce changes nothing. So the
    first request carries a low nonce, the seconds since 1970, as the simplest clients of 2016 did: if the bridge
    accepts it, programs that count in seconds still work. Only if it is refused, a second request carries milliseconds,
    as all other calls of pymdc do.
    """
    email = session.email or "the account"
    value = _keys(session, pair, int(time.time()))
    in_seconds = not _is_stale(value)
    if not in_seconds:
        value = _keys(session, pair, _milliseconds())
    if _is_stale(value):
        yield Finding("account", True, f"{email} is known")
        words = "the bridge has counted further than this client's clock: it refuses every signed request (nonce)"
        remedy = (
            "Another program has used this account with larger numbers (microseconds), or with a wrong clock. The "
            "number belongs to the account, so a new key does not help: log in with the password "
            "(STORJ_BRIDGE_USER and STORJ_BRIDGE_PASS), or ask the operator to reset it."
        )
        raise _ended("nonce", words, remedy, Code.CREDENTIALS)
    if _is_error(value):
        raise _refused("key" if "key" in str(value).lower() else "account", value)
    yield Finding("account", True, f"{email} is active")
    yield Finding("key", True, f"{pair.get_public_key()} is registered")
    yield Finding("nonce", True, "the bridge takes this client's numbers" + ("" if in_seconds else " (milliseconds)"))


def _milliseconds() -> int:
    from ..core.nonces import next_nonce

    return next_nonce()


def _keys(session: Session, credentials: ECDSA | Users, nonce: int) -> Any:
    from ..core import wire

    reply = _sent(session, "/keys", credentials, nonce)
    return reply if isinstance(reply, Exception) else wire.decode(reply)


def _is_error(value: Any) -> bool:
    return isinstance(value, Exception) or (isinstance(value, dict) and "error" in value)


def _is_stale(value: Any) -> bool:
    return isinstance(value, dict) and "nonce" in str(value.get("error")).lower()


def _refused(step: str, value: Any) -> _EndedError:
    from ..core.explanations import explain

    words = explain(value)
    return _ended(step, words, words_for(value).removeprefix(words).strip(), code_of(value))


def _transfer(session: Session) -> Finding:
    from ..api import Bucket, Buckets

    content = os.urandom(_BYTES)
    try:
        made = entry(Buckets(session.credentials, client=session.client).create("pymdc doctor", 1, 1, []), "id")
        bucket = Bucket(made, session.credentials, client=session.client)
        try:
            sent = entry(bucket.files.upload(content, name="pymdc doctor"), "hash")
            came = checked(bucket.files.download(sent["hash"]))
            checked(bucket.files.delete(sent["hash"]))
        finally:
            checked(bucket.delete())
    except Failure as failure:
        remedy = "The bridge's log says more."
        return Finding("transfer", False, failure.message, remedy, Code(failure.exit_code))
    assert came == content  # the library checks the hash
    return Finding("transfer", True, f"a file of {_BYTES} bytes went up and came back")

"""No account can read, change or guess the data of another account, on any route.

Each row of the route table is attacked in each way that its credentials allow. A route that is new needs a row here.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from pymdc.bridge.app import ROUTES
from pymdc.bridge.store.tables import metadata
from pymdc.keypair import ECDSA

from .harness import BOUNDARY, PASSWORD, Person, Running, fetch, multipart

SECRET = b"what nobody else may see"
NO_BUCKET = (404, "Bucket not found")
OWN = (200, None)  # somebody else gets what is their own, and nothing of Alice's


@dataclass(frozen=True)
class Row:
    """A route with an owner: a good request to it, and the reply to the same request from another account."""

    sent: dict[str, Any] = field(default_factory=dict)
    another: tuple[int, str | None] = OWN
    unknown_key: tuple[int, str] = (401, "Public key not registered")
    stale: tuple[int, str | None] = (401, "Invalid nonce supplied")


# The paths hold Alice's bucket, key and file.
OWNED = {
    ("GET", "/keys"): Row(),
    ("POST", "/keys"): Row({"key": ECDSA().get_public_key()}),
    ("DELETE", "/keys/{key}"): Row(another=(404, "Public key was not found")),
    ("GET", "/buckets"): Row(),
    ("POST", "/buckets"): Row({"name": "another"}),
    ("GET", "/buckets/{id}"): Row(another=NO_BUCKET),
    ("PATCH", "/buckets/{id}"): Row({"name": "changed"}, NO_BUCKET),
    ("DELETE", "/buckets/{id}"): Row(another=NO_BUCKET),
    # A key of the bucket's list, the owner's own included, needs no nonce here, but each request serves once.
    ("POST", "/buckets/{id}/tokens"): Row({"operation": "PULL"}, NO_BUCKET, NO_BUCKET, stale=OWN),
    ("GET", "/buckets/{id}/files"): Row(another=NO_BUCKET),
    ("DELETE", "/buckets/{id}/files/{hash}"): Row(another=NO_BUCKET),
}
BY_TOKEN = {("PUT", "/buckets/{id}/files"): "PUSH", ("GET", "/buckets/{id}/files/{hash}"): "PULL"}
OPEN = {
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/users"),
    ("GET", "/activations/{token}"),
    ("GET", "/shards/{hash}"),
}


@dataclass
class Owner:
    """Somebody with a file to lose."""

    person: Person
    bucket: str
    hash: str

    def path(self, route: str) -> str:
        return route.format(id=self.bucket, hash=self.hash, key=self.person.key.get_public_key())

    def state(self) -> Any:
        """All the data of the account, as its owner sees it."""
        pages = [
            self.person.send("GET", path).json() for path in ("/keys", "/buckets", f"/buckets/{self.bucket}/files")
        ]
        return pages, self.person.download(self.bucket, self.hash)


@pytest.fixture(scope="module")
def alice(bridge: Running) -> Owner:
    """An account that no test changes, so that tests can share it, except those that use up its own requests."""
    return owner(bridge)


def owner(bridge: Running) -> Owner:
    person = bridge.person()
    bucket = person.bucket()
    return Owner(person, bucket, person.upload(bucket, SECRET).json()["hash"])


@pytest.fixture(scope="module")
def eve(bridge: Running) -> Person:
    return bridge.person()


def test_each_route_is_attacked() -> None:
    assert {*OWNED, *BY_TOKEN, *OPEN} == {(route.method, route.path) for route in ROUTES}
    kinds: dict[str, Collection[tuple[str, str]]] = {"user": OWNED, "token": BY_TOKEN, "none": OPEN}
    for route in ROUTES:
        assert (route.method, route.path) in kinds[route.about.credentials]


def assert_reply(reply: httpx.Response, expected: tuple[int, str | None]) -> None:
    status, message = expected
    assert reply.status_code == status, reply.text
    if message is not None:
        assert reply.json() == {"error": message}


Attack = Callable[[Owner, Person, str, str, Row], tuple[httpx.Response, tuple[int, str | None]]]


def _plain(alice: Owner, method: str, path: str, row: Row, **arguments: Any) -> httpx.Response:
    return alice.person.bridge.http.request(method, path, json=row.sent or None, **arguments)


def no_credentials(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    return _plain(alice, method, path, row), (401, "No authentication strategy detected")


def half_credentials(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    headers = {"x-pubkey": alice.person.key.get_public_key(), "authorization": "Basic =="}
    return _plain(alice, method, path, row, headers=headers), (401, "No authentication strategy detected")


def wrong_password(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    reply = _plain(alice, method, path, row, auth=(alice.person.email, "ab" * 32))
    return reply, (401, "Invalid email or password")


def empty_password(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    return _plain(alice, method, path, row, auth=(alice.person.email, "")), (401, "No authentication strategy detected")


def unknown_user(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    reply = _plain(alice, method, path, row, auth=("nobody@example.com", PASSWORD))
    return reply, (401, "Invalid email or password")


def not_activated(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    email = f"{secrets.token_hex(8)}@example.com"
    alice.person.bridge.http.post("/users", json={"email": email, "password": PASSWORD}).raise_for_status()
    reply = _plain(alice, method, path, row, auth=(email, PASSWORD))
    return reply, (401, "User account has not been activated")


def unknown_key(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    return alice.person.send(method, path, row.sent, ECDSA()), row.unknown_key


def somebody_elses_signature(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    request = eve.signed(method, path, row.sent)
    request.headers["x-pubkey"] = alice.person.key.get_public_key()
    return eve.bridge.http.send(request), (401, "Invalid signature")


def a_signature_of_something_else(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    request = alice.person.signed(method, path, row.sent)
    request.headers["x-signature"] = alice.person.key.sign(f"{method}\n/somewhere/else\n")
    return eve.bridge.http.send(request), (401, "Invalid signature")


def a_request_that_was_tampered_with(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    request = alice.person.signed(method, path, row.sent)
    url = request.url if request.content else request.url.copy_merge_params({"more": "1"})
    content = request.content + b" " if request.content else None
    headers = {name: request.headers[name] for name in ("x-pubkey", "x-signature")}
    return eve.bridge.http.request(method, url, content=content, headers=headers), (401, "Invalid signature")


def another_user(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    return eve.send(method, path, row.sent), row.another


def another_user_by_password(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    sent = {**row.sent, "key": ECDSA().get_public_key()} if "key" in row.sent else row.sent
    return eve.bridge.http.request(method, path, json=sent or None, auth=eve.basic), row.another


def an_old_nonce(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    return alice.person.send(method, path, {**row.sent, "__nonce": hour_ago}), row.stale


def no_nonce(alice: Owner, eve: Person, method: str, path: str, row: Row) -> Any:
    return alice.person.send(method, path, {**row.sent, "__nonce": None}), row.stale


OUTSIDE: tuple[Attack, ...] = (
    no_credentials, half_credentials, wrong_password, empty_password, unknown_user, not_activated, unknown_key,
    somebody_elses_signature, a_signature_of_something_else, a_request_that_was_tampered_with, another_user,
    another_user_by_password, an_old_nonce, no_nonce,
)  # fmt: skip


@pytest.mark.parametrize("attack", OUTSIDE, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize(("method", "route"), OWNED, ids=map(" ".join, OWNED))
def test_no_account_can_use_the_data_of_another_one(
    alice: Owner, eve: Person, method: str, route: str, attack: Attack
) -> None:
    row, before = OWNED[method, route], alice.state()
    if (method, route) == ("POST", "/keys"):
        row = Row({"key": ECDSA().get_public_key()})  # a key serves once
    reply, expected = attack(alice, eve, method, alice.path(route), row)
    assert_reply(reply, expected)
    if attack in (another_user, another_user_by_password):
        assert alice.person.email not in reply.text
        assert alice.bucket not in reply.text
    assert alice.state() == before


@pytest.mark.parametrize(("method", "route"), OWNED, ids=map(" ".join, OWNED))
def test_a_request_that_was_overheard_does_not_serve_again(bridge: Running, method: str, route: str) -> None:
    alice = owner(bridge)
    sent = {"key": ECDSA().get_public_key()} if (method, route) == ("POST", "/keys") else OWNED[method, route].sent
    other = ECDSA()  # so that the signature can be made again by who has removed the first key
    alice.person.send("POST", "/keys", {"key": other.get_public_key()})
    path = alice.path(route)
    if method == "DELETE" and "{hash}" not in route:
        path = path.replace(alice.bucket, alice.person.bucket())
    overheard = alice.person.signed(method, path, sent, other)
    assert alice.person.bridge.http.send(overheard).is_success
    before = alice.person.send("GET", "/buckets", key=other).text
    for _ in range(2):
        assert_reply(alice.person.bridge.http.send(overheard), (401, "Invalid nonce supplied"))
    assert alice.person.send("GET", "/buckets", key=other).text == before


def use(alice: Owner, method: str, route: str, token: str | None, **headers: str) -> httpx.Response:
    """Use a token on Alice's bucket."""
    given = {**headers, **({} if token is None else {"x-token": token})}
    content = None
    if method == "PUT":
        given |= {"x-filesize": "4", "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        content = multipart(b"evil")
    return alice.person.bridge.http.request(method, alice.path(route), content=content, headers=given)


def _expire(alice: Owner, token: str) -> str:
    alice.person.bridge.sql("UPDATE tokens SET expires = 1 WHERE bucket = ?", alice.bucket)
    return token


NOT_VALID = "Invalid or expired token"
STEALING: dict[str, tuple[Callable[[Owner, Person, str], str | None], str]] = {
    "none": (lambda alice, eve, operation: None, NOT_VALID),
    "empty": (lambda alice, eve, operation: "", NOT_VALID),
    "wrong": (lambda alice, eve, operation: secrets.token_hex(32), NOT_VALID),
    "another user's": (lambda alice, eve, operation: eve.token(eve.bucket(), operation), "Not authorized"),
    "expired": (lambda alice, eve, operation: _expire(alice, alice.person.token(alice.bucket, operation)), NOT_VALID),
    "for something else": (
        lambda alice, eve, operation: alice.person.token(alice.bucket, {"PUSH": "PULL", "PULL": "PUSH"}[operation]),
        "Not authorized",
    ),
    "a part of one": (lambda alice, eve, operation: alice.person.token(alice.bucket, operation)[:-1], NOT_VALID),
}


@pytest.mark.parametrize("stealing", STEALING)
@pytest.mark.parametrize(("method", "route"), BY_TOKEN, ids=map(" ".join, BY_TOKEN))
def test_a_bucket_opens_to_its_tokens_alone(alice: Owner, eve: Person, method: str, route: str, stealing: str) -> None:
    before = alice.state()
    choose, message = STEALING[stealing]
    reply = use(alice, method, route, choose(alice, eve, BY_TOKEN[method, route]))
    assert reply.status_code == 401
    assert reply.json()["error"].startswith(message)
    assert alice.state() == before


@pytest.mark.parametrize(("method", "route"), BY_TOKEN, ids=map(" ".join, BY_TOKEN))
def test_credentials_are_no_token(alice: Owner, method: str, route: str) -> None:
    headers = alice.person.signed(method, alice.path(route)).headers
    signed = {name: headers[name] for name in ("x-pubkey", "x-signature")}
    basic = {"authorization": httpx.BasicAuth(*alice.person.basic)._auth_header}
    for credentials in (signed, basic):
        assert_reply(use(alice, method, route, None, **credentials), (401, NOT_VALID))


@pytest.mark.parametrize(("method", "route"), BY_TOKEN, ids=map(" ".join, BY_TOKEN))
def test_a_token_that_was_overheard_does_not_serve_again(bridge: Running, method: str, route: str) -> None:
    alice = owner(bridge)
    token = alice.person.token(alice.bucket, BY_TOKEN[method, route])
    assert use(alice, method, route, token).status_code == 200
    assert_reply(use(alice, method, route, token), (401, NOT_VALID))


def test_a_channel_opens_to_its_token_alone(alice: Owner, eve: Person) -> None:
    pointer = alice.person.pointers(alice.bucket, alice.hash).json()[0]
    mine = eve.bucket()
    stored = eve.upload(mine, b"Eve's own").json()["hash"]
    own = eve.pointers(mine, stored).json()[0]
    bucket_token = alice.person.token(alice.bucket, "PULL")
    for token, message in [
        (None, "You did not supply a token"),
        ("", "You did not supply a token"),
        ([pointer["token"]], "You did not supply a token"),
        (secrets.token_hex(20), "The supplied token is not accepted"),
        (bucket_token, "The supplied token is not accepted"),
        (own["token"], "Token not valid for hash"),
    ]:
        assert _refusal({**pointer, "token": token}) == message
    assert fetch(pointer) == SECRET
    assert _refusal(pointer) == "The supplied token is not accepted"
    expired = alice.person.pointers(alice.bucket, alice.hash).json()[0]
    alice.person.bridge.sql("UPDATE channel_tokens SET expires = 1 WHERE bucket = ?", alice.bucket)
    assert _refusal(expired) == "The supplied token is not accepted"


def _refusal(pointer: dict[str, Any]) -> str:
    with connect(pointer["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(pointer))
        return str(json.loads(socket.recv())["message"])


@pytest.mark.parametrize("route", ["/", "/health", "/health/live", "/health/ready"])
def test_routes_without_credentials_reveal_nothing_about_anyone(alice: Owner, route: str) -> None:
    http = alice.person.bridge.http
    plain = http.get(route)
    assert plain.status_code == 200
    assert http.get(route, auth=(alice.person.email, "wrong")).text == plain.text
    assert alice.person.email not in plain.text


def test_somebody_elses_address_cannot_be_registered_again(alice: Owner) -> None:
    before, http = alice.state(), alice.person.bridge.http
    key = ECDSA().get_public_key()
    for email in (alice.person.email, alice.person.email.upper()):
        reply = http.post("/users", json={"email": email, "password": "ab" * 32, "pubkey": key})
        assert_reply(reply, (409, "Email is already registered"))
    taken = {"email": "new@example.com", "password": "ab" * 32, "pubkey": alice.person.key.get_public_key()}
    assert_reply(http.post("/users", json=taken), (400, "Public key is already registered"))
    assert http.get("/keys", auth=("new@example.com", "ab" * 32)).status_code == 401
    assert alice.state() == before
    assert http.get("/keys", auth=alice.person.basic).status_code == 200


def test_an_activation_serves_once_and_cannot_be_guessed(bridge: Running) -> None:
    bridge.http.post("/users", json={"email": "late@example.com", "password": PASSWORD}).raise_for_status()
    token = bridge.mails[-1].token
    for wrong in (secrets.token_hex(32), token[:-1], token.upper(), "late@example.com", "%00", "x" * 5000):
        assert_reply(bridge.http.get(f"/activations/{wrong}"), (400, "Invalid activation token"))
    assert bridge.http.get(f"/activations/{token}").status_code == 200
    assert_reply(bridge.http.get(f"/activations/{token}"), (400, "Invalid activation token"))


def test_the_database_contains_no_token_and_no_password(alice: Owner) -> None:
    bridge, person = alice.person.bridge, alice.person
    bridge.http.post("/users", json={"email": "reader@example.com", "password": PASSWORD}).raise_for_status()
    pointer = person.pointers(alice.bucket, alice.hash).json()[0]
    secret = {person.token(alice.bucket, "PUSH"), bridge.mails[-1].token, pointer["token"], PASSWORD}
    assert {len(token) for token in secret} <= {40, 64}, "160 bits and more cannot be guessed"
    rows = [row for table in metadata.tables for row in bridge.sql(f"SELECT * FROM {table}")]
    kept = repr(rows)
    assert person.email in kept
    assert not [token for token in secret if token in kept]

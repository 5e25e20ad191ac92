"""One call in as many attempts as are safe: retries, redirects, nonces, uploads."""

from __future__ import annotations

import copy
import hashlib
import inspect
import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import httpx
import pytest
import respx
from ecdsa import BadSignatureError, SECP256k1, VerifyingKey
from ecdsa.util import sigdecode_der

from pymdc import Client, Timeout, config
from pymdc.api import ECDSA, REST, Bucket, Files, Keys, Users
from pymdc.core import hashes
from pymdc.errors import IntegrityError
from tests.hostile import (
    Connection,
    Received,
    Script,
    Server,
    answering,
    client_context,
    reply_bytes,
    server_context,
)

pytestmark = pytest.mark.usefixtures("_no_waiting")

PAIR = ECDSA()
ALICE = Users("alice@example.com", "secret")

LOST: dict[str, Script] = {}  # a script for each way to lose the reply to a request that was read


def losing(script: Script) -> Script:
    LOST[script.__name__] = script
    return script


@losing
def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


@losing
def close(connection: Connection) -> None:
    connection.read_request()


@losing
def cut_short(connection: Connection) -> None:
    connection.read_request()
    connection.reply(200, "{", Content_Length="100")


@losing
def reset_in_the_body(connection: Connection) -> None:
    cut_short(connection)
    connection.reset()


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


def refuse_tls(connection: Connection) -> None:
    """Reset before there is a connection: the client has sent nothing."""
    connection.sock.recv(1 << 16)
    connection.reset()


def over_tls(script: Script) -> Script:
    def wrapped(connection: Connection) -> None:
        with server_context().wrap_socket(connection.sock, server_side=True) as secure:
            script(Connection(secure, connection.server))

    return wrapped


fine = answering(lambda request: reply_bytes(200, '{"fine": true}'))
FINE: Any = {"fine": True}


def signed(request: Received) -> bool:
    """Tell whether the request has a valid signature, computed here from the received bytes, without pymdc."""
    payload = request.body.decode() if request.method in ("POST", "PATCH", "PUT") else request.query
    key = VerifyingKey.from_string(bytes.fromhex(request.headers["x-pubkey"]), curve=SECP256k1)
    try:
        key.verify(
            bytes.fromhex(request.headers["x-signature"]),
            f"{request.method}\n{request.path}\n{payload}".encode(),
            hashfunc=hashlib.sha256,
            sigdecode=sigdecode_der,
        )
    except BadSignatureError:
        return False
    return True


def client_of(server: Server, base: str = "", **settings: Any) -> Client:
    settings.setdefault("timeout", Timeout(20, 20, 20, 20, 20))
    return Client(server.url + base, verify=client_context(), **settings)


# Retries


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_get_whose_reply_is_lost_is_sent_again_signed_anew(lost: Script) -> None:
    with Server(lost, lost, fine) as server, client_of(server) as client:
        assert REST("GET", "/buckets", {"a": 1}, PAIR, client=client) == FINE
    assert len(server.requests) == 3
    assert all(signed(request) for request in server.requests)
    nonces = [request.nonce for request in server.requests]
    assert nonces == sorted(set(nonces))
    assert len({request.headers["x-signature"] for request in server.requests}) == 3


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_get_is_sent_three_times_at_most(lost: Script) -> None:
    with Server(lost) as server, client_of(server) as client:
        assert isinstance(REST("GET", "/buckets", client=client), Exception)
    assert len(server.requests) == config.MAX_ATTEMPTS == 3


ONCE: dict[str, Callable[[Client], Any]] = {
    "POST": lambda client: REST("POST", "/buckets", {"name": "b"}, PAIR, client=client),
    "PUT": lambda client: REST("PUT", "/buckets", {"name": "b"}, PAIR, client=client),
    "PATCH": lambda client: Bucket("id", PAIR, client=client).patch({"name": "b"}),
    "DELETE": lambda client: Bucket("id", PAIR, client=client).delete(),
    "another method": lambda client: REST("SEARCH", "/buckets", client=client),
    "an upload": lambda client: Files("id", PAIR, client=client).upload(__file__, "token"),
    "an activation, whose token serves once": lambda client: Users("a", "b", client=client).activate("token"),
    "a token's pointers, since it serves once": lambda client: Files("id", PAIR, client=client).pointers("ff", "token"),
    "any header x-token": lambda client: REST("GET", "/frames", headers={"X-Token": "token"}, client=client),
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE)
def test_a_request_that_may_have_changed_something_is_never_sent_twice(
    call: Callable[[Client], Any], lost: Script
) -> None:
    with Server(lost) as server, client_of(server) as client:
        assert isinstance(call(client), Exception)
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE)
def test_a_request_that_never_reached_the_bridge_is_sent_again_whatever_its_method(
    call: Callable[[Client], Any],
) -> None:
    with Server(refuse_tls, refuse_tls, over_tls(fine)) as server:
        with Client(f"https://127.0.0.1:{server.port}", verify=client_context()) as client:
            assert call(client) == FINE
        assert server.connections == 3
        assert len(server.requests) == 1


def test_an_upload_that_never_reached_the_bridge_is_sent_whole_by_the_next_attempt(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(600_000))
    with Server(refuse_tls, over_tls(fine)) as server:
        with Client(f"https://127.0.0.1:{server.port}", verify=client_context()) as client:
            value: Any = Files("id", PAIR, client=client).upload(path, "token")
            assert value == FINE
        assert path.read_bytes() in server.requests[0].body


def test_without_a_connection_there_are_three_attempts_at_most() -> None:
    with Server(refuse_tls) as server:
        with Client(f"https://127.0.0.1:{server.port}", verify=client_context()) as client:
            value = REST("POST", "/buckets", client=client)
        assert isinstance(value, URLError)
        assert isinstance(value.reason, ConnectionResetError)
        assert server.connections == config.MAX_ATTEMPTS


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again() -> None:
    with Server(over_tls(fine)) as server, Client(f"https://localhost:{server.port}") as client:
        assert isinstance(REST("GET", "/", client=client), URLError)
        assert server.connections == 1


def test_a_get_that_is_not_answered_in_time_is_not_sent_again() -> None:
    limits = Timeout(20, 0.05, 20, 20, 20)
    with Server(silent) as server, client_of(server, timeout=limits) as client:
        assert isinstance(REST("GET", "/buckets", client=client), TimeoutError)
        assert server.connections == len(server.requests) == 1


def test_a_reply_that_is_not_http_is_not_asked_for_again() -> None:
    def garbage(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"220 mail.example.com ESMTP\r\n\r\n")

    with Server(garbage) as server, client_of(server) as client:
        REST("GET", "/buckets", client=client)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_reply_is_never_asked_for_again_whatever_its_status(status: int) -> None:
    with Server(answering(lambda _: reply_bytes(status))) as server, client_of(server) as client:
        assert isinstance(REST("GET", "/buckets", client=client), HTTPError)
        assert len(server.requests) == 1


def test_the_waits_between_attempts_double_and_are_a_random_share(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(config, "BACKOFF_SECONDS", 0.1)
    with respx.mock(using="httpx") as router:
        route = router.route().mock(side_effect=httpx.ConnectError)
        with Client("http://bridge.invalid") as client:
            for _ in range(20):
                REST("POST", "/", client=client)
    assert route.call_count == 20  # with no OSError underneath another attempt promises nothing
    assert waits == []

    with Server(refuse_tls) as server, Client(f"https://127.0.0.1:{server.port}", verify=client_context()) as client:
        for _ in range(10):
            REST("POST", "/", client=client)
    first, second = waits[::2], waits[1::2]
    assert len(first) == len(second) == 10
    assert all(0.05 <= wait <= 0.1 for wait in first)
    assert all(0.1 <= wait <= 0.2 for wait in second)
    assert len(set(waits)) > 10


# Redirects


def moving(moves: dict[str, str], status: int = 302) -> Script:
    """Redirect the paths that are keys, answer all others."""

    def answer(request: Received) -> bytes:
        if request.path in moves:
            return reply_bytes(status, "moved", Location=moves[request.path])
        return reply_bytes(200, '{"fine": true}')

    return answering(answer)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_redirected_within_the_origin_and_signed_for_where_it_goes(status: int) -> None:
    with Server(moving({"/buckets": "/v2/b%C3%BCckets?page=2"}, status)) as server, client_of(server) as client:
        assert REST("GET", "/buckets", {"a": 1}, PAIR, client=client) == FINE
    first, second = server.requests
    assert second.path == "/v2/b%C3%BCckets"
    assert second.query == f"page=2&__nonce={second.nonce}"
    assert signed(first)
    assert signed(second)
    assert second.nonce > first.nonce


def test_a_redirect_may_name_the_whole_url_or_a_path_beside_the_old_one() -> None:
    with Server(moving({"/a/b": "c"})) as server, client_of(server) as client:
        REST("GET", "/a/b", client=client)
    assert server.requests[1].path == "/a/c"

    with Server(answering(lambda r: answer(r))) as server, client_of(server) as client:

        def answer(request: Received) -> bytes:
            if request.path == "/a":
                return reply_bytes(302, Location=f"{server.url}/there?__nonce=1&x=2")
            return reply_bytes(200, "{}")

        assert REST("GET", "/a", auth=PAIR, client=client) == {}
    assert server.requests[1].query == f"x=2&__nonce={server.requests[1].nonce}"
    assert signed(server.requests[1])


def test_redirects_stay_below_the_path_of_the_endpoint() -> None:
    moves = {"/api/v1/old": "/api/v1/new", "/api/v1/out": "/elsewhere", "/api/v1/near": "/api/v10/x"}
    with Server(moving(moves)) as server, client_of(server, "/api/v1/") as client:
        assert REST("GET", "/old", auth=PAIR, client=client) == FINE
        assert [request.path for request in server.requests] == ["/api/v1/old", "/api/v1/new"]
        assert all(signed(request) for request in server.requests)
        for resource in ("/out", "/near"):
            value = REST("GET", resource, auth=PAIR, client=client)
            assert isinstance(value, HTTPError)
            assert value.code == 302
    assert len(server.requests) == 4


@pytest.mark.parametrize("location", ["javascript:alert(1)", "http://[", "http://127.0.0.1:99999999", "http://\x7f/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_to_something_that_is_not_a_url_is_an_http_error_with_its_body(method: str, location: str) -> None:
    with Server(moving({"/a": location})) as server, client_of(server) as client:
        value = REST(method, "/a", client=client)
    assert isinstance(value, HTTPError)
    assert (value.code, value.read(), value.headers["location"]) == (302, b"moved", location)
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_a_get_is_redirected(method: str, status: int) -> None:
    with Server(moving({"/a": "/b"}, status)) as server, client_of(server) as client:
        value = REST(method, "/a", {}, PAIR, client=client)
    assert isinstance(value, HTTPError)
    assert (value.code, value.read()) == (status, b"moved")
    assert len(server.requests) == 1


@pytest.mark.parametrize("auth", [PAIR, ALICE], ids=["signature", "login"])
@pytest.mark.parametrize(
    "location",
    [
        "{other}/a",
        "//127.0.0.1:{port}/a",
        "http://localhost:{own}/a",
        "https://127.0.0.1:{own}/a",
        "http://user@127.0.0.1:{own}/a",
        "http://[",
        "http://127.0.0.1:99999/",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
    ],
)
def test_a_redirect_out_of_the_origin_is_not_followed_and_takes_no_credentials(location: str, auth: object) -> None:
    with Server(fine) as other, Server(answering(lambda r: answer(r))) as server, client_of(server) as client:

        def answer(request: Received) -> bytes:
            there = location.format(other=other.url, port=other.port, own=server.port)
            return reply_bytes(302, "moved", Location=there)

        value = REST("GET", "/a", auth=auth, headers={"x-token": "secret"}, client=client)
        assert other.connections == 0
    assert isinstance(value, HTTPError)
    assert value.code == 302
    assert len(server.requests) == 1


def test_a_redirect_without_a_location_is_an_http_error() -> None:
    with Server(answering(lambda _: reply_bytes(302))) as server, client_of(server) as client:
        assert isinstance(REST("GET", "/a", client=client), HTTPError)


def test_redirects_are_bounded() -> None:
    with Server(moving({"/a": "/b", "/b": "/a"})) as server, client_of(server) as client:
        value = REST("GET", "/a", client=client)
    assert isinstance(value, HTTPError)
    assert len(server.requests) == 1 + config.MAX_REDIRECTS


def test_each_step_of_a_redirect_has_attempts_of_its_own() -> None:
    def move(connection: Connection) -> None:
        connection.read_request()
        connection.reply(302, Location="/b", Connection="close")

    with Server(close, close, move, close, close, fine) as server, client_of(server) as client:
        assert REST("GET", "/a", auth=PAIR, client=client) == FINE
    assert [request.path for request in server.requests] == ["/a", "/a", "/a", "/b", "/b", "/b"]


def test_an_activation_that_is_redirected_is_still_sent_once() -> None:
    def move(connection: Connection) -> None:
        connection.read_request()
        connection.reply(302, Location="/activations/token/2", Connection="close")

    with Server(move, close) as server, client_of(server) as client:
        assert isinstance(Users("a", "b", client=client).activate("token"), RemoteDisconnected)
    assert len(server.requests) == 2


# Nonces


class NonceBridge:
    """Keeps the highest nonce, as the bridges of 2016 did for each user, and refuses a lower or an equal one."""

    def __init__(self, always_late: bool = False) -> None:
        self.highest = 0
        self.accepted = 0
        self.refused = 0
        self._always_late = always_late
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> bytes:
        valid = signed(request)
        with self._lock:
            if not valid:
                return reply_bytes(401, '{"error": "Invalid signature"}')
            if self._always_late or request.nonce <= self.highest:
                self.refused += 1
                return reply_bytes(400, '{"error": "Invalid nonce supplied"}')
            self.highest = request.nonce
            self.accepted += 1
            return reply_bytes(200, json.dumps({"nonce": request.nonce}))


def test_200_callback_calls_at_once_with_one_key_pair_all_succeed_and_each_calls_back_once() -> None:
    bridge = NonceBridge()
    values: dict[int, list[Any]] = {number: [] for number in range(200)}
    with Server(answering(bridge)) as server, client_of(server) as client:
        handles = [
            REST(("GET", "POST")[n % 2], "/buckets", {"n": n}, PAIR, callback=values[n].append, client=client)
            for n in values
        ]
        for handle in handles:
            handle.join()
    assert [list(map(type, got)) for got in values.values()] == [[dict]] * 200
    assert [got for got in values.values() if "nonce" not in got[0]] == []
    assert bridge.accepted == 200
    assert len({got[0]["nonce"] for got in values.values()}) == 200


def test_a_call_whose_nonce_is_always_late_ends_with_the_refusal_after_a_bounded_number_of_attempts() -> None:
    bridge = NonceBridge(always_late=True)
    with Server(answering(bridge)) as server, client_of(server) as client:
        assert REST("POST", "/buckets", {}, PAIR, client=client) == {"error": "Invalid nonce supplied"}
    assert bridge.refused == config.MAX_NONCE_ATTEMPTS
    nonces = [request.nonce for request in server.requests]
    assert nonces == sorted(set(nonces))


def test_a_call_that_is_not_signed_is_not_signed_again_when_its_nonce_is_refused() -> None:
    refusal = reply_bytes(400, '{"error": "Invalid nonce supplied"}')
    with Server(answering(lambda _: refusal)) as server, client_of(server) as client:
        assert Keys(ALICE, client=client).list() == {"error": "Invalid nonce supplied"}
    assert len(server.requests) == 1


def test_after_a_late_nonce_signed_calls_go_one_at_a_time_and_all_others_do_not_wait() -> None:
    late = reply_bytes(400, '{"error": "Invalid nonce supplied"}')
    held, unsigned_arrived, second_arrived = threading.Event(), threading.Event(), threading.Event()
    signed_seen: list[Received] = []
    lock = threading.Lock()

    def answer(request: Received) -> bytes:
        if "x-signature" not in request.headers:
            unsigned_arrived.set()
            return reply_bytes(200, "{}")
        with lock:
            signed_seen.append(request)
            number = len(signed_seen)
        if number == 1:
            return late
        if number == 2:
            held.set()
            assert unsigned_arrived.wait(20)
            assert not second_arrived.is_set()
        if number == 3:
            second_arrived.set()
        return reply_bytes(200, "{}")

    with Server(answering(answer)) as server, client_of(server) as client:
        values: list[Any] = []
        one = REST("GET", "/one", {}, PAIR, callback=values.append, client=client)
        assert held.wait(20)
        two = REST("GET", "/two", {}, PAIR, callback=values.append, client=client)
        listed: Any = Keys(ALICE, client=client).list()
        assert listed == {}
        one.join()
        two.join()
    assert values == [{}, {}]
    assert [request.path for request in signed_seen] == ["/one", "/one", "/two"]


class StallingBridge:
    """Refuses the first signed request because of its nonce, stalls the second, and answers all others."""

    def __init__(self) -> None:
        self.stalled, self.goes_on, self.more = threading.Event(), threading.Event(), threading.Semaphore(0)
        self._numbers = itertools.count()

    def answer(self, request: Received) -> bytes:
        number = next(self._numbers)
        if number == 0:
            return reply_bytes(400, '{"error": "Invalid nonce supplied"}')
        if number == 1:
            self.stalled.set()
            self.goes_on.wait(20)
        else:
            self.more.release()
        return reply_bytes(200, "{}")


def test_a_call_that_waits_for_its_turn_is_cancelled_within_a_second() -> None:
    bridge = StallingBridge()
    with Server(answering(bridge.answer)) as server, client_of(server) as client:
        one = REST("GET", "/one", {}, PAIR, callback=ignoring, client=client)
        assert bridge.stalled.wait(20)
        two = REST("GET", "/two", {}, PAIR, callback=ignoring, client=client)
        time.sleep(0.05)
        begun = time.monotonic()
        assert two.cancel()
        assert isinstance(two.result(10), CancelledError)
        assert time.monotonic() - begun < 1
        bridge.goes_on.set()
        assert one.result(20) == {}
    assert len(server.requests) == 2


def test_a_call_that_has_stalled_does_not_hold_up_the_others_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "TURN_SECONDS", 0.3)
    bridge = StallingBridge()
    with Server(answering(bridge.answer)) as server, client_of(server) as client:
        one = REST("GET", "/one", {}, PAIR, callback=ignoring, client=client)
        assert bridge.stalled.wait(20)
        begun = time.monotonic()
        others = [REST("GET", "/other", {}, PAIR, callback=ignoring, client=client) for _ in range(10)]
        assert [other.result(10) for other in others] == [{}] * 10
        assert 0.3 <= time.monotonic() - begun < 3
        assert not one.done()
        bridge.goes_on.set()
        assert one.result(20) == {}


def test_signed_calls_run_side_by_side_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "ORDER_SECONDS", 0.2)
    bridge = StallingBridge()
    with Server(answering(bridge.answer)) as server, client_of(server) as client:
        one = REST("GET", "/one", {}, PAIR, callback=ignoring, client=client)
        assert bridge.stalled.wait(20)
        time.sleep(0.2)
        assert REST("GET", "/two", {}, PAIR, client=client) == {}
        assert not one.done()
        bridge.goes_on.set()


def ignoring(_value: object) -> None:
    pass


# No leak from one call to the next


def test_an_unsigned_call_after_a_signed_one_sends_no_key() -> None:
    with Server(fine) as server, client_of(server) as client:
        REST("GET", "/a", auth=PAIR, client=client)
        REST("GET", "/a", auth=ALICE, headers={"x-token": "secret"}, client=client)
        REST("GET", "/a", client=client)
        assert server.connections == 1
    first, second, third = (set(request.headers) for request in server.requests)
    assert first - third == {"x-pubkey", "x-signature"}
    assert second - third == {"authorization", "x-token"}


def test_cookies_are_not_sent_back() -> None:
    reply = reply_bytes(200, "{}", Set_Cookie="session=secret; Path=/")
    with Server(answering(lambda _: reply)) as server, client_of(server) as client:
        for _ in range(2):
            REST("GET", "/a", client=client)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_callers_params_and_headers_are_never_changed(method: str) -> None:
    params: dict[str, Any] = {"name": "b", "pubkeys": ["a", "b"]}
    headers = {"x-token": "token"}
    before = copy.deepcopy((params, headers))
    with Server(fine) as server, client_of(server) as client:
        assert REST(method, "/a", params, PAIR, headers, client=client) == FINE
        REST(method, "/a", params, PAIR, headers, lambda value: None, client=client).join()
    assert (params, headers) == before


def test_a_callback_call_sends_what_it_was_given_whatever_the_caller_does_to_it_afterwards() -> None:
    go = threading.Event()

    def held(connection: Connection) -> None:
        assert go.wait(20)
        fine(connection)

    params: dict[str, Any] = {"name": "before", "pubkeys": ["a"]}
    headers = {"x-token": "before"}
    with Server(held) as server, client_of(server) as client:
        handle = REST("POST", "/a", params, (), headers, lambda value: None, client=client)
        params["name"] = "after"
        params["pubkeys"].append("b")
        headers["x-token"] = "after"
        go.set()
        handle.join()
    (request,) = server.requests
    assert (request.json["name"], request.json["pubkeys"]) == ("before", ["a"])
    assert request.headers["x-token"] == "before"


def test_the_default_arguments_of_rest_stay_empty() -> None:
    with Server(fine) as server, client_of(server) as client:
        REST("POST", "/a", auth=PAIR, client=client)
        REST("POST", "/a", client=client)
    defaults = inspect.signature(REST).parameters
    assert defaults["params"].default == defaults["headers"].default == {}
    assert set(server.requests[1].json) == {"__nonce"}


def test_a_netrc_file_adds_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\ndefault login bob password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Server(fine) as server, client_of(server) as client:
        REST("GET", "/a", client=client)
    assert "authorization" not in server.requests[0].headers


# The path of the endpoint


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/a"),
        ("/", "/a"),
        ("/api/v1/", "/api/v1/a"),
        ("/my%20bridge/%c3%bc", "/my%20bridge/%c3%bc/a"),
        ("/a!$&'()*+,;=~.-_:/b", "/a!$&'()*+,;=~.-_:/b/a"),
    ],
)
def test_the_path_of_the_endpoint_is_sent_as_it_is_and_signed_as_it_is_sent(base: str, path: str) -> None:
    with Server(fine) as server, client_of(server, base) as client:
        assert REST("GET", "/a", auth=PAIR, client=client) == FINE
    assert server.requests[0].path == path
    assert signed(server.requests[0])


# Uploads


def stored_as(value: Callable[[Received], Any]) -> Script:
    return answering(lambda request: reply_bytes(200, json.dumps(value(request))))


def test_an_upload_is_the_reply_when_its_hash_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    reply = {"hash": hashes.content_hash(hashlib.sha256(b"content").hexdigest()), "size": 7}
    with Server(stored_as(lambda _: reply)) as server, client_of(server) as client:
        assert Files("id", PAIR, client=client).upload(path, "token") == reply


def test_an_upload_that_the_bridge_stored_as_something_else_is_an_integrity_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with Server(stored_as(lambda _: {"hash": "00" * 20})) as server, client_of(server) as client:
        value = Files("id", PAIR, client=client).upload(path, "token")
    assert isinstance(value, IntegrityError)
    assert "00" * 20 in str(value)


def test_a_file_that_becomes_shorter_while_it_is_sent_is_an_os_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 64 << 20)

    def shorten(connection: Connection) -> None:
        connection.read_head()
        os.truncate(path, 1000)
        while connection.sock.recv(1 << 20):
            pass

    with Server(shorten) as server, client_of(server) as client:
        value = Files("id", PAIR, client=client).upload(path, "token")
    assert type(value) is OSError
    assert "shorter" in str(value)


def test_an_upload_can_be_cancelled_until_its_last_byte_is_sent_and_no_longer(tmp_path: Path) -> None:
    read, answered = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        read.set()
        answered.wait(20)
        connection.reply(200, '{"fine": true}')

    path = tmp_path / "file"
    path.write_bytes(os.urandom(600_000))
    with Server(script) as server, client_of(server) as client:
        handle = Files("id", PAIR, client=client).upload(path, "token", callback=ignoring)
        assert read.wait(20)
        assert not handle.cancel()
        answered.set()
        assert handle.result(20) == FINE

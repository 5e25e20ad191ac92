from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from pymdc.bridge import curve

from .harness import PASSWORD, Running
from .test_curve import ORDER


def test_the_name_may_be_in_any_case_and_so_may_the_password(bridge: Running) -> None:
    alice = bridge.person()
    assert bridge.http.get("/keys", auth=(alice.email.upper(), PASSWORD.upper())).status_code == 200


def test_a_client_may_leave_out_the_padding_of_basic(bridge: Running) -> None:
    alice = bridge.person()
    for spaces in range(3):  # so that there is each length of padding
        credentials = base64.b64encode(f"{alice.email}:{PASSWORD}{' ' * spaces}".encode()).decode()
        forms = (credentials, credentials.rstrip("="))
        replies = [bridge.http.get("/keys", headers={"Authorization": f"Basic {form}"}) for form in forms]
        assert [reply.status_code for reply in replies] == [200 if spaces == 0 else 401] * 2
        assert replies[0].json() == replies[1].json()


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b":x").decode(),
        "Basic " + base64.b64encode(b"name:").decode(),
        "Basic " + base64.b64encode(b"name").decode(),
        "Bearer abc",
        "",
    ],
)
def test_a_wrong_basic_header_counts_as_no_credentials(bridge: Running, header: str) -> None:
    reply = bridge.http.get("/keys", headers={"Authorization": header})
    assert (reply.status_code, reply.json()) == (401, {"error": "No authentication strategy detected"})


def test_with_a_broken_basic_header_the_signature_counts(bridge: Running) -> None:
    request = bridge.person().signed("GET", "/keys")
    request.headers["Authorization"] = "Bearer abc"
    assert bridge.http.send(request).status_code == 200


def test_a_replay_with_the_other_form_of_the_signature_is_a_replay(bridge: Running) -> None:
    request = bridge.person().signed("GET", "/keys")
    assert bridge.http.send(request).status_code == 200
    signature = curve.parse_signature(request.headers["x-signature"])
    assert signature is not None
    request.headers["x-signature"] = curve.Signature(signature.r, ORDER - signature.s).der().hex()
    assert bridge.http.send(request).json() == {"error": "Invalid nonce supplied"}


def test_a_signature_with_a_high_s_is_accepted_too(bridge: Running) -> None:
    request = bridge.person().signed("GET", "/keys")
    signature = curve.parse_signature(request.headers["x-signature"])
    assert signature is not None
    request.headers["x-signature"] = curve.Signature(signature.r, ORDER - signature.s).der().hex().upper()
    assert bridge.http.send(request).status_code == 200


def test_twelve_requests_that_overtake_each_other_all_succeed(bridge: Running) -> None:
    alice = bridge.person()
    requests = [alice.signed("GET", "/keys") for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        assert {reply.status_code for reply in pool.map(bridge.http.send, reversed(requests))} == {200}


@pytest.mark.parametrize("nonce", [1795387055, 1795387055.25, "1795387055461"])
def test_a_client_may_send_nonces_of_any_form(bridge: Running, nonce: float | str) -> None:
    alice = bridge.person()
    for _ in range(2):  # two requests in one moment
        assert alice.send("POST", "/buckets", {"name": "b", "__nonce": nonce, "storage": _ + 1}).status_code == 200


def test_the_signature_covers_the_path_as_it_was_sent(bridge: Running) -> None:
    alice = bridge.person()
    assert alice.send("GET", "/KEYS/").status_code == 200
    assert alice.send("DELETE", "/keys/a%2Fb%20c%3F%23%C3%A9").json() == {"error": "Public key was not found"}


def test_a_request_cannot_be_sent_to_another_route_than_was_signed(bridge: Running) -> None:
    alice = bridge.person()
    request = alice.signed("GET", "/keys")
    request.url = request.url.copy_with(path="/buckets")
    assert bridge.http.send(request).json() == {"error": "Invalid signature"}

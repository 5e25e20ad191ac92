"""The rules of the protocol, with plain values: the sent request is the signed one, and values are as documented."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
import sys
from collections.abc import Iterable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from pymdc.api.users import Users
from pymdc.core import calls, wire
from pymdc.keypair import ECDSA

ORIGIN = "http://bridge.test:6382"
PAIR = ECDSA(private_key="11" * 32)
USER = Users("someone@example.com", "secret")
WITH_BODY = ["POST", "PATCH", "PUT"]
WITHOUT_BODY = ["GET", "DELETE"]

# Characters that are hard in a URL, more often than by chance. Surrogates are not text: they have their own tests.
hard = st.text(
    st.one_of(st.sampled_from("/?#%&=+ .;:@'\"\\[]{}<>|^`~\x00\r\n\té€🖇"), st.characters()), max_size=30
).filter(lambda text: not re.search("[\ud800-\udfff]", text))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), hard),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hard, inner, max_size=3)),
    max_leaves=8,
)
bases = st.sampled_from(["", "/base", "/a/b"])
quick = settings(deadline=None, max_examples=100)


def as_httpx_sends(request: wire.Request) -> httpx.Request:
    return httpx.Request(request.method, ORIGIN + request.target, headers=dict(request.headers), content=request.body)


def verify(sent: httpx.Request) -> None:
    """Check the signature as a bridge does: from what arrived alone, and by another library."""
    path, _, query = sent.url.raw_path.decode("ascii").partition("?")
    payload = sent.content.decode("utf-8") if sent.method in WITH_BODY else query
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), bytes.fromhex(sent.headers["x-pubkey"]))
    message = f"{sent.method}\n{path}\n{payload}".encode()
    key.verify(bytes.fromhex(sent.headers["x-signature"]), message, ec.ECDSA(hashes.SHA256()))


def test_no_secret_is_in_the_repr_of_a_call_a_request_or_a_reply() -> None:
    made = calls.describe("POST", "/users", {}, USER, {"x-token": "tok3n"})
    request = wire.prepare(made, "", 1)
    reply = wire.Reply("http://h/", 200, "OK", [("x-token", "tok3n")], b"tok3n")
    login = request.headers["Authorization"]
    for shown in (repr(made), repr(request), repr(reply)):
        assert "tok3n" not in shown
        assert login not in shown
        assert USER.password_hash() not in shown


# prepare(): the sent request is the signed one


@pytest.mark.parametrize("method", [*WITH_BODY, *WITHOUT_BODY])
@quick
@given(data=st.data())
def test_the_signed_path_is_the_path_that_httpx_sends(method: str, data: st.DataObject) -> None:
    """The resource and the parameters are arbitrary; so are ids, which are put in the path whole."""
    resource = data.draw(st.one_of(hard, st.lists(hard.filter(bool)).map(lambda parts: calls.path(*parts))))
    params = data.draw(
        st.dictionaries(hard, values if method in WITH_BODY else st.one_of(hard, st.integers()), max_size=3)
    )
    params.pop(calls.NONCE, None)
    base = data.draw(bases)
    request = wire.prepare(calls.describe(method, resource, params, PAIR), base, 1458494144320)
    sent = as_httpx_sends(request)
    assert sent.url.raw_path == request.target.encode("ascii")
    assert request.target.startswith(base + "/")
    verify(sent)
    if method in WITH_BODY:
        assert json.loads(sent.content) == {**params, calls.NONCE: 1458494144320}
        assert sent.content.isascii()
    else:
        assert sent.content == b""
        text = {name: str(value) for name, value in params.items()}
        got = parse_qsl(sent.url.query.decode(), keep_blank_values=True)
        assert got[len(got) - len(text) - 1 :] == [*text.items(), (calls.NONCE, "1458494144320")]


@quick
@given(st.lists(st.text(st.sampled_from("./%2eE?a"), max_size=4), max_size=6), bases)
def test_dots_and_escapes_are_sent_as_they_were_signed(segments: list[str], base: str) -> None:
    request = wire.prepare(calls.describe("GET", "/".join(segments), {}, PAIR), base, 1)
    sent = as_httpx_sends(request)
    assert sent.url.raw_path == request.target.encode("ascii")
    verify(sent)


def test_the_body_is_the_json_with_the_nonce_at_its_end() -> None:
    request = wire.prepare(calls.describe("POST", "/buckets", {"storage": 10, "name": "MyBucket"}), "", 1453222669376)
    assert request.body == b'{"storage":10,"name":"MyBucket","__nonce":1453222669376}'
    assert request.target == "/buckets"
    assert request.headers == {"Content-Type": "application/json"}


def test_a_body_without_parameters_is_the_nonce_alone() -> None:
    assert wire.prepare(calls.describe("POST", "/keys", {}), "", 7).body == b'{"__nonce":7}'


def test_the_query_is_that_of_the_resource_then_the_parameters_then_the_nonce() -> None:
    request = wire.prepare(calls.describe("GET", "/buckets?x=1", {"y": 2}), "/base", 7)
    assert (request.target, request.body, request.headers) == ("/base/buckets?x=1&y=2&__nonce=7", b"", {})


def test_the_resources_query_of_a_method_with_a_body_is_sent_and_not_signed() -> None:
    request = wire.prepare(calls.describe("POST", "/buckets?x=1", {}, PAIR), "", 7)
    assert request.target == "/buckets?x=1"
    verify(as_httpx_sends(request))


def test_the_signature_is_the_golden_one() -> None:
    """Made by OpenSSL, libsecp256k1 and python-ecdsa alike: see `data/keypair.json`."""
    pair = ECDSA(private_key="00" * 31 + "01")
    request = wire.prepare(calls.describe("GET", "/buckets", {}, pair), "", 1458494144320)
    assert request.headers == {
        "x-signature": "30440220421e3924e3a9b63d9d7fa9071a960928986180ad0c04fc59499bd2092148b4fc"
        "0220200cdbbd9d67ba6560a3c2c501ed48c161a79ab171acb5e6523cfbc8b72cd917",
        "x-pubkey": "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    }


def test_the_golden_body_is_signed_as_it_is_sent() -> None:
    pair = ECDSA(private_key="00" * 31 + "01")
    params = {"storage": 10, "transfer": 30, "name": "MyBucket"}
    request = wire.prepare(calls.describe("POST", "/buckets", params, pair), "", 1453222669376)
    assert request.headers["x-signature"] == (
        "3045022100ee391d093bdcd2a28592aef20a688e8e9d59a9cec10fee589156868ad354509b"
        "022025d6aa6ff1c8ea7d4601973488ba60108fa0ef96b142b76cb0ae7aba5c151a2a"
    )


@quick
@given(hard.filter(lambda text: ":" not in text), st.one_of(hard, st.binary(max_size=40)))
def test_any_name_and_password_log_in(username: str, password: str | bytes) -> None:
    user = Users(username, password)
    sent = as_httpx_sends(wire.prepare(calls.describe("GET", "/keys", {}, user), "", 1))
    kind, _, login = sent.headers["Authorization"].partition(" ")
    name, _, password_hash = base64.b64decode(login).decode("utf-8").partition(":")
    expected = password.encode() if isinstance(password, str) else password
    assert (kind, name) == ("Basic", username)
    assert password_hash == hashlib.sha256(expected or user.password).hexdigest()
    assert "x-signature" not in sent.headers


def test_a_call_without_credentials_sends_none() -> None:
    assert wire.prepare(calls.describe("GET", "/", {}, ()), "", 1).headers == {}


def test_headers_of_the_caller_are_sent_and_the_signature_is_ours() -> None:
    request = wire.prepare(calls.describe("GET", "/", {}, PAIR, {"x-token": "t", "x-signature": "forged"}), "", 1)
    assert request.headers["x-token"] == "t"
    verify(as_httpx_sends(request))


def test_each_attempt_is_signed_again() -> None:
    made = calls.describe("GET", "/buckets", {}, PAIR)
    first, second = (wire.prepare(made, "", nonce) for nonce in (1, 2))
    assert first.target != second.target
    assert first.headers["x-signature"] != second.headers["x-signature"]
    assert wire.prepare(made, "", 1) == first


def test_an_upload_says_its_type_its_length_and_the_files_size_and_is_not_signed() -> None:
    made = calls.describe("PUT", "/buckets/1/files", {}, headers={"x-token": "t"})
    request = wire.prepare_upload(made, "/base", "multipart/form-data; boundary=b", length=300, size=5)
    assert (request.method, request.target, request.body) == ("PUT", "/base/buckets/1/files", b"")
    assert request.headers == {
        "x-token": "t",
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": "300",
        "x-filesize": "5",
    }


# decode()


def reply(status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> wire.Reply:
    return wire.Reply("http://bridge.test/x", status, "Reason", headers, body)


STATUSES = [200, 201, 204, 301, 302, 304, 400, 404, 418, 500, 502, 599]


@pytest.mark.parametrize("status", STATUSES)
@given(value=values)
def test_json_is_decoded_whatever_the_status(status: int, value: Any) -> None:
    assert wire.decode(reply(status, json.dumps(value).encode())) == value
    assert wire.decode(reply(status, json.dumps(value, ensure_ascii=False, indent=1).encode())) == value


def test_a_refusal_is_the_documented_dict() -> None:
    refusal = b'{"error": "Email is already registered"}'
    assert wire.decode(reply(400, refusal)) == {"error": "Email is already registered"}


@pytest.mark.parametrize("status", [200, 201, 204, 304])
def test_an_empty_body_without_an_error_is_an_empty_str(status: int) -> None:
    assert wire.decode(reply(status, b"")) == ""


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"OK", "OK"),
        (b"<html>", "<html>"),
        ("é€".encode(), "é€"),
        (b"\xff\xfe\x00", b"\xff\xfe\x00"),
        ('{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16")),
        (b"{'a': 1}", "{'a': 1}"),
        (b'{"a":1} x', '{"a":1} x'),
        (b"NaN", "NaN"),
        (b"[Infinity]", "[Infinity]"),
        (b"[-Infinity]", "[-Infinity]"),
        (b"\x00", "\x00"),
    ],
)
def test_a_reply_that_is_not_json_is_text_or_bytes_or_with_an_error_status_an_http_error(
    body: bytes, value: str | bytes
) -> None:
    assert wire.decode(reply(200, body)) == value
    error = wire.decode(reply(502, body))
    assert isinstance(error, HTTPError)
    assert error.read() == body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("body", [b"", b"<h1>Bad gateway</h1>", b"\xff"])
def test_an_error_without_json_and_a_redirect_that_is_not_followed_are_http_errors(status: int, body: bytes) -> None:
    error = wire.decode(
        reply(status, body, [("content-type", "text/html"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    )
    assert isinstance(error, HTTPError)
    assert (error.code, error.status, error.reason, error.msg) == (status, status, "Reason", "Reason")
    assert (error.url, error.geturl()) == ("http://bridge.test/x", "http://bridge.test/x")
    assert error.headers["Content-Type"] == "text/html"
    assert error.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert error.read() == body
    assert str(error) == f"HTTP Error {status}: Reason"


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_without_end_is_a_value_and_not_a_crash(depth: int, opening: str, closing: str) -> None:
    body = (opening * depth + "0" + closing * depth).encode()
    assert isinstance(wire.decode(reply(200, body)), str | list | dict)
    assert isinstance(wire.decode(reply(500, body)), HTTPError | list | dict)
    assert isinstance(wire.decode(reply(200, opening.encode() * depth)), str)


def test_a_number_with_more_digits_than_python_reads_is_a_value_and_not_an_exception() -> None:
    digits = "1" * 100_000
    assert wire.decode(reply(200, b"[12345678901234567890]")) == [12345678901234567890]
    limit = getattr(sys, "get_int_max_str_digits", lambda: 0)()
    value = wire.decode(reply(200, digits.encode()))
    assert value == digits if limit else isinstance(value, int)


@pytest.mark.parametrize(("body", "value"), [(b'{"a": 1}', {"a": 1}), (b"text", "text"), (b"", "")])
def test_a_byte_order_mark_is_no_part_of_the_value(body: bytes, value: Any) -> None:
    assert wire.decode(reply(200, b"\xef\xbb\xbf" + body)) == value


@given(st.integers(200, 599), st.binary(max_size=60))
def test_any_reply_has_a_value(status: int, body: bytes) -> None:
    value = wire.decode(reply(status, body))
    assert not isinstance(value, BaseException) or isinstance(value, HTTPError)


# came_too_late()


@pytest.mark.parametrize(
    ("credentials", "value", "late"),
    [
        (PAIR, {"error": "Invalid nonce supplied"}, True),
        (PAIR, {"error": "Invalid signature"}, False),
        (PAIR, {"id": "1"}, False),
        (PAIR, ["Invalid nonce supplied"], False),
        (PAIR, "Invalid nonce supplied", False),
        (USER, {"error": "Invalid nonce supplied"}, False),
        (None, {"error": "Invalid nonce supplied"}, False),
    ],
)
def test_only_a_signed_call_whose_nonce_was_refused_came_too_late(credentials: object, value: Any, late: bool) -> None:
    assert wire.came_too_late(calls.describe("GET", "/", {}, credentials), value) is late


# redirected()


def redirect(
    location: str | None, *, status: int = 302, method: str = "GET", endpoint: str = ORIGIN
) -> calls.Call | None:
    headers = [] if location is None else [("location", location)]
    back = wire.Reply(endpoint + "/buckets/1?__nonce=5", status, "Found", headers, b"")
    return wire.redirected(
        calls.describe(method, "/buckets/1", {"a": "b"}, PAIR, {"x-h": "v"}), urlsplit(endpoint), back
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "path", "query"),
    [
        ("/there", "/there", ""),
        ("there", "/buckets/there", ""),
        ("../there", "/there", ""),
        ("?x=1", "/buckets/1", "x=1"),
        (ORIGIN + "/there?x=1#part", "/there", "x=1"),
        ("//bridge.test:6382/there", "/there", ""),
        ("HTTP://BRIDGE.test:6382/there", "/there", ""),
        ("/there?x=1&__nonce=5&y=2", "/there", "x=1&y=2"),
        ("/a b/é?c d", "/a%20b/%C3%A9", "c%20d"),
        ("/a%2Fb", "/a%2Fb", ""),
        (ORIGIN + "/a/../b", "/a/%2E%2E/b", ""),
    ],
)
def test_a_get_is_redirected_within_its_origin(status: int, location: str, path: str, query: str) -> None:
    there = redirect(location, status=status)
    assert there is not None
    assert (there.method, there.path, there.query, there.payload) == ("GET", path, query, "")
    assert there.credentials is PAIR
    assert there.headers == {"x-h": "v"}
    sent = as_httpx_sends(wire.prepare(there, "", 9))
    assert sent.url.query.decode().count(calls.NONCE) == 1
    verify(sent)


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.test:6382/there",
        "http://bridge.test:6383/there",
        "http://bridge.test/there",
        "https://bridge.test:6382/there",
        "//elsewhere.test/there",
        "http://bridge.test.elsewhere.test:6382/there",
        "http://user@bridge.test:6382/there",
        "http://user:pw@bridge.test:6382/there",
        "http://@bridge.test:6382/there",
        "http://bridge.test:6382@elsewhere.test/there",
        "ftp://bridge.test:6382/there",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://[bridge.test/there",
        "http://bridge.test:99999/there",
        "http://bridge.test:x/there",
        ORIGIN,
        None,
    ],
)
def test_a_redirect_elsewhere_or_to_nowhere_is_not_followed(location: str | None) -> None:
    assert redirect(location) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_a_get_is_redirected(method: str, status: int) -> None:
    assert redirect("/there", method=method, status=status) is None


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 400, 500])
def test_another_status_with_a_location_is_not_a_redirect(status: int) -> None:
    assert redirect("/there", status=status) is None


@pytest.mark.parametrize(
    ("endpoint", "location", "path"),
    [
        ("http://h/base", "http://h/base/there", "/there"),
        ("http://h/base", "http://h:80/base/there", "/there"),
        ("http://h:80/base", "http://h/base/there", "/there"),
        ("https://h/base", "https://h:443/base/there", "/there"),
        ("http://h/base", "http://h/there", None),
        ("http://h/base", "http://h/basement/there", None),
        ("http://h/base", "http://h/base", None),
    ],
)
def test_a_redirect_stays_below_the_endpoint(endpoint: str, location: str, path: str | None) -> None:
    there = redirect(location, endpoint=endpoint)
    assert (there and there.path) == path


@settings(deadline=None)
@given(st.one_of(hard, st.text(string.printable), hard.map(lambda text: ORIGIN + "/" + text)))
def test_any_location_is_followed_within_the_origin_or_not_at_all(location: str) -> None:
    there = redirect(location)
    if there is not None:
        request = wire.prepare(there, "", 9)
        sent = as_httpx_sends(request)
        assert (sent.url.scheme, sent.url.host, sent.url.port) == ("http", "bridge.test", 6382)
        assert sent.url.raw_path == request.target.encode("ascii")
        verify(sent)

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.bridge import fields
from pymdc.bridge.errors import Refused
from pymdc.keypair import ECDSA

KEY = ECDSA(private_key="11" * 32).get_public_key()


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.com", "ALICE@Example.com", "a+b@example.photo", "a.b-c_d@sub.example.co.uk", "root@localhost",
        "\"quoted @ name\"@example.com", "a@[127.0.0.1]", "a@[IPv6:::1]", "jürgen@müller.example", "用户@例子.广告",
        "o'brien@example.com", "x" * 60 + "@example.com",
    ],
)  # fmt: skip
def test_any_valid_address_is_one_in_lower_case(address: str) -> None:
    assert fields.email(address) == address.lower()


@pytest.mark.parametrize(
    "value",
    [
        "", "not-an-email", "@example.com", "a@", "a@b@c", "a b@example.com", "a@exa mple.com", ".a@example.com",
        "a..b@example.com", "a@-example.com", "a@example..com", "a@example.com\n", "a\r\nBcc: b@example.com",
        "a@example.com.", "\ud800@example.com", "x" * 300 + "@example.com", "a\0@example.com", None,
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match=r"^User validation failed$"):
        fields.email(value)


@given(st.text())
def test_no_address_holds_what_a_mail_header_must_not(text: str) -> None:
    try:
        address = fields.email(f"{text}@example.com")
    except Refused:
        return
    assert not re.search(r"[\x00-\x1f\x7f]", address)
    assert address.encode("utf-8")


def test_an_address_of_another_type_is_refused_with_the_old_words() -> None:
    with pytest.raises(Refused, match=r"^val.toLowerCase is not a function$"):
        fields.email(5)


def test_a_password_is_64_hex_digits() -> None:
    assert fields.password("AB" * 32) == "ab" * 32


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Not a string or buffer"),
        (5, "Not a string or buffer"),
        ("passwor", "Invalid hex string"),
        ("password", "Password must be hex encoded SHA-256 hash"),
        ("é" * 64, "Password must be hex encoded SHA-256 hash"),
    ],
)
def test_another_password_is_refused(value: Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        fields.password(value)
    assert (caught.value.status, caught.value.message) == (422, message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Invalid public key supplied: Cannot read property 'length' of null"),
        ([], "Invalid public key supplied: pubkey.split is not a function"),
        ("", "PublicKey validation failed"),
        ("02:03", 'Invalid public key supplied: Must not contain non-hexidecimal characters like ":"'),
        ("0" * 65, "Invalid public key supplied: Invalid hex string"),
        ("02" + "00" * 31 + "05", "Invalid public key supplied: invalid point"),
        ("zznothex", "Invalid public key supplied: Unknown point format"),
        ("é" * 66, "Invalid public key supplied: Unknown point format"),
    ],
)
def test_a_text_that_is_not_a_key_is_refused(value: Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        fields.public_key(value)
    assert (caught.value.status, caught.value.message) == (400, message)


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(Refused, match="of undefined"):
        fields.public_key()


def test_a_key_is_echoed_and_its_point_found() -> None:
    assert fields.public_key(KEY.upper()) == (KEY.upper(), KEY)


def test_a_bucket_takes_one_key_or_many() -> None:
    assert fields.key_texts(KEY) == fields.key_texts([KEY]) == [KEY]
    assert fields.bucket_keys([KEY]) == [(KEY, KEY)]
    assert fields.bucket_keys([]) == []


@pytest.mark.parametrize("value", [None, 5, {}, [5], ["nothex"], "nothex"])
def test_keys_of_a_bucket_in_another_shape_are_refused(value: Any) -> None:
    with pytest.raises(Refused, match=r"^Invalid public key supplied$"):
        fields.bucket_keys(fields.key_texts(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("", ""), ("☃", "☃"), (42, "42"), (1.5, "1.5"), (2.0, "2"), (True, "true"), ("\ud800", "\ufffd")],
)
def test_a_bucket_can_be_named_anything(value: Any, expected: str | None) -> None:
    assert fields.bucket_name(value) == expected


@pytest.mark.parametrize("value", [{}, []])
def test_a_bucket_cannot_be_named_by_an_object(value: Any) -> None:
    with pytest.raises(Refused, match=r"^Bucket validation failed$"):
        fields.bucket_name(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(10, 10), ("12", 12), (" 13.5 ", 13.5), (-1, -1), (True, 1), (None, 7), ("", 7), ("1e2", 100)],
)
def test_a_limit_is_any_number(value: Any, expected: float) -> None:
    assert fields.gigabytes(value, 7) == expected


@pytest.mark.parametrize("value", ["abc", {}, [1], "1_0", "nan", "Infinity", 10**400, "0x10", "１"])
def test_a_limit_that_is_not_a_number_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match=r"^Bucket validation failed$"):
        fields.gigabytes(value, 7)


@pytest.mark.parametrize("value", [1795387055461, "1795387055461", 1795387055.25, "1795387055.25", 1])
def test_a_nonce_is_any_positive_number(value: Any) -> None:
    assert fields.nonce(value) == float(value)


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        (None, 401, "Invalid nonce supplied"),
        ("", 401, "Invalid nonce supplied"),
        (0, 401, "Invalid nonce supplied"),
        ("-5", 401, "Invalid nonce supplied"),
        ("abc", 422, "User validation failed"),
        (["1", "2"], 422, "User validation failed"),
        ("1e999", 422, "User validation failed"),
    ],
)
def test_another_nonce_is_refused(value: Any, status: int, message: str) -> None:
    with pytest.raises(Refused) as caught:
        fields.nonce(value)
    assert (caught.value.status, caught.value.message) == (status, message)


@pytest.mark.parametrize(("header", "size"), [("19", 19), ("19.0", 19), ("", 0), ("-1", -1), (" 5 ", 5)])
def test_a_size_is_any_number(header: str, size: float) -> None:
    assert fields.file_size(header) == size


@pytest.mark.parametrize("header", [None, "abc", "nan", "1e999", "12 bytes"])
def test_another_size_is_refused(header: str | None) -> None:
    with pytest.raises(Refused, match=r"^Missing or invalid x-filesize header sent$"):
        fields.file_size(header)


@pytest.mark.parametrize(
    "body",
    [b"", b"{bad", b"[]", b'"text"', b"\xff\xfe", b'{"a": NaN}', b"[" * 30_000],
)
def test_a_body_that_is_not_a_json_object_counts_as_an_empty_one(body: bytes) -> None:
    assert fields.decode_object(body) == {}


def test_a_number_above_all_floats_is_infinite() -> None:
    assert fields.decode_object(b'{"a": -' + b"9" * 5000 + b"}") == {"a": -math.inf}


def test_an_object_of_more_values_than_any_of_the_api_is_refused() -> None:
    with pytest.raises(Refused, match=r"^Request body is too large$"):
        fields.decode_object(b'{"a": [' + b"[]," * 33_000 + b"[]]}")


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text()))
def test_an_object_is_decoded(value: dict[str, Any]) -> None:
    assert fields.decode_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(("number", "text"), [(10.0, "10"), (13.5, "13.5"), (1e300, "1e+300"), (-1.0, "-1")])
def test_numbers_are_written_as_the_old_bridges_did(number: float, text: str) -> None:
    assert json.dumps(fields.plain_number(number)) == text


def test_dates_are_written_as_the_old_bridges_did() -> None:
    assert fields.iso_date(1795386525384) == "2026-11-22T22:28:45.384Z"
    assert fields.iso_date(1000) == "1970-01-01T00:00:01.000Z"

"""Check the fields that clients send, and turn them into values. Pure functions: no database, no store.

The text of each refusal is that of the bridge of April 2016 (v0.6.6), even where it is odd: clients compare it.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import Any

from . import curve
from .errors import Refused
from .settings import JSON_PARTS

__all__ = [
    "Key",
    "bucket_keys",
    "bucket_name",
    "decode_object",
    "email",
    "file_size",
    "gigabytes",
    "iso_date",
    "key_texts",
    "nonce",
    "password",
    "plain_number",
    "public_key",
    "storable",
    "utf8",
]

Key = tuple[str, str]
"""A public key: the text as the client sent it, and its point in compressed hex, by which keys are compared."""

_MISSING = object()
_ATOM = r"[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(
    rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[ -~])+\")"  # RFC 5321: dot-string or quoted string
    rf"@(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9.]+\]|\[ipv6:[0-9a-f.:]+\])"
)
_EMAIL_CHARACTERS = 254  # RFC 5321, erratum 1690
# These patterns run in linear time: no two neighbouring parts can match the same character.
_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER_DIGITS = 400  # the largest float has 309
_NUMBER_CHARACTERS = 1024  # no number that a program writes is longer
_PASSWORD = re.compile(r"[0-9a-fA-F]{64}")


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object. Invalid JSON, or another type, counts as `{}`, as on the bridges of 2016.

    Raises:
        Refused: it holds more values than any object of the API. Decoding it would delay all other requests.
    """
    if sum(body.count(mark) for mark in b"[{,:") > JSON_PARTS:
        raise Refused(413, "Request body is too large")
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_int=_integer)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(text: str) -> float:
    # Time grows with the square of the digits, so a long integer is read as a float: infinite, as in JavaScript.
    return int(text) if len(text) <= _INTEGER_DIGITS else float(text)


def utf8(text: str) -> str:
    """Return `text` with each lone surrogate replaced: JSON can hold one, UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable(text: str) -> str:
    """Return `text` with each NUL replaced: PostgreSQL refuses them, even in a query. No stored name has one."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def email(value: Any = None) -> str:
    """Return an e-mail address in lower case. Every address that RFC 5321 and RFC 6531 allow is valid."""
    if value is None:
        raise Refused(422, "User validation failed")
    if not isinstance(value, str):
        raise Refused(422, "val.toLowerCase is not a function")
    address = value.lower()
    # "=?" begins an encoded word: a mail program would decode it in the header (RFC 2047).
    if len(address) > _EMAIL_CHARACTERS or "=?" in address or not _EMAIL.fullmatch(address) or utf8(address) != address:
        raise Refused(422, "User validation failed")
    return address


def password(value: Any = None) -> str:
    """Return the SHA-256 of a password, in lower-case hex, as clients send it."""
    if not isinstance(value, str):
        raise Refused(422, "Not a string or buffer")
    if len(value) % 2:
        raise Refused(422, "Invalid hex string")
    if not _PASSWORD.fullmatch(value):
        raise Refused(422, "Password must be hex encoded SHA-256 hash")
    return value.lower()


def public_key(value: Any = _MISSING) -> Key:
    """Return a key and its point, from compressed, uncompressed or raw hex."""
    if value == "":
        raise Refused(400, "PublicKey validation failed")
    if not isinstance(value, str):
        raise Refused(400, f"Invalid public key supplied: {_no_text(value)}")
    try:
        return value, curve.point(value)
    except ValueError:
        raise Refused(400, f"Invalid public key supplied: {_what_is_wrong(value)}") from None


def _no_text(value: Any) -> str:
    if value is _MISSING:
        return "Cannot read property 'length' of undefined"
    return "Cannot read property 'length' of null" if value is None else "pubkey.split is not a function"


def _what_is_wrong(text: str) -> str:
    if ":" in text:
        return 'Must not contain non-hexidecimal characters like ":"'
    if len(text) % 2:
        return "Invalid hex string"
    return "invalid point" if curve.has_form(text) else "Unknown point format"


def key_texts(value: Any) -> list[Any]:
    """Return the texts of the keys of a bucket, from a list of them or a single one."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise Refused(400, "Invalid public key supplied")
    return texts


def bucket_keys(texts: list[Any]) -> list[Key]:
    """Return the keys of a bucket."""
    try:
        return [public_key(text) for text in texts]
    except Refused:
        raise Refused(400, "Invalid public key supplied") from None


def bucket_name(value: Any) -> str | None:
    """Return a bucket's name: any text, or `None`; numbers become text."""
    if value is None or isinstance(value, str):
        return value if value is None else utf8(value)
    if isinstance(value, bool | int | float):
        return json.dumps(plain_number(value))
    raise Refused(422, "Bucket validation failed")


def gigabytes(value: Any, default: float) -> float:
    """Return a limit in GB, from a number or its text. `None` and empty text give the default."""
    if value is None or value == "":
        return default
    number = _number(value)
    if not math.isfinite(number):
        raise Refused(422, "Bucket validation failed")
    return number


def nonce(value: Any) -> float:
    """Return a nonce. It must be above 0.

    `store/nonces.py` keeps the nonces of each user, and `store/acceptance.py` checks there whether this one is new.
    """
    if value is None or value == "" or isinstance(value, bool):
        raise Refused(401, "Invalid nonce supplied")
    number = _number(value)
    if not math.isfinite(number):
        raise Refused(422, "User validation failed")
    if number <= 0:
        raise Refused(401, "Invalid nonce supplied")
    return number


def file_size(header: str | None) -> float:
    """Return the size in bytes that `x-filesize` declares. As on the old bridges, empty is 0, and fractions count."""
    size = math.nan if header is None else _number(header or "0")
    if not math.isfinite(size):
        raise Refused(400, "Missing or invalid x-filesize header sent")
    return size


def _number(value: Any) -> float:
    if isinstance(value, str):
        return float(value) if len(value) <= _NUMBER_CHARACTERS and _NUMBER.fullmatch(value) else math.nan
    try:
        return float(value) if isinstance(value, bool | int | float) else math.nan
    except OverflowError:
        return math.inf


def plain_number(number: float) -> float:
    """Return `number` as the old bridges write it in JSON: 10, not 10.0."""
    whole = not isinstance(number, bool) and abs(number) < 2**53 and number == int(number)
    return int(number) if whole else number


def iso_date(milliseconds: int) -> str:
    """Return a time, in milliseconds since 1970, in the form `2026-11-22T22:28:45.384Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"

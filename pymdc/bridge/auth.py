"""Authenticate requests, by HTTP Basic or by a signature.

The order of the checks and the text of each refusal are those of the bridge of April 2016 (v0.6.6).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from . import curve, fields
from .context import Bridge
from .errors import Refused, Unavailable
from .requests import client
from .store import NO_NONCE, Accepted, Bucket, Claim, Nonce, Replayed, User, comparable

__all__ = ["Signed", "token_access", "user", "user_and_buckets"]

_NO_STRATEGY = "No authentication strategy detected"


@dataclass(frozen=True)
class Signed:
    """A valid signature: the point of its key, the nonce as it was sent, and the hash of the signature."""

    point: str
    nonce: Any
    signature: str

    def comparable(self) -> Nonce | Refused:
        """Return the nonce in the form that the database compares, or the refusal if it is invalid."""
        try:
            return comparable(fields.nonce(self.nonce))
        except Refused as refused:
            return refused

    def pair(self) -> tuple[Nonce, str]:
        """Return the nonce and the signature, for a bucket to remember. A key in its list needs no valid nonce."""
        nonce = self.comparable()
        return (NO_NONCE if isinstance(nonce, Refused) else nonce), self.signature


async def user(bridge: Bridge, request: Request, body: bytes = b"") -> User:
    """Return the user who sent a request.

    Arguments:
        body: the request's body, exactly as it came.

    Raises:
        Refused: there are no credentials, or they are wrong.
    """
    basic = _basic(request)
    if basic is not None:
        return await _by_password(bridge, client(request), *basic)
    return (await _by_signature(bridge, _signed(request, body))).user


async def user_and_buckets(bridge: Bridge, request: Request) -> Accepted:
    """Return the user who sent a request without a body, and the buckets if the database returned both together.

    Raises:
        Refused: there are no credentials, or they are wrong.
    """
    basic = _basic(request)
    if basic is not None:
        return Accepted(await _by_password(bridge, client(request), *basic))
    return await _by_signature(bridge, _signed(request, b""), buckets=True)


async def token_access(
    bridge: Bridge, request: Request, body: bytes, bucket: str
) -> tuple[Bucket, tuple[Nonce, str] | None]:
    """Check that a request may make a token for a bucket. Return the bucket, and the nonce and signature to remember.

    The owner may, and so may every key in the bucket's list: the owner puts keys there to share the bucket.

    Raises:
        Refused: the request comes neither from the bucket's owner nor from a key in its list.
    """
    basic = _basic(request)
    if basic is not None:
        owner = await _by_password(bridge, client(request), *basic)
        return await bridge.in_database(bridge.store.buckets.get, bucket, owner.email), None
    signed = _signed(request, body)
    try:
        owner = (await _by_signature(bridge, signed)).user
    except (Replayed, Unavailable):
        raise
    except Refused:
        return await _by_list(bridge, signed, bucket), signed.pair()
    return await bridge.in_database(bridge.store.buckets.get, bucket, owner.email), signed.pair()


async def _by_list(bridge: Bridge, signed: Signed, bucket: str) -> Bucket:
    found = await bridge.in_database(bridge.store.buckets.get, bucket)
    if signed.point not in {point for _, point in found.keys}:
        raise Refused(404, "Bucket not found")
    return found


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    digits = credentials.strip().rstrip("=")
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4)).decode("utf-8")  # some clients leave the padding out
    except ValueError:
        return None
    name, _, password = fields.storable(text).partition(":")
    return (name.lower(), password.lower()) if name and password else None


async def _by_password(bridge: Bridge, address: str, email: str, password: str) -> User:
    found = await bridge.in_database(bridge.store.users.with_password, email)
    good = await bridge.logins.verify(address, email, password, None if found is None else found[1])
    if found is None or not good:
        raise Refused(401, "Invalid email or password")
    return _activated(found[0])


def _signed(request: Request, body: bytes) -> Signed:
    key, text = request.headers.get("x-pubkey"), request.headers.get("x-signature")
    if not key or not text:
        raise Refused(401, _NO_STRATEGY)
    signature = curve.parse_signature(text)
    if signature is None:
        raise Refused(401, "Signature without r or s")
    try:
        point = curve.point(key)
    except ValueError:
        raise Refused(401, "Invalid signature") from None
    message, nonce = _signed_message(request, body)
    if request.method == "HEAD" or not curve.verify(point, signature, message):
        raise Refused(401, "Invalid signature")
    return Signed(point, nonce, hashlib.sha256(signature.raw()).hexdigest())


def _signed_message(request: Request, body: bytes) -> tuple[bytes, Any]:
    if request.method in ("POST", "PATCH", "PUT"):
        payload, nonce = body, fields.decode_object(body).get("__nonce")
    else:
        payload = request.scope["query_string"]
        nonces = parse_qs(payload.decode("latin-1")).get("__nonce", [])
        nonce = nonces[0] if len(nonces) == 1 else nonces or None
    return b"\n".join((request.method.encode(), request.scope["raw_path"], payload)), nonce


async def _by_signature(bridge: Bridge, signed: Signed, buckets: bool = False) -> Accepted:
    return await bridge.writer.accept(Claim(signed.point, signed.signature, signed.comparable(), buckets))


def _activated(found: User) -> User:
    if not found.activated:
        raise Refused(401, "User account has not been activated")
    return found

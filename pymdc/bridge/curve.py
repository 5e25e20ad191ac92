"""What the bridge asks of secp256k1: is this text a point, and is this signature good?

`pymdc.keypair` answers the first. For the second there is libsecp256k1, by way of `coincurve`: it takes microseconds
where pure Python takes milliseconds, and every signed request asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import coincurve

from ..keypair import ECDSA

__all__ = ["Signature", "parse_signature", "point", "verify"]

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141  # SEC 2, section 2.4.1


@dataclass(frozen=True)
class Signature:
    """An ECDSA signature. `s` is the lower of its two equivalent values, so that equal signatures are equal values."""

    r: int
    s: int

    def der(self) -> bytes:
        """Return the strict DER encoding."""
        body = _integer(self.r) + _integer(self.s)
        return bytes([0x30, len(body)]) + body

    def raw(self) -> bytes:
        """Return r and s, 64 bytes."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big")


@lru_cache(maxsize=4096)  # decompressing a point costs a square root; clients send the same few keys
def point(key: str) -> str:
    """Return the compressed form, in lower-case hex, of a public key in any form.

    Raises:
        ValueError: `key` is no point of secp256k1.
    """
    return ECDSA(public_key=key).get_public_key()


def parse_signature(text: str) -> Signature | None:
    """Read a DER signature in hex: `None` where it is none. High-S is normalised: both forms sign the same."""
    try:
        der = bytes.fromhex(text)
        tag, length, body = der[0], der[1], der[2:]
        r, rest = _read_integer(body)
        s, rest = _read_integer(rest)
    except (ValueError, IndexError):
        return None
    if tag != 0x30 or length != len(body) or rest or not (0 < r < _ORDER and 0 < s < _ORDER):
        return None
    return Signature(r, min(s, _ORDER - s))


def verify(key: str, signature: Signature, message: bytes) -> bool:
    """Tell whether `signature` over the SHA-256 of `message` was made by `key`, a point as `point` gives it."""
    return coincurve.verify_signature(signature.der(), message, bytes.fromhex(key))


def _read_integer(data: bytes) -> tuple[int, bytes]:
    length = data[1]
    if data[0] != 0x02 or len(data) < 2 + length:
        raise ValueError("no DER integer")
    return int.from_bytes(data[2 : 2 + length], "big", signed=True), data[2 + length :]


def _integer(number: int) -> bytes:
    data = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(data)]) + data

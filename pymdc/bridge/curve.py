"""Read public keys and verify signatures, on the curve secp256k1.

`coincurve` (libsecp256k1) needs microseconds where pure Python needs milliseconds, and every signed request is
verified. The client signs with another library, so that each checks the other.

DER is read here by hand: clients of 2016 send signatures that strict parsers, such as coincurve's, refuse (a high `s`,
numbers with needless zeros). `der` then writes what coincurve accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import coincurve

__all__ = ["Signature", "has_form", "parse_signature", "point", "verify"]

# SEC 1, section 2.3.3: compressed, uncompressed, and uncompressed without its first byte.
_FORMS = re.compile(r"0[23][0-9a-f]{64}|(?:04)?[0-9a-f]{128}", re.IGNORECASE | re.ASCII)
_RAW_CHARACTERS = 128
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141  # SEC 2, section 2.4.1


@dataclass(frozen=True)
class Signature:
    """An ECDSA signature. Two values of `s` are valid; this always holds the lower one, which coincurve demands."""

    r: int
    s: int

    def der(self) -> bytes:
        """Return the strict DER encoding."""
        body = _integer(self.r) + _integer(self.s)
        return bytes([0x30, len(body)]) + body

    def raw(self) -> bytes:
        """Return r and s, 64 bytes."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big")


def has_form(key: str) -> bool:
    """Tell whether a text has the form of a public key. It may still not be a point of the curve."""
    return _FORMS.fullmatch(key) is not None


@lru_cache(maxsize=4096)  # decompressing a point is slow, and clients send the same keys again and again
def point(key: str) -> str:
    """Return the compressed form, in lower-case hex, of a public key in any form.

    Raises:
        ValueError: `key` is no point of secp256k1.
    """
    if not has_form(key):
        raise ValueError("no public key has this form")
    full = f"04{key}" if len(key) == _RAW_CHARACTERS else key
    return coincurve.PublicKey(bytes.fromhex(full)).format().hex()


def parse_signature(text: str) -> Signature | None:
    """Read a DER signature in hex; return `None` if it is invalid. A high `s` is replaced by the low one."""
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
    """Tell whether `key` (from `point`) signed the SHA-256 of `message` with this signature."""
    return _public_key(key).verify(signature.der(), message)


@lru_cache(maxsize=4096)  # for the same reason
def _public_key(key: str) -> coincurve.PublicKey:
    return coincurve.PublicKey(bytes.fromhex(key))


def _read_integer(data: bytes) -> tuple[int, bytes]:
    length = data[1]
    if data[0] != 0x02 or len(data) < 2 + length:
        raise ValueError("no DER integer")
    return int.from_bytes(data[2 : 2 + length], "big", signed=True), data[2 + length :]


def _integer(number: int) -> bytes:
    data = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(data)]) + data

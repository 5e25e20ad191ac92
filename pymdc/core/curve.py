"""Sign and verify on the curve secp256k1: with python-ecdsa, or with libsecp256k1 if `coincurve` is installed.

Both give the same bytes; the second one is twenty times as fast. This module is loaded when the first key is made.

DER, the form of a signature, is read and written by `ecdsa.util` alone. Its reader is strict, and a second one of our
own would be a second place for mistakes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ecdsa import BadSignatureError, SECP256k1, SigningKey, VerifyingKey
from ecdsa.der import UnexpectedDER
from ecdsa.errors import MalformedPointError
from ecdsa.util import sigdecode_der, sigencode_der, sigencode_der_canonize

if TYPE_CHECKING:
    coincurve: Any
else:
    try:
        import coincurve
    except ImportError:  # pragma: no cover - the tests have it, and test without it as well
        coincurve = None

__all__ = ["Signer", "Verifier"]

_ORDER: int = SECP256k1.order


class Signer:
    """A private key.

    Arguments:
        number: 32 bytes; `None` makes a new key.

    Raises:
        ValueError: the number is not between 1 and the order of the curve.

    Attributes:
        number: the key, 32 bytes.
        public: x and y of the public key, 64 bytes.
    """

    def __init__(self, number: bytes | None = None) -> None:
        try:
            self._key = SigningKey.from_string(number, SECP256k1) if number else SigningKey.generate(SECP256k1)
        except MalformedPointError:
            raise ValueError("the number is not between 1 and the order of secp256k1") from None
        self.number: bytes = self._key.to_string()
        self.public: bytes = self._key.verifying_key.to_string()
        self._fast = coincurve.PrivateKey(self.number) if coincurve else None

    def sign(self, digest: bytes) -> bytes:
        """Sign a digest of 32 bytes: deterministic (RFC 6979), low-S, in DER."""
        if self._fast is not None:
            fast: bytes = self._fast.sign(digest, hasher=None)
            return fast
        slow: bytes = self._key.sign_digest_deterministic(
            digest, hashfunc=hashlib.sha256, sigencode=sigencode_der_canonize
        )
        return slow


class Verifier:
    """A public key.

    Arguments:
        key: compressed, uncompressed, or x and y alone.

    Raises:
        ValueError: it is not a point of the curve.

    Attributes:
        public: x and y, 64 bytes.
        compressed: 33 bytes.
    """

    def __init__(self, key: bytes) -> None:
        try:
            self._key = VerifyingKey.from_string(key, SECP256k1, valid_encodings=("compressed", "uncompressed", "raw"))
        except MalformedPointError as error:
            raise ValueError("this is no point of secp256k1") from error
        self.public: bytes = self._key.to_string()
        self.compressed: bytes = self._key.to_string("compressed")
        self._fast = coincurve.PublicKey(self.compressed) if coincurve else None

    def verify(self, signature: bytes, digest: bytes) -> bool:
        """Tell whether `signature`, in DER, over a digest of 32 bytes was made by this key; high-S is accepted."""
        try:
            if self._fast is None:
                return bool(self._key.verify_digest(signature, digest, sigdecode=sigdecode_der))
            r, s = sigdecode_der(signature, _ORDER)
        except (ValueError, UnexpectedDER, BadSignatureError):  # not DER, or not made by this key
            return False
        if not (0 < r < _ORDER and 0 < s < _ORDER):
            return False
        # libsecp256k1 accepts only the lower of the two good values of s. Other clients may send the higher one.
        return bool(self._fast.verify(sigencode_der(r, min(s, _ORDER - s), _ORDER), digest, hasher=None))

"""`ECDSA`: a key pair on the curve secp256k1. It signs requests; the bridge knows the signer by the public key."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Literal, overload

from .hashes import ripemd160

if TYPE_CHECKING:
    from .curve import Signer, Verifier

__all__ = ["ECDSA"]

_PUBLIC_FORMS = "compressed (02 or 03), uncompressed (04) or raw (64 bytes), in hex"


class ECDSA:
    """A secp256k1 key pair.

    `ECDSA()` makes a new pair. `ECDSA(public_key, private_key)` restores a pair from the texts that `get_public_key()`
    and `get_private_key()` returned. The private key alone is enough: the public key is computed from it. A pair with
    only a public key verifies signatures and can be added to an account or a bucket, but cannot sign.

    Arguments:
        public_key: compressed, uncompressed or raw (x and y, 64 bytes); in hex, upper or lower case, `str` or `bytes`.
        private_key: 32 bytes in hex, `str` or `bytes`.

    Raises:
        ValueError: the text is not a key, or the two keys do not belong together. The message never shows a private
            key.

    Attributes:
        public_key: x and y, 64 bytes.
        private_key: 32 bytes, or `None`.

    Two pairs with the same public key are equal, even if only one of them can sign. Threads may share a pair.
    """

    def __init__(self, public_key: str | bytes | None = None, private_key: str | bytes | None = None) -> None:
        self._signer: Signer | None = None
        if private_key is not None:
            self._signer = _signer(private_key)
        elif public_key is None:
            self._signer = _curve().Signer()
        if public_key is not None:
            self._verifier = _verifier(public_key)
        else:
            assert self._signer is not None  # there is a private key, given or new
            self._verifier = _curve().Verifier(self._signer.public)
        if self._signer is not None and self._signer.public != self._verifier.public:
            raise ValueError("the public key does not belong to the private key")
        self.public_key: bytes = self._verifier.public
        self.private_key: bytes | None = self._signer.number if self._signer is not None else None

    @overload
    def get_public_key(self, f: Literal["hex", "base64"] = "hex") -> str: ...

    @overload
    def get_public_key(self, f: Literal["bin", "cpub", "hash"]) -> bytes: ...

    @overload
    def get_public_key(self, f: str) -> str | bytes: ...

    def get_public_key(self, f: str = "hex") -> str | bytes:
        """Return the public key in its compressed form, 33 bytes.

        Arguments:
            f: the format. `"hex"`: lower-case hex; `"bin"` or `"cpub"`: the bytes; `"hash"`: their HASH160 (RIPEMD-160
                of SHA-256, 20 bytes); anything else: base64.
        """
        compressed = self._verifier.compressed
        if f == "cpub":
            return compressed
        if f == "hash":
            return ripemd160(hashlib.sha256(compressed).digest())
        return _encode(compressed, f)

    @overload
    def get_private_key(self, f: Literal["hex", "base64"] = "hex") -> str: ...

    @overload
    def get_private_key(self, f: Literal["bin"]) -> bytes: ...

    @overload
    def get_private_key(self, f: str) -> str | bytes: ...

    def get_private_key(self, f: str = "hex") -> str | bytes:
        """Return the private key.

        Arguments:
            f: the format. `"hex"`: lower-case hex; `"bin"`: the 32 bytes; anything else: base64.

        Raises:
            ValueError: the pair has only a public key.
        """
        return _encode(self._signing().number, f)

    def sign(self, msg: str | bytes) -> str:
        """Sign the SHA-256 of `msg` (text as UTF-8) and return the signature: DER, in lower-case hex.

        The signature is deterministic (RFC 6979) and low-S: the same message always gets the same signature.

        Raises:
            ValueError: the pair has only a public key.
        """
        return self._signing().sign(hashlib.sha256(_as_bytes(msg)).digest()).hex()

    def valid_signature(self, signature: str | bytes, msg: str | bytes, public_key: str | bytes | None = None) -> bool:
        """Tell whether this pair, or `public_key`, signed the SHA-256 of `msg`. `signature` is DER in hex.

        The signatures of all Metadisk clients are accepted, those with a high S too. For text that is not a signature
        the answer is `False`.

        Raises:
            ValueError: `public_key` is given and is not a key.
        """
        if not isinstance(signature, str | bytes | bytearray | memoryview):
            raise TypeError(f"a signature is DER in hex, str or bytes, not {type(signature).__name__}")
        verifier = self._verifier if public_key is None else _verifier(public_key)
        digest = hashlib.sha256(_as_bytes(msg)).digest()
        try:
            der = binascii.unhexlify(signature)
        except ValueError:  # not hex
            return False
        return verifier.verify(der, digest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ECDSA):
            return NotImplemented
        return self.public_key == other.public_key

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __reduce__(self) -> tuple[Callable[..., ECDSA], tuple[str, str | None]]:
        """Pickle and copy the pair with its private key, if it has one."""
        private = None if self.private_key is None else self.private_key.hex()
        return ECDSA, (self.public_key.hex(), private)

    def __repr__(self) -> str:
        kind = "key pair" if self._signer is not None else "public key"
        return f"<ECDSA {kind} {self.get_public_key()}>"

    def _signing(self) -> Signer:
        if self._signer is None:
            raise ValueError("this pair has no private key: it can verify, but not sign")
        return self._signer


def _curve() -> ModuleType:
    """Import the curve at its first use: its library loads slower than all of pymdc, and not every program signs."""
    from . import curve

    return curve


def _signer(text: str | bytes) -> Signer:
    key = _unhex(text, "private key", "32 bytes in hex")
    if len(key) != 32:
        raise ValueError(f"not a private key: expected 32 bytes in hex, got {len(key)} bytes")
    try:
        return _curve().Signer(key)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ValueError(f"not a private key: {error}") from None


def _verifier(text: str | bytes) -> Verifier:
    key = _unhex(text, "public key", _PUBLIC_FORMS)
    try:
        return _curve().Verifier(key)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ValueError(f"not a public key: expected a point of secp256k1, {_PUBLIC_FORMS}") from error


def _unhex(text: str | bytes, what: str, expected: str) -> bytes:
    if not isinstance(text, str | bytes):
        raise TypeError(f"a {what} must be str or bytes, not {type(text).__name__}")
    try:
        return binascii.unhexlify(text.rstrip())  # a key read from a file may end in a newline
    except ValueError:
        raise ValueError(f"not a {what}: expected {expected}") from None


def _encode(key: bytes, f: str) -> str | bytes:
    if f == "bin":
        return key
    return key.hex() if f == "hex" else base64.b64encode(key).decode("ascii")


def _as_bytes(text: str | bytes) -> bytes:
    if not isinstance(text, str | bytes | bytearray | memoryview):
        raise TypeError(f"a message is str or bytes, not {type(text).__name__}")
    try:
        return text.encode("utf-8") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise ValueError("a message must not contain half of a surrogate pair, which is not text") from None

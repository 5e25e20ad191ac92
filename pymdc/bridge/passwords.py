"""Passwords: hashed with scrypt, compared in constant time. A verified one passes without scrypt for some time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict

from .settings import PASSWORD_CACHE_SECONDS, PASSWORD_CACHE_SIZE

__all__ = ["Passwords"]

_COST = 2**14  # with r = 8, each guess costs 16 MiB and about 50 ms
_BLOCK = 8
_SALT_BYTES = 16


class Passwords:
    """Hashes and verifies passwords. Threads may share it.

    A "password" here is what clients send: the SHA-256, in hex, of the text that a person typed.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self.dummy_hash = self.hash(secrets.token_hex(32))
        """The hash to verify against when there is no such user: the reply then takes the same time."""

    def hash(self, password: str) -> str:
        """Return the scrypt hash of a password, with its parameters and a new salt, as text for the database."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return f"scrypt${_COST}${_BLOCK}${salt.hex()}${_derive(password, salt, _COST, _BLOCK).hex()}"

    def verify(self, password: str, hashed: str) -> bool:
        """Tell whether `hashed` is the hash of `password`. It takes 50 ms, or nothing if it was verified recently."""
        if self.verified_recently(password, hashed):
            return True
        _, cost, block, salt, expected = hashed.split("$")
        derived = _derive(password, bytes.fromhex(salt), int(cost), int(block))
        good = hmac.compare_digest(derived, bytes.fromhex(expected))
        if good:
            self._remember(self._ticket(password, hashed))
        return good

    def verified_recently(self, password: str, hashed: str) -> bool:
        """Tell whether `verify` has recently accepted this password for this hash. It takes some microseconds."""
        ticket = self._ticket(password, hashed)
        with self._lock:
            return self._verified.get(ticket, 0.0) > time.monotonic()

    def _ticket(self, password: str, hashed: str) -> bytes:
        return hmac.digest(self._key, f"{hashed}\0{password}".encode("utf-8", "replace"), "sha256")

    def _remember(self, ticket: bytes) -> None:
        with self._lock:
            self._verified.pop(ticket, None)
            self._verified[ticket] = time.monotonic() + PASSWORD_CACHE_SECONDS
            if len(self._verified) > PASSWORD_CACHE_SIZE:
                self._verified.popitem(last=False)


def _derive(password: str, salt: bytes, cost: int, block: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=cost, r=block, p=1)

"""Passwords: kept under scrypt, verified in constant time, and once verified, fast for a while."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict

from .settings import PASSWORD_CACHE_SECONDS, PASSWORD_CACHE_SIZE

__all__ = ["Passwords"]

_COST = 2**14  # with r = 8: 16 MiB and some 50 ms for each guess
_BLOCK = 8
_SALT_BYTES = 16


class Passwords:
    """Makes and verifies what is kept of a password. Threads may share it.

    What clients send, and what is called password here, is the SHA-256 of what a person typed, in hex.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self.nobodys = self.protect(secrets.token_hex(32))
        """What to verify against where there is no such user, so that it takes as long."""

    def protect(self, password: str) -> str:
        """Return what is kept of a password."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return f"scrypt${_COST}${_BLOCK}${salt.hex()}${_derive(password, salt, _COST, _BLOCK).hex()}"

    def verify(self, password: str, kept: str) -> bool:
        """Tell whether `kept` was made of `password`. It costs 50 ms, or nothing where it was just verified."""
        if self.knows(password, kept):
            return True
        _, cost, block, salt, expected = kept.split("$")
        derived = _derive(password, bytes.fromhex(salt), int(cost), int(block))
        good = hmac.compare_digest(derived, bytes.fromhex(expected))
        if good:
            self._remember(self._ticket(password, kept))
        return good

    def knows(self, password: str, kept: str) -> bool:
        """Tell whether `verify` found of late that `kept` was made of `password`. It costs some microseconds."""
        ticket = self._ticket(password, kept)
        with self._lock:
            return self._verified.get(ticket, 0.0) > time.monotonic()

    def _ticket(self, password: str, kept: str) -> bytes:
        return hmac.digest(self._key, f"{kept}\0{password}".encode("utf-8", "replace"), "sha256")

    def _remember(self, ticket: bytes) -> None:
        with self._lock:
            self._verified.pop(ticket, None)
            self._verified[ticket] = time.monotonic() + PASSWORD_CACHE_SECONDS
            if len(self._verified) > PASSWORD_CACHE_SIZE:
                self._verified.popitem(last=False)


def _derive(password: str, salt: bytes, cost: int, block: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=cost, r=block, p=1)

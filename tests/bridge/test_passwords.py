from __future__ import annotations

import pytest

from pymdc.bridge import passwords
from pymdc.bridge.passwords import Passwords


def test_a_password_is_hashed_by_scrypt_with_a_salt(real_password_cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_COST", real_password_cost)
    first, second = Passwords().hash("a" * 64), Passwords().hash("a" * 64)
    assert first.startswith("scrypt$16384$8$")
    assert first != second
    assert "a" * 64 not in first


def test_the_right_password_is_verified_and_no_other() -> None:
    passwords = Passwords()
    hashed = passwords.hash("right")
    assert passwords.verify("right", hashed)
    assert not passwords.verify("wrong", hashed)
    assert not passwords.verify("right", passwords.dummy_hash)
    assert not passwords.verify("\ud800", hashed)


def test_a_verified_password_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering, derived = Passwords(), []
    hashed = remembering.hash("right")
    derive = passwords._derive

    def counted(password: str, salt: bytes, cost: int, block: int) -> bytes:
        derived.append(password)
        return derive(password, salt, cost, block)

    monkeypatch.setattr(passwords, "_derive", counted)
    for _ in range(3):
        assert remembering.verify("right", hashed)
    assert len(derived) == 1
    for _ in range(2):
        assert not remembering.verify("wrong", hashed)
    assert len(derived) == 3
    monkeypatch.setattr(passwords, "PASSWORD_CACHE_SECONDS", 0.0)
    other = remembering.hash("other")
    for _ in range(2):
        assert remembering.verify("other", other)
    assert len(derived) == 6


def test_the_number_of_remembered_passwords_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_CACHE_SIZE", 1)
    remembering = Passwords()
    first, second = remembering.hash("first"), remembering.hash("second")
    assert remembering.verify("first", first)
    assert remembering.verify("second", second)
    assert len(remembering._verified) == 1

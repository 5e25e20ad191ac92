"""The two hashes, against the specification and against OpenSSL."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymdc.core import hashes

# Dobbertin, Bosselaers, Preneel (1996), appendix B.
SPECIFICATION = [
    (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
    (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
    (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
    (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
    (b"abcdefghijklmnopqrstuvwxyz", "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
    (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "12a053384a9c0c88e405a06c27dcf49ada62eb2b"),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "b0e20b6e3116640286ed3a87a5713079b21f5189"),
    (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
]


def openssl_has_it() -> bool:
    try:
        hashlib.new("ripemd160", usedforsecurity=False)
    except ValueError:
        return False
    return True


@pytest.fixture
def openssl_without_ripemd160(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenSSL 3 built without its legacy provider: the only way to have one here is to say so."""

    def new(name: str, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", new)


@pytest.mark.parametrize(("message", "digest"), SPECIFICATION)
def test_ripemd160_gives_the_digests_of_the_specification(message: bytes, digest: str) -> None:
    assert hashes.ripemd160(message).hex() == digest


@pytest.mark.parametrize(("message", "digest"), SPECIFICATION)
@pytest.mark.usefixtures("openssl_without_ripemd160")
def test_ripemd160_gives_the_digests_of_the_specification_without_openssl(message: bytes, digest: str) -> None:
    assert hashes.ripemd160(message).hex() == digest


@pytest.mark.skipif(not openssl_has_it(), reason="this OpenSSL has no RIPEMD-160 to compare with")
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_our_own_ripemd160_equals_that_of_openssl(message: bytes) -> None:
    theirs = hashlib.new("ripemd160", message, usedforsecurity=False).digest()
    assert hashes._ripemd160(message) == theirs


@pytest.mark.skipif(not openssl_has_it(), reason="this OpenSSL has no RIPEMD-160 to compare with")
@pytest.mark.parametrize("length", [54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129])
def test_our_own_ripemd160_pads_right_around_the_ends_of_blocks(length: int) -> None:
    message = bytes(range(256))[:length]
    assert hashes._ripemd160(message) == hashlib.new("ripemd160", message, usedforsecurity=False).digest()


def test_content_is_known_by_the_ripemd160_over_the_hex_of_its_sha256() -> None:
    """The vector is computed here from the words of the protocol, by way of the specification's digests."""
    sha256_hex = hashlib.sha256(b"abc").hexdigest()
    assert sha256_hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hashes.content_hash(sha256_hex) == hashes._ripemd160(sha256_hex.encode()).hex()
    assert hashes.content_hash(sha256_hex) != hashes.ripemd160(bytes.fromhex(sha256_hex)).hex()


def test_a_content_hash_is_forty_lower_case_hex_digits() -> None:
    name = hashes.content_hash("0" * 64)
    assert len(name) == 40
    assert name == name.lower()
    assert int(name, 16) > 0

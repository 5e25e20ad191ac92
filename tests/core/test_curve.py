"""The two libraries of the curve give the same bytes and the same answers."""

from __future__ import annotations

import hashlib
import os

import pytest
from ecdsa import SECP256k1
from ecdsa.util import sigdecode_der, sigencode_der

from pymdc.core import curve

ORDER = SECP256k1.order
DIGEST = hashlib.sha256(b"message").digest()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "coincurve", None)


def test_both_libraries_sign_with_the_same_bytes_and_accept_each_others_signatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(200):
        number, digest = os.urandom(32), os.urandom(32)
        fast = curve.Signer(number)
        with monkeypatch.context() as patch:
            patch.setattr(curve, "coincurve", None)
            slow = curve.Signer(number)
            verifier = curve.Verifier(slow.public)
        assert fast.public == slow.public
        signature = slow.sign(digest)
        assert fast.sign(digest) == signature
        assert curve.Verifier(fast.public).verify(signature, digest)
        assert verifier.verify(signature, digest)


def high(signature: bytes) -> bytes:
    r, s = sigdecode_der(signature, ORDER)
    return bytes(sigencode_der(r, ORDER - s, ORDER))


SIGNER = curve.Signer(b"\x11" * 32)
GOOD = SIGNER.sign(DIGEST)
R, S = sigdecode_der(GOOD, ORDER)
SIGNATURES = {
    "good": (GOOD, True),
    "high-S": (high(GOOD), True),
    "another": (SIGNER.sign(bytes(32)), False),
    "empty": (b"", False),
    "no DER": (b"\x30\x06\x02\x01\x00", False),
    "followed by more": (GOOD + b"x", False),
    "r is 0": (bytes(sigencode_der(0, S, ORDER)), False),
    "s is 0": (bytes(sigencode_der(R, 0, ORDER)), False),
    "r is too large": (bytes(sigencode_der(ORDER + R, S, ORDER)), False),
    "s is the order": (bytes(sigencode_der(R, ORDER, ORDER)), False),
    "s is too large": (bytes(sigencode_der(R, ORDER + S, ORDER)), False),
}


@pytest.mark.parametrize(("signature", "good"), SIGNATURES.values(), ids=SIGNATURES)
def test_libsecp256k1_tells_good_signatures_from_others(signature: bytes, good: bool) -> None:
    assert curve.Verifier(SIGNER.public).verify(signature, DIGEST) is good


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(("signature", "good"), SIGNATURES.values(), ids=SIGNATURES)
def test_python_ecdsa_tells_good_signatures_from_others(signature: bytes, good: bool) -> None:
    assert curve.Verifier(SIGNER.public).verify(signature, DIGEST) is good

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.bridge import curve
from pymdc.keypair import ECDSA

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PAIR = ECDSA(private_key="11" * 32)
POINT = PAIR.get_public_key()


def parsed(text: str) -> curve.Signature:
    signature = curve.parse_signature(text)
    assert signature is not None
    return signature


def test_a_signature_is_verified() -> None:
    signature = parsed(PAIR.sign("message"))
    assert curve.verify(POINT, signature, b"message")
    assert not curve.verify(POINT, signature, b"another message")
    assert not curve.verify(ECDSA().get_public_key(), signature, b"message")


def test_both_forms_of_a_signature_are_one() -> None:
    low = parsed(PAIR.sign("message"))
    high = parsed(curve.Signature(low.r, ORDER - low.s).der().hex())
    assert high == low
    assert curve.verify(POINT, high, b"message")
    assert len(low.raw()) == 64


@pytest.mark.parametrize(
    "text",
    [
        "", "zz", "30", "deadbeef", "3006020100020101", "3006020101020100", "300602010102ff01", "3007020101020101",
        "300602010102010100", "310602010102010100", "30060201ff020101", "3006030101020101", "é",
        f"3026020101022100{ORDER:064x}",
    ],
)  # fmt: skip
def test_text_that_is_not_a_signature_is_read_as_none(text: str) -> None:
    assert curve.parse_signature(text) is None


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    curve.parse_signature(data.hex())


@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_the_encoding_is_read_back(r: int, s: int) -> None:
    signature = curve.Signature(r, min(s, ORDER - s))
    assert curve.parse_signature(signature.der().hex()) == signature


def test_every_form_of_a_key_is_the_same_point() -> None:
    raw = PAIR.public_key.hex()
    assert {curve.point(form) for form in (POINT, POINT.upper(), "04" + raw, raw)} == {POINT}

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.bridge import curve
from pymdc.keypair import ECDSA

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PAIR = ECDSA(private_key="11" * 32)
POINT = PAIR.get_public_key()


@pytest.fixture(params=["coincurve", "pure Python"])
def either(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The module with and without the optional library."""
    if request.param == "coincurve":
        pytest.importorskip("coincurve")
        yield curve
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "coincurve", None)
        yield importlib.reload(curve)
    importlib.reload(curve)


def test_a_signature_is_verified(either: Any) -> None:
    signature = either.parse_signature(PAIR.sign("message"))
    assert either.verify(POINT, signature, b"message")
    assert not either.verify(POINT, signature, b"another message")
    assert not either.verify(ECDSA().get_public_key(), signature, b"message")


def test_both_forms_of_a_signature_are_one(either: Any) -> None:
    low = either.parse_signature(PAIR.sign("message"))
    high = either.parse_signature(either.Signature(low.r, ORDER - low.s).der().hex())
    assert high == low
    assert either.verify(POINT, high, b"message")
    assert len(low.raw()) == 64


@pytest.mark.parametrize(
    "text",
    [
        "", "zz", "30", "deadbeef", "3006020100020101", "3006020101020100", "300602010102ff01", "3007020101020101",
        "300602010102010100", "310602010102010100", "30060201ff020101", "3006030101020101", "é",
        f"3026020101022100{ORDER:064x}",
    ],
)  # fmt: skip
def test_what_is_no_signature_is_none(text: str) -> None:
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

"""BinaryPack, against bytes that js-binarypack made, and its types one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.transfers.binarypack import pack, unpack

REQUEST = {"token": "abc", "hash": "d" * 40, "operation": "PULL"}


def test_a_request_is_packed_as_js_binarypack_packs_it() -> None:
    """The output of `binarypack.pack([1, {...}, 0])`, binarypack 0.0.4 under node."""
    golden = "930183b5746f6b656eb3616263b468617368d80028" + "64" * 40 + "b96f7065726174696f6eb450554c4c00"
    assert pack([1, REQUEST, 0]).hex() == golden
    assert unpack(bytes.fromhex(golden)) == [1, REQUEST, 0]


@pytest.mark.parametrize(
    ("golden", "value"),
    [
        ("9302a568656c6c6f00", [2, b"hello", 0]),
        ("9305c000", [5, None, 0]),
        ("930282b76d657373616765b26e6fb56572726f72c300", [2, {"message": "no", "error": True}, 0]),
    ],
)
def test_bytes_that_js_binarypack_packs_are_unpacked(golden: str, value: Any) -> None:
    assert unpack(bytes.fromhex(golden)) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("7f", 127),
        ("ff", -1),
        ("e0", -32),
        ("c0", None),
        ("c1", None),
        ("c2", False),
        ("c3", True),
        ("ca3fc00000", 1.5),
        ("cb3ff8000000000000", 1.5),
        ("ccff", 255),
        ("cd0100", 256),
        ("ce00010000", 65536),
        ("cf0000000100000000", 2**32),
        ("d0ff", -1),
        ("d1ff00", -256),
        ("d2ffffffff", -1),
        ("d3ffffffff00000000", -(2**32)),
        ("a0", b""),
        ("a2ff00", b"\xff\x00"),
        ("b0", ""),
        ("b2c3a9", "é"),
        ("d80001" + "61", "a"),
        ("d900000001" + "61", "a"),
        ("da0001" + "61", b"a"),
        ("db00000001" + "61", b"a"),
        ("dc0002c0c3", [None, True]),
        ("dd00000001c0", [None]),
        ("de0001b161c0", {"a": None}),
        ("df00000001b161c0", {"a": None}),
        ("8105c0", {"5": None}),
    ],
)
def test_each_type_has_its_byte(data: str, value: Any) -> None:
    unpacked = unpack(bytes.fromhex(data))
    assert (unpacked, type(unpacked)) == (value, type(value))


@pytest.mark.parametrize(
    "data", ["", "a5", "cd01", "9301", "81b161", "c4", "d7", "0000", "b1ff", "91" * 40 + "00", "dc0041" + "00" * 65]
)
def test_bytes_that_are_not_binarypack_are_a_value_error(data: str) -> None:
    with pytest.raises(ValueError):
        unpack(bytes.fromhex(data))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        unpack(data)
    except ValueError:
        return


@pytest.mark.parametrize("size", [0xDD, 0xDF, 0xDB, 0xD9])
def test_a_false_length_costs_no_memory(size: int) -> None:
    with pytest.raises(ValueError):
        unpack(bytes([size]) + b"\xff\xff\xff\xff")


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=300), max_size=15))
def test_packed_values_are_unpacked_again(request_: dict[str, str]) -> None:
    assert unpack(pack([1, request_, 0])) == [1, request_, 0]


@pytest.mark.parametrize("size", [15, 16, 65_535, 65_536])
def test_a_text_of_any_length_is_packed(size: int) -> None:
    assert unpack(pack(["x" * size])) == ["x" * size]


def test_half_a_character_is_packed_as_a_question_mark() -> None:
    assert unpack(pack("\ud800")) == "?"

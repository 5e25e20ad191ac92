"""Key pairs: golden vectors made by three other libraries, and properties over all keys and messages."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigdecode_der, sigencode_der
from hypothesis import given, settings
from hypothesis import strategies as st

import pymdc
from pymdc.keypair import ECDSA

ORDER = SECP256k1.order
FIELD = 2**256 - 2**32 - 977

KEYS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "keypair.json").read_text())["keys"]
SIGNED = [(key, signed) for key in KEYS for signed in key["signatures"]]

secrets_ = st.integers(1, ORDER - 1).map(lambda number: f"{number:064x}")
messages = st.one_of(st.binary(max_size=300), st.text(max_size=300))
quick = settings(deadline=None, max_examples=30)


def as_bytes(message: str | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.encode()


def forms(key: dict[str, Any]) -> list[str]:
    return [key["public_key_hex"], key["public_key_uncompressed_hex"], key["public_key_raw64_hex"]]


def high_s(signature: str) -> str:
    """The other signature over the same message: n - s in place of s, which OpenSSL makes half of the time."""
    r, s = sigdecode_der(bytes.fromhex(signature), ORDER)
    return str(sigencode_der(r, ORDER - s, ORDER).hex())


# Making and restoring


@pytest.mark.parametrize("key", KEYS)
def test_a_private_key_gives_the_golden_public_key_in_every_format(key: dict[str, Any]) -> None:
    pair = ECDSA(private_key=key["private_key_hex"])
    assert pair.get_public_key() == pair.get_public_key("hex") == key["public_key_hex"]
    assert pair.get_public_key("bin") == pair.get_public_key("cpub") == bytes.fromhex(key["public_key_hex"])
    assert pair.get_public_key("hash") == bytes.fromhex(key["public_key_hash160_hex"])
    assert pair.get_public_key("base64") == pair.get_public_key("") == key["public_key_base64"]
    assert pair.get_private_key() == pair.get_private_key(f="hex") == key["private_key_hex"]
    assert pair.get_private_key("bin") == bytes.fromhex(key["private_key_hex"])
    assert pair.get_private_key("base64") == pair.get_private_key("b64") == key["private_key_base64"]
    assert pair.public_key == bytes.fromhex(key["public_key_raw64_hex"])
    assert pair.private_key == bytes.fromhex(key["private_key_hex"])


@pytest.mark.parametrize("key", KEYS)
def test_every_form_of_a_public_key_gives_the_same_pair(key: dict[str, Any]) -> None:
    for form in forms(key):
        for text in (form, form.upper(), form.encode(), form.upper().encode()):
            assert ECDSA(text).get_public_key() == key["public_key_hex"]
            assert ECDSA(public_key=text).public_key == bytes.fromhex(key["public_key_raw64_hex"])


@quick
@given(secrets_)
def test_the_keys_that_the_getters_return_restore_the_pair(secret: str) -> None:
    pair = ECDSA(private_key=secret)
    for again in (
        ECDSA(pair.get_public_key(), pair.get_private_key()),
        ECDSA(pair.get_public_key().upper().encode(), pair.get_private_key().upper().encode()),
        ECDSA(None, pair.get_private_key()),
        ECDSA(pair.public_key.hex(), pair.get_private_key()),
    ):
        assert again == pair
        assert again.get_private_key() == secret


def test_each_new_pair_has_another_key() -> None:
    pairs = [ECDSA() for _ in range(5)]
    assert len({pair.private_key for pair in pairs}) == 5
    assert all(len(pair.private_key or b"") == 32 and len(pair.public_key) == 64 for pair in pairs)
    assert all(pair.valid_signature(pair.sign("x"), "x") for pair in pairs)


def test_the_historic_import_path_gives_the_same_class() -> None:
    assert pymdc.keypair.ECDSA is pymdc.api.ECDSA is ECDSA


def test_keys_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="does not belong to the private key") as caught:
        ECDSA(KEYS[0]["public_key_hex"], KEYS[5]["private_key_hex"])
    assert KEYS[5]["private_key_hex"] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "got 0 bytes"),
        ("00" * 31, "got 31 bytes"),
        ("00" * 33, "got 33 bytes"),
        ("11" * 32 + "1", "32 bytes in hex"),
        ("zz" * 32, "32 bytes in hex"),
        ("é" * 64, "32 bytes in hex"),
        ("00" * 32, "between 1 and the order"),
        (f"{ORDER:064x}", "between 1 and the order"),
        ("ff" * 32, "between 1 and the order"),
        (b"\x11" * 32, "32 bytes in hex"),
    ],
)
def test_a_wrong_private_key_is_a_value_error_that_does_not_repeat_it(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        ECDSA(private_key=text)
    assert not text or str(text) not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # nor does its traceback


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02",
        "zz" * 33,
        "é",
        "02" + "00" * 32,  # no point has x = 0
        f"02{FIELD:064x}",  # not below the field's prime
        f"03{FIELD + 1:064x}",  # nor this, although 1 is the x of a point
        "05" + KEYS[0]["public_key_hex"][2:],
        "06" + KEYS[0]["public_key_uncompressed_hex"][2:],  # the hybrid form, which no client of the time uses
        KEYS[0]["public_key_hex"][:-2],
        KEYS[0]["public_key_hex"] + "00",
        KEYS[0]["public_key_uncompressed_hex"][:-2] + "00",
        "00" * 64,
        "02" + "g" * 64,
        " " + KEYS[0]["public_key_hex"],
        KEYS[0]["public_key_base64"],
        KEYS[0]["private_key_hex"],
    ],
)
def test_a_wrong_public_key_is_a_value_error_that_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a public key: expected .*compressed"):
        ECDSA(text)


@pytest.mark.parametrize("wrong", [5, b"", {"key": "02"}, ["02"], object()])
def test_a_key_that_is_neither_text_nor_bytes_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ECDSA(wrong)
    with pytest.raises((TypeError, ValueError)):
        ECDSA(private_key=wrong)


def test_a_type_error_names_the_type_and_not_the_key() -> None:
    with pytest.raises(TypeError, match="a private key must be str or bytes, not int"):
        ECDSA(private_key=12345)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.text(max_size=140), st.binary(max_size=140), st.binary(max_size=70).map(bytes.hex)))
def test_arbitrary_text_is_a_key_or_a_value_error_and_nothing_else(text: str | bytes) -> None:
    for role in ("public_key", "private_key"):
        try:
            pair = ECDSA(**{role: text})
        except ValueError:
            continue
        assert pair == ECDSA(pair.get_public_key())


# Public keys alone


def test_a_public_key_alone_verifies_but_neither_signs_nor_has_a_private_key() -> None:
    alone = ECDSA(KEYS[0]["public_key_hex"])
    assert alone.private_key is None
    assert alone.valid_signature(KEYS[0]["signatures"][0]["rfc6979_low_s_der_hex"], KEYS[0]["signatures"][0]["message"])
    with pytest.raises(ValueError, match="no private key"):
        alone.sign("x")
    with pytest.raises(ValueError, match="no private key"):
        alone.get_private_key()


# Signatures


@pytest.mark.parametrize(("key", "signed"), SIGNED)
def test_signatures_are_the_golden_ones(key: dict[str, Any], signed: dict[str, str]) -> None:
    pair = ECDSA(private_key=key["private_key_hex"])
    assert pair.sign(signed["message"]) == signed["rfc6979_low_s_der_hex"]
    assert pair.sign(signed["message"].encode()) == signed["rfc6979_low_s_der_hex"]


@pytest.mark.parametrize(("key", "signed"), SIGNED)
def test_golden_signatures_hold_in_either_form_of_s(key: dict[str, Any], signed: dict[str, str]) -> None:
    pair = ECDSA(key["public_key_hex"])
    signature = signed["rfc6979_low_s_der_hex"]
    for text in (signature, signature.upper(), signature.encode(), high_s(signature)):
        assert pair.valid_signature(text, signed["message"]) is True
        assert pair.valid_signature(text, signed["message"] + "x") is False


@quick
@given(secrets_, messages)
def test_signatures_are_low_s_and_deterministic_and_openssl_accepts_them(secret: str, message: str | bytes) -> None:
    pair = ECDSA(private_key=secret)
    signature = pair.sign(message)
    assert signature == signature.lower() == pair.sign(message)
    assert sigdecode_der(bytes.fromhex(signature), ORDER)[1] <= ORDER // 2
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), pair.get_public_key("bin"))
    theirs.verify(bytes.fromhex(signature), as_bytes(message), ec.ECDSA(hashes.SHA256()))


@quick
@given(secrets_, messages)
def test_our_own_signatures_are_valid_and_high_s_ones_too(secret: str, message: str | bytes) -> None:
    pair = ECDSA(private_key=secret)
    signature = pair.sign(message)
    assert high_s(signature) != signature
    assert pair.valid_signature(signature, message)
    assert pair.valid_signature(high_s(signature), message)


@quick
@given(secrets_, messages)
def test_signatures_of_openssl_are_valid(secret: str, message: str | bytes) -> None:
    theirs = ec.derive_private_key(int(secret, 16), ec.SECP256K1())
    signature = theirs.sign(as_bytes(message), ec.ECDSA(hashes.SHA256()))
    assert ECDSA(private_key=secret).valid_signature(signature.hex(), message)


@quick
@given(secrets_, messages)
def test_signatures_of_an_undeterministic_client_of_python_2_are_valid(secret: str, message: str | bytes) -> None:
    theirs = SigningKey.from_string(bytes.fromhex(secret), curve=SECP256k1, hashfunc=hashlib.sha256)
    signature = theirs.sign(as_bytes(message), sigencode=sigencode_der)
    assert ECDSA(private_key=secret).valid_signature(signature.hex(), message)


@pytest.mark.parametrize("form", forms(KEYS[1]))
def test_a_signature_can_be_checked_against_another_key(form: str) -> None:
    other = ECDSA(private_key=KEYS[1]["private_key_hex"])
    mine = ECDSA()
    assert mine.valid_signature(other.sign("x"), "x", form)
    assert mine.valid_signature(other.sign("x"), "x", public_key=form.upper().encode())
    assert not mine.valid_signature(other.sign("x"), "x")
    assert not mine.valid_signature(mine.sign("x"), "x", form)


def test_verifying_with_a_wrong_key_is_a_value_error() -> None:
    pair = ECDSA()
    with pytest.raises(ValueError, match="not a public key"):
        pair.valid_signature(pair.sign("x"), "x", "02")


def der(r: bytes, s: bytes) -> str:
    body = b"\x02" + bytes([len(r)]) + r + b"\x02" + bytes([len(s)]) + s
    return (b"\x30" + bytes([len(body)]) + body).hex()


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "é",
        "30",
        "3006",
        "3006020101",
        der(b"", b""),
        der(b"\x00", b"\x00"),
        der(b"\x01", b"\x01"),
        der(b"\x81", b"\x81"),  # negative
        der(ORDER.to_bytes(33, "big"), b"\x01"),
        der(b"\x01", ORDER.to_bytes(33, "big")),
        der((ORDER + 1).to_bytes(33, "big"), b"\x01"),
        "30ff",
        "3080020101020101",
        "3084ffffffff020101020101",
        "00" * 72,
        "ff" * 72,
        b"\xff\xfe",
    ],
)
def test_garbage_is_not_a_signature(garbage: str | bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert ECDSA(KEYS[0]["public_key_hex"]).valid_signature(garbage, "x") is False
    assert capsys.readouterr() == ("", "")


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.binary(max_size=80).map(bytes.hex)))
def test_arbitrary_text_is_not_a_signature(garbage: str | bytes) -> None:
    assert ECDSA(KEYS[0]["public_key_hex"]).valid_signature(garbage, "x") is False


@quick
@given(st.data())
def test_a_signature_with_one_flipped_bit_is_not_valid(data: st.DataObject) -> None:
    signature = bytearray.fromhex(KEYS[0]["signatures"][0]["rfc6979_low_s_der_hex"])
    position = data.draw(st.integers(0, len(signature) - 1))
    signature[position] ^= 1 << data.draw(st.integers(0, 7))
    pair = ECDSA(KEYS[0]["public_key_hex"])
    assert pair.valid_signature(signature.hex(), KEYS[0]["signatures"][0]["message"]) is False


def test_a_message_that_is_neither_text_nor_bytes_is_a_type_error() -> None:
    """`bytes(5)` is five zero bytes: a number must not be signed as if it were they."""
    pair = ECDSA()
    with pytest.raises(TypeError):
        pair.sign(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pair.valid_signature(pair.sign(b"\x00" * 5), 5)  # type: ignore[arg-type]


def test_threads_may_share_a_pair() -> None:
    pair = ECDSA(private_key=KEYS[5]["private_key_hex"])
    messages = [f"message {i}" for i in range(40)]
    signatures: dict[str, str] = {}
    start = threading.Barrier(4)

    def work(share: list[str]) -> None:
        start.wait(10)
        signatures.update({message: pair.sign(message) for message in share})

    threads = [threading.Thread(target=work, args=(messages[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signatures == {message: pair.sign(message) for message in messages}


# Equality and representation


def test_pairs_with_the_same_key_are_equal_and_hash_alike() -> None:
    pair = ECDSA(private_key=KEYS[0]["private_key_hex"])
    alone = ECDSA(KEYS[0]["public_key_uncompressed_hex"])
    assert pair == alone
    assert hash(pair) == hash(alone)
    assert {pair, alone} == {pair}
    assert pair != ECDSA(private_key=KEYS[1]["private_key_hex"])
    assert pair != KEYS[0]["public_key_hex"]


def test_the_repr_tells_the_public_key_and_never_the_private_one() -> None:
    pair = ECDSA(private_key=KEYS[7]["private_key_hex"])
    assert repr(pair) == f"<ECDSA key pair {KEYS[7]['public_key_hex']}>"
    assert repr(ECDSA(pair.get_public_key())) == f"<ECDSA public key {KEYS[7]['public_key_hex']}>"
    for secret in (KEYS[7]["private_key_hex"], KEYS[7]["private_key_base64"], repr(pair.private_key)):
        assert secret not in repr(pair)
        assert secret not in str(pair)


def test_base64_is_that_of_the_standard_library() -> None:
    pair = ECDSA()
    assert base64.b64decode(pair.get_public_key("base64")) == pair.get_public_key("bin")
    assert pair.private_key is not None
    assert base64.b64decode(pair.get_private_key("base64")) == pair.private_key


@pytest.mark.parametrize("pair", [ECDSA(), ECDSA(ECDSA().get_public_key())], ids=["both keys", "the public key"])
def test_a_pair_pickles_and_copies(pair: ECDSA) -> None:
    for other in (pickle.loads(pickle.dumps(pair)), copy.copy(pair), copy.deepcopy(pair)):
        assert other == pair
        assert (other.public_key, other.private_key) == (pair.public_key, pair.private_key)
        if pair.private_key is not None:
            assert other.sign("text") == pair.sign("text")


def test_a_key_in_hex_may_end_in_a_newline_as_in_a_file() -> None:
    pair = ECDSA()
    public, private = pair.get_public_key(), pair.get_private_key()
    for end in ("\n", "\r\n"):
        assert ECDSA(public + end, private + end) == ECDSA(public.encode() + end.encode()) == pair

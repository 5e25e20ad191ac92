"""Reading the bytes of a reply, with plain values."""

from __future__ import annotations

import bisect
import gc
import gzip
import json
import os
import tracemalloc
import zlib
from http.client import HTTPException, IncompleteRead

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc import config
from pymdc.core import replies, wire
from pymdc.core.replies import Content, ReplyStart, decoding_is_bounded

MIB = 1024 * 1024


def content(encoding: str, *pieces: bytes) -> bytes:
    made = Content(encoding)
    for piece in pieces:
        made.add(piece)
    return made.finish()


# The content's encoding


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_content_that_is_not_encoded_is_unchanged(encoding: str) -> None:
    assert content(encoding, b"ab", b"", b"c") == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP"])
def test_one_layer_of_gzip_is_unpacked_however_it_is_cut(encoding: str) -> None:
    data = os.urandom(3000) + bytes(3000)
    packed = gzip.compress(data)
    assert content(encoding, packed) == data
    assert content(encoding, *[packed[i : i + 1] for i in range(len(packed))]) == data
    assert content(encoding) == b""  # the reply to a HEAD


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,identity", "br", "zstd", "deflate", "what\nelse", "*"])
def test_any_other_encoding_is_an_error(encoding: str) -> None:
    with pytest.raises(HTTPException, match="an encoding that was not asked for"):
        Content(encoding)


def test_gzip_that_is_cut_short_is_an_incomplete_read_with_what_came() -> None:
    data = os.urandom(5000)
    with pytest.raises(IncompleteRead) as caught:
        content("gzip", gzip.compress(data)[:-9])
    assert caught.value.partial
    assert data.startswith(caught.value.partial)


@pytest.mark.parametrize("packed", [b"no gzip", zlib.compress(b"x"), gzip.compress(b"x", mtime=0) + b"more"])
def test_a_body_that_is_not_gzip_is_an_error(packed: bytes) -> None:
    with pytest.raises(HTTPException, match="cannot be decoded"):
        content("gzip", packed)


def test_a_bomb_of_gzip_is_not_unpacked_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MAX_REPLY_BYTES", 1 * MIB)
    bomb = gzip.compress(bytes(100 * MIB))
    tracemalloc.start()
    with pytest.raises(HTTPException, match="larger than 1048576 bytes"):
        content("gzip", bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * MIB


def test_packed_content_that_is_too_large_itself_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty blocks without end unpack to nothing."""
    monkeypatch.setattr(config, "MAX_REPLY_BYTES", 1000)
    empty_block = b"\x00\x00\x00\xff\xff"
    with pytest.raises(HTTPException, match="larger than 1000 bytes"):
        content("gzip", gzip.compress(b"")[:10], *[empty_block] * 300)


# Memory of decoded JSON


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b'{"a":1},', b"[[[]]],", b'{"a":{}},', b"1,"], ids=lambda piece: piece.decode()
)
def test_json_that_would_take_far_more_memory_than_it_is_long_is_not_decoded(piece: bytes) -> None:
    body = b"[" + piece * (16 * MIB // len(piece)) + b"1]"
    tracemalloc.start()
    value = wire.decode(wire.Reply("http://h/", 200, "OK", [], body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MIB
    assert type(value) is HTTPException


@pytest.mark.parametrize(
    "piece",
    [
        *("[],", "{},", '{"a":1},', "[[[]]],", "1,", "1.5,", "12345,", '"ab",', '"\u0100\u0100",', '"\U0001f600a",'),
        *('"abcdefgh",', '{"a":{"b":[]}},', '{"abc":"def"},', '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6},', '{"%06x":1},'),
    ],
)
def test_json_that_is_decoded_takes_at_most_sixteen_times_its_size(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many values as are accepted without the fixed allowance, among text with the widest characters."""
    monkeypatch.setattr(replies, "_FREE_BYTES", 0)
    size = MIB // 2
    pieces = [(piece % number if "%" in piece else piece).encode() for number in range(size // len(piece))]

    def body(count: int) -> bytes:
        content = b"".join(pieces[:count])
        return b"[" + content + b'"\xf0\x9f\x98\x80' + b"x" * (size - len(content)) + b'"]'

    most = bisect.bisect_left(range(len(pieces)), True, key=lambda count: not decoding_is_bounded(body(count + 1)))
    assert most > 500
    taken = body(most)
    gc.collect()
    tracemalloc.start()
    value = json.loads(taken)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(value) == most + 1
    assert peak <= 16 * len(taken) + MIB // 4


def test_a_listing_of_very_many_files_is_decoded() -> None:
    entry = {"bucket": "5" * 24, "mimetype": "image/png", "filename": "a,b,{c}.png", "size": 1234567, "hash": "a" * 40}
    body = json.dumps([entry] * 150_000).encode()
    assert decoding_is_bounded(body)
    assert len(json.loads(body)) == 150_000


@pytest.mark.parametrize("text", [b"1,2,", b"[[{{", rb"\"[[", rb"\\[["])
def test_brackets_in_strings_do_not_count(text: bytes) -> None:
    body = b'["' + text * (4 * MIB) + b'"]'
    assert decoding_is_bounded(body)


@pytest.mark.parametrize("atom", [b'"', rb"\"", rb"\\", b"[", b'"["', b"\\", b'["\\"'])
def test_the_time_is_proportional_to_the_length_whatever_the_text(atom: bytes) -> None:
    decoding_is_bounded(b"[" + atom * (4 * MIB // len(atom)))  # a pattern that goes back would never end


def test_text_that_is_not_json_is_not_judged() -> None:
    assert decoding_is_bounded(b"<p>" + b"{},[]" * (4 * MIB))


# Interim replies

FINAL = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nHTTP/1.1 100 this is content\r\n\r\n"
interim = st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 199 \r\na: b\r\n\r\n", b"HTTP/1.1 103\r\n\r\n"])


@given(st.lists(interim, max_size=5), st.lists(st.integers(1, 40), max_size=20))
def test_interim_replies_are_left_out_however_the_bytes_are_cut(before: list[bytes], cuts: list[int]) -> None:
    data, start, out = b"".join(before) + FINAL, ReplyStart(), b""
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        if piece:
            out += start.feed(piece)
            assert FINAL.startswith(out)
            assert start.begun == (out != b"")
    assert out == FINAL
    assert start.complete
    assert start.is_http


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 404", b"HTTP/2 100\r\n\r\n", b"\x16\x03", b"HTTP/1.1_100 x\r\n\r\n"],
)
def test_a_reply_that_is_not_interim_is_passed_on_at_once(data: bytes) -> None:
    assert ReplyStart().feed(data) == data


@given(st.binary(min_size=1, max_size=30))
def test_nothing_that_comes_is_lost_but_interim_replies(data: bytes) -> None:
    start = ReplyStart()
    given_on = start.feed(data)
    assert given_on in (data, b"")
    assert start.begun == (given_on == data)


def test_there_is_a_limit_on_the_number_and_the_length_of_interim_replies() -> None:
    start = ReplyStart()
    for _ in range(config.MAX_INTERIM_REPLIES):
        assert start.feed(b"HTTP/1.1 100 Continue\r\n\r\n") == b""
    with pytest.raises(HTTPException, match="no end"):
        start.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    start = ReplyStart()
    with pytest.raises(HTTPException, match="no end"):
        start.feed(b"HTTP/1.1 100 Continue\r\nx: " + bytes(70_000))

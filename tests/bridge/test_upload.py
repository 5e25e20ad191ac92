from __future__ import annotations

import contextlib
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.bridge.errors import Refused
from pymdc.bridge.upload import FilePart, boundary, file_name

from .harness import BOUNDARY, multipart


def parse(body: bytes, cuts: list[int] | None = None) -> tuple[FilePart, bytes]:
    part, ends = FilePart(BOUNDARY), sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or [])})
    pieces = [body[start:end] for start, end in itertools.pairwise(ends)]
    data = b"".join(found for piece in pieces for found in part.feed(piece))
    part.finish()
    return part, data


@given(
    data=st.binary(max_size=300) | st.sampled_from([b"\r\n--", f"\r\n--{BOUNDARY[:-1]}".encode(), b"\r\n\r\n", b"--"]),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_any_file_of_any_name_is_found_however_the_body_is_cut(data: bytes, name: str, cuts: list[int]) -> None:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    part, found = parse(multipart(data, escaped), cuts)
    last = re.split(r"[/\\]", name)[-1]
    assert (found, part.name) == (data, "" if last in (".", "..") else last)


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=5))
def test_no_bytes_break_the_parser(data: bytes, cuts: list[int]) -> None:
    for body in (data, multipart(b"x").replace(b"form-data", data)):
        with contextlib.suppress(Refused):
            parse(body, cuts)


@pytest.mark.parametrize("text", ["", "multipart/mixed; boundary=x", "text/plain", None])
def test_a_body_that_is_not_multipart_is_refused(text: str | None) -> None:
    with pytest.raises(Refused, match=r"^The body is not multipart/form-data$"):
        boundary(text)


@pytest.mark.parametrize(
    "text", ["multipart/form-data", "Multipart/Form-Data; charset=utf-8", 'multipart/form-data; boundary=""']
)
def test_a_body_without_a_boundary_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="has no multipart boundary"):
        boundary(text)


def test_the_boundary_may_be_quoted() -> None:
    assert boundary('multipart/form-data; boundary="a b"') == "a b"


def test_a_wrong_boundary_is_refused() -> None:
    with pytest.raises(Refused, match=r"^Malformed multipart data: "):
        FilePart("a\nb")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="data"; filename="hello.txt"', "hello.txt"),
        ('form-data; name="data"; filename="a;b.txt"', "a;b.txt"),
        ("form-data; name=data; filename=plain.txt", "plain.txt"),
        ('form-data; name="data"; filename="a%20b %22.txt"', "a%20b %22.txt"),
        ('form-data; name="data"; filename="a\\"b.txt"', 'a"b.txt'),
        ('form-data; name="data"; filename="C:\\dir\\w.txt"', "w.txt"),
        ('form-data; name="data"; filename="/etc/dir/p.txt"', "p.txt"),
        ('form-data; name="data"; filename="../.."', ""),
        ('form-data; name="data"; filename="dir/"', ""),
        ('form-data; name="data"; filename=""', ""),
        ("form-data; name=\"data\"; filename*=UTF-8''caf%C3%A9.txt", "café.txt"),
        ("form-data; name=\"data\"; filename*=UTF-8''x.txt; filename=y.txt", "y.txt"),
        ('form-data; name="filename=x"', None),
        ('form-data; name="data"', None),
        ("", None),
    ],
)
def test_a_name_is_the_last_part_of_the_path_that_was_sent(disposition: str, name: str | None) -> None:
    assert file_name(disposition) == name


def test_names_are_utf_8() -> None:
    assert file_name('form-data; filename="{}"'.format("☃.txt".encode().decode("latin-1"))) == "☃.txt"
    assert file_name('form-data; filename="caf\xe9.txt"') == "caf\ufffd.txt"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(None, "text/plain"), ("IMAGE/PNG", "image/png"), ("text/html; charset=x", "text/html"), ("garbage", "garbage")],
)
def test_the_type_is_that_of_the_part(kind: str | None, expected: str) -> None:
    assert parse(multipart(b"data", kind=kind))[0].mimetype == expected


def test_the_first_file_counts() -> None:
    body = multipart(b"", None) + multipart(b"first", "1") + multipart(b"second", "2")
    joined = body.replace(f"--{BOUNDARY}--\r\n--{BOUNDARY}".encode(), f"--{BOUNDARY}".encode())
    part, data = parse(joined)
    assert (part.name, data) == ("1", b"first")


def test_bytes_without_a_name_are_a_file() -> None:
    part, data = parse(multipart(b"data", None, "application/octet-stream"))
    assert (part.name, data) == ("", b"data")


def test_a_field_is_not_a_file() -> None:
    with pytest.raises(Refused, match=r"^No file in the multipart data$"):
        parse(multipart(b"data", None))


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(Refused, match=r"^Unexpected end of multipart data$"):
        parse(multipart(b"data")[:-10])


def test_a_malformed_part_is_refused() -> None:
    with pytest.raises(Refused, match=r"^Malformed multipart data: "):
        parse(multipart(b"data").replace(b"form-data", b"attachment"))


def test_bytes_after_the_end_of_the_body_do_not_count() -> None:
    assert parse(multipart(b"data") + b"anything")[1] == b"data"

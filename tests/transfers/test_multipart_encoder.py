"""The body of an upload: parsed back by a parser that is not ours, and sent whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multipart import MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

import pymdc
from pymdc import config
from pymdc.transfers import multipart_encoder as multipart

FIELDS = {"__nonce": "1458494144320", "id": "56ef0d0656ea9c0d1f8e4e1a"}

# A file's name holds anything but a slash and a zero byte; so do the arguments of form().
names = st.text(min_size=1, max_size=40).filter(lambda name: not re.search("[\ud800-\udfff]", name))


def made(path: Path, name: str, fields: dict[str, str] = FIELDS) -> tuple[multipart.Form, bytes]:
    with multipart.opened(path) as file:
        form = multipart.form(file, name, None, fields)
        return form, b"".join(form)


def parse(form: multipart.Form, body: bytes) -> list[tuple[MultipartSegment, bytes]]:
    kind, _, boundary = form.content_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    parts: list[tuple[MultipartSegment, bytearray]] = []
    with PushMultipartParser(boundary, content_length=form.length, max_header_size=1 << 16, strict=True) as parser:
        for event in (*parser.parse(body), *parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                parts.append((event, bytearray()))
            elif event:
                parts[-1][1].extend(event)
    return [(segment, bytes(content)) for segment, content in parts]


def file_name(segment: MultipartSegment) -> str:
    """Read the quoted file name as the bridges of 2016 do: a backslash before a quote or a backslash escapes it.

    The parser's own `filename` guesses which escapes a browser meant, and is wrong for a backslash alone.
    """
    quoted = re.fullmatch(
        r'form-data; name="file"; filename="((?:[^"\\]|\\.)*)"',
        dict(segment.headerlist)["Content-Disposition"],
        re.DOTALL,
    )
    assert quoted
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)


def as_sent(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"%{ord(match[0]):02X}", name)


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "content"


@settings(deadline=None)
@given(
    data=st.binary(max_size=2000),
    name=names,
    identifier=st.text(max_size=40).filter(lambda text: not re.search("[\ud800-\udfff]", text)),
)
def test_a_body_parses_back_to_its_fields_its_file_name_and_its_bytes(
    scratch: Path, data: bytes, name: str, identifier: str
) -> None:
    scratch.write_bytes(data)
    form, body = made(scratch, name, {"__nonce": "5", "id": identifier})
    nonce, id_, file = parse(form, body)
    assert (nonce[0].name, nonce[1]) == ("__nonce", b"5")
    assert (id_[0].name, id_[1]) == ("id", identifier.encode())
    assert (file[0].name, file[1]) == ("file", data)
    assert file_name(file[0]) == as_sent(name)
    assert len(body) == form.length
    assert form.size == len(data)
    assert form.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("photo.jpg", "photo.jpg"),
        ("two words.txt", "two words.txt"),
        ('say "hi".txt', 'say \\"hi\\".txt'),
        ("back\\slash", "back\\\\slash"),
        ("end\\", "end\\\\"),
        ('\\"', '\\\\\\"'),
        ("line\r\nX-Evil: 1", "line%0D%0AX-Evil: 1"),
        ("tab\tdel\x7f", "tab%09del%7F"),
        ("100%", "100%"),
        ("é€🖇.txt", "é€🖇.txt"),
        ("a;b=c", "a;b=c"),
        ("half \ud800", "half ?"),
    ],
)
def test_a_file_name_is_escaped_so_that_it_ends_neither_its_quotes_nor_its_header(
    content: Path, name: str, quoted: str
) -> None:
    form, body = made(content, name)
    assert f'name="file"; filename="{quoted}"\r\n'.encode() in body
    assert [segment.name for segment, _ in parse(form, body)] == ["__nonce", "id", "file"]


def test_a_file_name_that_is_not_text_is_sent_with_its_other_characters(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(raw)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds only text")
    path = Path(os.fsdecode(raw))
    _, body = made(path, path.name)
    assert b'filename="caf?.txt"' in body


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.TXT", "text/plain"),
        ("a.json", "application/json"),
        ("a", "application/octet-stream"),
        ("a.unknown-kind", "application/octet-stream"),
        ('a"\r\nb.png', "image/png"),
    ],
)
def test_the_file_has_the_mime_type_of_its_name(content: Path, name: str, kind: str) -> None:
    form, body = made(content, name)
    file, _ = parse(form, body)[-1]
    assert file.content_type == kind


def test_the_parts_come_in_the_order_given_and_the_file_last(content: Path) -> None:
    form, body = made(content, "a", {"z": "1", "a": "2"})
    assert [segment.name for segment, _ in parse(form, body)] == ["z", "a", "file"]


def test_each_body_has_a_boundary_of_its_own_that_is_not_in_the_file(content: Path) -> None:
    boundaries = [made(content, "a")[0].content_type for _ in range(20)]
    assert len(set(boundaries)) == 20
    assert all(re.fullmatch(r"multipart/form-data; boundary=[0-9a-f]{32}", kind) for kind in boundaries)


@pytest.mark.parametrize("size", [0, 1, config.CHUNK_BYTES - 1, config.CHUNK_BYTES, 2 * config.CHUNK_BYTES + 1])
def test_a_file_is_read_and_sent_piece_by_piece(scratch: Path, size: int) -> None:
    data = os.urandom(size)
    scratch.write_bytes(data)
    with multipart.opened(scratch) as file:
        form = multipart.form(file, "a", None, FIELDS)
        pieces = list(form)
    assert max(len(piece) for piece in pieces) <= config.CHUNK_BYTES
    assert len(b"".join(pieces)) == form.length
    assert parse(form, b"".join(pieces))[-1][1] == data
    assert form.sha256 == hashlib.sha256(data).hexdigest()


def test_the_length_and_the_size_are_known_before_anything_is_read(content: Path) -> None:
    with multipart.opened(content) as file:
        form = multipart.form(file, "a", None, FIELDS)
        assert form.size == 10
        assert file.tell() == 0
        assert form.sha256 == ""
        assert form.length == len(b"".join(form))


def test_the_hash_is_known_when_the_last_piece_is_taken(content: Path) -> None:
    """The reply may come before the sender asks whether there is more."""
    with multipart.opened(content) as file:
        form = multipart.form(file, "a", None, FIELDS)
        pieces = iter(form)
        while next(pieces) != form.tail:
            pass
        assert form.sha256 == hashlib.sha256(b"0123456789").hexdigest()


def test_the_repr_holds_nothing_of_the_fields(content: Path) -> None:
    assert FIELDS["id"] not in repr(made(content, "a")[0])


# A file that changes under the upload


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(3 * config.CHUNK_BYTES))
    os.utime(path, (1, 1))
    return path


@pytest.fixture
def upload(large: Path) -> Iterator[tuple[multipart.Form, Iterator[bytes]]]:
    """An upload of a large file, of which the head and the first piece have been sent."""
    with multipart.opened(large) as file:
        form = multipart.form(file, "a", None, FIELDS)
        pieces = iter(form)
        next(pieces)
        next(pieces)
        yield form, pieces


Upload = tuple[multipart.Form, Iterator[bytes]]


def test_a_file_that_becomes_shorter_ends_the_upload(large: Path, upload: Upload) -> None:
    os.truncate(large, config.CHUNK_BYTES + 1)
    with pytest.raises(OSError, match="became shorter"):
        list(upload[1])
    assert upload[0].sha256 == ""


def test_a_file_that_grows_ends_the_upload(large: Path, upload: Upload) -> None:
    with large.open("ab") as file:
        file.write(b"more")
    with pytest.raises(OSError, match="changed while it was sent") as caught:
        list(upload[1])
    assert upload[0].sha256 == ""
    assert caught.value.filename == str(large)
    assert pymdc.explain(caught.value) == f"The file {large} changed while it was sent."


def test_content_that_changes_and_has_no_name_is_told_without_one() -> None:
    file = io.BytesIO(b"content")
    form = multipart.form(file, "a", None, FIELDS)
    file.truncate(3)
    with pytest.raises(OSError, match="became shorter") as caught:
        list(form)
    assert pymdc.explain(caught.value) == "The file became shorter while it was sent."


def test_a_file_that_is_written_over_ends_the_upload(large: Path, upload: Upload) -> None:
    with large.open("r+b") as file:
        file.write(b"other")
    with pytest.raises(OSError, match="changed while it was sent"):
        list(upload[1])
    assert upload[0].sha256 == ""


def test_a_file_that_grows_before_the_first_piece_is_sent_ends_the_upload(large: Path) -> None:
    """Between the two the connection is made, which may take seconds; half a file must not pass for the whole."""
    with multipart.opened(large) as file:
        form = multipart.form(file, "a", None, FIELDS)
        with large.open("ab") as writer:
            writer.write(b"more")
        with pytest.raises(OSError, match="changed while it was sent"):
            list(form)


def test_a_file_that_is_replaced_is_sent_as_it_was_opened(large: Path, upload: Upload, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    other.replace(large)
    list(upload[1])
    assert upload[0].sha256 == hashlib.sha256(bytes(3 * config.CHUNK_BYTES)).hexdigest()


# What can be opened


def opening(path: str | os.PathLike[str]) -> BinaryIO:
    with multipart.opened(path) as file:
        return file


def test_a_file_is_closed_in_the_end(content: Path) -> None:
    assert opening(content).closed
    assert opening(os.fspath(content)).closed


def test_a_file_is_closed_if_its_upload_fails(content: Path) -> None:
    with pytest.raises(ZeroDivisionError), multipart.opened(content) as file:
        raise ZeroDivisionError
    assert file.closed


def test_a_link_to_a_file_is_a_file(content: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(content)
    assert opening(tmp_path / "link").closed


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        opening(tmp_path / "missing")
    assert caught.value.filename


def test_a_directory_is_an_is_a_directory_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        opening(tmp_path)


def test_a_path_through_a_file_is_a_not_a_directory_error(content: Path) -> None:
    with pytest.raises(NotADirectoryError):
        opening(content / "x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is unreadable for root")
def test_an_unreadable_file_is_a_permission_error(content: Path) -> None:
    content.chmod(0)
    with pytest.raises(PermissionError):
        opening(content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has pipes and sockets with a path")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"not a regular file: '.*pipe'"):
        opening(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has pipes and sockets with a path")
def test_a_device_and_a_socket_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert stat.S_ISSOCK(Path("socket").stat().st_mode)
        for path in ("socket", os.devnull):
            with pytest.raises(OSError, match="not a regular file"):
                opening(path)


# Open files, and content


def sent(source: multipart.Source) -> tuple[bytes, multipart.Form]:
    with multipart.opened(source) as file:
        form = multipart.form(file, "a", None, FIELDS)
        return parse(form, b"".join(form))[-1][1], form


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_content_is_sent_as_it_is(kind: Any) -> None:
    assert sent(kind(b"content"))[0] == b"content"


@pytest.mark.parametrize("opening", [lambda path: path.open("rb"), lambda path: path.open("rb", buffering=0)])
def test_an_open_file_is_sent_from_its_position_and_left_open(content: Path, opening: Any) -> None:
    with opening(content) as file:
        file.seek(4)
        assert sent(file)[0] == b"456789"
        assert not file.closed
        file.seek(10)
        assert sent(file)[0] == b""
        file.seek(20)
        assert sent(file)[0] == b""


def test_a_file_of_memory_is_sent_from_its_position() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(7)
    assert sent(file)[0] == b"789"
    with tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(b"0123456789")
        spooled.seek(8)
        assert sent(spooled)[0] == b"89"  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_compressed_file_that_is_opened_as_one_is_sent_as_it_reads(tmp_path: Path, module: Any) -> None:
    data = b"0123456789" * 10_000
    with module.open(tmp_path / "x", "wb") as file:
        file.write(data)
    with module.open(tmp_path / "x") as file:
        assert sent(file)[0] == data
        file.seek(5)
        assert sent(file)[0] == data[5:]


def test_the_same_form_can_be_sent_again_from_its_start(content: Path) -> None:
    with content.open("rb") as file:
        file.seek(3)
        form = multipart.form(file, "a", None, FIELDS)
        assert b"".join(form) == b"".join(form)


@pytest.mark.parametrize(
    "change", [lambda file: file.truncate(1), lambda file: file.write(b"more"), lambda file: file.truncate(0)]
)
def test_memory_that_changes_under_the_upload_ends_it(change: Any) -> None:
    file = io.BytesIO(bytes(3 * config.CHUNK_BYTES))
    form = multipart.form(file, "a", None, FIELDS)
    pieces = iter(form)
    next(pieces)
    next(pieces)
    position = file.tell()
    file.seek(0, os.SEEK_END)
    change(file)
    file.seek(position)
    with pytest.raises(OSError, match=r"shorter|changed"):
        list(pieces)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has pipes")
def test_an_open_pipe_and_an_open_device_are_os_errors() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"), pytest.raises(OSError):
        sent(pipe)
    with Path(os.devnull).open("rb") as device, pytest.raises(OSError, match="not a regular file"):
        sent(device)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("folder/photo.jpg", "photo.jpg"),
        (Path("folder") / "photo.jpg", "photo.jpg"),
        ("back\\slash", "back\\slash" if os.sep == "/" else "slash"),
        (b"content", "untitled"),
        (io.BytesIO(), "untitled"),
    ],
)
def test_a_file_has_its_own_name_and_content_has_none(source: Any, name: str) -> None:
    assert multipart.name_of(source) == name


def test_an_open_file_has_its_own_name(content: Path) -> None:
    with content.open("rb") as file:
        assert multipart.name_of(file) == "content"
    with tempfile.TemporaryFile() as nameless:
        assert multipart.name_of(nameless) == "untitled"


@pytest.mark.parametrize("wrong", [None, 5, {}, io.StringIO("text"), object()])
def test_a_value_that_cannot_be_uploaded_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="a file is a path, an open binary file, or bytes, not"):
        multipart.check(wrong, None, None)


def test_a_name_and_a_mime_type_are_text() -> None:
    multipart.check(b"", "", "text/plain; charset=utf-8")
    with pytest.raises(TypeError, match=r"a name is a str, not \w+Path"):
        multipart.check(b"", Path("x"), None)
    with pytest.raises(TypeError, match="a MIME type is a str, not bytes"):
        multipart.check(b"", None, b"x")
    for wrong in ("text/plain\r\nX: y", "", "tëxt/plain"):
        with pytest.raises(ValueError, match="a MIME type is something like"):
            multipart.check(b"", None, wrong)


def test_a_mime_type_that_is_given_is_sent(content: Path) -> None:
    with multipart.opened(content) as file:
        form = multipart.form(file, "a.jpg", "x/y", FIELDS)
        assert parse(form, b"".join(form))[-1][0].content_type == "x/y"

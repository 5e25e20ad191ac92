"""`pymdc ls`, `pymdc du`, `pymdc find` and `pymdc token`."""

from __future__ import annotations

from typing import Any

import click
import pytest

from pymdc import unwrap
from pymdc.api import Buckets, Files
from pymdc.cli.output import Output
from pymdc.cli.sizes import SIZE

from ...bridges import LONG
from .holder import Holder, Terminal

CONTENTS = {"a.txt": b"a" * 1500, "2016／b.jpg": b"bb", "2016／march／c.JPG": b"ccc"}


def test_buckets_are_listed(holder: Holder) -> None:
    photos, films = holder.bucket("photos"), holder.bucket("films")
    for nothing in ((), ("storj://",)):
        assert holder.done("ls", *nothing) == f"photos\t{photos.bucket_id}\nfilms\t{films.bucket_id}\n"
    assert holder.done("ls", "-l").startswith(f"photos\t{photos.bucket_id}\t10\t10\t20")
    assert [row["id"] for row in holder.data("ls")] == [photos.bucket_id, films.bucket_id]


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("photos", ["2016/b.jpg", "2016/march/c.JPG", "a.txt"]),
        ("storj://photos/2016", ["2016/b.jpg", "2016/march/c.JPG"]),
        ("storj://photos/2016/march/", ["2016/march/c.JPG"]),
        ("storj://photos/*.txt", ["a.txt"]),
        ("storj://photos/a.txt", ["a.txt"]),
    ],
)
def test_files_are_listed_by_folder_pattern_and_name(holder: Holder, address: str, listed: list[str]) -> None:
    holder.bucket("photos", **CONTENTS)
    assert [line.split("\t")[1] for line in holder.done("ls", address).splitlines()] == listed
    assert [row["name"] for row in holder.data("ls", address)] == listed


def test_files_of_one_name_are_all_listed(holder: Holder) -> None:
    bucket = holder.bucket("photos", a=b"1")
    unwrap(bucket.files.upload(b"22", name="a"))
    assert holder.done("ls", "photos/a") == "1\ta\n2\ta\n"


def test_long_lists_more_columns(holder: Holder) -> None:
    bucket = holder.bucket("photos", **{"a.txt": b"a"})
    (file,) = unwrap(bucket.files.list())
    assert holder.done("ls", "-l", "photos") == f"1\ta.txt\ttext/plain\t{file['hash']}\n"


def test_a_terminal_shows_a_table(holder: Holder) -> None:
    holder.bucket("photos", **CONTENTS)
    for columns in (60, 200):
        terminal = Terminal(holder, "ls", "photos", columns=columns)
        assert terminal.end() == 0
        first, *rest = terminal.lines
        assert first.split() == ["Size", "Name"]
        assert [row.split() for row in rest][-1] == ["1.5", "kB", "a.txt"]


def test_sizes_are_added_up(holder: Holder) -> None:
    holder.bucket("photos", **CONTENTS)
    empty = holder.bucket("twice")
    other = holder.bucket("twice", x=b"x")
    assert holder.done("du", "photos", "photos/2016").splitlines() == [
        "1505\t3\tstorj://photos/",
        "5\t2\tstorj://photos/2016",
    ]
    assert holder.done("du").splitlines() == [
        "1505\t3\tstorj://photos/",
        f"0\t0\tstorj://{empty.bucket_id}/",
        f"1\t1\tstorj://{other.bucket_id}/",
    ]
    terminal = Terminal(holder, "du")
    assert terminal.end() == 0
    assert terminal.lines[-1].split() == ["1.5", "kB", "4", "all", "of", "them"]


def test_a_terminal_shows_the_sum_of_all_sizes(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    holder.bucket("photos", a=b"a")
    holder.bucket("films", b=b"bb")
    monkeypatch.setattr(Output, "on_terminal", True)
    *_, last = holder.done("du").splitlines()
    assert last.split() == ["3", "B", "2", "all", "of", "them"]


def test_a_size_that_is_not_a_number_counts_as_zero(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge of 2016 may send anything."""
    holder.bucket("photos", a=b"a")
    real: Any = Files.list
    monkeypatch.setattr(Files, "list", lambda self: [{**file, "size": None, "filename": 7} for file in real(self)])
    assert holder.done("du", "photos") == "0\t1\tstorj://photos/\n"
    assert holder.done("ls", "photos") == "\t\n"
    monkeypatch.setattr(Files, "list", lambda self: ["no file", {"filename": "without a hash"}])
    assert holder.done("ls", "photos") == ""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["photos/a.txt", "photos/2016/b.jpg", "photos/2016/march/c.JPG", "films/a.mkv"]),
        (["photos/2016"], ["photos/2016/b.jpg", "photos/2016/march/c.JPG"]),
        (["--name", "*.jpg"], ["photos/2016/b.jpg"]),
        (["--name", "a*"], ["photos/a.txt", "films/a.mkv"]),
        (["--type", "image/*"], ["photos/2016/b.jpg", "photos/2016/march/c.JPG"]),
        (["--larger", "1kB"], ["photos/a.txt"]),
        (["--smaller", "3", "--larger", "1"], ["photos/2016/b.jpg"]),
    ],
)
def test_files_are_found(holder: Holder, options: list[str], found: list[str]) -> None:
    holder.bucket("photos", **CONTENTS)
    holder.bucket("films", **{"a.mkv": b"m"})
    assert sorted(holder.done("find", *options).splitlines()) == sorted(f"storj://{name}" for name in found)


def test_a_file_is_found_by_its_hash(holder: Holder) -> None:
    bucket = holder.bucket("photos", **CONTENTS)
    file = unwrap(bucket.files.list())[0]
    (found,) = holder.data("find", "--hash", file["hash"].upper())
    assert found == {**file, "address": "storj://photos/" + file["filename"].replace("／", "/")}


def test_a_token_is_written(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    ran = holder.type("token", "photos", "push")
    assert ran.exit_code == 0
    assert ran.stderr.startswith("It serves once, until 20")
    assert unwrap(bucket.files.upload(b"a", ran.stdout.strip()))["size"] == 1
    (about,) = holder.data("token", "storj://photos", "PULL")
    assert about["operation"] == "PULL"


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (4, ["ls", "none"], "there is no bucket none. To see all: pymdc ls"),
        (4, ["ls", "photos/none"], "there is no file storj://photos/none. To see all: pymdc ls storj://photos/"),
        (2, ["token", "photos/x", "push"], "a token is for a bucket: write storj://photos/"),
        (2, ["token", "photos", "both"], "'both' is not one of 'push', 'pull'"),
        (2, ["find", "--larger", "much"], "'much' is not a size. Write a number of bytes, such as 4096, 10MB"),
    ],
)
def test_each_mistake_has_one_line_that_helps(holder: Holder, code: int, arguments: list[str], words: str) -> None:
    holder.bucket("photos")
    assert words in holder.failed(code, *arguments)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("10MB", 10_000_000), ("1.5 GiB", 1_610_612_736), ("2k", 2000), ("7 b", 7), ("1ti", 2**40)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5.5", "10 XB", "5i", "٣"])
def test_a_text_that_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SIZE.convert(text, None, None)


def test_the_shell_completes_files_in_folders(holder: Holder) -> None:
    holder.bucket("photos", **CONTENTS)
    typed = {"COMP_WORDS": "pymdc cp storj://photos/2016/", "COMP_CWORD": "2", "_PYMDC_COMPLETE": "zsh_complete"}
    process = holder.start(variables=typed)
    out, _ = process.communicate(timeout=LONG)
    assert out.decode().split() == [
        "plain", "storj://photos/2016/b.jpg", "_", "plain", "storj://photos/2016/march/c.JPG", "_"
    ]  # fmt: skip


def test_an_account_without_buckets_lists_nothing(holder: Holder) -> None:
    assert unwrap(Buckets(holder.user).list()) == []
    for command in ("ls", "du", "find"):
        assert holder.done(command) == ""

"""`pymdc rm`: files are removed, several only after a question."""

from __future__ import annotations

import json

import pytest

from pymdc import unwrap

from .holder import Holder, Terminal, names


def test_one_file_is_removed_without_a_question(holder: Holder) -> None:
    bucket = holder.bucket("photos", **{"a": b"a", "in／b": b"b"})
    assert holder.done("rm", "storj://photos/in/b") == "removed storj://photos/in/b (1 B)\n"
    assert names(bucket) == ["a"]
    (file,) = unwrap(bucket.files.list())
    assert json.loads(holder.done("rm", f"photos/{file['hash']}", "--json")) == {
        "transfer": "removal",
        "source": "storj://photos/a",
        "target": "",
        "size": 1,
        "hash": file["hash"],
    }


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (["-r", "photos/in"], ["a.txt", "c.jpg"]),
        (["-r", "photos"], []),
        (["photos/*.jpg"], ["a.txt", "in／b.txt"]),
        (["photos/a.txt", "photos/a*", "photos/in/b.txt"], ["c.jpg", "in／d.jpg"]),
    ],
)
def test_several_are_removed_with_yes(holder: Holder, command: list[str], left: list[str]) -> None:
    bucket = holder.bucket("photos", **{"a.txt": b"a", "in／b.txt": b"b", "c.jpg": b"c", "in／d.jpg": b"d"})
    ran = holder.type("rm", *command, "--yes")
    assert (ran.exit_code, names(bucket)) == (0, left)
    count = 4 - len(left)
    assert ran.stderr == f"{count} files, {count} B\n"


def test_several_are_asked_about_on_a_terminal(holder: Holder) -> None:
    bucket = holder.bucket("photos", **{f"{number}\u202e": b"%d" % number for number in range(7)})
    for key, code, left in (("n", 1, 7), ("y", 0, 0)):
        terminal = Terminal(holder, "rm", "-r", "photos", columns=200)
        terminal.until(r"\[y/N\]")
        assert "Remove 7 files: storj://photos/0%E2%80%AE, " in terminal.text
        assert "and 2 more?" in terminal.text
        terminal.press(f"{key}\n")
        assert terminal.end() == code
        assert len(names(bucket)) == left


def test_without_a_terminal_several_need_a_yes(holder: Holder) -> None:
    bucket = holder.bucket("photos", a=b"a", b=b"b")
    assert "add --yes" in holder.failed(2, "rm", "photos/*")
    assert names(bucket) == ["a", "b"]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["photos"], "storj://photos/ is a bucket. To remove all that is in it, add -r"),
        (2, ["photos/in/"], "storj://photos/in/ is a folder. To remove all that is in it, add -r"),
        (4, ["-r", "photos/none"], "there is no file storj://photos/none"),
        (2, ["photos/twice"], "storj://photos/twice means 2 files"),
    ],
)
def test_each_mistake_has_one_line_that_helps(holder: Holder, code: int, arguments: list[str], words: str) -> None:
    bucket = holder.bucket("photos", **{"in／a": b"a", "twice": b"1"})
    unwrap(bucket.files.upload(b"2", name="twice"))
    assert words in holder.failed(code, "rm", *arguments)

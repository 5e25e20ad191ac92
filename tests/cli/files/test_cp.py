"""`pymdc cp`: to a bridge, from it, and between its buckets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pymdc import unwrap
from pymdc.api import Bucket

from .holder import Holder, names


def test_files_go_into_a_bucket_under_their_names(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"a.txt": b"a", "in/b.txt": b"b"})
    holder.done("cp", "a.txt", "in/b.txt", "storj://photos")
    assert names(bucket) == ["a.txt", "b.txt"]


def test_a_file_may_get_another_name_or_a_folder(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"a.txt": b"a", "b.txt": b"b", "c.txt": b"c"})
    holder.done("cp", "a.txt", "storj://photos/new name.txt")
    holder.done("cp", "b.txt", "storj://photos/2016/")
    holder.done("cp", "c.txt", "storj://photos/2016/march/d.txt")
    assert names(bucket) == ["2016／b.txt", "2016／march／d.txt", "new name.txt"]


def test_a_folder_goes_up_with_its_name_and_comes_back(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a", "in/2016/b.txt": b"b", "in/.hidden": b"h", "in/12:30 ?.txt": b"t"})
    holder.done("cp", "-r", "in", "storj://photos/")
    assert names(bucket) == ["in／.hidden", "in／12:30 ?.txt", "in／2016／b.txt", "in／a.txt"]
    holder.done("cp", "-r", "storj://photos/in", "back")
    for name in ("a.txt", "2016/b.txt", ".hidden", "12:30 ?.txt"):
        assert (holder.folder / "back/in" / name).read_bytes() == (holder.folder / "in" / name).read_bytes()


@pytest.mark.parametrize("source", ["in/.", "in/./."])
def test_the_files_in_a_folder_go_up_without_its_name(holder: Holder, source: str) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a", "in/2016/b.txt": b"b"})
    holder.done("cp", "-r", source, "storj://photos/to")
    assert names(bucket) == ["to／2016／b.txt", "to／a.txt"]


@pytest.mark.parametrize("source", [".", "./"])
def test_the_current_folder_goes_up_without_its_name(holder: Holder, source: str) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"a.txt": b"a"})
    holder.done("cp", "-r", source, "storj://photos")
    assert names(bucket) == ["a.txt"]


def test_the_folder_above_goes_up_with_its_name(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a", "in/2016/b.txt": b"b"})
    (holder.folder / "linked").symlink_to("in/2016")
    monkeypatch.chdir(holder.folder / "in/2016")
    holder.done("cp", "-r", "..", "storj://photos")
    assert names(bucket) == ["in／2016／b.txt", "in／a.txt"]
    holder.done("cp", "-r", "../../linked/../", "storj://photos")
    assert names(bucket) == ["in／2016／b.txt", "in／a.txt"]


def test_links_and_pipes_are_left_out_of_a_folder_with_a_warning(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a", "elsewhere/b.txt": b"b", "in/.pymdc-0123/lock": b""})
    (holder.folder / "in/linked").symlink_to("../elsewhere")
    (holder.folder / "in/file").symlink_to("../elsewhere/b.txt")
    (holder.folder / "in/gone").symlink_to("nothing")
    os.mkfifo(holder.folder / "in/pipe")
    ran = holder.type("cp", "-r", "in", "storj://photos/")
    assert ran.exit_code == 0
    words = "left out, since links are not followed: 4, such as in/file"
    assert ran.stderr.splitlines()[:1] == [f"Warning: {words}"]
    assert names(bucket) == ["in／a.txt"]
    assert words in holder.type("sync", "in", "storj://photos/").stderr


def test_a_link_that_is_typed_stands_for_its_target(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"elsewhere/b.txt": b"b", "a.txt": b"a"})
    (holder.folder / "linked").symlink_to("elsewhere")
    (holder.folder / "file").symlink_to("a.txt")
    holder.done("cp", "-r", "linked", "file", "storj://photos/")
    assert names(bucket) == ["file", "linked／b.txt"]


def test_a_file_whose_name_cannot_be_sent_is_told_and_the_others_go(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a"})
    Path(os.fsdecode(b"in/\xff.txt")).write_bytes(b"odd")
    for command in (["cp", "-r"], ["sync"]):
        said = holder.failed(7, *command, "in", "storj://photos/").lower()
        assert "in/\\udcff.txt: its name cannot be kept at a bridge: rename it" in said
        assert command == ["sync"] or "error: 1 of 2 files failed, 1 are done" in said
    assert "in／a.txt" in names(bucket)


def test_a_file_whose_name_is_not_text_is_sent_under_another_one(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    odd = os.fsdecode(b"\xff.txt")
    Path(odd).write_bytes(b"odd")
    said = holder.failed(2, "cp", odd, "storj://photos/2016/")
    assert said.endswith("is not text in UTF-8. Give it another one: storj://photos/2016/NAME\n")
    holder.done("cp", odd, "storj://photos/even.txt")
    assert names(bucket) == ["even.txt"]
    holder.done("cp", "storj://photos/even.txt", os.fsdecode(b"\xfe.txt"))
    assert Path(os.fsdecode(b"\xfe.txt")).read_bytes() == b"odd"


@pytest.mark.parametrize(
    ("source", "kind"),
    [("/dev/zero", "a device"), ("pipe", "a pipe"), ("socket", "a socket"), ("/dev/null", "a device")],
)
@pytest.mark.parametrize("command", ["cp", "put"])
def test_devices_pipes_and_sockets_are_refused_as_sources(holder: Holder, command: str, source: str, kind: str) -> None:
    bucket = holder.bucket("photos", empty=b"")
    os.mkfifo(holder.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        said = holder.failed(2, command, source, "storj://photos/")
    assert f"{source} is {kind}, not a file. To send what comes out of it: pymdc put - storj://BUCKET/NAME" in said
    assert names(bucket) == ["empty"]


def test_a_pipe_is_not_replaced_by_a_download(holder: Holder) -> None:
    holder.bucket("photos", a=b"a")
    os.mkfifo(holder.folder / "pipe")
    for exists in ("error", "skip", "replace"):
        said = holder.failed(1, "cp", "storj://photos/a", "pipe", "--exists", exists)
        assert "is a device, a pipe or a socket, not a file. To write to standard output: pymdc cat" in said
    assert (holder.folder / "pipe").is_fifo()


def test_a_folder_that_cannot_be_read_is_told_and_the_others_go(
    holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read every folder, so the system's refusal is made here."""
    bucket = holder.bucket("photos")
    holder.written(**{"in/a.txt": b"a", "in/closed/b.txt": b"b"})
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert "in/closed: Permission denied" in holder.failed(7, "cp", "-r", "in", "storj://photos/")
    assert names(bucket) == ["in／a.txt"]


def test_a_file_comes_back_by_name_by_hash_and_by_pattern(holder: Holder) -> None:
    bucket = holder.bucket("photos", **{"a.txt": b"a", "2016／b.txt": b"b", ".profile": b"p"})
    hashes = {file["filename"]: file["hash"] for file in unwrap(bucket.files.list())}
    holder.done("cp", "storj://photos/2016/b.txt", ".")
    holder.done("cp", f"storj://photos/{hashes['a.txt'].upper()}", "new.txt")
    holder.done("cp", "storj://photos/*.txt", "storj://photos/2016/b.txt", "to/")
    holder.done("cp", "storj://photos/.profile", ".")
    holder.done("cp", f"storj://{bucket.bucket_id}/{hashes['.profile']}", ".")
    there = {str(path.relative_to(holder.folder)): path.read_bytes() for path in holder.folder.rglob("*.txt")}
    assert there["new.txt"] == there["to/a.txt"] == b"a"
    assert there["b.txt"] == there["to/b.txt"] == b"b"
    assert (holder.folder / ".profile").read_bytes() == (holder.folder / "profile").read_bytes() == b"p"


def test_a_whole_bucket_comes_into_a_folder(holder: Holder) -> None:
    holder.bucket("photos", **{"a.txt": b"a", "2016／b.txt": b"b", "2016／c.txt": b"c"})
    holder.done("cp", "-r", "storj://photos/", "all")
    holder.done("cp", "-r", "storj://photos/2016/.", "year")
    assert (holder.folder / "all/2016/b.txt").read_bytes() == b"b"
    assert sorted(path.name for path in (holder.folder / "year").iterdir()) == ["b.txt", "c.txt"]


def test_files_of_one_name_are_numbered(holder: Holder) -> None:
    bucket = holder.bucket("photos", **{"a.txt": b"first"})
    unwrap(bucket.files.upload(b"second", name="a.txt"))
    holder.done("cp", "-r", "storj://photos/", "all")
    assert sorted(path.read_bytes() for path in (holder.folder / "all").iterdir()) == [b"first", b"second"]
    assert sorted(path.name for path in (holder.folder / "all").iterdir()) == ["a (2).txt", "a.txt"]


def test_files_go_from_one_bucket_to_another(holder: Holder) -> None:
    holder.bucket("photos", **{"a.txt": b"a", "2016／b.txt": b"b"})
    copies = holder.bucket("copies")
    holder.done("cp", "storj://photos/a.txt", "storj://copies/new.txt")
    holder.done("cp", "storj://photos/2016/b.txt", "storj://copies/")
    assert names(copies) == ["b.txt", "new.txt"]
    everything = holder.bucket("everything")
    holder.done("cp", "-r", "storj://photos", "storj://everything/kept")
    assert names(everything) == ["kept／2016／b.txt", "kept／a.txt"]


class TestFilesThatAreThere:
    """The target has a file of this name already."""

    @pytest.fixture
    def bucket(self, holder: Holder) -> Bucket:
        holder.written(**{"a.txt": b"new"})
        return holder.bucket("photos", **{"a.txt": b"old"})

    def test_the_same_content_is_left_alone(self, holder: Holder, bucket: Bucket) -> None:
        holder.written(**{"a.txt": b"old"})
        for command in (["a.txt", "storj://photos/"], ["storj://photos/a.txt", "."]):
            ran = holder.type("cp", *command)
            assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "1 file was there already.\n")

    def test_an_upload_says_that_a_file_is_there(self, holder: Holder, bucket: Bucket) -> None:
        said = holder.failed(1, "cp", "a.txt", "storj://photos/")
        assert said == (
            "Error: There is storj://photos/a.txt, with other content. "
            "Say what to do: --exists skip, rename or replace.\n"
        )

    def test_an_upload_replaces(self, holder: Holder, bucket: Bucket) -> None:
        holder.done("cp", "a.txt", "storj://photos/", "--exists", "replace")
        (file,) = unwrap(bucket.files.list())
        assert unwrap(bucket.files.download(file)) == b"new"

    def test_an_upload_is_renamed(self, holder: Holder, bucket: Bucket) -> None:
        holder.done("cp", "a.txt", "storj://photos/", "--exists", "rename")
        holder.written(**{"a.txt": b"newer"})
        holder.done("cp", "a.txt", "storj://photos/", "--exists", "rename")
        assert names(bucket) == ["a (2).txt", "a (3).txt", "a.txt"]

    def test_an_upload_is_skipped(self, holder: Holder, bucket: Bucket) -> None:
        ran = holder.type("cp", "a.txt", "storj://photos/", "--exists", "skip")
        assert (ran.exit_code, ran.stderr) == (0, "1 file was left alone, as --exists skip says.\n")

    def test_a_download_says_that_a_file_is_there(self, holder: Holder, bucket: Bucket) -> None:
        assert "There is a.txt, with other content" in holder.failed(1, "cp", "storj://photos/a.txt", ".")

    def test_a_download_replaces_renames_and_skips(self, holder: Holder, bucket: Bucket) -> None:
        holder.done("cp", "storj://photos/a.txt", ".", "--exists", "skip")
        assert (holder.folder / "a.txt").read_bytes() == b"new"
        holder.done("cp", "storj://photos/a.txt", ".", "--exists", "rename")
        assert (holder.folder / "a (2).txt").read_bytes() == b"old"
        holder.done("cp", "storj://photos/a.txt", ".", "--exists", "replace")
        assert (holder.folder / "a.txt").read_bytes() == b"old"

    def test_content_that_the_bucket_has_under_another_name_renames_nothing_silently(
        self, holder: Holder, bucket: Bucket
    ) -> None:
        """The bridge would only rename the file that it has."""
        holder.written(**{"b.txt": b"old"})
        assert "has this one as a.txt" in holder.failed(1, "cp", "b.txt", "storj://photos/")
        holder.done("cp", "b.txt", "storj://photos/", "--exists", "skip")
        assert names(bucket) == ["a.txt"]
        holder.done("cp", "b.txt", "storj://photos/", "--exists", "replace")
        assert names(bucket) == ["b.txt"]

    def test_of_two_files_with_equal_content_only_the_first_is_sent(self, holder: Holder) -> None:
        bucket = holder.bucket("photos")
        holder.written(**{"in/a": b"same", "in/b": b"same", "in/c": b"else"})
        said = holder.failed(7, "cp", "-r", "in", "storj://photos/")
        assert "in/b: The bucket keeps a content once, and has this one as in/a." in said
        assert names(bucket) == ["in／a", "in／c"]

    def test_two_files_for_one_name_are_not_both_sent(self, holder: Holder) -> None:
        holder.bucket("photos")
        holder.written(**{"one/a": b"1", "two/a": b"22"})
        said = holder.failed(7, "cp", "one/a", "two/a", "storj://photos/", "--exists", "replace")
        assert "There is storj://photos/a," in said

    def test_copies_follow_the_same_rules(self, holder: Holder, bucket: Bucket) -> None:
        holder.bucket("copies", **{"a.txt": b"other"})
        assert "There is storj://copies/a.txt, with other content" in holder.failed(
            1, "cp", "storj://photos/a.txt", "storj://copies/"
        )
        holder.done("cp", "storj://photos/a.txt", "storj://copies/", "--exists", "replace")
        ran = holder.type("cp", "storj://photos/a.txt", "storj://copies/")
        assert (ran.exit_code, ran.stderr) == (0, "1 file was there already.\n")


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["a", "b"], "neither side is at a bridge"),
        (2, ["a", "storj://photos/x", "storj://photos/"], "partly here and partly at a bridge"),
        (2, ["in", "storj://photos/"], "in is a folder. To copy it with all that is in it, add -r"),
        (2, ["a", "b", "storj://photos/x"], "the target is a folder: write storj://photos/x/"),
        (2, ["storj://photos/x", "storj://photos/2016/y", "new"], "the target is a folder: write new/"),
        (2, ["storj://photos/*", "new"], "the target is a folder: write new/"),
        (2, ["storj://photos/*", "storj://copies/new"], "the target is a folder: write storj://copies/new/"),
        (2, ["storj://photos/", "."], "storj://photos/ is a bucket. To copy it with all that is in it, add -r"),
        (2, ["storj://photos/2016/", "."], "storj://photos/2016/ is a folder. To copy it"),
        (2, ["storj://photos/x", "storj://photos/y"], "are in one bucket, and a bucket keeps a content once"),
        (2, ["-", "storj://photos/"], "standard input has no name: write storj://photos/NAME"),
        (2, ["storj://photos/twice", "."], "storj://photos/twice means 2 files. Name one by its hash"),
        (2, ["a", "storj://"], "no bucket is named"),
        (4, ["storj://photos/none", "."], "there is no file storj://photos/none. To see all: pymdc ls storj://photos/"),
        (4, ["-r", "storj://photos/none/", "."], "there is nothing in storj://photos/none/"),
        (4, ["storj://nothing/x", "."], "there is no bucket nothing. To see all: pymdc ls"),
        (4, ["storj://photos/*.none", "."], "there is no file storj://photos/*.none"),
        (2, ["a"], "Missing argument 'SOURCE...'"),
    ],
)
def test_each_mistake_has_one_line_that_helps(holder: Holder, code: int, arguments: list[str], words: str) -> None:
    holder.written(**{"a": b"a", "b": b"b", "in/c": b"c"})
    bucket = holder.bucket("photos", **{"x": b"x", "2016／y": b"y", "twice": b"1"})
    unwrap(bucket.files.upload(b"2", name="twice"))
    holder.bucket("copies")
    said = holder.failed(code, "cp", *arguments)
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_name_that_means_very_many_files_lists_some(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    for number in range(12):
        unwrap(bucket.files.upload(b"%d" % number, name="same"))
    assert ", and 2 more" in holder.failed(2, "cp", "storj://photos/same", ".")


def test_a_folder_in_the_way_and_a_file_that_cannot_be_read_are_told(holder: Holder) -> None:
    holder.bucket("photos", **{"a": b"a"})
    (holder.folder / "to/a").mkdir(parents=True)
    said = holder.failed(1, "cp", "storj://photos/a", "to/", "--exists", "replace")
    assert "is a folder, not a file" in said
    holder.written(**{"file": b""})
    assert "Error: " in holder.failed(1, "cp", "storj://photos/a", "file/a")

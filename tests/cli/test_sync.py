"""`pymdc sync` against a real bridge: folders go up and come down equal, and nothing is lost on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymdc import Client, unwrap
from pymdc.api import Bucket
from pymdc.cli import hash_cache
from pymdc.cli.sync_plan import NAMES_FILE

from ..bridges import RunningBridge
from .people import Person, names_of, plant, tree


@pytest.fixture
def person(bridge: RunningBridge, client: Client, tmp_path: Path) -> Person:
    return Person.at(bridge, client, tmp_path, f"{tmp_path.name}@example.com")


@pytest.fixture
def bucket(person: Person) -> Bucket:
    return person.bucket("photos")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return plant(tmp_path / "photos", FILES)


FILES = {
    "a.txt": b"one",
    "2016/b.txt": b"two",
    "2016/06/c d.txt": b"three",
    ".hidden": b"four",
    "empty": b"",
    "2016/empty": b"",
    'é "quoted" ％／%2F.txt': b"five",
    "back\\slash": b"six",
}


def test_a_folder_goes_up_and_comes_down_equal(person: Person, bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    person.types("sync", folder, "storj://photos/")
    person.types("sync", "storj://photos/", tmp_path / "back")
    assert tree(tmp_path / "back") == FILES
    for source, target in (
        (folder, "storj://photos"),
        ("storj://photos", tmp_path / "back"),
        (folder, "storj://photos"),
    ):
        assert "nothing to do" in person.types("sync", source, target, "--delete").stderr


def test_only_files_that_differ_are_sent_and_replaced_files_are_removed(
    person: Person, bucket: Bucket, folder: Path
) -> None:
    person.types("sync", folder, "storj://photos/")
    (folder / "a.txt").write_bytes(b"another one")
    told = person.told("sync", folder, "storj://photos/")
    assert [(each["transfer"], each["source"]) for each in told] == [
        ("upload", f"{folder}/a.txt"),
        ("removal", "storj://photos/a.txt"),
    ]
    assert names_of(bucket).count("a.txt") == 1


def test_files_that_the_folder_no_longer_has_are_removed_only_with_delete(
    person: Person, bucket: Bucket, folder: Path
) -> None:
    person.types("sync", folder, "storj://photos/")
    (folder / "a.txt").unlink()
    (folder / "empty").unlink()
    person.types("sync", folder, "storj://photos/")
    assert {"a.txt", NAMES_FILE} <= set(names_of(bucket))
    told = person.told("sync", folder, "storj://photos/", "--delete")
    assert [(each["transfer"], each["source"]) for each in told] == [("removal", "storj://photos/a.txt")]
    assert not {"a.txt", NAMES_FILE} & set(names_of(bucket))


def test_files_that_the_bucket_does_not_have_are_removed_only_with_delete(
    person: Person, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    person.types("sync", folder, "storj://photos/")
    back = plant(tmp_path / "back", {"x/y/z": b"of its own", "2016": b"in the way", "a.txt": b"other"})
    person.types("sync", "storj://photos/", back, code=7)
    assert tree(back).keys() >= {"x/y/z", "2016", "a.txt"}
    assert (back / "a.txt").read_bytes() == b"one"
    person.types("sync", "storj://photos/", back, "--delete")
    assert tree(back) == FILES
    assert not (back / "x").exists()


def test_a_dry_run_tells_all_steps_and_does_nothing(
    person: Person, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    unwrap(bucket.files.upload(b"old", name="a.txt"))
    unwrap(bucket.files.upload(b"gone", name="gone"))
    said = person.types("sync", folder, "storj://photos/", "--dry-run", "--delete").stdout.splitlines()
    assert f"would upload {folder}/a.txt to storj://photos/a.txt" in said
    assert said[-2:] == ["would remove storj://photos/a.txt", "would remove storj://photos/gone"]
    assert names_of(bucket) == ["a.txt", "gone"]
    told = person.told("sync", "storj://photos/", tmp_path / "back", "-n")
    assert [each["target"] for each in told] == [str(tmp_path / "back" / name) for name in ("a.txt", "gone")]
    assert all(each["dry_run"] for each in told)
    assert not (tmp_path / "back").exists()
    said = person.types("sync", "storj://photos/", folder, "-n", "--delete").stdout.splitlines()
    assert f"would remove {folder}/empty" in said
    assert tree(folder) == FILES


def test_a_file_that_cannot_be_read_or_kept_is_told_and_the_others_go_on(
    person: Person, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    (folder / "line\nbreak").touch()
    (folder / "link").symlink_to(folder / "a.txt")
    os.mkfifo(folder / "pipe")
    unwrap(bucket.files.upload(b"kept", name="kept"))
    ran = person.types("sync", folder, "storj://photos/", "--delete", code=7)
    assert "line\\nbreak: its name cannot be kept at a bridge: rename it\n" in ran.stderr
    assert "links are not followed: 2, such as" in ran.stderr
    assert "kept" in names_of(bucket)  # --delete deletes only if all else went well
    assert person.told("sync", folder, "storj://photos/", code=7)[0]["error"]


def test_a_name_that_a_bridge_cannot_keep_is_a_problem_of_the_target_only_if_files_are_deleted(
    person: Person, bucket: Bucket, tmp_path: Path
) -> None:
    unwrap(bucket.files.upload(b"kept", name="kept"))
    back = plant(tmp_path / "back", {"line\nbreak": b""})
    assert person.types("sync", "storj://photos/", back).stderr.startswith("1 downloaded")
    assert "its name cannot be kept" in person.types("sync", "storj://photos/", back, "--delete", code=7).stderr


def test_names_never_lead_out_of_the_folder(person: Person, bucket: Bucket, tmp_path: Path) -> None:
    outside = plant(tmp_path / "outside", {"file": b"mine"})
    back = plant(tmp_path / "back", {})
    (back / "link").symlink_to(outside)
    (back / "file").symlink_to(outside / "file")
    for number, name in enumerate(("..／..／up", "link／file", "file", "／absolute", ".pymdc-x", "fine")):
        unwrap(bucket.files.upload(bytes([number]), name=name))
    ran = person.types("sync", "storj://photos/", back, code=7)
    assert ran.stderr.count("is left as it is") == 2
    assert tree(outside) == {"file": b"mine"}
    assert {path for path in tree(back) if not path.startswith("link")} == {
        "_/_/up",
        "absolute",
        "file",
        "fine",
        "pymdc-x",
    }


def test_several_files_of_one_name_all_come_down(person: Person, bucket: Bucket, tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        unwrap(bucket.files.upload(content, name="a.txt"))
    person.types("sync", "storj://photos/", tmp_path / "back")
    assert sorted(tree(tmp_path / "back").values()) == [b"one", b"two"]
    assert "nothing to do" in person.types("sync", tmp_path / "back", "storj://photos/").stderr


@pytest.mark.usefixtures("bucket")
def test_an_unchanged_folder_is_not_read_again(person: Person, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_cache, "_YOUNG_NANOSECONDS", -(10**12))
    person.types("sync", folder, "storj://photos/")
    monkeypatch.setattr(hash_cache, "hash_of_file", None)
    assert "nothing to do" in person.types("sync", folder, "storj://photos/").stderr


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["here", "there"], 2, "one of the two must be a folder"),
        (["storj://photos", "storj://photos"], 2, "one of the two must be a folder"),
        (["missing", "storj://photos"], 4, "does not exist"),
        ([__file__, "storj://photos"], 2, "is not a folder. To send one file: pymdc cp"),
        (["storj://photos", __file__], 2, "is not a folder"),
        (["storj://photos/2016", "here"], 2, "sync takes a whole bucket: storj://photos/"),
        (["storj://nowhere", "here"], 4, "there is no bucket nowhere"),
        (["storj://photos", "/"], 2, "home folder"),
    ],
)
def test_a_mistake_gets_one_line(person: Person, arguments: list[str], code: int, words: str) -> None:
    ran = person.types("sync", *arguments, code=code)
    assert words in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_delete_does_not_empty_the_other_side(person: Person, bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    ran = person.types("sync", "storj://photos", folder, "--delete", code=2)
    assert "the bucket has no files" in ran.stderr
    unwrap(bucket.files.upload(b"one", name="a.txt"))
    (tmp_path / "none").mkdir()
    ran = person.types("sync", tmp_path / "none", "storj://photos", "--delete", code=2)
    assert "has no files" in ran.stderr


def test_a_copy_is_not_written_through_a_link_either(person: Person, bucket: Bucket, tmp_path: Path) -> None:
    person.types("sync", plant(tmp_path / "two", {"a": b"one", "b": b"one"}), "storj://photos/", "--quiet")
    back = plant(tmp_path / "back", {"c": b"mine"})
    (back / "b").symlink_to(back / "c")
    person.types("sync", "storj://photos/", back, "--quiet", "--dry-run")
    person.types("sync", "storj://photos/", back, code=7)
    assert tree(back) == {"a": b"one", "b": b"mine", "c": b"mine"}


def test_names_that_the_bridge_refuses_are_told(person: Person, bucket: Bucket, tmp_path: Path) -> None:
    unwrap(bucket.patch({"storage": 0}))
    folder = plant(tmp_path / "two", {"a": b"", "b": b""})
    assert ".pymdc-names.json: " in person.types("sync", folder, "storj://photos/", code=7).stderr

"""`pymdc mirror` against two real bridges: an account moves from one to the other, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets, Keys
from pymdc.cli.mirror_manifest import Kept, Manifest, folder_names, write_json
from pymdc.cli.sync_plan import NAMES_FILE

from ..bridges import RunningBridge, running_bridge
from .people import Person, plant, tree


@pytest.fixture(scope="module")
def old_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("old")) as running:
        yield running


@pytest.fixture(scope="module")
def new_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("new")) as running:
        yield running


@pytest.fixture
def old(old_bridge: RunningBridge, tmp_path: Path) -> Iterator[Person]:
    with Client(old_bridge.url) as client:
        yield Person.at(old_bridge, client, tmp_path / "old", f"{tmp_path.name}@example.com")


@pytest.fixture
def new(new_bridge: RunningBridge, tmp_path: Path) -> Iterator[Person]:
    with Client(new_bridge.url) as client:
        yield Person.at(new_bridge, client, tmp_path / "new", f"{tmp_path.name}@example.org")


FRIEND = ECDSA(private_key="22" * 32)


@pytest.fixture
def account(old: Person, tmp_path: Path) -> Person:
    """Two buckets of one name, one of another; grants, limits, and names that differ from what is in them."""
    photos, again, odd = old.bucket("photos"), old.bucket("photos"), old.bucket("a/b\n")
    unwrap(photos.patch({"storage": 3, "transfer": 4, "pubkeys": [FRIEND.get_public_key()]}))
    unwrap(photos.files.upload(b"one", name="a.txt", mimetype="image/x-odd"))
    unwrap(photos.files.upload(b"two", name="a.txt"))
    unwrap(photos.files.upload(b"", name=NAMES_FILE))
    unwrap(again.files.upload(b"one", name="2016／b.txt"))
    unwrap(odd.files.upload(b"three", name="..／c"))
    unwrap(Keys(old.key_pair, client=old.client).create(ECDSA()))
    return old


def told_of(person: Person) -> list[Any]:
    """Return what a bridge tells about an account, except what it chooses: ids, times and the account's own key."""
    buckets = unwrap(Buckets(person.key_pair, client=person.client).list())
    own = person.key_pair.get_public_key()
    return sorted(
        [
            bucket["name"],
            bucket["storage"],
            bucket["transfer"],
            sorted({*bucket["pubkeys"]} - {own}),
            sorted(
                [file["filename"], file["hash"], file["size"], file["mimetype"]]
                for file in unwrap(Bucket(bucket, person.key_pair, client=person.client).files.list())
            ),
        ]
        for bucket in buckets
    )


def test_an_account_moves_to_another_bridge(account: Person, new: Person, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    account.types("mirror", "storj://", folder)
    assert "nothing to do" in account.types("mirror", "storj://", folder).stderr
    new.types("mirror", folder, "storj://")
    before = told_of(account)
    added = {account.key_pair.get_public_key()}
    assert [[*row[:3], sorted({*row[3]} - added), row[4]] for row in told_of(new)] == before
    assert "nothing to do" in new.types("mirror", folder, "storj://").stderr
    assert len(unwrap(Keys(new.key_pair, client=new.client).list())) == 1


def test_the_keys_of_the_account_come_too_if_asked_for(account: Person, new: Person, tmp_path: Path) -> None:
    account.types("mirror", "storj://", tmp_path / "mirror")
    told = new.told("mirror", tmp_path / "mirror", "storj://", "--keys", "--dry-run")
    assert [each["transfer"] for each in told] == ["key"] * 2 + ["creation"] * 3 + ["upload"] * 5
    assert told_of(new) == []
    new.types("mirror", tmp_path / "mirror", "storj://", "--keys")
    theirs = {key["key"] for key in unwrap(Keys(account.key_pair, client=account.client).list())}
    assert theirs < {key["key"] for key in unwrap(Keys(new.key_pair, client=new.client).list())}


def test_the_folder_is_for_people_too(account: Person, tmp_path: Path) -> None:
    account.types("mirror", "storj://", tmp_path / "mirror")
    files = tree(tmp_path / "mirror" / "buckets")
    assert sorted(files.values()) == [b"", b"one", b"one", b"three", b"two"]
    assert files["a／b_/_/c"] == b"three"
    assert len({path.split("/")[0] for path in files}) == 3


def test_only_missing_files_are_fetched_again(account: Person, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    account.types("mirror", "storj://", folder)
    victim = next(path for path in sorted((folder / "buckets").rglob("c")))
    victim.write_bytes(b"changed")
    plant(folder / "buckets", {"gone/x": b"gone"})
    (told,) = account.told("mirror", "storj://", folder, "-n")
    assert told["target"] == str(victim)
    told, deleted = account.told("mirror", "storj://", folder, "--delete")
    assert (told["target"], deleted["source"]) == (str(victim), str(folder / "buckets" / "gone" / "x"))
    assert victim.read_bytes() == b"three"
    assert not (folder / "buckets" / "gone").exists()


def test_a_file_that_the_mirror_lacks_is_told_and_the_others_go_up(
    account: Person, new: Person, tmp_path: Path
) -> None:
    folder = tmp_path / "mirror"
    account.types("mirror", "storj://", folder)
    (victim,) = (folder / "buckets").rglob("c")
    victim.unlink()
    assert "is missing. To fetch it" in new.types("mirror", folder, "storj://", code=7).stderr
    victim.write_bytes(b"other")
    assert "is not the file that mirror.json names" in new.types("mirror", folder, "storj://", code=7).stderr
    account.types("mirror", "storj://", folder)
    new.types("mirror", folder, "storj://")
    assert len(told_of(new)) == 3


def test_a_bucket_that_was_made_before_it_was_written_down_is_found_again(
    account: Person, new: Person, tmp_path: Path
) -> None:
    account.types("mirror", "storj://", tmp_path / "mirror")
    new.bucket("a/b\n")  # another one of that name, which stays as it is
    new.types("mirror", tmp_path / "mirror", "storj://")
    record = tmp_path / "mirror" / "restored.json"
    value = json.loads(record.read_text())
    (made,) = value.values()
    made["buckets"].popitem()
    record.write_text(json.dumps(value))
    before = told_of(new)
    assert "nothing to do" in new.types("mirror", tmp_path / "mirror", "storj://").stderr
    assert told_of(new) == before
    assert len(before) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["here", "there"], 2, "one of the two must be a folder"),
        (["storj://photos", "here"], 2, "mirror takes a whole account"),
        (["storj://", "here", "--keys"], 2, "--keys for the way back"),
        (["here", "storj://", "--delete"], 2, "--delete is for mirroring into a folder"),
        (["/missing", "storj://"], 4, "is not a mirror"),
        (["storj://", str(Path(__file__).parent)], 2, "holds something else"),
    ],
)
def test_a_mistake_gets_one_line(old: Person, arguments: list[str], code: int, words: str) -> None:
    ran = old.types("mirror", *arguments, code=code)
    assert words in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"bridge": "", "account": null, "keys": [], "buckets": [{}]}',
        json.dumps(
            {
                "bridge": "",
                "account": None,
                "keys": [],
                "buckets": [{"folder": "..", "bucket": {}, "files": [{"path": "x", "hash": "a" * 40}]}],
            }
        ),
    ],
)
def test_a_damaged_mirror_is_told(old: Person, tmp_path: Path, text: str) -> None:
    plant(tmp_path / "mirror", {"mirror.json": text.encode()})
    assert "is damaged" in old.types("mirror", tmp_path / "mirror", "storj://", code=1).stderr


def test_an_entry_of_a_mirror_that_is_not_a_bucket_is_told(new: Person, tmp_path: Path) -> None:
    buckets = [Kept("x", {"name": "x"}, []), Kept("y", {"name": 1, "storage": "", "transfer": 0, "pubkeys": 0}, [])]
    (tmp_path / "mirror" / "buckets").mkdir(parents=True)
    Manifest("", None, [{"key": "no key"}, {"key": 1}, 1], buckets).write(tmp_path / "mirror")
    ran = new.types("mirror", tmp_path / "mirror", "storj://", "--keys", code=7)
    assert ran.stderr.count("does not describe a bucket: ") == 2
    assert "the key no key: not a public key" in ran.stderr


def test_each_bucket_has_a_folder_of_its_own() -> None:
    names = ["a", "A", "a/b", "..", "", "a (1)", "é\x1b"]
    chosen = folder_names([{"name": name, "id": str(number)} for number, name in enumerate(names)])
    assert chosen == ["a (0)", "A (1)", "a／b", "bucket (3)", "bucket (4)", "a (1)_", "é_"]


def test_a_manifest_is_written_in_one_step(tmp_path: Path) -> None:
    write_json(tmp_path / "file", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "file", {1: object()})
    assert tree(tmp_path) == {"file": b"1"}


def test_a_mirror_that_was_killed_at_its_beginning_goes_on(old: Person, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "buckets").mkdir(parents=True)
    old.types("mirror", "storj://", tmp_path / "mirror")
    assert (tmp_path / "mirror" / "mirror.json").exists()

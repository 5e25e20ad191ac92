"""`pymdc mb`, `pymdc rb` and `pymdc bucket`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pymdc import unwrap
from pymdc.api import ECDSA, Bucket, Buckets

from ..typist import Typist
from .holder import Holder, Terminal


def test_a_bucket_is_made_and_its_id_written(holder: Holder) -> None:
    ran = holder.type("mb", "storj://my photos", "--storage", "5", "--transfer", "6")
    (made,) = unwrap(Buckets(holder.user).list())
    assert (ran.exit_code, ran.stdout) == (0, made["id"] + "\n")
    assert ran.stderr == "Made the bucket my photos. Next: pymdc cp FILE storj://my photos/\n"
    assert (made["name"], made["storage"], made["transfer"]) == ("my photos", 5, 6)
    assert json.loads(holder.done("mb", "other", "--json", "--quiet"))["storage"] == 30


def test_the_key_pair_that_makes_a_bucket_may_ask_for_its_tokens(member: Typist) -> None:
    made = json.loads(member.done("mb", "photos", "--json"))
    assert len(made["pubkeys"]) == 1
    assert member.done("ls").startswith("photos\t")


def test_a_second_bucket_of_one_name_is_made_only_if_it_is_asked_for(holder: Holder) -> None:
    first = holder.done("mb", "photos").strip()
    said = holder.failed(6, "mb", "photos")
    assert said == (f"Error: there is a bucket photos already: {first}. To make one more, known by its id: --another\n")
    second = holder.done("mb", "photos", "--another").strip()
    said = holder.failed(2, "ls", "photos")
    assert first in said
    assert second in said
    assert holder.done("ls", first) == ""


def test_an_empty_bucket_is_removed_without_a_question(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    ran = holder.type("rb", "photos")
    assert (ran.exit_code, ran.stderr) == (0, f"Removed the bucket photos ({bucket.bucket_id}).\n")
    assert unwrap(Buckets(holder.user).list()) == []


def test_a_bucket_with_files_is_asked_about(holder: Holder) -> None:
    holder.bucket("photos", a=b"a", b=b"b")
    assert "add --yes" in holder.failed(2, "rb", "photos")
    for key, code in (("n", 1), ("y", 0)):
        terminal = Terminal(holder, "rb", "photos")
        terminal.until(r"The bucket photos holds 2 files. Remove all of it\? \[y/N\]")
        terminal.press(f"{key}\n")
        assert terminal.end() == code
    holder.bucket("more", a=b"a")
    holder.done("rb", "more", "--yes")
    assert unwrap(Buckets(holder.user).list()) == []


def test_a_bucket_is_shown_and_changed(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    assert f"id\t{bucket.bucket_id}\n" in holder.done("bucket", "show", "photos")
    (shown,) = holder.data("bucket", "set", "photos", "--name", "films", "--storage", "7", "--transfer", "0")
    assert (shown["name"], shown["storage"], shown["transfer"]) == ("films", 7, 0)
    assert holder.data("bucket", "show", bucket.bucket_id) == [shown]


def test_a_key_is_granted_and_revoked_in_any_form(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    other = ECDSA()
    key = other.get_public_key()
    (shown,) = holder.data("bucket", "grant", "photos", key.upper())
    assert len(shown["pubkeys"]) == 2
    ran = holder.type("bucket", "grant", "photos", key)
    assert (ran.exit_code, ran.stderr) == (0, "This key may use the bucket already.\n")
    uncompressed = "04" + other.public_key.hex()
    (shown,) = holder.data("bucket", "revoke", "photos", uncompressed)
    assert shown["pubkeys"] == [holder.key_pair.get_public_key()]
    assert "does not know this key" in holder.failed(4, "bucket", "revoke", "photos", key)
    unwrap(bucket.delete())


def test_a_text_that_a_bridge_lists_as_a_key_is_left_as_it_is(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridges of 2016 stored what they were given."""
    holder.bucket("photos")
    sent: list[Any] = []

    def listed(self: Buckets) -> Any:
        (bucket,) = REAL(self)
        return [{**bucket, "pubkeys": ["no key", *bucket["pubkeys"]]}]

    def patched(self: Bucket, params: Any) -> Any:
        sent.append(params)
        return {"id": self.bucket_id}

    monkeypatch.setattr(Buckets, "list", listed)
    monkeypatch.setattr(Bucket, "patch", patched)
    holder.done("bucket", "revoke", "photos", holder.key_pair.get_public_key())
    assert sent == [{"pubkeys": ["no key"]}]


REAL: Any = Buckets.list


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["bucket", "set", "photos"], "say what to change: --name, --storage or --transfer"),
        (2, ["bucket", "grant", "photos", "nonsense"], "nonsense is not a public key"),
        (2, ["bucket", "show", "photos/x"], "storj://photos/x is in a bucket: write storj://photos/"),
        (4, ["bucket", "show", "none"], "there is no bucket none"),
        (2, ["mb", "storj://"], "a bucket needs a name"),
        (2, ["mb", "photos", "--storage", "-1"], "is not in the range"),
    ],
)
def test_each_mistake_has_one_line_that_helps(holder: Holder, code: int, arguments: list[str], words: str) -> None:
    holder.bucket("photos")
    assert words in holder.failed(code, *arguments)

"""Addresses, and what they lead to: `storj://BUCKET/NAME`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets
from pymdc.cli.addresses import Address, is_address, parse_address
from pymdc.cli.failures import Failure
from pymdc.cli.lookups import find_bucket
from pymdc.cli.profiles import Profiles
from pymdc.cli.session import Session

from .typist import Typist


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("storj://", ("", "")),
        ("storj://photos", ("photos", "")),
        ("storj://photos/", ("photos", "")),
        ("STORJ://photos/a cat.jpg", ("photos", "a cat.jpg")),
        ("storj://my%20photos/a%2Fb/c.jpg", ("my photos", "a/b/c.jpg")),
        ("storj://a%2Fb/100%25", ("a/b", "100%")),
        ("storj://b/100%", ("b", "100%")),
        ("storj://b//x", ("b", "/x")),
        ("storj://b/?#&猫", ("b", "?#&猫")),
    ],
)
def test_an_address_is_a_bucket_and_a_name(text: str, address: tuple[str, str]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["photos/a", "/storj://a", "storj:/a/b", "s3://a/b", "storj:///x"])
def test_a_text_that_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="storj://BUCKET/NAME") as failed:
        parse_address(text)
    assert failed.value.exit_code == 2


def test_paths_are_not_addresses() -> None:
    assert is_address("storj://x")
    assert not is_address("./storj:/x")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
def test_an_address_that_was_written_is_read_as_it_was(bucket: str, name: str) -> None:
    text = str(Address(bucket, name))
    assert parse_address(text) == (bucket, name)
    assert text.isprintable()


def test_odd_characters_are_written_as_bytes() -> None:
    assert str(Address("a/b", "tab\t%é /x")) == "storj://a%2Fb/tab%09%25é /x"


@pytest.fixture
def session(member: Typist) -> Session:
    return Session(click.Context(click.Command("x")))


def make(member: Typist, *names: str) -> list[str]:
    profile = Profiles().find("default")
    pair = ECDSA(None, Profiles().private_key(profile))
    with Client(member.bridge.url) as client:
        buckets = Buckets(pair, client=client)
        made = [unwrap(buckets.create(name, 1, 1, [pair])) for name in names]
        files = Bucket(made[0], pair, client=client).files
        for content, name in [(b"1", "one"), (b"2", "same"), (b"3", "same")]:
            unwrap(files.upload(content, name=name))
    return [bucket["id"] for bucket in made]


def test_buckets_are_found_by_name_or_id(member: Typist, session: Session) -> None:
    ids = make(member, "photos", "twice", "twice", *["many"] * 12)
    bucket = find_bucket(session, "photos")
    assert bucket["id"] == ids[0]
    assert find_bucket(session, ids[1].upper())["id"] == ids[1]
    with pytest.raises(Failure, match="Name one by its id") as failed:
        find_bucket(session, "twice")
    assert failed.value.exit_code == 2
    assert ids[1] in failed.value.message
    assert ids[2] in failed.value.message
    with pytest.raises(Failure, match="and 2 more"):
        find_bucket(session, "many")
    with pytest.raises(Failure, match="no bucket nothing") as failed:
        find_bucket(session, "nothing")
    assert failed.value.exit_code == 4
    with pytest.raises(Failure, match="no bucket is named"):
        find_bucket(session, "")
    session._context.close()


def test_a_bucket_named_like_an_id_is_found_by_its_own_id(member: Typist, session: Session, tmp_path: Path) -> None:
    first = make(member, "plain")[0]
    second = make(member, first)[0]
    assert find_bucket(session, first)["id"] == first
    assert find_bucket(session, second)["name"] == first
    session._context.close()

"""Buckets, and one bucket."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import URLError

import pytest

from pymdc import Client, api
from pymdc.api.buckets import Bucket, Buckets
from pymdc.api.files import Files
from pymdc.api.users import Users
from pymdc.keypair import ECDSA

from ..core.test_wire import verify
from . import positional
from .conftest import Ask, Scripted, recorded

PAIR = ECDSA(private_key="11" * 32)
OTHER = ECDSA(private_key="22" * 32)
PUBLIC = PAIR.get_public_key()
ID = "56ef0d0656ea9c0d1f8e4e1a"
MADE = recorded("bucket create", id=ID)


def test_the_signatures_are_those_of_2016() -> None:
    assert (api.Buckets, api.Bucket) == (Buckets, Bucket)
    assert positional(Buckets) == "key_pair"
    assert positional(Buckets.create) == "self, name, storage, transfer, key_pairs, callback=None"
    assert positional(Buckets.list) == "self, callback=None"
    assert positional(Bucket) == "bucket_id, key_pair"
    assert positional(Bucket.list) == "self, callback=None"
    assert positional(Bucket.delete) == "self, callback=None"
    assert positional(Bucket.patch) == "self, params, callback=None"


def test_creating_sends_the_name_the_limits_and_the_public_keys_signed(
    bridge: Scripted, client: Client, ask: Ask
) -> None:
    value = bridge.plays("bucket create")
    assert ask(Buckets(PAIR, client=client).create, "phötos / ?", 10, 30, [PAIR, OTHER]) == value
    assert bridge.line == ("POST", "/base/buckets")
    body = json.loads(bridge.request.content)
    assert isinstance(body.pop("__nonce"), int)
    assert body == {
        "name": "phötos / ?",
        "storage": 10,
        "transfer": 30,
        "pubkeys": [PUBLIC, OTHER.get_public_key()],
    }
    verify(bridge.request)


def test_creating_takes_keywords(bridge: Scripted, client: Client) -> None:
    Buckets(key_pair=PAIR, client=client).create(name="a", storage=1, transfer=2, key_pairs=[])
    assert json.loads(bridge.request.content)["pubkeys"] == []


@pytest.mark.parametrize(("number", "sent"), [(10, 10), ("10", 10), (10.9, 10), (0, 0), ("007", 7)])
def test_limits_are_whole_numbers_of_gb(bridge: Scripted, client: Client, number: float | str, sent: int) -> None:
    Buckets(PAIR, client=client).create("a", number, number, [PAIR])
    body = json.loads(bridge.request.content)
    assert (body["storage"], body["transfer"]) == (sent, sent)


@pytest.mark.parametrize("wrong", ["abc", "10 GB", "", None, [], float("nan"), float("inf")])
@pytest.mark.parametrize("which", ["storage", "transfer"])
def test_a_limit_that_is_not_a_number_raises_at_once(
    bridge: Scripted, client: Client, ask: Ask, wrong: Any, which: str
) -> None:
    limits = {"storage": 1, "transfer": 1, which: wrong}
    with pytest.raises((TypeError, ValueError), match=f"{which} is a number of GB, such as 10, not "):
        ask(Buckets(PAIR, client=client).create, "a", key_pairs=[PAIR], **limits)
    assert bridge.asked == []


@pytest.mark.parametrize("wrong", [PAIR, PUBLIC, None, [5], ["02"], [None], [{"error": "x"}]])
def test_wrong_key_pairs_raise_at_once(bridge: Scripted, client: Client, ask: Ask, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ask(Buckets(PAIR, client=client).create, "a", 1, 1, wrong)
    assert bridge.asked == []


def test_keys_may_be_in_hex_or_the_result_of_a_call(bridge: Scripted, client: Client) -> None:
    Buckets(PAIR, client=client).create("a", 1, 1, (key for key in (PAIR, PUBLIC, {"key": PUBLIC})))
    assert json.loads(bridge.request.content)["pubkeys"] == [PUBLIC] * 3


def test_a_missing_argument_raises_at_once(client: Client) -> None:
    with pytest.raises(TypeError):
        Buckets(PAIR, client=client).create("a")  # type: ignore[call-overload]


def test_listing_is_signed(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.says([MADE])
    assert ask(Buckets(PAIR, client=client).list) == value
    assert bridge.line == ("GET", "/base/buckets")
    assert bridge.request.url.query.startswith(b"__nonce=")
    verify(bridge.request)


def test_a_user_may_stand_for_the_key_pair_and_logs_in(bridge: Scripted, client: Client) -> None:
    Buckets(Users("a@b.c", "secret"), client=client).list()
    assert bridge.request.headers["authorization"].startswith("Basic ")
    assert "x-signature" not in bridge.request.headers


# One bucket


@pytest.mark.parametrize("bucket_id", [ID, MADE, ID.encode()])
def test_a_bucket_is_known_by_its_id_or_the_result_of_create(bucket_id: Any) -> None:
    for bucket in (Bucket(bucket_id, PAIR), Bucket(bucket_id=bucket_id, key_pair=PAIR)):
        assert bucket.bucket_id == ID
        assert bucket.key_pair is PAIR
        assert isinstance(bucket.files, Files)
        assert (bucket.files.bucket_id, bucket.files.key_pair) == (ID, PAIR)


@pytest.mark.parametrize("wrong", [None, "", {}, {"error": "no"}, URLError("x"), 5])
def test_a_wrong_id_raises_at_once(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected a bucket's id"):
        Bucket(wrong, PAIR)


def test_the_metadata_of_a_bucket_is_asked_for(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.plays("bucket get")
    assert ask(Bucket(ID, PAIR, client=client).list) == value
    assert bridge.line == ("GET", "/base/buckets/" + ID)
    verify(bridge.request)


def test_a_bucket_is_deleted(bridge: Scripted, client: Client, ask: Ask) -> None:
    bridge.plays("bucket delete")
    assert ask(Bucket(ID, PAIR, client=client).delete) == ""
    assert bridge.line == ("DELETE", "/base/buckets/" + ID)
    assert bridge.request.content == b""
    verify(bridge.request)


def test_a_bucket_is_changed(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.plays("bucket patch several")
    params = {"name": "other", "storage": 20, "pubkeys": [PUBLIC]}
    assert ask(Bucket(ID, PAIR, client=client).patch, params) == value
    assert bridge.line == ("PATCH", "/base/buckets/" + ID)
    body = json.loads(bridge.request.content)
    assert isinstance(body.pop("__nonce"), int)
    assert body == params == {"name": "other", "storage": 20, "pubkeys": [PUBLIC]}
    verify(bridge.request)


@pytest.mark.parametrize("wrong", [{"name": object()}, {"storage": float("nan")}])
def test_a_change_that_is_not_json_raises_at_once(bridge: Scripted, client: Client, ask: Ask, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ask(Bucket(ID, PAIR, client=client).patch, wrong)
    assert bridge.asked == []


def test_the_files_of_a_bucket_use_its_client(bridge: Scripted, client: Client) -> None:
    Bucket(ID, PAIR, client=client).files.list()
    assert bridge.line == ("GET", f"/base/buckets/{ID}/files")


def test_an_id_stays_one_segment_of_the_path(bridge: Scripted, client: Client) -> None:
    Bucket("../keys?x=#y", PAIR, client=client).delete()
    assert bridge.line == ("DELETE", "/base/buckets/..%2Fkeys%3Fx%3D%23y")
    verify(bridge.request)

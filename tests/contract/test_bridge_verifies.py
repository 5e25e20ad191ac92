"""A bridge verifies the client's signatures, with any names, addresses, passwords and ids."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymdc import Client
from pymdc.api import ECDSA, REST, Bucket, Buckets, Keys, Users
from pymdc.errors import MetadiskError, unwrap

from ..bridges import RunningBridge

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
spiky = st.text(st.sampled_from("/?#%&=+.;:@ \t\r\n\"'\\%2F%00éß漢😀\x00a"), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def member(bridge: RunningBridge, client: Client) -> tuple[Users, ECDSA]:
    return bridge.member("somebody@example.com", client)


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(name=text | spiky)
def test_a_bucket_of_any_name_is_created_under_that_name(
    name: str, client: Client, member: tuple[Users, ECDSA]
) -> None:
    bucket = unwrap(Buckets(member[1], client=client).create(name, 1, 1, []))
    assert bucket["name"] == name
    assert unwrap(Bucket(bucket, member[1], client=client).list())["name"] == name


@many
@given(bucket_id=text | spiky)
def test_a_bucket_of_any_id_is_asked_for_with_a_signature_that_holds(
    bucket_id: str, client: Client, member: tuple[Users, ECDSA]
) -> None:
    bucket = Bucket(bucket_id, member[1], client=client)
    for value in (bucket.list(), bucket.patch({"name": bucket_id}), bucket.files.list(), bucket.delete()):
        assert value == {"error": "Bucket not found"}


@many
@given(value=st.dictionaries(text | spiky, text | spiky | st.integers() | st.booleans(), max_size=4))
def test_parameters_of_any_text_are_signed_as_they_are_sent(
    value: dict[str, str], client: Client, member: tuple[Users, ECDSA]
) -> None:
    assert isinstance(unwrap(REST("GET", "/keys", value, auth=member[1], client=client)), list)


@settings(many, max_examples=10)
@given(password=(text | spiky | st.binary(min_size=1)))
def test_a_password_of_any_text_logs_in(password: str | bytes, bridge: RunningBridge, client: Client) -> None:
    user = Users(f"user{abs(hash(password))}@example.com", password, client=client)
    if "error" in unwrap_refusal(user.register()):  # the same password was drawn before
        return
    unwrap(user.activate(bridge.mailed_token()))
    assert unwrap(Keys(user, client=client).list()) == []


def unwrap_refusal(value: Any) -> dict[str, object]:
    try:
        return dict(unwrap(value))
    except MetadiskError as error:
        return error.value

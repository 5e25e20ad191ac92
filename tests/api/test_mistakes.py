"""A wrong argument of any parameter raises at once, in the caller's thread, and the message says what is wrong.

The table says which of the values below a parameter takes. Every other one must be refused.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import pymdc
from pymdc import Client, Timeout, api, schedulers
from pymdc.api.bound import BoundAPI
from pymdc.keypair import ECDSA
from pymdc.rest import REST

PAIR = ECDSA(private_key="11" * 32)
USER = api.Users("a@b.c", "secret")
CLIENT = Client("http://127.0.0.1:1")


async def coroutine_function(value: object) -> None: ...


VALUES: dict[str, Any] = {
    "None": None,
    "True": True,
    "5": 5,
    "-1": -1,
    "1.5": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "empty": "",
    "text": "text",
    "half": "\ud800",
    "bytes": b"\xff",
    "list": [],
    "fives": [5],
    "tuple": (3, 5),
    "dict": {},
    "refusal": {"error": "no"},
    "object": object(),
    "class": Client,
    "error": OSError("an error value"),
    "function": lambda *_: None,
    "coroutine": coroutine_function,
    "pair": PAIR,
    "user": USER,
}

TEXT = "text"
NAME = "empty text"
CALLBACK = "None function class"
CREDENTIALS = "pair user"
PROGRESS = "None function class"
SECONDS = "None 5 1.5"

# Right arguments for each callable, and which of the values above each parameter accepts.
Takes = dict[str, str]
CALLABLES: dict[str, tuple[Callable[..., Any], dict[str, Any], Takes]] = {
    "Users": (
        api.Users,
        {"username": "a@b.c"},
        {"username": NAME, "password": "None empty text bytes", "client": "None"},
    ),
    "Users.register": (USER.register, {}, {"callback": CALLBACK}),
    "Users.activate": (USER.activate, {"token": "t"}, {"token": TEXT, "callback": CALLBACK}),
    "Keys": (api.Keys, {"user": USER}, {"user": CREDENTIALS, "client": "None"}),
    "Keys.list": (api.Keys(USER).list, {}, {"callback": CALLBACK}),
    "Keys.create": (api.Keys(USER).create, {}, {"key_pair": "None pair", "callback": CALLBACK}),
    "Keys.delete": (api.Keys(USER).delete, {"key_pair": PAIR}, {"key_pair": "pair", "callback": CALLBACK}),
    "Buckets": (api.Buckets, {"key_pair": PAIR}, {"key_pair": CREDENTIALS, "client": "None"}),
    "Buckets.create": (
        api.Buckets(PAIR).create,
        {"name": "b", "storage": 1, "transfer": 1, "key_pairs": []},
        {"name": NAME, "storage": "5 1.5", "transfer": "5 1.5", "key_pairs": "list", "callback": CALLBACK},
    ),
    "Buckets.list": (api.Buckets(PAIR).list, {}, {"callback": CALLBACK}),
    "Bucket": (
        api.Bucket,
        {"bucket_id": "1", "key_pair": PAIR},
        {"bucket_id": TEXT, "key_pair": "None " + CREDENTIALS, "client": "None"},
    ),
    "Bucket.list": (api.Bucket("1", PAIR).list, {}, {"callback": CALLBACK}),
    "Bucket.delete": (api.Bucket("1", PAIR).delete, {}, {"callback": CALLBACK}),
    "Bucket.patch": (
        api.Bucket("1", PAIR).patch,
        {"params": {}},
        {"params": "dict refusal", "callback": CALLBACK},  # the bridge judges the contents of a dict
    ),
    "Files": (
        api.Files,
        {"bucket_id": "1", "key_pair": PAIR},
        {"bucket_id": TEXT, "key_pair": "None " + CREDENTIALS, "client": "None"},
    ),
    "Files.list": (api.Files("1", PAIR).list, {}, {"callback": CALLBACK}),
    "Files.token": (
        api.Files("1", PAIR).token,
        {"operation": "PUSH"},
        {"operation": "empty text half", "callback": CALLBACK},  # the bridge refuses other words
    ),
    "Files.upload": (
        api.Files("1", PAIR).upload,
        {"path": b"content"},
        {
            "path": "empty text half bytes",  # a path without a file is an error value
            "token": "None " + TEXT,
            "callback": CALLBACK,
            "progress": PROGRESS,
            "name": "None empty text half",  # a file name on the disk may not be text
            "mimetype": "None text",
        },
    ),
    "Files.download": (
        api.Files("1", PAIR).download,
        {"file_hash": "00"},
        {
            "file_hash": TEXT,
            "token": "None " + TEXT,
            "callback": CALLBACK,
            "path": "None empty text half",
            "exists": "None",
            "progress": PROGRESS,
        },
    ),
    "Files.discard": (
        api.Files("1", PAIR).discard,
        {"file_hash": "00", "path": "x"},
        {"file_hash": TEXT, "path": "empty text half"},
    ),
    "Files.pointers": (
        api.Files("1", PAIR).pointers,
        {"file_hash": "00", "token": "t"},
        {"file_hash": TEXT, "token": TEXT, "callback": CALLBACK},
    ),
    "Files.delete": (
        api.Files("1", PAIR).delete,
        {"file_hash": "00"},
        {"file_hash": TEXT, "callback": CALLBACK},
    ),
    "REST": (
        REST,
        {"method": "GET", "resource": "/a"},
        {
            "method": TEXT,
            "resource": NAME,
            "params": "dict refusal",
            "auth": " ".join(VALUES),  # any other value sends no credentials, as in 2016
            "headers": "None dict refusal",
            "callback": CALLBACK,
            "client": "None",
        },
    ),
    "ECDSA": (ECDSA, {}, {"public_key": "None", "private_key": "None"}),
    "ECDSA.sign": (PAIR.sign, {"msg": "m"}, {"msg": "empty text bytes"}),
    "ECDSA.valid_signature": (
        PAIR.valid_signature,
        {"signature": "00", "msg": "m"},
        {"signature": "empty text half bytes", "msg": "empty text bytes", "public_key": "None"},
    ),
    "Client": (
        Client,
        {},
        {
            "endpoint": "None empty text half",  # a malformed URL makes each call's value a `URLError`
            "timeout": SECONDS,
            "workers": "5",
            "scheduler": CALLBACK,
            "verify": "True",
        },
    ),
    "Client.with_scheduler": (CLIENT.with_scheduler, {"scheduler": None}, {"scheduler": CALLBACK}),
    "Timeout": (Timeout, {}, dict.fromkeys(inspect.signature(Timeout).parameters, SECONDS)),
}

CASES = [
    (name, parameter, value)
    for name, (_, _, takes) in CALLABLES.items()
    for parameter, taken in takes.items()
    for value in VALUES
    if value not in taken.split(" ") or (value in ("list", "list of 5") and value not in taken)
]

# Python's own messages, which do not say what is wrong.
NOT_IN_WORDS = re.compile(
    r"object is not|has no attribute|unsupported operand|codec can't|not supported between|must be a string or|"
    r"missing \d|unexpected keyword|argument should be|invalid literal|cannot convert|not JSON serializable"
)


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise AssertionError("the call was made")

    monkeypatch.setattr(pymdc.core.client_core.ClientCore, "with_exchange", run)


@pytest.mark.parametrize(("name", "parameter", "value"), CASES)
def test_a_wrong_argument_raises_at_once_in_words(name: str, parameter: str, value: str) -> None:
    function, right, _ = CALLABLES[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        function(**{**right, parameter: VALUES[value]})
    text = str(caught.value)
    assert len(text) > 15
    assert not NOT_IN_WORDS.search(text), text


def test_every_parameter_of_every_public_callable_is_in_the_table() -> None:
    """Except callables that take any value, and the schedulers, whose arguments belong to the toolkits."""
    for name, (function, _, takes) in CALLABLES.items():
        assert set(inspect.signature(function).parameters) == set(takes), name
    for cls in (api.Users, api.Keys, api.Buckets, api.Bucket, api.Files):
        methods = {f"{cls.__name__}.{method}" for method in vars(cls) if not method.startswith("_")}
        assert methods - set(CALLABLES) <= {"Users.password_hash"}
        assert hasattr(BoundAPI, cls.__name__)
    assert {*pymdc.__all__} - {"__version__", "api", "errors", "keypair", "rest", "schedulers"} == {
        "Client",  # above
        "Timeout",
        "configure",  # as `Client`
        "Handle",  # made by calls alone
        "explain",  # take any value of a call
        "unwrap",
    }
    assert callable(schedulers.tk)


def test_a_header_that_follows_from_the_request_is_refused() -> None:
    for header in ("Content-Length", "content-length", "Transfer-Encoding", "Connection", "Host", "Expect"):
        with pytest.raises(ValueError, match="is set by pymdc"):
            REST("POST", "/a", headers={header: "5"})


def test_a_username_with_a_colon_is_refused_and_a_wrong_password_is_not_told() -> None:
    with pytest.raises(ValueError, match="must not contain ':'"):
        api.Users("a:b@c.d", "secret")
    with pytest.raises(ValueError, match="surrogate") as caught:
        api.Users("a@b.c", "5ecret\ud800")
    assert "5ecret" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("number", "sent"), [("10.5", 10), ("10", 10), (10.9, 10), (0, 0), ("1e2", 100), (" 7 ", 7), ("0.5", 0)]
)
def test_storage_may_be_a_number_or_its_text(number: Any, sent: int) -> None:
    assert api.buckets._gigabytes(number, "storage") == sent


@pytest.mark.parametrize("number", ["", "abc", "-1", -0.5 - 1, float("nan"), float("inf"), "nan", "Infinity", "1O"])
def test_a_wrong_number_of_gigabytes_is_an_error_that_says_so(number: Any) -> None:
    with pytest.raises(ValueError, match="storage"):
        api.Buckets(PAIR).create("b", number, 1, [PAIR])

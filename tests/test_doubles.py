"""The recordings, played to the tests' own bridges and farmers: where a double differs, the recording is right.

`tests/hostile.py`, the faults of the matrix and the small servers within tests follow no recording: they are no bridges
of anybody, or do on purpose what none did. `tests/bridges.py` runs this package's own bridge, to which
`tests/bridge/test_conformance.py` plays the recording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .bridge import test_conformance as recording
from .farmers import BUCKET, Network, Shard, whole_as_in_v066
from .old_bridge import RECORDED, OldBridge, old_bridge
from .transfers.test_recordings import content_of, message_of, request_in

LONG = 30.0  # a bound on what should take milliseconds; reaching it is a failure
DATA = Path(__file__).parent / "data"

# What the old bridge in little leaves out: it would tell nothing about a client of it.
LEFT_OUT = {
    "no client of ours asks so": (
        *(
            "spec: GET /",
            "HEAD .*",
            "activation: HEAD",
            "ECDSA HEAD /keys",
            "CORS preflight.*",
            "OPTIONS without Origin",
        ),
        *("GET / with Origin", "case: GET /KEYS"),
    ),
    "no client of ours sends a key with a registration": (
        *("create user.*pubkey.*", r"unactivated user ECDSA \(pubkey registered with account\)"),
        *("add key: registered to another user", "token: unactivated user basic"),
    ),
    "a client of ours refuses to send it": (
        *("create user: (numeric email|malformed JSON|JSON.*)", "basic (empty password|malformed header)"),
        *("ECDSA: (signature not hex|signature garbage hex|pubkey not hex|pubkey not on curve|pubkey header.*)",),
        *("add key: (null|number|not hex.*|odd hex|colons|not on curve|duplicate in upper case|same point .*)",),
        *("delete key .(upper-case|uncompressed) one.", "bucket create: (numeric|object) name"),
        *("bucket create: pubkeys .*", "bucket patch pubkeys (not list|null)", "bucket get: (12 char|upper-case) id"),
        *(
            "token: malformed JSON .basic.",
            "name: (filename. RFC5987|absent, text.*)",
            "no file part",
            "empty multipart",
        ),
        *(
            "upload: (not multipart|no content-type|multipart without boundary|urlencoded|chunked.*)",
            "token: .* not hex",
        ),
        "token: garbage signature .*",
    ),
    "shards are cut smaller than there": (".*20 MiB.*", "pointers (big|zeros|prefix).*", "upload 12 MiB.*"),
}
ENTRIES = [
    entry
    for entry in recording.ENTRIES
    if not any(re.fullmatch(name, entry["name"]) for names in LEFT_OUT.values() for name in names)
]


def _made(entries: list[dict[str, Any]]) -> list[Any]:
    replies = [entry["response"]["body"] for entry in entries if entry.get("response")]
    return [recording._recorded(body)[0] for body in replies if body and body.startswith("{")]


MADE_ASIDE = [made for made in _made(recording.ENTRIES) if made not in _made(ENTRIES)]
"""What the exchanges that are left out made; the recorded lists have it."""


class Replay(recording.Replay):
    """Plays the recording to the old bridge in little."""

    def __init__(self, old: OldBridge, http: httpx.Client) -> None:
        running: Any = SimpleNamespace(thread=SimpleNamespace(url=old.url), http=http, sql=self._expire)
        super().__init__(running)
        self.old = old
        self.known["ws://127.0.0.1:4000"] = old.network.channel

    def _expire(self, *_: str) -> None:
        self.old.tokens.popitem()

    def meet(self, entry: dict[str, Any]) -> tuple[Any, Any] | None:
        """Send a request again, and return our reply and the recorded one; or learn from what is none."""
        if "mail" in entry:
            self._read(entry["mail"])
        if "nonces reset" in entry["name"]:
            for user in self.old.users.values():
                user.nonce = 0
        if "request" not in entry:
            return None
        status, headers, body = self.run(entry)
        recorded, _ = recording._recorded((entry["response"] or recording.NO_REPLY)["body"] or "")
        self.learn(recorded, body)
        expected_status, expected_headers, expected = recording._expected(self, entry, None)
        if isinstance(expected, list):
            aside = json.loads(self.translated(json.dumps(MADE_ASIDE)))
            expected = [each for each in expected if each not in aside]
        ours = recording._comparable(entry, body, expected)
        return (status, headers, ours), (expected_status, expected_headers, expected)

    def _read(self, mail: dict[str, Any]) -> None:
        tokens = {bytes.fromhex(token).decode().split()[1]: token for token in self.old.mailed}
        recorded = re.findall("[0-9a-f]{64}", mail["parts"][0][1])[0]
        self.known[recorded] = tokens[mail["headers"]["To"]]


@pytest.fixture(scope="module")
def met() -> dict[str, tuple[Any, Any]]:
    with old_bridge() as old, httpx.Client(base_url=old.url) as http:
        replay = Replay(old, http)
        replies = {}
        with closing(replay.connection):
            for number, entry in enumerate(ENTRIES):
                if entry["name"] == "delete bucket with files":
                    replay.prepare(ENTRIES[number:])
                if (reply := replay.meet(entry)) is not None:
                    replies[f"{number} {entry['name']}"] = reply
    return replies


@pytest.mark.parametrize(
    "name", [f"{number} {each['name']}" for number, each in enumerate(ENTRIES) if "request" in each]
)
def test_the_old_bridge_in_little_answers_as_recorded(name: str, met: dict[str, tuple[Any, Any]]) -> None:
    ours, recorded = met[name]
    assert ours == recorded


def test_the_old_bridge_in_little_leaves_out_what_is_there_to_be_left_out() -> None:
    names = [entry["name"] for entry in recording.ENTRIES]
    for pattern in (pattern for patterns in LEFT_OUT.values() for pattern in patterns):
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    assert len(ENTRIES) > 200


FARMERS: dict[str, dict[str, Any]] = {
    "v0.2.4": {"earlier": True},
    "v0.3.0": {},
    "v0.6.6": {"answer": whole_as_in_v066, "refusal": Shard.wait},
}
# A client of ours never sends these to a farmer of v0.2.4.
UNASKED = "ws: (missing (token|hash|operation)|unknown operation)"


def exchanges() -> Iterator[Any]:
    for version in FARMERS:
        for entry in json.loads((DATA / f"bridge-{version}-channel.json").read_text("utf-8"))["entries"]:
            whole_there = entry.get("events") and not any("..." in event for event in entry["events"])
            if whole_there and not (version == "v0.2.4" and re.fullmatch(UNASKED, entry["name"])):
                yield pytest.param(version, entry, id=f"{version} {entry['name'].removeprefix('ws: ')}")


@pytest.mark.parametrize(("version", "entry"), list(exchanges()))
def test_the_farmer_answers_as_recorded(version: str, entry: dict[str, Any]) -> None:
    with Network(**FARMERS[version]) as network:
        asked = _asked(entry["events"])
        body = b"".join(map(content_of, entry["events"]))
        known = "bad token" not in entry["name"]
        right = asked.get("hash") if "wrong hash" not in entry["name"] else "22" * 20
        network.shards[asked.get("hash", "")] = body
        if known and "reused" in entry["name"]:
            network.spent.add(asked["token"])
        elif known:
            network.tokens[asked.get("token", "")] = str(right)
        with connect(network.channel, compression=None, close_timeout=1) as channel:
            for event in entry["events"]:
                if "send" in event:
                    channel.send(event.get("data") or bytes.fromhex(event["hex"]))
            told = [_told(channel, event) for event in entry["events"] if "send" not in event]
        assert told == [_recorded(event) for event in entry["events"] if "send" not in event]


def _asked(events: list[dict[str, Any]]) -> dict[str, str]:
    with suppress(ValueError, StopIteration, KeyError):
        sent = next(event for event in events if "send" in event)
        asked = request_in(events) or json.loads(bytes.fromhex(sent["hex"]))
        return dict(asked)
    return {}


def _told(channel: ClientConnection, event: dict[str, Any]) -> str | bytes:
    """Return what comes next; where the recording has silence, a moment of it is enough."""
    try:
        return channel.recv(0.05 if "timeout" in event else LONG)
    except TimeoutError:
        return "silence"
    except ConnectionClosed as closed:
        return f"close {closed.rcvd.code}" if closed.rcvd else "dropped"


def _recorded(event: dict[str, Any]) -> str | bytes:
    if event.get("recv") == "binary":
        return message_of(event)
    if event.get("recv") == "close":
        return f"close {event['code']}"
    return "dropped" if "dropped" in event else str(event.get("data", "silence"))


def test_each_farmer_is_asked_what_was_recorded_of_it() -> None:
    """The test above would hold for want of anything to find."""
    for version in FARMERS:
        assert sum(each.values[0] == version for each in exchanges()) > 12


def test_the_bridge_of_the_farmers_answers_as_recorded() -> None:
    """It has one bucket, looks at no signature, and knows nothing of accounts: its other replies are recorded ones."""
    with Network() as network, httpx.Client(base_url=network.bridge.url) as http:
        content = b"Hello MetaDisk API!"
        shard = network.store(content, name="hello.txt")
        signed = {"x-signature": "", "x-pubkey": ""}
        pointers = f"/buckets/{BUCKET}/files/{shard}"

        def get(path: str, **headers: str) -> httpx.Response:
            return http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

        def token() -> str:
            return str(
                http.post(f"/buckets/{BUCKET}/tokens", json={"operation": "PULL"}, headers=signed).json()["token"]
            )

        asked = {
            "token PULL": http.post(f"/buckets/{BUCKET}/tokens", json={"operation": "PULL"}, headers=signed),
            "token: no auth": http.post(f"/buckets/{BUCKET}/tokens", json={"operation": "PULL"}),
            "list files of other bucket": get(f"/buckets/{BUCKET}/files", x_signature=""),
            "list files no auth": get(f"/buckets/{BUCKET}/files"),
            "pointers": get(pointers, x_token=token()),
            "pointers: no token": get(pointers),
            "pointers: unknown token": get(pointers, x_token="f" * 64),
            "pointers: unknown hash": get(f"/buckets/{BUCKET}/files/{'0' * 40}", x_token=token()),
        }
    for name, reply in asked.items():
        recorded = RECORDED[name]
        assert reply.status_code == recorded["status"], name
        assert {each: reply.headers.get(each) for each in recording.HEADERS} == {
            each: recorded["headers"].get(each) for each in recording.HEADERS
        }, name
        assert _shape(reply.json()) == _shape(json.loads(recorded["body"])), name


def _shape(value: Any) -> Any:
    """Return the names in a value in their order, and its refusals' words."""
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return [(name, each if name == "error" else type(each)) for name, each in value.items()]

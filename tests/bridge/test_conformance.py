"""The recorded exchanges of the bridge of April 2016 (v0.6.6), replayed against ours.

What is random or bound to its day is mapped: ids and tokens as they come, keys to keys of this test, with which what
was signed is signed again. Whatever then differs must stand in `DIFFERENCES`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from pymdc.bridge import curve
from pymdc.keypair import ECDSA

from .harness import BOUNDARY, PASSWORD, Running, file_hash, running

DATA = Path(__file__).parent.parent / "data"
ENTRIES = json.loads((DATA / "bridge-v0.6.6-http.json").read_text("utf-8"))["entries"]
HEADERS = (
    "Vary",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Content-Type",
    "Location",
)
ALICE, BOB = "alice@example.com", "bob@example.com"
MAIN, OTHER, BOBS = "6b036eaf51d8dd3f73893d80", "6b036eb051d8dd3f73893d92", "6b036eb051d8dd3f73893d91"
ALICES_KEY = "03669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0"


Reply = tuple[int, dict[str, str | None], Any]
"""A status, the headers that count, and the body."""


@dataclass(frozen=True)
class Difference:
    """An intended difference: the replies that it is about, our own reply, and the reason."""

    reason: str
    names: tuple[str, ...] = ()  # of exchanges
    reply: tuple[int, str] | None = None  # or any exchange with this status and error
    status: int | None = None  # ours
    error: str | None = None  # ours
    change: Callable[[Any], Any] | None = None  # what makes our body of the recorded one
    page: bool = False  # ours is the page of an unknown route
    skip: bool = False


CODES = "a client's mistake is a 4xx, with the same message"
POINTS = "a key is a point of secp256k1, in any form; text that is no point is refused"
REPLAYS = "a window of requests, not one number: no request is accepted twice, and one that was overtaken is"
ADDRESSES = "any valid e-mail address is one"
SILENCE = "the old bridge crashed or never answered; a clear refusal instead"


def _with_points_only(listed: Any) -> Any:
    return [key for key in listed if key["key"] not in (ALICES_KEY.upper(), "zznothexzz") and key["key"][:2] != "04"]


def _unmangled(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_unmangled(item) for item in reply]
    name = reply["filename"]
    return {**reply, "filename": name["_id"] if isinstance(name, dict) else name.replace("caf\ufffd", "café")}


def _registered(email: str) -> Callable[[Any], Any]:
    return lambda _: {"activated": False, "created": "<time>", "email": email, "id": email}


def _unlike(body: Any) -> Any:
    return "(ours)"


DIFFERENCES = (
    Difference(CODES, reply=(500, "Email is already registered"), status=409),
    Difference(CODES, reply=(500, "Password must be hex encoded SHA-256 hash"), status=422),
    Difference(CODES, reply=(500, "Invalid hex string"), status=422),
    Difference(CODES, reply=(500, "Not a string or buffer"), status=422),
    Difference(CODES, reply=(500, "val.toLowerCase is not a function"), status=422),
    Difference(CODES, reply=(500, "Bucket validation failed"), status=422),
    Difference(CODES, reply=(500, "Token validation failed"), status=422),
    Difference(CODES, reply=(500, "Unexpected end of multipart data"), status=422),
    Difference(CODES, reply=(500, "Invalid email or password"), status=401),
    Difference(CODES, reply=(500, "Signature without r or s"), status=401),
    Difference(CODES, reply=(500, "Invalid or expired token"), status=401),
    Difference(
        "a malformed id is an unknown bucket: no words of a database",
        reply=(500, 'Cast to ObjectId failed for value "*" at path "_id"'), status=404, error="Bucket not found",
    ),
    Difference(ADDRESSES, names=("create user: email with plus",), status=200, change=_registered("a+b@example.com")),
    Difference(ADDRESSES, names=("create user: long tld",), status=200, change=_registered("a@example.photo")),
    Difference(CODES, reply=(500, "User validation failed"), status=422),
    Difference(
        POINTS, names=("add key: duplicate in upper case", "add key: same point uncompressed"),
        status=400, error="Public key is already registered",
    ),
    Difference(
        POINTS, names=("add key: not hex, even length", "create user with non-hex pubkey of even length"),
        status=400, error="Invalid public key supplied: Unknown point format",
    ),
    Difference(
        POINTS,
        names=("bucket create: invalid pubkey", "bucket create: pubkeys not a list", "bucket patch invalid pubkey"),
        status=400, error="Invalid public key supplied",
    ),
    Difference(
        POINTS + ": so these name the key that the next exchanges are signed with",
        names=("delete key (upper-case one)", "delete key (uncompressed one)"), skip=True,
    ),
    Difference(
        POINTS + ": they were not listed",
        names=(
            "ECDSA ok: list keys", "ECDSA: pubkey header in upper case", "ECDSA: pubkey header uncompressed",
            "list keys basic", "nonce: big", "nonce: after not a number", "nonce: fraction",
            "nonce with extra query params",
        ),
        change=_with_points_only,
    ),
    Difference(REPLAYS, names=("nonce: equal",), status=401, error="Invalid nonce supplied"),
    Difference(
        REPLAYS, names=("nonce: stale (smaller)", "nonce: seconds only (small)"),
        status=200, change=lambda _: [{"user": ALICE, "key": ALICES_KEY, "id": ALICES_KEY}],
    ),
    Difference(
        "a number that is no time is compared with its like", change=_unlike, status=200,
        names=("token: registered owner key, stale nonce, key not listed",),
    ),
    Difference(
        "activation by GET only: a program that looks at links must not use them up",
        names=("activation: HEAD",), page=True,
    ),
    Difference(
        "a token is spent by the first transfer that passes the header checks",
        names=("upload: token after missing x-filesize is spent",), status=200,
        change=lambda _: {
            "bucket": MAIN, "mimetype": "text/plain", "filename": "hello.txt", "size": 19,
            "hash": "d72d91d8ec94f89f5b6b84be2a03ba661a34c1e2",
        },
    ),
    Difference(
        "names are UTF-8, and an empty one becomes the hash: not mangled, and no words of a database",
        names=("name: filename* RFC5987", "list files all", "list files by basic"), change=_unmangled,
    ),
    Difference("the description is ours", names=("spec: GET /", "GET / with Origin"), change=_unlike),
    Difference(
        SILENCE, names=("name: absent, text/plain (a field)", "no file part", "empty multipart"),
        status=422, error="No file in the multipart data",
    ),
    Difference(
        SILENCE, names=("upload: not multipart", "upload: no content-type", "upload: urlencoded"),
        status=422, error="The body is not multipart/form-data",
    ),
    Difference(
        SILENCE, names=("upload: multipart without boundary",),
        status=422, error="The Content-Type of the body has no multipart boundary",
    ),
    Difference(
        SILENCE, names=("upload 20 MiB with x-filesize too small",),
        status=400, error="File size exceeds declared size",
    ),
    Difference(
        SILENCE, names=("token: garbage signature (hex)", "token: signature not hex"),
        status=401, error="Signature without r or s",
    ),
)  # fmt: skip

# Tokens that the recorder asked for in other requests, and what they are for.
TOKENS = {
    "upload: PULL token": ("PULL", MAIN),
    "upload: token of another bucket": ("PUSH", OTHER),
    "upload: unknown bucket": ("PUSH", MAIN),
    "upload: malformed bucket id": ("PUSH", MAIN),
    "pointers: PUSH token": ("PUSH", MAIN),
    "pointers: token of other bucket": ("PULL", OTHER),
    "pointers: unknown bucket": ("PULL", MAIN),
    "pointers: malformed bucket": ("PULL", MAIN),
}

NO_REPLY: dict[str, Any] = {"status": None, "headers": {"Content-Type": "application/json; charset=utf-8"}, "body": ""}


class Replay:
    """Replays exchanges in their order, and learns which of our ids and tokens belong to the recorded ones."""

    def __init__(self, bridge: Running) -> None:
        self.bridge = bridge
        self.known: dict[str, str] = {}  # recorded id or token: ours
        self.keys: dict[str, ECDSA] = {}  # by the point that was recorded
        url = httpx.URL(bridge.thread.url)
        self.connection = http.client.HTTPConnection(str(url.host), url.port, timeout=60)
        self.known["ws://127.0.0.1:4000"] = bridge.thread.url.replace("http", "ws")
        for text in set(re.findall("0[23][0-9a-f]{64}", json.dumps(ENTRIES))):
            self._map_key(text)

    def _map_key(self, text: str) -> None:
        try:
            recorded, ours = ECDSA(public_key=text), ECDSA()
        except ValueError:
            return
        self.keys[text] = ours
        for form in (_compressed, _compressed_upper, _uncompressed):
            self.known[form(recorded)] = form(ours)

    def translated(self, text: str) -> str:
        for recorded, ours in self.known.items():
            text = text.replace(recorded, ours)
        return text

    def run(self, entry: dict[str, Any]) -> Reply:
        """Send a request again, and return our reply."""
        recorded = entry["request"]
        self._get_token(entry)
        path, body = self.translated(recorded["path"]), self._body(recorded)
        headers = {name: self.translated(value) for name, value in recorded["headers"].items()}
        if "x-signature" in headers and "x-pubkey" in headers:
            headers["x-signature"] = self._signature(recorded, path, body)
        chunked = headers.pop("Transfer-Encoding", None) is not None
        content = iter([body]) if chunked and body is not None else body
        self.connection.request(recorded["method"], path, content, headers, encode_chunked=chunked)
        reply = self.connection.getresponse()
        return reply.status, {name: reply.headers[name] for name in HEADERS}, _decoded(reply.read())

    def _body(self, recorded: dict[str, Any]) -> bytes | None:
        body = recorded["body"]
        if body is None:
            return None
        if isinstance(body, dict):  # a large one, of which the beginning was recorded
            return self._large(bytes.fromhex(body["hex"]), int(body["length"]))
        if found := re.fullmatch(r"(.*)\.\.\.\[(\d+) bytes\]", body, re.DOTALL):
            return self._large(found[1].encode("utf-8"), int(found[2]))
        if "Transfer-Encoding" in recorded["headers"]:
            size, _, rest = body.partition("\r\n")
            return str(rest).encode("utf-8")[: int(size, 16)]
        return self.translated(body).encode("utf-8")

    def _large(self, head: bytes, length: int) -> bytes:
        end = f"\r\n--{BOUNDARY}--\r\n".encode()
        start = head.index(b"\r\n\r\n") + 4
        filler = head[start:] * (length // len(head[start:]) + 1)
        return head[:start] + filler[: length - start - len(end)] + end

    def _signature(self, recorded: dict[str, Any], path: str, body: bytes | None) -> str:
        signature = recorded["headers"]["x-signature"]
        key, parsed = recorded["headers"]["x-pubkey"], curve.parse_signature(signature)
        if parsed is None:
            return str(signature)
        try:
            point = curve.point(key)
        except ValueError:
            return self.keys[ALICES_KEY].sign("whatever")
        was_good = curve.verify(point, parsed, _message(recorded, recorded["path"], _recorded_body(recorded)))
        return self.keys[point].sign(_message(recorded, path, body or b"") if was_good else b"something else")

    def _get_token(self, entry: dict[str, Any]) -> None:
        recorded = entry["request"]
        token = recorded["headers"].get("x-token")
        if token is None or token in self.known or len(set(token)) == 1:
            return
        method, bucket = recorded["method"], recorded["path"].split("/")[2]
        plain = ("PUSH" if method == "PUT" else "PULL", bucket)
        self.known[token] = self._new_token(*TOKENS.get(entry["name"], plain))
        if "expired" in entry["name"]:
            kept = hashlib.sha256(self.known[token].encode()).hexdigest()
            self.bridge.sql("UPDATE tokens SET expires = 1 WHERE token = ?", kept)

    def _new_token(self, operation: str, bucket: str) -> str:
        owner = BOB if bucket == BOBS else ALICE
        path = f"/buckets/{self.known[bucket]}/tokens"
        reply = self.bridge.http.post(path, json={"operation": operation}, auth=(owner, PASSWORD))
        return str(reply.json()["token"])

    def prepare(self, later: list[dict[str, Any]]) -> None:
        """Get the tokens that exchanges will use after their bucket is gone."""
        for entry in later:
            if "of deleted bucket" in entry["name"] and "request" in entry and "x-token" in entry["request"]["headers"]:
                self._get_token(entry)

    def learn(self, recorded: Any, ours: Any) -> None:
        """Learn from a pair of replies which of our ids and tokens stands for which."""
        if isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self.learn(one, other)
        if not isinstance(recorded, dict) or not isinstance(ours, dict):
            return
        for name in ("id", "token"):
            value = recorded.get(name)
            if isinstance(value, str) and re.fullmatch("[0-9a-f]{24}|[0-9a-f]{40}|[0-9a-f]{64}", value):
                self._is(value, ours.get(name, value))

    def learn_large(self, entry: dict[str, Any], recorded: Any, ours: Any) -> None:
        """Learn the hashes of contents that were not recorded, and so are others here."""
        if "MiB" in entry["name"] and "hash" in recorded:
            body = self._body(entry["request"]) or b""
            start, end = body.index(b"\r\n\r\n") + 4, body.rindex(b"\r\n--")
            self._is(recorded["hash"], file_hash(body[start:end]))
        if isinstance(recorded, list) and isinstance(ours, list) and len(recorded) > 1 and "channel" in recorded[0]:
            assert len(recorded) == len(ours)
            for one, other in zip(recorded, ours, strict=True):
                self.known[one["hash"]] = other["hash"]

    def _is(self, recorded: str, ours: str) -> None:
        self.known.setdefault(recorded, ours)
        self.known.setdefault(recorded.upper(), ours.upper())


def _compressed(key: ECDSA) -> str:
    return key.get_public_key()


def _compressed_upper(key: ECDSA) -> str:
    return key.get_public_key().upper()


def _uncompressed(key: ECDSA) -> str:
    return "04" + key.public_key.hex()


def _recorded_body(recorded: dict[str, Any]) -> bytes:
    return str(recorded["body"] or "").encode("utf-8")


def _message(recorded: dict[str, Any], path: str, body: bytes) -> bytes:
    path, _, query = path.partition("?")
    payload = body if recorded["method"] in ("POST", "PATCH", "PUT") else query.encode()
    return f"{recorded['method']}\n{path}\n".encode() + payload


def _decoded(body: bytes) -> Any:
    try:
        return _timeless(json.loads(body))
    except ValueError:
        return body.decode("utf-8")


def _recorded(text: str) -> tuple[Any, bool]:
    """A recorded body, and whether only the beginning of it was recorded."""
    cut = text.startswith("[") and text.endswith("...")
    return _decoded((text[: text.rindex(",{")] + "]" if cut else text).encode("utf-8")), cut


def _timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    times = {name for name in ("created", "expires") if name in value}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value[name]) for name in times)
    return {name: "<time>" if name in times else item for name, item in value.items()}


def _difference(entry: dict[str, Any], recorded: Any) -> Difference | None:
    named = [difference for difference in DIFFERENCES if entry["name"] in difference.names]
    for difference in named or DIFFERENCES:
        if named:
            return difference
        if difference.reply is not None and isinstance(recorded, dict) and "error" in recorded:
            status, error = difference.reply
            pattern = re.escape(error).replace(re.escape("*"), ".*")
            if entry["response"]["status"] == status and re.fullmatch(pattern, recorded["error"]):
                return difference
    return None


def _expected(replay: Replay, entry: dict[str, Any], difference: Difference | None) -> Reply:
    response = entry["response"] or NO_REPLY
    status, body = response["status"], _recorded(response["body"] or "")[0]
    headers = {name: response["headers"].get(name) for name in HEADERS}
    headers |= {"Vary": response["headers"].get("Vary", "Origin"), "Access-Control-Allow-Credentials": "true"}
    if difference is not None:
        status = difference.status or status
        body = {"error": difference.error} if difference.error else body
        if difference.change is not None:
            body = difference.change(body)
        if difference.page:
            status, headers["Content-Type"] = 404, "text/html; charset=utf-8"
    return status, headers, json.loads(replay.translated(json.dumps(body)))


def _comparable(entry: dict[str, Any], ours: Any, expected: Any) -> Any:
    if expected == "(ours)":
        return expected
    cut = entry["response"] and _recorded(entry["response"]["body"] or "")[1]
    return ours[: len(expected)] if cut and isinstance(ours, list) else ours


@dataclass
class Met:
    """Our replies and the expected ones, by number, and which differences were needed, by row and exchange."""

    replies: dict[int, tuple[Reply, Reply]] = field(default_factory=dict)
    needed: set[tuple[int, str]] = field(default_factory=set)

    @property
    def wrong(self) -> list[str]:
        """The names of the exchanges with a reply that is neither recorded nor intended."""
        return [ENTRIES[number]["name"] for number, (ours, expected) in self.replies.items() if ours != expected]


def replayed(folder: Path, unskipped: str | None = None) -> Met:
    """Replay all exchanges, but those that a difference says to skip.

    Arguments:
        unskipped: the name of one of these that is replayed nevertheless. The first wrong reply is then the last.
    """
    met = Met()
    with running(folder, redirect_origins=("http://app.example",)) as bridge:
        replay = Replay(bridge)
        try:
            for number, entry in enumerate(ENTRIES):
                _replay(replay, met, number, entry, unskipped)
                if unskipped is not None and met.wrong:
                    break
        finally:
            replay.connection.close()
    return met


def _replay(replay: Replay, met: Met, number: int, entry: dict[str, Any], unskipped: str | None) -> None:
    if "mail" in entry:
        _learn_mail(replay, entry["mail"])
    skipped = (found := _difference(entry, None)) is not None and found.skip and entry["name"] != unskipped
    if "request" not in entry or skipped:
        return
    if entry["name"] == "delete bucket with files":
        replay.prepare(ENTRIES[number:])
    status, headers, body = replay.run(entry)
    recorded, _ = _recorded((entry["response"] or NO_REPLY)["body"] or "")
    replay.learn(recorded, body)
    replay.learn_large(entry, recorded, body)
    difference = _difference(entry, recorded)
    plain, expected = _expected(replay, entry, None), _expected(replay, entry, difference)
    met.replies[number] = (status, headers, _comparable(entry, body, expected[2])), expected
    if difference is not None and plain != (status, headers, _comparable(entry, body, plain[2])):
        met.needed.add((DIFFERENCES.index(difference), entry["name"]))


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Met:
    return replayed(tmp_path_factory.mktemp("replay"))


def _learn_mail(replay: Replay, mail: dict[str, Any]) -> None:
    recorded = re.findall("[0-9a-f]{64}", mail["parts"][0][1])[0]
    ours = next(one for one in replay.bridge.mails if one.to == mail["headers"]["To"])
    replay.known[recorded] = ours.token
    where = re.findall("http://127.*", mail["parts"][0][1])[0].strip().partition("/activations/")[2]
    assert ours.link == f"{replay.bridge.thread.url}/activations/{replay.translated(where)}"
    assert ours.subject == mail["headers"]["Subject"].strip()


@pytest.mark.parametrize("number", [number for number, entry in enumerate(ENTRIES) if "request" in entry])
def test_a_recorded_exchange_gets_the_recorded_reply_except_for_intended_differences(met: Met, number: int) -> None:
    if number not in met.replies:
        assert any(ENTRIES[number]["name"] in one.names for one in DIFFERENCES if one.skip)
        return
    ours, expected = met.replies[number]
    assert ours == expected, ENTRIES[number]["name"]


@pytest.mark.parametrize("row", [row for row, one in enumerate(DIFFERENCES) if not one.skip])
def test_every_difference_is_needed(met: Met, row: int) -> None:
    """Without the difference, an exchange that it names, or one with its reply, would fail."""
    difference, needed = DIFFERENCES[row], {name for number, name in met.needed if number == row}
    assert needed
    assert set(difference.names) <= needed


@pytest.mark.parametrize("name", [name for one in DIFFERENCES if one.skip for name in one.names])
def test_each_skipped_exchange_would_change_later_ones(tmp_path: Path, name: str) -> None:
    assert replayed(tmp_path, name).wrong

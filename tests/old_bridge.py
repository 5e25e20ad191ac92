"""A small bridge that behaves as in 2016: the one of `tests/data/bridge-v0.6.6-http.json`.

`tests/test_doubles.py` replays that recording against it, and says which exchanges it leaves out.

It keeps one nonce for each user, answers wrong passwords with 500, spends tokens at first sight, cuts names at slashes,
renames a file whose content comes again, and after a second upload of a file gives a mixture of the pointers of both.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pymdc.api import ECDSA

from .farmers import Network, cut, hash_of

_ENTRIES = json.loads((Path(__file__).parent / "data" / "bridge-v0.6.6-http.json").read_text("utf-8"))["entries"]
RECORDED = {entry["name"]: entry["response"] for entry in _ENTRIES if entry.get("response")}
DAY = "2016-04-29T12:00:00.000Z"


# The routes, by their first word (within a bucket: its second one) and by how many ids follow: their methods.
_ROUTES: dict[tuple[str, int], tuple[str, ...]] = {
    ("users", 0): ("POST",),
    ("activations", 1): ("GET",),
    ("keys", 0): ("GET", "POST"),
    ("keys", 1): ("DELETE",),
    ("buckets", 0): ("GET", "POST"),
    ("buckets", 1): ("GET", "PATCH", "DELETE"),
    ("tokens", 1): ("POST",),
    ("files", 1): ("GET", "PUT"),
    ("files", 2): ("GET", "DELETE"),
}


class RedirectError(Exception):
    """The reply leads elsewhere."""


class NoRouteError(Exception):
    """There is no such route."""


class Refusal(Exception):  # noqa: N818 - the word of the API
    """A recorded refusal.

    Attributes:
        reply: what was recorded.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reply = RECORDED[name]


@dataclass
class User:
    """An account, with its one nonce."""

    email: str
    password: str
    activated: bool = False
    nonce: float = 0
    keys: list[str] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        return {"activated": self.activated, "created": DAY, "email": self.email, "id": self.email}


@dataclass
class OldBridge:
    """The state of the bridge.

    Attributes:
        network: the farmers.
        mailed: the tokens of the activation mails.
        stale: how many requests had a nonce that was too small.
    """

    network: Network
    url: str = ""
    mailed: list[str] = field(default_factory=list)
    stale: int = 0
    users: dict[str, User] = field(default_factory=dict)
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    shards: dict[str, list[list[str]]] = field(default_factory=dict)  # of each upload of a content
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def user(self, request: Request) -> User:
        """Return the account of a request, by the checks of the recorded bridge.

        Raises:
            Refusal: no account fits.
        """
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            email, _, password = base64.b64decode(given).decode().partition(":")
            user = self.users.get(email.lower())
            if user is None or user.password != password:
                raise Refusal("wrong password")
        else:
            user = self._signer(request)
        if not user.activated:
            raise Refusal("unactivated user basic auth")
        return user

    def owned(self, bucket_id: str, user: User | None) -> dict[str, Any]:
        """Return a bucket of a user, or of anybody.

        Raises:
            Refusal: there is none.
        """
        if not re.fullmatch("[0-9a-f]{24}", bucket_id):
            raise Refusal("bucket get: malformed id")
        found = self.buckets.get(bucket_id)
        if found is None or (user is not None and found["user"] != user.email):
            raise Refusal("bucket get: unknown id")
        return found

    def _signer(self, request: Request) -> User:
        key, signature = request.headers.get("x-pubkey"), request.headers.get("x-signature")
        if not key or not signature:
            raise Refusal("no auth")
        payload = request.query if request.method in ("GET", "DELETE") else request.body.decode()
        if not ECDSA(key).valid_signature(signature, f"{request.method}\n{request.path}\n{payload}"):
            raise Refusal("ECDSA: bad signature (other message)")
        user = next((user for user in self.users.values() if key in user.keys), None)
        if user is None:
            raise Refusal("ECDSA: unregistered key")
        named = parse_qs(payload) if request.method in ("GET", "DELETE") else request.json
        nonce: Any = named.get("__nonce", 0)
        try:
            nonce = float(nonce[0] if isinstance(nonce, list) and len(nonce) == 1 else nonce)
        except (TypeError, ValueError):
            raise Refusal("nonce: not a number") from None
        if nonce < user.nonce or not nonce:
            self.stale += 1
            raise Refusal("nonce: stale (smaller)")
        user.nonce = nonce
        return user

    def bucket(self, request: Request, bucket_id: str) -> dict[str, Any]:
        """Return a bucket of the account that asks.

        Raises:
            Refusal: there is no such bucket.
        """
        return self.owned(bucket_id, self.user(request))

    def spend(self, request: Request, bucket_id: str, operation: str) -> None:
        """Spend a token.

        Raises:
            Refusal: the token is not valid for this.
        """
        found = self.tokens.pop(request.headers.get("x-token", ""), None)
        if found is None:
            raise Refusal("upload: unknown token")
        self.owned(bucket_id, None)
        if found != (bucket_id, operation):
            raise Refusal("upload: PULL token" if operation == "PUSH" else "pointers: PUSH token")

    def keep(self, bucket_id: str, name: str, kind: str, content: bytes) -> dict[str, Any]:
        """Store a file. Each upload cuts it at other places, as those of 2016 did."""
        file_hash = hash_of(content)
        uploads = self.shards.setdefault(file_hash, [])
        pieces = cut(content, 100_000 + 10_000 * len(uploads))
        for piece in pieces:
            self.network.shards[hash_of(piece)] = piece
        uploads.append([hash_of(piece) for piece in pieces])
        last = re.split(r"[/\\]", name)[-1] or file_hash
        entry = {"bucket": bucket_id, "mimetype": kind, "filename": last, "size": len(content), "hash": file_hash}
        unnamed = {"filename": {"_id": file_hash, "__v": 0, "size": len(content)}}  # it listed a mistake of its own
        self.files[bucket_id][file_hash] = entry if name else entry | unnamed
        return entry

    def pointers(self, bucket_id: str, file_hash: str) -> list[dict[str, str]]:
        """Give the pointers of a file: of all its uploads, one of each in turn."""
        if file_hash not in self.files[bucket_id]:
            raise Refusal("pointers: unknown hash")
        uploads = self.shards[file_hash]
        longest = max(map(len, uploads))
        mixed = [upload[place] for place in range(longest) for upload in uploads if place < len(upload)]
        return [self.network._pointer(shard) for shard in dict.fromkeys(mixed)]


class Request(BaseHTTPRequestHandler):
    """One request."""

    bridge: OldBridge
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _answer(self) -> None:
        address = urlsplit(self.path)
        self.method, self.path, self.query = self.command, address.path, address.query
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = "application/json; charset=utf-8"
        try:
            with self.bridge.lock:
                status, value = self._value()
            body = "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        except Refusal as refusal:
            status, body = refusal.reply["status"], refusal.reply["body"]
        except RedirectError as target:
            status, body, kind = 302, f"Found. Redirecting to {target}", "text/plain; charset=utf-8"
        except NoRouteError:
            status, body, kind = 404, f"Cannot {self.method} {address.path}\n", "text/html; charset=utf-8"
        self.send_response(status)
        self.send_header("Vary", "Origin, Accept" if status == 302 else "Origin")
        if status == 302:
            self.send_header("Location", body.rpartition(" ")[2])
        self.send_header("Access-Control-Allow-Credentials", "true")
        if body:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def _value(self) -> tuple[int, Any]:
        first, *rest = self.path.strip("/").split("/")
        if first == "buckets" and len(rest) >= 2:
            first, rest = rest[1], [rest[0], *rest[2:]]
        if self.method not in _ROUTES.get((first, len(rest)), ()):
            raise NoRouteError
        value: tuple[int, Any] = getattr(self, f"_{first}")(*rest)
        return value

    @property
    def json(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.body))
        except ValueError:  # what is no JSON counts as nothing
            return {}

    def _users(self) -> tuple[int, Any]:
        email, password = str(self.json.get("email")).lower(), self.json.get("password")
        if not isinstance(password, str):
            raise Refusal("create user: missing password")
        if len(password) % 2:
            raise Refusal("create user: non-hex password odd length")
        if not re.fullmatch("[0-9a-fA-F]{64}", password):
            raise Refusal("create user: non-hex password")
        if not re.fullmatch(r"[\w.-]+@[\w.-]+\.\w{2,4}", email):
            raise Refusal("create user: invalid email")
        if email in self.bridge.users:
            raise Refusal("create user: duplicate email")
        self.bridge.users[email] = User(email, password.lower())
        self.bridge.mailed.append(f"{len(self.bridge.mailed)} {email}".encode().hex())
        return 200, self.bridge.users[email].told

    def _activations(self, token: str) -> tuple[int, Any]:
        if token not in self.bridge.mailed:
            raise Refusal("activation: invalid token")
        self.bridge.mailed.remove(token)
        user = self.bridge.users[bytes.fromhex(token).decode().split()[1]]
        user.activated = True
        if target := parse_qs(self.query).get("redirect"):
            raise RedirectError(target[0])
        return 200, user.told

    def _keys(self, key: str = "") -> tuple[int, Any]:
        user = self.bridge.user(self)
        if self.method == "POST":
            if self.json.get("key", "") == "":
                raise Refusal("add key: empty" if self.json else "add key: missing")
            if any(self.json["key"] in each.keys for each in self.bridge.users.values()):
                raise Refusal("add key: duplicate")
            if not _is_key(self.json["key"]):
                raise Refusal("add key: short")
            user.keys.append(self.json["key"])
            return 200, {"user": user.email, "key": self.json["key"], "id": self.json["key"]}
        if self.method == "DELETE":
            if key not in user.keys:
                raise Refusal("delete key: unknown")
            user.keys.remove(key)
            return 200, None
        return 200, [{"user": user.email, "key": each, "id": each} for each in user.keys]

    def _buckets(self, bucket_id: str = "") -> tuple[int, Any]:
        if bucket_id:
            bucket = self.bridge.bucket(self, bucket_id)
            if self.method == "DELETE":
                del self.bridge.buckets[bucket_id]
                return 204, None
            if self.method == "PATCH":
                bucket |= self._settings()
            return 200, bucket
        user = self.bridge.user(self)
        if self.method == "GET":
            return 200, [bucket for bucket in self.bridge.buckets.values() if bucket["user"] == user.email]
        made: dict[str, Any] = {"user": user.email, "created": DAY, "name": "New Bucket", "pubkeys": []}
        made |= {"status": "Active", "transfer": 30, "storage": 10} | self._settings()
        signer = self.headers.get("x-pubkey")
        if signer is not None and signer not in made["pubkeys"]:
            made["pubkeys"] = [*made["pubkeys"], signer]
        made["id"] = secrets.token_hex(12)
        self.bridge.buckets[str(made["id"])] = made
        self.bridge.files[str(made["id"])] = {}
        return 200, made

    def _settings(self) -> dict[str, Any]:
        """Return what the request sets of a bucket."""
        given: dict[str, Any] = {
            key: self.json[key] for key in ("name", "storage", "transfer", "pubkeys") if key in self.json
        }
        for key in {"storage", "transfer"} & set(given):
            try:
                given[key] = float(given[key])
            except ValueError:
                raise Refusal("bucket create: non-numeric storage") from None
            given[key] = int(given[key]) if given[key].is_integer() else given[key]
        return given

    def _tokens(self, bucket_id: str) -> tuple[int, Any]:
        self._may_issue(bucket_id)
        token, operation = secrets.token_hex(32), self.json.get("operation")
        if operation not in ("PUSH", "PULL"):
            raise Refusal("token: unknown operation")
        self.bridge.tokens[token] = (bucket_id, operation)
        return 200, {"bucket": bucket_id, "operation": operation, "expires": DAY, "token": token, "id": token}

    def _may_issue(self, bucket_id: str) -> None:
        """Let a key issue tokens that the bucket lists, registered or not, and whatever its nonce."""
        signed = "x-signature" in self.headers and "Authorization" not in self.headers
        try:
            self.bridge.bucket(self, bucket_id)
        except Refusal as refusal:
            if not signed or refusal.args[0] not in ("ECDSA: unregistered key", "nonce: stale (smaller)"):
                raise
            if self.headers["x-pubkey"] not in self.bridge.owned(bucket_id, None)["pubkeys"]:
                raise Refusal("bucket get: unknown id") from None

    def _files(self, bucket_id: str, file_hash: str = "") -> tuple[int, Any]:
        if self.method == "PUT":
            self.bridge.spend(self, bucket_id, "PUSH")
            return 200, self._uploaded(bucket_id)
        if self.method == "GET" and file_hash:
            self.bridge.spend(self, bucket_id, "PULL")
            return 200, self.bridge.pointers(bucket_id, file_hash)
        self.bridge.bucket(self, bucket_id)
        if self.method == "DELETE":
            if self.bridge.files[bucket_id].pop(file_hash, None) is None:
                raise Refusal("file delete again")
            return 204, None
        return 200, list(self.bridge.files[bucket_id].values())

    def _uploaded(self, bucket_id: str) -> dict[str, Any]:
        declared = self.headers.get("x-filesize", "none")
        if not re.fullmatch(r"-?[0-9.]*", declared):
            raise Refusal("upload: missing x-filesize")
        mark = b"--" + self.headers["Content-Type"].partition("boundary=")[2].encode()
        if mark + b"--" not in self.body:
            raise Refusal("upload: multipart without the closing boundary")
        parts = (part for part in self.body.split(mark) if b"data; name" in part)
        part = next(part for part in parts if re.search(b"filename=|octet-stream", part.partition(b"\r\n\r\n")[0]))
        head, _, content = part.partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        if len(content) > int(float(declared or 0)):
            raise Refusal("upload: x-filesize smaller")
        if len(content) < int(float(declared or 0)):
            raise Refusal("upload: x-filesize larger")
        found = re.search(r'filename="((?:\\.|[^"\\])*)"', head.decode())
        kind = re.search(r"Content-Type: ([^\s;]+)", head.decode())
        name = re.sub(r"\\(.)", r"\1", found[1]) if found else ""
        return self.bridge.keep(bucket_id, name, kind[1].lower() if kind else "text/plain", content)


def _is_key(text: object) -> bool:
    try:
        return bool(ECDSA(str(text)))
    except ValueError:
        return False


@contextmanager
def old_bridge() -> Iterator[OldBridge]:
    """Run a bridge of 2016, with its farmers."""
    with Network() as network:
        bridge = OldBridge(network)
        handler = type("Handler", (Request,), {"bridge": bridge})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            bridge.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield bridge
            finally:
                server.shutdown()
                thread.join()

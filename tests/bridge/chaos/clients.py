"""Clients that make random calls, and remember what the bridge acknowledged."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import WebSocketException

from pymdc.bridge.settings import Settings

from ..harness import Person, fetch, file_hash, multipart
from .processes import visited

# What some clients upload at the same time as others.
COMMON = [random.Random(seed).randbytes(size) for seed, size in enumerate([0, 10, 1000, 100_000, 9 << 20])]


class Unanswered(Exception):  # noqa: N818 -- it is the lot of those who talk to a bridge that is being killed
    """The answer was lost: the request may have been carried out or not."""


@dataclass
class Client:
    """Somebody who works through several bridges, one bucket at a time.

    Attributes:
        files: the files that the bridge has acknowledged.
        unknown: the files that may be there or not, since the answer was lost.
        wrong: the promises that were broken.
        done: how often each call was made.
    """

    settings: Settings
    urls: list[str]
    person: Person
    seed: int
    bucket: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    unknown: dict[str, bytes] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def work(self, until: threading.Event) -> None:
        """Work until told to stop."""
        choose = random.Random(self.seed)
        with ExitStack() as stack:
            bridges = [stack.enter_context(visited(self.settings, url)) for url in self.urls]
            through = [Person(bridge, self.person.email, self.person.key) for bridge in bridges]
            actions = [self._upload] * 4 + [self._download] * 4 + [self._delete] * 2 + [self._race, self._come_and_go]
            while not until.is_set():
                choose.shuffle(through)
                try:
                    if not self.bucket:
                        self.bucket = self._made(through[0])
                    choose.choice(actions)(through, choose)
                except (Unanswered, httpx.TransportError, OSError, WebSocketException):
                    self.done["unanswered"] += 1
                except Exception as error:
                    self.wrong.append(repr(error))

    def _made(self, person: Person) -> str:
        reply = self._answered(person.send("POST", "/buckets", {"name": "x", "storage": 1000, "transfer": 1000}), 200)
        return str(reply.json()["id"])

    def _upload(self, through: list[Person], choose: random.Random) -> None:
        data = choose.choice([*COMMON, choose.randbytes(choose.choice([5, 5000]))])
        token = self._token(through[0], "PUSH")
        name = file_hash(data)
        already = self.files.get(name)
        if already is None:
            self.unknown[name] = data
        self._answered(through[0].put(self.bucket, multipart(data), len(data), token), 200)
        self.files[name] = data
        self.unknown.pop(name, None)
        self.done["uploaded"] += 1

    def _download(self, through: list[Person], choose: random.Random) -> None:
        if not self.files:
            return
        name = choose.choice(sorted(self.files))
        pointers = self._answered(through[0].pointers(self.bucket, name, self._token(through[0], "PULL")), 200)
        if b"".join(fetch(pointer) for pointer in pointers.json()) != self.files[name]:
            self.wrong.append(f"{name} reads back wrong")
        self.done["downloaded"] += 1

    def _delete(self, through: list[Person], choose: random.Random) -> None:
        if not self.files:
            return
        name = choose.choice(sorted(self.files))
        self.unknown[name] = self.files.pop(name)
        self._answered(through[0].send("DELETE", f"/buckets/{self.bucket}/files/{name}"), 204)
        del self.unknown[name]
        self.done["deleted"] += 1

    def _come_and_go(self, through: list[Person], choose: random.Random) -> None:
        bucket, data = self._made(through[0]), choose.choice(COMMON)
        reply = through[0].send("POST", f"/buckets/{bucket}/tokens", {"operation": "PUSH"})
        token = str(self._answered(reply, 200).json()["token"])
        self._answered(through[0].put(bucket, multipart(data), len(data), token), 200)
        self._answered(through[-1].send("DELETE", f"/buckets/{bucket}"), 204)
        self.done["buckets"] += 1

    def _race(self, through: list[Person], choose: random.Random) -> None:
        """Use one token through all bridges at once."""
        data = b"a race"
        push, pull = self._token(through[0], "PUSH"), self._token(through[0], "PULL")
        self.unknown[file_hash(data)] = data
        won = self._race_with(through, lambda one: one.put(self.bucket, multipart(data), len(data), push))
        if won:
            self.files[file_hash(data)] = self.unknown.pop(file_hash(data))
            self._race_with(through, lambda one: one.pointers(self.bucket, file_hash(data), pull))

    def _race_with(self, through: list[Person], use: Callable[[Person], httpx.Response]) -> int:
        with ThreadPoolExecutor(len(through) * 2) as pool:
            replies = list(pool.map(use, through * 2))
        served = sum(reply.status_code == 200 for reply in replies)
        if served > 1:
            self.wrong.append(f"a token served {served} times")
        for reply in replies:
            if reply.status_code not in (200, 401, 503):
                self.wrong.append(f"a token: {reply.status_code} {reply.text}")
        self.done["raced"] += 1
        return served

    def _token(self, person: Person, operation: str) -> str:
        reply = person.send("POST", f"/buckets/{self.bucket}/tokens", {"operation": operation})
        return str(self._answered(reply, 200).json()["token"])

    def _answered(self, reply: httpx.Response, status: int) -> httpx.Response:
        if reply.status_code == 503:
            self.done[reply.json()["error"]] += 1
            raise Unanswered
        if reply.status_code != status:
            self.wrong.append(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text}")
            raise Unanswered
        return reply

    def verify(self, url: str) -> None:
        """Check that every acknowledged file is there, whole, and no other one."""
        with visited(self.settings, url) as bridge:
            person = Person(bridge, self.person.email, self.person.key)
            listed = {file["hash"] for file in person.send("GET", f"/buckets/{self.bucket}/files").json()}
            assert set(self.files) <= listed, "an acknowledged file is not there"
            assert listed <= set(self.files) | set(self.unknown), "a file that nobody stored, or that was deleted"
            for name in listed:
                assert person.download(self.bucket, name) == {**self.unknown, **self.files}[name]

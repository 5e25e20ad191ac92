"""All that a bridge writes, as operations that a fault may interrupt anywhere, and what must hold afterwards."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import httpx
import obstore
from anyio import to_thread

from pymdc.bridge import cleaning
from pymdc.bridge.app import create_app
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.check import check
from pymdc.bridge.errors import Refused
from pymdc.bridge.mail import Mail
from pymdc.bridge.repair import remove
from pymdc.bridge.settings import UPLOAD_LEASE_SECONDS, Settings
from pymdc.bridge.store import Store
from pymdc.keypair import ECDSA

from ..harness import BOUNDARY, PASSWORD, Person, Running, connected_to, file_hash, multipart, object_store, run_sql
from .faults import Plan

COMMON = b"what everybody has " * 10
HEALED = b"what is lost and found again " * 10
_LATER = (UPLOAD_LEASE_SECONDS + 60) * 1000


class Unanswered(Exception):  # noqa: N818 -- it is no error, but the lot of those whose bridge loses its database
    """The answer was lost: the request may have been carried out or not."""


@dataclass
class Promises:
    """The acknowledgements that clients got.

    Attributes:
        stored: bucket and hash of each file that is acknowledged.
        unknown: the files that may be there or not, since the answer was lost.
        gone: buckets that are deleted.
        users: accounts that are activated.
    """

    stored: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)

    def note(self, what: str, *about: str) -> None:
        """Note a request before it is sent, and its answer."""
        file = cast("tuple[str, str]", about)
        if what in ("storing", "deleting"):
            self.unknown |= {file} - self.stored if what == "storing" else {file}
            self.stored -= {file} if what == "deleting" else set()
        elif what in ("stored", "deleted"):
            self.unknown.discard(file)
            self.stored |= {file} if what == "stored" else set()
        elif what in ("dropping", "dropped"):
            theirs = {one for one in self.stored if one[0] == about[0]}
            self.stored -= theirs
            self.unknown |= theirs
            self.gone |= {about[0]} if what == "dropped" else set()
        elif what == "activated":
            self.users.add(about[0])
        else:
            self.users.discard(about[0])

    def broken(self, settings: Settings) -> list[str]:
        """Return which of the promises do not hold."""
        with connected_to(settings.database_url) as query:
            listed = set(query("SELECT bucket, content FROM entries WHERE bucket IN (SELECT id FROM buckets)"))
            active = {email for (email,) in query("SELECT email FROM users WHERE activated")}
        wrong = [f"acknowledged and not listed: {file}" for file in self.stored - listed]
        wrong += [f"listed and never stored: {file}" for file in listed - self.stored - self.unknown]
        wrong += [f"deleted and still there: {file}" for file in listed if file[0] in self.gone]
        return wrong + [f"activated and not active: {user}" for user in self.users - active]


@dataclass
class World:
    """A bridge without a socket, one person who uses it, and a plan of what goes wrong."""

    settings: Settings
    plan: Plan
    note: Callable[..., None]
    key: ECDSA = field(default_factory=ECDSA)
    email: str = ""
    bucket: str = ""

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[Run]:
        """Open the bridge. Give a function that runs an operation on it and notes the outcome."""
        mails: list[Mail] = []
        app = create_app(Settings(**{**vars(self.settings), "on_mail": mails.append}))
        bridge = app.state.bridge
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as http:
            running = cast("Running", SimpleNamespace(http=http))

            async def run(operation: Operation) -> None:
                person = Person(running, self.email, self.key)
                session = Session(self, person, http, mails, bridge.store, bridge.blobs)
                if self.bucket:
                    await session.warm_up()
                with suppress(Unanswered):
                    await operation(session)

            try:
                if not self.bucket:
                    await run(begin)
                yield run
            finally:
                bridge.writer.close()
                bridge.store.close()


@dataclass
class Session:
    """One operation of a world."""

    world: World
    person: Person
    http: httpx.AsyncClient
    mails: list[Mail]
    store: Store
    blobs: Blobs

    async def send(self, request: httpx.Request, status: int, auth: httpx.Auth | None = None) -> httpx.Response:
        """Send a request that must be answered with `status`, or not at all."""
        reply = await self.http.send(request, auth=auth)
        if reply.status_code == 503:
            raise Unanswered
        assert reply.status_code == status, f"{request.method} {request.url}: {reply.status_code} {reply.text}"
        return reply

    async def signed(self, method: str, path: str, status: int, **sent: Any) -> httpx.Response:
        sent["__nonce"] = time.time_ns() // 1000  # unlike a counter it differs between processes too
        return await self.send(self.person.signed(method, path, sent), status)

    async def database(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the database as an operator's command does."""
        try:
            return await to_thread.run_sync(call, *args)
        except Refused as refused:
            if refused.status == 503:
                raise Unanswered from refused
            raise

    async def warm_up(self) -> None:
        """Work until the connections that the last fault broke are made anew.

        So an operation takes the same exchanges each time, and each of them can be told by its number.
        """
        for _ in range(3):
            with suppress(Unanswered):
                await self.signed("GET", f"/buckets/{self.world.bucket}", 200)
                return

    async def register(self) -> None:
        email = f"person{secrets.token_hex(8)}@example.com"
        build = self.http.build_request
        await self.send(build("POST", "/users", json={"email": email, "password": PASSWORD}), 200)
        await self.send(build("GET", f"/activations/{self.mails[-1].token}"), 200)
        self.world.note("activated", email)
        request = build("POST", "/keys", json={"key": self.person.key.get_public_key()})
        await self.send(request, 200, httpx.BasicAuth(email, PASSWORD))
        self.person = Person(self.person.bridge, email, self.person.key)

    async def make_bucket(self) -> str:
        return str((await self.signed("POST", "/buckets", 200, name="x", storage=1000, transfer=1000)).json()["id"])

    async def token(self, bucket: str, operation: str) -> str:
        reply = await self.signed("POST", f"/buckets/{bucket}/tokens", 200, operation=operation)
        return str(reply.json()["token"])

    async def store_file(self, bucket: str, data: bytes, *, size: int | None = None, status: int = 200) -> str:
        headers = {
            "x-token": await self.token(bucket, "PUSH"),
            "x-filesize": str(len(data) if size is None else size),
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        name = file_hash(data)
        if status == 200:
            self.world.note("storing", bucket, name)
        url = f"/buckets/{bucket}/files"
        await self.send(self.http.build_request("PUT", url, content=multipart(data), headers=headers), status)
        if status == 200:
            self.world.note("stored", bucket, name)
        return name

    async def read_file(self, bucket: str, name: str) -> bytes:
        headers = {"x-token": await self.token(bucket, "PULL")}
        path = f"/buckets/{bucket}/files/{name}"
        pointers = (await self.send(self.http.build_request("GET", path, headers=headers), 200)).json()
        data = b""
        for pointer in pointers:
            shard = await self.database(
                self.store.pointers.open_channel, pointer["token"], pointer["hash"], self.store.now()
            )
            data += b"".join([piece async for piece in self.blobs.read(shard.blob)])
        return data

    async def drop(self, bucket: str) -> None:
        self.world.note("dropping", bucket)
        await self.signed("DELETE", f"/buckets/{bucket}", 204)
        self.world.note("dropped", bucket)

    async def sweep(self) -> None:
        await self.database(cleaning.sweep, self.store, self.blobs, self.store.now() + _LATER)


Operation = Callable[[Session], Awaitable[None]]
Run = Callable[[Operation], Awaitable[None]]


def unique() -> bytes:
    """Return a content that nobody has. It shares its first shard with `COMMON`."""
    return COMMON[:64] + secrets.token_bytes(16) * 12


async def begin(session: Session) -> None:
    """Make the account and the bucket of a world, with a file that other buckets will hold too."""
    await session.register()
    session.world.email, session.world.bucket = session.person.email, await session.make_bucket()
    await session.store_file(session.world.bucket, COMMON)


async def account(session: Session) -> None:
    """Register, activate, add a key, remove it."""
    old = session.person
    session.person = Person(old.bridge, "", ECDSA())
    with session.world.plan.armed():
        await session.register()
        await session.signed("DELETE", f"/keys/{session.person.key.get_public_key()}", 200)


async def bucket(session: Session) -> None:
    """Make, change and delete a bucket that holds files."""
    with session.world.plan.armed():
        made = await session.make_bucket()
        await session.signed("PATCH", f"/buckets/{made}", 200, name="y")
    for data in (COMMON, unique(), b""):
        await session.store_file(made, data)
    with session.world.plan.armed():
        await session.drop(made)


async def new_file(session: Session) -> None:
    """Upload a new content, of several shards."""
    with session.world.plan.armed():
        await session.store_file(session.world.bucket, unique())


async def same_content(session: Session) -> None:
    """Upload a content that another bucket has, then again into the same bucket."""
    made = await session.make_bucket()
    with session.world.plan.armed():
        await session.store_file(made, COMMON)
        await session.store_file(made, COMMON)


async def refused_file(session: Session) -> None:
    """Upload a file that is refused when its shards are stored already."""
    with session.world.plan.armed():
        data = unique()
        await session.store_file(session.world.bucket, data, size=len(data) + 1, status=400)


async def download(session: Session) -> None:
    """Get pointers and open their channels."""
    with session.world.plan.armed():
        assert await session.read_file(session.world.bucket, file_hash(COMMON)) == COMMON


async def delete_file(session: Session) -> None:
    """Delete files: of a content that others have, and of one that nobody has."""
    made = await session.make_bucket()
    names = [await session.store_file(made, data) for data in (COMMON, unique())]
    with session.world.plan.armed():
        for name in names:
            session.world.note("deleting", made, name)
            await session.signed("DELETE", f"/buckets/{made}/files/{name}", 204)
            session.world.note("deleted", made, name)


async def clean_up(session: Session) -> None:
    """Clean up after deleted buckets, uploads that died and files that were deleted."""
    made = await session.make_bucket()
    await session.store_file(made, COMMON)
    await session.store_file(made, unique())
    await session.drop(made)
    upload = await session.database(session.store.files.begin, *await _begun(session))
    for number in range(2):
        session.blobs.put(f"{upload}/{number}", b"never listed")
    with session.world.plan.armed():
        await session.sweep()


async def _begun(session: Session) -> tuple[str, str, int, int]:
    return await session.token(session.world.bucket, "PUSH"), session.world.bucket, 5, session.store.now()


async def repair(session: Session) -> None:
    """Check and repair a store with blobs that belong to no shard."""
    # Each time in the same folder: if the kill comes before the folder is removed, the next time it is.
    session.blobs.put(f"{'0' * 32}/0", b"nobody's")
    with session.world.plan.armed():
        await remove_orphans(session)


async def remove_orphans(session: Session) -> None:
    """Remove blobs that belong to no shard, as `check --repair` does."""
    found = await session.database(check, session.store, session.blobs, lambda line: None)
    assert found.wrong == []
    await session.database(remove, session.store, session.blobs, found.orphans)


async def heal(session: Session) -> None:
    """Upload a content again whose shards are lost, or known to be damaged."""
    name = await session.store_file(session.world.bucket, HEALED)
    url = session.world.settings.database_url
    of_file = "SELECT shard, blob FROM content_shards JOIN shards ON shard = hash WHERE content = ? ORDER BY position"
    (_, lost), (marked, _), *_ = run_sql(url, of_file, name)
    obstore.delete(object_store(session.world.settings), lost)
    run_sql(url, "UPDATE shards SET suspect = ? WHERE hash = ?", True, marked)
    with session.world.plan.armed():
        await session.store_file(session.world.bucket, HEALED)


async def mend(session: Session) -> None:
    """Upload what an interrupted `heal` left broken, and look whether it is whole."""
    name = await session.store_file(session.world.bucket, HEALED)
    assert await session.read_file(session.world.bucket, name) == HEALED


async def remove_account(session: Session) -> None:
    """Remove an account with its buckets and files."""
    old = session.person
    session.person = Person(old.bridge, "", ECDSA())
    await session.register()
    made = await session.make_bucket()
    await session.store_file(made, COMMON)
    with session.world.plan.armed():
        session.world.note("dropping", made)
        session.world.note("removing", session.person.email)
        await session.database(session.store.accounts.remove, session.person.email)
        session.world.note("dropped", made)


OPERATIONS: dict[str, Operation] = {
    operation.__name__: operation
    for operation in (
        account, bucket, new_file, same_content, refused_file, download, delete_file, clean_up, repair, heal,
        remove_account,
    )
}  # fmt: skip


async def clean_the_rest(session: Session) -> None:
    """Clean up to the end, after a clean-up was interrupted."""
    await session.sweep()


AFTER = {"heal": mend, "repair": remove_orphans, "clean_up": clean_the_rest}
"""The operation that must follow if the one of this name was interrupted."""

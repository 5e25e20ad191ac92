"""The files in a bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..core import wire
from ..core.base_client import BaseClient, check_client, client_for
from ..core.delivery import Callback
from ..core.exchange import Exchange
from ..core.job import Job, Progress, ProgressCallback
from ..core.wire import Account, Call
from ..errors import MetadiskError, unwrap
from ..keypair import ECDSA
from ..transfers import multipart_encoder as multipart
from .results import text_of

__all__ = ["Files"]


class Files:
    """The files in a bucket.

    Arguments:
        bucket_id: the bucket's id, or the dict that `Buckets.create` gave.
        key_pair: an `ECDSA` signs, a `Users` logs in.
        client: the client to use, else that of the `Users` given, else the default one.

    Attributes:
        bucket_id: the bucket's id.
    """

    def __init__(
        self, bucket_id: str | Mapping[str, Any], key_pair: object, *, client: BaseClient | None = None
    ) -> None:
        self.bucket_id = text_of(bucket_id, "id", "a bucket's id")
        check_client(client)
        self.key_pair = key_pair
        self._client = client

    def list(self, callback: Callback | None = None) -> Any:
        """List the files.

        Returns:
            `[{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}, ...]`, or a refusal,
            `{"error": ...}`, or an exception value (see `pymdc.errors`). With a callback: a `Handle`.
        """
        return self._client_now.call(self._call("GET", "files"), callback)

    def token(self, operation: str, callback: Callback | None = None) -> Any:
        """Ask for a token, which allows one upload (`"PUSH"`) or one download (`"PULL"`) within five minutes.

        Returns:
            `{"bucket": ..., "operation": ..., "expires": ..., "token": ..., "id": ...}`, or a refusal, or an exception
            value. With a callback: a `Handle`.
        """
        return self._client_now.call(self._token_call(operation), callback)

    def upload(
        self,
        path: multipart.Source,
        token: str | Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> Any:
        """Upload a file, of any size. It is read and hashed as it is sent, so memory does not grow with it.

        Arguments:
            path: the file: a path, an open binary file (sent from its position on), or the content as bytes.
            token: a PUSH token, or the dict that `token("PUSH")` gave. Without one the upload asks for its own.
            progress: called with how many bytes are sent, and how many there are in all.
            name: what the bridge is to call the file; else its own name.
            mimetype: its MIME type; else what its name tells.

        Returns:
            `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}`, or a refusal, or an exception
            value: an `OSError` for a file that cannot be read or changes while it is sent, an `IntegrityError` where
            the bridge stored something else than was sent. With a callback: a `Handle`.

        Raises:
            TypeError, ValueError: `path` is nothing that can be uploaded, or another argument is none.
        """
        multipart.check(path, name, mimetype)
        title = multipart.name_of(path) if name is None else name
        given = None if token is None else self._checked(token, "a PUSH token")

        def work(ask: _Ask, exchange: Exchange, job: Job) -> Any:
            with multipart.opened(path) as file:
                fields = {wire.NONCE: str(wire.next_nonce()), "id": self.bucket_id}
                form = multipart.form(file, title, mimetype, fields)
                pass_ = given or self._own_token("PUSH", ask, job)
                call = self._call("PUT", "files", token=pass_)
                return exchange.upload(call, form, job, Progress(job, progress, form.size))

        return self._run(work, callback)

    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> Any:
        """Download a file. Every shard is checked by its hash as it arrives, and the file by its own at the end.

        With `path`, the file stands there when it is whole, and not before, and memory does not grow with it. A
        download that was interrupted goes on when it is called again, with the shards that it lacks; until then a
        folder `.pymdc-HASH` beside the file keeps the others.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` gave.
            token: a PULL token, or the dict that `token("PULL")` gave. Without one the download asks for its own. Where
                a farmer fails it asks for more, if this object has credentials.
            path: the file to write, replaced if it is there; in a folder, the file's own name, made safe.
            progress: called with how many bytes are there, and how many there are in all, or `None` while that is not
                known.

        Returns:
            The bytes; with `path` `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ..., "path":
            ...}`; or a refusal, or an exception value: a `ChannelError` or a `TimeoutError` for a farmer that refuses
            or falls silent, an `IntegrityError` for shards that are not the file. With a callback: a `Handle`.
        """
        wanted = text_of(file_hash, "hash", "a file's hash")
        given = None if token is None else self._checked(token, "a PULL token")
        known = dict(file_hash) if isinstance(file_hash, Mapping) else {}
        place = None if path is None else Path(path)

        def work(ask: _Ask, exchange: Exchange, job: Job) -> Any:
            from ..transfers.downloads import Download  # who downloads nothing does not load what the channels need

            def pointers(first: bool, job: Job) -> Any:
                pass_ = given if first and given else self._own_token("PULL", ask, job)
                return ask(self._call("GET", "files", wanted, token=pass_), job)

            def entry() -> dict[str, Any]:
                return known if "size" in known else _entry(ask(self._call("GET", "files"), job), wanted)

            signs = isinstance(self.key_pair, ECDSA | Account)
            return Download(wanted, pointers, signs, entry, exchange.channels, job, progress).to(place, self.bucket_id)

        return self._run(work, callback)

    def pointers(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any],
        callback: Callback | None = None,
    ) -> Any:
        """Ask where the shards of a file are, as the unfinished `download` of 2016 did.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` gave.
            token: a PULL token, or the dict that `token("PULL")` gave.

        Returns:
            `[{"hash": ..., "token": ..., "operation": "PULL", "channel": ...}, ...]`, in the order of the file, or a
            refusal, or an exception value. With a callback: a `Handle`.
        """
        wanted = text_of(file_hash, "hash", "a file's hash")
        call = self._call("GET", "files", wanted, token=text_of(token, "token", "a PULL token"))
        return self._client_now.call(call, callback)

    def delete(self, file_hash: str | Mapping[str, Any], callback: Callback | None = None) -> Any:
        """Delete a file from the bucket.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        call = self._call("DELETE", "files", text_of(file_hash, "hash", "a file's hash"))
        return self._client_now.call(call, callback)

    @property
    def _client_now(self) -> BaseClient:
        return client_for(self._client, self.key_pair)

    def _call(self, method: str, *segments: str, token: str | None = None) -> Call:
        """Describe a call below the bucket: with a token, and then no other credentials, or with the key pair's."""
        resource = wire.path("buckets", self.bucket_id, *segments)
        if token is not None:
            return wire.call(method, resource, {}, headers={"x-token": token})
        return wire.call(method, resource, {}, self.key_pair)

    def _checked(self, token: str | Mapping[str, Any], what: str) -> str:
        """Return a token's text, or raise here, in the caller's thread, for what cannot be sent as one."""
        text = text_of(token, "token", what)
        self._call("GET", token=text)
        return text

    def _own_token(self, operation: str, ask: _Ask, job: Job) -> str:
        value = ask(self._token_call(operation), job)
        try:
            return self._checked(value, f"a {operation} token")
        except (TypeError, ValueError) as error:
            raise HTTPException("the bridge did not answer with a token") from error

    def _token_call(self, operation: str) -> Call:
        return wire.call(
            "POST", wire.path("buckets", self.bucket_id, "tokens"), {"operation": operation}, self.key_pair
        )

    def _run(self, work: Callable[[_Ask, Exchange, Job], Any], callback: Callback | None) -> Any:
        """Run `work`, which makes calls by way of `ask`; a refusal of any of them is the value of the whole."""

        def whole(exchange: Exchange, job: Job) -> Any:
            try:
                return work(lambda call, job: unwrap(exchange.perform(call, job)), exchange, job)
            except MetadiskError as refusal:
                return refusal.value

        return self._client_now.run(whole, callback)


_Ask = Callable[[Call, Job], Any]


def _entry(listed: Any, file_hash: str) -> dict[str, Any]:
    entries = listed if isinstance(listed, list) else []
    return next((each for each in entries if isinstance(each, dict) and each.get("hash") == file_hash), {})

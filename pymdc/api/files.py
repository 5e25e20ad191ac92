"""The files in a bucket."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import multipart, wire
from ..client import Client, default_client
from ..dispatch import Callback
from ..exchange import Exchange
from ..rest import REST
from ..wire import path
from .results import text_of

__all__ = ["Files"]


class Files:
    """The files in a bucket.

    Arguments:
        bucket_id: the bucket's id, or the dict that `Buckets.create` gave.
        key_pair: an `ECDSA` signs, a `Users` logs in.
        client: the client to use, else the default one.

    Attributes:
        bucket_id: the bucket's id.
    """

    def __init__(self, bucket_id: str | Mapping[str, Any], key_pair: object, *, client: Client | None = None) -> None:
        self.bucket_id = text_of(bucket_id, "id", "a bucket's id")
        self.key_pair = key_pair
        self._client = client

    def list(self, callback: Callback | None = None) -> Any:
        """List the files.

        Returns:
            `[{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}, ...]`, or a refusal,
            `{"error": ...}`, or an exception value (see `pymdc.errors`). With a callback: a `Handle`.
        """
        resource = path("buckets", self.bucket_id, "files")
        return REST("GET", resource, auth=self.key_pair, callback=callback, client=self._client)

    def token(self, operation: str, callback: Callback | None = None) -> Any:
        """Ask for a token, which allows one upload (`"PUSH"`) or one download (`"PULL"`) within five minutes.

        Returns:
            `{"bucket": ..., "operation": ..., "expires": ..., "token": ..., "id": ...}`, or a refusal, or an exception
            value. With a callback: a `Handle`.
        """
        resource = path("buckets", self.bucket_id, "tokens")
        params = {"operation": operation}
        return REST("POST", resource, params, self.key_pair, callback=callback, client=self._client)

    def upload(
        self,
        path: str | os.PathLike[str],
        token: str | Mapping[str, Any],
        callback: Callback | None = None,
    ) -> Any:
        """Upload a file, of any size, under its own name. It is read as it is sent, so memory does not grow with it.

        Arguments:
            path: the file.
            token: a PUSH token, or the dict that `token("PUSH")` gave.

        Returns:
            `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}`, or a refusal, or an exception
            value: an `OSError` for a file that cannot be read or changes while it is sent, an `IntegrityError` where
            the bridge stored something else than was sent. With a callback: a `Handle`.
        """
        file_path = Path(os.fsdecode(path))
        headers = {"x-token": text_of(token, "token", "a PUSH token")}
        call = wire.call("PUT", wire.path("buckets", self.bucket_id, "files"), {}, headers=headers)

        def work(exchange: Exchange) -> Any:
            with multipart.opened(file_path) as file:
                fields = {wire.NONCE: str(wire.next_nonce()), "id": self.bucket_id}
                return exchange.upload(call, multipart.form(file, file_path.name, fields))

        return (self._client or default_client()).run(work, callback)

    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any],
        callback: Callback | None = None,
    ) -> Any:
        """Ask where the shards of a file are.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` gave.
            token: a PULL token, or the dict that `token("PULL")` gave.

        Returns:
            `[{"hash": ..., "token": ..., "operation": "PULL", "channel": ...}, ...]`, in the order of the file, or a
            refusal, or an exception value. With a callback: a `Handle`.
        """
        resource = path("buckets", self.bucket_id, "files", text_of(file_hash, "hash", "a file's hash"))
        headers = {"x-token": text_of(token, "token", "a PULL token")}
        return REST("GET", resource, headers=headers, callback=callback, client=self._client)

"""The files in a bucket."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from ..core.base_client import BaseClient, check_client, client_for
from ..core.delivery import Callback, check_callable
from ..core.handle import Handle
from ..core.job import ProgressCallback
from ..transfers import multipart_encoder as multipart
from ..transfers.access import Access
from ..transfers.downloads import Download
from ..transfers.folders import discard_kept
from ..transfers.places import check_exists, folder_of
from ..transfers.uploads import Upload
from .results import check_credentials, text_of
from .types import BytesValue, Exists, FilesValue, FileValue, NothingValue, Operation, PointersValue, TokenValue

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
        check_credentials(key_pair, "key_pair", needed=False)
        check_client(client)
        self.key_pair = key_pair
        self._client = client

    @overload
    def list(self, callback: None = None) -> FilesValue: ...

    @overload
    def list(self, callback: Callback) -> Handle: ...

    def list(self, callback: Callback | None = None) -> Any:
        """List the files.

        Returns:
            `[{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}, ...]`, or a refusal,
            `{"error": ...}`, or an exception value (see `pymdc.errors`). With a callback: a `Handle`.
        """
        return self._client_now.call(self._access.call("GET", "files"), callback)

    @overload
    def token(self, operation: Operation, callback: None = None) -> TokenValue: ...

    @overload
    def token(self, operation: Operation, callback: Callback) -> Handle: ...

    def token(self, operation: str, callback: Callback | None = None) -> Any:
        """Ask for a token, which allows one upload (`"PUSH"`) or one download (`"PULL"`) within five minutes.

        Returns:
            `{"bucket": ..., "operation": ..., "expires": ..., "token": ..., "id": ...}`, or a refusal, or an exception
            value. With a callback: a `Handle`.
        """
        if not isinstance(operation, str):
            raise TypeError(f"an operation is 'PUSH' or 'PULL', not {type(operation).__name__}")
        return self._client_now.call(self._access.token_call(operation), callback)

    @overload
    def upload(
        self,
        path: multipart.Source,
        token: str | Mapping[str, Any] | None = None,
        callback: None = None,
        *,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> FileValue: ...

    @overload
    def upload(
        self,
        path: multipart.Source,
        token: str | Mapping[str, Any] | None,
        callback: Callback,
        *,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> Handle: ...

    @overload
    def upload(
        self,
        path: multipart.Source,
        token: str | Mapping[str, Any] | None = None,
        *,
        callback: Callback,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> Handle: ...

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
        _check_progress(progress)
        title = multipart.name_of(path) if name is None else name
        given = None if token is None else self._checked(token, "a PUSH token")
        upload = Upload(self._access, path, title, mimetype, given, progress)
        return self._client_now.run(upload.run, callback)

    @overload
    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None = None,
        callback: None = None,
        *,
        path: None = None,
        exists: None = None,
        progress: ProgressCallback | None = None,
    ) -> BytesValue: ...

    @overload
    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None = None,
        callback: None = None,
        *,
        path: str | os.PathLike[str],
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> FileValue: ...

    @overload
    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None,
        callback: Callback,
        *,
        path: str | os.PathLike[str] | None = None,
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> Handle: ...

    @overload
    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None = None,
        *,
        callback: Callback,
        path: str | os.PathLike[str] | None = None,
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> Handle: ...

    def download(
        self,
        file_hash: str | Mapping[str, Any],
        token: str | Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        exists: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Any:
        """Download a file. Every shard is checked by its hash as it arrives, and the file by its own at the end.

        With `path`, the file stands there when it is whole, and not before, and memory does not grow with it. A
        download that was interrupted goes on when it is called again, with the shards that it lacks; until then a
        folder `.pymdc-HASH` beside the file keeps the others; `discard` removes it.

        A bridge of 2016 mixes the shards of several uploads of one file; then those of the file are searched for.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` gave.
            token: a PULL token, or the dict that `token("PULL")` gave. Without one the download asks for its own. Where
                a farmer fails it asks for more, if this object has credentials.
            path: the file to write; or a folder, for the file's own name, made safe and without a dot before it.
            exists: what happens to a file that is there: `"replace"`, `"rename"` (the new file is named
                `film (2).mkv`) or `"error"` (the value is a `FileExistsError`). By default an exact path is replaced,
                and in a folder nothing is: the new file is renamed. Only a regular file is ever replaced, or the one
                that a symbolic link leads to, and its permissions stay.
            progress: called with how many bytes are there, and how many there are in all, or `None` while that is not
                known.

        Returns:
            The bytes; with `path` `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ..., "path":
            ...}`; or a refusal, or an exception value: a `ChannelError` or a `TimeoutError` for a farmer that refuses
            or falls silent, an `IntegrityError` for shards that are not the file, an `OSError` where the file cannot
            be written. With a callback: a `Handle`.

        Raises:
            TypeError, ValueError: an argument is not as described.
        """
        check_exists(exists, path)
        _check_progress(progress)
        wanted = _hash_of(file_hash)
        given = None if token is None else self._checked(token, "a PULL token")
        known = dict(file_hash) if isinstance(file_hash, Mapping) else {}
        place = None if path is None else _checked_path(path)
        download = Download(self._access, wanted, given, known, place, exists, progress)
        return self._client_now.run(download.run, callback)

    def discard(self, file_hash: str | Mapping[str, Any], path: str | os.PathLike[str]) -> bool | OSError:
        """Remove what an interrupted download has kept. The bridge is not asked, and a whole file is not touched.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` gave.
            path: as it was given to `download`.

        Returns:
            Whether there was anything; or an `OSError` value where it cannot be removed, a `BlockingIOError` where the
            download is still under way.

        Raises:
            TypeError, ValueError: an argument is not as described.
        """
        wanted, place = _hash_of(file_hash), _checked_path(path)
        try:
            return discard_kept(folder_of(place), wanted)
        except OSError as error:
            return error

    @overload
    def pointers(
        self, file_hash: str | Mapping[str, Any], token: str | Mapping[str, Any], callback: None = None
    ) -> PointersValue: ...

    @overload
    def pointers(
        self, file_hash: str | Mapping[str, Any], token: str | Mapping[str, Any], callback: Callback
    ) -> Handle: ...

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
        call = self._access.call("GET", "files", _hash_of(file_hash), token=self._checked(token, "a PULL token"))
        return self._client_now.call(call, callback)

    @overload
    def delete(self, file_hash: str | Mapping[str, Any], callback: None = None) -> NothingValue: ...

    @overload
    def delete(self, file_hash: str | Mapping[str, Any], callback: Callback) -> Handle: ...

    def delete(self, file_hash: str | Mapping[str, Any], callback: Callback | None = None) -> Any:
        """Delete a file from the bucket.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        call = self._access.call("DELETE", "files", _hash_of(file_hash))
        return self._client_now.call(call, callback)

    @property
    def _client_now(self) -> BaseClient:
        return client_for(self._client, self.key_pair)

    @property
    def _access(self) -> Access:
        return Access(self.bucket_id, self.key_pair)

    def _checked(self, token: str | Mapping[str, Any], what: str) -> str:
        """Return a token's text, or raise here, in the caller's thread, for what cannot be sent as one."""
        text = text_of(token, "token", what).strip()
        self._access.call("GET", token=text)
        return text


def _hash_of(file_hash: str | Mapping[str, Any]) -> str:
    """Return a hash as the bridges write it: a person may have pasted it with spaces, or in upper case."""
    return text_of(file_hash, "hash", "a file's hash").strip().lower()


def _checked_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a path is a str or a path, not {type(path).__name__}")
    return Path(path)


def _check_progress(progress: object) -> None:
    if progress is not None:
        check_callable(progress, "progress")

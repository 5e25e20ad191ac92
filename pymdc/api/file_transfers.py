"""Uploads and downloads of the files in a bucket."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, overload

from ..core.base_client import BaseClient, check_client, client_for
from ..core.delivery import Callback
from ..core.handle import Handle
from ..core.job import ProgressCallback
from ..transfers import multipart_encoder as multipart
from ..transfers.access import Access
from ..transfers.downloads import Download
from ..transfers.folders import discard_kept
from ..transfers.places import check_exists, folder_of
from ..transfers.uploads import Upload
from .arguments import FileHash, LocalPath, Token, check_credentials, check_progress, hash_of, local_path, text_of
from .types import BytesValue, Exists, FileValue

__all__ = ["FileTransfers"]


class FileTransfers:
    """What `Files` does with the bytes of files. Its arguments are described there."""

    def __init__(
        self, bucket_id: str | Mapping[str, Any], key_pair: object, *, client: BaseClient | None = None
    ) -> None:
        self.bucket_id = text_of(bucket_id, "id", "a bucket's id")
        check_credentials(key_pair, "key_pair", needed=False)
        check_client(client)
        self.key_pair = key_pair
        self._client = client

    @overload
    def upload(
        self,
        path: multipart.Source,
        token: Token | None = None,
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
        token: Token | None,
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
        token: Token | None = None,
        *,
        callback: Callback,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> Handle: ...

    def upload(
        self,
        path: multipart.Source,
        token: Token | None = None,
        callback: Callback | None = None,
        *,
        progress: ProgressCallback | None = None,
        name: str | None = None,
        mimetype: str | None = None,
    ) -> Any:
        """Upload a file of any size. It is read and hashed in pieces while it is sent, so large files need no memory.

        Arguments:
            path: the path of the file, an open binary file (sent from its current position), or the content as bytes.
            token: a PUSH token, or the dict that `token("PUSH")` returned. Without a token the upload asks for one.
            progress: called with two numbers of bytes: how many are sent, and how many there are.
            name: the name of the file at the bridge. Default: its own name.
            mimetype: its MIME type. Default: guessed from the name.

        Returns:
            `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ...}`, or a refusal, or an exception
            value: an `OSError` if the file cannot be read or changes while it is sent, an `IntegrityError` if the
            bridge stored other bytes than were sent. With a callback: a `Handle`.

        Raises:
            TypeError, ValueError: an argument is not as described.
        """
        multipart.check(path, name, mimetype)
        check_progress(progress)
        title = multipart.name_of(path) if name is None else name
        given = None if token is None else self._checked(token, "a PUSH token")
        source = local_path(path) if isinstance(path, str | os.PathLike) else path
        upload = Upload(self._access, source, title, mimetype, given, progress)
        return self._client_now.run(upload.run, callback)

    @overload
    def download(
        self,
        file_hash: FileHash,
        token: Token | None = None,
        callback: None = None,
        *,
        path: None = None,
        exists: None = None,
        progress: ProgressCallback | None = None,
    ) -> BytesValue: ...

    @overload
    def download(
        self,
        file_hash: FileHash,
        token: Token | None = None,
        callback: None = None,
        *,
        path: LocalPath,
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> FileValue: ...

    @overload
    def download(
        self,
        file_hash: FileHash,
        token: Token | None,
        callback: Callback,
        *,
        path: LocalPath | None = None,
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> Handle: ...

    @overload
    def download(
        self,
        file_hash: FileHash,
        token: Token | None = None,
        *,
        callback: Callback,
        path: LocalPath | None = None,
        exists: Exists | None = None,
        progress: ProgressCallback | None = None,
    ) -> Handle: ...

    def download(
        self,
        file_hash: FileHash,
        token: Token | None = None,
        callback: Callback | None = None,
        *,
        path: LocalPath | None = None,
        exists: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Any:
        """Download a file. Each shard is checked by its hash when it arrives, and the whole file by its own hash.

        With `path`, the bytes go to a hidden folder `.pymdc-HASH` beside the file, and the file appears when it is
        complete and checked. If the download is interrupted, the folder stays: call `download` again, and it fetches
        only the missing shards; or call `discard`, which removes the folder. Large files need no memory.

        A bridge of 2016 mixes the shards of several uploads of one file. Then the download finds out which are right.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` returned.
            token: a PULL token, or the dict that `token("PULL")` returned. Without a token the download asks for one.
                If a farmer fails, it asks for another one, provided that this object has credentials.
            path: the file to write, or a folder: then the file gets its own name, made safe and without a leading dot.
            exists: what happens if the file exists already: `"replace"`, `"rename"` (the new file is named
                `film (2).mkv`) or `"error"` (the value is a `FileExistsError`). Default: `"replace"` for the path of a
                file, `"rename"` in a folder. Only regular files are replaced, or the target of a symbolic link; the
                permissions stay.
            progress: called with two numbers of bytes: how many have arrived, and how many there are (`None` while the
                size is unknown).

        Returns:
            The bytes; with `path` `{"bucket": ..., "mimetype": ..., "filename": ..., "size": ..., "hash": ..., "path":
            ...}`, where the path is absolute; or a refusal, or an exception value: a `ChannelError` or a
            `TimeoutError` if a farmer refuses or does not answer, an `IntegrityError` if the shards are not the file,
            an `OSError` if the file cannot be written. With a callback: a `Handle`.

        Raises:
            TypeError, ValueError: an argument is not as described.
        """
        check_exists(exists, path)
        check_progress(progress)
        wanted = hash_of(file_hash)
        given = None if token is None else self._checked(token, "a PULL token")
        known = dict(file_hash) if isinstance(file_hash, Mapping) else {}
        place = None if path is None else local_path(path)
        download = Download(self._access, wanted, given, known, place, exists, progress)
        return self._client_now.run(download.run, callback)

    def discard(self, file_hash: FileHash, path: LocalPath) -> bool | OSError:
        """Remove the shards that an interrupted download has kept on this machine. A complete file is not touched.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` returned.
            path: the same path as in `download`.

        Returns:
            Whether there was anything to remove; or an exception value: an `OSError` if it cannot be removed, a
            `BlockingIOError` if the download is still running.

        Raises:
            TypeError, ValueError: an argument is not as described.
        """
        wanted, place = hash_of(file_hash), local_path(path)
        try:
            return discard_kept(folder_of(place), wanted)
        except OSError as error:
            return error

    @property
    def _client_now(self) -> BaseClient:
        return client_for(self._client, self.key_pair)

    @property
    def _access(self) -> Access:
        return Access(self.bucket_id, self.key_pair)

    def _checked(self, token: Token, what: str) -> str:
        """Return the text of a token; raise in the caller's thread if it cannot be sent."""
        text = text_of(token, "token", what).strip()
        self._access.call("GET", token=text)  # raises if a header cannot hold the text
        return text

"""The files in a bucket."""

from __future__ import annotations

from typing import Any, overload

from ..core.delivery import Callback
from ..core.handle import Handle
from .arguments import FileHash, Token, hash_of
from .file_transfers import FileTransfers
from .types import FilesValue, NothingValue, Operation, PointersValue, TokenValue

__all__ = ["Files"]


class Files(FileTransfers):
    """The files in a bucket.

    Arguments:
        bucket_id: the bucket's id, or the dict that `Buckets.create` gave.
        key_pair: an `ECDSA` signs the requests; a `Users` logs in. `None` is enough if every call gets a token.
        client: the client to use. Default: the client of the `Users` in `key_pair`, or the default client.

    Attributes:
        bucket_id: the bucket's id.
    """

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
        """Ask for a token. It allows one upload (`"PUSH"`) or one download (`"PULL"`) within five minutes.

        Returns:
            `{"bucket": ..., "operation": ..., "expires": ..., "token": ..., "id": ...}`, or a refusal, or an exception
            value. With a callback: a `Handle`.
        """
        if not isinstance(operation, str):
            raise TypeError(f"an operation is 'PUSH' or 'PULL', not {type(operation).__name__}")
        return self._client_now.call(self._access.token_call(operation), callback)

    @overload
    def pointers(self, file_hash: FileHash, token: Token, callback: None = None) -> PointersValue: ...

    @overload
    def pointers(self, file_hash: FileHash, token: Token, callback: Callback) -> Handle: ...

    def pointers(self, file_hash: FileHash, token: Token, callback: Callback | None = None) -> Any:
        """Ask where the shards of a file are. The unfinished `download` of 2016 returned this list.

        Arguments:
            file_hash: the file's hash, or the dict that `upload` or `list` returned.
            token: a PULL token, or the dict that `token("PULL")` returned.

        Returns:
            `[{"hash": ..., "token": ..., "operation": "PULL", "channel": ...}, ...]`, in the order of the file, or a
            refusal, or an exception value. With a callback: a `Handle`.
        """
        call = self._access.call("GET", "files", hash_of(file_hash), token=self._checked(token, "a PULL token"))
        return self._client_now.call(call, callback)

    @overload
    def delete(self, file_hash: FileHash, callback: None = None) -> NothingValue: ...

    @overload
    def delete(self, file_hash: FileHash, callback: Callback) -> Handle: ...

    def delete(self, file_hash: FileHash, callback: Callback | None = None) -> Any:
        """Delete a file from the bucket.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        call = self._access.call("DELETE", "files", hash_of(file_hash))
        return self._client_now.call(call, callback)

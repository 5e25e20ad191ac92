"""The types of the calls' values: a result, or a refusal, or an exception value.

For a type checker, `pymdc.unwrap` leaves only the result: `unwrap(buckets.create(...))["id"]`.
"""

from __future__ import annotations

from typing import Literal, TypedDict, final

from ..errors import Refusal

__all__ = [
    "BucketInfo",
    "BucketValue",
    "BucketsValue",
    "BytesValue",
    "Exists",
    "FileInfo",
    "FileValue",
    "FilesValue",
    "KeyInfo",
    "KeyValue",
    "KeysValue",
    "NothingValue",
    "Operation",
    "PointerInfo",
    "PointersValue",
    "Refusal",
    "TokenInfo",
    "TokenValue",
    "UserInfo",
    "UserValue",
]

Operation = Literal["PUSH", "PULL"]
"""What a token allows: an upload, or a download."""


Exists = Literal["replace", "rename", "error"]
"""What a download does when the file exists already."""


@final
class UserInfo(TypedDict):
    """An account: the result of `Users.register` and `Users.activate`."""

    activated: bool
    created: str
    email: str
    id: str


@final
class KeyInfo(TypedDict):
    """A public key of an account."""

    user: str
    key: str
    id: str


@final
class BucketInfo(TypedDict):
    """A bucket. `storage` and `transfer` are in GB."""

    id: str
    name: str
    storage: int
    transfer: int
    status: str
    pubkeys: list[str]
    user: str
    created: str


@final
class TokenInfo(TypedDict):
    """A token for one upload or one download."""

    bucket: str
    operation: Operation
    expires: str
    token: str
    id: str


class _Stored(TypedDict):
    bucket: str
    mimetype: str | None
    filename: str
    size: int
    hash: str


@final
class FileInfo(_Stored, total=False):
    """A file. `size` is in bytes. `path` is there only after a download: where it wrote the file."""

    path: str


class _Pointer(TypedDict):
    hash: str
    token: str
    operation: Operation
    channel: str


@final
class PointerInfo(_Pointer, total=False):
    """Where a shard is. A bridge may add fields, such as the size in bytes."""

    size: int


UserValue = UserInfo | Refusal | Exception
KeyValue = KeyInfo | Refusal | Exception
KeysValue = list[KeyInfo] | Refusal | Exception
BucketValue = BucketInfo | Refusal | Exception
BucketsValue = list[BucketInfo] | Refusal | Exception
TokenValue = TokenInfo | Refusal | Exception
FileValue = FileInfo | Refusal | Exception
FilesValue = list[FileInfo] | Refusal | Exception
PointersValue = list[PointerInfo] | Refusal | Exception
BytesValue = bytes | Refusal | Exception
NothingValue = Literal[""] | Refusal | Exception

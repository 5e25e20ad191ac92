"""Buckets: containers for files, each with a limit on storage and on transfer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, overload

from ..core.base_client import BaseClient, check_client
from ..core.calls import path
from ..core.delivery import Callback
from ..core.handle import Handle
from ..rest import REST
from .arguments import check_credentials, check_text, text_of
from .files import Files
from .keys import public_key_of
from .types import BucketsValue, BucketValue, NothingValue

__all__ = ["Bucket", "Buckets"]


class Buckets:
    """The buckets of an account.

    Arguments:
        key_pair: an `ECDSA` signs the requests (the account must have its public key); a `Users` logs in.
        client: the client to use. Default: the client of the `Users` in `key_pair`, or the default client.
    """

    def __init__(self, key_pair: object, *, client: BaseClient | None = None) -> None:
        check_credentials(key_pair, "key_pair")
        check_client(client)
        self.key_pair = key_pair
        self._client = client

    @overload
    def create(
        self,
        name: str,
        storage: float | str,
        transfer: float | str,
        key_pairs: Iterable[Any],
        callback: None = None,
    ) -> BucketValue: ...

    @overload
    def create(
        self,
        name: str,
        storage: float | str,
        transfer: float | str,
        key_pairs: Iterable[Any],
        callback: Callback,
    ) -> Handle: ...

    def create(
        self,
        name: str,
        storage: float | str,
        transfer: float | str,
        key_pairs: Iterable[Any],
        callback: Callback | None = None,
    ) -> Any:
        """Create a bucket.

        Arguments:
            name: any text; names may repeat.
            storage: how much the bucket may hold, in GB (10^9 bytes). Fractions are cut off, as in 2016.
            transfer: how much may be downloaded from it, in GB.
            key_pairs: key pairs, or public keys in hex. Their owners may ask for tokens of the bucket.

        Returns:
            `{"id": ..., "name": ..., "storage": ..., ...}`, which `Bucket` accepts in place of the id, or a refusal,
            `{"error": ...}`, or an exception value (see `pymdc.errors`). With a callback: a `Handle`.

        Raises:
            TypeError, ValueError: `storage` or `transfer` is not a number or is below 0, or `key_pairs` is not a list
                of keys.
        """
        params = {
            "name": _checked_name(name),
            "storage": _gigabytes(storage, "storage"),
            "transfer": _gigabytes(transfer, "transfer"),
            "pubkeys": _public_keys(key_pairs),
        }
        return REST("POST", "/buckets", params, self.key_pair, callback=callback, client=self._client)

    @overload
    def list(self, callback: None = None) -> BucketsValue: ...

    @overload
    def list(self, callback: Callback) -> Handle: ...

    def list(self, callback: Callback | None = None) -> Any:
        """List the account's buckets.

        Returns:
            A list of dicts like the one of `create`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        return REST("GET", "/buckets", auth=self.key_pair, callback=callback, client=self._client)


class Bucket:
    """One bucket.

    Arguments:
        bucket_id: the bucket's id, or the dict that `Buckets.create` returned.
        key_pair: an `ECDSA` signs the requests; a `Users` logs in.
        client: the client to use. Default: the client of the `Users` in `key_pair`, or the default client.

    Attributes:
        bucket_id: the bucket's id.
        files: the files in the bucket, as a `Files`.

    Raises:
        TypeError, ValueError: `bucket_id` is something else, for example an error value.
    """

    def __init__(
        self, bucket_id: str | Mapping[str, Any], key_pair: object, *, client: BaseClient | None = None
    ) -> None:
        self.bucket_id = text_of(bucket_id, "id", "a bucket's id")
        self.key_pair = key_pair
        self.files = Files(self.bucket_id, key_pair, client=client)
        self._client = client

    @overload
    def list(self, callback: None = None) -> BucketValue: ...

    @overload
    def list(self, callback: Callback) -> Handle: ...

    def list(self, callback: Callback | None = None) -> Any:
        """Return the bucket's metadata.

        Returns:
            `{"id": ..., "name": ..., "storage": ..., ...}`, or a refusal, or an exception value. With a callback: a
            `Handle`.
        """
        return self._call("GET", {}, callback)

    @overload
    def delete(self, callback: None = None) -> NothingValue: ...

    @overload
    def delete(self, callback: Callback) -> Handle: ...

    def delete(self, callback: Callback | None = None) -> Any:
        """Delete the bucket.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        return self._call("DELETE", {}, callback)

    @overload
    def patch(self, params: Mapping[str, Any], callback: None = None) -> BucketValue: ...

    @overload
    def patch(self, params: Mapping[str, Any], callback: Callback) -> Handle: ...

    def patch(self, params: Mapping[str, Any], callback: Callback | None = None) -> Any:
        """Change the bucket.

        Arguments:
            params: the new values of `name`, `storage`, `transfer` or `pubkeys` (a list of public keys in hex).

        Returns:
            The bucket's metadata, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        if not isinstance(params, Mapping):
            raise TypeError(f"params is a dict such as {{'name': 'photos'}}, not {type(params).__name__}")
        return self._call("PATCH", params, callback)

    def _call(self, method: str, params: Mapping[str, Any], callback: Callback | None) -> Any:
        resource = path("buckets", self.bucket_id)
        return REST(method, resource, params, self.key_pair, callback=callback, client=self._client)


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a bucket is a str, not {type(name).__name__}")
    check_text(name, "the name of a bucket")
    return name


def _public_keys(key_pairs: Any) -> list[str]:
    if isinstance(key_pairs, str | bytes | Mapping) or not isinstance(key_pairs, Iterable):
        raise TypeError(f"key_pairs is a list of key pairs, such as [key_pair], not {type(key_pairs).__name__}")
    return [public_key_of(key_pair) for key_pair in key_pairs]


def _gigabytes(number: Any, what: str) -> int:
    expected = f"{what} is a number of GB, such as 10, not {number!r}"
    if isinstance(number, bool) or not isinstance(number, str | int | float | Decimal | Fraction):
        raise TypeError(expected)
    try:
        size = int(Decimal(number) if isinstance(number, str) else number)
    except (ValueError, OverflowError, ArithmeticError):  # not a number, or infinity
        raise ValueError(expected) from None
    if size < 0:
        raise ValueError(f"{what} must not be below 0, but is {number!r}")
    return size

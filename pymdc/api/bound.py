"""The API of one client: `client.api`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from ..core.base_client import BaseClient
from ..core.delivery import Callback
from ..core.handle import Handle
from ..keypair import ECDSA as _ECDSA
from ..rest import REST as _REST
from .buckets import Bucket as _Bucket
from .buckets import Buckets as _Buckets
from .files import Files as _Files
from .keys import Keys as _Keys
from .users import Users as _Users

__all__ = ["BoundAPI"]


class BoundAPI:
    """The classes of `pymdc.api`, bound to one client: they need no `client=`.

    Arguments:
        client: the client that makes the calls.
    """

    ECDSA = _ECDSA

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def Users(self, username: str, password: str | bytes | None = None) -> _Users:  # noqa: N802 - the class's name
        """Return a `pymdc.api.Users` of this client."""
        return _Users(username, password, client=self._client)

    def Keys(self, user: object) -> _Keys:  # noqa: N802
        """Return a `pymdc.api.Keys` of this client."""
        return _Keys(user, client=self._client)

    def Buckets(self, key_pair: object) -> _Buckets:  # noqa: N802
        """Return a `pymdc.api.Buckets` of this client."""
        return _Buckets(key_pair, client=self._client)

    def Bucket(self, bucket_id: str | Mapping[str, Any], key_pair: object) -> _Bucket:  # noqa: N802
        """Return a `pymdc.api.Bucket` of this client."""
        return _Bucket(bucket_id, key_pair, client=self._client)

    def Files(self, bucket_id: str | Mapping[str, Any], key_pair: object) -> _Files:  # noqa: N802
        """Return a `pymdc.api.Files` of this client."""
        return _Files(bucket_id, key_pair, client=self._client)

    @overload
    def REST(
        self,
        method: str,
        resource: str,
        params: Mapping[str, Any] = {},
        auth: object = (),
        headers: Mapping[str, str] = {},
        callback: None = None,
    ) -> Any: ...

    @overload
    def REST(
        self,
        method: str,
        resource: str,
        params: Mapping[str, Any],
        auth: object,
        headers: Mapping[str, str],
        callback: Callback,
    ) -> Handle: ...

    @overload
    def REST(
        self,
        method: str,
        resource: str,
        params: Mapping[str, Any] = {},
        auth: object = (),
        headers: Mapping[str, str] = {},
        *,
        callback: Callback,
    ) -> Handle: ...

    def REST(  # noqa: N802
        self,
        method: str,
        resource: str,
        params: Mapping[str, Any] = {},
        auth: object = (),
        headers: Mapping[str, str] = {},
        callback: Callback | None = None,
    ) -> Any:
        """Make one request of the API with this client, as `pymdc.rest.REST` does."""
        return _REST(method, resource, params, auth, headers, callback, client=self._client)

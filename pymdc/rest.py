"""`REST`: make any request of the API by its method and resource. Every call of `pymdc.api` goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from .core import calls
from .core.base_client import BaseClient, check_client, client_for
from .core.delivery import Callback
from .core.handle import Handle

__all__ = ["REST"]


@overload
def REST(
    method: str,
    resource: str,
    params: Mapping[str, Any] = {},
    auth: object = (),
    headers: Mapping[str, str] = {},
    callback: None = None,
    *,
    client: BaseClient | None = None,
) -> Any: ...


@overload
def REST(
    method: str,
    resource: str,
    params: Mapping[str, Any],
    auth: object,
    headers: Mapping[str, str],
    callback: Callback,
    *,
    client: BaseClient | None = None,
) -> Handle: ...


@overload
def REST(
    method: str,
    resource: str,
    params: Mapping[str, Any] = {},
    auth: object = (),
    headers: Mapping[str, str] = {},
    *,
    callback: Callback,
    client: BaseClient | None = None,
) -> Handle: ...


def REST(  # noqa: N802 - the historic name
    method: str,
    resource: str,
    params: Mapping[str, Any] = {},
    auth: object = (),
    headers: Mapping[str, str] = {},
    callback: Callback | None = None,
    *,
    client: BaseClient | None = None,
) -> Any:
    """Make one request of the API.

    Arguments:
        method: `"GET"`, `"POST"`, `"PATCH"`, `"PUT"` or `"DELETE"`.
        resource: the path below the endpoint, such as `"/buckets"`.
        params: the parameters: the JSON body of a POST, PATCH or PUT, else the query. A `__nonce` is added.
        auth: a `Users` logs in with HTTP Basic; an `ECDSA` signs the request; anything else sends no credentials.
        headers: more headers to send.
        callback: called with the value, in another thread. Without a callback the call blocks and returns the value.
        client: the client to use. Default: the client of the `Users` in `auth`, or the default client.

    Returns:
        The decoded JSON of the reply, or an exception value (see `pymdc.errors`). The call does not raise errors: it
        returns them. With a callback: a `Handle`.

    Raises:
        TypeError, ValueError: an argument cannot be sent.
    """
    check_client(client)
    call = calls.describe(method, resource, params, auth, headers)
    return client_for(client, auth).call(call, callback)

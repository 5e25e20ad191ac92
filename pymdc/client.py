"""The client: the connections, threads and limits for one bridge, and the API bound to it."""

from __future__ import annotations

from .api.bound import BoundAPI
from .core.base_client import BaseClient, configure, default_client

__all__ = ["Client", "configure", "default_client"]


class Client(BaseClient):
    __doc__ = BaseClient.__doc__

    @property
    def api(self) -> BoundAPI:
        """`pymdc.api` bound to this client: `client.api.Buckets(key_pair)` needs no `client=`."""
        return BoundAPI(self)

"""The calls about the files of one bucket. `Files` and the steps of a transfer make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from ..core import calls
from ..core.calls import Account, Call
from ..core.exchange import Exchange
from ..core.job import Job
from ..errors import unwrap
from ..keypair import ECDSA

__all__ = ["Access", "ask"]


@dataclass(frozen=True)
class Access:
    """One bucket, and the credentials for it.

    Attributes:
        bucket_id: the bucket's id.
        credentials: an `ECDSA` signs, an `Account` logs in, anything else does neither.
    """

    bucket_id: str
    credentials: object = field(repr=False)

    @property
    def gives_tokens(self) -> bool:
        """Whether the bridge would give a token for these credentials."""
        return isinstance(self.credentials, ECDSA | Account)

    def call(
        self, method: str, *segments: str, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Call:
        """Describe a call below the bucket, either with a token or with the credentials.

        Raises:
            ValueError: the token cannot be sent in a header. The message does not repeat it.
        """
        resource = calls.path("buckets", self.bucket_id, *segments)
        if token is not None:
            return calls.describe(method, resource, {}, headers={**(headers or {}), "x-token": token})
        return calls.describe(method, resource, {}, self.credentials)

    def token_call(self, operation: str) -> Call:
        """Describe the request for a token."""
        resource = calls.path("buckets", self.bucket_id, "tokens")
        return calls.describe("POST", resource, {"operation": operation}, self.credentials)

    def token(self, operation: str, exchange: Exchange, job: Job) -> str:
        """Ask the bridge for a token, if the caller of a transfer gave none.

        Arguments:
            operation: `"PUSH"` or `"PULL"`.

        Raises:
            MetadiskError: the bridge refused.
            HTTPException: its reply was not a token.
            Exception: any other error value of a call.
        """
        reply = ask(self.token_call(operation), exchange, job)
        token = reply.get("token") if isinstance(reply, dict) else None
        try:
            self.call("GET", token=_text(token))
        except ValueError as error:
            raise HTTPException("the bridge did not answer with a token") from error
        return str(token)


def ask(call: Call, exchange: Exchange, job: Job) -> Any:
    """Make a call during a transfer, and return its result.

    Raises:
        MetadiskError: the bridge refused.
        Exception: any other error value of a call.
    """
    return unwrap(exchange.perform(call, job))


def _text(token: object) -> str:
    if isinstance(token, str) and token:
        return token
    raise ValueError("a token is a str")

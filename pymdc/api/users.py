"""Accounts."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, overload

from ..core.base_client import BaseClient, check_client
from ..core.calls import path
from ..core.delivery import Callback
from ..core.handle import Handle
from ..rest import REST
from .arguments import check_text, text_of
from .types import UserValue

__all__ = ["Users"]

_LINK = re.compile(r"https?://\S*/activations/([^/?#\s]+)(?:[?#]\S*)?", re.IGNORECASE)

_RANDOM_PASSWORD_BYTES = 32


class Users:
    """An account of a bridge. Requests with a `Users` as `auth` log in with HTTP Basic.

    Arguments:
        username: the account's e-mail address.
        password: the password, text (sent as UTF-8) or bytes. If it is missing or empty, a random one is made.
        client: the client to use. Default: the default client.

    Attributes:
        username: the argument of that name.
        password: the password, as bytes.
        client: the argument of that name. `Keys`, `Buckets` and the others that get this account use it too.

    Raises:
        TypeError, ValueError: an argument is not as described, or the username contains ":".

    The bridge never gets the password, only its SHA-256.
    """

    def __init__(self, username: str, password: str | bytes | None = None, *, client: BaseClient | None = None) -> None:
        if not isinstance(username, str):
            raise TypeError(f"the username is an e-mail address, a str, not {type(username).__name__}")
        if not isinstance(password, str | bytes | None):
            raise TypeError(f"the password must be str or bytes, not {type(password).__name__}")
        if ":" in username:
            raise ValueError("the username is an e-mail address and must not contain ':', which ends it in a login")
        check_text(username, "the username")
        if isinstance(password, str):
            check_text(password, "the password")
        check_client(client)
        self.username = username
        secret = password.encode("utf-8") if isinstance(password, str) else password
        self.password: bytes = secret or os.urandom(_RANDOM_PASSWORD_BYTES)
        self.client = client

    @overload
    def register(self, callback: None = None) -> UserValue: ...

    @overload
    def register(self, callback: Callback) -> Handle: ...

    def register(self, callback: Callback | None = None) -> Any:
        """Register the account. The bridge mails a link that activates it.

        Returns:
            `{"activated": False, "created": ..., "email": ..., "id": ...}`, or `{"error": "Email is already
            registered"}`, or an exception value (see `pymdc.errors`). With a callback: a `Handle`.
        """
        params = {"email": self.username, "password": self.password_hash()}
        return REST("POST", "/users", params, callback=callback, client=self.client)

    @overload
    def activate(self, token: str, callback: None = None) -> UserValue: ...

    @overload
    def activate(self, token: str, callback: Callback) -> Handle: ...

    def activate(self, token: str, callback: Callback | None = None) -> Any:
        """Activate the account. A token works once.

        Arguments:
            token: the token at the end of the link in the mail, or the whole link.

        Returns:
            `{"activated": True, "created": ..., "email": ..., "id": ...}`, or `{"error": "Invalid activation token"}`,
            or an exception value. With a callback: a `Handle`.
        """
        text = _token_in(text_of(token, "token", "an activation token"))
        resource = path("activations", text)
        return REST("GET", resource, callback=callback, client=self.client)

    def password_hash(self) -> str:
        """Return the SHA-256 of the password, in hex: what the bridge gets instead of the password."""
        return hashlib.sha256(self.password).hexdigest()

    def __repr__(self) -> str:
        return f"Users({self.username!r})"


def _token_in(text: str) -> str:
    """Return the activation token in a link. Text that is not a link is returned as it is."""
    found = _LINK.fullmatch(text.strip())
    return found[1] if found else text

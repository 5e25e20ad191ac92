"""The public keys of an account."""

from __future__ import annotations

import builtins
from typing import Any, overload

from ..core.base_client import BaseClient, check_client
from ..core.calls import path
from ..core.delivery import Callback
from ..core.handle import Handle
from ..keypair import ECDSA
from ..rest import REST
from .arguments import check_credentials, text_of
from .types import KeysValue, KeyValue, NothingValue

__all__ = ["Keys"]


class Keys:
    """The public keys that may sign for an account.

    Arguments:
        user: a `Users` logs in; an `ECDSA` signs the requests (the account must have its public key).
        client: the client to use. Default: the client of the `Users` in `user`, or the default client.

    Attributes:
        user: the argument of that name.
        key_pairs: the key pairs that `create` was called with, or made, in that order and each once. `delete` removes
            its key pair from this list.
    """

    def __init__(self, user: object, *, client: BaseClient | None = None) -> None:
        check_credentials(user, "user")
        check_client(client)
        self.user = user
        self.key_pairs: list[ECDSA] = []
        self._client = client

    @overload
    def list(self, callback: None = None) -> KeysValue: ...

    @overload
    def list(self, callback: Callback) -> Handle: ...

    def list(self, callback: Callback | None = None) -> Any:
        """List the account's keys.

        Returns:
            `[{"user": ..., "key": ..., "id": ...}, ...]`, or a refusal, `{"error": ...}`, or an exception value (see
            `pymdc.errors`). With a callback: a `Handle`.
        """
        return REST("GET", "/keys", auth=self.user, callback=callback, client=self._client)

    @overload
    def create(self, key_pair: ECDSA | None = None, callback: None = None) -> KeyValue: ...

    @overload
    def create(self, key_pair: ECDSA | None, callback: Callback) -> Handle: ...

    @overload
    def create(self, key_pair: ECDSA | None = None, *, callback: Callback) -> Handle: ...

    def create(self, key_pair: ECDSA | None = None, callback: Callback | None = None) -> Any:
        """Add the public key of `key_pair` to the account. Without `key_pair`, a new one is made: see `key_pairs`.

        Returns:
            `{"user": ..., "key": ..., "id": ...}`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        key_pair = ECDSA() if key_pair is None else key_pair
        key = public_key_of(key_pair)
        value = REST("POST", "/keys", {"key": key}, self.user, callback=callback, client=self._client)
        if key not in self._public_keys():
            self.key_pairs.append(key_pair)
        return value

    @overload
    def delete(self, key_pair: ECDSA | str | dict[str, Any], callback: None = None) -> NothingValue: ...

    @overload
    def delete(self, key_pair: ECDSA | str | dict[str, Any], callback: Callback) -> Handle: ...

    def delete(self, key_pair: ECDSA | str | dict[str, Any], callback: Callback | None = None) -> Any:
        """Remove a public key from the account.

        Arguments:
            key_pair: a key pair, a public key in hex, or a dict of `list` or `create`.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        key = public_key_of(key_pair)
        value = REST("DELETE", path("keys", key), auth=self.user, callback=callback, client=self._client)
        if key in (known := self._public_keys()):
            del self.key_pairs[known.index(key)]
        return value

    def _public_keys(self) -> builtins.list[str]:
        return [public_key_of(each) for each in self.key_pairs]


def public_key_of(key_pair: Any) -> str:
    """Return a public key in hex. `key_pair` is a key pair, a public key in hex, or a dict that a call returned.

    Any object with a method `get_public_key()` counts as a key pair.

    Raises:
        TypeError, ValueError: it is not a key.
    """
    own: Any = getattr(key_pair, "get_public_key", None)
    if callable(own) and not isinstance(key_pair, type):  # an `ECDSA`, or a program's own class of key pairs
        key_pair = own()
    text = text_of(key_pair, "key", "a key pair or a public key in hex").rstrip()
    ECDSA(text)  # raises if the text is not a key
    return text

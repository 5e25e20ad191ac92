"""The public keys of an account."""

from __future__ import annotations

import builtins
from typing import Any, overload

from ..core.base_client import BaseClient, check_client
from ..core.delivery import Callback
from ..core.handle import Handle
from ..core.wire import path
from ..keypair import ECDSA
from ..rest import REST
from .results import check_credentials, text_of
from .types import KeysValue, KeyValue, NothingValue

__all__ = ["Keys"]


class Keys:
    """The public keys that may sign for an account.

    Arguments:
        user: whose they are: a `Users` logs in, an `ECDSA` whose key the account has signs.
        client: the client to use, else that of the `Users` given, else the default one.

    Attributes:
        user: as given.
        key_pairs: the key pairs that `create` was called with or made, in that order, none of them twice; `delete`
            takes them out.
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
        """Add the public key of `key_pair` to the account; without one, of a new key pair, then in `key_pairs`.

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
        """Remove the public key of `key_pair` from the account. A key in hex, as `list` gives it, will do as well.

        Returns:
            `""`, or a refusal, or an exception value. With a callback: a `Handle`.
        """
        key = public_key_of(key_pair)
        value = REST("DELETE", path("keys", key), auth=self.user, callback=callback, client=self._client)
        if key in (kept := self._public_keys()):
            del self.key_pairs[kept.index(key)]
        return value

    def _public_keys(self) -> builtins.list[str]:
        return [public_key_of(each) for each in self.key_pairs]


def public_key_of(key_pair: Any) -> str:
    """Return the hex of a key pair's public key, of a public key in hex, or of one that a call gave.

    A key pair is whatever has a method `get_public_key()`.

    Raises:
        TypeError, ValueError: it is no key.
    """
    own: Any = getattr(key_pair, "get_public_key", None)
    if callable(own) and not isinstance(key_pair, type):  # an `ECDSA`, or what a program has in its place
        key_pair = own()
    text = text_of(key_pair, "key", "a key pair or a public key in hex").rstrip()
    ECDSA(text)  # raises for what is no key
    return text

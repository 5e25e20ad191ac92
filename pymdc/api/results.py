"""Results of calls where an id, a token or a hash is asked for: `Bucket(buckets.create(...), key_pair)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.wire import Account
from ..keypair import ECDSA

__all__ = ["check_credentials", "check_text", "text_of"]


def check_credentials(credentials: object, what: str, *, needed: bool = True) -> None:
    """Raise a `TypeError` for what neither signs nor logs in: in the thread of the caller, who wrote it.

    Arguments:
        what: the name of the argument, for the message.
        needed: whether `None` is refused as well. A token alone is enough for a transfer.
    """
    if credentials is None and not needed:
        return
    if isinstance(credentials, type) or not isinstance(credentials, ECDSA | Account):
        raise TypeError(f"{what} is an ECDSA, which signs, or a Users, which logs in, not {_kind(credentials)}")


def check_text(text: str, what: str) -> None:
    """Raise a `ValueError` for text that cannot be sent: half of a surrogate pair. The message does not repeat it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds half of a surrogate pair, which is no text") from None


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def text_of(value: Any, name: str, what: str) -> str:
    """Return `value` if it is text; if it is the result of a call, the text that it holds under `name`.

    Arguments:
        value: `str`, `bytes` in UTF-8, or the `dict` that a call gave.
        name: where the dict holds it, such as `"id"`.
        what: what is asked for, in words, for the message.

    Raises:
        TypeError, ValueError: it is neither: an error value, or a refusal of the bridge.
    """
    if isinstance(value, Mapping) and name not in value and "error" in value:
        raise ValueError(f"expected {what}, got a refusal of the bridge: {value['error']}")
    text = value.get(name) if isinstance(value, Mapping) else value
    if isinstance(text, bytes):
        text = _decoded(text, what)
    if not isinstance(text, str):
        raise TypeError(f"expected {what}, a str or the dict that a call gave, not {_kind(value)}")
    if not text:
        raise ValueError(f"expected {what}, got an empty str")
    check_text(text, what)
    return text


def _decoded(text: bytes, what: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected {what}, got bytes that are no text: {text!r}") from None

"""Results of calls where an id, a token or a hash is asked for: `Bucket(buckets.create(...), key_pair)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["text_of"]


def text_of(value: Any, name: str, what: str) -> str:
    """Return `value` if it is text; if it is the result of a call, the text that it holds under `name`.

    Arguments:
        value: `str`, ASCII `bytes`, or the `dict` that a call gave.
        name: where the dict holds it, such as `"id"`.
        what: what is asked for, in words, for the message.

    Raises:
        TypeError, ValueError: it is neither: an error value, or a refusal of the bridge.
    """
    if isinstance(value, Mapping) and name not in value and "error" in value:
        raise ValueError(f"expected {what}, got a refusal of the bridge: {value['error']}")
    text = value.get(name) if isinstance(value, Mapping) else value
    if isinstance(text, bytes):
        text = text.decode("ascii")
    if not isinstance(text, str):
        raise TypeError(f"expected {what}, a str or the dict that a call gave, not {type(value).__name__}")
    if not text:
        raise ValueError(f"expected {what}, got an empty str")
    return text

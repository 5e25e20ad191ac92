"""Addresses of files: `storj://BUCKET/NAME`."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import unquote

import click

from .arguments import Text
from .failures import Code, Failure

__all__ = ["PATH_OR_ADDRESS", "SCHEME", "Address", "format_address", "is_address", "parse_address"]

SCHEME = "storj://"


class Address(NamedTuple):
    """A bucket, or something in it.

    Attributes:
        bucket: the bucket's name or id; "" for the list of all buckets.
        name: a file's name or hash, which may hold slashes; "" for the bucket itself.
    """

    bucket: str
    name: str = ""

    def __str__(self) -> str:
        return format_address(self.bucket, self.name)


def is_address(text: str) -> bool:
    """Tell an address from a path of this machine."""
    return text[: len(SCHEME)].lower() == SCHEME


def parse_address(text: str) -> Address:
    """Split an address: `storj://photos/a%20cat.jpg`. A "%" and two hex digits stand for one byte of UTF-8.

    Raises:
        Failure: the text is not an address.
    """
    if not is_address(text):
        raise Failure(f"{text} is not an address: write {SCHEME}BUCKET/NAME", Code.USAGE)
    bucket, _, name = text[len(SCHEME) :].partition("/")
    if name and not bucket:
        raise Failure(f"{text} names no bucket: write {SCHEME}BUCKET/NAME", Code.USAGE)
    return Address(unquote(bucket), unquote(name))


def format_address(bucket: str, name: str = "") -> str:
    """Return the address of a bucket, or of a file in it. `parse_address` gives both back."""
    return f"{SCHEME}{_escaped(bucket, '%/')}/{_escaped(name, '%')}"


class _PathOrAddress(Text):
    """A path of this machine, which may hold any bytes, or an address at a bridge."""

    name = "path or address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value, param, ctx) if is_address(str(value)) else str(value)


PATH_OR_ADDRESS = _PathOrAddress()


def _escaped(text: str, special: str) -> str:
    return "".join(
        _percent(char) if char in special or not (char == " " or char.isprintable()) else char for char in text
    )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))

"""Sizes as a person types them: `10MB`, `1.5 GiB`, `4096`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import click

__all__ = ["SIZE"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([kmgt]?i?)b?", re.IGNORECASE | re.ASCII)


class _Size(click.ParamType[int]):
    """A number of bytes: `kB` is 1,000 of them, `KiB` is 1,024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = _SIZE.fullmatch(str(value).strip())
        unit = _UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            self.fail(f"{value!r} is not a size. Write a number of bytes, such as 4096, 10MB or 1.5GiB.", param, ctx)
        return int(Decimal(match[1]) * unit)


SIZE = _Size()

"""Texts for people: sizes, times, and names that are safe to show. Needs no toolkit and no bridge."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

_ODD = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # categories of characters that change the line, the direction, or nothing
_TOGETHER = re.compile(r"[0-9][0-9.,:]*[0-9]|.[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]*", re.DOTALL)  # numbers, marks
_JOINERS = "\u200d\u200c"  # which join emoji, and letters of some scripts


def in_words(size: float) -> str:
    """Return a size as text: 1234567 is "1.2 MB"."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time as text: 75 is "1 min 15 s"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@functools.lru_cache(maxsize=4096)  # a refresh asks for the same names again
def as_text(name: str) -> str:
    """Return a name on one line. A tab becomes a space; a character that changes the line or direction becomes "�"."""
    return "".join(
        " " if each in "\t\n\r" else "�" if unicodedata.category(each) in _ODD and each not in _JOINERS else each
        for each in name
    )


def in_order(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Return a key that sorts names as people do: "up2" comes before "up10"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(not each[0].isdigit(), int(each) if each[0].isdigit() else 0, each) for each in parts], name


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """Return the text with "…" in its middle, so that it fits and its end can still be read."""
    if fits(text):
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_without_middle(text, middle)) else (low, middle - 1)
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


@functools.lru_cache(maxsize=4096)
def as_drawn(text: str) -> str:
    """Return a text in the order in which people see it from left to right.

    For toolkits that draw one character after the other, as Tk does under X11. It reverses words of a right-to-left
    script, but not numbers in them. That is the usual case of the Unicode Bidirectional Algorithm, not all of it.
    """
    drawn: list[str] = []
    run: list[str] = []  # from the first letter of a right-to-left script on
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("R", "AL") or (run and kind != "L"):
            run.append(character)
        else:
            drawn += [*_turned(run), character]
            run = []
    return "".join([*drawn, *_turned(run)])


def _turned(run: list[str]) -> list[str]:
    letters = [at for at, each in enumerate(run, 1) if unicodedata.bidirectional(each) in ("R", "AL")]
    end = letters[-1] if letters else 0
    return [*reversed(_TOGETHER.findall("".join(run[:end]))), *run[end:]]

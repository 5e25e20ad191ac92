"""Words for people: sizes, times, and names as they can be shown. No toolkit, no bridge."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

_ODD = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # categories of characters that change the line, the direction, or nothing
_TOGETHER = re.compile(r"[0-9][0-9.,:]*[0-9]|.[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]*", re.DOTALL)  # numbers, marks
_JOINERS = "\u200d\u200c"  # which join emoji, and letters of some scripts


def in_words(size: float) -> str:
    """Say how much that is: 1234567 is "1.2 MB"."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """Say how long that is: 75 is "1 min 15 s"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@functools.lru_cache(maxsize=4096)  # a refresh asks for the same names again
def as_text(name: str) -> str:
    """Return a name on one line: tabs are spaces, and what would change the direction or the line is "�"."""
    return "".join(
        " " if each in "\t\n\r" else "�" if unicodedata.category(each) in _ODD and each not in _JOINERS else each
        for each in name
    )


def in_order(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Return what sorts names as people do: "up2" comes before "up10"."""
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
    """Return a text in the order in which it is seen from left to right.

    For a toolkit that draws one character after the other: Tk does under X11. Words of a right-to-left script are
    turned round, numbers in them are not. That is the usual case of the Unicode Bidirectional Algorithm, not all of it.
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

"""Make text from others safe for a terminal."""

from __future__ import annotations

__all__ = ["clean"]

_JOINERS = "\u200c\u200d"  # parts of words in Persian and Hindi, and of emoji


def clean(text: object) -> str:
    """Return a text in one line, with every control character written out: a name must not control the terminal.

    Characters that change the direction of writing are written out too: they can make a name look like another.
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(char if _is_harmless(char) else _written_out(char) for char in line)


def _is_harmless(char: str) -> bool:
    import unicodedata

    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def _written_out(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")

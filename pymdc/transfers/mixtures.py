"""Guess which shards are the file, if a bridge's pointers mix the shards of several uploads.

Observed on the bridges of 2016: they end a shard when about 8 MiB have arrived, so they cut two uploads of one file at
different places. After the second upload the pointers are those of both: the first shard of each, then the second of
each, and so on. Of n pointers from k uploads `pointers[j::k]` is the file, for some j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["MOST_GUESSES", "MOST_UPLOADS", "by_size", "strides"]

MOST_UPLOADS = 8
"""How many mixed uploads of one file the search can separate. Each costs one more download of the file."""

MOST_GUESSES = 64
"""How many orders of the listed size the search tries. For each, it reads and hashes the whole file."""

_MOST_STEPS = 100_000  # of the search by size: a tenth of a second


def strides(count: int) -> Iterator[range]:
    """Give the orders in which every k-th of `count` pointers is taken, from two uploads up to `MOST_UPLOADS`."""
    for uploads in range(2, min(count, MOST_UPLOADS) + 1):
        if count % uploads == 0:
            yield from (range(first, count, uploads) for first in range(uploads))


def by_size(sizes: Sequence[int], total: int) -> Iterator[list[int]]:
    """Give the orders in which shards of these sizes add up to a file of `total` bytes, until that takes too long.

    Arguments:
        sizes: those of all shards, in the order of the pointers.
        total: the listed size of the file.
    """
    left = [sum(sizes[index:]) for index in range(len(sizes) + 1)]
    waiting: list[tuple[int, int, list[int]]] = [(0, total, [])]
    for _ in range(_MOST_STEPS):
        if not waiting:
            return
        index, missing, taken = waiting.pop()
        if missing == 0:
            yield taken
        elif 0 < missing <= left[index]:
            waiting.append((index + 1, missing, taken))
            waiting.append((index + 1, missing - sizes[index], [*taken, index]))

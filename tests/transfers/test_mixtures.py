"""The guesses at a file's true shards among those of several uploads."""

from __future__ import annotations

import random

from pymdc.transfers.mixtures import MOST_UPLOADS, by_size, strides


def test_every_number_of_uploads_that_divides_the_pointers_is_tried() -> None:
    assert [list(order) for order in strides(6)] == [
        [0, 2, 4],
        [1, 3, 5],
        [0, 3],
        [1, 4],
        [2, 5],
        [0],
        [1],
        [2],
        [3],
        [4],
        [5],
    ]
    assert list(strides(1)) == []
    assert {order.step for order in strides(5040)} == set(range(2, MOST_UPLOADS + 1))


def test_the_guesses_by_size_are_those_that_add_up() -> None:
    assert sorted(by_size([3, 2, 1, 3], 6)) == [[0, 1, 2], [0, 3], [1, 2, 3]]
    assert list(by_size([3, 2], 4)) == []
    assert list(by_size([], 5)) == []


def test_the_search_by_size_ends_if_it_takes_too_long() -> None:
    chance = random.Random(1)
    sizes = [chance.randrange(10**9) * 2 for _ in range(200)]
    assert list(by_size(sizes, sum(sizes) // 4 * 2 + 1)) == []

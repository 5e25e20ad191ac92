"""The memory for shards is used again, and freed when nothing is downloaded."""

from __future__ import annotations

from pymdc.transfers.shards import BufferPool


def test_a_buffer_is_used_again_while_any_download_is_under_way() -> None:
    pool = BufferPool()
    with pool.in_use():
        with pool.in_use():
            first = pool.take(10)
            first.add(b"a shard")
            pool.give_back(first)
        second = pool.take(20)
        assert second is first
        assert (second.size, second.most) == (0, 20)
        assert pool.take(20) is not first
        pool.give_back(second)
    with pool.in_use():
        assert pool.take(10) is not first

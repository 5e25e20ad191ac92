"""Shards that are fetched ahead: on which threads, and into which memory."""

from __future__ import annotations

import os

import pytest

from pymdc import Timeout
from pymdc.core.dispatch import Dispatcher
from pymdc.transfers.shards import BufferPool
from pymdc.transfers.sources import ShardSources


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


@pytest.mark.parametrize(("cores", "threads"), [(None, 2), (2, 2), (3, 3), (16, 4)])
def test_the_downloads_of_a_window_have_fewer_threads_on_few_cores(
    cores: int | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    sources = ShardSources(Timeout(), True)
    of_a_script = Dispatcher(1).run(lambda job: sources.dispatcher(job)._pool._workers, _nothing, None)
    of_a_window = Dispatcher(1).run(lambda job: sources.dispatcher(job.part())._pool._workers, _nothing, _nothing)
    assert (of_a_script.result(), of_a_window.result()) == (4, threads)


def _nothing(_: object) -> None:
    pass

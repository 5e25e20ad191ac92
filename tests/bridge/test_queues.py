from __future__ import annotations

import asyncio

import pytest

from pymdc.bridge.queues import Queues


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def nothing() -> None:
    """A check that never ends a wait."""


class Line:
    """Several tasks that wait for a turn in a group with one place."""

    def __init__(self) -> None:
        self.turns = Queues()
        self.served: list[str] = []
        self.leave = asyncio.Event()

    def come(self, name: str, group: str = "a") -> asyncio.Task[None]:
        return asyncio.create_task(self._come(name, group))

    async def _come(self, name: str, group: str) -> None:
        async with self.turns.turn(group, 1, nothing):
            self.served.append(name)
            await self.leave.wait()


def test_turns_go_in_order_and_another_group_does_not_wait() -> None:
    async def work() -> None:
        line = Line()
        tasks = [line.come(name) for name in ("first", "second", "third")]
        await _settled()
        other = line.come("other", "b")
        await _settled()
        assert line.served == ["first", "other"]
        line.leave.set()
        await asyncio.gather(*tasks, other)
        assert line.served == ["first", "other", "second", "third"]
        assert line.turns._under_way == {}
        assert line.turns._waiting == {}

    asyncio.run(work())


@pytest.mark.parametrize("served", [False, True])
def test_a_wait_that_is_cancelled_takes_no_turn(served: bool) -> None:
    async def work() -> None:
        line = Line()
        first, second = line.come("first"), line.come("second")
        await _settled()
        third = line.come("third")
        await _settled()
        if served:  # in the same moment as its turn comes
            line.leave.set()
            await asyncio.sleep(0)
        second.cancel()
        await _settled()
        line.leave.set()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert line.served == ["first", "third"]
        assert line.turns._under_way == {}

    asyncio.run(work())


def test_a_wait_that_is_ended_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymdc.bridge.queues.TURN_SECONDS", 0.001)

    async def work() -> None:
        line = Line()
        first = line.come("first")
        await _settled()
        looks = iter([None, None, ConnectionError("gone")])

        def look() -> None:
            if error := next(looks):
                raise error

        with pytest.raises(ConnectionError):
            async with line.turns.turn("a", 1, look):
                pytest.fail("it had no turn")
        assert line.turns._waiting == {}
        line.leave.set()
        await first

    asyncio.run(work())

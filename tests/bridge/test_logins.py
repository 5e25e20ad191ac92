from __future__ import annotations

import threading

import anyio
import pytest

from pymdc.bridge import logins, passwords
from pymdc.bridge.logins import Logins
from pymdc.bridge.passwords import Passwords

RIGHT = Passwords().hash("right")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wrong password was answered late; nobody really waits."""
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)
    return delays


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were really checked."""
    seen: list[str] = []
    derive = passwords._derive

    def counted(password: str, salt: bytes, cost: int, block: int) -> bytes:
        seen.append(password)
        return derive(password, salt, 16, block)

    monkeypatch.setattr(passwords, "_derive", counted)
    return seen


def cheap(derived: list[str]) -> tuple[Logins, str]:
    """Logins whose checks cost little, and the hash of "right"."""
    hashed = Passwords().hash("right")
    them = Logins()
    derived.clear()
    return them, hashed


def test_a_right_password_is_accepted_and_a_wrong_one_refused(slept: list[float]) -> None:
    async def run() -> list[bool]:
        them = Logins()
        return [await them.verify("1.2.3.4", "a", word, hashed) for word, hashed in
                (("right", RIGHT), ("wrong", RIGHT), ("right", None))]  # fmt: skip

    assert anyio.run(run) == [True, False, False]


def test_a_recently_verified_password_passes_without_waiting(slept: list[float], derived: list[str]) -> None:
    them, hashed = cheap(derived)
    first, go = threading.Event(), threading.Event()

    async def run() -> None:
        assert await them.verify("1.2.3.4", "a", "right", hashed)
        slow = them._passwords.verify

        def stuck(password: str, hashed: str) -> bool:
            first.set()
            assert go.wait(60)
            return slow(password, hashed)

        them._passwords.verify = stuck  # type: ignore[method-assign]
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(them.verify, "1.2.3.4", "a", f"wrong {number}", hashed)
            await anyio.to_thread.run_sync(first.wait)
            with anyio.fail_after(60):
                assert await them.verify("1.2.3.4", "a", "right", hashed)
            go.set()

    anyio.run(run)


def test_guesses_from_one_address_delay_another_by_a_turn_or_two(slept: list[float], derived: list[str]) -> None:
    them, hashed = cheap(derived)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(them.verify, "1.2.3.4", f"account {number}", "wrong", hashed)
            await anyio.lowlevel.checkpoint()
            assert await them.verify("5.6.7.8", "a", "right", hashed)
            assert derived.count("wrong") < 20
            tasks.cancel_scope.cancel()

    anyio.run(run)
    assert them._turns == {}


def test_registrations_of_one_address_take_turns_too(derived: list[str]) -> None:
    them, hashed = cheap(derived)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(them.hash, "1.2.3.4", f"new {number}")
            await anyio.lowlevel.checkpoint()
            assert await them.verify("5.6.7.8", "a", "right", hashed)
            assert len(derived) < 20
            tasks.cancel_scope.cancel()

    anyio.run(run)


def guess(them: Logins, hashed: str, tries: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        for address, email, password in tries:
            await them.verify(address, email, password, hashed)

    anyio.run(run)


def test_each_further_guess_is_answered_later_up_to_a_limit(slept: list[float], derived: list[str]) -> None:
    them, hashed = cheap(derived)
    guess(them, hashed, [("1.2.3.4", "a", "wrong")] * 12)
    assert slept == [0.0] * 5 + [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    guess(them, hashed, [("1.2.3.4", "b", "wrong"), ("5.6.7.8", "a", "wrong")])
    assert slept[12:] == [0.0, 0.0], "another account, and another address, are counted for themselves"
    guess(them, hashed, [("1.2.3.4", "a", "right"), ("1.2.3.4", "a", "wrong")])
    assert slept[14:] == [0.0], "the right password ends it"


def test_guesses_of_an_account_from_many_addresses_are_slowed(slept: list[float], derived: list[str]) -> None:
    them, hashed = cheap(derived)
    guess(them, hashed, [(f"1.2.3.{number}", "a", "wrong") for number in range(52)])
    assert slept == [0.0] * 50 + [0.25, 0.5]
    guess(them, hashed, [("9.9.9.9", "a", "right")])
    assert len(slept) == 52, "its owner is not slowed"


@pytest.mark.parametrize("setting", ["GUESSES_REMEMBERED", "GUESSES_REMEMBERED_SECONDS"])
def test_the_number_of_remembered_guesses_is_limited(
    slept: list[float], derived: list[str], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setattr(logins, setting, 1 if setting == "GUESSES_REMEMBERED" else -1.0)
    them, hashed = cheap(derived)
    guess(them, hashed, [("1.2.3.4", "a", "wrong")] * 12)
    assert slept == [0.0] * 12
    assert len(them._guesses) <= 2

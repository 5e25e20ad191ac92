"""The modes: a call that blocks, one with a callback, one that is cancelled, and one whose client is closed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pymdc import Client, Timeout
from pymdc.core.handle import Handle

from ..hostile import Received
from .calls import Call
from .expected import Expected
from .watch import Lateness

__all__ = ["LATENESS", "MODES", "PATIENT", "Fault", "Moment", "Scene"]

LATENESS = Lateness()
PATIENT = Timeout(20, 20, 20, 20, 20, 20)
_SECOND = 1.0  # within which a call is cancelled
_LONGEST = 30.0  # no wait of a test is longer
_STALLED = Timeout(20, 20, 20, 20, transfer=0.5, channel=20)  # an upload whose last byte was sent cannot be stopped


@dataclass
class Scene:
    """The surroundings of a call.

    Attributes:
        client: its client.
        asked: the requests that the bridge has had.
    """

    client: Client
    asked: list[Received] = field(default_factory=list)


@dataclass(frozen=True)
class Moment:
    """The random choices for one cell, and the limits of its client."""

    chance: random.Random
    tls: bool
    timeout: Timeout


@dataclass(frozen=True)
class Fault:
    """A fault that a call meets.

    Attributes:
        name: in words.
        place: makes a scene with the fault.
        expected: the value that is documented.
        timeout: how long the client waits for what never comes.
        stalls: whether the call never ends without a limit.
        seconds, mib: what the call may take in time and in memory.
        twice: whether the call is made again, with the same client.
        only: the calls that it is for; "" for all, "down" for downloads.
        secure: the transports that it is for: without TLS, with TLS.
    """

    name: str
    place: Callable[[Moment], AbstractContextManager[Scene]]
    expected: Expected
    timeout: Timeout = PATIENT
    stalls: bool = False
    seconds: float = 8.0
    mib: int = 64
    twice: bool = False
    only: str = ""
    secure: tuple[bool, ...] = (False, True)

    @property
    def patience(self) -> Timeout:
        """The limits of a call that is to be cancelled."""
        limits = _STALLED if self.stalls else PATIENT
        return limits if self.timeout.total is None else replace(limits, total=3.0)  # no silence ends a drip


def _blocking(fault: Fault, call: Call, scene: Scene, chance: random.Random, folder: Path) -> list[Any]:
    values = []
    for _ in range(1 + fault.twice):
        began = time.monotonic()
        values.append(call.make(scene.client, None, folder))
        _took(began, fault.seconds)
        fault.expected.check(values[-1], call, scene.asked)
    return values


def _with_callback(fault: Fault, call: Call, scene: Scene, chance: random.Random, folder: Path) -> list[Any]:
    values: list[Any] = []
    began = time.monotonic()
    handle = call.make(scene.client, values.append, folder)
    handle.join(_LONGEST)
    _took(began, fault.seconds)
    _delivered_once(handle, values)
    fault.expected.check(values[0], call, scene.asked)
    return values


def _cancelled(fault: Fault, call: Call, scene: Scene, chance: random.Random, folder: Path) -> list[Any]:
    values: list[Any] = []
    handle = call.make(scene.client, values.append, folder)
    handle.join(_moment(fault, chance))
    began = time.monotonic()
    promised = handle.cancel()
    handle.join(_LONGEST)
    if promised:
        _took(began, _SECOND)
    _delivered_once(handle, values)
    assert isinstance(values[0], CancelledError) == promised == handle.cancelled(), (promised, values[0])
    assert handle.cancel() == promised
    if not promised:
        fault.expected.check(values[0], call, scene.asked)
    return values


def _closed(fault: Fault, call: Call, scene: Scene, chance: random.Random, folder: Path) -> list[Any]:
    values: list[Any] = []
    thread = threading.Thread(target=lambda: values.append(call.make(scene.client, None, folder)))
    thread.start()
    thread.join(_moment(fault, chance))
    while thread.is_alive():  # the call may begin after the first time
        began = time.monotonic()
        scene.client.close(cancel=True)
        _took(began, 1.5 * _SECOND)
        thread.join(0.2)
    (value,) = values
    if not isinstance(value, CancelledError):
        fault.expected.check(value, call, scene.asked)
    return values


def _moment(fault: Fault, chance: random.Random) -> float:
    """Draw when a call is stopped: most often in its midst."""
    return chance.random() ** 2 * (0.25 if fault.stalls else 0.03)


def _took(began: float, bound: float) -> None:
    took, late = time.monotonic() - began, LATENESS.since(began)
    assert took <= bound + late, f"it took {took:.1f} s, not {bound} s, on a machine that was {late:.1f} s late"


def _delivered_once(handle: Handle, values: list[Any]) -> None:
    assert not handle.is_alive(), "the call has not ended"
    assert len(values) == 1, f"the callback was called {len(values)} times"
    assert handle.result(0) is values[0]


MODES = {
    "blocking": _blocking,
    "with a callback": _with_callback,
    "cancelled": _cancelled,
    "with its client closed": _closed,
}
"""Each makes the call, judges it, and returns the values that it gave."""

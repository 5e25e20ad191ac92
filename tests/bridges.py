"""Real bridges for the tests: on a free port, with a data folder of their own.

They are this package's own, to which `tests/bridge/test_conformance.py` plays the recording.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets, Keys, Users
from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread
from pymdc.bridge.settings import Settings

from . import engines

LONG = 60.0  # a bound on what should take milliseconds; reaching it is a failure


@dataclass
class RunningBridge:
    """A bridge, and the mails that it has sent."""

    url: str
    data: Path
    mails: queue.Queue[Mail] = field(default_factory=queue.Queue)

    def mailed_token(self) -> str:
        """Wait for the next activation mail, and return its token."""
        return self.mails.get(timeout=LONG).token

    def member(self, email: str, client: Client) -> tuple[Users, ECDSA]:
        """Register and activate an account, and add a key pair to it."""
        user = Users(email, "a password", client=client)
        unwrap(user.register())
        unwrap(user.activate(self.mailed_token()))
        key_pair = ECDSA()
        unwrap(Keys(user, client=client).create(key_pair))
        return user, key_pair

    def bucket(self, client: Client, email: str = "somebody@example.com", storage: int = 100) -> Bucket:
        """Register somebody, and create a bucket of theirs."""
        _, key_pair = self.member(email, client)
        made = unwrap(Buckets(key_pair, client=client).create("a bucket", storage, storage, [key_pair]))
        return Bucket(made, key_pair, client=client)


@contextmanager
def running_bridge(data: Path, **settings: Any) -> Iterator[RunningBridge]:
    """Run a bridge in this process, with its data in `data`, on the engines that are chosen."""
    mails: queue.Queue[Mail] = queue.Queue()
    settings = {**engines.chosen_for(data), **settings}
    with BridgeThread(Settings(port=0, data=data, on_mail=mails.put, **settings)) as thread:
        yield RunningBridge(thread.url, data, mails)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A bridge, for the tests of one file."""
    with running_bridge(tmp_path_factory.mktemp("bridge")) as running:
        yield running


@pytest.fixture(scope="module")
def client(bridge: RunningBridge) -> Iterator[Client]:
    """A client of that bridge."""
    with Client(bridge.url) as made:
        yield made

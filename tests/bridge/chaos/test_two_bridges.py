from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ...engines import postgres_folder, shared_postgresql, shared_s3
from ..harness import cleaned, settings_for
from .audit import audit
from .clients import Client
from .processes import Process, people

LARGE = "PYMDC_LARGE" in os.environ
pytestmark = pytest.mark.timeout(3600 if LARGE else 300)
SECONDS = 30.0 if LARGE else 4.0
CLIENTS = 16


@pytest.mark.slow
@pytest.mark.skipif(postgres_folder() is None, reason="needs PostgreSQL")
def test_two_bridges_keep_their_promises_when_one_is_killed_and_the_database_restarted(tmp_path: Path) -> None:
    engines = {"database": shared_postgresql().create("two_bridges"), "store": shared_s3().create("two-bridges")}
    settings = settings_for(tmp_path, **engines)
    one, other = Process(tmp_path, engines), Process(tmp_path, engines)
    owners = people(tmp_path, engines, CLIENTS)
    clients = [Client(settings, [one.url, other.url], person, seed) for seed, person in enumerate(owners)]
    over = threading.Event()
    with one.serving(), other.serving(), ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(client.work, over) for client in clients]
        over.wait(SECONDS / 3)
        other.kill()
        other.start()
        over.wait(SECONDS / 3)
        shared_postgresql().stop()
        shared_postgresql().start()
        over.wait(SECONDS / 3)
        over.set()
        for work in working:
            work.result()
        for client, url in zip(clients, [one.url, other.url] * CLIENTS, strict=False):
            client.verify(url)
        assert audit(settings) == []
        assert "0 wrong, 0 orphaned" in one.check()
        one.stop()
        other.stop()
    print(sum((client.done for client in clients), Counter()))
    assert [what for client in clients for what in client.wrong] == []
    cleaned(settings)
    assert audit(settings, clean=True) == []

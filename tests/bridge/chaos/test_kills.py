from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ...engines import chosen_for
from ..harness import Person, cleaned, file_hash, settings_for
from .audit import audit
from .processes import Process, people, visited

LARGE = "PYMDC_LARGE" in os.environ
pytestmark = pytest.mark.timeout(3600 if LARGE else 300)
KILLS = 100 if LARGE else 10
UPLOADERS = 3


@pytest.mark.slow
def test_a_bridge_killed_at_any_moment_loses_no_acknowledged_file_and_lists_no_half_one(tmp_path: Path) -> None:
    settings, engines, choose = settings_for(tmp_path), chosen_for(tmp_path), random.Random(7)
    bridge, (alice,) = Process(tmp_path, engines), people(tmp_path, engines, 1)
    acknowledged: dict[str, int] = {}

    def upload(bucket: str, seed: int) -> None:
        """Upload until the bridge does not answer any more."""
        with visited(settings, bridge.url) as found:
            person, mine = Person(found, alice.email, alice.key), random.Random(seed)
            while True:
                data = mine.randbytes(mine.choice([10, 1000, 200_000, 9 << 20]))
                if person.upload(bucket, data).status_code == 200:
                    acknowledged[file_hash(data)] = len(data)

    with bridge.serving(), visited(settings, bridge.url) as found:
        bucket = Person(found, alice.email, alice.key).bucket(storage=1000, transfer=1000)
    for kill in range(KILLS):
        with bridge.serving(), ThreadPoolExecutor(UPLOADERS) as pool:
            uploads = [pool.submit(upload, bucket, kill * UPLOADERS + number) for number in range(UPLOADERS)]
            time.sleep(choose.uniform(0, 0.7))  # a random moment for the kill
            bridge.kill()
            assert all(isinstance(one.exception(), httpx.TransportError) for one in uploads)
        assert audit(settings, thorough=False) == []

    with bridge.serving(), visited(settings, bridge.url) as found:
        person = Person(found, alice.email, alice.key)
        listed = {file["hash"]: file["size"] for file in person.send("GET", f"/buckets/{bucket}/files").json()}
        assert acknowledged.items() <= listed.items()
        for content, size in listed.items():
            data = person.download(bucket, content)
            assert (file_hash(data), len(data)) == (content, size)
        assert " 0 wrong, " in bridge.check()
    print(f"{KILLS} kills, {len(acknowledged)} files acknowledged, {len(listed)} listed")
    cleaned(settings)
    assert audit(settings, clean=True) == []

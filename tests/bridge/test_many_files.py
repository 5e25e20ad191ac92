"""A bucket of many files is deleted while others work. PYMDC_LARGE makes it full, and the others strict."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pymdc.bridge import cleaning
from pymdc.bridge.store.tables import buckets, content_shards, contents, entries, shards

from .harness import Person, Running, running

LARGE = bool(os.environ.get("PYMDC_LARGE"))
pytestmark = pytest.mark.timeout(3600 if LARGE else 300)
FILES = 20_000 if LARGE else 1_000
WAIT_SECONDS = 0.2 if LARGE else 5.0  # other programs run beside these tests


def fill(bridge: Running, bucket: str) -> None:
    """Put files into a bucket, each with a shard of its own, without their bytes."""
    names = [f"{number:040x}" for number in range(FILES)]
    rows: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (contents, [{"hash": name, "size": 8, "references": 1} for name in names]),
        (shards, [{"hash": name, "size": 8, "references": 1, "blob": f"{name[-32:]}/0"} for name in names]),
        (content_shards, [{"content": name, "position": 0, "shard": name} for name in names]),
        (entries, [{"bucket": bucket, "content": name, "filename": "a", "mimetype": "b"} for name in names]),
    ]
    engine = sa.create_engine(bridge.settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(table.insert(), values)
        connection.execute(buckets.update().where(buckets.c.id == bucket).values(stored=8 * FILES))


def work(person: Person, waits: list[float], over: threading.Event) -> None:
    """Read and write until told to stop, and note how long each request took. No request is more work than another."""
    mine = person.bucket()
    while not over.is_set():
        for method, path in (("GET", "/buckets"), ("PATCH", f"/buckets/{mine}")):
            request = person.signed(method, path, {"name": "x"} if method == "PATCH" else None)
            began = time.monotonic()
            person.bridge.http.send(request).raise_for_status()
            waits.append(time.monotonic() - began)
        over.wait(0.02)


def test_others_wait_a_moment_at_most_while_a_bucket_of_many_files_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "SWEEP_SECONDS", 0.01)
    with running(tmp_path) as bridge:
        alice, bob = bridge.person(), bridge.person()
        bucket = alice.bucket()
        fill(bridge, bucket)
        waits: list[float] = []
        over = threading.Event()
        working = threading.Thread(target=work, args=(bob, waits, over))
        working.start()
        try:
            began = time.monotonic()
            assert alice.send("DELETE", f"/buckets/{bucket}").status_code == 204
            waits.append(time.monotonic() - began)
            while any(bridge.sql(f"SELECT 1 FROM {table} LIMIT 1") for table in ("deleted_buckets", "garbage")):
                over.wait(0.1)
        finally:
            over.set()
            working.join()
        assert bridge.sql("SELECT * FROM shards") == bridge.sql("SELECT * FROM contents") == []
    print(f"{FILES} files, {len(waits)} requests, the longest took {max(waits) * 1000:.0f} ms")
    assert max(waits) < WAIT_SECONDS

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pymdc.bridge import cleaning

from .harness import running, until


def test_the_bridge_cleans_up_after_itself_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pymdc.bridge")
    monkeypatch.setattr(cleaning, "SWEEP_SECONDS", 0.01)
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        content = alice.upload(bucket, b"data").json()["hash"]
        with bridge.without_store():
            alice.send("DELETE", f"/buckets/{bucket}/files/{content}")
            until(bridge, lambda: "cleaning up is put off" in caplog.text)
        until(bridge, lambda: not bridge.blobs() and not bridge.sql("SELECT * FROM garbage"))

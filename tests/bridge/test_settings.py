from __future__ import annotations

from pathlib import Path

import pytest

from pymdc.bridge.settings import Settings


def test_everything_is_in_the_data_folder_unless_said_otherwise() -> None:
    settings = Settings(Path("/data"))
    assert settings.database_url == "sqlite:////data/bridge.sqlite"
    assert settings.store_location == "/data/shards"
    assert settings.outbox == Path("/data/outbox")


def test_a_database_and_a_store_can_be_elsewhere() -> None:
    settings = Settings(Path("/data"), database="postgresql+psycopg://db/bridge", store="s3://bucket/prefix")
    assert settings.database_url == "postgresql+psycopg://db/bridge"
    assert settings.store_location == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("host", "public_url", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:6382"),
        ("0.0.0.0", None, "http://127.0.0.1:6382"),
        ("::1", None, "http://[::1]:6382"),
        ("::", None, "http://[::1]:6382"),
        ("0.0.0.0", "https://bridge.example/", "https://bridge.example"),
    ],
)
def test_links_lead_to_where_clients_reach_the_bridge(host: str, public_url: str | None, expected: str) -> None:
    assert Settings(Path("/data"), host, public_url=public_url).base_url == expected

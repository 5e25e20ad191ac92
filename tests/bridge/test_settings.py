from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pymdc.bridge.settings import Settings


def test_everything_is_in_the_data_folder_by_default() -> None:
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
        ("", None, "http://127.0.0.1:6382"),
        ("0.0.0.0", "https://bridge.example/", "https://bridge.example"),
    ],
)
def test_links_lead_to_the_address_at_which_clients_reach_the_bridge(
    host: str, public_url: str | None, expected: str
) -> None:
    assert Settings(Path("/data"), host, public_url=public_url).base_url == expected


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", "https://127.0.0.1:6382"), ("::1", "https://[::1]:6382")])
def test_links_begin_with_https_if_the_bridge_speaks_tls(host: str, expected: str) -> None:
    assert Settings(Path("/data"), host, tls_certificate=Path("c"), tls_key=Path("k")).base_url == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls_certificate": Path("c")}, "a TLS certificate and its key"),
        ({"tls_key": Path("k")}, "a TLS certificate and its key"),
        ({"public_url": "bridge.example"}, "the public URL must begin with http:// or https:// and a host"),
        ({"public_url": "https://"}, "the public URL must begin"),
        ({"public_url": "https://b.example/?a=b"}, "the public URL must have no query"),
        ({"public_url": "https://b.example/#a"}, "the public URL must have no query"),
        ({"redirect_origins": ("https://a", "ftp://b")}, "a redirect origin must begin .*: 'ftp://b'"),
        ({"trusted_proxies": ("10.0.0.0/8", "nginx")}, "a trusted proxy must be an address or a network: 'nginx'"),
        ({"smtp_security": "ssl"}, "one of starttls, tls, none, not 'ssl'"),
        ({"smtp_host": "mail"}, "the address of a sender"),
        ({"smtp_user": "a"}, "an SMTP user and a password"),
        ({"smtp_password": "secret"}, "an SMTP user and a password"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_at_once(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(Path("/data"), **settings)


def test_the_password_of_the_mail_server_is_not_shown() -> None:
    assert "secret" not in repr(Settings(Path("/data"), smtp_user="a", smtp_password="secret"))

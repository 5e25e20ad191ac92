"""SIGHUP: a bridge that serves reads its certificate, its log's level and its limits again."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trustme

from pymdc.bridge.context import Bridge
from pymdc.bridge.reload import Reloader
from pymdc.bridge.settings import Settings

from .harness import PASSWORD

LONG = 60.0


@contextmanager
def reloader(settings: Settings, again: Settings | Exception) -> Iterator[tuple[Bridge, Reloader]]:
    """A bridge that does not serve, and a reload that reads `again` in place of its settings."""

    def reread() -> Settings:
        if isinstance(again, Exception):
            raise again
        return again

    bridge = Bridge.open(settings)
    level = logging.getLogger("pymdc.bridge").level
    with closing(bridge.store), closing(bridge.writer):
        yield bridge, Reloader(bridge, None, settings, reread)
    logging.getLogger("pymdc.bridge").setLevel(level)


def test_limits_hold_at_once_and_the_rest_needs_a_new_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(tmp_path, port=0)
    again = replace(settings, max_requests=7, log_level="debug", port=1, host="::1")
    with reloader(settings, again) as (bridge, reload):
        reload()
        assert bridge.settings == replace(settings, max_requests=7, log_level="debug")
        assert bridge.limits.settings.max_requests == 7
        assert logging.getLogger("pymdc.bridge").level == logging.DEBUG
        reload()
    assert caplog.messages == [
        "the settings were read again; changed: log-level, max-requests",
        "changed, but needs a restart: host, port",
        "the settings were read again; changed: nothing",
    ]


def test_settings_that_cannot_be_read_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(tmp_path, port=0)
    with reloader(settings, ValueError("there is no option prot")) as (bridge, reload):
        reload()
        assert bridge.settings == settings
    assert caplog.messages == ["the settings were not changed: there is no option prot"]


def test_a_certificate_is_tried_before_it_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    issued, tls = trustme.CA().issue_cert("127.0.0.1"), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(tls)
    (tmp_path / "nothing.pem").write_text("")
    settings = Settings(tmp_path, port=0)
    broken = replace(settings, tls_certificate=tmp_path / "nothing.pem", tls_key=tmp_path / "nothing.pem")
    for again, words in [(broken, "nothing.pem cannot be used"), (settings, "the TLS certificate is missing")]:
        with reloader(settings, again) as (bridge, _):
            Reloader(bridge, tls, settings, lambda again=again: again)()  # type: ignore[misc]
            assert bridge.settings == settings
        assert words in caplog.messages[-1]


@contextmanager
def command(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `pymdc bridge` as a process, and tell its URL."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "pymdc", "bridge", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, next(line for line in process.stdout if "STORJ_BRIDGE" in line).strip().partition("=")[2]
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LONG)
        finally:
            process.kill()


def read_again(process: subprocess.Popen[str]) -> str:
    """Send SIGHUP, and return the next line of the log that tells of settings."""
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    return next(line for line in process.stderr if "settings" in line)


def register(url: str, email: str) -> int:
    return httpx.post(f"{url}/users", json={"email": email, "password": PASSWORD}, timeout=LONG).status_code


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_command_reads_its_file_again(tmp_path: Path, workers: str) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text('registrations = "open"\n')
    options = ("--config", str(config), "--data", str(tmp_path / "data"), "--workers", workers)
    with command(*options) as (process, url):
        assert register(url, "a@example.com") == 200
        config.write_text('registrations = "closed"\n')
        assert "read again; changed: registrations" in read_again(process)
        if workers == "1":
            assert register(url, "b@example.com") == 403
            config.write_text('registrations = "open"\nno-such-option = 1\n')
            assert "the settings were not changed" in read_again(process)
            assert register(url, "b@example.com") == 403


def serial(url: str, authority: trustme.CA) -> str:
    """Return the serial number of the certificate that a bridge shows."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    address = httpx.URL(url)
    with (
        closing(socket.create_connection((address.host, address.port), LONG)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        shown = secured.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_the_command_takes_a_renewed_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def renew() -> None:
        issued = authority.issue_cert("127.0.0.1")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

    renew()
    options = ("--data", str(tmp_path / "data"), "--tls-certificate", str(certificate), "--tls-key", str(key))
    with command(*options) as (process, url):
        first = serial(url, authority)
        renew()
        read_again(process)
        second = serial(url, authority)
        assert second != first
        key.write_bytes(b"no key")
        assert "the settings were not changed: the TLS certificate " in read_again(process)
        assert serial(url, authority) == second

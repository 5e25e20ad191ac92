from __future__ import annotations

import contextlib
import json
import socket
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from websockets.sync.client import connect

from pymdc.bridge import peers
from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread

from .harness import Person, Running, settings_for


def certificate(folder: Path) -> tuple[trustme.CA, dict[str, Path]]:
    """An authority, and the settings of a bridge that has a certificate of it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(folder / "certificate.pem"), append=True)
    return authority, {"tls_certificate": folder / "certificate.pem", "tls_key": folder / "key.pem"}


def trusting(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts that trust an authority: one for HTTP, and one for `connect`.

    `connect` reads and writes in two threads. With TLS 1.3 a ticket may come in while the request is written, and now
    and then the request is lost. Up to TLS 1.2 nothing comes before the request.
    """
    contexts = ssl.create_default_context(), ssl.create_default_context()
    for context in contexts:
        authority.configure_trust(context)
    contexts[1].maximum_version = ssl.TLSVersion.TLSv1_2
    return contexts


def test_a_bridge_with_a_certificate_speaks_tls_and_so_do_its_channels(tmp_path: Path) -> None:
    authority, files = certificate(tmp_path)
    context, for_channels = trusting(authority)
    mails: list[Mail] = []
    with (
        BridgeThread(settings_for(tmp_path / "data", on_mail=mails.append, **files)) as thread,
        httpx.Client(base_url=thread.url, verify=context, trust_env=False) as http,
    ):
        assert thread.url.startswith("https://127.0.0.1:")
        person = Running(thread, http, tmp_path / "data", mails).person()
        assert mails[0].link.startswith(f"{thread.url}/activations/")
        assert downloaded(person, for_channels) == b"data"
        assert http.get("/health", headers={"x": "x" * 40_000}).status_code == 431


def test_a_client_that_does_not_close_its_side_does_not_keep_a_bridge_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bridge has closed the connection, and is stopped while it waits for the client to do so too."""
    monkeypatch.setattr(peers, "SEND_SECONDS", 1.0)
    authority, files = certificate(tmp_path)
    context, _ = trusting(authority)
    with contextlib.ExitStack() as stack:
        thread = stack.enter_context(BridgeThread(settings_for(tmp_path / "data", **files)))
        address = ("127.0.0.1", httpx.URL(thread.url).port or 0)
        plain = stack.enter_context(contextlib.closing(socket.create_connection(address, 30)))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
            while connection.recv(65536):
                pass
            thread.stop()
    assert "Traceback" not in caplog.text
    assert "graceful shutdown exceeded" not in caplog.text


def downloaded(person: Person, context: ssl.SSLContext) -> bytes:
    """Upload a file, and fetch it over the channel that its pointer names."""
    bucket = person.bucket()
    found = person.upload(bucket, b"data").json()["hash"]
    (pointer,) = person.pointers(bucket, found).json()
    assert pointer["channel"] == person.bridge.thread.url.replace("https", "wss")
    with connect(pointer["channel"], ssl=context, compression=None, proxy=None) as channel:
        channel.send(json.dumps(pointer))
        return b"".join(message for message in channel if isinstance(message, bytes))


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_is_said_at_the_start(tmp_path: Path, text: str | None) -> None:
    _, files = certificate(tmp_path)
    if text is None:
        files["tls_certificate"].unlink()
    else:
        files["tls_certificate"].write_text(text)
    with pytest.raises(ValueError, match=r"the TLS certificate .* or its key .* cannot be used"):
        BridgeThread(settings_for(tmp_path / "data", **files)).start()


def test_a_key_that_asks_for_a_password_cannot_be_used(tmp_path: Path) -> None:
    """Nobody is there to type it."""
    _, files = certificate(tmp_path)
    key = serialization.load_pem_private_key(files["tls_key"].read_bytes(), None)
    form, encrypted = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"password")
    files["tls_key"].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encrypted))
    with pytest.raises(ValueError, match=r"the TLS certificate .* or its key .* cannot be used"):
        BridgeThread(settings_for(tmp_path / "data", **files)).start()

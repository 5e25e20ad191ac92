"""`pymdc doctor`: each finding has a line and a remedy, and nothing is changed."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from pymdc import Client, unwrap
from pymdc.api import Bucket, Keys, Users
from pymdc.cli.profiles import Profile, Profiles

from .typist import PASSWORD, Typist


def findings(typist: Typist, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    ran = typist.type("doctor", "--json", *arguments)
    assert ran.exit_code == code, ran.output
    return {told["step"]: told for told in map(json.loads, ran.stdout.splitlines())}


def test_each_step_says_that_all_is_well(member: Typist) -> None:
    found = findings(member, "--transfer")
    steps = ["bridge", "proxy", "name", "connection", "version", "clock", "account", "key", "nonce", "transfer"]
    assert list(found) == steps
    assert all(told["ok"] and told["remedy"] == "" and told["code"] == 0 for told in found.values())
    assert found["bridge"]["words"] == f"{member.bridge.url}, named by the profile default"
    assert "a bridge of pymdc" in found["version"]["words"]
    ran = member.type("doctor")
    assert (ran.exit_code, ran.stderr) == (0, "All is well.\n")
    assert len(ran.stdout.splitlines()) == 9
    assert ran.stdout.startswith("ok      bridge:     http://127.0.0.1")


def test_the_file_that_is_sent_is_removed_again(member: Typist) -> None:
    findings(member, "--transfer")
    assert member.data("ls") == []


def test_a_second_run_within_one_second_finds_no_problem(member: Typist) -> None:
    for _ in range(3):
        findings(member)


def test_the_doctor_says_what_named_the_bridge(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "named by --bridge" in findings(member, "--bridge", member.bridge.url)["bridge"]["words"]
    monkeypatch.setenv("STORJ_BRIDGE", member.bridge.url)
    assert "named by STORJ_BRIDGE" in findings(member)["bridge"]["words"]


def last(typist: Typist, *arguments: str, code: int) -> dict[str, Any]:
    """Run the doctor, which must find a problem, and return its last finding."""
    found = list(findings(typist, *arguments, code=code).values())
    assert all(told["ok"] for told in found[:-1])
    assert not found[-1]["ok"]
    assert found[-1]["remedy"]
    return found[-1]


def test_without_a_bridge_it_says_how_to_name_one(typist: Typist) -> None:
    assert last(typist, code=2)["step"] == "bridge"
    ran = typist.type("doctor")
    assert ran.stdout.startswith("PROBLEM bridge:     no bridge is named, and the public one of 2016")
    assert last(typist, "--bridge", "nonsense", code=2)["words"].startswith("malformed endpoint")


def test_an_unknown_host_name_is_a_problem(typist: Typist) -> None:
    told = last(typist, "--bridge", "http://no-such-host.invalid", code=5)
    assert (told["step"], told["words"]) == ("name", "no host is known by the name no-such-host.invalid")


def test_a_port_on_which_nothing_answers_is_a_problem(typist: Typist) -> None:
    told = last(typist, "--bridge", "http://127.0.0.1:1", code=5)
    assert told["step"] == "connection"
    assert told["words"] == "nothing answers at 127.0.0.1 port 1: Connection refused"


def test_a_proxy_is_told_without_its_password(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    found = findings(typist, "--bridge", "http://bridge.example", code=5)
    assert found["proxy"]["words"].startswith("http://127.0.0.1:1; a variable")
    assert "secret" not in json.dumps(found)
    assert not found["connection"]["ok"]


def test_without_a_login_it_says_how_to_log_in(typist: Typist) -> None:
    told = last(typist, "--bridge", typist.bridge.url, code=3)
    assert told["step"] == "account"
    assert "pymdc login EMAIL" in told["remedy"]


def test_a_key_that_the_bridge_does_not_know_is_a_problem(member: Typist) -> None:
    with Client(member.bridge.url) as client:
        unwrap(Keys(Users(member.email, PASSWORD, client=client)).delete(Profiles().find("default").public_key))
    told = last(member, code=3)
    assert (told["step"], told["remedy"]) == ("key", "Log in again: pymdc login EMAIL")


def test_an_account_with_a_password_is_checked(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", typist.bridge.url)
    monkeypatch.setenv("STORJ_BRIDGE_USER", typist.email)
    monkeypatch.setenv("STORJ_BRIDGE_PASS", PASSWORD)
    typist.done("register", typist.email)
    assert "pymdc activate LINK" in last(typist, code=3)["remedy"]
    typist.done("activate", typist.mailed_token())
    assert findings(typist)["account"]["ok"]


def test_a_transfer_that_fails_is_told(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "delete", lambda *_: {"error": "no"})
    told = last(member, "--transfer", code=6)
    assert (told["step"], told["words"]) == ("transfer", "The bridge refused: no.")


class Old:
    """A bridge that counts nonces as those of 2016: it keeps the highest one of a user, and refuses lower ones.

    It follows "nonce: equal" and "nonce: stale (smaller)" in `tests/data/bridge-v0.6.6-http.json`.
    """

    def __init__(self) -> None:
        self.nonce = 0
        self.seen: list[int] = []
        self.shift = 0.0
        self.description: Any = {"swagger": "2.0", "info": {"title": "Storj Bridge", "version": "0.6.6"}}

    def answer(self, path: str) -> tuple[int, Any]:
        if urlsplit(path).path == "/":
            return 200, self.description
        nonce = int(parse_qs(urlsplit(path).query)["__nonce"][0])
        self.seen.append(nonce)
        if nonce < self.nonce:
            return 401, {"error": "Invalid nonce supplied"}
        self.nonce = nonce
        return 200, []


@contextmanager
def serving(old: Old, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, value = old.answer(self.path)
            body = json.dumps(value).encode() if not isinstance(value, bytes) else value
            self.send_response_only(status)
            if old.shift is not None:
                self.send_header("Date", formatdate(time.time() + old.shift, usegmt=True))
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def old(typist: Typist) -> Iterator[Old]:
    from pymdc.api import ECDSA

    made, pair = Old(), ECDSA()
    with serving(made) as url:
        Profiles().save(Profile("default", url, typist.email, pair.get_public_key()), pair.get_private_key())
        yield made


def test_a_bridge_that_counts_seconds_gets_no_higher_nonce(old: Old, typist: Typist) -> None:
    old.nonce = int(time.time()) - 5
    found = findings(typist)
    assert "of 2016's kind" in found["version"]["words"]
    assert found["nonce"]["ok"]
    assert old.nonce <= time.time()
    assert len(old.seen) == 1


def test_a_bridge_that_counts_milliseconds_is_no_problem(old: Old, typist: Typist) -> None:
    old.nonce = int(time.time() * 1000) - 5
    assert "(milliseconds)" in findings(typist)["nonce"]["words"]
    assert old.nonce <= time.time() * 1000


def test_a_locked_account_is_found_without_locking_it_further(old: Old, typist: Typist) -> None:
    old.nonce = before = time.time_ns() // 1000
    told = last(typist, code=3)
    assert told["step"] == "nonce"
    assert "STORJ_BRIDGE_PASS" in told["remedy"]
    assert old.nonce == before
    assert len(old.seen) == 2
    assert max(old.seen) <= time.time() * 1000


@pytest.mark.parametrize(("shift", "words"), [(1000, "behind"), (-1000, "ahead of")])
def test_a_wrong_clock_is_told_and_the_other_steps_follow(shift: float, words: str, old: Old, typist: Typist) -> None:
    old.shift = shift
    found = findings(typist, code=1)
    assert not found["clock"]["ok"]
    assert words in found["clock"]["words"]
    assert found["nonce"]["ok"]


def test_a_bridge_that_does_not_tell_the_time_is_no_problem(old: Old, typist: Typist) -> None:
    old.shift = None  # type: ignore[assignment]
    assert findings(typist)["clock"]["words"] == "the bridge does not tell the time"


@pytest.mark.parametrize("description", [b"<html>", {"info": 5}, [], {"error": "no"}])
def test_a_server_that_is_not_a_bridge_is_a_problem(description: Any, old: Old, typist: Typist) -> None:
    old.description = description
    told = last(typist, code=5)
    assert (told["step"], told["words"]) == ("version", "the server is not a bridge (status 200)")


def test_a_server_that_does_not_speak_http_is_a_problem(typist: Typist) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        told = last(typist, "--bridge", f"http://127.0.0.1:{server.getsockname()[1]}", code=5)
        thread.join()
    assert told["step"] == "answer"


def test_an_untrusted_certificate_is_a_problem_and_a_valid_one_is_not(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with serving(Old(), tls) as url:
        told = last(typist, "--bridge", url, code=5)
        assert (told["step"], "SSL_CERT_FILE" in told["remedy"]) == ("tls", True)
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert findings(typist, "--bridge", url, code=3)["tls"]["words"] == "the certificate is valid"

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .harness import PASSWORD, Person, fetch, running, until


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def use(person: Person) -> list[str]:
    """Make some requests of each kind, and return the secrets that must not be in a log."""
    bridge = person.bridge
    bucket = person.bucket()
    found = person.upload(bucket, b"data").json()["hash"]
    token = person.token(bucket, "PULL")
    (pointer,) = person.pointers(bucket, found, token).json()
    fetch(pointer)
    bridge.http.get("/keys?secret=query", auth=person.basic)
    bridge.http.get(f"/Activations/{token}/")
    bridge.http.get(f"/x%2F{token}", headers={"x-token": token})
    secrets = [PASSWORD, token, pointer["token"], "secret", person.key.get_public_key()]
    return [*secrets, *(mail.token for mail in bridge.mails)]


def test_every_request_is_a_line_without_secrets(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with running(tmp_path / "data", access_log=str(log), trusted_proxies=("127.0.0.1",)) as bridge:
        person = bridge.person()
        bridge.http.headers["x-forwarded-for"] = "192.0.2.7"
        secrets = use(person)
    logged, text = lines(log), log.read_text(encoding="utf-8")
    assert not [secret for secret in secrets if secret in text]
    seen = [(line["method"], line["path"].split("/")[1], line["status"]) for line in logged]
    assert seen[0] == ("POST", "users", 200)
    assert ("CHANNEL", "", 1000) in seen
    assert {line["path"] for line in logged if "ctivations" in line["path"]} == {"/activations/***", "/Activations/***"}
    assert {line["address"] for line in logged} == {"127.0.0.1", "192.0.2.7"}
    (upload,) = [line for line in logged if line["method"] == "PUT"]
    assert upload["received"] > 100 < upload["sent"]
    assert upload["ms"] > 0
    assert list(upload) == ["time", "address", "method", "path", "status", "received", "sent", "ms"]
    (channel,) = [line for line in logged if line["method"] == "CHANNEL"]
    assert channel["sent"] == 4


def test_a_log_that_is_moved_away_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with running(tmp_path / "data", access_log=str(log)) as bridge:
        bridge.http.get("/health")
        until(bridge, log.read_text)
        log.rename(tmp_path / "access.log.1")
        bridge.http.get("/elsewhere")
    assert lines(tmp_path / "access.log.1")[0]["path"] == "/health"
    assert [(line["path"], line["status"]) for line in lines(log)][-1] == ("/elsewhere", 404)


def test_requests_go_on_while_the_log_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with running(tmp_path / "data", access_log=str(folder / "log")) as bridge:
        bridge.http.get("/health")
        folder.rename(tmp_path / "moved")
        assert [bridge.http.get("/health").status_code for _ in range(5)] == [200] * 5
    assert "cannot be written" in capsys.readouterr().err


def test_the_log_can_go_to_the_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, access_log="on") as bridge:
        bridge.http.get("/health\N{SNOWMAN}")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["path"] == "/health%E2%98%83"


def test_a_start_with_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), running(tmp_path, access_log=str(tmp_path / "missing" / "log")):
        pass

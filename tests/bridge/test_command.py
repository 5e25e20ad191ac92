from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pymdc.bridge import check, server
from pymdc.bridge.settings import Settings
from pymdc.cli.bridge import bridge, read_settings

from ..engines import chosen_for
from .harness import Running, file_hash, object_store, running


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that the command serves with. It ends at once, as after Ctrl+C."""
    settings: list[Settings] = []

    def serve(given: Settings, echo: Any, reread: Any) -> None:
        settings.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "serve", serve)
    return settings


def run(*arguments: str, environment: dict[str, str] | None = None, typed: str | None = None) -> Result:
    return CliRunner().invoke(bridge, arguments, env=environment or {}, input=typed)


GIVEN = {
    "--host": "::1",
    "--port": "0",
    "--data": "/data",
    "--database": "sqlite://",
    "--store": "s3://b/p",
    "--public-url": "https://b.example",
    "--redirect-origin": "https://a",
    "--tls-certificate": "/certificate.pem",
    "--tls-key": "/key.pem",
    "--trusted-proxy": "10.0.0.0/8",
    "--access-log": "on",
    "--log": "/log",
    "--log-level": "debug",
    "--log-format": "json",
    "--metrics-port": "9",
    "--metrics-host": "::1",
    "--smtp-host": "mail",
    "--smtp-port": "26",
    "--smtp-security": "tls",
    "--smtp-user": "user",
    "--smtp-password": "secret",
    "--smtp-sender": "b@example.com",
    "--registrations-per-hour": "1",
    "--workers": "2",
    "--uploads-per-address": "2",
    "--minimum-free": "7",
    "--registrations": "example.com",
    "--activation-days": "7",
    "--user-storage": "6.5",
    "--user-buckets": "8",
    "--max-requests": "3",
    "--max-connections": "4",
    "--stop-seconds": "5.5",
}
MEANT = Settings(
    data=Path("/data"),
    host="::1",
    port=0,
    database="sqlite://",
    store="s3://b/p",
    public_url="https://b.example",
    redirect_origins=("https://a",),
    tls_certificate=Path("/certificate.pem"),
    tls_key=Path("/key.pem"),
    trusted_proxies=("10.0.0.0/8",),
    access_log="on",
    log="/log",
    log_level="debug",
    log_format="json",
    metrics_port=9,
    metrics_host="::1",
    smtp_host="mail",
    smtp_port=26,
    smtp_security="tls",
    smtp_user="user",
    smtp_password="secret",
    smtp_sender="b@example.com",
    registrations_per_hour=1,
    workers=2,
    uploads_per_address=2,
    minimum_free=7,
    registrations="example.com",
    activation_days=7,
    user_storage=6.5,
    user_buckets=8,
    max_requests=3,
    max_connections=4,
    stop_seconds=5.5,
)


def options() -> dict[str, click.Option]:
    return {option.opts[0]: option for option in bridge.params if isinstance(option, click.Option)}


def test_every_setting_has_its_option() -> None:
    assert options().keys() - {"--config"} == GIVEN.keys()
    assert len(GIVEN) == len(fields(Settings)) - len({"on_mail"})


def test_the_command_serves_with_its_options(served: list[Settings]) -> None:
    result = run(*(word for pair in GIVEN.items() for word in pair), "--redirect-origin", "https://b")
    assert (result.exit_code, result.output) == (0, "Stopped.\n")
    assert served == [Settings(**{**vars(MEANT), "redirect_origins": ("https://a", "https://b")})]


def test_the_command_reads_the_environment(served: list[Settings]) -> None:
    names = {f"PYMDC_BRIDGE_{option[2:].replace('-', '_').upper()}": value for option, value in GIVEN.items()}
    names["PYMDC_BRIDGE_REDIRECT_ORIGIN"] = "https://a https://b"
    assert run(environment=names).exit_code == 0
    assert served == [Settings(**{**vars(MEANT), "redirect_origins": ("https://a", "https://b")})]


def test_the_command_reads_a_file(served: list[Settings], tmp_path: Path) -> None:
    lines = [f"{option[2:]} = {value if value[0].isdigit() else repr(value)}" for option, value in GIVEN.items()]
    for option in ("redirect-origin", "trusted-proxy"):
        lines = [f"{option} = [{GIVEN[f'--{option}']!r}]" if line.startswith(option) else line for line in lines]
    (tmp_path / "bridge.toml").write_text("\n".join(lines).replace("public-url", "public_url"))
    result = run("--config", str(tmp_path / "bridge.toml"))
    assert (result.exit_code, result.output) == (0, "Stopped.\n")
    assert served == [MEANT]


def test_an_option_wins_over_the_environment_and_the_environment_over_the_file(
    served: list[Settings], tmp_path: Path
) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text('host = "file"\nport = 1\nstore = "file"\nstop-seconds = 7')
    environment = {
        "PYMDC_BRIDGE_CONFIG": str(config),
        "PYMDC_BRIDGE_HOST": "environment",
        "PYMDC_BRIDGE_PORT": "2",
    }
    assert run("--host", "option", environment=environment).exit_code == 0
    assert (served[0].host, served[0].port, served[0].store, served[0].stop_seconds) == ("option", 2, "file", 7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1\nhots = 2\nhost = '::'", "there is no option hots, prot"),
        ("config = 'other.toml'", "there is no option config"),
        ("[smtp]\nhost = 'mail'", "there is no option smtp"),
        ("port = '80'", "port is a whole number, not '80'"),
        ("port = 80.5", "port is a whole number, not 80.5"),
        ("port = true", "port is a whole number, not True"),
        ("stop_seconds = '5'", "stop_seconds is a number, not '5'"),
        ("stop_seconds = true", "stop_seconds is a number, not True"),
        ("host = 5", "host is a text, not 5"),
        ("trusted-proxy = '::1'", "trusted-proxy is a list of texts, not '::1'"),
        ("trusted-proxy = [1]", "trusted-proxy is a list of texts, not [1]"),
        ("port = ", "Invalid value"),
        ("port = 70000", "70000 is not in the range"),
        ("\0", "bridge.toml: "),
    ],
)
def test_a_wrong_configuration_file_is_named(served: list[Settings], tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(text)
    result = run("--config", str(config))
    assert result.exit_code != 0
    assert words in result.output
    assert not served


def test_without_options_the_command_serves_with_the_default_settings(served: list[Settings], tmp_path: Path) -> None:
    assert run(environment={"XDG_DATA_HOME": str(tmp_path)}).exit_code == 0
    assert served == [Settings(tmp_path / "pymdc-bridge")]


def test_the_data_is_in_the_home_folder_by_default(
    served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert run().exit_code == 0
    assert served[0].data == tmp_path / ".local" / "share" / "pymdc-bridge"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--database", "nonsense"), "the database URL cannot be used"),
        (("--database", "sqlite:////nowhere/at/all"), "the database cannot be used: unable to open database file"),
        (
            ("--database", "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"),
            "the database cannot be used: .*port 1 failed: Connection refused",
        ),
        (("--database", "mysql://host/name"), "the database URL cannot be used: .* neither sqlite:/// nor postgresql"),
        (("--store", "/dev/null/shards"), "the store cannot be used: .*Not a directory"),
        (("--data", "/dev/null/data"), "the data folder /dev/null/data cannot be used: Not a directory"),
        (("--log", "/nowhere/log"), "the log file /nowhere/log cannot be written: No such file or directory"),
        (("--access-log", "/nowhere/log"), "the log file /nowhere/log cannot be written: No such file or directory"),
        (("--registrations", "close"), "registrations are open, closed, or for domains such as .*, not 'close'"),
        (
            ("--tls-certificate", "/nowhere/c", "--tls-key", "/nowhere/k"),
            "the TLS certificate /nowhere/c or its key /nowhere/k cannot be used: No such file or directory",
        ),
    ],
)
def test_an_error_that_keeps_a_bridge_from_starting_is_one_line(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    result = run("--port", "0", "--data", str(tmp_path), *options)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert re.match(f"Error: {words}", result.output)
    assert "secret" not in result.output


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--port", str(port), "--data", str(tmp_path))
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith(f"Error: the bridge cannot listen on port {port} of 127.0.0.1")
    assert "Address already in use" in result.output


def test_the_command_says_which_setting_is_wrong(tmp_path: Path) -> None:
    result = run("--data", str(tmp_path), "--public-url", "bridge.example")
    assert (result.exit_code, result.output[:40]) == (1, "Error: the public URL must begin with ht")


def test_the_command_serves_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from pymdc.cli.bridge import bridge; bridge()", "--port", "0"]
    environment = {"PYTHONUNBUFFERED": "1"}
    command += ["--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        assert any("STORJ_BRIDGE" in line for line in running.stdout)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
        *after, last = running.stdout.read().splitlines()
        assert "pymdc register EMAIL" in after[0]
        assert "press Ctrl+C" in after[1]
        assert last == "Stopped."


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--host", "0.0.0.0"), True),
        (("--host", "127.0.0.1"), False),
        (("--host", "0.0.0.0", "--public-url", "https://bridge.example"), False),
    ],
)
def test_a_bridge_for_others_without_a_name_says_what_to_set(
    tmp_path: Path, options: tuple[str, ...], warned: bool
) -> None:
    command = [sys.executable, "-c", "from pymdc.cli.bridge import bridge; bridge()", "--port", "0", *options]
    command += ["--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout is not None
        assert any("STORJ_BRIDGE" in line for line in running.stdout)
        running.send_signal(signal.SIGINT)
        said = running.stdout.read()
    assert ("other machines cannot reach it" in said) is warned
    assert ("Set --public-url" in said) is warned


@pytest.mark.parametrize("asks", [True, False], ids=["the machine is asked", "the machine is not asked"])
def test_an_s3_store_without_credentials_is_one_line_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false" if asks else "true")
        result = run("--port", "0", "--data", str(tmp_path), "--store", "s3://bucket/prefix")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in result.output


def look_after(tmp_path: Path, *arguments: str, typed: str | None = None) -> Result:
    """Run a command on the bridge whose data is in `tmp_path`."""
    engines = [part for name, value in chosen_for(tmp_path).items() for part in (f"--{name}", value)]
    return run("--data", str(tmp_path), *engines, *arguments, typed=typed)


def orphan(bridge: Running) -> None:
    object_store(bridge.settings).put("01230123012301230123012301230123/0", b"nobody's")


def test_a_check_tells_what_it_found_and_how_bad_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
        result = look_after(tmp_path, "check")
        assert (result.exit_code, result.output) == (0, "1 shards (4 bytes) read back: 0 wrong, 0 orphaned.\n")
        orphan(bridge)
        result = look_after(tmp_path, "check")
        assert result.exit_code == 0
        assert result.output.startswith("orphaned: 01230123012301230123012301230123/0, of 20")
        bridge.lose(str(bridge.sql("SELECT blob FROM shards")[0][0]))
        result = look_after(tmp_path, "check")
        assert result.exit_code == 1
        assert result.output.startswith(f"missing: shard {file_hash(b'data')} in ")
        assert result.output.endswith("1 shards (4 bytes) read back: 1 wrong, 1 orphaned.\n")


def test_a_check_removes_orphans_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as bridge:
        orphan(bridge)
        assert look_after(tmp_path, "check", "--repair", "--yes").exit_code == 0
        assert bridge.blobs() == ["01230123012301230123012301230123/0"], "it may still be wanted"
        monkeypatch.setattr(check, "UPLOAD_LEASE_SECONDS", -60)
        assert look_after(tmp_path, "check", "--repair", typed="n\n").exit_code == 1
        assert bridge.blobs() == ["01230123012301230123012301230123/0"]
        assert look_after(tmp_path, "check", "--repair", typed="y\n").output.endswith("1 orphans removed.\n")
        assert bridge.blobs() == []


def test_a_check_reports_faults_that_it_cannot_mend(tmp_path: Path) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
        bridge.lose(str(bridge.sql("SELECT blob FROM shards")[0][0]))
        result = look_after(tmp_path, "check", "--repair", typed="y\n")
        assert result.exit_code == 1
        assert "Repair what can be repaired of 1 faults?" in result.output


def test_the_settings_of_a_command_line_can_be_read_again(tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text("port = 1\n")
    typed = ["--config", str(config), "--host", "::1", "check"]
    assert (read_settings(typed).port, read_settings(typed).host) == (1, "::1")
    config.write_text("port = 2\n")
    assert read_settings(typed).port == 2


def test_a_check_that_cannot_tell_says_so(tmp_path: Path) -> None:
    result = run("--data", str(tmp_path), "check")
    assert (result.exit_code, result.output) == (2, f"Error: no bridge has its data in {tmp_path}\n")
    result = run("--data", str(tmp_path), "--database", "sqlite:////nowhere/at/all", "check")
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_users_are_listed_activated_and_removed(tmp_path: Path) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
        bridge.http.post("/users", json={"email": "waiting@example.com", "password": "0" * 64}).raise_for_status()
        lines = [line.split("\t") for line in look_after(tmp_path, "users", "list").output.splitlines()]
        assert [[line[0], line[1], *line[3:]] for line in lines] == [
            [alice.email, "activated", "1", "4"],
            ["waiting@example.com", "waiting", "0", "0"],
        ]
        assert look_after(tmp_path, "users", "activate", "Waiting@example.com").exit_code == 0
        assert bridge.http.get("/keys", auth=("waiting@example.com", "0" * 64)).json() == []
        assert look_after(tmp_path, "users", "remove", alice.email, typed="n\n").exit_code == 1
        assert look_after(tmp_path, "users", "remove", alice.email, typed="y\n").exit_code == 0
        assert bridge.http.get("/keys", auth=alice.basic).status_code == 401
        assert look_after(tmp_path, "users", "remove", "--yes", "waiting@example.com").exit_code == 0
        assert look_after(tmp_path, "users", "list").output == ""


@pytest.mark.parametrize("arguments", [("activate",), ("remove", "--yes")])
def test_a_command_about_a_missing_account_says_so(own_bridge: Running, arguments: tuple[str, ...]) -> None:
    result = look_after(own_bridge.data, "users", *arguments, "nobody@example.com")
    assert (result.exit_code, result.output) == (1, "Error: there is no account of nobody@example.com\n")

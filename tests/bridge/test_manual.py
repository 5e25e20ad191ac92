"""The operator's manual agrees with the command."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pymdc.bridge import server
from pymdc.bridge import settings as limits
from pymdc.bridge.options import options_of
from pymdc.bridge.settings import Settings
from pymdc.cli.bridge import bridge

from ..documents import section
from .options_table import options_table

HEADING = "## Running a bridge"
LIMITS = {
    "TOKEN_SECONDS": f"{limits.TOKEN_SECONDS} seconds",
    "JSON_BYTES": f"{limits.JSON_BYTES >> 20} MiB, and",
    "JSON_PARTS": f"{limits.JSON_PARTS:,} commas, colons and brackets",
    "MULTIPART_BYTES": f"{limits.MULTIPART_BYTES >> 20} MiB besides the file",
    "CHANNEL_REQUEST_BYTES": f"a request of {limits.CHANNEL_REQUEST_BYTES >> 10} KiB",
    "CHANNEL_BYTES": f"{limits.CHANNEL_BYTES >> 10} KiB from the client in all",
    "HEAD_BYTES": f"and {limits.HEAD_BYTES >> 10} KiB",
    "PIPELINED": f"{limits.PIPELINED} requests that wait",
    "HANDSHAKE_SECONDS": f"TLS handshake | {limits.HANDSHAKE_SECONDS:.0f} seconds",
    "HEAD_SECONDS": f"head of a request | {limits.HEAD_SECONDS:.0f} seconds",
    "READ_BYTES": f"until the next {limits.READ_BYTES >> 10} KiB arrive",
    "READ_SECONDS": f"A body | at most {limits.READ_SECONDS:.0f} seconds",
    "SEND_SECONDS": f"A reply | at most {limits.SEND_SECONDS:.0f} seconds",
    "CHANNEL_REQUEST_SECONDS": f"{limits.CHANNEL_REQUEST_SECONDS:.0f} seconds until its request arrives",
    "CHANNEL_TOKEN_SECONDS": f"{limits.CHANNEL_TOKEN_SECONDS:,} seconds",
    "DRAIN_SECONDS": f"refused | {limits.DRAIN_SECONDS:.0f} seconds",
    "DRAIN_BYTES": f"{limits.DRAIN_BYTES >> 20} MiB, which are thrown away",
    "KEEP_ALIVE_SECONDS": f"{limits.KEEP_ALIVE_SECONDS} seconds without a request",
    "NONCES": f"the last {limits.NONCES:,} nonces",
    "NONCE_SECONDS": f"the last {limits.NONCE_SECONDS} seconds",
    "NONCES_AT_MOST": f"up to {limits.NONCES_AT_MOST:,}",
    "MAILS_PER_ACCOUNT": f"{limits.MAILS_PER_ACCOUNT} more activation mails",
    "UPLOADS_PER_ADDRESS": "`--uploads-per-address`",
    "REQUESTS": "`--max-requests`",
    "CONNECTIONS": "`--max-connections`",
    "REGISTRATIONS_PER_HOUR": "`--registrations-per-hour`",
    "MINIMUM_FREE": "`--minimum-free`",
}
"""What the table of limits says of each limit in `settings.py`."""
NO_LIMITS = {"FORGET_ONE_IN", "ACTIVATION_DAYS", "STOP_SECONDS"}
IN_SHORT = (
    f"may have {limits.UPLOADS_PER_ADDRESS} uploads at once",
    f"handshake may take {limits.HANDSHAKE_SECONDS:.0f} seconds",
    f"may take {limits.HEAD_SECONDS:.0f} seconds and {limits.HEAD_BYTES >> 10} KiB",
    f"may take {limits.READ_SECONDS:.0f} seconds for each {limits.READ_BYTES >> 10} KiB",
    f"may wait {limits.SEND_SECONDS:.0f} seconds until the client takes the next {limits.READ_BYTES >> 10} KiB",
    f"may have {limits.PIPELINED} requests that wait",
    f"may take {limits.CHANNEL_REQUEST_SECONDS:.0f} seconds for its request",
    f"may send {limits.CHANNEL_BYTES >> 10} KiB in all",
)
"""What the README says of the limits that hold back one address."""


def test_the_table_holds_every_option_as_it_is_declared() -> None:
    assert options_table() in section("docs/bridge.md", HEADING), f"the table should be:\n{options_table()}"


def test_the_file_that_is_shown_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(server, "serve", lambda settings, echo, reread: served.append(settings))
    (text,) = re.findall(r"```toml\n(.*?)```", section("docs/bridge.md", HEADING), re.DOTALL)
    (tmp_path / "bridge.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(bridge, ["--config", str(tmp_path / "bridge.toml")])
    assert (result.exit_code, result.output) == (0, "")
    assert served[0].public_url == "https://bridge.example"


def test_the_commands_that_are_shown_exist() -> None:
    text = section("docs/bridge.md", HEADING)
    shown = re.findall(r"pymdc bridge --(?:config|data) \S+ ([a-z]+) ?([a-z-]*)", text)
    users = bridge.commands["users"]
    assert isinstance(users, click.Group)
    assert {name for name, _ in shown} == bridge.commands.keys()
    assert {command for name, command in shown if name == "users"} == users.commands.keys()


def test_the_options_that_are_read_again_are_listed() -> None:
    (listed,) = re.findall(
        r"connections and requests:\n\n(.*?)\n\nThe log says", section("docs/bridge.md", HEADING), re.DOTALL
    )
    again = [option.name for option in options_of(Settings) if option.reloads]
    assert re.findall("`--([a-z-]+)`", listed) == [
        name for name in again if not name.startswith("tls-") and name != "log-level"
    ]


def test_the_table_of_limits_holds_every_limit_with_its_value() -> None:
    source = Path(limits.__file__).read_text("utf-8")
    _, _, rest = source.partition("# Protect clients from each other.")
    of_clients, _, rest = rest.partition("# Protect the bridge itself.")
    of_options, _, _ = rest.partition("# Defaults of options")[2].partition("@dataclass")
    declared = set(re.findall("^([A-Z][A-Z_]+) = ", of_clients + of_options, re.MULTILINE))
    assert len(declared) > 20
    assert declared <= LIMITS.keys() | NO_LIMITS
    rows = [line for line in section("docs/bridge.md", "### Limits").splitlines() if line.startswith("|")]
    assert [name for name, words in LIMITS.items() if words not in "\n".join(rows)] == []
    assert {len(row.strip("| ").split(" | ")) for row in rows} == {3}, "who, the limit, beyond it"


def test_the_readme_holds_the_limits_of_one_address() -> None:
    said = " ".join(section("README.md", "### What one client may take from a bridge").split())
    assert [words for words in IN_SHORT if words not in said] == []

"""The operator's manual agrees with the command."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pymdc.bridge import server
from pymdc.bridge.options import options_of
from pymdc.bridge.settings import Settings
from pymdc.cli.bridge import bridge

from ..documents import section
from .options_table import options_table

HEADING = "## Running a bridge"


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

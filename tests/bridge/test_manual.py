"""What the manual says of running a bridge is what the command does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pymdc.bridge import server
from pymdc.bridge.settings import Settings
from pymdc.cli.bridge import bridge

from ..documents import section

HEADING = "## Running a bridge"


def rows() -> dict[str, str]:
    """The options of the table, and their defaults."""
    found = re.findall(r"^\| (`--.*?`) \| (.*?) \|", section("docs/bridge.md", HEADING), re.MULTILINE)
    return {option: default for names, default in found for option in re.findall("`(--[a-z-]+)`", names)}


def test_the_table_lists_every_option() -> None:
    assert list(rows()) == [option.opts[0] for option in bridge.params if isinstance(option, click.Option)]


def test_the_table_gives_the_defaults() -> None:
    defaults = {f"--{field.name.replace('_', '-')}": field.default for field in fields(Settings)}
    for option, default in rows().items():
        value: Any = defaults.get(option)
        if isinstance(value, str | int | float) and option != "--data":
            assert default.strip("`") == f"{value:g}" if isinstance(value, float) else str(value)


def test_the_file_that_is_shown_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(server, "serve", lambda settings, echo: served.append(settings))
    (text,) = re.findall(r"```toml\n(.*?)```", section("docs/bridge.md", HEADING), re.DOTALL)
    (tmp_path / "bridge.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(bridge, ["--config", str(tmp_path / "bridge.toml")])
    assert (result.exit_code, result.output) == (0, "")
    assert served[0].public_url == "https://bridge.example"


def test_the_commands_that_are_shown_exist() -> None:
    shown = re.findall(r"bridge\.toml (check|users) ?([a-z]*)", section("docs/bridge.md", HEADING))
    users = bridge.commands["users"]
    assert isinstance(users, click.Group)
    assert {name for name, _ in shown} == bridge.commands.keys()
    assert {command for name, command in shown if name == "users"} == users.commands.keys()

"""docs/command.md: its examples run against a bridge, and it has each command, option and exit code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymdc.cli.failures import Code
from pymdc.cli.main import cli

from ..bridges import LONG, running_bridge
from ..documents import blocks, section, text_of
from .command_document import COMMON, NAME, all_commands, exit_codes, reference, renewed
from .people import plant


def test_the_document_has_the_commands_and_exit_codes_of_the_help() -> None:
    """`python -m tests.cli.command_document` writes these parts anew."""
    assert text_of(NAME) == renewed(text_of(NAME))


def test_the_document_has_each_command_option_and_exit_code() -> None:
    text = reference()
    for _, path, command in all_commands():
        assert f"#### `{path}`" in text
        ran = CliRunner().invoke(cli, [*path.split()[1:], "--help"])
        for option in set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", ran.output, re.M)):
            about = text[text.index(f"#### `{path}`\n") :].split("\n#### ")[0]
            assert option[2:] in COMMON or option in about, (path, option)
        assert command.help
    for code in Code:
        assert f"\n| {code.value} | " in exit_codes()
    for name in COMMON - {"version"}:
        assert f"--{name}" in section(NAME, "## All commands").split("<!-- commands -->")[0]


def lines_of(heading: str) -> list[str]:
    """Return the commands that are shown below a heading."""
    shown = [text for kind, text in blocks(section(NAME, heading)) if kind == "console"]
    lines = [line for text in shown for line in text.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def test_the_examples_of_the_document_run(tmp_path: Path) -> None:
    """Every line is typed into a shell. Passwords come from a file, since nobody is there to type them."""
    home = plant(
        tmp_path / "home",
        {
            "holiday.jpg": b"a holiday",
            "cat.jpg": b"a cat" * 1000,
            "notes.txt": b"notes",
            "2016/beach.jpg": b"a beach",
            "password": b"a password\n",
            "bin/pymdc": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pymdc "$@"\n'.encode(),
        },
    )
    (home / "bin" / "pymdc").chmod(0o755)
    (home / "copies").mkdir()
    lines = [line for each in ("## A first walk", "## Which bridge, and who", "## Mirror") for line in lines_of(each)]
    assert len(lines) > 25
    folders = {f"XDG_{name}_HOME": str(home / name) for name in ("CONFIG", "CACHE", "DATA")}
    environment = {**os.environ, **folders, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}
    with running_bridge(tmp_path / "old") as old, running_bridge(tmp_path / "new") as new:
        import pymdc

        with pymdc.Client(new.url) as client:
            new.member("you@example.com", client)
        for line in lines:
            line = line.replace("http://127.0.0.1:6382", old.url).replace("http://127.0.0.1:6383", new.url)
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                environment[name] = value
                continue
            if line.startswith("pymdc activate"):
                line = line.replace("LINK", old.mailed_token())
            if " register " in line or " login " in line:
                line += " --password-file password"
            if line.startswith("pymdc cat"):
                subprocess.run(["pymdc", "cp", "notes.txt", "storj://photos/"], env=environment, cwd=home, check=True)
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {line}"],
                env=environment,
                cwd=home,
                capture_output=True,
                text=True,
                timeout=LONG,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert (home / "copies" / "beach.jpg").read_bytes() == b"a beach"
    assert (home / "back" / "cat.jpg").read_bytes() == b"a cat" * 1000


@pytest.mark.parametrize("word", ["STORJ_BRIDGE", "STORJ_BRIDGE_USER", "STORJ_BRIDGE_PASS", "PYMDC_PROFILE"])
def test_the_document_names_each_environment_variable(word: str) -> None:
    assert f"`{word}`" in text_of(NAME)

"""The command: what it offers, and what it says where an extra is not installed."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

import pymdc
from pymdc.__main__ import main
from pymdc.bridge import server
from pymdc.cli.extras import needs_bridge
from pymdc.cli.main import COMMANDS, cli


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pymdc", "--version"])
    monkeypatch.delitem(sys.modules, "pymdc.__main__")
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("pymdc", run_name="__main__")
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"pymdc, version {pymdc.__version__}\n"


def test_main_runs_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pymdc", "--help"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    assert "quickstart" in capsys.readouterr().out


PLACES = {name: place for commands in COMMANDS.values() for name, place in commands.items()}


@pytest.mark.parametrize("name", sorted(PLACES))
def test_every_command_has_help_and_the_list_of_commands_says_what_it_says(name: str) -> None:
    ran = CliRunner().invoke(cli, [name, "--help"])
    assert ran.exit_code == 0
    assert ran.output.startswith("Usage: ")
    words = PLACES[name][1]
    assert words.endswith(".")
    assert words.removesuffix(".") in " ".join(ran.output.split())
    assert f"{name} " in CliRunner().invoke(cli, ["--help"]).output
    assert name in cli.list_commands(click.Context(cli))


def test_a_command_that_is_not_there_is_an_error_of_usage() -> None:
    ran = CliRunner().invoke(cli, ["nothing"], prog_name="pymdc")
    assert (ran.exit_code, ran.stderr) == (2, "Error: No such command 'nothing'. See: pymdc --help\n")


def test_without_the_cli_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "pymdc.cli.main")
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 'The command needs more than the library: pip install "pymdc-metadisk[cli,bridge]"'


def test_a_defect_of_the_command_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymdc.cli.groups", None)
    monkeypatch.delitem(sys.modules, "pymdc.cli.main")
    with pytest.raises(ModuleNotFoundError):
        main()


def test_a_defect_of_one_command_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymdc.cli.quickstart", None)
    ran = CliRunner().invoke(cli, ["quickstart"])
    assert ran.exit_code == 1
    assert ran.output.startswith("Error: Something went wrong: ModuleNotFoundError: ")
    assert "pip install" not in ran.output


@pytest.mark.parametrize("command", [["quickstart"], ["bridge"]])
def test_without_the_bridge_extra_one_line_says_what_to_install(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.setattr(pymdc, "bridge", pymdc.bridge)  # the import below replaces it, and the next tests need it again
    for module in [name for name in sys.modules if name.startswith("pymdc.bridge")]:
        monkeypatch.delitem(sys.modules, module)
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 1
    assert ran.output.startswith("Error: a bridge needs more than the client (starlette")
    assert ran.output.endswith('pip install "pymdc-metadisk[bridge]"\n')
    assert ran.output.count("\n") == 1


def test_a_defect_of_the_bridge_is_not_taken_for_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needs_bridge():
        raise ModuleNotFoundError("no such module", name="pymdc.bridge.nothing")
    with pytest.raises(click.ClickException), needs_bridge():
        raise ModuleNotFoundError("no such module", name="sqlalchemy")


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a process loads."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_the_help_loads_click_and_hardly_anything_else() -> None:
    """`python -m tests.bench.run --only import` measures how long it takes."""
    ours = loaded_by("-m", "pymdc", "--help") - loaded_by("-c", "import click")
    package = {name for name in ours if name.split(".")[0] == "pymdc"}
    assert package == {
        "pymdc",
        "pymdc.cli",
        "pymdc.cli.arguments",
        "pymdc.cli.failures",
        "pymdc.cli.groups",
        "pymdc.cli.main",
        "pymdc.cli.options",
        "pymdc.cli.texts",
        "pymdc.version",
    }
    # What runs a module, and what click needs to write its help.
    others = {name.split(".")[0].lstrip("_") for name in ours - package}
    assert others <= {"bz2", "click", "compression", "fnmatch", "gc", "importlib", "locale", "lzma"} | {
        *("runpy", "shutil", "textwrap", "zlib")
    }


def test_a_bridge_that_has_started_says_what_to_do_next_and_how_to_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of the documents' examples show the same for a real process."""

    def serve(_settings: object, tell: Callable[[str], None], _read: object) -> None:
        tell("Data is kept in a folder.")
        tell("export STORJ_BRIDGE=http://127.0.0.1:6382")

    monkeypatch.setattr(server, "serve", serve)
    written = CliRunner().invoke(cli, ["bridge"]).output.splitlines()
    assert written[:2] == ["Data is kept in a folder.", "export STORJ_BRIDGE=http://127.0.0.1:6382"]
    assert "pymdc register EMAIL" in written[2]
    assert "Ctrl+C" in written[3]


def test_ctrl_c_while_the_command_is_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pymdc.cli.main.cli", interrupted)
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "Error: interrupted.\n"

"""Commands that only look leave the folder as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pymdc.cli.main import cli

from .harness import running

OF_A_BRIDGE = [
    ("migrate", "--show"),
    ("check",),
    ("users", "list"),
    ("users", "show", "a@example.com"),
    ("users", "find-key", "02" + "11" * 32),
    ("backup", "copy"),
]
OF_A_CLIENT = [
    ("doctor", "--bridge", "http://127.0.0.1:1"),
    ("ls", "--bridge", "http://127.0.0.1:1"),
    ("whoami", "--bridge", "http://127.0.0.1:1"),
    ("profiles",),
]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def look(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one; the profiles and the cache are below it too."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"PYMDC_CONFIG": "config", "HOME": ".", "XDG_CACHE_HOME": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    return tmp_path


@pytest.mark.parametrize("arguments", OF_A_BRIDGE, ids=" ".join)
@pytest.mark.parametrize(
    ("options", "place"),
    [
        (("--data", "."), "."),
        (("--data", "data"), "data"),
        (("--database", "sqlite:///missing"), "missing"),
        (("--database", "sqlite:///folder/missing"), "folder/missing"),
    ],
)
def test_a_command_that_looks_at_no_bridge_says_so_and_writes_nothing(
    arguments: tuple[str, ...], options: tuple[str, str], place: str, here: Path
) -> None:
    code, output = look("bridge", *options, *arguments)
    assert (code, output) == (2 if arguments == ("check",) else 1, f"Error: no bridge has its data in {place}\n")
    assert contents(here) == {}


@pytest.mark.parametrize("arguments", OF_A_CLIENT, ids=" ".join)
def test_a_command_of_nobody_writes_nothing(arguments: tuple[str, ...], here: Path) -> None:
    look(*arguments)
    assert contents(here) == {}


@pytest.mark.parametrize("arguments", OF_A_BRIDGE[:-1], ids=" ".join)
def test_a_command_that_looks_leaves_a_bridge_as_it_was(arguments: tuple[str, ...], here: Path) -> None:
    with running(here / "data", database=None, store=None) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
    before = contents(here)
    look("bridge", "--data", "data", *arguments)
    assert contents(here) == before


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "the database URL cannot be used"),
        ("sqlite://", "this command copies only a bridge on SQLite"),
        ("postgresql+psycopg://postgres@127.0.0.1:1/x", "this command copies only a bridge on SQLite"),
    ],
)
def test_a_database_that_cannot_be_copied_leaves_no_folder(url: str, words: str, here: Path) -> None:
    code, output = look("bridge", "--database", url, "backup", "copy")
    assert (code, words in output) == (1, True), output
    assert contents(here) == {}

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pymdc.bridge import server
from pymdc.bridge.settings import Settings
from pymdc.cli.bridge import bridge


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the command serves, which here ends at once, as by Ctrl+C."""
    settings: list[Settings] = []

    def serve(given: Settings, echo: Any) -> None:
        settings.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "serve", serve)
    return settings


def test_the_command_serves_with_what_it_is_told(served: list[Settings], tmp_path: Path) -> None:
    options = [
        "--host",
        "::1",
        "--port",
        "0",
        "--data",
        str(tmp_path),
        "--database",
        "sqlite://",
        "--store",
        "s3://b/p",
    ]
    more = ["--public-url", "https://b.example", "--redirect-origin", "https://a", "--redirect-origin", "https://b"]
    result = CliRunner().invoke(bridge, options + more)
    assert (result.exit_code, result.output) == (0, "Stopped.\n")
    origins = ("https://a", "https://b")
    assert served == [Settings(tmp_path, "::1", 0, "sqlite://", "s3://b/p", "https://b.example", origins)]


def test_the_command_reads_the_environment(served: list[Settings], tmp_path: Path) -> None:
    environment = {"PYMDC_BRIDGE_PORT": "1234", "XDG_DATA_HOME": str(tmp_path)}
    assert CliRunner().invoke(bridge, [], env=environment).exit_code == 0
    assert served == [Settings(tmp_path / "pymdc-bridge", port=1234)]


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all"])
def test_the_command_says_what_is_wrong(tmp_path: Path, url: str) -> None:
    result = CliRunner().invoke(bridge, ["--port", "0", "--data", str(tmp_path), "--database", url])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


def test_the_command_serves_until_interrupted(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from pymdc.cli.bridge import bridge; bridge()",
        "--port",
        "0",
        "--data",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as running:
        assert running.stdout is not None
        assert any("STORJ_BRIDGE" in line for line in running.stdout)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
        assert running.stdout.read() == "Stopped.\n"

"""Programs of 2016 run as they are: against a real bridge, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .bridges import LONG, running_bridge

PROGRAMS = Path(__file__).parent / "legacy"


def run(program: str, data: Path, *arguments: str) -> str:
    """Run a program against a bridge, type the mailed token into it, and return what it printed."""
    with running_bridge(data) as bridge:
        environment = {**os.environ, "STORJ_BRIDGE": bridge.url}
        with subprocess.Popen(
            [sys.executable, "-W", "error", PROGRAMS / program, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            out, err = process.communicate(bridge.mailed_token() + "\n", timeout=LONG)
        assert err == ""
        assert process.returncode == 0
    return out


def test_a_blocking_program_of_2016_runs_unmodified(tmp_path: Path) -> None:
    expected = [
        "False",
        "True",
        "True",
        "True",
        "True",
        "True",
        "[]",
        "True",
        "True",
        "True",
        "True",
        "True",
        "''",
        "''",
    ]
    assert run("blocking.py", tmp_path).splitlines() == expected


def test_a_callback_program_of_2016_runs_unmodified_though_its_main_thread_ends_at_once(tmp_path: Path) -> None:
    assert run("callbacks.py", tmp_path).splitlines() == [
        "False",
        "{'error': 'Email is already registered'}",
        "True",
        "True",
        "My cat pictures",
        "PUSH",
        "d72d91d8ec94f89f5b6b84be2a03ba661a34c1e2",
        "image/jpeg",
        "''",
    ]


def test_fifty_callbacks_start_each_other_after_the_main_thread_has_ended(tmp_path: Path) -> None:
    assert run("chain.py", tmp_path).splitlines() == ["registered", "True"]


@pytest.mark.parametrize("mode", ["blocking", "callbacks"])
def test_a_program_that_was_converted_by_machine_runs_in_both_modes_and_uses_its_handles_as_threads(
    mode: str, tmp_path: Path
) -> None:
    assert run("both_modes.py", tmp_path, mode).splitlines() == [
        "register fine",
        "register again refused: Email is already registered",
        "activate fine",
        "add key fine",
        "[True]",
        "create bucket fine",
        "PUSH fine",
        "PULL fine",
        "upload fine",
        "missing socket error",
        "list fine",
        "bucket [19]",
        "delete fine",
        "forget key fine",
        "0",
    ]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="lib2to3 is no part of this Python any more")
def test_the_conversion_is_that_of_lib2to3_alone(tmp_path: Path) -> None:
    program = tmp_path / "both_modes.py"
    program.write_bytes((PROGRAMS / "both_modes.py2").read_bytes())
    command = [sys.executable, "-W", "ignore", "-m", "lib2to3", "-w", "-n", str(program)]
    subprocess.run(command, check=True, capture_output=True, timeout=LONG)
    assert program.read_text(encoding="utf-8") == (PROGRAMS / "both_modes.py").read_text(encoding="utf-8")

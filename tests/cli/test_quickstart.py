"""The quickstart: it shows the documented flow, checks each value, and reports a wrong one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pymdc.cli.main import cli
from pymdc.cli.quickstart import _Blocking, _Callbacks, _Tour
from pymdc.core.hashes import content_hash


def test_the_flow_is_shown_call_by_call_in_both_modes_and_holds() -> None:
    ran = CliRunner().invoke(cli, ["quickstart"], catch_exceptions=False)
    assert ran.exit_code == 0
    held, _, after = ran.output.partition("\nEvery call gave the expected value, blocking and with callbacks.\n")
    assert held
    assert "pymdc bridge. " in after
    assert after.endswith("\npymdc register EMAIL --bridge http://127.0.0.1:6382\n")
    assert ran.output.count("{'error': 'Email is already registered'}") == 2
    assert ran.output.count("'hash': 'd72d91d8ec94f89f5b6b84be2a03ba661a34c1e2'") >= 4
    for line in (">>> user.register()", ">>> user.register(callback=show)", ">>> keys.create(key_pair, callback=show)"):
        assert line in ran.output


def test_a_file_that_is_named_is_uploaded_and_its_hash_computed_here(tmp_path: Path) -> None:
    path = tmp_path / "my own.bin"
    content = b"0123456789" * 300_000
    path.write_bytes(content)
    ran = CliRunner().invoke(cli, ["quickstart", str(path)], catch_exceptions=False)
    assert ran.exit_code == 0
    assert content_hash(hashlib.sha256(content).hexdigest()) in ran.output
    assert path.read_bytes() == content


def test_a_file_that_is_not_there_is_an_error_of_usage() -> None:
    ran = CliRunner().invoke(cli, ["quickstart", "nothing here"])
    assert ran.exit_code == 2
    assert "does not exist" in ran.output


def test_a_device_without_an_end_is_an_error_of_usage() -> None:
    ran = CliRunner().invoke(cli, ["quickstart", "/dev/zero"])
    assert (ran.exit_code, ran.stderr[:17]) == (2, "Error: /dev/zero ")


def test_an_unexpected_value_ends_the_flow_with_an_error() -> None:
    tour = _Blocking()
    tour.names["give"] = lambda: 1
    tour.call("give()", lambda value: value == 1)
    with pytest.raises(click.ClickException, match=r"give\(\) did not give what it should"):
        tour.call("give()", lambda value: value == 2)


@pytest.mark.parametrize("times", [0, 2])
def test_a_callback_that_is_not_called_exactly_once_ends_the_flow_with_an_error(times: int) -> None:
    class Joined:
        def join(self) -> None:
            pass

    def call(callback: Any) -> Joined:
        for _ in range(times):
            callback("value")
        return Joined()

    tour = _Callbacks()
    tour.names["call"] = call
    with pytest.raises(click.ClickException, match=f"called its callback {times} times"):
        tour.call("call()", lambda value: True)


def test_a_tour_without_a_call_method_raises() -> None:
    with pytest.raises(NotImplementedError):
        _Tour("no way").call("1", lambda value: True)

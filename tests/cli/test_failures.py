"""Failures: one line each, with an exit code, and never a traceback."""

from __future__ import annotations

import os
import sys
from concurrent.futures import CancelledError
from http.client import RemoteDisconnected
from typing import Any
from urllib.error import HTTPError, URLError

import click
import pytest
from click.testing import CliRunner, Result

from pymdc.cli.failures import Code, Failure, checked, code_of, words_for
from pymdc.cli.groups import LazyGroup
from pymdc.cli.options import common_options
from pymdc.errors import IntegrityError


def http_error(code: int) -> HTTPError:
    return HTTPError("http://127.0.0.1/", code, "words", {}, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"error": "Invalid email or password"}, 3),
        ({"error": "User account has not been activated"}, 3),
        ({"error": "Public key not registered"}, 3),
        ({"error": "Invalid nonce supplied"}, 3),
        ({"error": "Bucket not found"}, 4),
        ({"error": "The requested file was not found"}, 4),
        ({"error": "Bucket validation failed"}, 6),
        (http_error(401), 3),
        (http_error(404), 4),
        (http_error(502), 5),
        (URLError(ConnectionRefusedError()), 5),
        (RemoteDisconnected("no answer"), 5),
        (TimeoutError(), 5),
        (CancelledError(), 130),
        (FileNotFoundError(2, "No such file", "a"), 4),
        (PermissionError(13, "Permission denied", "a"), 1),
        (IntegrityError("no"), 1),
    ],
)
def test_an_error_value_ends_the_command_with_its_code_and_its_words(value: Any, code: int) -> None:
    assert code_of(value) == code
    with pytest.raises(Failure) as failed:
        checked(value)
    assert (failed.value.exit_code, failed.value.message) == (code, words_for(value))
    assert "\n" not in failed.value.format_message()


@pytest.mark.parametrize("value", [[], "", {"id": "x"}, b"x", None])
def test_a_result_is_returned_unchanged(value: Any) -> None:
    assert checked(value) is value


def test_the_words_say_what_to_do() -> None:
    words = words_for({"error": "User account has not been activated"})
    assert words == (
        "The bridge refused: User account has not been activated. "
        "Activate it with the link in its mail: pymdc activate LINK"
    )
    assert words_for({"error": "Email is already registered"}).endswith("If it is yours: pymdc login EMAIL")
    assert words_for(URLError(ConnectionRefusedError())).endswith("`pymdc doctor` looks at each step on the way.")
    assert words_for({"error": "Bucket not found"}) == "The bridge refused: Bucket not found."


def group_with(function: Any) -> LazyGroup:
    """Return a group with one command, `do`, that is not in a module of its own."""

    class Group(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return command if cmd_name == "do" else None

    command = click.command()(common_options(function))
    return common_options(Group("pymdc", sections={"Commands": {"do": ("nowhere:do", "Do it.")}}))


def run(function: Any, *arguments: str) -> Result:
    return CliRunner().invoke(group_with(function), ["do", *arguments], prog_name="pymdc")


def raising(error: BaseException) -> Any:
    def do() -> None:
        raise error

    return do


def test_a_failure_is_one_line_on_standard_error() -> None:
    ran = run(raising(Failure("there is no\nbucket \x1b[31mred", Code.NOT_FOUND)))
    assert (ran.exit_code, ran.stdout) == (4, "")
    assert ran.stderr == "Error: there is no\\nbucket \\x1b[31mred\n"


def test_an_unexpected_exception_is_one_line_and_with_verbose_a_traceback() -> None:
    ran = run(raising(ZeroDivisionError("by zero")))
    assert ran.exit_code == 1
    assert ran.stderr == "Error: Something went wrong: ZeroDivisionError: by zero. To see more, add --verbose.\n"
    ran = run(raising(ZeroDivisionError("by zero")), "--verbose")
    assert ran.exit_code == 1
    assert "Traceback" in ran.stderr
    assert ran.stderr.endswith("Error: Something went wrong: ZeroDivisionError: by zero.\n")


def test_a_library_that_is_not_installed_is_named_with_what_to_install() -> None:
    ran = run(raising(ModuleNotFoundError("no", name="rich.table")))
    assert ran.stderr == 'Error: the command needs more (rich.table): pip install "pymdc-metadisk[cli]"\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["do", "--nothing"], "No such option '--nothing'. See: pymdc do --help"),
        (["do", "more"], "Got unexpected extra argument (more). See: pymdc do --help"),
        (["nothing"], "No such command 'nothing'. See: pymdc --help"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], words: str) -> None:
    ran = CliRunner().invoke(group_with(lambda: None), arguments, prog_name="pymdc")
    assert (ran.exit_code, ran.stderr) == (2, f"Error: {words}\n")


def test_a_usage_error_without_a_context_is_one_line() -> None:
    ran = run(raising(click.UsageError("no.")))
    assert (ran.exit_code, ran.stderr) == (2, "Error: no. See: pymdc do --help\n")


def test_without_a_command_the_help_is_shown() -> None:
    ran = CliRunner().invoke(group_with(lambda: None), [], prog_name="pymdc")
    assert ran.exit_code == 2
    assert "Do it." in ran.stderr


def test_ctrl_c_ends_a_command_with_130() -> None:
    ran = run(raising(KeyboardInterrupt()))
    assert (ran.exit_code, ran.stderr.strip()) == (130, "Error: interrupted.")


def test_a_no_to_a_question_ends_a_command_with_1() -> None:
    ran = run(raising(click.Abort()))
    assert (ran.exit_code, ran.stderr) == (1, "Error: nothing was changed.\n")


def test_a_command_may_name_its_exit_code() -> None:
    assert run(lambda: click.get_current_context().exit(3)).exit_code == 3
    assert run(lambda: None).exit_code == 0


def test_the_group_can_be_called_from_a_program() -> None:
    with pytest.raises(Failure):
        group_with(raising(Failure("no"))).main(["do"], standalone_mode=False)


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_a_reader_that_goes_away_ends_the_command_without_a_message(
    size: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            group_with(lambda: sys.stdout.write("d" * size) and None).main(["do"])
    assert ended.value.code == Code.CLOSED_PIPE
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device stands for a full disk here")  # noqa: PTH110
def test_an_output_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            group_with(raising(AssertionError())).main(["--help"])
    assert ended.value.code == Code.OTHER
    assert capfd.readouterr().err == "Error: the output cannot be written: No space left on device\n"

"""Completion: what Bash, zsh and fish offer after a Tab, asked for in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import CompletionItem
from click.testing import CliRunner

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets
from pymdc.cli import completions
from pymdc.cli.main import cli
from pymdc.cli.options import complete_profile
from pymdc.cli.profiles import Profiles

from ..bridges import LONG
from .terminals import terminal
from .typist import Typist

ADDRESS = click.Argument(["address"])
ODD = "a b&c;'d\"(é) %猫,.txt"
ODD_TYPED = "a%20b%26c%3B%27d%22%28é%29%20%25猫%2C.txt"


@pytest.fixture
def buckets(member: Typist) -> list[str]:
    pair = ECDSA(None, Profiles().private_key(Profiles().find("default")))
    with Client(member.bridge.url) as client:
        made = [
            unwrap(Buckets(pair, client=client).create(name, 1, 1, [pair])) for name in ("photos", "my cats", "same")
        ]
        made.append(unwrap(Buckets(pair, client=client).create("same", 1, 1, [pair])))
        files = Bucket(made[0], pair, client=client).files
        for number, name in enumerate(["cat.jpg", "catalog.txt", "dog.jpg", ODD]):
            unwrap(files.upload(b"%d" % number, name=name))
    return [bucket["id"] for bucket in made]


def offered(complete: Any, incomplete: str, **options: str) -> list[str]:
    context = click.Context(click.Command("x"))
    context.meta["pymdc.options"] = options
    return [item.value for item in complete(context, ADDRESS, incomplete)]


def test_addresses_are_offered_step_by_step(buckets: list[str]) -> None:
    assert offered(completions.complete_address, "") == ["storj://"]
    assert offered(completions.complete_address, "sto") == ["storj://"]
    assert offered(completions.complete_address, "./x") == []
    assert offered(completions.complete_address, "storj://p") == ["storj://photos/"]
    assert offered(completions.complete_address, "storj://my") == ["storj://my%20cats/"]
    every = sorted([*buckets[2:], "my%20cats", "photos"])
    assert offered(completions.complete_address, "storj://") == [f"storj://{name}/" for name in every]
    assert offered(completions.complete_address, "storj://photos/cat") == [
        "storj://photos/cat.jpg",
        "storj://photos/catalog.txt",
    ]
    assert offered(completions.complete_address, "storj://photos/a%20") == [f"storj://photos/{ODD_TYPED}"]


def test_the_completion_of_an_odd_name_leads_to_its_file(buckets: list[str]) -> None:
    from pymdc.cli.addresses import parse_address

    (value,) = offered(completions.complete_address, "storj://photos/a")
    assert parse_address(value) == ("photos", ODD)
    quoted = subprocess.run(["bash", "-c", f"printf %s {value}"], capture_output=True, text=True, check=True)
    assert quoted.stdout == value


def test_buckets_are_offered_by_their_names_alone(buckets: list[str]) -> None:
    assert offered(completions.complete_bucket, "") == sorted(["photos", *buckets[2:]])
    assert offered(completions.complete_bucket, "storj://my") == ["storj://my%20cats/"]


def test_for_paths_the_shell_offers_files_itself(buckets: list[str]) -> None:
    context = click.Context(click.Command("x"))

    def items(incomplete: str) -> Sequence[CompletionItem[Any]]:
        return completions.complete_path_or_address(context, ADDRESS, incomplete)

    assert [(item.type, item.value) for item in items("st")] == [("file", "st")]
    assert [(item.type, item.value) for item in items("sto")] == [("plain", "storj://")]
    assert [(item.type, item.value) for item in items("storj://d")] == []
    assert [item.value for item in items("storj://photos/d")] == ["storj://photos/dog.jpg"]


def test_keys_and_profiles_are_offered(member: Typist) -> None:
    own = Profiles().find("default").public_key
    assert offered(completions.complete_key, own[:5].upper()) == [own]
    assert offered(complete_profile, "def") == ["default"]
    (member.config / "profiles.toml").write_text("damaged [")
    assert offered(complete_profile, "") == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_nothing_is_offered_if_anything_goes_wrong(url: str, member: Typist) -> None:
    assert offered(completions.complete_address, "storj://", bridge=url) == []
    assert offered(completions.complete_address, "storj://", profile="nothing") == []


def arguments_of(command: click.Command) -> Iterator[click.Argument]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from arguments_of(below)
    yield from (param for param in command.params if isinstance(param, click.Argument))


def test_every_argument_that_names_a_bucket_or_a_file_is_completed(buckets: list[str]) -> None:
    completed = {"address", "addresses", "bucket", "source", "sources", "target"}
    found = [argument for argument in arguments_of(cli) if argument.name in completed]
    assert len(found) > 10
    for argument in found:
        assert argument.shell_complete(click.Context(click.Command("x")), "storj://p"), argument


def ask(line: str, monkeypatch: pytest.MonkeyPatch, point: int | None = None) -> tuple[str, str, int]:
    """Ask as Bash does."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line.encode()) if point is None else point))
    monkeypatch.setenv("_PYMDC_COMPLETE", "bash_complete")
    ran = CliRunner().invoke(cli, [], prog_name="pymdc")
    return ran.stdout, ran.stderr, ran.exit_code


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("pymdc pro", "plain,profiles\n"),
        ("pymdc profiles use ", "plain,default\n"),
        ("pymdc --profile de", "plain,default\n"),
        ("pymdc whoami --profile ", "plain,default\n"),
        ("pymdc whoami --ver", "plain,--verbose\n"),
        ("pymdc nothing x", ""),
    ],
)
def test_bash_asks_with_its_line(line: str, shown: str, member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(line, monkeypatch)[0].strip() == shown.strip()
    assert ask(f"{line} é more", monkeypatch, len(line))[:2] == (ask(line, monkeypatch)[0], "")


def test_bash_gets_what_follows_the_last_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymdc.cli.shells import Bash

    bash = Bash(cli, {}, "pymdc", "_PYMDC_COMPLETE")
    item: CompletionItem[Any] = CompletionItem("storj://photos/")
    for line, breaks, value in [
        ("pymdc ls storj://p", " :=", "//photos/"),
        ("pymdc ls sto", " :=", "storj://photos/"),
        ("pymdc ls 'storj://p", " :=", "storj://photos/"),
        ("pymdc ls storj://p", " =", "storj://photos/"),
    ]:
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_WORDBREAKS", breaks)
        assert bash.format_completion(item) == f"plain,{value}"


def test_a_failure_while_completing_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_POINT", "no number")
    monkeypatch.setenv("COMP_LINE", "pymdc ")
    monkeypatch.setenv("_PYMDC_COMPLETE", "bash_complete")
    ran = CliRunner().invoke(cli, [], prog_name="pymdc")
    assert (ran.exit_code, ran.output) == (1, "")


def test_the_script_is_printed_for_the_shell_that_is_used(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "complete -o nosort" in typist.done("completion", "bash")
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert typist.done("completion").startswith("#compdef pymdc")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "bash|zsh|fish" in typist.failed(2, "completion")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_is_installed_once(
    shell: str, typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    start = tmp_path / f".{shell}rc"
    typist.done("completion", shell, "--install")
    once = start.read_text()
    assert str(typist.config / f"completion.{shell}") in once
    typist.done("completion", shell, "--install")
    assert start.read_text() == once
    start.write_text("alias a=b")
    typist.done("completion", shell, "--install")
    assert start.read_text() == f"alias a=b\n{once}"
    start.unlink()
    start.mkdir()
    assert "cannot be read" in typist.failed(2, "completion", shell, "--install")
    monkeypatch.setenv("PYMDC_CONFIG", str(typist.password_file))
    assert "cannot be written" in typist.failed(1, "completion", shell, "--install")


def test_fish_finds_its_script_by_itself(typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    typist.done("completion", "fish", "--install")
    assert "complete" in (tmp_path / "fish/completions/pymdc.fish").read_text()


def need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")


def environment(typist: Typist, tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**typist.environment, "PATH": path, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "PS1": "> "}


def test_a_real_bash_completes_addresses(member: Typist, tmp_path: Path) -> None:
    need("bash")
    with terminal(["bash", "--norc", "--noprofile", "-i"], environment(member, tmp_path)) as shell:
        shell.type('eval "$(pymdc completion bash)"; echo re""ady\n')
        shell.wait_for("ready")
        shell.type("pymdc who\t")
        shell.wait_for("pymdc whoami ")
        shell.type("--profi\tdef\t--json\n")
        assert member.email in shell.wait_for(r'"keys": 1')


def test_a_real_zsh_completes_addresses(member: Typist, tmp_path: Path) -> None:
    need("zsh")
    with terminal(["zsh", "-f", "-i"], environment(member, tmp_path)) as shell:
        shell.type('autoload -Uz compinit; compinit -u; eval "$(pymdc completion zsh)"; echo re""ady\n')
        shell.wait_for("ready\r?\n")
        shell.type("pymdc who\t")
        shell.wait_for("pymdc whoami ")
        shell.type("--profi\tdef\t--json\n")
        assert member.email in shell.wait_for(r'"keys": 1')


def test_a_real_fish_completes_addresses(member: Typist, tmp_path: Path) -> None:
    need("fish")
    script = 'pymdc completion fish | source; complete -C "pymdc who"; complete -C "pymdc --profile def"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=environment(member, tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["whoami", "default"]


def test_a_start_file_in_another_encoding_is_left_as_it_is(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_bytes(b"# caf\xe9\n")
    typist.done("completion", "bash", "--install")
    assert (tmp_path / ".bashrc").read_bytes().startswith(b"# caf\xe9\n[ -r ")

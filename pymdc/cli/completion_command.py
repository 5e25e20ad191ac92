"""`pymdc completion`: teach a shell to complete commands, buckets and file names."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .failures import Code, Failure
from .plain_files import read_plain
from .session import Session, common_options, pass_session

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


@click.command()
@common_options
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.option("--install", is_flag=True, help="Write it where the shell finds it, and say where.")
@pass_session
def completion(session: Session, shell: str | None, install: bool) -> None:
    """Print the script that makes a shell complete commands, buckets and file names.

    Without a name it is for the shell that you use. In Bash and zsh: eval "$(pymdc completion)". In fish: pymdc
    completion fish | source
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise Failure(f"which shell? Type: pymdc completion {'|'.join(SHELLS)}", Code.USAGE)
    script = _script(shell)
    if not install:
        click.echo(script)
        return
    try:
        changed = _install(shell, script)
    except OSError as error:
        raise Failure(f"{error.filename or 'the script'} cannot be written: {error.strerror}") from error
    session.output.say(f"Written: {', '.join(map(str, changed))}. It holds for shells that start from now on.")


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from . import shells  # its classes take the place of click's
    from .main import cli

    assert shells.Bash.name == "bash"
    made = get_completion_class(shell)
    assert made is not None  # click knows all three
    return made(cli, {}, "pymdc", "_PYMDC_COMPLETE").source()


def _install(shell: str, script: str) -> list[Path]:
    """Write the script, and a line that reads it where a shell does not look by itself; return what was changed."""
    from .profiles import config_folder

    if shell == "fish":
        path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fish/completions/pymdc.fish"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        return [path]
    path = config_folder() / f"completion.{shell}"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(script, encoding="utf-8")
    start = Path.home() / (".bashrc" if shell == "bash" else ".zshrc")
    line = f'[ -r "{path}" ] && . "{path}"  # pymdc completion'
    before = read_plain(start).decode("utf-8", "replace") if start.exists() else ""
    if line in before.splitlines():
        return [path]
    with start.open("a", encoding="utf-8") as file:
        file.write(f"{'' if before.endswith(chr(10)) or not before else chr(10)}{line}\n")
    return [path, start]

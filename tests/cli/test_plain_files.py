"""A file that a person names may be anything: a device without end, a pipe without a writer, a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pymdc.bridge.reload import check_certificate
from pymdc.bridge.settings import Settings
from pymdc.cli import passwords
from pymdc.cli.completion_command import completion
from pymdc.cli.failures import Failure
from pymdc.cli.main import cli
from pymdc.cli.mirror_manifest import Manifest, read_json
from pymdc.cli.plain_files import read_plain, read_text
from pymdc.cli.private_keys import read_key
from pymdc.cli.profiles import Profiles

from ..bridges import LONG
from .typist import PASSWORD, Typist

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files here")

MEGABYTE = 1024 * 1024


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MEGABYTE + 1)


def binary(path: Path) -> None:
    path.write_bytes(b"\xff")


def closed_link(path: Path) -> None:
    path.symlink_to(path)


NO_FILES: list[tuple[Callable[[Path], Any], str]] = [
    (device, "it is a device or a pipe, and not a file"),
    (os.mkfifo, "it is a device or a pipe, and not a file"),
    (os.mkdir, "Is a directory"),
    (closed_link, "Too many levels of symbolic links"),
]
NO_TEXTS = [*NO_FILES, (large, "it is larger than 1 MB"), (binary, "it is not text in UTF-8")]

every_file = pytest.mark.parametrize(("make", "words"), NO_FILES)
every_text = pytest.mark.parametrize(("make", "words"), NO_TEXTS)


def refused(path: Path, words: str, call: Callable[[], object]) -> None:
    with pytest.raises(Failure) as caught:
        call()
    assert (str(caught.value), caught.value.exit_code) == (f"{path} cannot be read: {words}", 2)


@every_text
def test_what_is_no_text_is_refused(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    make(tmp_path / "file")
    refused(tmp_path / "file", words, lambda: read_text(tmp_path / "file"))


def test_a_plain_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        read_text(path)
    path.write_bytes(bytes(2 * MEGABYTE))
    assert read_plain(path, 2) == bytes(2 * MEGABYTE)
    path.write_text("ü\n", encoding="utf-8")
    assert read_text(path) == "ü\n"


@every_text
def test_profiles_that_are_no_text_are_refused(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    make(tmp_path / "profiles.toml")
    refused(tmp_path / "profiles.toml", words, Profiles(tmp_path).all)


@every_text
def test_a_private_key_that_is_no_text_is_refused(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "02.key"
    path.parent.mkdir()
    make(path)
    refused(path, words, lambda: read_key(tmp_path, "02", "file"))


def test_a_file_in_the_place_of_the_keys_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    refused(tmp_path / "keys" / "02.key", "Not a directory", lambda: read_key(tmp_path, "02", "file"))


@every_file
def test_a_mirror_whose_list_is_no_file_is_refused(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "mirror.json"
    make(path)
    refused(path, words, lambda: read_json(path))
    if make is not closed_link:  # which is as good as none
        refused(path, words, lambda: Manifest.read(tmp_path))


@every_text
def test_a_configuration_that_is_no_text_is_refused(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    make(path)
    ran = CliRunner().invoke(cli, ["bridge", "--config", str(path), "users", "list"])
    assert ran.exit_code == 2
    assert str(path) in ran.output
    assert words in ran.output or make in (os.mkdir, closed_link)  # click has its own words for these


@pytest.mark.parametrize(("make", "words"), [each for each in NO_TEXTS if each[0] not in (binary, closed_link)])
def test_a_start_file_that_is_no_file_is_not_changed(
    make: Callable[[Path], Any], words: str, tmp_path: Path, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make(tmp_path / ".bashrc")
    before = (tmp_path / ".bashrc").stat()
    assert f".bashrc cannot be read: {words}" in typist.failed(2, str(completion.name), "bash", "--install")
    assert (tmp_path / ".bashrc").stat().st_size == before.st_size


@pytest.mark.parametrize("which", ["tls_certificate", "tls_key"])
@pytest.mark.parametrize(("make", "words"), NO_TEXTS[:-1])
def test_a_certificate_or_a_key_that_is_no_file_is_refused(
    make: Callable[[Path], Any], words: str, which: str, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("tls_certificate", "tls_key")}
    make(files.pop(which))
    for path in files.values():
        path.touch()
    settings = Settings(tmp_path, tls_certificate=tmp_path / "tls_certificate", tls_key=tmp_path / "tls_key")
    with pytest.raises(ValueError, match="cannot be used: ") as caught:
        check_certificate(settings)
    said = words if make in (large, closed_link) else "is not a plain file"
    assert said.removeprefix("it ") in str(caught.value)


def test_a_device_without_an_end_gives_no_password(typist: Typist) -> None:
    words = typist.failed(2, "login", typist.email, "--bridge", typist.bridge.url, "--password-file", "/dev/zero")
    assert words == "the first line of /dev/zero is too long for a password"


def test_a_named_pipe_that_nobody_writes_to_gives_no_password(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_WRITER_SECONDS", 0.01)
    os.mkfifo(tmp_path / "pipe")
    arguments = ("login", typist.email, "--bridge", typist.bridge.url, "--password-file", str(tmp_path / "pipe"))
    assert "there is no password in the first line" in typist.failed(2, *arguments)


def test_a_named_pipe_gives_the_password_of_a_program_that_comes_later(typist: Typist, tmp_path: Path) -> None:
    typist.join()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(f"{PASSWORD}\n"))  # waits until the command reads
    writer.start()
    typist.done("login", typist.email, "--bridge", typist.bridge.url, "--password-file", str(pipe))
    writer.join()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no Bash here")
@pytest.mark.parametrize("place", ["<(echo '{0}')", "/dev/stdin < <(echo '{0}')", "/dev/stdin <<< '{0}'"])
def test_a_pipe_of_the_shell_gives_the_password(place: str, typist: Typist) -> None:
    typist.join()
    words = f"login {typist.email} --bridge {typist.bridge.url} --password-file {place.format(PASSWORD)}"
    line = ["bash", "-c", f"'{sys.executable}' -m pymdc {words}"]
    ran = subprocess.run(line, env=typist.environment, capture_output=True, text=True, check=False, timeout=LONG)
    assert ran.returncode == 0, ran.stderr

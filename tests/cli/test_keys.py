"""`pymdc keys`: list, add, remove, export, import."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pymdc.api import ECDSA
from pymdc.cli.profiles import Profiles

from .typist import Typist


def test_keys_are_listed_added_and_removed(member: Typist) -> None:
    own, other = Profiles().find("default").public_key, ECDSA().get_public_key()
    assert member.done("keys") == f"{own}\tyes\n"
    assert member.data("keys", "add", other)[0]["key"] == other
    listed = {each["key"]: each["this_profile"] for each in member.data("keys", "list")}
    assert listed == {own: True, other: False}
    assert other in member.type("keys", "rm", other[:10]).stderr
    assert [each["key"] for each in member.data("keys")] == [own]
    member.done("keys", "add", other)
    member.done("keys", "rm", other.upper())


def test_a_key_that_the_account_does_not_have_is_reported(member: Typist) -> None:
    own = Profiles().find("default").public_key
    assert "not a public key" in member.failed(2, "keys", "add", "nonsense")
    assert "pymdc keys" in member.failed(4, "keys", "rm", "0" * 66)
    assert "no key" in member.failed(4, "keys", "rm", own[:7])
    assert "pymdc logout" in member.failed(2, "keys", "rm", own)
    assert "already registered" in member.failed(6, "keys", "add", own)


def test_the_beginning_of_several_keys_is_refused(member: Typist) -> None:
    alike = [ECDSA(None, f"{number:064x}").get_public_key() for number in (4830, 5938)]
    for key in alike:
        member.done("keys", "add", key)
    words = member.failed(2, "keys", "rm", alike[0][:8])
    assert words == f"several keys begin with {alike[0][:8]}: {alike[0]}, {alike[1]}"


def test_an_exported_key_logs_in_on_another_machine(member: Typist, tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    member.done("keys", "export", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == member.done("keys", "export", "-")
    assert "--force" in member.failed(2, "keys", "export", str(path))
    member.done("keys", "export", str(path), "--force")
    assert "cannot be written" in member.failed(1, "keys", "export", str(tmp_path / "missing" / "key"))
    Profiles().remove("default")
    words = member.type("keys", "import", str(path), "--bridge", member.bridge.url).stderr
    assert f"{member.email} is logged in" in words
    assert member.data("whoami")[0]["email"] == member.email


def test_a_file_without_a_private_key_is_not_imported(typist: Typist, tmp_path: Path) -> None:
    path = tmp_path / "key"
    for text in ("", "nonsense", "ü" * 64):
        path.write_text(text)
        words = typist.failed(2, "keys", "import", str(path), "--bridge", typist.bridge.url)
        assert "holds no private key" in words
    path.write_text(ECDSA().get_private_key())
    assert "not registered" in typist.failed(3, "keys", "import", str(path), "--bridge", typist.bridge.url)
    assert "No such file" in typist.failed(2, "keys", "import", "missing")


@pytest.mark.parametrize("arguments", [["keys"], ["keys", "add", ECDSA().get_public_key()], ["keys", "export", "-"]])
def test_without_a_login_a_command_says_how_to_log_in(arguments: list[str], typist: Typist) -> None:
    assert "pymdc login EMAIL" in typist.failed(3, *arguments, "--bridge", typist.bridge.url)

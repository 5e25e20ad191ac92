"""Accounts: register, activate, log in, log out; and whose profile is whose."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

import click
import pytest

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Keys, Users
from pymdc.cli.failures import Failure
from pymdc.cli.options import given
from pymdc.cli.profiles import Profiles
from pymdc.cli.session import Session

from .typist import PASSWORD, Typist

NOT_OPEN = str(2**30)  # a small number may be a socket that another test has left open, and then nothing ever comes


def keys_there(typist: Typist) -> list[str]:
    with Client(typist.bridge.url) as client:
        return [key["key"] for key in unwrap(Keys(Users(typist.email, PASSWORD, client=client)).list())]


def test_the_walk_from_registering_to_logging_out(typist: Typist) -> None:
    url = typist.bridge.url
    ran = typist.type("register", typist.email, "--bridge", url, *typist.with_password)
    assert ran.exit_code == 0
    assert "pymdc activate LINK" in ran.stderr
    link = f"{url}/activations/{typist.mailed_token()}"
    ran = typist.type("activate", link)
    assert f"pymdc login {typist.email}" in ran.stderr
    ran = typist.type("login", typist.email, *typist.with_password)
    assert ran.stderr == f"{typist.email} is logged in at {url}, in the profile default.\n"
    profile = Profiles().find("default")
    assert keys_there(typist) == [profile.public_key]
    assert typist.data("whoami") == [
        {
            "email": typist.email,
            "bridge": url,
            "bridge_named_by": "the profile default",
            "profile": "default",
            "public_key": profile.public_key,
            "keys": 1,
        }
    ]
    assert typist.type("logout").stderr == f"{typist.email} is logged out of {url}.\n"
    assert keys_there(typist) == []
    assert list((typist.config / "keys").iterdir()) == []
    assert "pymdc login EMAIL" in typist.failed(3, "whoami")


def test_each_step_tells_its_result_as_json(typist: Typist) -> None:
    made = typist.data("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    assert (made[0]["email"], made[0]["activated"]) == (typist.email, False)
    assert typist.data("activate", typist.mailed_token())[0]["activated"] is True
    made = typist.data("login", *typist.with_password)
    assert made[0]["key"] == Profiles().find("default").public_key


def test_a_link_names_its_bridge(typist: Typist) -> None:
    typist.done("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    Profiles().remove("default")
    link = f"{typist.bridge.url}/activations/{typist.mailed_token()}"
    assert f"{typist.email} is active" in typist.type("activate", link).stderr


def test_logging_in_again_replaces_the_key(member: Typist) -> None:
    before = Profiles().find("default").public_key
    member.done("login", *member.with_password)
    now = Profiles().find("default").public_key
    assert now != before
    assert keys_there(member) == [now]
    assert [path.name for path in (member.config / "keys").iterdir()] == [f"{now}.key"]


def test_logging_in_again_after_the_key_was_removed_elsewhere(member: Typist) -> None:
    with Client(member.bridge.url) as client:
        unwrap(Keys(Users(member.email, PASSWORD, client=client)).delete(Profiles().find("default").public_key))
    assert "Log in again" in member.failed(3, "whoami")
    assert "Warning" not in member.type("login", *member.with_password).stderr


def test_a_key_that_is_gone_already_does_not_hinder_a_logout(member: Typist) -> None:
    with Client(member.bridge.url) as client:
        unwrap(Keys(Users(member.email, PASSWORD, client=client)).delete(Profiles().find("default").public_key))
    member.done("logout")
    assert "nobody is logged in" in member.failed(3, "logout")


def test_a_logout_that_the_bridge_does_not_hear_keeps_the_key_unless_forced(member: Typist) -> None:
    profiles = Profiles()
    text = profiles.path.read_text().replace(member.bridge.url, "http://127.0.0.1:1")
    profiles.path.write_text(text)
    assert member.failed(5, "logout").endswith("To forget the key here only: pymdc logout --force")
    assert profiles.find("default").public_key
    ran = member.type("logout", "--force")
    assert ran.exit_code == 0
    assert ran.stderr.startswith("Warning: the key ")
    assert not profiles.find("default").public_key


def test_a_key_that_cannot_be_kept_does_not_stay_at_the_bridge(typist: Typist, tmp_path: Path) -> None:
    typist.done("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    typist.done("activate", typist.mailed_token())
    (typist.config / "keys").write_text("a file in the place of the folder")
    assert "cannot be written" in typist.failed(1, "login", *typist.with_password)
    assert keys_there(typist) == []


def no_room() -> None:
    """Let every write to a file fail, as on a full disk. Permissions would not keep root from writing."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_nothing_changes_at_the_bridge_if_the_profile_cannot_be_written(member: Typist) -> None:
    other = f"other-{member.email}"
    there = keys_there(member)
    for command in (
        ["logout"],
        ["login", *member.with_password],
        ["register", other, "--profile", "other", "--bridge", member.bridge.url, *member.with_password],
    ):
        ran = member.run(*command, preexec_fn=no_room)
        assert ran.returncode == 1
        assert "profiles.toml cannot be written: File too large" in ran.stderr
    assert keys_there(member) == there
    assert sorted(path.name for path in member.config.iterdir()) == ["keys", "profiles.lock", "profiles.toml"]
    member.done("whoami")
    member.join("--profile", "other", email=other)


def test_a_wrong_profile_name_is_refused_before_an_account_is_registered(typist: Typist) -> None:
    arguments = ("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    assert "is not a name for a profile" in typist.failed(2, *arguments, "--profile", "a b")
    typist.done(*arguments)


def test_a_key_of_an_earlier_login_that_stays_is_named(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> dict[str, str]:
        return {"error": "no"}

    monkeypatch.setattr(Keys, "delete", refused)
    before = Profiles().find("default").public_key
    ran = member.type("login", *member.with_password)
    assert f"{before}, is still registered: The bridge refused: no." in ran.stderr


def test_a_refusal_of_the_bridge_ends_with_its_code(typist: Typist, tmp_path: Path) -> None:
    url = ("--bridge", typist.bridge.url)
    typist.done("register", typist.email, *url, *typist.with_password)
    assert "pymdc activate LINK" in typist.failed(3, "login", *typist.with_password)
    assert "If it is yours: pymdc login EMAIL" in typist.failed(
        6, "register", typist.email, *url, *typist.with_password
    )
    assert "A link serves once" in typist.failed(6, "activate", "0" * 64)
    typist.done("activate", typist.mailed_token())
    (tmp_path / "wrong").write_text("wrong")
    assert "Check both" in typist.failed(3, "login", "--password-file", str(tmp_path / "wrong"))


def test_a_wrong_argument_is_an_error_of_usage(typist: Typist) -> None:
    url = ("--bridge", typist.bridge.url)
    assert "must not contain ':'" in typist.failed(2, "register", "a:b", *url, *typist.with_password)
    assert "whose login?" in typist.failed(2, "login", *url)
    assert "malformed endpoint" in typist.failed(2, "whoami", "--bridge", "nonsense")
    assert "no bridge is named" in typist.failed(2, "register", "a@example.com", *typist.with_password)


def test_a_command_without_an_account_says_so(typist: Typist) -> None:
    context = click.Context(click.Command("x"))
    given(context)["bridge"] = typist.bridge.url
    with context, pytest.raises(Failure, match="no account is named"):
        Session(context).user("a password")


def test_a_bridge_that_is_away_is_an_error_of_the_network(typist: Typist) -> None:
    words = typist.failed(5, "register", "a@example.com", "--bridge", "http://127.0.0.1:1", *typist.with_password)
    assert words.startswith("Nothing answers at the bridge at 127.0.0.1:1")
    assert words.endswith("The command `pymdc doctor` looks at each step on the way.")


def test_accounts_live_side_by_side_as_profiles(member: Typist) -> None:
    other = member.join("--profile", "other", email=f"other-{member.email}")
    assert member.data("whoami")[0]["email"] == member.email
    assert member.data("whoami", "--profile", "other")[0]["email"] == other
    assert member.data("--profile", "other", "whoami")[0]["email"] == other
    assert "pymdc profiles use other" in member.type("login", "--profile", "other", *member.with_password).stderr


def test_the_profile_of_another_account_is_not_overwritten(member: Typist) -> None:
    words = member.failed(2, "login", "other@example.com", *member.with_password)
    assert f"belongs to {member.email}" in words
    words = member.failed(2, "register", "other@example.com", *member.with_password)
    assert "Name another one: --profile NAME" in words


def test_a_profile_that_is_not_there_is_not_found(member: Typist) -> None:
    assert "no profile nothing" in member.failed(4, "whoami", "--profile", "nothing", "--bridge", member.bridge.url)


def test_a_key_signs_for_its_own_bridge_only(member: Typist) -> None:
    words = member.failed(3, "whoami", "--bridge", "http://127.0.0.1:1")
    assert f"is for {member.bridge.url}, not for http://127.0.0.1:1" in words


def test_the_old_variables_name_the_bridge_and_the_account(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", typist.bridge.url)
    monkeypatch.setenv("STORJ_BRIDGE_USER", typist.email)
    monkeypatch.setenv("STORJ_BRIDGE_PASS", PASSWORD)
    typist.done("register", typist.email)
    typist.done("activate", typist.mailed_token())
    seen = typist.data("whoami")[0]
    assert (seen["email"], seen["bridge_named_by"], seen["public_key"]) == (typist.email, "STORJ_BRIDGE", None)
    typist.done("login")
    assert typist.data("--profile", "default", "whoami")[0]["bridge_named_by"] == "the profile default"


def test_a_variable_names_the_profile(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    other = member.join("--profile", "other", email=f"other-{member.email}")
    monkeypatch.setenv("PYMDC_PROFILE", "other")
    assert member.data("whoami")[0]["email"] == other


def test_the_error_for_a_damaged_key_does_not_show_the_key(member: Typist) -> None:
    (path,) = (member.config / "keys").iterdir()
    other = ECDSA().get_private_key()
    path.write_text(other)
    words = member.failed(3, "whoami")
    assert "does not belong" in words
    assert other not in words


def test_verbose_logs_what_the_library_says(member: Typist) -> None:
    assert member.email in member.done("whoami", "--verbose")
    assert logging.getLogger("pymdc").level == logging.DEBUG
    logging.getLogger("pymdc").setLevel(logging.NOTSET)
    for handler in logging.getLogger().handlers[:]:
        if type(handler) is logging.StreamHandler:
            logging.getLogger().removeHandler(handler)


def test_a_password_may_come_through_a_descriptor(typist: Typist) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{PASSWORD}\r\n".encode())
    os.close(writing)
    typist.done("register", typist.email, "--bridge", typist.bridge.url, "--password-fd", str(reading))
    os.close(reading)
    typist.done("activate", typist.mailed_token())
    typist.done("login", *typist.with_password)


def test_a_password_may_come_from_standard_input(typist: Typist) -> None:
    url = ("--bridge", typist.bridge.url)
    typist.done("register", typist.email, *url, "--password-file", "-", input=f"{PASSWORD}\n")
    typist.done("activate", typist.mailed_token())
    ran = typist.run("login", "--password-fd", "0", input=f"{PASSWORD}\nmore")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--password-file", "missing"], "cannot be read from missing: No such file"),
        (["--password-file", "empty"], "no password in the first line of empty"),
        (["--password-file", "binary"], "it is not text"),
        (["--password-fd", NOT_OPEN], f"cannot be read from descriptor {NOT_OPEN}: Bad file descriptor"),
        (["--password-fd", "0", "--password-file", "empty"], "not both"),
        ([], "there is no terminal to ask for the password on"),
    ],
)
def test_a_password_that_cannot_be_read_is_one_line(
    options: list[str], words: str, typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    Path("binary").write_bytes(b"\xff\n")
    assert words in typist.failed(2, "register", typist.email, "--bridge", typist.bridge.url, *options)


def test_a_password_is_asked_for_twice_and_not_shown(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymdc.cli.passwords.has_terminal", lambda: True)
    ran = typist.type("register", typist.email, "--bridge", typist.bridge.url, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert ran.exit_code == 0
    assert "Repeat for confirmation" in ran.stderr
    assert PASSWORD not in ran.output
    assert ran.stdout == ""


def test_a_descriptor_above_the_largest_number_is_a_wrong_argument(typist: Typist) -> None:
    arguments = ("login", typist.email, "--bridge", typist.bridge.url, "--password-fd", str(2**31))
    assert "is not in the range" in typist.failed(2, *arguments)

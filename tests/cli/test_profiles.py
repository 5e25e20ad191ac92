"""Profiles: their files, who can read them, and several commands that write at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest
from keyring.errors import PasswordDeleteError

from pymdc.api import ECDSA
from pymdc.cli.failures import Failure
from pymdc.cli.profiles import Profile, Profiles, config_folder

from .typist import Typist

PAIR = ECDSA(None, "11" * 32)
PUBLIC = PAIR.get_public_key()


def profile(name: str = "default", **values: str) -> Profile:
    return Profile(name, "http://127.0.0.1:1", "a@example.com", **{"public_key": PUBLIC, **values})


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    return Profiles(tmp_path / "deep" / "config")


def test_a_saved_profile_is_read_again(profiles: Profiles) -> None:
    assert (profiles.all(), profiles.current, profiles.get("default")) == ([], "default", None)
    profiles.save(profile("work"), PAIR.get_private_key())
    assert profiles.all() == [profile("work")]
    assert profiles.current == "work"
    assert profiles.private_key(profile("work")) == PAIR.get_private_key()
    profiles.save(Profile("later", "http://127.0.0.1:2", "b@example.com"))
    assert [each.name for each in profiles.all()] == ["later", "work"]
    assert profiles.current == "work"


def test_the_files_belong_to_their_owner_alone(profiles: Profiles) -> None:
    os.umask(before := os.umask(0))
    os.umask(0)
    try:
        profiles.save(profile(), PAIR.get_private_key())
    finally:
        os.umask(before)
    key = profiles.folder / "keys" / f"{PUBLIC}.key"
    for path, mode in [(profiles.folder, 0o700), (key.parent, 0o700), (key, 0o600), (profiles.path, 0o600)]:
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert {path.name for path in profiles.folder.iterdir()} == {"keys", "profiles.lock", "profiles.toml"}


def test_a_key_that_others_can_read_is_not_used(profiles: Profiles) -> None:
    profiles.save(profile(), PAIR.get_private_key())
    (profiles.folder / "keys" / f"{PUBLIC}.key").chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        profiles.private_key(profile())


def test_a_key_that_is_gone_asks_for_a_login(profiles: Profiles) -> None:
    profiles.save(profile())
    with pytest.raises(Failure, match="Log in again"):
        profiles.private_key(profile())


def test_comments_in_the_file_stay(profiles: Profiles) -> None:
    profiles.save(profile())
    profiles.path.write_text("# mine\n" + profiles.path.read_text())
    profiles.save(profile("other"))
    assert profiles.path.read_text().startswith("# mine\n")


def test_a_profile_is_renamed_used_and_removed(profiles: Profiles) -> None:
    profiles.save(profile("a"), PAIR.get_private_key())
    profiles.save(profile("b"))
    profiles.rename("a", "c")
    assert profiles.current == "c"
    profiles.use("b")
    profiles.rename("c", "d")
    assert profiles.current == "b"
    profiles.remove("d")  # b has the same key
    assert profiles.private_key(profile("b")) == PAIR.get_private_key()
    profiles.remove("b")
    assert (profiles.all(), profiles.current) == ([], "default")
    assert list((profiles.folder / "keys").iterdir()) == []
    profiles.save(Profile("e", "http://127.0.0.1:2", "b@example.com"))
    profiles.remove("e")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a" * 65, "ä", "a b", "a\n"])
def test_a_wrong_name_for_a_profile_is_refused(name: str, profiles: Profiles) -> None:
    with pytest.raises(Failure, match="not a name for a profile"):
        profiles.save(profile(name))
    profiles.save(profile("a"))
    with pytest.raises(Failure, match="not a name for a profile"):
        profiles.rename("a", name)
    assert [each.name for each in profiles.all()] == ["a"]


def test_a_missing_profile_is_not_found(profiles: Profiles) -> None:
    profiles.save(profile("a"))
    for change in (
        profiles.use,
        profiles.remove,
        profiles.find,
        profiles.forget_login,
        lambda n: profiles.rename(n, "x"),
    ):
        with pytest.raises(Failure, match="there is no profile b"):
            change("b")
    with pytest.raises(Failure, match="taken"):
        profiles.rename("a", "a")


@pytest.mark.parametrize("text", ["current = [", "[profiles.a]\nbridge = 'x'\n", "[profiles]\na = 5\n", "\udc80"])
def test_a_file_that_is_damaged_is_named(text: str, profiles: Profiles) -> None:
    profiles.folder.mkdir(parents=True)
    profiles.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Failure, match=r"profiles\.toml"):
        profiles.all()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot be written"):
        Profiles(tmp_path / "file" / "config").save(profile())


def test_a_change_that_fails_leaves_no_trace(profiles: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.save(profile("a"))
    before = profiles.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left"):
        profiles.save(profile("b"))
    assert profiles.path.read_bytes() == before
    assert {path.name for path in profiles.folder.iterdir()} == {"profiles.lock", "profiles.toml"}


def test_commands_at_the_same_time_lose_nothing(profiles: Profiles) -> None:
    script = (
        "import sys; from pathlib import Path; from pymdc.cli.profiles import Profile, Profiles\n"
        "for i in range(20):\n"
        "    Profiles(Path(sys.argv[1])).save(Profile(f'p{sys.argv[2]}-{i}', 'http://127.0.0.1:1', 'a@example.com'))\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(profiles.folder), str(number)]) for number in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len(profiles.all()) == 80


def test_the_folder_is_the_platforms_unless_a_variable_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYMDC_CONFIG", raising=False)
    assert config_folder().name == "pymdc"
    monkeypatch.setenv("PYMDC_CONFIG", "/somewhere/else")
    assert config_folder() == Path("/somewhere/else")


class Drawer(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("not there")
        del self.kept[service, username]


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    before = keyring.get_keyring()
    made = Drawer()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_key_may_be_kept_in_the_keyring(profiles: Profiles, drawer: Drawer) -> None:
    kept = profile(kept_in="keyring")
    profiles.save(kept, PAIR.get_private_key())
    assert drawer.kept == {("pymdc", PUBLIC): PAIR.get_private_key()}
    assert not (profiles.folder / "keys").exists()
    assert profiles.private_key(profiles.find("default")) == PAIR.get_private_key()
    profiles.remove("default")
    assert drawer.kept == {}
    profiles.save(kept)
    profiles.remove("default")  # the key is gone already


def test_a_keyring_that_cannot_be_used_is_one_line(
    profiles: Profiles, drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyring.errors import KeyringLocked

    def locked(*_: object) -> None:
        raise KeyringLocked("it is locked")

    monkeypatch.setattr(Drawer, "set_password", locked)
    with pytest.raises(Failure, match="the keyring cannot be used: it is locked"):
        profiles.save(profile(kept_in="keyring"), PAIR.get_private_key())
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(Failure, match="pip install keyring"):
        profiles.save(profile(kept_in="keyring"), PAIR.get_private_key())


def test_a_login_may_use_the_keyring(typist: Typist, drawer: Drawer) -> None:
    typist.join()
    typist.done("login", "--keyring", *typist.with_password)
    assert list((typist.config / "keys").iterdir()) == []
    assert len(drawer.kept) == 1
    assert typist.data("whoami")[0]["email"] == typist.email
    typist.done("logout")
    assert drawer.kept == {}


def test_the_commands_list_and_change_profiles(member: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"name": "default", "email": member.email, "bridge": member.bridge.url, "current": True, "logged_in": True}
    assert member.data("profiles") == member.data("profiles", "list") == [row]
    assert member.done("profiles") == f"default\t{member.email}\t{member.bridge.url}\tyes\tyes\n"
    member.join("--profile", "other", email=f"other-{member.email}")
    member.done("profiles", "use", "other")
    assert [each["current"] for each in member.data("profiles")] == [False, True]
    member.done("profiles", "rename", "other", "work")
    assert "add --yes" in member.failed(2, "profiles", "remove", "work")
    monkeypatch.setattr("pymdc.cli.questions.has_terminal", lambda: True)
    assert member.failed(1, "profiles", "remove", "work", input="n\n") == "nothing was changed."
    member.done("profiles", "remove", "work", input="y\n")
    member.done("profiles", "remove", "default", "--yes")
    ran = member.type("profiles")
    assert (ran.stdout, ran.stderr[:26]) == ("", "There are no profiles yet.")


def test_a_profile_without_a_login_is_removed_without_a_question(typist: Typist) -> None:
    typist.done("register", typist.email, "--bridge", typist.bridge.url, *typist.with_password)
    typist.done("profiles", "remove", "default")
    assert Profiles().all() == []


@pytest.mark.parametrize("text", ["profiles = 5", "[[profiles]]\nname = 1"])
def test_profiles_that_are_no_table_are_one_line(text: str, typist: Typist) -> None:
    typist.config.mkdir()
    (typist.config / "profiles.toml").write_text(text)
    for command in ("ls", "whoami", "profiles", "logout"):
        assert typist.failed(1, command).endswith("Mend it, or move it away and log in again")
    found = typist.type("doctor")
    assert (found.exit_code, found.stdout.count("\n")) == (1, 1)
    assert found.stdout.endswith("Mend it, or move it away and log in again.\n")

"""Profiles: a bridge, an account and a key, under a name. They are kept in a TOML file.

    current = "default"

    [profiles.default]
    bridge = "https://bridge.example.org"
    email = "somebody@example.com"
    public_key = "02..."
    kept_in = "file"

The private key is beside it, in a file that only its owner can read, or in the system's keyring.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from platformdirs import user_config_path
from tomlkit.exceptions import TOMLKitError

from .failures import Code, Failure
from .locks import locked
from .plain_files import read_text
from .private_keys import FILE, forget_key, keep_key, read_key, write_private

__all__ = ["DEFAULT", "Profile", "Profiles", "config_folder"]

CONFIG_VARIABLE = "PYMDC_CONFIG"
DEFAULT = "default"

_NAME = re.compile(r"\w[\w.@+-]{0,63}", re.ASCII)


def config_folder() -> Path:
    """Return the folder of the profiles: the one that PYMDC_CONFIG names, else the platform's."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else user_config_path("pymdc", appauthor=False)


@dataclass(frozen=True)
class Profile:
    """A bridge, and an account there.

    Attributes:
        name: the profile's name.
        bridge: the bridge's URL.
        email: the account.
        public_key: the key that signs for the account, in hex; "" before the login.
        kept_in: where the private key is: "file" or "keyring".
    """

    name: str
    bridge: str
    email: str
    public_key: str = ""
    kept_in: str = FILE


class Profiles:
    """The profiles in a folder. Commands that run at the same time do not lose each other's changes.

    Arguments:
        folder: their folder. Default: the one of `config_folder`. It is made at the first change.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = config_folder() if folder is None else folder
        self.path = self.folder / "profiles.toml"

    @property
    def current(self) -> str:
        """The name of the profile that is used if a person names no other one."""
        return str(self._read().get("current", DEFAULT))

    def all(self) -> list[Profile]:
        """Return all profiles, in the order of their names."""
        tables = self._read().get("profiles", {})
        return [self._profile(name, tables[name]) for name in sorted(tables)]

    def get(self, name: str) -> Profile | None:
        """Return a profile, or `None`."""
        return next((profile for profile in self.all() if profile.name == name), None)

    def find(self, name: str) -> Profile:
        """Return a profile.

        Raises:
            Failure: there is no profile of this name.
        """
        found = self.get(name)
        if found is None:
            raise Failure(f"there is no profile {name}. To see all: pymdc profiles", Code.NOT_FOUND)
        return found

    def private_key(self, profile: Profile) -> str:
        """Return the private key of a profile, in hex.

        Raises:
            Failure: the key is not there, or other users can read its file.
        """
        return read_key(self.folder, profile.public_key, profile.kept_in)

    def save(self, profile: Profile, private_key: str | None = None) -> None:
        """Keep a profile, with its private key if one is given. The first profile becomes the current one.

        Raises:
            Failure: the name is not a name for a profile, or the files cannot be written.
        """
        _check_name(profile.name)
        with self._changing() as document:
            if private_key is not None:
                keep_key(self.folder, profile.public_key, private_key, profile.kept_in)
            table = tomlkit.table()
            table.update({"bridge": profile.bridge, "email": profile.email})
            if profile.public_key:
                table.update({"public_key": profile.public_key, "kept_in": profile.kept_in})
            document.setdefault("current", profile.name)
            document.setdefault("profiles", tomlkit.table(is_super_table=True))[profile.name] = table

    def check_can_save(self, name: str) -> None:
        """Check that a profile can be saved. Call this before the bridge makes or deletes its key.

        Raises:
            Failure: the name is not a name for a profile, or the files cannot be written.
        """
        _check_name(name)
        with self._locked():
            tried = self.folder / "profiles.try"
            write_private(tried, "x")
            tried.unlink()

    def forget_login(self, name: str) -> None:
        """Forget the key of a profile, and keep the rest.

        Raises:
            Failure: there is no profile of this name.
        """
        with self._changing() as document:
            profile = self.find(name)
            for key in ("public_key", "kept_in"):
                document["profiles"][name].pop(key, None)
            self._forget_unless_shared(profile)

    def forget_key(self, profile: Profile) -> None:
        """Forget the private key of an earlier login, unless another profile uses it."""
        with self._changing():
            self._forget_unless_shared(profile)

    def _forget_unless_shared(self, profile: Profile) -> None:
        others = (each for each in self.all() if each.name != profile.name)
        if not any(each.public_key == profile.public_key for each in others):
            forget_key(self.folder, profile.public_key, profile.kept_in)

    def use(self, name: str) -> None:
        """Make a profile the current one.

        Raises:
            Failure: there is no profile of this name.
        """
        with self._changing() as document:
            self.find(name)
            document["current"] = name

    def rename(self, name: str, new: str) -> None:
        """Give a profile another name.

        Raises:
            Failure: there is no profile of this name, or the new name is taken.
        """
        with self._changing() as document:
            self.find(name)
            if self.get(new) is not None or not _NAME.fullmatch(new):
                raise Failure(f"{new!r} is taken, or not a name for a profile", Code.USAGE)
            document["profiles"][new] = document["profiles"].pop(name)
            if document.get("current") == name:
                document["current"] = new

    def remove(self, name: str) -> None:
        """Forget a profile and its private key.

        Raises:
            Failure: there is no profile of this name.
        """
        with self._changing() as document:
            profile = self.find(name)
            del document["profiles"][name]
            if document.get("current") == name:
                del document["current"]
            self._forget_unless_shared(profile)

    def _read(self) -> Any:
        try:
            document = tomlkit.parse(read_text(self.path))
        except FileNotFoundError:
            return tomlkit.document()
        except (ValueError, TOMLKitError) as error:
            raise Failure(f"{self.path} cannot be read: {error}. Mend it, or move it away and log in again") from error
        if not isinstance(document.get("profiles", {}), dict):
            raise Failure(f"{self.path}: profiles is not a table. Mend it, or move it away and log in again")
        return document

    def _profile(self, name: str, table: Any) -> Profile:
        try:
            values = {key: str(table[key]) for key in ("public_key", "kept_in") if key in table}
            return Profile(str(name), str(table["bridge"]), str(table["email"]), **values)
        except (KeyError, TypeError) as error:
            raise Failure(f"{self.path}: the profile {name} needs a bridge and an email") from error

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """Read the file, let the caller change it, and write it, under a lock."""
        with self._locked():
            document = self._read()
            yield document
            write_private(self.path, tomlkit.dumps(document))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.folder / "profiles.lock"):
                yield
        except OSError as error:
            raise Failure(f"{self.path} cannot be written: {error.strerror or error}") from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Failure(f"{name!r} is not a name for a profile: use letters, digits, and . _ @ + -", Code.USAGE)

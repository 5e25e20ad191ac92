"""Somebody who types commands, against a real bridge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from pymdc import Client, unwrap
from pymdc.api import ECDSA, Bucket, Buckets
from pymdc.cli.main import cli
from pymdc.cli.profiles import Profile, Profiles

from ..bridges import RunningBridge


@dataclass
class Person:
    """An account that is logged in; its folders are its own."""

    bridge: RunningBridge
    client: Client
    key_pair: ECDSA
    home: Path

    @classmethod
    def at(cls, bridge: RunningBridge, client: Client, home: Path, email: str) -> Person:
        """Register somebody, and log in."""
        _, key_pair = bridge.member(email, client)
        person = cls(bridge, client, key_pair, home)
        profile = Profile("default", bridge.url, email, key_pair.get_public_key())
        Profiles(home / "config" / "pymdc").save(profile, key_pair.get_private_key())
        return person

    @property
    def environment(self) -> dict[str, str | None]:
        """The environment variables that give the person folders of their own."""
        folders = {"XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "HOME": "home"}
        return {
            **{variable: str(self.home / folder) for variable, folder in folders.items()},
            **{f"STORJ_BRIDGE{end}": None for end in ("", "_USER", "_PASS")},
            "PYMDC_PROFILE": None,
        }

    def types(self, *arguments: object, code: int = 0, stdin: str = "") -> Result:
        """Run a command, which must end with this exit code."""
        ran = CliRunner(env=self.environment).invoke(cli, [str(each) for each in arguments], input=stdin)
        assert ran.exit_code == code, (ran.output, ran.exception)
        return ran

    def told(self, *arguments: object, code: int = 0) -> list[dict[str, Any]]:
        """Run a command with --json, and return the objects that it writes."""
        return [json.loads(line) for line in self.types(*arguments, "--json", code=code).stdout.splitlines()]

    def bucket(self, name: str = "photos") -> Bucket:
        """Make a bucket."""
        made = unwrap(Buckets(self.key_pair, client=self.client).create(name, 10, 10, [self.key_pair]))
        return Bucket(made, self.key_pair, client=self.client)


def names_of(bucket: Bucket) -> list[str]:
    """Return the names of a bucket's files."""
    return sorted(file["filename"] for file in unwrap(bucket.files.list()))


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below a folder, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plant(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder

"""A bridge in a process of its own, and an account that has a bucket there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymdc
from tests.test_large_files import bridge_process

from .person import Person

EMAIL = "somebody@example.com"


@dataclass
class Account:
    """An account, whose password is "a password", with a bucket "films"."""

    url: str
    process: subprocess.Popen[str]
    """The bridge."""
    user: pymdc.api.Users
    bucket: pymdc.api.Bucket


@contextmanager
def account_on(data: Path) -> Iterator[Account]:
    """Run a bridge with its data in this folder."""
    with bridge_process(data) as bridge, pymdc.Client(bridge.url) as client:
        user = pymdc.api.Users(EMAIL, "a password", client=client)
        pymdc.unwrap(user.register())
        pymdc.unwrap(user.activate(bridge.line_with("/activations/([0-9a-f]+)")))
        bucket = pymdc.unwrap(pymdc.api.Buckets(user).create("films", 100, 100, []))
        yield Account(bridge.url, bridge.process, user, pymdc.api.Bucket(bucket, user))


def file_of(folder: Path, name: str, size: int = 1000) -> Path:
    """Make a file; what is more than its first bytes takes no room on the disk."""
    path = folder / name
    with path.open("wb") as file:
        file.write(os.urandom(min(size, 100)))
        file.truncate(size)
    return path


def in_films(person: Person) -> None:
    person.sign_in(EMAIL)
    person.wait(lambda seen: seen["selected"]["buckets"] == ["films"] and seen["hint"] != "Loading…")


def uploads_films(person: Person, folder: Path, number: int, size: int = 300_000_000) -> None:
    """Begin uploads that take a while."""
    person.upload(*[file_of(folder, f"film {each}.mkv", size + each) for each in range(number)])

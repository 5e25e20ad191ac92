"""`pymdc quickstart`: the documented flow against a bridge of its own, shown and checked."""

from __future__ import annotations

import hashlib
import pprint
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import pymdc

from ..core.hashes import content_hash
from .endings import ends_in_order
from .extras import needs_bridge

if TYPE_CHECKING:
    from ..bridge.mail import Mail

__all__ = ["quickstart"]

_SAMPLE = b"Hello MetaDisk API!"
_REGISTERED_TWICE = {"error": "Email is already registered"}


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def quickstart(file: Path | None) -> None:
    """Run the documented flow against a bridge of its own, and check what comes back.

    Starts a bridge on a free port with a temporary data folder, then registers, activates, creates keys and a bucket,
    uploads FILE (or a small file that it makes) and downloads it: once blocking, once through callbacks.
    """
    if file is not None and not file.is_file():
        raise click.UsageError(f"{file} is a device, a pipe or a socket, not a file")
    with needs_bridge():
        from ..bridge.server import BridgeThread
        from ..bridge.settings import Settings
    with ends_in_order(), tempfile.TemporaryDirectory(prefix="pymdc-quickstart-") as folder:
        path = file or Path(folder, "hello.txt")
        if file is None:
            path.write_bytes(_SAMPLE)
        mails: list[Mail] = []
        data = Path(folder, "bridge")
        with BridgeThread(Settings(port=0, data=data, on_mail=mails.append)) as bridge:
            pymdc.configure(endpoint=bridge.url)
            for tour in (_Blocking(), _Callbacks()):
                click.echo(f"\n# {tour.title}\n")
                _walk(tour, bridge.url, path, Path(folder), mails)
    click.echo("\nEvery call gave the expected value, blocking and with callbacks.")
    click.echo("\nNext, a bridge of your own: pymdc bridge. Then, in another terminal, an account:")
    click.echo("pymdc register EMAIL --bridge http://127.0.0.1:6382")


@dataclass
class _Tour:
    """Shows lines of a program, and runs them."""

    title: str
    names: dict[str, Any] = field(default_factory=dict)

    def do(self, line: str) -> None:
        """Show and run a statement."""
        click.echo(f">>> {line}")
        exec(line, self.names)  # noqa: S102 - the line is from this file; the line that is shown is the line that runs

    def call(self, line: str, holds: Callable[[Any], bool], name: str | None = None) -> None:
        """Show and make a call, show its value, and check it. With a `name`, keep the value under it."""
        value = self.value_of(line, name)
        click.echo(pprint.pformat(value, width=100, sort_dicts=False))
        if not holds(value):
            raise click.ClickException(f"{line} did not give what it should")
        if name is not None:
            self.names[name] = value

    def value_of(self, line: str, name: str | None) -> Any:
        """Show and make a call, and return its value."""
        raise NotImplementedError


class _Blocking(_Tour):
    def __init__(self) -> None:
        super().__init__("Blocking: each call returns its value")

    def value_of(self, line: str, name: str | None) -> Any:
        click.echo(f">>> {name} = {line}" if name else f">>> {line}")
        return eval(line, self.names)  # noqa: S307 - the line is from this file


class _Callbacks(_Tour):
    def __init__(self) -> None:
        super().__init__("Callbacks: each call returns at once, and hands its value to a function")
        self.values: list[Any] = []
        self.names["show"] = self.values.append

    def value_of(self, line: str, name: str | None) -> Any:
        separator = "" if line.endswith("()") else ", "
        line = f"{line[:-1]}{separator}callback=show)"
        click.echo(f">>> {line}")
        self.values.clear()
        eval(line, self.names).join()  # noqa: S307 - the line is from this file
        if len(self.values) != 1:
            raise click.ClickException(f"{line} called its callback {len(self.values)} times")
        click.echo("show was called with" + (f", and keeps as {name}," if name else ""))
        return self.values[0]


def _walk(tour: _Tour, url: str, path: Path, folder: Path, mails: list[Mail]) -> None:
    email = f"{type(tour).__name__.strip('_').lower()}@example.com"
    tour.do("import pymdc")
    tour.do(f"pymdc.configure(endpoint={url!r})")
    tour.do(f"user = pymdc.api.Users({email!r}, 'correct horse battery staple')")
    tour.call("user.register()", lambda value: value["email"] == email and value["activated"] is False)
    tour.call("user.register()", lambda value: value == _REGISTERED_TWICE)
    click.echo("# the bridge has mailed a link; the token is at its end")
    tour.call(f"user.activate({mails[-1].token!r})", lambda value: value["activated"] is True)
    _walk_keys_and_buckets(tour)
    _walk_files(tour, path, folder / "copy")


def _walk_keys_and_buckets(tour: _Tour) -> None:
    tour.do("key_pair = pymdc.keypair.ECDSA()")
    tour.do("keys = pymdc.api.Keys(user)")
    key = tour.names["key_pair"].get_public_key()
    tour.call("keys.create(key_pair)", lambda value: value["key"] == key)
    tour.call("keys.list()", lambda value: [each["key"] for each in value] == [key])
    tour.do("buckets = pymdc.api.Buckets(key_pair)")
    line = "buckets.create('My cat pictures', 10, 10, [key_pair])"
    tour.call(line, lambda value: value["name"] == "My cat pictures" and value["pubkeys"] == [key], name="made")
    tour.call("buckets.list()", lambda value: value == [tour.names["made"]])
    tour.do("bucket = pymdc.api.Bucket(made, key_pair)")
    tour.call("bucket.list()", lambda value: value == tour.names["made"])


def _walk_files(tour: _Tour, path: Path, copy: Path) -> None:
    expected = {"filename": path.name, "size": path.stat().st_size, "hash": _hash_of(path)}
    tour.call("bucket.files.token('PUSH')", lambda value: value["operation"] == "PUSH", name="token")
    line = f"bucket.files.upload({str(path)!r}, token)"
    tour.call(line, lambda value: expected.items() <= value.items(), name="uploaded")
    tour.call("bucket.files.list()", lambda value: value == [tour.names["uploaded"]])
    line = f"bucket.files.download(uploaded, path={str(copy)!r})"
    tour.call(line, lambda value: expected["hash"] == value["hash"] == _hash_of(copy))
    copy.unlink()


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return content_hash(digest.hexdigest())

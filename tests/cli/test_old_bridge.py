"""Commands against a bridge of 2016: one nonce for each user, mixed pointers, status 500 for a person's mistakes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pymdc.cli.main import cli

from ..old_bridge import OldBridge, old_bridge
from .people import plant, tree

Type = Callable[..., Result]


@pytest.fixture
def bridge() -> Iterator[OldBridge]:
    with old_bridge() as running:
        yield running


@pytest.fixture
def types(bridge: OldBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Return a function that runs a command and checks its exit code."""
    plant(tmp_path, {"password": b"a password\n", "wrong": b"another\n"})
    monkeypatch.chdir(tmp_path)
    environment = {
        "STORJ_BRIDGE": bridge.url,
        "STORJ_BRIDGE_USER": None,
        "STORJ_BRIDGE_PASS": None,
        "PYMDC_CONFIG": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def run(line: str, code: int = 0, words: str = "", **settings: object) -> Result:
        ran = CliRunner(env=environment).invoke(cli, line.split(), **settings)  # type: ignore[arg-type]
        assert ran.exit_code == code, (line, ran.output)
        assert words in ran.stderr, (line, ran.stderr)
        assert "Traceback" not in ran.output
        return ran

    return run


@pytest.fixture
def member(bridge: OldBridge, types: Type) -> Type:
    """Somebody who is logged in, with a bucket."""
    types("register you@example.com --password-file password")
    types(f"activate {bridge.mailed[0]}")
    types("login you@example.com --password-file password")
    types("mb photos")
    return types


def test_an_account_is_made_and_mistakes_are_told(bridge: OldBridge, types: Type) -> None:
    types("ls", 3, "Log in")
    types("register you@example.com --password-file password")
    types("register you@example.com --password-file password", 6, "already registered")
    types("login you@example.com --password-file password", 3, "has not been activated")
    types("activate 1234", 6, "A link serves once")
    types(f"activate {bridge.mailed[0]}")
    types("login you@example.com --password-file wrong", 3, "Invalid email or password")
    types("login you@example.com --password-file password")
    assert "you@example.com" in types("whoami").stdout
    assert types("keys list").stdout.count("\n") == 1
    types("logout")
    assert bridge.users["you@example.com"].keys == []
    types("ls", 3, "Log in")


def test_files_go_up_and_come_down(bridge: OldBridge, member: Type, tmp_path: Path) -> None:
    large = random.Random(1).randbytes(1_050_000)
    plant(tmp_path / "2016", {"a.txt": b"one", "sub/b.bin": large})
    member("cp -r 2016 storj://photos/")
    assert sorted(bridge.files[next(iter(bridge.buckets))].values(), key=lambda file: file["size"])[0]["filename"] == (
        "2016／a.txt"
    )
    member("cp storj://photos/2016/sub/b.bin back.bin")
    assert (tmp_path / "back.bin").read_bytes() == large
    assert member("cat storj://photos/2016/a.txt").stdout_bytes == b"one"
    member("put - storj://photos/piped", input=b"from a pipe")
    assert "piped" in member("ls storj://photos").stdout
    member("rm storj://photos/piped")
    member("rm storj://photos/piped", 4, "there is no file")
    member("ls storj://nowhere", 4, "there is no bucket nowhere")
    member("rb photos --yes")
    assert bridge.buckets == {}


def test_a_folder_is_kept_equal_though_pointers_are_mixed(bridge: OldBridge, member: Type, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(650_000)
    files = {f"{number:03}.txt": b"%d" % number for number in range(40)}
    folder = plant(tmp_path / "folder", {**files, "old name": content, "empty": b"", "sub/empty": b""})
    member("sync folder storj://photos/ --jobs 8")
    (folder / "old name").rename(folder / "new name")  # with --delete its content is sent a second time
    member("sync folder storj://photos/ --delete")
    (uploads,) = [each for each in bridge.shards.values() if len(each) > 1]
    assert len(uploads[0]) > 1
    member("sync storj://photos/ back")
    assert tree(tmp_path / "back") == tree(folder)
    member("sync storj://photos/ back", 0, "nothing to do")


def test_an_account_moves_away(bridge: OldBridge, member: Type, tmp_path: Path) -> None:
    plant(tmp_path / "folder", {"a": b"one", "sub/b": b"two"})
    member("sync folder storj://photos/")
    member("mirror storj:// mirror")
    assert tree(tmp_path / "mirror" / "buckets" / "photos") == tree(tmp_path / "folder")
    for bucket in list(bridge.buckets):
        del bridge.buckets[bucket]
    member("mirror mirror storj://")
    member("sync storj://photos/ back")
    assert tree(tmp_path / "back") == tree(tmp_path / "folder")

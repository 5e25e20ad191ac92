"""The cache of hashes: which files are remembered, and a cache that is missing or broken."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from pymdc.cli import hash_cache
from pymdc.cli.hash_cache import HashCache, cache_folder, hash_of_file, hashes_of
from pymdc.cli.local_files import FileState, scan

from ..farmers import hash_of
from .people import plant

STATE = FileState(1, 10**9, 10**9, 2)
LATER = 10 * 10**9


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        cache.put("a", STATE, "hash", LATER)
        assert cache.get("a", STATE) == "hash"
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        assert cache.get("a", STATE) == "hash"
        for name in ("size", "modified", "changed", "inode"):
            assert cache.get("a", replace(STATE, **{name: 5})) is None
        assert cache.get("b", STATE) is None
    with HashCache(tmp_path / "other", tmp_path / "cache") as cache:
        assert cache.get("a", STATE) is None


@pytest.mark.parametrize("name", ["modified", "changed"])
def test_a_file_that_was_just_changed_is_not_remembered(tmp_path: Path, name: str) -> None:
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        state = replace(STATE, **{name: LATER - 10**9})
        cache.put("a", state, "hash", LATER)
        assert cache.get("a", state) is None


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        cache.put("a", STATE, "hash", LATER)
        cache.put("b", STATE, "hash", LATER)
        cache.keep(["b"])
        assert cache.get("a", STATE) is None
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        assert (cache.get("a", STATE), cache.get("b", STATE)) == (None, "hash")


def test_only_the_owner_can_read_the_cache(tmp_path: Path) -> None:
    with HashCache(tmp_path, tmp_path / "cache"):
        assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "cache").iterdir()} == {0o600}


def test_without_a_cache_every_file_is_read(tmp_path: Path) -> None:
    plant(tmp_path, {"file": b"", "broken/hashes.sqlite": b"no database" * 100})
    (tmp_path / "folder" / "hashes.sqlite").mkdir(parents=True)
    for place in ("file", "broken", "folder"):
        with HashCache(tmp_path, tmp_path / place) as cache:
            cache.put("a", STATE, "hash", LATER)
            assert cache.get("a", STATE) == "hash"
        with HashCache(tmp_path, tmp_path / place) as cache:
            assert cache.get("a", STATE) is None


def test_a_cache_that_breaks_is_ignored(tmp_path: Path) -> None:
    with HashCache(tmp_path, tmp_path / "cache") as cache, HashCache(tmp_path, tmp_path / "cache") as other:
        assert other._database is not None
        other._database.execute("DROP TABLE hashes")
        cache.put("a", STATE, "hash", LATER)
        assert cache.get("a", STATE) == "hash"


def test_two_commands_at_once_share_the_cache(tmp_path: Path) -> None:
    with HashCache(tmp_path, tmp_path / "cache") as one, HashCache(tmp_path, tmp_path / "cache") as two:
        one.put("a", STATE, "hash", LATER)
        two.put("b", STATE, "hash", LATER)
    with HashCache(tmp_path, tmp_path / "cache") as cache:
        assert (cache.get("a", STATE), cache.get("b", STATE)) == ("hash", "hash")


def test_the_cache_is_in_the_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pymdc"


def test_a_hash_is_the_one_that_the_bridge_computes(tmp_path: Path) -> None:
    path = plant(tmp_path, {"a": b"content"}) / "a"
    moved: list[int] = []
    value, began = hash_of_file(path, FileState.of(path.stat()), moved.append)
    assert (value, moved) == (hash_of(b"content"), [7])
    assert abs(began - path.stat().st_mtime_ns) < 60 * 10**9


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = plant(tmp_path, {"a": b"content"}) / "a"
    state = FileState.of(path.stat())
    value, _ = hash_of_file(path, state, lambda size: os.truncate(path, 3))
    assert str(value) == "the file changed while it was read"


def test_a_file_that_cannot_be_read_is_a_problem_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plant(tmp_path / "folder", {"a": b"one", "b": b"two"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = scan(folder)
    (folder / "a").unlink()
    assert hashes_of(folder, found, lambda size: nullcontext(lambda moved: None)) == {"b": hash_of(b"two")}
    assert found.problems == {"a": "No such file or directory"}
    monkeypatch.setattr(hash_cache, "hash_of_file", lambda *_: (OSError("words"), 0))
    found = scan(folder)
    assert hashes_of(folder, found, lambda size: nullcontext(lambda moved: None)) == {}
    assert found.problems == {"b": "words"}

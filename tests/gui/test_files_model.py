"""What the example programs know, without a window: against a real bridge."""

from __future__ import annotations

import importlib
import json
import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pymdc
from tests.bridges import RunningBridge, running_bridge

from .programs import EXAMPLES

LONG = 60.0
sys.path.insert(0, str(EXAMPLES))
files_model: Any = importlib.import_module("files_model")
files_view: Any = importlib.import_module("files_view")
files_words: Any = importlib.import_module("files_words")
sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.txt", "plain.txt"),
        ("tab\there", "tab here"),
        ("two\nlines", "two lines"),
        ("evil\u202egpj.exe", "evil�gpj.exe"),
        ("bell\x07", "bell�"),
        ("תמונות", "תמונות"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_a_name_is_shown_as_text_on_one_line(name: str, shown: str) -> None:
    assert files_words.as_text(name) == shown


@pytest.mark.parametrize("width", range(1, 12))
def test_a_long_name_is_shortened_in_its_middle(width: int) -> None:
    short = files_words.shortened("0123456789", lambda text: len(text) <= width)
    assert len(short) == min(width, 10)
    assert "…" in short or short == "0123456789"


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain.txt", "plain.txt"),
        ("אבג.jpg", "גבא.jpg"),
        ("see אב גד.", "see דג בא."),
        ("אב 2024 גד", "דג 2024 בא"),
        ("שָׁ ab", "שָׁ ab"),  # a letter keeps its marks
    ],
)
def test_a_name_of_a_right_to_left_script_is_turned_round_for_a_toolkit_that_cannot(text: str, drawn: str) -> None:
    assert files_words.as_drawn(text) == drawn


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (5e12, "5000.0 GB")],
)
def test_a_size_is_told_in_words(size: float, words: str) -> None:
    assert files_words.in_words(size) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (75, "1 min 15 s"), (3700, "1 h 1 min")])
def test_a_time_is_told_in_words(seconds: float, words: str) -> None:
    assert files_words.duration(seconds) == words


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    names = ["up10.txt", "Up2.txt", "up2a.txt", "2", "10", "", "é"]
    assert sorted(names, key=files_words.in_order) == ["", "2", "10", "Up2.txt", "up2a.txt", "up10.txt", "é"]


def test_a_table_changes_only_rows_that_differ_and_takes_many_rows_in_slices() -> None:
    shown = {"a": ("1",), "b": ("2",), "c": ("3",)}
    change = files_view.changes(shown, {"n": ("0",), "c": ("3",), "a": ("9",)})
    assert (change.gone, change.stay, change.moved) == (["b"], ["c", "a"], True)
    assert (change.new, change.written, change.more) == ([(0, "n")], ["a"], False)
    many = {str(number): ("",) for number in range(250)}
    rows: dict[str, tuple[str, ...]] = {}
    slices = []
    more = True
    while more:
        change = files_view.changes(rows, many)
        rows, more = change.rows, change.more
        slices.append(len(change.new))
    assert (slices, rows) == ([100, 100, 50], many)


class Shown:
    """A window that only notes what it is to show."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __getattr__(self, name: str) -> Callable[[], bool]:
        def show() -> bool:
            self.shown.append(name.removeprefix("show_"))
            return False

        return show


def test_frequent_changes_are_shown_at_once_and_then_a_few_times_a_second(tmp_path: Path) -> None:
    later: list[tuple[int, Callable[[], None]]] = []
    window = Shown()
    model = files_model.Model(pymdc.Client("http://127.0.0.1:1"), files_model.Memory(tmp_path, "http://here"))
    refreshes = files_view.Refreshes(model, window, lambda wait, show: later.append((wait, show)))
    for _ in range(5):
        refreshes.changed("transfers")
    ((wait, show),) = later
    assert window.shown == ["transfers"]
    assert 0 < wait <= files_view.REFRESH_MS
    show()
    assert window.shown == ["transfers"] * 2
    refreshes.changed("transfers")
    assert len(later) == 2
    refreshes.changed("files")  # of another bucket: what is there must go at once
    refreshes.changed("message")
    refreshes.changed("files")
    assert window.shown[2:] == ["files", "message", "files"]


def test_only_the_owner_can_read_a_kept_key_pair_and_no_password_is_kept(tmp_path: Path) -> None:
    pair = pymdc.keypair.ECDSA()
    memory = files_model.Memory(tmp_path / "config", "http://here")
    memory.keep("Somebody@example.com", pair)
    (tmp_path / "config" / "account.json").chmod(0o644)
    memory.keep("Somebody@example.com", pair)
    assert (tmp_path / "config" / "account.json").stat().st_mode & 0o777 == 0o600
    again = files_model.Memory(tmp_path / "config", "http://here")
    assert again.here["email"] == "Somebody@example.com"
    assert again.key_pair("somebody@example.com") == pair
    assert files_model.Memory(tmp_path / "config", "http://elsewhere").key_pair("somebody@example.com") is None
    again.keep("somebody@example.com", None)
    assert "keys" in (tmp_path / "config" / "account.json").read_text()
    assert files_model.Memory(tmp_path / "config", "http://here").key_pair("somebody@example.com") is None


def test_a_broken_memory_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text("{")
    assert files_model.Memory(tmp_path, "http://here").here["email"] == ""


class Loop:
    """A program without a window: its loop runs what the scheduler brings until something has come about."""

    def __init__(self, bridge: RunningBridge, folder: Path) -> None:
        self.functions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.client = pymdc.Client(bridge.url, scheduler=self.functions.put)
        self.changes: list[str] = []
        self.model = files_model.Model(self.client, files_model.Memory(folder, bridge.url))
        self.model.changed = self.changes.append

    def until(self, come_about: Callable[[], Any]) -> None:
        while not come_about():
            self.functions.get(timeout=LONG)()

    def sign_in(self, email: str) -> None:
        self.model.sign_in(email, "a password")
        self.until(lambda: self.model.signed_in)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path / "bridge") as running, pymdc.Client(running.url) as client:
        running.member("somebody@example.com", client)
        running.member("another@example.com", client)
        yield running


@pytest.fixture
def loop(bridge: RunningBridge, tmp_path: Path) -> Iterator[Loop]:
    made = Loop(bridge, tmp_path / "config")
    yield made
    made.client.close(cancel=True)


def test_the_next_account_sees_nothing_of_the_one_before(loop: Loop, tmp_path: Path) -> None:
    model = loop.model
    loop.sign_in("somebody@example.com")
    model.create_bucket("holidays")
    loop.until(lambda: model.bucket)
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    model.upload([str(tmp_path / "photo.jpg")])
    loop.until(lambda: model.files)
    loop.sign_in("another@example.com")
    assert (model.bucket, model.files, model.buckets, model.transfers) == (None, None, [], [])
    model.upload([str(tmp_path / "photo.jpg")])
    assert model.message == "Make a bucket first, with New."
    assert model.transfers == []


def test_an_answer_that_comes_after_signing_out_is_not_shown(loop: Loop) -> None:
    loop.sign_in("somebody@example.com")
    loop.model.create_bucket("holidays")
    loop.model.sign_out()
    loop.functions.get(timeout=LONG)()
    loop.functions.get(timeout=LONG)()
    assert (loop.model.signed_in, loop.model.buckets, loop.model.message) == (False, [], "Signed out.")


def test_a_kept_key_signs_in_without_the_password_until_it_is_removed(loop: Loop, bridge: RunningBridge) -> None:
    loop.sign_in("somebody@example.com")
    pair = loop.model.key_pair
    again = Loop(bridge, loop.model.memory.path.parent)
    again.model.start()
    again.until(lambda: again.model.signed_in)
    assert again.model.email == "somebody@example.com"
    again.client.close(cancel=True)
    with pymdc.Client(bridge.url) as client:
        pymdc.unwrap(pymdc.api.Keys(pair, client=client).delete(pair))
    loop.model.refresh()
    loop.until(lambda: not loop.model.signed_in)
    assert loop.model.message == "This program's key was removed from the account. Sign in with the password."
    assert json.loads(loop.model.memory.path.read_text())[bridge.url]["keys"] == {}


def test_transfers_that_the_end_interrupted_are_there_again(loop: Loop, bridge: RunningBridge, tmp_path: Path) -> None:
    loop.sign_in("somebody@example.com")
    loop.model.create_bucket("films")
    loop.until(lambda: loop.model.bucket)
    with (tmp_path / "film.mkv").open("wb") as film:
        film.truncate(50_000_000)
    loop.model.upload([str(tmp_path / "film.mkv")])
    loop.model.close()
    again = Loop(bridge, loop.model.memory.path.parent)
    again.model.start()
    again.until(lambda: again.model.transfers)
    (transfer,) = again.model.transfers
    assert (transfer.state, transfer.name) == ("interrupted", "film.mkv")
    again.model.retry([transfer])
    again.until(lambda: transfer.state == "done")
    assert transfer.words.startswith("Done · 50.0 MB in")
    assert again.model.total == (1.0, "1 of 1 done · 50.0 MB of 50.0 MB")
    again.model.clear()
    assert again.model.transfers == []
    again.client.close(cancel=True)


def test_a_cleared_download_leaves_nothing_behind(loop: Loop, tmp_path: Path) -> None:
    model = loop.model
    loop.sign_in("somebody@example.com")
    model.create_bucket("films")
    loop.until(lambda: model.bucket)
    with (tmp_path / "film.mkv").open("wb") as film:
        film.truncate(200_000_000)
    model.upload([str(tmp_path / "film.mkv")])
    loop.until(lambda: model.files)
    model.clear()
    there = tmp_path / "there"
    there.mkdir()
    model.download(model.files, str(there))
    (transfer,) = model.transfers
    loop.until(lambda: 0.3 < transfer.share < 1)  # whole shards have come, which are kept
    model.cancel([transfer])
    loop.until(lambda: transfer.state == "cancelled")
    assert list(there.iterdir())
    model.clear()
    assert not list(there.iterdir())

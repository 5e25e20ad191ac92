"""The example programs by hand: dragging, tooltips, letters with Alt, Tab, and without a bridge."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .account import EMAIL, Account, file_of, in_films
from .person import MODULES, Person, must_open_windows, using
from .programs import HERE, REQUIRED, python_with
from .screen import Screen

pytestmark = pytest.mark.slow


def test_files_are_dragged_into_the_window(tmp_path: Path, home: Path, usual: Screen, account: Account) -> None:
    """With the mouse, out of the window of another program."""
    paths = [file_of(tmp_path, "one.txt"), file_of(tmp_path, "שתיים.txt", 2000)]
    python = python_with(MODULES["qt"])
    with using("qt", usual, home, account.url, "qt-drag") as person:
        in_films(person)
        command = [python, str(HERE / "dragger.py"), *map(str, paths)]
        environment = {**os.environ, "DISPLAY": usual.display, "QT_QPA_PLATFORM": "xcb"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as dragger:
            assert dragger.stdout is not None
            assert dragger.stdout.readline() == "shown\n"
            usual.drag((60, 20), person.on_screen(person.ask("where", "files")))
            seen = person.wait(lambda seen: seen["states"] == ["done"] * 2 and len(seen["names"]) == 2)
            dragger.kill()
        assert sorted(seen["names"]) == ["one.txt", "שתיים.txt"]
        person.photograph("dragged")


def test_the_whole_name_is_in_a_tooltip(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    name = "n" * 100 + "<b>" + "m" * 100 + ".jpeg"
    account.bucket.files.upload(b"a photo", name=name)
    with using(toolkit, usual, home, account.url, f"{toolkit}-tip") as person:
        in_films(person)
        seen = person.wait(lambda seen: seen["rows"]["files"])
        x, y = person.on_screen(person.ask("row", "files", 0))
        usual.run("xdotool", "mousemove", str(x), str(y - 40), "mousemove", str(x), str(y))
        usual.run("xdotool", "mousemove_relative", "1", "0")
        seen = person.wait(lambda seen: seen["tip"])
        assert seen["tip"] == name
        person.photograph("tooltip")


def test_every_button_has_a_letter_and_tab_goes_from_one_to_the_next(
    toolkit: str, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-keys") as person:
        person.wait(lambda seen: seen["focus"] == "email")
        assert tabs(person, 6) == ["password", "sign_in", "register", "link", "activate", "email"]
        person.screen.key("alt+p")
        person.wait(lambda seen: seen["focus"] == "password")
        person.screen.key("alt+e")
        person.wait(lambda seen: seen["focus"] == "email")
        in_films(person)
        person.screen.key("alt+n")
        person.answer("New bucket", key="Escape")
        person.screen.key("alt+u")
        person.answer("Files to upload", key="Escape")
        person.click_row("buckets", 0)
        order = tabs(person, 12)
        assert order == [
            *("new_bucket", "rename_bucket", "delete_bucket", "upload", "refresh", "sign_out", "files"),
            *("transfers", "buckets", "new_bucket", "rename_bucket", "delete_bucket"),
        ]
        person.screen.key("alt+o")
        person.wait_for("Signed out.")


def tabs(person: Person, number: int) -> list[str]:
    """Press Tab so many times; return where the keyboard was each time."""
    places: list[str] = [person.see()["focus"]]
    for _ in range(number):
        person.screen.key("Tab")
        places.append(person.wait(lambda seen: seen["focus"] not in ("", places[-1]))["focus"])
    return places[1:]


def test_without_a_bridge_a_program_starts_its_own_and_reads_its_mails(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen
) -> None:
    with using(toolkit, usual, home, None, f"{toolkit}-own") as person:
        person.type_in("email", EMAIL)
        person.type_in("password", "a password")
        person.press("register")
        person.wait_for(f"Signed in as {EMAIL}.")
        person.press("new_bucket")
        person.answer("New bucket", "films")
        person.wait_for("Made the bucket films.")
        person.upload(file_of(tmp_path, "one.txt"))
        person.wait(lambda seen: seen["names"] == ["one.txt"])
        person.photograph("own bridge")
        person.close_window()
        person.ended(10)
    assert (home / "pymdc-files").is_dir()


def test_a_skipped_window_test_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    python = python_with(MODULES["qt"])
    without = {**os.environ, "QT_QPA_PLATFORM": "none-such"}
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"Qt opens no window here: .*none-such"):
        must_open_windows(python, without)
    monkeypatch.setenv(REQUIRED, "required")
    with pytest.raises(pytest.fail.Exception, match=r"Qt opens no window here: .*none-such"):
        must_open_windows(python, without)

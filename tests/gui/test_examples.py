"""The example programs, in real windows, used with mouse and keyboard, against a real bridge."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

import pymdc
from tests.bridges import RunningBridge, running_bridge

from .account import Account, file_of, in_films
from .person import MODULES, Person, using
from .programs import EXAMPLES, python_with
from .screen import LONG, SIZES, Screen, desktop

ROOT = Path(pymdc.__file__).parents[1]

pytestmark = pytest.mark.slow

ODD_NAMES = [
    "n" * 235 + ".jpeg",
    "תמונות מהטיול שלנו.jpg",
    "<b>bold</b> & <i>more.html",
    "🐱 emoji.png",
    "evil\u202egpj.exe",
    "plain.txt",
]


@pytest.fixture(params=sorted(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_person_uses_every_function_of_the_window(toolkit: str, size: str, tmp_path: Path, home: Path) -> None:
    with (
        desktop(*SIZES[size]) as screen,
        running_bridge(tmp_path / "bridge") as bridge,
        using(toolkit, screen, home, bridge.url, f"{toolkit}-{size}") as person,
    ):
        registers(person, bridge)
        keeps_buckets(person)
        uploads(person, bridge, home, tmp_path)
        sorts_and_selects(person, tmp_path)
        downloads_and_opens(person, tmp_path, home)
        tells_of_a_renaming(person, tmp_path)
        deletes(person)
        signs_out_and_another_in(person, bridge, home)
        person.close_window()
        person.ended(10)


def registers(person: Person, bridge: RunningBridge) -> None:
    person.photograph("welcome")
    person.wait(lambda seen: seen["focus"] == "email")
    person.sign_in("somebody@example.com")
    assert person.wait(lambda seen: seen["problem"])["page"] == "account"
    person.photograph("wrong password")
    person.press("register")
    person.wait_for("Registered. The bridge sends a mail to somebody@example.com")
    assert person.see()["focus"] == "link"
    person.photograph("registered")
    person.press("activate")
    person.wait_for("Paste the link from the mail")
    person.press("register")
    person.wait_for("There is an account of that name.")
    bridge.mailed_token()  # the first mail, which was lost: who registers again gets another one
    person.type_in("link", bridge.mailed_token())
    person.screen.key("Return")
    person.wait_for("Signed in as somebody@example.com.")
    seen = person.wait(lambda seen: seen["page"] == "files")
    assert seen["fields"]["password"] == ""
    person.wait(lambda seen: seen["hint"] == "There is no bucket yet. Make one with New.")
    person.photograph("no bucket")


def keeps_buckets(person: Person) -> None:
    for name in ("holidays", "work"):
        person.press("new_bucket")
        person.answer("New bucket", name)
        person.wait_for(f"Made the bucket {name}.")
        person.wait(lambda seen: seen["rows"]["buckets"][-1:] == [seen["selected"]["buckets"]])
    person.press("rename_bucket")
    person.answer("Rename", "papers")
    person.wait(lambda seen: seen["rows"]["buckets"] == [["holidays"], ["papers"]])
    person.press("delete_bucket")
    person.answer("Delete bucket", key="Escape")
    assert len(person.see()["rows"]["buckets"]) == 2
    person.press("delete_bucket")
    person.yes("Delete bucket")
    person.wait(lambda seen: seen["selected"]["buckets"] == ["holidays"] and "is empty" in seen["hint"])
    person.photograph("empty bucket")


def uploads(person: Person, bridge: RunningBridge, home: Path, folder: Path) -> None:
    """Names as long as they get, of any script, with markup and emoji: each is text, on one line, shortened."""
    person.upload(file_of(folder, "one.txt", 1000), file_of(folder, "two.jpg", 3_000_000))
    seen = person.wait(lambda seen: seen["states"] == ["done", "done"] and len(seen["names"]) == 2)
    assert seen["full"] == "3.0 MB of 10.0 GB"
    assert seen["total"] == "2 of 2 done · 3.0 MB of 3.0 MB"
    assert seen["rows"]["transfers"][0][2].startswith("Done · 1.0 kB in")
    with pymdc.Client(bridge.url) as client:
        bucket = the_bucket(client, home)
        for number, name in enumerate(ODD_NAMES[:5]):
            pymdc.unwrap(bucket.files.upload(bytes(100 * (number + 1)), name=name))
    person.screen.key("F5")
    seen = person.wait(lambda seen: len(seen["rows"]["files"]) == 7)
    shown = [row[0] for row in seen["rows"]["files"]]
    assert all("\n" not in each and "\t" not in each for each in shown)
    assert "evil�gpj.exe" in shown
    person.photograph("odd names")


def the_bucket(client: pymdc.Client, home: Path) -> pymdc.api.Bucket:
    """Return the first bucket of the account, by the key pair that the program keeps in a file of its own."""
    (kept,) = json.loads((home / "config" / "pymdc-files" / "account.json").read_text()).values()
    (private_key,) = kept["keys"].values()
    key_pair = pymdc.keypair.ECDSA(private_key=private_key)
    (first, *_) = pymdc.unwrap(pymdc.api.Buckets(key_pair, client=client).list())
    return pymdc.api.Bucket(first, key_pair, client=client)


def sorts_and_selects(person: Person, folder: Path) -> None:
    person.click_heading(1)
    person.wait(lambda seen: [row[1] for row in seen["rows"]["files"]][::6] == ["100 bytes", "3.0 MB"])
    person.click_heading(2)
    person.wait(lambda seen: seen["rows"]["files"][0][2] != "image/jpeg")
    person.click_heading(1)
    person.wait(lambda seen: seen["rows"]["files"][0][1] == "100 bytes")
    person.click_heading(1)
    person.wait(lambda seen: [row[1] for row in seen["rows"]["files"]][::6] == ["3.0 MB", "100 bytes"])
    person.click_heading(0)
    person.wait(lambda seen: seen["names"] == sorted(seen["names"], key=str.casefold))
    person.click_row("files", 2)
    person.click_row("files", 4, held="shift")
    chosen = person.wait(lambda seen: len(seen["selected"]["files"]) == 3)["selected"]["files"]
    person.upload(file_of(folder, "aaa.txt", 20))
    seen = person.wait(lambda seen: len(seen["names"]) == 8)
    assert seen["selected"]["files"] == chosen  # which survives what others do
    person.click_row("files", 0)
    person.screen.key("ctrl+a")
    person.wait(lambda seen: len(seen["selected"]["files"]) == 8)
    person.screen.key("Escape")
    assert "download" not in person.wait(lambda seen: not seen["selected"]["files"])["enabled"]


def downloads_and_opens(person: Person, folder: Path, home: Path) -> None:
    there = folder / "there"
    there.mkdir()
    person.press("clear")
    person.wait(lambda seen: not seen["states"])
    person.click_row("files", 1)
    person.screen.key("ctrl+a")
    person.screen.key("Return")
    person.choose_folder(there)
    person.wait(lambda seen: seen["states"] == ["done"] * 8)
    assert len([*there.iterdir()]) == 8
    assert (there / "two.jpg").read_bytes() == (folder / "two.jpg").read_bytes()
    person.photograph("downloaded")
    seen = person.see()
    index = next(index for index, row in enumerate(seen["rows"]["transfers"]) if row[0] == "↓ one.txt")
    person.click_row("transfers", index)
    person.press("open")
    assert wait_for_text(home / "opened") == f"{there / 'one.txt'}\n"
    person.click_row("files", seen["names"].index("one.txt"), times=2)
    person.choose_folder(there)
    seen = person.wait(lambda seen: seen["states"] == ["done"] * 9)
    assert seen["rows"]["transfers"][-1][2].endswith("one (2).txt")  # what is there is not replaced


def wait_for_text(path: Path) -> str:
    end = time.monotonic() + LONG
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
    return path.read_text()


def deletes(person: Person) -> None:
    names = person.see()["names"]
    place = names.index("one.txt")
    person.click_row("files", place, button=3)
    person.photograph("menu")
    person.screen.key("Down", "Down", "Return")
    person.wait_for("The hash is in the clipboard.")
    assert len(person.ask("clipboard")) == 40
    person.screen.key("Delete")
    person.answer("Delete", key="Escape")
    assert person.see()["names"] == names
    person.click_row("files", place)
    person.screen.key("Delete")
    person.yes("Delete")
    person.wait(lambda seen: "one.txt" not in seen["names"])


def tells_of_a_renaming(person: Person, folder: Path) -> None:
    """A bucket keeps equal files once: the window must say that the file was renamed."""
    (folder / "copy.jpg").write_bytes((folder / "two.jpg").read_bytes())
    person.upload(folder / "copy.jpg")
    person.wait_for("two.jpg had the same content. The bucket keeps it once: it is now called copy.jpg.")
    person.wait(lambda seen: "copy.jpg" in seen["names"])
    person.photograph("renamed")


def signs_out_and_another_in(person: Person, bridge: RunningBridge, home: Path) -> None:
    """Nothing of one account is seen or used in the next."""
    memory = home / "config" / "pymdc-files" / "account.json"
    assert memory.stat().st_mode & 0o777 == 0o600
    assert "a password" not in memory.read_text()
    with pymdc.Client(bridge.url) as client:
        bridge.member("another@example.com", client)
        person.press("sign_out")
        person.wait_for("Signed out.")
        seen = person.wait(lambda seen: seen["page"] == "account")
        assert (seen["page"], seen["names"], seen["states"]) == ("account", [], [])
        assert not any(seen["rows"].values())
        assert seen["fields"] == {"email": "somebody@example.com", "password": "", "link": ""}
        person.sign_in("another@example.com")
        seen = person.wait_for("Signed in as another@example.com.")
        assert not any(seen["rows"].values())
        assert "upload" not in seen["enabled"]
        person.photograph("another account")


def test_five_hundred_files_and_two_hundred_uploads_keep_no_click_waiting(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    for number in range(500):
        pymdc.unwrap(
            account.bucket.files.upload(b"%d" % number, name=f"{number:03} {ODD_NAMES[number % 6].replace('/', ' ')}")
        )
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        file_of(many, f"{number:03}", 100_000 + number)
    with using(toolkit, usual, home, account.url, f"{toolkit}-many") as person:
        in_films(person)
        person.wait(lambda seen: len(seen["names"]) == 500)
        person.ask("late")
        person.click_heading(1)
        person.click_heading(0)
        person.click_row("files", 0)
        person.screen.key("ctrl+a")
        person.wait(lambda seen: len(seen["selected"]["files"]) == 500)
        person.screen.key("Escape")
        clicks = person.ask("late")
        person.press("upload")
        person.screen.wait_for_window("Files to upload")
        person.screen.type(str(many))
        person.screen.key("Return")
        person.screen.key("ctrl+a" if toolkit == "qt" else "ctrl+slash")
        quote = '"' if toolkit == "qt" else ""
        person.screen.type(" ".join(f"{quote}{number:03}{quote}" for number in range(200)))
        person.ask("late")
        person.screen.key("Return")
        person.screen.wait_for_window("Files")
        uses_the_window(person)
        person.wait_until_done(200)
        during = person.ask("late")
        person.photograph("two hundred uploads")
        person.wait(lambda seen: len(seen["names"]) == 700 == len(seen["rows"]["files"]))
        person.photograph("two hundred files more")
        for what, (late, work) in (("clicks", clicks), ("200 uploads", during)):
            print(f"{toolkit}: {what}: p95 {percentile(late, 95):.0f}, {late[-1]:.0f} ms; at work {work[-1]:.0f} ms")
            assert work[-1] < 100


def uses_the_window(person: Person) -> None:
    """Click on what is there while the uploads run."""
    assert person.ask("done")[1] < 200
    for _ in range(3):
        person.click_heading(1)
        person.click_heading(0)
        person.click_row("files", 0)
        person.screen.key("ctrl+a", "Escape")
        person.click_row("transfers", 150)
        person.screen.key("ctrl+a")
    assert person.ask("done")[1] < 200


def percentile(late: list[float], percent: float) -> float:
    return late[min(len(late) - 1, int(len(late) * percent / 100))]


def test_without_a_screen_a_program_says_so_in_a_sentence(toolkit: str, home: Path) -> None:
    for environment in ({}, {"DISPLAY": ":987"}):
        said = start(toolkit, home, environment)
        assert said.startswith("There is no screen for the window: ")
        assert said.count("\n") == 1


def test_without_its_toolkit_a_program_says_so_in_a_sentence(toolkit: str, home: Path) -> None:
    (home / "tkinter.py").write_text("raise ImportError('No module named tkinter')")
    (home / "PySide6.py").write_text("raise ImportError('No module named PySide6')")
    said = start(toolkit, home, {"PYTHONPATH": f"{home}:{ROOT}"})
    assert said.startswith("This program needs ")
    assert said.count("\n") == 1


def start(toolkit: str, home: Path, environment: dict[str, str]) -> str:
    """Start a program that must end at once; return what it says."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [python_with(MODULES[toolkit]), str(EXAMPLES / f"{toolkit}_files.py")],
        env={**kept, "PYTHONPATH": str(ROOT), "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr

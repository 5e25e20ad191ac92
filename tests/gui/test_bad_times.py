"""What a person sees when the bridge dies, freezes or is full, or a key is revoked, in the middle of transfers."""

from __future__ import annotations

import contextlib
import filecmp
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import pymdc

from .account import Account, account_on, file_of, in_films, uploads_films
from .person import using
from .programs import missing
from .screen import LONG, Screen

pytestmark = pytest.mark.slow

REVOKED = "This program's key was removed from the account. Sign in with the password."


def revoke(account: Account) -> None:
    """Remove all keys of an account."""
    keys = pymdc.api.Keys(account.user)
    for each in pymdc.unwrap(keys.list()):
        pymdc.unwrap(keys.delete(each["key"]))


def test_transfers_are_cancelled_retried_and_taken_up_after_the_program_was_closed(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-transfers") as person:
        in_films(person)
        uploads_films(person, tmp_path, 2)
        person.wait(lambda seen: all(0 < share < 1 for share in seen["shares"]))
        person.photograph("under way")
        person.click_row("transfers", 0)
        person.press("cancel")
        person.wait(lambda seen: seen["states"][0] == "cancelled")
        person.press("retry")
        person.wait(lambda seen: seen["states"][0] == "running")
        person.close_window()
        person.answer("Quit", key="Escape")
        assert person.see()["page"] == "files"
        person.close_window()
        person.screen.wait_for_window("Quit")
        person.photograph("asks")
        person.screen.key("alt+y")
        person.ended(10)
    with using(toolkit, usual, home, account.url, f"{toolkit}-again") as person:
        seen = person.wait(lambda seen: seen["page"] == "files" and len(seen["states"]) == 2)  # without the password
        assert seen["states"] == ["interrupted", "interrupted"]
        person.photograph("interrupted")
        person.press("retry")
        seen = person.wait(lambda seen: seen["states"] == ["done", "done"] and len(seen["names"]) == 2)
        person.press("clear")
        person.wait(lambda seen: not seen["states"])
        person.close_window()
        person.ended(10)


def test_a_window_closes_within_two_seconds_though_the_bridge_is_frozen(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-frozen") as person:
        in_films(person)
        uploads_films(person, tmp_path, 6)
        person.wait(lambda seen: any(0 < share < 1 for share in seen["shares"]))
        account.process.send_signal(signal.SIGSTOP)
        try:
            person.click("refresh")
            person.close_window()
            person.screen.wait_for_window("Quit")
            person.photograph("asks")
            person.screen.key("alt+y")
            person.ended(2)
        finally:
            account.process.send_signal(signal.SIGCONT)


def test_a_bridge_that_dies_in_the_middle_is_told_in_words(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-dies") as person:
        in_films(person)
        uploads_films(person, tmp_path, 3, 500_000_000)
        person.wait(lambda seen: all(0 < share < 1 for share in seen["shares"]))
        account.process.kill()
        seen = person.wait(lambda seen: seen["states"] == ["failed"] * 3)
        assert seen["problem"]
        assert "Errno" not in str(seen["rows"]["transfers"])
        assert seen["total"].endswith("3 failed")
        print(f"{toolkit}: {seen['message']}")
        person.photograph("died")
        person.press("retry")
        person.wait(lambda seen: seen["states"] == ["failed"] * 3 and seen["message"])
        person.photograph("still dead")


def test_a_key_that_is_revoked_in_the_middle_leads_back_to_the_password(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-revoked") as person:
        in_films(person)
        uploads_films(person, tmp_path, 2, 500_000_000)
        person.wait(lambda seen: all(0 < share < 1 for share in seen["shares"]))
        revoke(account)
        person.press("refresh")
        seen = person.wait(lambda seen: seen["page"] == "account")
        assert seen["message"] == REVOKED
        person.photograph("revoked")
        in_films(person)


def test_a_frozen_bridge_is_told_and_the_transfer_goes_on_when_it_thaws(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with using(toolkit, usual, home, account.url, f"{toolkit}-thaws") as person:
        in_films(person)
        uploads_films(person, tmp_path, 4)
        person.wait(lambda seen: all(0 < share < 1 for share in seen["shares"]))
        account.process.send_signal(signal.SIGSTOP)
        try:
            person.wait(
                lambda seen: any(row[2].endswith("waiting for the bridge") for row in seen["rows"]["transfers"])
            )
            person.photograph("frozen")
        finally:
            account.process.send_signal(signal.SIGCONT)
        person.wait_until_done(4)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 1.2 GB, in memory."""
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200m", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        missing("only root can mount a disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write a file until there is no room left."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(2**20)):
            pass


def test_a_bridge_whose_disk_is_full_in_the_middle_says_so(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen
) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        account_on(disk / "bridge") as account,
        using(toolkit, usual, home, account.url, f"{toolkit}-full") as person,
    ):
        in_films(person)
        uploads_films(person, tmp_path, 1, 350_000_000)
        person.wait(lambda seen: any(0.02 < share < 1 for share in seen["shares"]))
        fill(disk / "filler")
        seen = person.wait(lambda seen: seen["states"] == ["failed"])
        assert seen["message"].endswith("The disk of the bridge is full: it takes no files now."), seen["message"]
        assert seen["problem"]
        person.photograph("full")
        (disk / "filler").unlink()
        person.press("retry")
        person.wait(lambda seen: seen["states"] == ["done"] and len(seen["names"]) == 1)
        person.photograph("there is room again")


def test_an_upload_says_that_the_bridge_stores_until_it_answers(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    with slow_to_answer(account.url) as (url, answer), using(toolkit, usual, home, url, f"{toolkit}-stores") as person:
        in_films(person)
        person.upload(file_of(tmp_path, "photo.jpg", 1_000_000))
        words = "Storing: the bridge has all bytes"
        seen = person.wait(lambda seen: [row[2] for row in seen["rows"]["transfers"]] == [words])
        assert seen["total"].startswith("0 of 1 done")
        person.photograph("stores")
        answer.set()
        person.wait(lambda seen: seen["states"] == ["done"])


@contextmanager
def slow_to_answer(url: str) -> Iterator[tuple[str, threading.Event]]:
    """Stand between a bridge and its clients, and keep its answers to uploads until the event is set."""
    bridge, answer = urlsplit(url), threading.Event()

    class Between(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((bridge.hostname or "", bridge.port or 0)) as upstream:
                uploads = threading.Event()
                back = threading.Thread(target=self.bring_back, args=[upstream, uploads])
                back.start()
                while data := self.request.recv(65536):
                    if b"PUT /buckets/" in data:
                        uploads.set()
                    upstream.sendall(data)
                upstream.shutdown(socket.SHUT_WR)
                back.join()

        def bring_back(self, upstream: socket.socket, uploads: threading.Event) -> None:
            while data := upstream.recv(65536):
                if uploads.is_set():
                    answer.wait(LONG)
                self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Between) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", answer
        finally:
            answer.set()
            server.shutdown()


def test_a_download_goes_on_after_the_program_was_closed_in_the_middle(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    film, there = file_of(tmp_path, "film.mkv", 700_000_000), tmp_path / "there"
    pymdc.unwrap(account.bucket.files.upload(film))
    there.mkdir()
    with using(toolkit, usual, home, account.url, f"{toolkit}-closed") as person:
        in_films(person)
        person.wait(lambda seen: seen["rows"]["files"])
        person.click_row("files", 0)
        person.screen.key("Return")
        person.choose_folder(there)
        person.wait(lambda seen: any(0.1 < share < 1 for share in seen["shares"]))
        person.close_window()
        person.yes_and_gone("Quit")
    (kept,) = there.rglob("whole")
    assert kept.stat().st_size > 0
    with using(toolkit, usual, home, account.url, f"{toolkit}-resumes") as person:
        person.wait(lambda seen: seen["states"] == ["interrupted"])
        person.photograph("interrupted")
        person.press("retry")
        person.wait(lambda seen: seen["states"] == ["done"])
    assert filecmp.cmp(there / "film.mkv", film, shallow=False)
    assert [each.name for each in there.iterdir()] == ["film.mkv"]


def test_a_key_that_is_revoked_while_transfers_wait_leads_back_to_the_password(
    toolkit: str, tmp_path: Path, home: Path, usual: Screen, account: Account
) -> None:
    """Nobody presses anything: the next transfer is refused."""
    with using(toolkit, usual, home, account.url, f"{toolkit}-refused") as person:
        in_films(person)
        uploads_films(person, tmp_path, 6, 200_000_000)  # four of them at once
        person.wait(lambda seen: all(0 < share < 1 for share in seen["shares"][:4]))
        revoke(account)
        seen = person.wait(lambda seen: seen["page"] == "account")
        assert seen["message"] == REVOKED
        person.photograph("refused")
        in_films(person)
        person.wait(lambda seen: "interrupted" in seen["states"])
        person.photograph("signed in again")

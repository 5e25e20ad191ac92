"""The parts of a window of files that need no toolkit: its commands, and which rows of its tables change.

A window is a `Window`: a few methods that hide the widgets and dialogs of the toolkit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from files_model import Model, Transfer
from files_words import as_text, in_words

REFRESH_MS = 200  # a window shows each thing again at most once in this time
SLICE = 100  # rows that a table gets at once: with more, a click would have to wait
FILE_COLUMNS = {"filename": "File", "size": "Size", "mimetype": "Type"}
LONGEST = 60  # letters of a name in a question

Texts = tuple[str, ...]
"""The texts of a row of a table, and its tooltip behind them."""


class Window(Protocol):
    """The methods that each toolkit has in its own way."""

    def ask_text(self, title: str, question: str, text: str) -> str:
        """Ask for a text; give "" if the person gave none."""

    def sure(self, title: str, question: str) -> bool:
        """Ask whether to go on."""

    def ask_files(self, title: str) -> list[str]:
        """Ask for files on this machine."""

    def ask_folder(self, title: str) -> str:
        """Ask for a folder on this machine; give "" if the person chose none."""

    def typed(self) -> tuple[str, str, str]:
        """Give the address, the password, and the link from the mail."""

    def chosen(self, table: str) -> set[str]:
        """Give the rows that are selected in "buckets", "files" or "transfers"."""

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""

    def show_account(self) -> bool: ...
    def show_message(self) -> bool: ...
    def show_buckets(self) -> bool: ...
    def show_files(self) -> bool: ...
    def show_transfers(self) -> bool:
        """Show a part of the model. Return whether there is more to show soon."""


class Commands:
    """What a person can do: each button, key and entry of a menu calls one of these."""

    def __init__(self, model: Model, window: Window) -> None:
        self.model, self.window = model, window

    def sign_in(self) -> None:
        self.model.sign_in(*self.window.typed()[:2])

    def register(self) -> None:
        self.model.register(*self.window.typed()[:2])

    def activate(self) -> None:
        email, password, link = self.window.typed()
        self.model.activate(link, email, password)

    def sign_out(self) -> None:
        if self.may_stop("Sign out"):
            self.model.sign_out()

    def may_stop(self, what: str) -> bool:
        model = self.model
        return not model.unfinished or self.window.sure(what, f"{model.under_way} {what} all the same?")

    def new_bucket(self) -> None:
        if name := self.window.ask_text("New bucket", "Name of the bucket:", "").strip():
            self.model.create_bucket(name)

    def rename_bucket(self) -> None:
        old = self.model.bucket["name"] if self.model.bucket else ""
        if name := self.window.ask_text("Rename", "New name of the bucket:", old).strip():
            self.model.rename_bucket(name)

    def delete_bucket(self) -> None:
        name = as_text(self.model.bucket["name"])[:LONGEST] if self.model.bucket else ""
        if name and self.window.sure("Delete bucket", f"Delete {name} and its files?"):
            self.model.delete_bucket()

    def choose_bucket(self) -> None:
        bucket = self.model.chosen_bucket(self.window.chosen("buckets"))
        if bucket and not (self.model.bucket and self.model.bucket["id"] == bucket["id"]):
            self.model.choose(bucket)

    def refresh(self) -> None:
        self.model.refresh()

    def files(self) -> list[dict[str, Any]]:
        return self.model.chosen_files(self.window.chosen("files"))

    def upload(self) -> None:
        self.model.upload(self.window.ask_files("Files to upload"))

    def download(self) -> None:
        files = self.files()
        if folder := files and self.window.ask_folder("Folder to download to"):
            self.model.download(files, folder)

    def delete(self) -> None:
        files = self.files()
        what = as_text(files[0]["filename"])[:LONGEST] if len(files) == 1 else f"{len(files)} files"
        if files and self.window.sure("Delete", f"Delete {what}? That cannot be undone."):
            self.model.delete_files(files)

    def copy_hash(self) -> None:
        self.window.copy("\n".join(each["hash"] for each in self.files()))
        self.model.say("The hash is in the clipboard.")

    def transfers(self) -> list[Transfer]:
        """Return the selected transfers; if none is selected, return all."""
        rows = self.window.chosen("transfers")
        return self.model.chosen_transfers(rows) if rows else self.model.transfers

    def cancel(self) -> None:
        self.model.cancel(self.transfers())

    def retry(self) -> None:
        self.model.retry(self.transfers())

    def open(self) -> None:
        if done := [each for each in self.transfers() if each.state == "done"]:
            self.model.open(done[-1])

    def clear(self) -> None:
        self.model.clear()

    def possible(self) -> dict[str, bool]:
        """Tell which commands can do something now; the others are always possible."""
        model, transfers, chosen = self.model, self.transfers(), bool(self.window.chosen("files"))
        return {
            **dict.fromkeys(("rename_bucket", "delete_bucket", "upload"), model.bucket is not None),
            **dict.fromkeys(("download", "delete"), chosen),
            "cancel": any(each.can_cancel for each in transfers),
            "retry": any(each.can_retry for each in transfers),
            "open": any(each.state == "done" for each in transfers),
            "clear": len(model.transfers) > len(model.unfinished),
        }


def bucket_rows(model: Model) -> dict[str, Texts]:
    return {each["id"]: (as_text(each["name"]),) * 2 for each in model.buckets}


def file_rows(model: Model) -> dict[str, Texts]:
    rows: dict[str, Texts] = {}
    for each in model.files or []:
        name = as_text(each["filename"])
        rows[each["hash"]] = (name, in_words(each["size"]), as_text(each["mimetype"]), name)
    return rows


def file_titles(model: Model) -> list[str]:
    """Return the headings of the files; an arrow says which way they are sorted."""
    arrow = " ▼" if model.backwards else " ▲"
    return [title + (arrow if field == model.sort_by else "") for field, title in FILE_COLUMNS.items()]


def transfer_rows(model: Model) -> dict[str, Texts]:
    """Return the row of each transfer; the second column is a bar."""
    return {
        each.row: (("↑ " if each.up else "↓ ") + each.name, "", each.words, f"{each.name}\n{each.words}")
        for each in model.transfers
    }


@dataclass
class Changes:
    """The least that a table must change to show other rows: drop, order, insert, write."""

    rows: dict[str, Texts]
    """The rows after the change."""
    gone: list[str]
    stay: list[str]
    """The old rows that stay, in their new order."""
    moved: bool
    """Whether that is another order than before."""
    new: list[tuple[int, str]]
    """The place of each new row, from the top to the bottom."""
    written: list[str]
    """The old rows that have new texts."""
    more: bool
    """Whether there are more new rows, for the next time."""


def changes(shown: dict[str, Texts], wanted: dict[str, Texts]) -> Changes:
    """Compare the rows that are shown with those that shall be; at most SLICE new ones at a time."""
    later = set([row for row in wanted if row not in shown][SLICE:])
    rows = {row: texts for row, texts in wanted.items() if row not in later}
    stay = [row for row in rows if row in shown]
    return Changes(
        rows,
        gone=[row for row in shown if row not in rows],
        stay=stay,
        moved=stay != [row for row in shown if row in rows],
        new=[(index, row) for index, row in enumerate(rows) if row not in shown],
        written=[row for row in stay if rows[row] != shown[row]],
        more=bool(later),
    )


class Refreshes:
    """Lets a window show each thing a few times a second, however often it changes.

    Arguments:
        model: the model to show.
        window: the window that shows it.
        later: called with milliseconds and a function; the loop of the window runs the function after that time.
    """

    def __init__(self, model: Model, window: Window, later: Callable[[int, Callable[[], None]], object]) -> None:
        self.model, self.window, self.later = model, window, later
        self.shown_at: dict[str, float] = {}
        self.planned: set[str] = set()

    def begin(self) -> None:
        """Show everything, and from now on what has changed."""
        self.model.changed = self.changed
        self.changed("account")
        self.model.start()
        self._look()

    def changed(self, what: str) -> None:
        # The files of another bucket must not stay, not even for a moment.
        at_once = what in ("message", "account") or (what == "files" and self.model.files is None)
        if what == "account" and not self.model.signed_in:
            for each in ("buckets", "files", "transfers"):
                self.now(each)
        if at_once:
            self.now(what)
        else:
            self.ask(what)

    def ask(self, what: str) -> None:
        """Show it now, or when enough time has passed since the last time."""
        wait = round(1000 * (self.shown_at.get(what, 0.0) - time.monotonic())) + REFRESH_MS
        if wait <= 0:
            self.now(what)
        else:
            self._plan(what, wait)

    def now(self, what: str) -> None:
        shows: dict[str, Callable[[], bool]] = {
            "account": self.window.show_account,
            "message": self.window.show_message,
            "buckets": self.window.show_buckets,
            "files": self.window.show_files,
            "transfers": self.window.show_transfers,
        }
        more = shows[what]()
        self.shown_at[what] = time.monotonic()
        if more:
            self._plan(what, 10)

    def _look(self) -> None:
        """Show the running transfers a few times a second, even if they report progress more often."""
        self.later(REFRESH_MS, self._look)
        for each in self.model.unfinished:
            each.look()
        if self.model.unfinished:
            self.ask("transfers")

    def _plan(self, what: str, milliseconds: int) -> None:
        if what not in self.planned:
            self.planned.add(what)
            self.later(milliseconds, lambda: self._turn(what))

    def _turn(self, what: str) -> None:
        self.planned.discard(what)
        self.now(what)

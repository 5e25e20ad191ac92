"""The state of a window of files, and what a person can do there. `tk_files.py` and `qt_files.py` draw it.

A `Model` has the account, its buckets, the files of the chosen bucket, and the transfers. Every call has a callback, so
nothing here ever waits. The model tells the window what has changed, and the window shows it again.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from files_words import as_text, duration, in_order, in_words

import pymdc
from pymdc.api import ECDSA, Bucket, Buckets, Files, Keys, Users

AT_ONCE = 4  # transfers at once: more would only share the same network
SPEED_SECONDS = 3.0  # the time over which the speed of a transfer is measured
GB = 10**9
NEW_BUCKET_GB = 10
_rows = itertools.count(1)
KEY_IS_GONE = "Public key not registered"  # the bridge's words for a key that was removed
UNFINISHED = ("waiting", "running", "storing", "cancelling")


def open_file(path: str) -> None:
    """Open a file or a folder with the program that the desktop has for it."""
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - that is what the person asked for
    else:
        process = subprocess.Popen(["open" if sys.platform == "darwin" else "xdg-open", path])  # noqa: S603
        threading.Thread(target=process.wait, daemon=True).start()  # otherwise the ended process stays as a zombie


class Memory:
    """Keeps the address, the key pairs and the transfers between two runs, in a folder. Never a password."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.path = folder / "account.json"
        self.endpoint = endpoint
        self.all: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            self.all = dict(json.loads(self.path.read_text(encoding="utf-8")))

    @property
    def here(self) -> dict[str, Any]:
        here: dict[str, Any] = self.all.setdefault(self.endpoint, {"email": "", "keys": {}, "transfers": {}})
        return here

    def save(self) -> None:
        """Write it to a file that nobody else can read."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        with suppress(FileNotFoundError):
            new.unlink()
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(self.all, file)
        new.replace(self.path)

    def key_pair(self, email: str) -> ECDSA | None:
        private_key = self.here["keys"].get(email.lower())
        return ECDSA(private_key=private_key) if private_key else None

    def keep(self, email: str, key_pair: ECDSA | None) -> None:
        """Keep the address, and its key pair, or none from now on."""
        self.here["email"] = email
        self.here["keys"].pop(email.lower(), None)
        if key_pair is not None:
            self.here["keys"][email.lower()] = key_pair.get_private_key()
        self.save()


class Transfer:
    """An upload or a download.

    Arguments:
        what: `{"up": path}` or `{"down": file, "folder": path}`, each with `"bucket": id`. It is saved as it is.
    """

    def __init__(self, what: dict[str, Any], files: Files) -> None:
        self.what, self.files = what, files
        self.row = str(next(_rows))
        self.up = "up" in what
        self.name = as_text(Path(what["up"]).name if self.up else what["down"]["filename"])
        self.state, self.words = "waiting", "Waiting"
        self.done, self.total = 0, None if self.up else what["down"]["size"]
        self.path = what.get("up")
        self.handle: Any = None
        self.ended: Callable[[Transfer, Any], None]
        if self.up:
            with suppress(OSError):
                self.total = Path(what["up"]).stat().st_size

    @property
    def share(self) -> float:
        """How much is done, from 0.0 to 1.0: a number of bytes may be too large for a bar."""
        return 1.0 if self.state == "done" else min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def can_cancel(self) -> bool:
        return self.state in ("waiting", "running", "storing")

    @property
    def can_retry(self) -> bool:
        return self.state in ("failed", "cancelled", "interrupted")

    def start(self) -> None:
        self.state, self.words, self.done = "running", "Starting", 0
        self.started = time.monotonic()
        self.samples = deque([(self.started, 0)])
        hooks: dict[str, Any] = {"callback": self.came, "progress": self.progress}
        if self.up:
            self.handle = self.files.upload(self.what["up"], **hooks)
        else:
            self.handle = self.files.download(self.what["down"], path=self.what["folder"], **hooks)

    def progress(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        self.done, self.total = done, total or self.total
        self.samples.append((now, done))
        while now - self.samples[0][0] > SPEED_SECONDS and len(self.samples) > 2:
            self.samples.popleft()
        if self.state in ("running", "storing"):
            all_sent = self.up and self.total is not None and done >= self.total - 1
            self.state = "storing" if all_sent else "running"
            self.words = "Storing: the bridge has all bytes" if all_sent else self._under_way(now)

    def _under_way(self, now: float) -> str:
        since, before = self.samples[0]
        speed = (self.done - before) / (now - since) if now > since else 0.0
        if self.total is None:
            return f"{in_words(self.done)} · {in_words(speed)}/s"
        words = f"{in_words(self.done)} of {in_words(self.total)} · {in_words(speed)}/s"
        return f"{words} · {duration((self.total - self.done) / speed)} left" if speed else words

    def look(self) -> None:
        """Show no speed if no byte has moved for a while: the last speed would be wrong."""
        if self.state == "running" and time.monotonic() - self.samples[-1][0] > SPEED_SECONDS:
            of = f" of {in_words(self.total)}" if self.total is not None else ""
            self.words = f"{in_words(self.done)}{of} · waiting for the bridge"

    def cancel(self) -> None:
        if self.state == "waiting":
            self.state, self.words = "cancelled", "Cancelled"
        elif self.state in UNFINISHED and self.handle.cancel():
            self.state, self.words = "cancelling", "Cancelling"

    def came(self, value: Any) -> None:
        problem = pymdc.explain(value)
        if not problem:
            self.state, self.done, self.total = "done", value["size"], value["size"]
            self.words = f"Done · {in_words(self.done)} in {duration(time.monotonic() - self.started)}"
            self.path = value.get("path", self.path)
            if not self.up and Path(self.path).name != value["filename"]:
                self.words += f" · saved as {as_text(Path(self.path).name)}"
        else:
            self.state = "cancelled" if self.handle.cancelled() else "failed"
            self.words = "Cancelled" if self.state == "cancelled" else problem
        self.ended(self, value)


class Model:
    """Everything that a window shows, and everything that a person can do in it.

    Arguments:
        client: its scheduler makes callbacks run in the thread of the window.
        memory: what an earlier run has kept.

    Attributes:
        changed: called with the part to show again: "account", "buckets", "files", "transfers" or "message".
    """

    def __init__(self, client: pymdc.Client, memory: Memory) -> None:
        self.client, self.memory = client, memory
        self.changed: Callable[[str], None] = lambda _: None
        self.message, self.is_problem = "", False
        self.sort_by, self.backwards = "filename", False
        self.transfers: list[Transfer] = []
        self.closed = False
        self._forget()

    def _forget(self) -> None:
        """Start with nothing, so that the next account does not see or use anything of this one."""
        self.email, self.signed_in = "", False
        self._key_pair: ECDSA | None = None
        self.account = object()  # answers to the calls of another account are not for this one
        self.buckets: list[dict[str, Any]] = []
        self.bucket: dict[str, Any] | None = None
        self.files: list[dict[str, Any]] | None = None  # not known yet
        self._listing = self._list_again = False
        for transfer in self.transfers:
            transfer.cancel()
        self.transfers = []

    @property
    def key_pair(self) -> ECDSA:
        assert self._key_pair is not None  # nothing asks for it before somebody signs in
        return self._key_pair

    def say(self, message: str, problem: bool = False) -> None:
        self.message, self.is_problem = message, problem
        self.changed("message")

    def _mine(self, function: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that ignores errors, and values for an earlier account."""
        account = self.account

        def came(value: Any) -> None:
            if account is not self.account or self.closed:
                return
            problem = pymdc.explain(value)
            if problem:
                self._failed(value, problem)
            else:
                function(value)

        return came

    def _failed(self, value: Any, problem: str) -> None:
        self._listing = False
        if not self.signed_in or (isinstance(value, dict) and value["error"] == KEY_IS_GONE):
            if self.signed_in:
                problem = "This program's key was removed from the account. Sign in with the password."
                self.memory.keep(self.email, None)
            self._forget()
            self.changed("account")
        self.say(problem, problem=True)

    # The account

    def start(self) -> None:
        """Sign in again, if a key pair was kept."""
        email = self.memory.here["email"]
        if self.memory.key_pair(email) is not None:
            self.sign_in(email, "")
        else:
            self.say("Sign in, or register a new account.")

    def sign_in(self, email: str, password: str) -> None:
        kept = self.memory.key_pair(email)
        if not email or not (password or kept):
            self.say("Enter your e-mail address and your password.", problem=True)
            return
        self._forget()
        self.email, self._key_pair = email, kept or ECDSA()
        self.say("Signing in…")
        if password:
            user = Users(email, password, client=self.client)
            Keys(user, client=self.client).create(self.key_pair, callback=self._key_came())
        else:
            self.list_buckets()

    def _key_came(self) -> Callable[[Any], None]:
        go_on = self._mine(lambda _: self._keep_key())

        def came(value: Any) -> None:
            # The password was right, and the bridge knows the kept key, so use that key.
            known = isinstance(value, dict) and value.get("error") == "Public key is already registered"
            go_on({} if known else value)

        return came

    def _keep_key(self) -> None:
        self.memory.keep(self.email, self.key_pair)
        self.list_buckets()

    def register(self, email: str, password: str) -> None:
        """Register, or have the mail sent again: the bridge does that for an account that is not activated yet."""
        if not email or not password:
            self.say("Enter your e-mail address, and a password of your choice.", problem=True)
            return

        def came(value: Any) -> None:
            if isinstance(value, dict) and value.get("error") == "Email is already registered":
                again = "If it was never activated, and this is its password, the mail was sent again."
                self.say(f"There is an account of that name. {again}", problem=True)
            elif problem := pymdc.explain(value):
                self.say(problem, problem=True)
            else:
                self.say(f"Registered. The bridge sends a mail to {email}: open its link, or paste it here.")

        self.say("Registering…")
        Users(email, password, client=self.client).register(callback=came)

    def activate(self, link: str, email: str, password: str) -> None:
        """Activate the account, and sign in."""

        def came(value: Any) -> None:
            if problem := pymdc.explain(value):
                self.say(problem, problem=True)
            elif password and value["email"] == email.lower():
                self.sign_in(email, password)
            else:
                self.say(f"{value['email']} is activated: sign in.")

        if link.strip():
            self.say("Activating…")
            Users(email, password, client=self.client).activate(link.strip(), callback=came)
        else:
            self.say("Paste the link from the mail, or the token at its end.", problem=True)

    def sign_out(self) -> None:
        Keys(self.key_pair, client=self.client).delete(self.key_pair, callback=lambda _: None)
        self.memory.here["transfers"].pop(self.email.lower(), None)
        self.memory.keep(self.email, None)
        self._forget()
        self.changed("account")
        self.say("Signed out.")

    # Buckets

    def list_buckets(self) -> None:
        Buckets(self.key_pair, client=self.client).list(callback=self._mine(self._buckets_came))

    def _buckets_came(self, value: Any) -> None:
        first, self.signed_in = not self.signed_in, True
        self.buckets = sorted(value, key=lambda bucket: in_order(bucket["name"]))
        chosen = self.bucket and next((each for each in self.buckets if each["id"] == self.bucket["id"]), None)
        if not chosen:
            message = self.message
            self.choose(self.buckets[0] if self.buckets else None)
            self.say(message)
        else:
            self.bucket = chosen
            self.changed("buckets")
        if first:
            self.changed("account")
            self.say(f"Signed in as {self.email}.")
            self._bring_back()

    def choose(self, bucket: dict[str, Any] | None) -> None:
        self.say("")
        self.bucket, self.files = bucket, None
        self._listing = self._list_again = False
        self.changed("buckets")
        self.changed("files")
        self.list_files()

    def create_bucket(self, name: str) -> None:
        def made(bucket: Any) -> None:
            self.choose(bucket)
            self.say(f"Made the bucket {as_text(bucket['name'])}.")
            self.list_buckets()

        Buckets(self.key_pair, client=self.client).create(
            name, NEW_BUCKET_GB, NEW_BUCKET_GB, [self.key_pair], callback=self._mine(made)
        )

    def rename_bucket(self, name: str) -> None:
        if self.bucket is not None:
            self._at(self.bucket).patch({"name": name}, callback=self._mine(lambda _: self.list_buckets()))

    def delete_bucket(self) -> None:
        if self.bucket is not None:
            words = f"Deleted the bucket {as_text(self.bucket['name'])}."

            def gone(_: Any) -> None:
                self.say(words)
                self.list_buckets()

            self._at(self.bucket).delete(callback=self._mine(gone))

    def _at(self, bucket: dict[str, Any]) -> Bucket:
        return Bucket(bucket, self.key_pair, client=self.client)

    @property
    def fullness(self) -> tuple[float, str]:
        """How full the bucket is, from 0.0 to 1.0, and in words."""
        if self.bucket is None or self.files is None:
            return 0.0, ""
        used, allowed = sum(file["size"] for file in self.files), self.bucket["storage"] * GB
        return min(1.0, used / allowed if allowed else 1.0), f"{in_words(used)} of {in_words(allowed)}"

    # Files

    def list_files(self) -> None:
        """List the files. While a list is being fetched, further requests wait for the same list."""
        bucket = self.bucket
        if bucket is None or self._listing:
            self._list_again = self._listing
            return
        self._listing = True

        def came(value: Any) -> None:
            if bucket["id"] != (self.bucket and self.bucket["id"]):
                return
            self._listing, again, self._list_again = False, self._list_again, False
            self.files = value
            self.sort(self.sort_by, self.backwards)
            if again:
                self.list_files()

        self._at(bucket).files.list(callback=self._mine(came))

    def sort(self, by: str, backwards: bool | None = None) -> None:
        """Sort by "filename", "size" or "mimetype"; the same column again sorts in the other direction."""
        self.backwards = (by == self.sort_by and not self.backwards) if backwards is None else backwards
        self.sort_by = by

        def key(file: dict[str, Any]) -> Any:
            return in_order(file[by]) if isinstance(file[by], str) else file[by]

        self.files = sorted(self.files or [], key=key, reverse=self.backwards) if self.files is not None else None
        self.changed("files")

    def refresh(self) -> None:
        self.list_buckets()
        self.list_files()

    def delete_files(self, files: list[dict[str, Any]]) -> None:
        self.say("")
        for file in files:
            if self.bucket is not None:
                self._at(self.bucket).files.delete(file, callback=self._mine(lambda _: self.list_files()))

    @property
    def hint(self) -> str:
        """What to do if there is nothing to show."""
        if not self.buckets:
            return "There is no bucket yet. Make one with New."
        if self.files is None:
            return "Loading…"
        return "" if self.files else "This bucket is empty. Upload files to it."

    # Transfers

    def upload(self, paths: list[str]) -> None:
        if self.bucket is None:
            self.say("Make a bucket first, with New.", problem=True)
            return
        self.say("")
        folders = [path for path in paths if Path(path).is_dir()]
        if folders:
            self.say(f"Folders cannot be uploaded: {as_text(Path(folders[0]).name)}.", problem=True)
        self._add([{"up": path, "bucket": self.bucket["id"]} for path in paths if path not in folders])

    def download(self, files: list[dict[str, Any]], folder: str) -> None:
        self.say("")
        if self.bucket is not None:
            self._add([{"down": file, "folder": folder, "bucket": self.bucket["id"]} for file in files])

    def _add(self, all_of: list[dict[str, Any]]) -> None:
        self.transfers += [self._made(what) for what in all_of]
        self._go_on()

    def _made(self, what: dict[str, Any]) -> Transfer:
        account = self.account
        transfer = Transfer(what, Files(what["bucket"], self.key_pair, client=self.client))
        transfer.ended = lambda transfer, value: self._ended(transfer, value) if account is self.account else None
        return transfer

    def _go_on(self) -> None:
        """Start the transfers whose turn it is, and save those that are not done."""
        running = sum(each.state in UNFINISHED[1:] for each in self.transfers)
        for transfer in self.transfers:
            if transfer.state == "waiting" and running < AT_ONCE:
                running += 1
                transfer.start()
        self.remember()
        self.changed("transfers")

    def _ended(self, transfer: Transfer, value: Any) -> None:
        if self.closed:
            return
        if isinstance(value, dict) and value.get("error") == KEY_IS_GONE:
            self._failed(value, transfer.words)  # the transfers are kept, for when the person has signed in again
            return
        if transfer.state == "failed":
            self.say(f"{transfer.name}: {transfer.words}", problem=True)
        here = self.bucket is not None and transfer.what["bucket"] == self.bucket["id"]
        if transfer.up and here and transfer.state == "done":
            self._tell_of_renaming(value)
            self.list_files()
        self._go_on()

    def _tell_of_renaming(self, value: dict[str, Any]) -> None:
        """Tell if the bucket had this content: it holds each content once, under its latest name."""
        for file in self.files or []:
            if file["hash"] == value["hash"] and file["filename"] != value["filename"]:
                old, new = as_text(file["filename"]), as_text(value["filename"])
                self.say(f"{old} had the same content. The bucket keeps it once: it is now called {new}.")

    def cancel(self, transfers: list[Transfer]) -> None:
        for transfer in transfers:
            transfer.cancel()
        self._go_on()

    def retry(self, transfers: list[Transfer]) -> None:
        """Start it again; a download continues where it stopped."""
        self.say("")
        for transfer in transfers:
            if transfer.can_retry:
                transfer.state, transfer.words = "waiting", "Waiting"
        self._go_on()

    def clear(self) -> None:
        """Forget the transfers that have ended, and remove the parts of failed downloads."""
        ended = [each for each in self.transfers if each.state not in UNFINISHED]
        for transfer in ended:
            if not transfer.up and transfer.state != "done":
                transfer.files.discard(transfer.what["down"], transfer.what["folder"])
        self.transfers = [each for each in self.transfers if each not in ended]
        self._go_on()

    def open(self, transfer: Transfer) -> None:
        """Open the local file of a transfer."""
        try:
            open_file(str(transfer.path))
        except OSError as error:
            self.say(pymdc.explain(error), problem=True)

    def chosen_transfers(self, rows: Collection[str]) -> list[Transfer]:
        """Return the transfers of these rows; a row may still be shown when its transfer is gone."""
        return [each for each in self.transfers if each.row in rows]

    def chosen_files(self, rows: Collection[str]) -> list[dict[str, Any]]:
        """Return the files of these rows: a bucket holds a content once, so the hash names the row."""
        return [each for each in self.files or [] if each["hash"] in rows]

    def chosen_bucket(self, rows: Collection[str]) -> dict[str, Any] | None:
        return next((each for each in self.buckets if each["id"] in rows), None)

    @property
    def unfinished(self) -> list[Transfer]:
        return [each for each in self.transfers if each.state in UNFINISHED]

    @property
    def under_way(self) -> str:
        """Say how many transfers are running."""
        number = len(self.unfinished)
        return "One transfer is under way." if number == 1 else f"{number} transfers are under way."

    @property
    def total(self) -> tuple[float, str]:
        """How much of all transfers is done, from 0.0 to 1.0, and in words."""
        if not self.transfers:
            return 0.0, ""
        counted = [each for each in self.transfers if each.state in (*UNFINISHED, "done")]
        done, whole = sum(each.done for each in counted), sum(each.total or 0 for each in counted)
        finished = sum(each.state == "done" for each in counted)
        failed = sum(each.state == "failed" for each in self.transfers)
        words = f"{finished} of {len(self.transfers)} done"
        words += f" · {in_words(done)} of {in_words(whole)}" if counted else ""
        return done / whole if whole else 0.0, f"{words} · {failed} failed" if failed else words

    def remember(self) -> None:
        wanted = [each.what for each in self.transfers if each.state in (*UNFINISHED, "interrupted", "failed")]
        kept = self.memory.here["transfers"]
        if self.signed_in and not self.closed and kept.get(self.email.lower(), []) != wanted:
            kept[self.email.lower()] = wanted
            self.memory.save()

    def _bring_back(self) -> None:
        """Show the transfers that the end of the program interrupted."""
        kept = list(self.memory.here["transfers"].get(self.email.lower(), []))
        for what in kept:
            transfer = self._made(what)
            transfer.state, transfer.words = "interrupted", "Interrupted: press Retry to go on"
            self.transfers.append(transfer)
        self.changed("transfers")

    def close(self) -> None:
        """End everything within a second, whatever the bridge does. Running transfers are remembered."""
        self.closed = True
        self.client.close(cancel=True)


def config_folder() -> Path:
    """Return the folder where a person's programs keep their settings."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or Path.home() / ".config"
    return Path(base) / "pymdc-files"


@contextmanager
def bridge(mailed: Callable[[str], object]) -> Iterator[str]:
    """Give the URL of the bridge in STORJ_BRIDGE, or start our own bridge and give its URL.

    Arguments:
        mailed: called with the token of each activation mail of our own bridge, in a thread of the bridge.
    """
    named = os.environ.get("STORJ_BRIDGE")
    if named:
        yield named
        return
    try:
        from pymdc.bridge.server import BridgeThread
        from pymdc.bridge.settings import Settings
    except ImportError:
        sys.exit('Name a bridge in STORJ_BRIDGE, or install what a bridge of your own needs: pip install ".[bridge]"')
    data = Path(sys.argv[1] if len(sys.argv) > 1 else Path.home() / "pymdc-files")

    def came(mail: Any) -> None:
        mailed(mail.token)

    with BridgeThread(Settings(data=data, port=0, on_mail=came)) as thread:
        yield thread.url

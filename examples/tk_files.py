"""The files in your buckets, in a window. With Tk.

    python examples/tk_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
"""

from __future__ import annotations

import os
import sys
import tkinter
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from pathlib import Path
from tkinter import filedialog, ttk
from typing import Any
from urllib.error import URLError

import pymdc
from pymdc.api import Bucket, Buckets, Users


def problem(value: Any) -> str | None:
    """Say in words what went wrong with a call, or `None` if nothing did."""
    if isinstance(value, CancelledError):
        return "Cancelled"
    if isinstance(value, URLError):
        return f"The bridge cannot be reached: {value.reason}"
    if isinstance(value, TimeoutError):
        return "The bridge does not answer"
    if isinstance(value, Exception):
        return str(value) or type(value).__name__
    if isinstance(value, dict) and "error" in value:
        return str(value["error"])
    return None


def in_words(size: float) -> str:
    """Say how much that is: 1234567 is "1.2 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class Transfer(ttk.Frame):
    """A row for an upload or a download: what it is, how far it is, and a button that cancels it."""

    def __init__(self, parent: tkinter.Misc, title: str, start: Callable[..., Any], ended: Callable[[], None]) -> None:
        super().__init__(parent)
        self.ended = ended
        self.columnconfigure(1, weight=1)
        ttk.Label(self, text=title, width=34, anchor="w").grid(row=0, column=0, padx=(0, 8))
        self.bar = ttk.Progressbar(self, maximum=1.0)
        self.bar.grid(row=0, column=1, sticky="ew")
        self.words = ttk.Label(self, text="Waiting", width=34, anchor="w")
        self.words.grid(row=0, column=2, padx=8)
        self.button = ttk.Button(self, text="Cancel", command=self.cancel)
        self.button.grid(row=0, column=3)
        self.handle = start(callback=self.end, progress=self.progress)

    def progress(self, done: int, total: int | None) -> None:
        self.bar["value"] = done / total if total else 0.0
        self.words["text"] = f"{in_words(done)} of {in_words(total)}" if total else in_words(done)

    def cancel(self) -> None:
        self.words["text"] = "Cancelling"
        self.handle.cancel()

    def end(self, value: Any) -> None:
        self.bar["value"] = self.bar["value"] if problem(value) else 1.0
        self.words["text"] = problem(value) or f"Done, {in_words(value['size'])}"
        self.button.configure(text="Clear", command=self.destroy)
        self.ended()


class Window:
    """The window. Every call has a callback, so nothing here ever waits."""

    def __init__(self, root: tkinter.Tk, client: pymdc.Client) -> None:
        self.root, self.client = root, client
        self.user: Users | None = None
        self.bucket: Bucket | None = None
        self.buckets: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.transfers: list[Transfer] = []
        root.title("Files")
        root.geometry("1000x640")
        root.protocol("WM_DELETE_WINDOW", self.close)
        style = ttk.Style(root)
        style.theme_use("clam")
        style.configure("TProgressbar", background="#3584e4")
        self.status = ttk.Label(root, padding=(8, 4), relief="sunken")
        self.status.pack(side="bottom", fill="x")
        self.build_transfers(ttk.LabelFrame(root, text="Transfers", padding=8))
        self.build_account(ttk.Frame(root, padding=(8, 8, 8, 4)))
        self.build_activation(ttk.Frame(root, padding=(8, 0, 8, 8)))
        self.build_browser(ttk.Frame(root, padding=(8, 0)))
        self.say("Log in, or register a new account.")

    def build_account(self, frame: ttk.Frame) -> None:
        self.email, self.password = ttk.Entry(frame), ttk.Entry(frame, show="•")
        self.log_in = ttk.Button(frame, text="Log in", command=self.list_buckets)
        self.register = ttk.Button(frame, text="Register", command=self.start_registering)
        words = ttk.Label(frame, text="E-mail"), ttk.Label(frame, text="Password")
        self.build_line(frame, words[0], self.email, words[1], self.password, self.log_in, self.register)

    def build_activation(self, frame: ttk.Frame) -> None:
        self.token = ttk.Entry(frame)
        self.activate = ttk.Button(frame, text="Activate", command=self.start_activating)
        self.build_line(frame, ttk.Label(frame, text="Token from the mail"), self.token, self.activate)

    def build_line(self, frame: ttk.Frame, *parts: ttk.Widget) -> None:
        frame.pack(fill="x")
        for part in parts:
            part.pack(side="left", padx=(0, 8), fill="x", expand=isinstance(part, ttk.Entry))

    def build_transfers(self, frame: ttk.LabelFrame) -> None:
        frame.pack(side="bottom", fill="x", padx=8, pady=8)
        canvas = tkinter.Canvas(frame, height=230, highlightthickness=0)  # Tk's way to have rows that scroll
        scrollbar = ttk.Scrollbar(frame, command=canvas.yview)
        scrollbar.pack(side="right", fill="y")
        canvas.pack(side="left", fill="x", expand=True)
        canvas.configure(yscrollcommand=scrollbar.set)
        self.rows = ttk.Frame(canvas)
        rows = canvas.create_window(0, 0, anchor="nw", window=self.rows)
        self.rows.bind("<Configure>", lambda _: canvas.configure(scrollregion=canvas.bbox("all")))
        canvas.bind("<Configure>", lambda event: canvas.itemconfigure(rows, width=event.width))

    def build_browser(self, frame: ttk.Frame) -> None:
        frame.pack(fill="both", expand=True)
        frame.columnconfigure(3, weight=1)
        frame.rowconfigure(0, weight=1)
        self.bucket_list = ttk.Treeview(frame, selectmode="browse")
        self.bucket_list.heading("#0", text="Bucket", anchor="w")
        self.bucket_list.bind("<<TreeviewSelect>>", lambda _: self.choose_bucket())
        self.bucket_list.grid(row=0, column=0, columnspan=2, sticky="nsew")
        self.name = ttk.Entry(frame)
        self.name.grid(row=1, column=0, pady=8)
        self.create = ttk.Button(frame, text="Create bucket", command=self.create_bucket)
        self.create.grid(row=1, column=1, padx=8)
        self.file_list = ttk.Treeview(frame, columns=("size", "type"))
        for column, title, width in (("#0", "File", 320), ("size", "Size", 100), ("type", "Type", 160)):
            self.file_list.heading(column, text=title, anchor="w")
            self.file_list.column(column, width=width)
        self.file_list.grid(row=0, column=2, columnspan=3, sticky="nsew", padx=(8, 0))
        self.upload = ttk.Button(frame, text="Upload files…", command=self.upload_files)
        self.upload.grid(row=1, column=2, padx=8)
        self.download = ttk.Button(frame, text="Download the selected files…", command=self.download_files)
        self.download.grid(row=1, column=3, sticky="w")

    def say(self, text: str) -> None:
        self.status["text"] = text

    def went_wrong(self, value: Any) -> bool:
        """Show what went wrong, if anything did."""
        words = problem(value)
        if words:
            self.say(words)
        return words is not None

    def account(self) -> Users:
        return Users(self.email.get(), self.password.get(), client=self.client)

    def start_registering(self) -> None:
        if self.password.get():
            self.say("Registering…")
            self.account().register(callback=self.registered)
        else:
            self.say("Choose a password.")

    def registered(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.say(f"A mail is on its way to {value['email']}. Enter the token at the end of its link.")

    def mailed(self, token: str) -> None:
        self.token.delete(0, "end")
        self.token.insert(0, token)
        self.start_activating()

    def start_activating(self) -> None:
        token = self.token.get().strip()
        if token:
            self.account().activate(token, callback=self.activated)
        else:
            self.say("Enter the token at the end of the link in the mail.")

    def activated(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.token.delete(0, "end")
            self.list_buckets()

    def list_buckets(self) -> None:
        self.say("Logging in…")
        self.user = self.account()
        Buckets(self.user, client=self.client).list(callback=self.show_buckets)

    def show_buckets(self, value: Any) -> None:
        if self.went_wrong(value):
            return
        self.say(f"Buckets: {len(value)}")
        self.buckets = value
        self.bucket_list.delete(*self.bucket_list.get_children())
        for index, bucket in enumerate(value):
            self.bucket_list.insert("", "end", iid=str(index), text=bucket["name"])

    def create_bucket(self) -> None:
        if self.user and self.name.get():
            Buckets(self.user, client=self.client).create(self.name.get(), 10, 10, [], callback=self.created)
        else:
            self.say("Log in first, and give the bucket a name.")

    def created(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.name.delete(0, "end")
            self.list_buckets()

    def choose_bucket(self) -> None:
        for index in self.bucket_list.selection():
            self.bucket = Bucket(self.buckets[int(index)], self.user, client=self.client)
        self.list_files()

    def list_files(self) -> None:
        bucket = self.bucket
        if bucket is not None:  # and when the answer comes, it may be another one
            bucket.files.list(callback=lambda value: self.show_files(value) if bucket is self.bucket else None)

    def show_files(self, value: Any) -> None:
        if self.went_wrong(value) or value == self.files:  # the same again: what is selected stays selected
            return
        self.files = value
        self.file_list.delete(*self.file_list.get_children())
        for index, file in enumerate(value):
            columns = (in_words(file["size"]), file["mimetype"])
            self.file_list.insert("", "end", iid=str(index), text=file["filename"], values=columns)

    def upload_files(self) -> None:
        if self.bucket is None:
            self.say("Choose a bucket first.")
        else:
            for path in filedialog.askopenfilenames(parent=self.root, title="Files to upload"):
                self.transfer(f"↑ {Path(path).name}", self.bucket.files.upload, path)

    def download_files(self) -> None:
        chosen = [self.files[int(index)] for index in self.file_list.selection()]
        if self.bucket is None or not chosen:
            self.say("Choose files first.")
        elif folder := filedialog.askdirectory(parent=self.root, title="Folder to download to"):
            for file in chosen:
                self.transfer(f"↓ {file['filename']}", self.bucket.files.download, file, path=folder)

    def transfer(self, title: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        row = Transfer(self.rows, title, lambda **hooks: call(*arguments, **more, **hooks), self.list_files)
        row.pack(side="bottom", fill="x", pady=2)  # the newest above the others
        self.transfers.append(row)

    def close(self) -> None:
        for transfer in self.transfers:
            transfer.handle.cancel()
        self.root.destroy()


def main() -> None:
    with ExitStack() as stack:
        root = tkinter.Tk()
        schedule = pymdc.schedulers.tk(root)
        endpoint = os.environ.get("STORJ_BRIDGE")
        if not endpoint:
            from pymdc.bridge.server import BridgeThread
            from pymdc.bridge.settings import Settings

            data = Path(sys.argv[1] if len(sys.argv) > 1 else Path.home() / "pymdc-files")

            def mailed(mail: Any) -> None:  # in a thread of the bridge
                schedule(lambda: window.mailed(mail.token))

            endpoint = stack.enter_context(BridgeThread(Settings(data=data, port=0, on_mail=mailed))).url
        client = stack.enter_context(pymdc.Client(endpoint, scheduler=schedule))
        window = Window(root, client)
        root.mainloop()


if __name__ == "__main__":
    main()

"""The files in your buckets, in a window. With Qt: `pip install PySide6`.

    python examples/qt_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError

from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

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


def button(text: str, clicked: Callable[[], None]) -> QPushButton:
    """Make a button. What is clicked gets no argument, whatever Qt says."""
    made = QPushButton(text)
    made.clicked.connect(lambda: clicked())
    return made


class Transfer(QWidget):
    """A row for an upload or a download: what it is, how far it is, and a button that cancels it."""

    def __init__(self, title: str, start: Callable[..., Any], ended: Callable[[], None]) -> None:
        super().__init__()
        self.ended = ended
        self.bar = QProgressBar(maximum=1000)
        self.words = QLabel("Waiting")
        self.button = button("Cancel", self.pressed)
        name = QLabel(title)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part, share in ((name, 3), (self.bar, 4), (self.words, 3), (self.button, 0)):
            row.addWidget(part, share)
        self.handle = start(callback=self.end, progress=self.progress)

    def progress(self, done: int, total: int | None) -> None:
        self.bar.setValue(1000 * done // total if total else 0)
        self.words.setText(f"{in_words(done)} of {in_words(total)}" if total else in_words(done))

    def pressed(self) -> None:
        if self.button.text() == "Clear":
            self.deleteLater()
        else:
            self.words.setText("Cancelling")
            self.handle.cancel()

    def end(self, value: Any) -> None:
        if not problem(value):
            self.bar.setValue(1000)
        self.words.setText(problem(value) or f"Done, {in_words(value['size'])}")
        self.button.setText("Clear")
        self.ended()


class Window(QMainWindow):
    """The window. Every call has a callback, so nothing here ever waits."""

    def __init__(self, client: pymdc.Client) -> None:
        super().__init__()
        self.client = client
        self.user: Users | None = None
        self.bucket: Bucket | None = None
        self.buckets: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.transfers: list[Transfer] = []
        self.setWindowTitle("Files")
        self.resize(1000, 640)
        page, rows = QWidget(), QWidget()
        self.rows = QVBoxLayout(rows)
        self.rows.addStretch()
        scroll = QScrollArea(widgetResizable=True)
        scroll.setWidget(rows)
        whole = QVBoxLayout(page)
        whole.addLayout(self.account_row())
        whole.addLayout(self.browser(), 3)
        whole.addWidget(QLabel("Transfers"))
        whole.addWidget(scroll, 2)
        self.setCentralWidget(page)
        self.say("Log in, or register a new account.")

    def account_row(self) -> QHBoxLayout:
        self.email, self.password, self.token = QLineEdit(), QLineEdit(), QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.log_in = button("Log in", self.list_buckets)
        self.register = button("Register", self.start_registering)
        self.activate = button("Activate", self.start_activating)
        row = QHBoxLayout()
        for part in (QLabel("E-mail"), self.email, QLabel("Password"), self.password, self.log_in, self.register):
            row.addWidget(part)
        for part in (QLabel("Token from the mail"), self.token, self.activate):
            row.addWidget(part)
        return row

    def browser(self) -> QGridLayout:
        self.bucket_list, self.file_list = QListWidget(), QTreeWidget()
        self.bucket_list.itemSelectionChanged.connect(self.choose_bucket)
        self.file_list.setHeaderLabels(["File", "Size", "Type"])
        self.file_list.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.file_list.setRootIsDecorated(False)
        self.file_list.setColumnWidth(0, 320)
        self.name = QLineEdit(placeholderText="Name")
        self.create_button = button("Create bucket", self.create_bucket)
        self.upload = button("Upload files…", self.upload_files)
        self.download = button("Download the selected files…", self.download_files)
        grid = QGridLayout()
        grid.addWidget(self.bucket_list, 0, 0, 1, 2)
        grid.addWidget(self.file_list, 0, 2, 1, 3)
        for column, part in enumerate((self.name, self.create_button, self.upload, self.download)):
            grid.addWidget(part, 1, column)
        grid.setColumnStretch(4, 1)
        return grid

    def say(self, text: str) -> None:
        self.statusBar().showMessage(text)

    def went_wrong(self, value: Any) -> bool:
        """Show what went wrong, if anything did."""
        words = problem(value)
        if words:
            self.say(words)
        return words is not None

    def account(self) -> Users:
        return Users(self.email.text(), self.password.text(), client=self.client)

    def start_registering(self) -> None:
        if self.password.text():
            self.say("Registering…")
            self.account().register(callback=self.registered)
        else:
            self.say("Choose a password.")

    def registered(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.say(f"A mail is on its way to {value['email']}. Enter the token at the end of its link.")

    def mailed(self, token: str) -> None:
        self.token.setText(token)
        self.start_activating()

    def start_activating(self) -> None:
        token = self.token.text().strip()
        if token:
            self.account().activate(token, callback=self.activated)
        else:
            self.say("Enter the token at the end of the link in the mail.")

    def activated(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.token.clear()
            self.list_buckets()

    def list_buckets(self) -> None:
        self.say("Logging in…")
        self.user = self.account()
        Buckets(self.user, client=self.client).list(callback=self.show_buckets)

    def show_buckets(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.say(f"Buckets: {len(value)}")
            self.buckets = value
            self.bucket_list.clear()
            self.bucket_list.addItems([bucket["name"] for bucket in value])

    def create_bucket(self) -> None:
        if self.user and self.name.text():
            Buckets(self.user, client=self.client).create(self.name.text(), 10, 10, [], callback=self.created)
        else:
            self.say("Log in first, and give the bucket a name.")

    def created(self, value: Any) -> None:
        if not self.went_wrong(value):
            self.name.clear()
            self.list_buckets()

    def choose_bucket(self) -> None:
        for index in self.bucket_list.selectedIndexes():
            self.bucket = Bucket(self.buckets[index.row()], self.user, client=self.client)
        self.list_files()

    def list_files(self) -> None:
        bucket = self.bucket
        if bucket is not None:  # and when the answer comes, it may be another one
            bucket.files.list(callback=lambda value: self.show_files(value) if bucket is self.bucket else None)

    def show_files(self, value: Any) -> None:
        if not self.went_wrong(value) and value != self.files:  # else what is selected would not stay selected
            self.files = value
            self.file_list.clear()
            for file in value:
                columns = [file["filename"], in_words(file["size"]), file["mimetype"]]
                self.file_list.addTopLevelItem(QTreeWidgetItem(columns))

    def upload_files(self) -> None:
        if self.bucket is None:
            self.say("Choose a bucket first.")
        else:
            for path in QFileDialog.getOpenFileNames(self, "Files to upload")[0]:
                self.transfer(f"↑ {Path(path).name}", self.bucket.files.upload, path)

    def download_files(self) -> None:
        chosen = [self.files[index.row()] for index in self.file_list.selectedIndexes() if index.column() == 0]
        if self.bucket is None or not chosen:
            self.say("Choose files first.")
        elif folder := QFileDialog.getExistingDirectory(self, "Folder to download to"):
            for file in chosen:
                self.transfer(f"↓ {file['filename']}", self.bucket.files.download, file, path=folder)

    def transfer(self, title: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        row = Transfer(title, lambda **hooks: call(*arguments, **more, **hooks), self.list_files)
        self.rows.insertWidget(0, row)  # the newest above the others
        self.transfers.append(row)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        for transfer in self.transfers:
            transfer.handle.cancel()
        super().closeEvent(event)


def main() -> None:
    with ExitStack() as stack:
        app = QApplication([])
        schedule = pymdc.schedulers.qt()
        endpoint = os.environ.get("STORJ_BRIDGE")
        if not endpoint:
            from pymdc.bridge.server import BridgeThread
            from pymdc.bridge.settings import Settings

            data = Path(sys.argv[1] if len(sys.argv) > 1 else Path.home() / "pymdc-files")

            def mailed(mail: Any) -> None:  # in a thread of the bridge
                schedule(lambda: window.mailed(mail.token))

            endpoint = stack.enter_context(BridgeThread(Settings(data=data, port=0, on_mail=mailed))).url
        client = stack.enter_context(pymdc.Client(endpoint, scheduler=schedule))
        window = Window(client)
        window.show()
        app.exec()


if __name__ == "__main__":
    main()

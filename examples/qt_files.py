"""The files in your buckets, in a window. With Qt: `pip install PySide6`.

    python examples/qt_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
What is no matter of windows is in `files_model.py`.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

try:
    from files_model import (
        REFRESH_MS,
        Memory,
        Model,
        Refreshes,
        Texts,
        Transfer,
        as_text,
        bridge,
        changes,
        config_folder,
        in_words,
    )
    from PySide6.QtCore import QItemSelection, QSize, Qt, QTimer, QtMsgType, qInstallMessageHandler
    from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
    from PySide6.QtWidgets import (
        QAbstractItemView,
        QApplication,
        QFileDialog,
        QFormLayout,
        QHBoxLayout,
        QHeaderView,
        QInputDialog,
        QLabel,
        QLineEdit,
        QMainWindow,
        QMessageBox,
        QProgressBar,
        QPushButton,
        QSplitter,
        QStackedWidget,
        QStyle,
        QStyledItemDelegate,
        QStyleOptionProgressBar,
        QTreeWidget,
        QTreeWidgetItem,
        QVBoxLayout,
        QWidget,
    )

    import pymdc
except ImportError as missing:
    sys.exit(
        f'This program needs Qt (pip install "PySide6<6.12", Debian: libegl1) and pymdc (pip install .): {missing}.'
    )

ROW = Qt.ItemDataRole.UserRole  # where an item keeps the name of its row
FILE_COLUMNS = (("filename", "File"), ("size", "Size"), ("mimetype", "Type"))


def plain(text: str) -> str:
    """Return what a tooltip shows as this text: Qt takes for HTML what looks like it."""
    return f"<span style='white-space: pre-wrap'>{html.escape(text)}</span>"


def label(text: str = "") -> QLabel:
    """Make a label that shows text as text, on as many lines as it needs."""
    made = QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    made.setMinimumWidth(1)  # a long word must not widen the window
    return made


def button(text: str, clicked: Callable[[], object]) -> QPushButton:
    """Make a button. What is clicked gets no argument, whatever Qt says; Return presses it as well."""
    made = QPushButton(text, autoDefault=True)
    made.clicked.connect(lambda: clicked())
    return made


def line(*parts: QWidget | int) -> QHBoxLayout:
    """Lay parts out from left to right; a number is a stretch."""
    made = QHBoxLayout()
    for part in parts:
        if isinstance(part, int):
            made.addStretch(part)
        else:
            made.addWidget(part)
    return made


def column(*parts: QWidget | QHBoxLayout) -> QWidget:
    """Lay parts out from top to bottom."""
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if isinstance(part, QHBoxLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part, isinstance(part, QTreeWidget))
    return made


class Bars(QStyledItemDelegate):
    """Draws the bar of a transfer as the style of the desktop does. Its numbers are per mille, never bytes."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        bar = QStyleOptionProgressBar()
        bar.rect = option.rect.adjusted(2, 2, -2, -2)
        bar.palette, bar.direction, bar.fontMetrics = option.palette, option.direction, option.fontMetrics
        bar.state = option.state | QStyle.StateFlag.State_Horizontal
        bar.minimum, bar.maximum, bar.progress = 0, 1000, round(1000 * (index.data(ROW) or 0.0))
        bar.text, bar.textVisible, bar.textAlignment = f"{bar.progress // 10} %", True, Qt.AlignmentFlag.AlignCenter
        QApplication.style().drawControl(QStyle.ControlElement.CE_ProgressBar, bar, painter)


class Table(QTreeWidget):
    """A table whose rows have names, which keeps what is selected when it is shown again."""

    def __init__(self, titles: list[str], several: bool, hint: bool = False) -> None:
        super().__init__()
        modes = QAbstractItemView.SelectionMode
        self.setSelectionMode(modes.ExtendedSelection if several else modes.SingleSelection)
        self.setHeaderLabels(titles)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAllColumnsShowFocus(True)
        self.setTabKeyNavigation(False)
        self.setMinimumSize(60, 40)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.items: dict[str, QTreeWidgetItem] = {}
        self.shown: dict[str, Texts] = {}
        self.hint = label()
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        if hint:
            QVBoxLayout(self.viewport()).addWidget(self.hint)
            self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(100, 60)

    def show_rows(self, rows: dict[str, Texts]) -> bool:
        """Show these rows: the texts of each, and its tooltip behind them. Return whether more of them are to come."""
        change = changes(self.shown, rows)
        for row in change.gone:
            self.takeTopLevelItem(self.indexOfTopLevelItem(self.items.pop(row)))
        if change.moved:
            chosen = self.chosen()
            self.invisibleRootItem().takeChildren()
            self.addTopLevelItems([self.items[row] for row in change.stay])
            self.select(chosen)
        for index, row in change.new:
            self.items[row] = QTreeWidgetItem()
            self.items[row].setData(0, ROW, row)
            self.write(self.items[row], change.rows[row])
            self.insertTopLevelItem(index, self.items[row])
        for row in change.written:
            self.write(self.items[row], change.rows[row])
        self.shown = change.rows
        return change.more

    def write(self, item: QTreeWidgetItem, texts: Texts) -> None:
        """Write into an item what it does not show yet."""
        tip = plain(texts[-1])
        for place, text in enumerate(texts[:-1]):
            if item.text(place) != text:
                item.setText(place, text)
        if item.toolTip(0) != tip:
            item.setToolTip(0, tip)
            item.setToolTip(len(texts) - 2, tip)

    def chosen(self) -> list[str]:
        return [item.data(0, ROW) for item in self.selectedItems()]

    def select(self, rows: list[str]) -> None:
        """Select these rows, all at once: one by one, each would be compared with all that are selected."""
        model, flags = self.model(), self.selectionModel().SelectionFlag
        places = sorted(self.indexOfTopLevelItem(self.items[row]) for row in rows)
        selection = QItemSelection()
        start = 0
        for end, place in enumerate(places, 1):
            if end == len(places) or places[end] != place + 1:  # the end of rows without a gap
                selection.select(model.index(places[start], 0), model.index(place, self.columnCount() - 1))
                start = end
        was = self.blockSignals(True)
        self.selectionModel().select(selection, flags.ClearAndSelect)
        if places:
            self.selectionModel().setCurrentIndex(model.index(places[-1], 0), flags.NoUpdate)
        self.blockSignals(was)


class Window(QMainWindow):
    """The window. It shows what the model knows, and asks the model for what a person wants."""

    def __init__(self, model_of: Callable[[Callable[[str], None]], Model]) -> None:
        super().__init__()
        self.message = label()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.build_account())
        self.pages.addWidget(self.build_files())
        self.setCentralWidget(column(self.message))
        self.centralWidget().layout().insertWidget(0, self.pages, 1)
        self.centralWidget().layout().setContentsMargins(8, 8, 8, 8)
        self.setWindowTitle("Files")
        room = self.screen().availableSize() - QSize(10, 40)  # for the frame
        self.resize(room.boundedTo(QSize(1000, 680)))
        self.setAcceptDrops(True)
        shows = {"buckets": self.show_buckets, "files": self.show_files, "transfers": self.show_transfers}
        self.refreshes = Refreshes(shows, lambda wait, show: QTimer.singleShot(wait, self, show))
        self.model = model_of(self.changed)
        self.email.setText(self.model.memory.here["email"])
        self.changed("account")
        self.model.start()
        self.timer = QTimer(self, interval=REFRESH_MS)
        self.timer.timeout.connect(lambda: self.refreshes.ask("transfers") if self.model.unfinished else None)
        self.timer.start()

    # What it is made of

    def build_account(self) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        self.email, self.password, self.link = QLineEdit(), QLineEdit(), QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.sign_in = button("&Sign in", lambda: self.model.sign_in(*self.typed()))
        self.register = button("&Register, or send the mail again", self.registers)
        self.activate = button("&Activate", lambda: self.model.activate(self.link.text(), *self.typed()))
        form.addRow("&E-mail", self.email)
        form.addRow("&Password", self.password)
        form.addRow("", line(self.sign_in, 1, self.register))
        form.addRow(label("New here? Register. The bridge sends you a mail: paste its link, and you are in."))
        form.addRow("&Link or token", self.link)
        form.addRow("", line(self.activate, 1))
        self.email.returnPressed.connect(self.password.setFocus)
        self.password.returnPressed.connect(self.sign_in.click)
        self.link.returnPressed.connect(self.activate.click)
        return page

    def build_files(self) -> QWidget:
        above, whole = QSplitter(Qt.Orientation.Horizontal), QSplitter(Qt.Orientation.Vertical)
        above.addWidget(self.build_buckets())
        above.addWidget(self.build_browser())
        whole.addWidget(above)
        whole.addWidget(self.build_transfers())
        for splitter, first, second in ((above, 1, 4), (whole, 3, 2)):
            splitter.setChildrenCollapsible(False)
            splitter.setStretchFactor(0, first)
            splitter.setStretchFactor(1, second)
        above.setSizes([230, 760])
        return whole

    def build_buckets(self) -> QWidget:
        self.buckets = Table(["Bucket"], several=False)
        self.buckets.itemSelectionChanged.connect(self.chooses_bucket)
        self.full, self.full_words = QProgressBar(maximum=1000, textVisible=False), label()
        self.full.setMaximumHeight(self.fontMetrics().height() // 2 + 4)
        self.new_bucket = button("&New…", self.makes_bucket)
        self.rename_bucket = button("Rena&me…", self.renames_bucket)
        self.delete_bucket = button("Delete &bucket…", self.deletes_bucket)
        buttons = line(self.new_bucket, self.rename_bucket)
        return column(self.buckets, self.full, self.full_words, buttons, self.delete_bucket)

    def build_browser(self) -> QWidget:
        self.files = Table([title for _, title in FILE_COLUMNS], several=True, hint=True)
        self.files.header().setSectionsClickable(True)
        self.files.header().resizeSection(2, self.fontMetrics().averageCharWidth() * 22)
        self.files.header().setSortIndicatorShown(True)
        for clicked in (self.files.header().sectionClicked, self.files.header().sectionDoubleClicked):
            clicked.connect(lambda place: self.model.sort(FILE_COLUMNS[place][0]))
        self.files.itemSelectionChanged.connect(self.enable)
        self.files.itemActivated.connect(lambda: self.downloads())
        self.upload = button("&Upload…", self.uploads)
        self.download = button("&Download…", self.downloads)
        self.delete = button("De&lete…", self.deletes)
        self.refresh = button("Re&fresh", lambda: self.model.refresh())
        self.sign_out = button("Sign &out", self.signs_out)
        self.files.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for text, key, command in (
            ("Download…", "", self.downloads),
            ("Copy the hash", "", self.copies_hash),
            ("Delete…", "Delete", self.deletes),
        ):
            action = QAction(text, self.files, shortcut=QKeySequence(key))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(lambda _=False, command=command: command())
            self.files.addAction(action)
        QShortcut(QKeySequence("F5"), self, self.refresh.click)
        QShortcut(QKeySequence("Escape"), self.files, self.files.clearSelection)
        return column(line(self.upload, self.download, self.delete, self.refresh, 1, self.sign_out), self.files)

    def build_transfers(self) -> QWidget:
        self.transfers = Table(["Transfer", "", ""], several=True)
        header = self.transfers.header()
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(1, self.fontMetrics().averageCharWidth() * 16)
        self.transfers.setItemDelegateForColumn(1, Bars(self.transfers))
        self.transfers.itemSelectionChanged.connect(self.enable)
        self.transfers.itemActivated.connect(lambda: self.opens())
        self.cancel = button("&Cancel", lambda: self.model.cancel(self.chosen_transfers()))
        self.retry = button("Re&try", lambda: self.model.retry(self.chosen_transfers()))
        self.open = button("O&pen", self.opens)
        self.clear = button("Cle&ar finished", lambda: self.model.clear())
        self.total, self.total_words = QProgressBar(maximum=1000), QLabel()
        self.total.setMaximumWidth(self.fontMetrics().averageCharWidth() * 16)
        delete = QShortcut(QKeySequence("Delete"), self.transfers, self.cancel.click)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)  # the files have the same key
        buttons = line(self.cancel, self.retry, self.open, self.clear, 1, self.total)
        return column(buttons, self.transfers, self.total_words)

    # What it shows

    def changed(self, what: str) -> None:
        if what == "message":
            self.show_message()
        elif what == "account":
            self.show_account()
        elif what == "files" and self.model.files is None:  # those of another bucket must not stay
            self.refreshes.now(what)
        else:
            self.refreshes.ask(what)

    def show_message(self) -> None:
        self.message.setText(self.model.message)
        self.message.setStyleSheet("color: #a40000" if self.model.is_problem else "")

    def show_account(self) -> None:
        self.pages.setCurrentIndex(1 if self.model.signed_in else 0)
        if self.model.signed_in:
            self.password.clear()
            self.link.clear()
            self.files.setFocus()
        else:
            for what in ("buckets", "files", "transfers"):
                self.refreshes.now(what)
            (self.password if self.email.text() else self.email).setFocus()

    def show_buckets(self) -> bool:
        names = {each["id"]: as_text(each["name"]) for each in self.model.buckets}
        more = self.buckets.show_rows({row: (name, name) for row, name in names.items()})
        chosen = self.model.bucket
        if chosen and chosen["id"] in self.buckets.items and self.buckets.chosen() != [chosen["id"]]:
            self.buckets.select([chosen["id"]])
        self.enable()
        return more

    def show_files(self) -> bool:
        model = self.model
        rows: dict[str, Texts] = {}
        for each in model.files or []:
            name = as_text(each["filename"])
            rows[each["hash"]] = (name, in_words(each["size"]), as_text(each["mimetype"]), name)
        more = self.files.show_rows(rows)
        place = [field for field, _ in FILE_COLUMNS].index(model.sort_by)
        order = Qt.SortOrder.DescendingOrder if model.backwards else Qt.SortOrder.AscendingOrder
        self.files.header().setSortIndicator(place, order)
        self.files.hint.setText(model.hint)
        self.files.hint.setVisible(bool(model.hint))
        share, words = model.fullness
        self.full.setValue(round(1000 * share))
        self.full_words.setText(words)
        self.enable()
        return more

    def show_transfers(self) -> bool:
        transfers = self.model.transfers
        rows = {
            each.row: (("↑ " if each.up else "↓ ") + each.name, "", each.words, f"{each.name}\n{each.words}")
            for each in transfers
        }
        more = self.transfers.show_rows(dict(rows))
        for each in transfers:
            item = self.transfers.items.get(each.row)
            if item is not None and item.data(1, ROW) != each.share:
                item.setData(1, ROW, each.share)
        share, words = self.model.total
        self.total.setValue(round(1000 * share))
        self.total_words.setText(words)
        self.total_words.setVisible(bool(words))
        self.enable()
        return more

    def enable(self) -> None:
        """Let only those buttons be pressed that can do something now."""
        model, transfers = self.model, self.chosen_transfers()
        chosen = bool(self.files.selectedItems())
        states = {
            self.rename_bucket: model.bucket,
            self.delete_bucket: model.bucket,
            self.upload: model.bucket,
            self.download: chosen,
            self.delete: chosen,
            self.cancel: any(each.can_cancel for each in transfers),
            self.retry: any(each.can_retry for each in transfers),
            self.open: any(each.state == "done" for each in transfers),
            self.clear: len(model.transfers) > len(model.unfinished),
        }
        for widget, can in states.items():
            widget.setEnabled(bool(can))

    # What a person does

    def typed(self) -> tuple[str, str]:
        return self.email.text().strip(), self.password.text()

    def registers(self) -> None:
        self.model.register(*self.typed())
        self.link.setFocus()

    def mailed(self, token: str) -> None:
        self.link.setText(token)
        self.activate.click()

    def signs_out(self) -> None:
        if self.may_stop("Sign out"):
            self.model.sign_out()

    def may_stop(self, what: str) -> bool:
        return not self.model.unfinished or self.sure(what, f"{self.model.under_way} {what} all the same?")

    def sure(self, title: str, question: str) -> bool:
        box = QMessageBox(QMessageBox.Icon.Warning, title, question, parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
        box.setDefaultButton(QMessageBox.StandardButton.No)
        return box.exec() == QMessageBox.StandardButton.Yes

    def makes_bucket(self) -> None:
        name, given = QInputDialog.getText(self, "New bucket", "Name of the bucket:")
        if given and name.strip():
            self.model.create_bucket(name.strip())

    def renames_bucket(self) -> None:
        old = self.model.bucket["name"] if self.model.bucket else ""
        name, given = QInputDialog.getText(self, "Rename", "New name of the bucket:", text=old)
        if given and name.strip():
            self.model.rename_bucket(name.strip())

    def deletes_bucket(self) -> None:
        name = as_text(self.model.bucket["name"])[:60] if self.model.bucket else ""
        if name and self.sure("Delete bucket", f"Delete {name} and its files?"):
            self.model.delete_bucket()

    def chooses_bucket(self) -> None:
        bucket = self.model.chosen_bucket(self.buckets.chosen())
        if bucket and not (self.model.bucket and self.model.bucket["id"] == bucket["id"]):
            self.model.choose(bucket)

    def chosen_files(self) -> list[dict[str, Any]]:
        return self.model.chosen_files(set(self.files.chosen()))

    def chosen_transfers(self) -> list[Transfer]:
        """Return the transfers that are selected; all of them where none is."""
        rows = set(self.transfers.chosen())
        return self.model.chosen_transfers(rows) if rows else self.model.transfers

    def uploads(self) -> None:
        self.model.upload(QFileDialog.getOpenFileNames(self, "Files to upload")[0])

    def downloads(self) -> None:
        files = self.chosen_files()
        folder = files and QFileDialog.getExistingDirectory(self, "Folder to download to")
        if folder:
            self.model.download(files, folder)

    def deletes(self) -> None:
        files = self.chosen_files()
        what = as_text(files[0]["filename"])[:60] if len(files) == 1 else f"{len(files)} files"
        if files and self.sure("Delete", f"Delete {what}? That cannot be undone."):
            self.model.delete_files(files)

    def copies_hash(self) -> None:
        self.files.setFocus()
        QApplication.clipboard().setText("\n".join(each["hash"] for each in self.chosen_files()))
        self.model.say("The hash is in the clipboard.")

    def opens(self) -> None:
        done = [each for each in self.chosen_transfers() if each.state == "done"]
        if done:
            self.model.open(done[-1])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        if self.model.signed_in and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        self.model.upload([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])
        event.acceptProposedAction()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        if self.may_stop("Quit"):
            self.hide()
            self.model.close()
            event.accept()
        else:
            event.ignore()


def say_what_is_fatal(kind: QtMsgType, _: Any, message: str) -> None:
    """Say in one sentence that there is no screen; Qt itself would end the program with a dump."""
    if kind == QtMsgType.QtFatalMsg:
        sys.stderr.write(f"There is no screen for the window: {' '.join(message.split())}\n")
        os._exit(1)


def main() -> None:
    qInstallMessageHandler(say_what_is_fatal)
    app = QApplication([])
    with ExitStack() as stack:
        schedule = pymdc.schedulers.qt()
        url = stack.enter_context(bridge(lambda token: schedule(lambda: window.mailed(token))))
        client = pymdc.Client(url, scheduler=schedule)
        window = Window(lambda changed: Model(client, Memory(config_folder(), url), changed))
        window.show()
        app.exec()


if __name__ == "__main__":
    main()

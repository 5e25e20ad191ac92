"""The files in your buckets, in a window. With Qt: `pip install PySide6`.

    python examples/qt_files.py

It talks to the bridge that STORJ_BRIDGE names. Without one it starts a bridge of its own, with its data in the folder
"pymdc-files" of your home folder (or in the one that you name as an argument), and reads the activation mails itself.
The parts that need no Qt are in `files_model.py`, `files_view.py` and `files_words.py`.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

try:
    from files_model import Memory, Model, bridge, config_folder
    from files_view import Commands, Refreshes, Texts, bucket_rows, changes, file_rows, file_titles, transfer_rows
    from PySide6 import QtCore, QtGui
    from PySide6 import QtWidgets as Widgets
    from PySide6.QtCore import Qt

    import pymdc
except ImportError as missing:
    sys.exit(
        f'This program needs Qt (pip install "PySide6<6.12", Debian: libegl1) and pymdc (pip install .): {missing}.'
    )

ROW = Qt.ItemDataRole.UserRole  # where an item keeps the name of its row, and a bar its share
BREAK = "\u200b"  # a space without a width, where a line may end
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def plain(text: str) -> str:
    """Return a tooltip that shows this text: Qt shows text as HTML if it looks like HTML, and breaks no long word."""
    pieces = [text[at : at + 40] for at in range(0, len(text), 40)]
    return f"<span style='white-space: pre-wrap'>{html.escape(BREAK.join(pieces))}</span>"


def label(text: str = "") -> Widgets.QLabel:
    """Make a label that shows text as text, on as many lines as it needs."""
    made = Widgets.QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    made.setMinimumWidth(1)  # a long word must not widen the window
    return made


def button(text: str, clicked: Callable[[], object]) -> Widgets.QPushButton:
    """Make a button. Its function gets no argument, though Qt sends one. Return presses it as well."""
    made = Widgets.QPushButton(text, autoDefault=True)
    made.clicked.connect(lambda: clicked())
    return made


def line(*parts: Widgets.QWidget | int) -> Widgets.QHBoxLayout:
    """Lay parts out from left to right; a number is a stretch."""
    made = Widgets.QHBoxLayout()
    for part in parts:
        if isinstance(part, int):
            made.addStretch(part)
        else:
            made.addWidget(part)
    return made


def column(*parts: Widgets.QWidget | Widgets.QHBoxLayout, margin: int = 0) -> Widgets.QWidget:
    """Lay parts out from top to bottom; tables and pages get the remaining space."""
    made = Widgets.QWidget()
    layout = Widgets.QVBoxLayout(made)
    layout.setContentsMargins(margin, margin, margin, margin)
    for part in parts:
        if isinstance(part, Widgets.QHBoxLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part, isinstance(part, Widgets.QTreeWidget | Widgets.QStackedWidget))
    return made


class Bars(Widgets.QStyledItemDelegate):
    """Draws the bar of a transfer in the style of the desktop. Its numbers are per mille, never bytes."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        super().paint(painter, option, index)  # what is behind it: the row may be selected
        bar = Widgets.QStyleOptionProgressBar()
        bar.rect = option.rect.adjusted(4, 3, -4, -3)
        bar.palette, bar.direction, bar.fontMetrics = option.palette, option.direction, option.fontMetrics
        bar.state = option.state | Widgets.QStyle.StateFlag.State_Horizontal
        bar.minimum, bar.maximum, bar.progress = 0, 1000, round(1000 * (index.data(ROW) or 0.0))
        Widgets.QApplication.style().drawControl(Widgets.QStyle.ControlElement.CE_ProgressBar, bar, painter)


class Table(Widgets.QTreeWidget):
    """A table whose rows have names. It keeps the selected rows when it is shown again."""

    def __init__(self, titles: list[str], several: bool, hint: bool = False) -> None:
        super().__init__()
        modes = Widgets.QAbstractItemView.SelectionMode
        self.setSelectionMode(modes.ExtendedSelection if several else modes.SingleSelection)
        self.setHeaderLabels(titles)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAllColumnsShowFocus(True)
        self.setTabKeyNavigation(False)
        self.setMinimumSize(60, 40)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, Widgets.QHeaderView.ResizeMode.Stretch)
        self.items: dict[str, Widgets.QTreeWidgetItem] = {}
        self.shown: dict[str, Texts] = {}
        self.right: set[int] = set()  # the columns of numbers
        self.hint = label()
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        if hint:
            Widgets.QVBoxLayout(self.viewport()).addWidget(self.hint)
            self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        return QtCore.QSize(100, 60)

    def show_rows(self, rows: dict[str, Texts]) -> bool:
        """Show these rows. Return whether more of them are to come."""
        change = changes(self.shown, rows)
        for row in change.gone:
            self.takeTopLevelItem(self.indexOfTopLevelItem(self.items.pop(row)))
        if change.moved:
            chosen = self.chosen()
            self.invisibleRootItem().takeChildren()
            self.addTopLevelItems([self.items[row] for row in change.stay])
            self.select(chosen)
        for index, row in change.new:
            self.items[row] = Widgets.QTreeWidgetItem()
            self.items[row].setData(0, ROW, row)
            for place in self.right:
                self.items[row].setTextAlignment(place, RIGHT)
            self.write(self.items[row], change.rows[row])
            self.insertTopLevelItem(index, self.items[row])
        for row in change.written:
            self.write(self.items[row], change.rows[row])
        self.shown = change.rows
        return change.more

    def write(self, item: Widgets.QTreeWidgetItem, texts: Texts) -> None:
        """Write new texts into an item, where they differ."""
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
        """Select these rows all at once: one by one, Qt would compare each with all selected rows."""
        model, flags = self.model(), self.selectionModel().SelectionFlag
        places = sorted(self.indexOfTopLevelItem(self.items[row]) for row in rows)
        selection = QtCore.QItemSelection()
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


class Window(Widgets.QMainWindow):
    """The window. It shows the model, and passes on what a person does."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.do = model, Commands(model, self)
        self.message = label()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.pages = Widgets.QStackedWidget()
        self.pages.addWidget(self.build_account())
        self.pages.addWidget(self.build_files())
        self.setCentralWidget(column(self.pages, self.message, margin=8))
        self.setWindowTitle("Files")
        room = self.screen().availableSize() - QtCore.QSize(10, 40)  # for the frame
        self.resize(room.boundedTo(QtCore.QSize(1000, 680)))
        self.setAcceptDrops(True)
        self.email.setText(model.memory.here["email"])
        self.refreshes = Refreshes(model, self, lambda wait, show: QtCore.QTimer.singleShot(wait, self, show))
        self.refreshes.begin()

    # What it is made of

    def build_account(self) -> Widgets.QWidget:
        page = Widgets.QWidget()
        form = Widgets.QFormLayout(page)
        self.email, self.password, self.link = Widgets.QLineEdit(), Widgets.QLineEdit(), Widgets.QLineEdit()
        self.password.setEchoMode(Widgets.QLineEdit.EchoMode.Password)
        self.sign_in = button("&Sign in", self.do.sign_in)
        self.register = button("&Register, or send the mail again", self.do.register)
        self.register.clicked.connect(self.link.setFocus)
        self.activate = button("&Activate", self.do.activate)
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

    def build_files(self) -> Widgets.QWidget:
        above = Widgets.QSplitter(Qt.Orientation.Horizontal)
        whole = Widgets.QSplitter(Qt.Orientation.Vertical)
        above.addWidget(self.build_buckets())
        above.addWidget(self.build_browser())
        whole.addWidget(above)
        whole.addWidget(self.build_transfers())
        for splitter, sizes in ((above, [230, 760]), (whole, [550, 450])):
            splitter.setChildrenCollapsible(False)
            splitter.setSizes(sizes)
        return whole

    def build_buckets(self) -> Widgets.QWidget:
        self.buckets = Table(["Bucket"], several=False)
        self.buckets.itemSelectionChanged.connect(self.do.choose_bucket)
        self.full, self.full_words = Widgets.QProgressBar(maximum=1000, textVisible=False), label()
        self.new_bucket = button("&New…", self.do.new_bucket)
        self.rename_bucket = button("Rena&me…", self.do.rename_bucket)
        self.delete_bucket = button("Delete &bucket…", self.do.delete_bucket)
        buttons = line(self.new_bucket, self.rename_bucket)
        return column(self.buckets, self.full, self.full_words, buttons, self.delete_bucket)

    def build_browser(self) -> Widgets.QWidget:
        self.upload = button("&Upload…", self.do.upload)
        self.download = button("&Download…", self.do.download)
        self.delete = button("De&lete…", self.do.delete)
        self.refresh = button("Re&fresh", self.do.refresh)
        self.sign_out = button("Sign &out", self.do.sign_out)
        self.files = Table(file_titles(self.model), several=True, hint=True)
        self.files.right = {1}
        self.files.headerItem().setTextAlignment(1, RIGHT)
        header = self.files.header()
        header.setSectionsClickable(True)
        header.resizeSection(2, self.fontMetrics().averageCharWidth() * 22)
        for clicked in (header.sectionClicked, header.sectionDoubleClicked):
            clicked.connect(lambda place: self.model.sort(("filename", "size", "mimetype")[place]))
        self.files.itemSelectionChanged.connect(self.enable)
        self.files.itemActivated.connect(lambda: self.do.download())
        self.files.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for text, key, command in (
            ("Download…", "", self.do.download),
            ("Copy the hash", "", self.do.copy_hash),
            ("Delete…", "Delete", self.do.delete),
        ):
            action = QtGui.QAction(text, self.files, shortcut=QtGui.QKeySequence(key))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(lambda _=False, command=command: command())
            self.files.addAction(action)
        QtGui.QShortcut(QtGui.QKeySequence("F5"), self, self.refresh.click)
        QtGui.QShortcut(QtGui.QKeySequence("Escape"), self.files, self.files.clearSelection)
        return column(line(self.upload, self.download, self.delete, self.refresh, 1, self.sign_out), self.files)

    def build_transfers(self) -> Widgets.QWidget:
        self.cancel = button("&Cancel", self.do.cancel)
        self.retry = button("Re&try", self.do.retry)
        self.open = button("O&pen", self.do.open)
        self.clear = button("Cle&ar finished", self.do.clear)
        self.transfers = Table(["Transfer", "", ""], several=True)
        header, letter = self.transfers.header(), self.fontMetrics().averageCharWidth()
        header.setSectionResizeMode(2, Widgets.QHeaderView.ResizeMode.Stretch)
        header.resizeSection(1, letter * 12)
        self.transfers.setItemDelegateForColumn(1, Bars(self.transfers))
        self.transfers.itemSelectionChanged.connect(self.enable)
        self.transfers.itemActivated.connect(lambda: self.do.open())
        self.total, self.total_words = Widgets.QProgressBar(maximum=1000, textVisible=False), Widgets.QLabel()
        self.total.setMaximumWidth(letter * 16)
        for bar in (self.full, self.total):
            bar.setMaximumHeight(self.fontMetrics().height() // 2 + 4)
        delete = QtGui.QShortcut(QtGui.QKeySequence("Delete"), self.transfers, self.cancel.click)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)  # the files have the same key
        buttons = line(self.cancel, self.retry, self.open, self.clear, 1, self.total)
        return column(buttons, self.transfers, self.total_words)

    # What it shows

    def show_message(self) -> bool:
        self.message.setText(self.model.message)
        self.message.setStyleSheet("color: #a40000" if self.model.is_problem else "")
        return False

    def show_account(self) -> bool:
        self.pages.setCurrentIndex(1 if self.model.signed_in else 0)
        if self.model.signed_in:
            self.password.clear()
            self.link.clear()
            self.files.setFocus()
        else:
            (self.password if self.email.text() else self.email).setFocus()
        return False

    def show_buckets(self) -> bool:
        more = self.buckets.show_rows(bucket_rows(self.model))
        chosen = self.model.bucket
        if chosen and chosen["id"] in self.buckets.items and self.buckets.chosen() != [chosen["id"]]:
            self.buckets.select([chosen["id"]])
        self.enable()
        return more

    def show_files(self) -> bool:
        more = self.files.show_rows(file_rows(self.model))
        self.files.setHeaderLabels(file_titles(self.model))
        self.files.hint.setText(self.model.hint)
        self.files.hint.setVisible(bool(self.model.hint))
        share, words = self.model.fullness
        self.full.setValue(round(1000 * share))
        self.full_words.setText(words)
        self.enable()
        return more

    def show_transfers(self) -> bool:
        more = self.transfers.show_rows(transfer_rows(self.model))
        for each in self.model.transfers:
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
        """Enable only the buttons that can do something now."""
        for name, can in self.do.possible().items():
            getattr(self, name).setEnabled(can)

    # What it asks, and what a person does

    def typed(self) -> tuple[str, str, str]:
        return self.email.text().strip(), self.password.text(), self.link.text()

    def chosen(self, table: str) -> set[str]:
        return set({"buckets": self.buckets, "files": self.files, "transfers": self.transfers}[table].chosen())

    def ask_text(self, title: str, question: str, text: str) -> str:
        answer, given = Widgets.QInputDialog.getText(self, title, question, text=text)
        return answer if given else ""

    def sure(self, title: str, question: str) -> bool:
        box = Widgets.QMessageBox(Widgets.QMessageBox.Icon.Warning, title, question, parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setStandardButtons(Widgets.QMessageBox.StandardButton.Yes | Widgets.QMessageBox.StandardButton.No)
        box.setDefaultButton(Widgets.QMessageBox.StandardButton.No)
        return box.exec() == Widgets.QMessageBox.StandardButton.Yes

    def ask_files(self, title: str) -> list[str]:
        return Widgets.QFileDialog.getOpenFileNames(self, title)[0]

    def ask_folder(self, title: str) -> str:
        return Widgets.QFileDialog.getExistingDirectory(self, title)

    def copy(self, text: str) -> None:
        self.files.setFocus()
        Widgets.QApplication.clipboard().setText(text)

    def mailed(self, token: str) -> None:
        self.link.setText(token)
        self.activate.click()

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        if self.model.signed_in and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:  # noqa: N802 - Qt's name
        self.model.upload([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])
        event.acceptProposedAction()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: N802 - Qt's name
        if self.do.may_stop("Quit"):
            self.hide()
            self.model.close()
            event.accept()
        else:
            event.ignore()


def say_what_is_fatal(kind: QtCore.QtMsgType, _: Any, message: str) -> None:
    """Say in one sentence that there is no screen; Qt itself would crash the program."""
    if kind == QtCore.QtMsgType.QtFatalMsg:
        sys.stderr.write(f"There is no screen for the window: {' '.join(message.split())}\n")
        os._exit(1)


def main() -> None:
    QtCore.qInstallMessageHandler(say_what_is_fatal)
    app = Widgets.QApplication([])
    with ExitStack() as stack:
        schedule = pymdc.schedulers.qt()
        url = stack.enter_context(bridge(lambda token: schedule(lambda: window.mailed(token))))
        client = pymdc.Client(url, scheduler=schedule)
        window = Window(Model(client, Memory(config_folder(), url)))
        window.show()
        app.exec()


if __name__ == "__main__":
    main()

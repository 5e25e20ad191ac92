"""A small window from which files are dragged into another program: python dragger.py PATH ..."""

from __future__ import annotations

import sys

from PySide6 import QtCore, QtGui, QtWidgets


class Source(QtWidgets.QLabel):
    """Drags the files that it was given."""

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802 - Qt's name
        files = QtCore.QMimeData()
        files.setUrls([QtCore.QUrl.fromLocalFile(path) for path in sys.argv[1:]])
        drag = QtGui.QDrag(self)
        drag.setMimeData(files)
        drag.exec(QtCore.Qt.DropAction.CopyAction)


if __name__ == "__main__":
    app = QtWidgets.QApplication(sys.argv)
    source = Source("drag me")
    source.setWindowFlags(QtCore.Qt.WindowType.X11BypassWindowManagerHint)
    source.setGeometry(0, 0, 120, 40)
    source.show()
    print("shown", flush=True)
    app.exec()

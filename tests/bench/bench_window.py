"""How late a window's loop is while files are transferred, beside a program that does so with requests in threads.

Each way runs in a process of its own against the same bridge. A timer of 5 ms in the window's loop notes how late it
is.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymdc
from pymdc.api import Bucket, Users

from ..test_large_files import bridge_process
from .bench_transfers import bucket_on
from .racing import LEAST_TURNS, Line

TICK_MS = 5
CHUNK = 65536
LEAST_MS = 0.1  # nobody sees less


class Tk:
    def __init__(self) -> None:
        tkinter: Any = importlib.import_module("tkinter")
        self.root = tkinter.Tk()
        self.scheduler = pymdc.schedulers.tk(self.root)

    def every(self, function: Callable[[], None]) -> None:
        self.root.after(TICK_MS, lambda: self.every(function))
        function()

    def run(self) -> None:
        self.root.mainloop()

    def end(self) -> None:
        self.root.destroy()


class Qt:
    def __init__(self) -> None:
        self.core: Any = importlib.import_module("PySide6.QtCore")
        widgets: Any = importlib.import_module("PySide6.QtWidgets")
        self.app = widgets.QApplication([])
        self.label = widgets.QLabel("a window")
        self.label.show()
        self.scheduler = pymdc.schedulers.qt()

    def every(self, function: Callable[[], None]) -> None:
        self.timer = self.core.QTimer(timerType=self.core.Qt.TimerType.PreciseTimer, interval=TICK_MS)
        self.timer.timeout.connect(function)
        self.timer.start()

    def run(self) -> None:
        self.app.exec()

    def end(self) -> None:
        self.app.quit()


Begin = Callable[[Callable[[Any], None]], None]
"""Starts all transfers, and has the function called in the loop for each that has ended."""


def with_pymdc(loop: Any, job: dict[str, Any]) -> Begin:
    client = pymdc.Client(job["url"], scheduler=loop.scheduler)
    files = Bucket(job["bucket"], Users(*job["user"], client=client), client=client).files
    pymdc.unwrap(files.list())  # a window has made a call before, so all is loaded

    def begin(ended: Callable[[Any], None]) -> None:
        for number, file in enumerate(job["files"]):
            if job["kind"] == "uploads":
                files.upload(file, callback=ended, progress=lambda done, total: None)
            else:
                path = Path(job["folder"], f"pymdc {number}")
                files.download(file, path=path, callback=ended, progress=lambda done, total: None)

    return begin


def with_requests(loop: Any, job: dict[str, Any]) -> Begin:
    """Do what the library does, as plainly as it can be done: stream, hash, write."""
    requests: Any = importlib.import_module("requests")
    user = (job["user"][0], hashlib.sha256(job["user"][1].encode()).hexdigest())
    base = f"{job['url']}/buckets/{job['bucket']}"

    def token(operation: str) -> str:
        return str(requests.post(f"{base}/tokens", json={"operation": operation}, auth=user).json()["token"])

    def upload(file: str) -> None:
        size = Path(file).stat().st_size
        head = (
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n"
        )
        tail = b"\r\n--edge--\r\n"

        def body() -> Any:
            digest = hashlib.sha256()
            yield head
            with Path(file).open("rb") as source:
                while piece := source.read(CHUNK):
                    digest.update(piece)
                    yield piece
            yield tail

        headers = {
            "x-token": token("PUSH"),
            "x-filesize": str(size),
            "Content-Type": "multipart/form-data; boundary=edge",
        }
        answer = requests.put(f"{base}/files", data=body(), headers=headers)
        assert answer.ok, answer.text

    def download(file: dict[str, Any], number: int) -> None:
        headers = {"x-token": token("PULL"), **job["direct"]}
        pointers = requests.get(f"{base}/files/{file['hash']}", headers=headers).json()
        with Path(job["folder"], f"requests {number}").open("wb") as target:
            for pointer in pointers:
                digest = hashlib.sha256()
                with requests.get(pointer["url"], stream=True) as answer:
                    assert answer.ok, answer.text
                    for piece in answer.iter_content(CHUNK):
                        digest.update(piece)
                        target.write(piece)

    def begin(ended: Callable[[Any], None]) -> None:
        def work(number: int, file: Any) -> None:
            upload(file) if job["kind"] == "uploads" else download(file, number)
            loop.scheduler(lambda: ended(None))

        for number, file in enumerate(job["files"]):
            threading.Thread(target=work, args=[number, file]).start()

    return begin


def watch(toolkit: str, way: str, job: dict[str, Any]) -> None:
    """Transfer the files, and print how late the ticks were."""
    loop: Any = Tk() if toolkit == "tk" else Qt()
    begin = {"pymdc": with_pymdc, "requests": with_requests}[way](loop, job)
    ticks: list[float] = []
    left = len(job["files"])
    started = 0.0

    def ended(value: Any) -> None:
        nonlocal left
        assert not pymdc.explain(value), value
        left -= 1
        if not left:
            ticks.append(time.perf_counter())
            loop.end()

    def tick() -> None:
        nonlocal started
        ticks.append(time.perf_counter())
        if len(ticks) == 50:  # the window is there by now
            started = ticks[-1]
            begin(ended)

    loop.every(tick)
    loop.run()
    during = [each for each in ticks if each >= started]
    late = sorted(1000 * (b - a) - TICK_MS for a, b in itertools.pairwise(during))
    print(json.dumps({"seconds": during[-1] - during[0], "ticks": len(late), "late": late}))
    sys.stdout.flush()
    os._exit(0)


@contextmanager
def screen() -> Iterator[None]:
    """Give windows a screen that nobody sees, unless there is one."""
    if os.environ.get("DISPLAY") or sys.platform in ("win32", "darwin"):
        yield
        return
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        try:
            with os.fdopen(read) as told:
                os.environ["DISPLAY"] = f":{told.readline().strip()}"
            yield
        finally:
            os.environ.pop("DISPLAY", None)
            process.terminate()


def windows(seconds: float) -> Iterator[Line]:
    """How late the ticks of windows are, beside those of a program that transfers with requests in threads."""
    if not os.environ.get("DISPLAY") and shutil.which("Xvfb") is None:
        return
    with (
        tempfile.TemporaryDirectory() as name,
        bridge_process(Path(name) / "bridge") as bridge,
        bucket_on(bridge) as bucket,
        screen(),
    ):
        job: dict[str, Any] = {"url": bridge.url, "user": ["somebody@example.com", "a password"], "direct": DIRECT}
        job |= {"bucket": bucket.bucket_id, "folder": name}
        kinds = [(toolkit, kind) for toolkit in TOOLKITS if there(toolkit) for kind in ("uploads", "downloads")]
        for toolkit, kind in kinds:
            yield compared(toolkit, kind, Path(name), job, bucket, seconds / len(kinds))


DIRECT = {"x-direct": "1"}
TOOLKITS = {"tk": "tkinter", "qt": "PySide6.QtWidgets"}
FILES, SIZE = 8, 50_000_000


def there(toolkit: str) -> bool:
    try:
        importlib.import_module(TOOLKITS[toolkit])
    except ImportError:
        return False
    return True


def compared(toolkit: str, kind: str, folder: Path, job: dict[str, Any], bucket: Bucket, seconds: float) -> Line:
    """Take both ways in turn, and compare how late 95 of 100 ticks are at most. The latest of all is told as well."""
    late: dict[str, list[float]] = {"pymdc": [], "requests": []}
    latest = dict.fromkeys(late, 0.0)
    end = time.monotonic() + seconds
    while len(late["pymdc"]) < LEAST_TURNS or time.monotonic() < end:
        for way, found in late.items():
            ticks = lateness(toolkit, way, kind, folder, job, bucket)
            found.append(max(ticks[int(len(ticks) * 0.95)], LEAST_MS))
            latest[way] = max(latest[way], ticks[-1])
    ours, theirs = (f"p95 {statistics.median(found):.1f}, max {latest[way]:.0f} ms" for way, found in late.items())
    ratios = [b / a for a, b in zip(late["pymdc"], late["requests"], strict=True)]
    return Line(f"a window's ticks, {toolkit}, {kind}", f"requests in threads: {theirs}", ours, ratios)


def lateness(toolkit: str, way: str, kind: str, folder: Path, job: dict[str, Any], bucket: Bucket) -> list[float]:
    """Transfer files, and return by how many ms each tick was late, the latest last."""
    sources = [folder / f"source {number}" for number in range(FILES)]
    for source in sources:  # always other content: a bridge that knows it writes less
        source.write_bytes(os.urandom(SIZE))
    files: list[Any] = [str(each) for each in sources]
    if kind == "downloads":
        files = [pymdc.unwrap(bucket.files.upload(each)) for each in files]
    (folder / "job.json").write_text(json.dumps({**job, "kind": kind, "files": files}))
    command = [sys.executable, "-m", "tests.bench.bench_window", toolkit, way, str(folder / "job.json")]
    os.sync()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for each in pymdc.unwrap(bucket.files.list()):
        pymdc.unwrap(bucket.files.delete(each))
    late: list[float] = json.loads(done.stdout)["late"]
    return late


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))

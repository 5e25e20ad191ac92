"""How late a window's loop is while files are transferred, beside a program that does so with requests in threads.

    xvfb-run -a python -m tests.bench.bench_window [--mb 50] [--files 8] [--toolkits tk,qt]

Each way runs in a process of its own against the same bridge. A timer of 5 ms in the window's loop notes how late it
is.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymdc
from pymdc.api import Bucket, Buckets, Users

from ..test_large_files import bridge_process

TICK_MS = 5
CHUNK = 65536


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=50)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--toolkits", default="tk,qt")
    parser.add_argument("--kinds", default="uploads,downloads")
    parser.add_argument("--watch", nargs=3, help="for itself: a toolkit, a way, a file that says what to do")
    given = parser.parse_args()
    if given.watch:
        watch(given.watch[0], given.watch[1], json.loads(Path(given.watch[2]).read_text()))
        return
    with tempfile.TemporaryDirectory() as name, bridge_process(Path(name) / "bridge") as bridge:
        folder = Path(name)
        with pymdc.Client(bridge.url) as client:
            user = Users("somebody@example.com", "a password", client=client)
            pymdc.unwrap(user.register())
            pymdc.unwrap(user.activate(bridge.line_with("/activations/([0-9a-f]+)")))
            bucket = pymdc.unwrap(Buckets(user, client=client).create("bench", 10_000, 10_000, []))
            job: dict[str, Any] = {"url": bridge.url, "user": ["somebody@example.com", "a password"], "direct": DIRECT}
            job |= {"bucket": bucket["id"], "folder": name}
            compare(given, folder, job, Bucket(bucket, user, client=client))


DIRECT = {"x-direct": "1"}


def compare(given: argparse.Namespace, folder: Path, job: dict[str, Any], bucket: Bucket) -> None:
    print(f"{'':24} {'seconds':>8} {'ticks':>6} {'p50':>7} {'p95':>7} {'max':>7}   (late by ms)")
    for _ in range(given.runs):
        for toolkit in given.toolkits.split(","):
            for kind in given.kinds.split(","):
                for way in ("requests", "pymdc"):
                    sources = [folder / f"source {number}" for number in range(given.files)]
                    for source in sources:  # always other content: a bridge that knows it writes less
                        source.write_bytes(os.urandom(given.mb * 10**6))
                    files: list[Any] = [str(each) for each in sources]
                    if kind == "downloads":
                        files = [pymdc.unwrap(bucket.files.upload(each)) for each in files]
                    (folder / "job.json").write_text(json.dumps({**job, "kind": kind, "files": files}))
                    command = [sys.executable, "-m", "tests.bench.bench_window", "--watch", toolkit, way]
                    os.sync()
                    done = subprocess.run([*command, str(folder / "job.json")], capture_output=True, text=True)
                    assert done.returncode == 0, done.stderr
                    show(f"{toolkit} {kind} {way}", json.loads(done.stdout))
                    for each in pymdc.unwrap(bucket.files.list()):
                        bucket.files.delete(each)


def show(name: str, seen: dict[str, Any]) -> None:
    late = seen["late"]
    p50, p95 = (late[int(len(late) * share)] for share in (0.5, 0.95))
    print(f"{name:24} {seen['seconds']:8.1f} {seen['ticks']:6} {p50:7.1f} {p95:7.1f} {late[-1]:7.1f}", flush=True)


if __name__ == "__main__":
    main()

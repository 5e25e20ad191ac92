"""Several transfers at the same time: attempts, reports, errors and interruptions."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from http.client import IncompleteRead, RemoteDisconnected
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from pymdc import Client, unwrap
from pymdc.api import Bucket, Buckets
from pymdc.cli import engine
from pymdc.cli.engine import run
from pymdc.cli.results import Result
from pymdc.cli.transfers import BucketFiles, Copy, Download, Start, Steps, Transfer, Upload
from pymdc.core.handle import Handle
from pymdc.errors import ChannelError, MetadiskError

from ..bridges import LONG, RunningBridge

SECOND = b"second"


@pytest.fixture(scope="module")
def account(bridge: RunningBridge, client: Client) -> Any:
    return bridge.member("somebody@example.com", client)[1]


@pytest.fixture
def bucket(account: Any, client: Client) -> BucketFiles:
    return new_bucket(account, client, "photos")


def new_bucket(account: Any, client: Client, name: str) -> BucketFiles:
    made = unwrap(Buckets(account, client=client).create(name, 10, 10, [account]))
    return BucketFiles(name, Bucket(made, account, client=client).files)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PAUSE_SECONDS", 0.01)


class Recorded:
    """A view that remembers what it was told."""

    def __init__(self, on_moved: Callable[[int], object] = int) -> None:
        self.begun: list[str] = []
        self.repeated: list[str] = []
        self.ended: list[Result] = []
        self.reached: dict[str, int] = {}
        self.under_way = self.most = 0
        self._on_moved = on_moved

    def begin(self, transfer: Transfer) -> None:
        self.begun.append(transfer.source)
        self.under_way += 1
        self.most = max(self.most, self.under_way)

    def moved(self, transfer: Transfer, done: int) -> None:
        self.reached[transfer.source] = done
        self._on_moved(done)

    def again(self, result: Result, seconds: float) -> None:
        self.repeated.append(result.error)
        self.under_way -= 1

    def end(self, result: Result) -> None:
        self.ended.append(result)
        self.under_way -= 1


def written(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number:03}.txt" for number in range(count)]
    for path in paths:
        path.write_text(f"content of {path.name}")
    return paths


def test_transfers_name_their_source_and_target(bucket: BucketFiles) -> None:
    upload = Upload(Path("in/a.txt"), bucket, "in／a.txt", 7)
    download = Download(bucket, {"filename": "in／a.txt", "size": 7, "hash": "00"}, Path("out"))
    assert (upload.source, upload.target) == (str(Path("in/a.txt")), "storj://photos/in/a.txt")
    assert (download.source, download.target) == ("storj://photos/in/a.txt", "out")
    assert (upload.work, download.work) == (7, 7)


def test_files_go_up_and_come_back_side_by_side(bucket: BucketFiles, tmp_path: Path) -> None:
    paths = written(tmp_path, 12)
    view = Recorded()
    told: list[Result] = []
    uploads = [Upload(path, bucket, path.name, path.stat().st_size) for path in paths]
    summary = run(uploads, view, jobs=3, finished=told.append)
    assert (summary.done, summary.total, summary.failed, summary.interrupted) == (12, 12, [], False)
    assert summary.moved == sum(path.stat().st_size for path in paths)
    assert view.most == 3
    assert told == view.ended
    assert view.reached == {str(path): path.stat().st_size for path in paths}

    files = unwrap(bucket.files.list())
    back = tmp_path / "back"
    summary = run([Download(bucket, file, back / "in" / file["filename"]) for file in files], Recorded())
    assert summary.done == 12
    assert {path.name: path.read_bytes() for path in (back / "in").iterdir()} == {
        path.name: path.read_bytes() for path in paths
    }


def test_a_copy_goes_by_way_of_a_file_that_is_removed(
    bucket: BucketFiles, account: Any, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    stored = unwrap(bucket.files.upload(b"content", name="a／b.txt", mimetype="text/x-own"))
    old = unwrap(bucket.files.upload(b"old", name="a／b.txt"))
    to = new_bucket(account, client, "copies")
    unwrap(to.files.upload(b"old", name="new.txt"))
    view = Recorded()
    copy = Copy(bucket, stored, to, "new.txt", (old["hash"], stored["hash"]))
    assert (copy.source, copy.target) == ("storj://photos/a/b.txt", "storj://copies/new.txt")
    assert run([copy], view).done == 1
    (copied,) = unwrap(to.files.list())
    assert (copied["filename"], copied["mimetype"], copied["hash"]) == ("new.txt", "text/x-own", stored["hash"])
    assert view.reached == {copy.source: copy.work}
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("mimetype", [None, "", "bad\r\ntype", "törtlich"])
def test_a_mime_type_that_cannot_be_sent_is_not_copied(bucket: BucketFiles, mimetype: Any) -> None:
    stored = unwrap(bucket.files.upload(b"content", name="b.txt"))
    assert run([Copy(bucket, {**stored, "mimetype": mimetype}, bucket, "c.txt")], Recorded()).done == 1
    (copied,) = unwrap(bucket.files.list())
    assert (copied["filename"], copied["mimetype"]) == ("c.txt", "text/plain")


def test_an_upload_deletes_the_files_that_it_replaces_after_it_is_stored(bucket: BucketFiles, tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    old = unwrap(bucket.files.upload(b"old", name=path.name))
    assert run([Upload(path, bucket, path.name, 1, (old["hash"],))], Recorded()).done == 1
    (stored,) = unwrap(bucket.files.list())
    assert stored["size"] == path.stat().st_size


def test_a_transfer_that_fails_is_reported_and_the_others_go_on(bucket: BucketFiles, tmp_path: Path) -> None:
    paths = written(tmp_path, 3)
    paths[1].unlink()
    view = Recorded()
    summary = run([Upload(path, bucket, path.name) for path in paths], view, jobs=1)
    assert summary.done == 2
    (failed,) = summary.failed
    assert failed.error == f"There is no file {paths[1]}."
    assert view.repeated == []  # such an error does not pass


def test_a_file_that_changes_while_it_is_sent_is_reported(bucket: BucketFiles, tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 2_000_000)

    def grow(_done: int) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    summary = run([Upload(path, bucket, "growing", 2_000_000)], Recorded(grow))
    assert [result.error for result in summary.failed] == [f"The file {path} changed while it was sent."]
    assert unwrap(bucket.files.list()) == []


def test_a_refusal_is_reported_as_the_value_that_the_bridge_gave(bucket: BucketFiles, tmp_path: Path) -> None:
    gone = {"hash": "00" * 20, "filename": "gone.txt", "size": "unknown"}
    summary = run([Download(bucket, gone, tmp_path / "gone.txt")], Recorded())
    assert [result.value for result in summary.failed] == [{"error": "The requested file was not found"}]


class Scripted(Upload):
    """An upload whose first attempts fail: a real bridge does not fail when a test wants it."""

    errors: list[Exception]

    def steps(self, moved: Callable[[int], object]) -> Steps:
        if self.errors:
            raise self.errors.pop(0)
        return (yield from super().steps(moved))


def scripted(path: Path, bucket: BucketFiles, *errors: Exception) -> Scripted:
    transfer = Scripted(path, bucket, path.name)
    object.__setattr__(transfer, "errors", list(errors))
    return transfer


@pytest.mark.parametrize(
    "error",
    [
        URLError(ConnectionRefusedError()),
        RemoteDisconnected("closed"),
        TimeoutError(),
        IncompleteRead(b""),
        ChannelError("silent"),
        HTTPError("http://x", 503, "busy", None, BytesIO()),  # type: ignore[arg-type]
        HTTPError("http://x", 429, "too many", None, BytesIO()),  # type: ignore[arg-type]
        MetadiskError({"error": "RPC with ID 7 timed out"}),
    ],
)
def test_an_error_that_may_pass_is_tried_again(bucket: BucketFiles, tmp_path: Path, error: Exception) -> None:
    paths = written(tmp_path, 3)
    view = Recorded()
    transfers = [scripted(paths[0], bucket, error), *(Upload(path, bucket, path.name) for path in paths[1:])]
    summary = run(transfers, view)
    assert (summary.done, len(view.repeated)) == (3, 1)
    assert view.begun.count(str(paths[0])) == 2


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "no"),
        MetadiskError({"error": "File not found"}),
        HTTPError("http://x", 404, "none", None, BytesIO()),  # type: ignore[arg-type]
    ],
)
def test_an_error_that_does_not_pass_is_not_tried_again(bucket: BucketFiles, tmp_path: Path, error: Exception) -> None:
    (path,) = written(tmp_path, 1)
    summary = run([scripted(path, bucket, error)], Recorded())
    assert (summary.done, len(summary.failed)) == (0, 1)


def test_a_transfer_is_tried_again_only_so_often(bucket: BucketFiles, tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    view = Recorded()
    transfer = scripted(path, bucket, *(TimeoutError() for _ in range(9)))
    summary = run([transfer], view, retries=2)
    assert (summary.done, len(view.repeated), len(transfer.errors)) == (0, 2, 6)


def test_large_downloads_do_not_all_run_at_once(bucket: BucketFiles, tmp_path: Path) -> None:
    """Each holds 32 MiB; small ones run beside a large one."""
    stored = [unwrap(bucket.files.upload(b"%d" % number, name=str(number))) for number in range(4)]
    large = [{**file, "size": file["size"] + 2**33 * (number < 2)} for number, file in enumerate(stored)]

    class Counting(Recorded):
        def begin(self, transfer: Transfer) -> None:
            super().begin(transfer)
            held.append(self.under_way)

    held: list[int] = []
    transfers = [Download(bucket, file, tmp_path / str(file["filename"])) for file in large]
    run(transfers, Counting(), retries=0)
    assert held[:2] == [1, 1]  # the second large one waits for the first


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_and_wait() -> None:
    """Press Ctrl+C, and give the handler time: else a fast download ends before it is cancelled."""
    interrupt()
    time.sleep(0.5)


def test_ctrl_c_cancels_transfers_and_keeps_what_a_download_has_fetched(bucket: BucketFiles, tmp_path: Path) -> None:
    stored = unwrap(bucket.files.upload(os.urandom(60_000_000), name="film"))
    once = iter([interrupt_and_wait])
    # So early that the download cannot end with the four shards of 8 MiB that it has fetched ahead.
    view = Recorded(lambda done: next(once, int)() if done > 9_000_000 else None)
    download = Download(bucket, stored, tmp_path / "film")
    waiting = [Download(bucket, stored, tmp_path / str(number)) for number in range(20)]
    before = signal.getsignal(signal.SIGINT)
    summary = run([download, *waiting], view, jobs=1)
    assert summary.interrupted
    assert (summary.done, summary.failed, len(view.begun)) == (0, [], 1)
    assert signal.getsignal(signal.SIGINT) is before
    assert [path.name for path in tmp_path.iterdir()] == [f".pymdc-{stored['hash']}"]
    assert run([download], Recorded()).done == 1
    assert (tmp_path / "film").stat().st_size == 60_000_000


class Steered(Upload):
    """An upload whose calls end when the test says so."""

    def steps(self, moved: Callable[[int], object]) -> Steps:
        interrupt()
        value = None
        for call in self.calls:
            value = yield call
        return value

    calls: list[Start]


def steered(bucket: BucketFiles, *calls: Start) -> Steered:
    transfer = Steered(Path("x"), bucket, "x")
    object.__setattr__(transfer, "calls", list(calls))
    return transfer


def ends_at_once(bucket: BucketFiles) -> Start:
    """Return a call whose value is ready before it can be cancelled."""

    def start(callback: Callable[[Any], object]) -> Handle:
        handle = bucket.files.list(callback)
        handle.join(LONG)
        return handle

    return start


def test_a_transfer_that_ends_before_it_is_cancelled_counts_as_done(bucket: BucketFiles) -> None:
    summary = run([steered(bucket, ends_at_once(bucket))], Recorded())
    assert summary.interrupted
    assert summary.done == 1


def test_a_transfer_with_more_steps_stops_after_the_one_under_way(bucket: BucketFiles) -> None:
    asked: list[Any] = []

    def never(callback: Callable[[Any], object]) -> Handle:
        asked.append(callback)
        return bucket.files.list(callback)

    summary = run([steered(bucket, ends_at_once(bucket), never)], Recorded())
    assert summary.interrupted
    assert (summary.done, asked) == (0, [])


def test_the_wait_for_a_cancelled_call_has_a_limit(bucket: BucketFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_END_SECONDS", 0.05)
    release = threading.Event()

    def slow(callback: Callable[[Any], object]) -> Handle:
        return bucket.files.list(lambda value: (release.wait(LONG), callback(value)))

    began = time.monotonic()
    assert run([steered(bucket, slow)], Recorded()).interrupted
    assert time.monotonic() - began < LONG / 2
    release.set()


def test_a_folder_in_the_way_of_a_download_is_an_error(bucket: BucketFiles, tmp_path: Path) -> None:
    stored = unwrap(bucket.files.upload(b"content", name="a"))
    (tmp_path / "a").mkdir()
    (failed,) = run([Download(bucket, stored, tmp_path / "a", "replace")], Recorded()).failed
    assert failed.error == f"{tmp_path / 'a'} is a folder, not a file."
    assert list((tmp_path / "a").iterdir()) == []


def test_a_second_ctrl_c_ends_the_transfers_at_once(bucket: BucketFiles) -> None:
    def impatient(callback: Callable[[Any], object]) -> Handle:
        interrupt()
        time.sleep(LONG)  # which the signal ends
        return bucket.files.list(callback)

    with pytest.raises(KeyboardInterrupt):
        run([steered(bucket, impatient)], Recorded())


def test_transfers_run_in_another_thread_than_the_main_one_too(bucket: BucketFiles, tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(run([Upload(path, bucket, "a")], Recorded()).done))
    thread.start()
    thread.join(LONG)
    assert done == [1]


def test_an_error_of_the_view_ends_all_calls(bucket: BucketFiles, tmp_path: Path) -> None:
    class Broken(Recorded):
        def end(self, result: Result) -> None:
            raise BrokenPipeError

    paths = written(tmp_path, 8)
    with pytest.raises(BrokenPipeError):
        run([Upload(path, bucket, path.name) for path in paths], Broken())
    assert len(unwrap(bucket.files.list())) <= 4

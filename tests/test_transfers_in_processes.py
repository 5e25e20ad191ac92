"""Transfers of whole programs: killed, interrupted, and going on after their main thread has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pymdc

from .farmers import BUCKET, Network, Shard, names_in, whole

LONG = 60.0
DATA = os.urandom(1_000_000)
HEAD = f"""
import sys, threading
sys.path[:0] = [{str(Path(pymdc.__file__).parents[1])!r}]
import pymdc
from pymdc.api import ECDSA, Files
url, file_hash, path = sys.argv[1:]
client = pymdc.Client(url)
files = Files("{BUCKET}", ECDSA(private_key="11" * 32), client=client)
"""
TO_A_FILE = 'print(files.download(file_hash, path=path)["size"])'
INTERRUPTED = """
try:
    files.download(file_hash, path=path, progress=lambda done, total: print("going", flush=True))
except KeyboardInterrupt:
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(5)  # they were told to stop, and end by themselves
    print("interrupted", threading.active_count(), flush=True)
"""
IN_CALLBACKS = """
def first(value):
    print(value["size"], flush=True)
    files.download(file_hash, callback=second)

def second(value):
    print(len(value), flush=True)
    print(len(files.download(file_hash)), flush=True)

files.download(file_hash, callback=first, path=path)
"""


def program(script: str, network: Network, file_hash: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HEAD + script, network.bridge.url, file_hash, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(network: Network, file_hash: str, count: int) -> threading.Event:
    """Let the farmer answer for the first shards, and then fall silent, which the event tells."""
    good, reached = network.files[file_hash][1][:count], threading.Event()

    def answer(shard: Shard) -> None:
        if shard.hash in good:
            whole(shard)
        else:
            reached.set()
            shard.wait()

    network.answer = answer
    return reached


@pytest.mark.parametrize("shards", [1, 4, 7])
def test_a_download_goes_on_after_its_process_was_killed(shards: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with Network() as network:
        file_hash = network.store(DATA)
        reached = until(network, file_hash, shards)
        with program(TO_A_FILE, network, file_hash, path) as process:
            assert reached.wait(LONG)
            journal = tmp_path / f".pymdc-{file_hash}" / "journal"
            deadline = time.monotonic() + LONG
            while not (journal.exists() and journal.read_text()) and time.monotonic() < deadline:
                os.sched_yield()
            process.kill()
            process.communicate(timeout=LONG)
        assert not path.exists()
        kept = [line.split()[0] for line in journal.read_text().splitlines()]
        assert kept
        network.asked = []
        network.answer = whole
        assert network.bucket().download(file_hash, path=path)["size"] == len(DATA)
        assert not set(kept) & set(network.asked)
    assert path.read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


def test_two_processes_that_download_one_file_to_one_path_at_once_both_have_it(tmp_path: Path) -> None:
    path, together = tmp_path / "x", threading.Barrier(2, timeout=LONG)
    with Network() as network:
        file_hash = network.store(DATA)

        def in_step(shard: Shard) -> None:
            if shard.hash == network.files[file_hash][1][-1]:
                together.wait()
            whole(shard)

        network.answer = in_step
        with (
            program(f"{TO_A_FILE}; client.close()", network, file_hash, path) as first,
            program(f"{TO_A_FILE}; client.close()", network, file_hash, path) as second,
        ):
            assert [each.communicate(timeout=LONG) for each in (first, second)] == [("1000000\n", "")] * 2
    assert path.read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_an_interrupt_ends_a_blocking_download_and_is_raised(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        reached = until(network, file_hash, 5)
        with program(INTERRUPTED, network, file_hash, tmp_path / "x") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            assert reached.wait(LONG)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=LONG)
            assert time.monotonic() - began < 5
    assert (out.splitlines()[-1:], error, process.returncode) == (["interrupted 1"], "", 0)
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_an_interrupt_while_progress_is_told_is_raised_too(tmp_path: Path) -> None:
    script = """
def progress(done, total):
    print("going", flush=True)
    import time
    time.sleep(60)
try:
    files.download(file_hash, path=path, progress=progress)
except KeyboardInterrupt:
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(5)  # they were told to stop, and end by themselves
    print("interrupted", threading.active_count(), flush=True)
"""
    with Network() as network:
        file_hash = network.store(DATA)
        with program(script, network, file_hash, tmp_path / "x") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=LONG)
    assert (out, error) == ("interrupted 1\n", "")


def test_downloads_go_on_in_callbacks_after_the_main_thread_has_ended(tmp_path: Path) -> None:
    with Network() as network:
        file_hash = network.store(DATA)
        with program(IN_CALLBACKS, network, file_hash, tmp_path / "x") as process:
            out, error = process.communicate(timeout=LONG)
    assert (out.split(), error) == (["1000000"] * 3, "")
    assert (tmp_path / "x").read_bytes() == DATA

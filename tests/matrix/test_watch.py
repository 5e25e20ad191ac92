"""What the matrix measures with: a busy machine is told apart from a slow client."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from .watch import Lateness

STOP_A_MOMENT = """
import os, signal, sys, time
process = int(sys.argv[1])
os.kill(process, signal.SIGSTOP)
time.sleep(0.5)
os.kill(process, signal.SIGCONT)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process so")
def test_a_stopped_process_counts_as_late() -> None:
    with Lateness() as late:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", STOP_A_MOMENT, str(os.getpid())], check=True)
        deadline = time.monotonic() + 5
        while late.since(began) < 0.4:
            assert time.monotonic() < deadline
        assert late.since(time.monotonic()) == 0


def test_a_process_that_is_busy_itself_is_not_late() -> None:
    with Lateness() as late:
        began, used = time.monotonic(), time.process_time()
        while time.process_time() - used < 0.5:
            sum(range(10_000))
        took = time.monotonic() - began
        assert late.since(began) <= took - 0.4

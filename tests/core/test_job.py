"""Jobs: cancelling, committing, and reports of progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

from pymdc.core.job import Job, Progress

Report = tuple[int, int | None]


def at_once(function: Callable[[], object]) -> None:
    function()


def test_work_goes_on_until_it_is_cancelled() -> None:
    job = Job(at_once)
    job.check()
    job.cancel()
    with pytest.raises(CancelledError, match="the call was cancelled"):
        job.check()


def test_a_part_stops_with_the_whole_and_the_whole_does_not_stop_with_a_part() -> None:
    whole = Job(at_once)
    first, second = whole.part(), whole.part()
    first.check()
    first.cancel()
    with pytest.raises(CancelledError):
        first.check()
    second.check()
    whole.check()
    whole.cancel()
    with pytest.raises(CancelledError):
        second.check()


def test_the_first_of_cancel_and_commit_decides_whether_work_can_still_be_stopped() -> None:
    cancelled, committed = Job(at_once), Job(at_once)
    assert cancelled.cancel()
    with pytest.raises(CancelledError, match="the call was cancelled"):
        cancelled.commit()
    assert cancelled.cancel()
    committed.commit()
    committed.commit()
    assert not committed.cancel()
    committed.check()
    committed.commit()


def test_a_commit_of_a_part_is_a_commit_of_the_whole() -> None:
    whole = Job(at_once)
    whole.part().commit()
    assert not whole.cancel()
    cancelled = Job(at_once)
    cancelled.cancel()
    with pytest.raises(CancelledError):
        cancelled.part().commit()


def test_work_that_is_abandoned_stops_even_after_it_has_committed_itself() -> None:
    job = Job(at_once)
    job.commit()
    job.abandon()
    assert not job.cancel()
    for stopping in (job.check, job.commit, job.part().check, job.part().commit):
        with pytest.raises(CancelledError):
            stopping()


def reported(total: int | None, *steps: int) -> list[Report]:
    """Return the reports of these steps, with enough time between them. The last step is the end."""
    reports: list[Report] = []
    progress = Progress(Job(at_once), lambda *report: reports.append(report), total)
    for step in steps[:-1]:
        progress.reached(step)
        progress._next = 0.0
    progress.reached(steps[-1], last=True)
    return reports


def test_progress_is_told_with_the_total() -> None:
    assert reported(10, 0, 4, 7, 10) == [(0, 10), (4, 10), (7, 10), (10, 10)]


def test_progress_never_goes_backwards_and_says_nothing_twice() -> None:
    assert reported(10, 4, 4, 2, 6, 10) == [(4, 10), (6, 10), (10, 10)]


def test_the_last_report_is_that_of_the_whole_and_no_other_is() -> None:
    assert reported(10, 10, 12, 10) == [(9, 10), (10, 10)]
    assert reported(0, 0) == [(0, 0)]


def test_a_total_that_is_not_known_is_none_until_the_end() -> None:
    assert reported(None, 5, 9, 12) == [(5, None), (9, None), (12, 12)]


def test_reports_are_some_milliseconds_apart_but_for_the_last() -> None:
    reports: list[Report] = []
    progress = Progress(Job(at_once), lambda *report: reports.append(report), 10**9)
    began = time.monotonic()
    done = 0
    while time.monotonic() - began < 0.12:
        done += 1
        progress.reached(done)
    progress.reached(10**9, last=True)
    assert 3 <= len(reports) <= 4
    assert reports[-1] == (10**9, 10**9)


def test_reports_are_delivered_where_callbacks_belong() -> None:
    waiting: list[Callable[[], object]] = []
    reports: list[Report] = []
    Progress(Job(waiting.append), lambda *report: reports.append(report), 5).reached(3)
    assert reports == []
    waiting[0]()
    assert reports == [(3, 5)]


def test_without_a_callback_nothing_is_delivered() -> None:
    waiting: list[Callable[[], object]] = []
    Progress(Job(waiting.append), None, 5).reached(5, last=True)
    assert waiting == []

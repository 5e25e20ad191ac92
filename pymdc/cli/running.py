"""Run a plan, and say how it ended. The options `--jobs` and `--retries`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .engine import JOBS, RETRIES, run
from .output import Output
from .plans import Planned
from .progress import conclude, view
from .results import Summary

__all__ = ["carry_out", "transfer_options"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MOST_JOBS = 16  # the threads of a client

_OPTIONS = [
    click.option(
        "--jobs", type=click.IntRange(1, _MOST_JOBS), default=JOBS, show_default=True, help="How many files at once."
    ),
    click.option(
        "--retries",
        type=click.IntRange(0),
        default=RETRIES,
        show_default=True,
        help="How often a file is tried again after an error of the network.",
    ),
]


def transfer_options(command: _F) -> _F:
    """Give a command the options `--jobs` and `--retries`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def carry_out(
    output: Output,
    planned: Planned,
    *,
    jobs: int,
    retries: int,
    data: bool = True,
    again: str = "To go on, run the same command again.",
    speed: bool = True,
) -> Summary:
    """Run a plan, and say how it ended.

    Arguments:
        data: write lines about files to standard output. False where it takes a file's content.
        again: what to do after an interruption, in a sentence.
        speed: tell the speed. False where no bytes move.

    Raises:
        Failure: the command was interrupted, or a file failed.
    """
    everything = [*planned.transfers, *(result.transfer for result in planned.failed)]
    several = len(everything) + planned.same > 1
    with view(output, everything, data=data, several=several) as shown:
        for result in planned.failed:
            shown.begin(result.transfer)
            shown.end(result)
        summary = run(planned.transfers, shown, jobs=jobs, retries=retries)
    summary.total += len(planned.failed) + planned.same
    summary.done += planned.same
    summary.failed[:0] = planned.failed
    _tell_what_was_there(output, planned)
    conclude(output, summary, again, speed)
    return summary


def _tell_what_was_there(output: Output, planned: Planned) -> None:
    for count, words in ((planned.same, "there already"), (planned.skipped, "left alone, as --exists skip says")):
        if count:
            output.say(f"{count} {'file was' if count == 1 else 'files were'} {words}.")

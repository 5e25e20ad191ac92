"""Show transfers: bars on a terminal, else one line for each file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from .failures import Code, Failure, code_of, words_for
from .output import Output, human_size
from .results import Result, Summary, View
from .texts import clean
from .transfers import Transfer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Lines", "conclude", "view"]

_DONE = {"upload": "uploaded", "download": "downloaded", "copy": "copied", "removal": "removed"}
_WIDE = 100  # on a terminal with so many columns the bytes are shown, too
_SHORTEST = 20  # characters of a name's column: "1000 of 10000 files" must fit


@contextmanager
def view(output: Output, transfers: Sequence[Transfer], *, data: bool = True, several: bool = True) -> Iterator[View]:
    """Show transfers while the context is open: with bars where standard error is a terminal.

    Arguments:
        data: write lines about files to standard output. False where it takes a file's content.
        several: whether the command is about several files. If not, `conclude` tells the failure.
    """
    lines = Lines(output, data=data, several=several)
    if output.json or output.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lines
        return
    lines = Lines(output, data=data and not (several and sys.stdout.isatty()), several=several)
    bars = Bars(transfers, lines)
    with bars.progress:
        yield bars


class Lines:
    """Writes a line for each file that is done, or a JSON object.

    Arguments:
        data: write lines about files that are done.
        several: whether the command is about several files. If not, `conclude` tells the failure.
    """

    def __init__(self, output: Output, *, data: bool = True, several: bool = True) -> None:
        self._output, self._data, self._several = output, data, several

    def begin(self, transfer: Transfer) -> None:
        self._output.detail(f"{transfer.kind}: {transfer.source} to {transfer.target}")

    def moved(self, transfer: Transfer, done: int) -> None:
        """Do nothing: lines are written at the end of a transfer."""

    def again(self, result: Result, seconds: float) -> None:
        self._output.detail(f"{result.transfer.source}: {result.error} It is tried again in {seconds:g} s.")

    def end(self, result: Result) -> None:
        if self._output.json and self._data:
            self._output.object(_about(result))
        elif self._data and not result.error and not self._output.quiet:
            click.echo(clean(_sentence(result)))
        if result.error and self._several:
            click.echo(clean(_failure(result)), err=True)


class Bars:
    """Draws a bar for each transfer under way, and above them one for all transfers.

    Arguments:
        transfers: all transfers of the command.
        lines: writes the lines about files.

    Attributes:
        progress: the `Progress` of rich. It draws while its context is open.
    """

    def __init__(self, transfers: Sequence[Transfer], lines: Lines) -> None:
        self._lines = lines
        self._tasks: dict[int, Any] = {}  # the numbers that rich gives to bars, by the id() of the transfers under way
        self._moved: dict[int, int] = {}
        self._ended, self._work, self._count = 0, 0, len(transfers)
        self.progress = _progress(max([len(_name(transfer)) for transfer in transfers], default=0))
        self._whole: Any = None
        if len(transfers) > 1:
            total = max(1, sum(transfer.work for transfer in transfers))
            self._whole = self.progress.add_task(self._title(), total=total)

    def begin(self, transfer: Transfer) -> None:
        self._moved[id(transfer)] = 0
        if id(transfer) not in self._tasks:
            self._tasks[id(transfer)] = self.progress.add_task(_name(transfer), total=max(1, transfer.work))
        self._lines.begin(transfer)

    def moved(self, transfer: Transfer, done: int) -> None:
        with suppress(KeyError):  # a call may report its progress once more after it was cancelled
            self.progress.update(self._tasks[id(transfer)], completed=done)
            self._moved[id(transfer)] = done
            self._draw_whole()

    def again(self, result: Result, seconds: float) -> None:
        self._lines.again(result, seconds)

    def end(self, result: Result) -> None:
        self.progress.remove_task(self._tasks.pop(id(result.transfer)))
        self._moved.pop(id(result.transfer))
        self._ended += 1
        self._work += result.transfer.work
        self._draw_whole()
        self._lines.end(result)

    def _title(self) -> str:
        return f"{self._ended} of {self._count} files"

    def _draw_whole(self) -> None:
        if self._whole is not None:
            done = self._work + sum(list(self._moved.values()))
            self.progress.update(self._whole, completed=done, description=self._title())


def _name(transfer: Transfer) -> str:
    return transfer.source.rpartition("/")[2]


def _progress(longest: int) -> Progress:
    """Make the bars.

    Arguments:
        longest: the number of characters of the longest name. On a wide terminal its column is as wide.
    """
    from rich import progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    class Name(progress.ProgressColumn):
        """A name, shortened to fit its column."""

        def render(self, task: progress.Task) -> Text:
            return Text(clean(task.description), no_wrap=True, overflow="ellipsis")

    console = Console(stderr=True, highlight=False, markup=False)
    wide = console.width >= _WIDE
    name = (
        Column(width=min(max(_SHORTEST, longest), console.width // 2), no_wrap=True, overflow="ellipsis")
        if wide
        else None
    )
    columns: list[progress.ProgressColumn] = [
        Name(table_column=name or Column(ratio=1, no_wrap=True, overflow="ellipsis", min_width=8)),
        progress.BarColumn(bar_width=max(6, min(40, console.width // 8))),
        progress.TextColumn("{task.percentage:>3.0f}%", markup=False),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(compact=True),
    ]
    if wide:
        columns.insert(3, progress.DownloadColumn())
    return progress.Progress(
        *columns, console=console, transient=True, expand=not wide, redirect_stdout=sys.stdout.isatty()
    )


def _about(result: Result) -> dict[str, Any]:
    """Return the JSON object about a transfer."""
    transfer = result.transfer
    about = {"transfer": transfer.kind, "source": transfer.source, "target": transfer.target, "size": transfer.size}
    if result.error:
        return {**about, "error": result.error}
    return {**about, "target": _target(result), "hash": result.value["hash"]}


def _target(result: Result) -> str:
    """Return where the file is now: `--exists rename` may have given it another name."""
    return str(result.value.get("path", result.transfer.target))


def _sentence(result: Result) -> str:
    transfer = result.transfer
    to = _target(result)
    return f"{_DONE[transfer.kind]} {transfer.source}{' to ' if to else ''}{to} ({human_size(transfer.size)})"


def _failure(result: Result) -> str:
    words, source = words_for(result.value), result.transfer.source
    return words if source in words else f"{source}: {words}"


def conclude(
    output: Output, summary: Summary, again: str = "To go on, run the same command again.", speed: bool = True
) -> None:
    """Say how all transfers ended.

    Arguments:
        again: what to do after an interruption, in a sentence.
        speed: tell the speed.

    Raises:
        Failure: the command was interrupted, or a transfer failed. The exit code says which.
    """
    count = f"{summary.done} of {summary.total} files"
    if summary.interrupted:
        raise Failure(f"interrupted. {count} {'is' if summary.done == 1 else 'are'} done. {again}", Code.INTERRUPTED)
    if summary.failed and summary.total == 1:
        raise Failure(_failure(summary.failed[0]), code_of(summary.failed[0].value))
    if summary.failed:
        codes = {code_of(result.value) for result in summary.failed}
        code = codes.pop() if len(codes) == 1 and not summary.done else Code.SOME_FAILED
        raise Failure(f"{len(summary.failed)} of {summary.total} files failed, {summary.done} are done.", code)
    if summary.moved and summary.total > 1:
        rate = human_size(summary.moved / max(summary.seconds, 0.001))
        took = f" in {summary.seconds:.1f} s ({rate}/s)" if speed else ""
        output.say(f"{summary.done} files, {human_size(summary.moved)}{took}")

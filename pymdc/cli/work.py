"""The common part of `sync` and `mirror`: carry out a plan, tell each step, and count the steps."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .engine import run
from .failures import Code, Failure, code_of, words_for
from .hash_cache import hashes_of
from .local_files import Scan, scan_and_tell
from .output import human_size
from .progress import view
from .results import Result
from .texts import clean
from .transfers import Transfer

if TYPE_CHECKING:
    from .session import Session

__all__ = ["GO_ON", "Work", "entries_of", "interruptible", "is_hash"]

GO_ON = "To go on, run the same command again."
_HASH_DIGITS = 40


@contextmanager
def interruptible() -> Iterator[None]:
    """After Ctrl+C, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure(f"interrupted. {GO_ON}", Code.INTERRUPTED) from None


def entries_of(listing: Iterable[Any]) -> list[dict[str, Any]]:
    """Return those files of a listing that have a hash, in 40 hex digits. A bridge may send anything."""
    entries = [entry for entry in listing if isinstance(entry, dict)]
    return [entry for entry in entries if is_hash(entry.get("hash"))]


def is_hash(value: object) -> bool:
    """Tell whether a value is a hash as bridges write it: 40 hex digits."""
    return isinstance(value, str) and len(value) == _HASH_DIGITS and not value.strip("0123456789abcdef")


class Work:
    """Carries out plans for one command.

    Arguments:
        session: the session of the command.
        jobs, retries: as for `engine.run`.
        dry_run: only tell the steps, and do nothing.

    Attributes:
        done, failed: how many steps were done, and how many failed.
    """

    def __init__(self, session: Session, *, jobs: int, retries: int, dry_run: bool) -> None:
        self.output, self.dry_run, self.jobs = session.output, dry_run, jobs
        self._retries = retries
        self.done, self.failed = 0, 0
        self._counts, self._moved, self._began = Counter[str](), 0, time.monotonic()
        self._codes: set[Code] = set()

    def tell(self, kind: str, source: str = "", target: str = "", **more: Any) -> None:
        """Tell a step that is done, or that would be done."""
        self._count(kind, 1)
        if self.output.json:
            dry = {"dry_run": True} if self.dry_run else {}
            self.output.object({"transfer": kind, "source": source, "target": target, **more, **dry})
        elif not self.output.quiet:
            present, past = _VERBS[kind]
            places = " to ".join(each for each in (source, target) if each)
            click.echo(clean(f"{f'would {present}' if self.dry_run else past} {places}"))

    def problem(self, place: str, error: Any) -> None:
        """Tell a step that failed: an error value, or words. The others go on."""
        self.failed += 1
        self._codes.add(Code.SOME_FAILED if isinstance(error, str) else code_of(error))
        words = error if isinstance(error, str) else words_for(error)
        if self.output.json:
            self.output.object({"source": place, "error": words})
        click.echo(clean(f"{place}: {words}"), err=True)

    def transfer(self, transfers: Sequence[Transfer], finished: Callable[[Result], object] | None = None) -> None:
        """Run transfers.

        Arguments:
            finished: called with each result.

        Raises:
            Failure: they were interrupted.
        """
        if self.dry_run:
            for each in transfers:
                self.tell(each.kind, each.source, each.target, size=each.size)
            return
        if not transfers:
            return
        with view(self.output, transfers) as shown:
            summary = run(transfers, shown, jobs=self.jobs, retries=self._retries, finished=finished)
        self._count(transfers[0].kind, summary.done)
        self._moved += summary.moved
        self.failed += len(summary.failed)
        self._codes |= {code_of(result.value) for result in summary.failed}
        if summary.interrupted:
            raise Failure(f"interrupted. {summary.done} of {summary.total} files are done. {GO_ON}", Code.INTERRUPTED)

    def told(self, kind: str, target: str, value: Any) -> bool:
        """Tell how a call ended, and return whether it succeeded."""
        if isinstance(value, BaseException) or (isinstance(value, dict) and "error" in value):
            self.problem(target, value)
            return False
        self.tell(kind, target=target)
        return True

    def _count(self, kind: str, number: int) -> None:
        self.done += number
        self._counts[kind] += number

    def finish(self, nothing: str) -> None:
        """Say how the command ended.

        Arguments:
            nothing: the message if there was nothing to do.

        Raises:
            Failure: a step failed.
        """
        if self.failed:
            code = self._codes.pop() if len(self._codes) == 1 and not self.done else Code.SOME_FAILED
            raise Failure(f"{self.failed} failed, {self.done} done. {GO_ON}", code)
        if not self.done:
            self.output.say(nothing)
        elif not self.dry_run:
            size = f", {human_size(self._moved)}" if self._moved else ""
            done = ", ".join(f"{number} {_VERBS[kind][1]}" for kind, number in self._counts.items() if number)
            self.output.say(f"{done}{size} in {time.monotonic() - self._began:.1f} s")

    def read_folder(self, folder: Path, *, check_names: bool = True) -> tuple[dict[str, str], Scan]:
        """Return the hash of each file of a folder, by its path, and the scan. Only files that have changed are read.

        Files that cannot be read are told.

        Arguments:
            check_names: also tell which files have names that no bridge can keep.

        Raises:
            Failure: the folder itself cannot be read.
        """
        found = scan_and_tell(folder, self.output)
        local = hashes_of(folder, found, self._reading)
        problems = found.problems_of_sending if check_names else found.problems
        for path, words in problems.items():
            self.problem(str(folder / path), words)
        return local, found

    @contextmanager
    def _reading(self, size: int) -> Iterator[Callable[[int], object]]:
        """Show the progress of reading files, if it takes long and standard error is a terminal."""
        if size < _LONG_BYTES or self.output.quiet or self.output.json or not sys.stderr.isatty():
            yield lambda moved: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("reading", total=size)
            yield lambda moved: progress.advance(task, moved)


_VERBS = {
    "copy": ("copy", "copied"),
    "creation": ("create", "created"),
    "download": ("download", "downloaded"),
    "key": ("add", "added"),
    "removal": ("remove", "removed"),
    "upload": ("upload", "uploaded"),
}
_LONG_BYTES = 100 * 10**6

"""The results of transfers, and the interface of what shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from ..core.explanations import explain
from .transfers import Transfer

__all__ = ["Result", "Summary", "View"]


@dataclass(frozen=True)
class Result:
    """How a transfer ended.

    Attributes:
        value: the file's entry; or the error value that stopped it: an exception or a refusal, `{"error": ...}`.
    """

    transfer: Transfer
    value: Any

    @property
    def error(self) -> str:
        """What went wrong, in a sentence; empty for a transfer that is done."""
        return explain(self.value)


@dataclass
class Summary:
    """How all transfers ended.

    Attributes:
        total: how many transfers there were.
        done, moved: how many succeeded, and how many bytes their files have.
        failed: the results of those that failed.
        interrupted: whether a person stopped them before the end.
        seconds: how long they took.
    """

    total: int
    done: int = 0
    moved: int = 0
    failed: list[Result] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0


class View(Protocol):
    """Shows the progress of transfers."""

    def begin(self, transfer: Transfer) -> None:
        """A transfer begins, or begins again."""

    def moved(self, transfer: Transfer, done: int) -> None:
        """A transfer has moved so many bytes in all. Called by any thread."""

    def again(self, result: Result, seconds: float) -> None:
        """A transfer failed, and is tried again after so many seconds."""

    def end(self, result: Result) -> None:
        """A transfer succeeded, or failed and is not tried again."""

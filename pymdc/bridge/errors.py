"""The errors that refuse a request. `app.py` turns each of them into a reply."""

from __future__ import annotations

__all__ = ["Damaged", "Full", "Refused", "Unavailable"]


class Refused(Exception):  # noqa: N818 -- a refusal is an answer, not an error of the bridge
    """The request is refused. The client gets `status` and `{"error": message}`.

    Any code below a route may raise it. The message must not contain secrets.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Unavailable(Refused):
    """The database, the store or the mail server is down, or the bridge is stopping: 503. Nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message)


class Full(Unavailable):
    """A disk is full: 507. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("The disk of the bridge is full: it takes no files now")
        self.status = 507


class Damaged(Refused):
    """A shard in the store is missing or damaged."""

    def __init__(self) -> None:
        super().__init__(500, "The shard is missing or damaged: upload its file again to repair it")

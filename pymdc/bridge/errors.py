"""What a request can be refused with. `app.py` turns it into a reply, in one place."""

from __future__ import annotations

__all__ = ["Damaged", "Full", "Refused", "Unavailable"]


class Refused(Exception):  # noqa: N818 -- a refusal is an answer, not an error of the bridge
    """The request is refused: `status` and `message` are what the client gets, as `{"error": message}`.

    Raised from anywhere below a route. The message never holds anything secret.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Unavailable(Refused):
    """An engine that the bridge stands on, the database or the store, is away: 503, and nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message)


class Full(Unavailable):
    """A disk is full: 507, and nothing was changed."""

    def __init__(self) -> None:
        super().__init__("The bridge is full, it takes no files for now")
        self.status = 507


class Damaged(Refused):
    """A shard in the store is lost, or is not what it was."""

    def __init__(self) -> None:
        super().__init__(500, "The shard is lost or damaged; another upload of its file mends it")

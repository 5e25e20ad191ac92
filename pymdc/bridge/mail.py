"""Mail: until a way to send it is configured, each one is written to the outbox folder."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from .errors import Unavailable

__all__ = ["Mail", "Outbox", "activation_mail"]

_SENDER = "bridge@localhost"
_POLICY = SMTP.clone(utf8=True)  # an address may hold any letter


@dataclass(frozen=True)
class Mail:
    """A mail that asks somebody to follow a link.

    Attributes:
        to: the address.
        subject: the subject.
        text: the text, which holds the link.
        link: the link to follow.
        token: the token in the link.
    """

    to: str
    subject: str
    text: str
    link: str
    token: str

    def message(self) -> EmailMessage:
        """Return the mail as it is sent."""
        message = EmailMessage(policy=_POLICY)
        message["From"] = _SENDER
        message["To"] = self.to
        message["Subject"] = self.subject
        message.set_content(self.text)
        return message


def activation_mail(to: str, link: str, token: str) -> Mail:
    """Return the mail that asks a new user to activate the account."""
    text = f"Welcome to Metadisk!\n\nOpen this link in a browser to activate your account:\n\n  {link}\n"
    return Mail(to, "Please Confirm Your Email Address", text, link, token)


class Outbox:
    """A folder that mails are written to, as `.eml` files that any mail program opens.

    Arguments:
        folder: the folder, made if missing.
        on_mail: called with each mail that was written.
    """

    def __init__(self, folder: Path, on_mail: Callable[[Mail], None] | None = None) -> None:
        self._folder = folder
        self._on_mail = on_mail

    def send(self, mail: Mail) -> None:
        """Write a mail.

        Raises:
            Unavailable: the folder cannot be written to.
        """
        name = f"{time.time_ns()}-{secrets.token_hex(4)}.eml"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._folder / f".{name}"
            # Whoever reads it can activate the account: it is its owner's alone.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
                file.write(mail.message().as_bytes())
            partial.rename(self._folder / name)
        except OSError as error:
            raise Unavailable("The activation mail cannot be sent, try again later") from error
        if self._on_mail is not None:
            self._on_mail(mail)

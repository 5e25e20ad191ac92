"""Send mails: by SMTP if that is set up, else as files in the outbox folder."""

from __future__ import annotations

import logging
import os
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from pathlib import Path
from typing import Protocol

from .errors import Refused, Unavailable
from .message import Mail
from .settings import SMTP_PORTS, SMTP_SECONDS, Settings

__all__ = ["Mail", "Mailer", "Outbox", "SmtpServer", "activation_mail", "mailer"]

_log = logging.getLogger("pymdc.bridge")
_UNSENT = "The activation mail cannot be sent now, try again later"


class Mailer(Protocol):
    """A way to send mails."""

    def send(self, mail: Mail) -> None:
        """Send a mail. When this returns, the mail is on the disk, or another server has accepted it.

        Raises:
            Refused: mail for this address is refused for good.
            Unavailable: it cannot be sent now.
        """


def mailer(settings: Settings) -> Mailer:
    """Return the way to send mails that `settings` ask for."""
    return Outbox(settings.outbox, settings.on_mail) if settings.smtp_host is None else SmtpServer(settings)


def activation_mail(to: str, link: str, token: str) -> Mail:
    """Return the mail that asks a new user to activate the account."""
    text = f"Welcome to Metadisk!\n\nOpen this link in a browser to activate your account:\n\n  {link}\n"
    return Mail(to, "Please Confirm Your Email Address", text, link, token)


class Outbox:
    """A folder to which mails are written, as `.eml` files, which mail programs can open.

    Arguments:
        folder: the folder. It is made if it is missing.
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
            # A reader of this file can activate the account, so only the bridge's user may read it.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor, not a path
                file.write(mail.message().as_bytes())
            partial.rename(self._folder / name)
        except OSError as error:
            raise Unavailable(_UNSENT) from error
        if self._on_mail is not None:
            self._on_mail(mail)


class SmtpServer:
    """The mail server that `settings` name. Each mail is sent on a new connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sender = str(settings.smtp_sender)

    def send(self, mail: Mail) -> None:
        """Send a mail.

        Raises:
            Refused: the server refuses mail for this address for good.
            Unavailable: the server is away, or cannot take the mail now.
        """
        try:
            with self._connected() as server:
                self._deliver(server, mail)
        except OSError as error:  # smtplib's own errors, and those of sockets and TLS
            _log.warning("the mail server failed: %s", error)
            raise Unavailable(_UNSENT) from error
        if self._settings.on_mail is not None:
            self._settings.on_mail(mail)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, security = str(self._settings.smtp_host), self._settings.smtp_security
        port, context = self._settings.smtp_port or SMTP_PORTS[security], ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(host, port, timeout=SMTP_SECONDS, context=context)
            if security == "tls"
            else smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
        )
        try:
            if security == "starttls":
                server.starttls(context=context)
            if self._settings.smtp_user is not None:
                server.login(self._settings.smtp_user, str(self._settings.smtp_password))
            yield server
            with suppress(OSError):  # the server has accepted the mail; how it ends the connection does not matter
                server.quit()
        finally:
            server.close()

    def _deliver(self, server: smtplib.SMTP, mail: Mail) -> None:
        try:
            server.send_message(mail.message(self._sender), parseaddr(self._sender)[1], [mail.to])
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
            if not _for_good(error):
                raise
            _log.warning("the mail server refused an address for good: %s", type(error).__name__)
            raise Refused(422, "The mail server refuses mail for this address") from error


def _for_good(error: smtplib.SMTPException) -> bool:
    # 4xx is a refusal for now, such as greylisting: RFC 5321, section 4.2.1.
    codes = [code for code, _ in error.recipients.values()] if isinstance(error, smtplib.SMTPRecipientsRefused) else []
    return all(code >= 500 for code in codes)

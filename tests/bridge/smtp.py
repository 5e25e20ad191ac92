"""A real mail server, with a certificate of its own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Inbox:
    """The mails that a mail server took, and its replies to recipients and to mails."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    to_recipient: str = "250 OK"
    to_mail: str = "250 OK"
    secured: list[bool] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 -- as aiosmtpd has it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.secured.append(session.ssl is not None)
        self.known.append(bool(session.authenticated))
        if self.to_mail.startswith("250"):
            self.envelopes.append(envelope)
        return self.to_mail


class _Listening(Controller):
    """On a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _let_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"bridge", b"secret")
    return AuthResult(success=good, handled=good)


@contextmanager
def mail_server(authority: trustme.CA, security: str = "starttls", utf8: bool = True) -> Iterator[Inbox]:
    """Run a mail server on 127.0.0.1. Where it speaks TLS, it wants a login: bridge, secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    inbox = Inbox()
    tls: dict[str, Any] = {
        "starttls": {"tls_context": context, "require_starttls": True, "auth_required": True},
        "tls": {"ssl_context": context, "auth_require_tls": False},
        "none": {},
    }[security]
    server = _Listening(inbox, hostname="127.0.0.1", port=0, authenticator=_let_in, enable_SMTPUTF8=utf8, **tls)
    server.start()
    inbox.port = server.port
    try:
        yield inbox
    finally:
        server.stop()

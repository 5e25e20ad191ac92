from __future__ import annotations

import email.policy
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from pymdc.bridge import mail
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.mail import Mail, Outbox, SmtpServer, activation_mail, mailer
from pymdc.bridge.server import serve
from pymdc.bridge.settings import SMTP_PORTS, Settings

from .harness import PASSWORD, Running, running
from .smtp import Inbox, mail_server


def read(data: bytes) -> EmailMessage:
    message = BytesParser(policy=email.policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    sent: list[Mail] = []
    mail = activation_mail("jürgen@example.com", "http://127.0.0.1/activations/abc", "abc")
    Outbox(tmp_path / "outbox", sent.append).send(mail)
    (path,) = (tmp_path / "outbox").iterdir()
    assert sent == [mail]
    assert path.suffix == ".eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    message = read(path.read_bytes())
    assert (message["To"], message["Subject"]) == ("jürgen@example.com", "Please Confirm Your Email Address")
    assert "http://127.0.0.1/activations/abc" in message.get_content()


def test_on_mail_is_optional(tmp_path: Path) -> None:
    Outbox(tmp_path).send(activation_mail("a@example.com", "http://link", "token"))
    assert len(list(tmp_path.glob("*.eml"))) == 1


def test_an_outbox_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(Unavailable):
        Outbox(tmp_path / "outbox").send(activation_mail("a@example.com", "http://link", "token"))


def test_mails_go_to_the_outbox_until_a_server_is_named(tmp_path: Path) -> None:
    assert isinstance(mailer(Settings(tmp_path)), Outbox)
    assert isinstance(mailer(Settings(tmp_path, smtp_host="mail", smtp_sender="b@example.com")), SmtpServer)


def settings_for_mail(folder: Path, inbox: Inbox, security: str = "starttls", password: str = "secret") -> Settings:
    login: dict[str, Any] = {} if security == "none" else {"smtp_user": "bridge", "smtp_password": password}
    return Settings(
        folder,
        smtp_host="127.0.0.1",
        smtp_port=inbox.port,
        smtp_security=security,
        smtp_sender="The Bridge <bridge@example.com>",
        **login,
    )


@pytest.mark.parametrize("security", SMTP_PORTS)
@pytest.mark.parametrize("to", ["a@example.com", "jürgen@exämple.com"])
def test_a_mail_server_gets_mails(tmp_path: Path, authority: trustme.CA, security: str, to: str) -> None:
    with mail_server(authority, security) as inbox:
        SmtpServer(settings_for_mail(tmp_path, inbox, security)).send(activation_mail(to, "http://link", "token"))
    (envelope,) = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bridge@example.com", [to])
    assert inbox.known == [security != "none"]
    assert isinstance(envelope.content, bytes)
    message = read(envelope.content)
    assert (message["From"], message["To"]) == ("The Bridge <bridge@example.com>", to)
    assert (message["Auto-Submitted"], message["Message-ID"][-13:]) == ("auto-generated", "@example.com>")
    assert message["Date"].datetime is not None
    assert "http://link" in message.get_content()


def test_a_mail_server_without_a_trusted_certificate_gets_neither_login_nor_mail(
    tmp_path: Path, authority: trustme.CA
) -> None:
    with mail_server(trustme.CA()) as inbox, pytest.raises(Unavailable):
        SmtpServer(settings_for_mail(tmp_path, inbox)).send(activation_mail("a@example.com", "http://link", "token"))
    assert not inbox.envelopes


@contextmanager
def silent_server() -> Iterator[Inbox]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Inbox(listener.getsockname()[1])


@contextmanager
def rude_server() -> Iterator[Inbox]:
    """A server that takes a mail and then hangs up without a word."""
    replies = iter([b"250 hello", b"250 sender", b"250 recipient", b"354 go on", b"250 taken"])

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 welcome\r\n")
            for reply in replies:
                while reply == b"250 taken" and lines.readline() != b".\r\n":
                    pass
                if reply != b"250 taken":
                    lines.readline()
                connection.sendall(reply + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk)
        thread.start()
        yield Inbox(listener.getsockname()[1])
        thread.join(30)


def test_a_mail_that_was_accepted_counts_as_sent_however_the_connection_ends(tmp_path: Path) -> None:
    sent: list[Mail] = []
    with rude_server() as inbox:
        settings = settings_for_mail(tmp_path, inbox, "none")
        one = activation_mail("a@example.com", "http://link", "token")
        SmtpServer(replace(settings, on_mail=sent.append)).send(one)
    assert sent == [one]


def test_the_wait_for_a_silent_mail_server_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SMTP_SECONDS", 0.1)
    with silent_server() as inbox, pytest.raises(Unavailable, match="try again later"):
        SmtpServer(settings_for_mail(tmp_path, inbox)).send(activation_mail("a@example.com", "http://link", "token"))


def register(bridge: Running, address: str = "a@example.com") -> httpx.Response:
    return bridge.http.post("/users", json={"email": address, "password": PASSWORD})


@contextmanager
def mailing(folder: Path, inbox: Inbox, **settings: object) -> Iterator[Running]:
    """A bridge that sends its mails to a server."""
    mine = vars(settings_for_mail(folder, inbox, "starttls"))
    with running(folder, **{name: mine[name] for name in mine if name.startswith("smtp")} | settings) as bridge:
        yield bridge


def test_the_link_in_the_mail_activates_the_account(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox) as bridge:
        assert register(bridge).status_code == 200
        (envelope,) = inbox.envelopes
        assert isinstance(envelope.content, bytes)
        text = read(envelope.content).get_content()
        link = next(word for word in text.split() if word.startswith("http"))
        assert bridge.http.get(link).json()["activated"] is True
        assert not bridge.settings.outbox.exists()


@pytest.mark.parametrize(
    ("to_recipient", "to_mail", "status", "words"),
    [
        ("550 no such user", "250 OK", 422, "The mail server refuses mail for this address"),
        ("451 greylisted", "250 OK", 503, "The activation mail cannot be sent now, try again later"),
        ("250 OK", "554 spam", 503, "The activation mail cannot be sent now, try again later"),
    ],
)
def test_a_registration_whose_mail_is_refused_can_be_made_again(
    tmp_path: Path, authority: trustme.CA, to_recipient: str, to_mail: str, status: int, words: str
) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox) as bridge:
        inbox.to_recipient, inbox.to_mail = to_recipient, to_mail
        reply = register(bridge)
        assert (reply.status_code, reply.json()) == (status, {"error": words})
        inbox.to_recipient = inbox.to_mail = "250 OK"
        assert register(bridge).status_code == 200
        assert register(bridge).status_code == 409


def test_a_server_without_utf8_refuses_an_address_that_needs_it(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority, utf8=False) as inbox, mailing(tmp_path, inbox) as bridge:
        assert register(bridge, "jürgen@example.com").status_code == 422


def test_a_wrong_login_at_the_mail_server_is_an_error_of_the_bridge(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox, smtp_password="wrong") as bridge:
        assert register(bridge).status_code == 503


def test_a_server_that_is_away_is_told_and_found_again(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, Inbox(inbox.port), smtp_port=1) as bridge:
        assert register(bridge).status_code == 503
    with mail_server(authority) as inbox, mailing(tmp_path, inbox) as bridge:
        assert register(bridge).status_code == 200


def test_an_address_may_cause_only_so_many_mails(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox, registrations_per_hour=2) as bridge:
        assert [register(bridge, f"{name}@example.com").status_code for name in "abc"] == [200, 200, 429]
        assert register(bridge).json() == {"error": "Too many registrations from this address, try again in an hour"}
        assert len(inbox.envelopes) == 2


def test_the_links_of_mails_that_are_sent_are_not_shown(tmp_path: Path, authority: trustme.CA) -> None:
    lines: list[str] = []
    replies: list[int] = []

    def use() -> None:
        url = lines[-1].partition("=")[2]
        user = {"email": "a@example.com", "password": PASSWORD}
        replies.append(httpx.post(f"{url}/users", json=user, timeout=30, trust_env=False).status_code)
        os.kill(os.getpid(), signal.SIGINT)

    def echo(line: str) -> None:
        lines.append(line)
        if line.startswith("export"):
            threading.Thread(target=use).start()

    with mail_server(authority) as inbox:
        settings = replace(settings_for_mail(tmp_path, inbox), port=0)
        with pytest.raises(KeyboardInterrupt):
            serve(settings, echo)
    assert (replies, len(inbox.envelopes)) == ([200], 1)
    assert lines[1] == "Mail: 127.0.0.1"
    assert len(lines) == 3

from __future__ import annotations

import email.policy
import stat
from email.parser import BytesParser
from pathlib import Path

import pytest

from pymdc.bridge.errors import Unavailable
from pymdc.bridge.mail import Mail, Outbox, activation_mail


def test_a_mail_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    sent: list[Mail] = []
    mail = activation_mail("jürgen@example.com", "http://127.0.0.1/activations/abc", "abc")
    Outbox(tmp_path / "outbox", sent.append).send(mail)
    (path,) = (tmp_path / "outbox").iterdir()
    assert sent == [mail]
    assert path.suffix == ".eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    message = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes())
    assert (message["To"], message["Subject"]) == ("jürgen@example.com", "Please Confirm Your Email Address")
    assert "http://127.0.0.1/activations/abc" in message.get_content()


def test_nobody_needs_to_be_told_of_a_mail(tmp_path: Path) -> None:
    Outbox(tmp_path).send(activation_mail("a@example.com", "http://link", "token"))
    assert len(list(tmp_path.glob("*.eml"))) == 1


def test_an_outbox_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(Unavailable):
        Outbox(tmp_path / "outbox").send(activation_mail("a@example.com", "http://link", "token"))

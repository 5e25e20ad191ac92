"""Registering again: an account that is not activated yet gets its mail again."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from pymdc.bridge.passwords import Passwords
from pymdc.bridge.store import Store

from ..harness import PASSWORD, Running, until
from ..smtp import mail_server
from ..test_mail import mailing

TAKEN = 409, {"error": "Email is already registered"}
WRONG = hashlib.sha256(b"wrong").hexdigest()
EMAIL = "a@example.com"


def register(bridge: Running, password: str = PASSWORD) -> tuple[int, object]:
    reply = bridge.http.post("/users", json={"email": EMAIL, "password": password})
    return reply.status_code, reply.json()


def settled(bridge: Running) -> None:
    """Wait until nothing is under way any more: a mail follows after its reply."""
    limits = bridge.thread._server.bridge.limits  # type: ignore[union-attr]
    until(bridge, lambda: not limits.busy)


def test_registering_again_with_the_right_password_sends_another_mail(own_bridge: Running) -> None:
    assert register(own_bridge)[0] == 200
    assert register(own_bridge) == TAKEN
    until(own_bridge, lambda: len(own_bridge.mails) == 2)
    old, new = own_bridge.mails
    assert new.to == EMAIL
    assert own_bridge.http.get(old.link).json()["activated"] is True
    assert own_bridge.http.get(new.link).status_code == 400, "one link serves, once"


def test_an_account_whose_first_mail_was_never_sent_lives_on_by_the_second(own_bridge: Running) -> None:
    assert register(own_bridge)[0] == 200
    own_bridge.sql("UPDATE activations SET mailed = ?", False)  # as if the process had died before it sent it
    assert register(own_bridge) == TAKEN
    until(own_bridge, lambda: len(own_bridge.mails) == 2)
    with closing(Store(own_bridge.settings.database_url)) as store:
        store.users.sweep(store.now() + 3_600_000)
    assert own_bridge.http.get(own_bridge.mails[-1].link).json()["activated"] is True


def test_a_wrong_password_sends_nothing_and_leaves_the_link(
    own_bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = Passwords.verify

    def noted(self: Passwords, password: str, kept: str) -> bool:
        checked.append(password)
        return verify(self, password, kept)

    monkeypatch.setattr(Passwords, "verify", noted)
    assert register(own_bridge)[0] == 200
    assert register(own_bridge, WRONG) == TAKEN
    assert register(own_bridge) == TAKEN
    until(own_bridge, lambda: len(own_bridge.mails) == 2)
    assert checked == [WRONG, PASSWORD], "a wrong password costs as much as the right one"
    assert own_bridge.http.get(own_bridge.mails[-1].link).status_code == 200


def test_an_account_that_waits_for_nothing_gets_no_mail(own_bridge: Running) -> None:
    assert register(own_bridge)[0] == 200
    own_bridge.http.get(own_bridge.mails[0].link).raise_for_status()
    assert register(own_bridge) == TAKEN
    settled(own_bridge)
    with closing(Store(own_bridge.settings.database_url)) as store:
        store.accounts.disable(EMAIL)
    assert register(own_bridge) == TAKEN
    settled(own_bridge)
    assert len(own_bridge.mails) == 1


def test_an_account_that_is_removed_meanwhile_gets_the_same_refusal(
    own_bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_bridge.thread._server.config.app.state.bridge.store.users, "with_password", lambda _: None)  # type: ignore[union-attr]
    assert register(own_bridge)[0] == 200
    assert register(own_bridge) == TAKEN


def test_a_mailbox_gets_no_more_mails_than_its_share(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox) as bridge:
        assert register(bridge)[0] == 200
        for _ in range(5):
            assert register(bridge) == TAKEN
        settled(bridge)
        assert len(inbox.envelopes) == 1 + 3
        assert "an activation mail was not sent again: Too many registrations" in caplog.text
        content = inbox.envelopes[-1].content
        assert isinstance(content, bytes)
        text = content.decode()
        link = next(word for word in text.split() if word.startswith("http"))
        assert bridge.http.get(link).json()["activated"] is True, "the mail that was not sent spoils no link"


def test_registering_again_counts_among_the_registrations_of_an_address(tmp_path: Path, authority: trustme.CA) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox, registrations_per_hour=2) as bridge:
        assert [register(bridge)[0] for _ in range(3)] == [200, 409, 429]


def test_a_mail_server_that_is_away_does_not_change_the_reply(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server(authority) as inbox, mailing(tmp_path, inbox) as bridge:
        assert register(bridge)[0] == 200
        inbox.to_recipient = "451 greylisted"
        assert register(bridge) == TAKEN
        settled(bridge)
        assert "an activation mail was not sent again" in caplog.text

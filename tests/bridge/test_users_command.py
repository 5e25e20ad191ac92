"""`pymdc bridge users`, while the bridge serves."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from pymdc.bridge import cleaning
from pymdc.bridge.context import Bridge
from pymdc.bridge.settings import Settings
from pymdc.bridge.store import Store

from .harness import PASSWORD, Running, running
from .test_command import look_after


def users(bridge: Running, *arguments: str, typed: str | None = None) -> tuple[int, str]:
    result = look_after(bridge.data, "users", *arguments, typed=typed)
    return result.exit_code, result.output


def waiting(bridge: Running, email: str = "waiting@example.com") -> str:
    bridge.http.post("/users", json={"email": email, "password": PASSWORD}).raise_for_status()
    return email


def test_an_account_is_shown_with_its_limits(own_bridge: Running) -> None:
    alice = own_bridge.person()
    alice.upload(alice.bucket(), b"data")
    code, shown = users(own_bridge, "show", alice.email.upper())
    assert code == 0
    lines = dict(line.split(":", 1) for line in shown.splitlines())
    assert {name: text.strip() for name, text in lines.items() if name != "registered"} == {
        "e-mail": alice.email,
        "state": "activated",
        "keys": "1",
        "buckets": "1 of any number",
        "stored": "4 bytes of any number",
        "key": alice.key.get_public_key(),
    }
    assert users(own_bridge, "limit", alice.email, "--storage", "1.5", "--buckets", "3")[0] == 0
    _, shown = users(own_bridge, "show", alice.email)
    assert "1 of 3" in shown
    assert "4 bytes of 1.5 GB" in shown


def test_the_account_that_holds_a_key_is_found_and_its_removal_frees_the_key(own_bridge: Running) -> None:
    alice, thief = own_bridge.person(), own_bridge.person()
    key = thief.key.get_public_key()
    assert own_bridge.http.post("/keys", json={"key": key}, auth=alice.basic).status_code == 400
    assert users(own_bridge, "find-key", key.upper()) == (0, f"{thief.email}\n")
    assert users(own_bridge, "remove", thief.email, "--yes")[0] == 0
    assert users(own_bridge, "find-key", key) == (1, "Error: no account holds this key\n")
    assert own_bridge.http.post("/keys", json={"key": key}, auth=alice.basic).status_code == 200
    assert users(own_bridge, "find-key", "nonsense")[0] == 1


def test_a_disabled_account_is_kept_out_until_it_is_enabled(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    assert users(own_bridge, "disable", alice.email) == (0, f"{alice.email} is disabled.\n")
    assert own_bridge.http.get("/keys", auth=alice.basic).status_code == 401
    assert alice.send("GET", "/buckets").status_code == 401
    assert "disabled" in users(own_bridge, "show", alice.email)[1]
    assert users(own_bridge, "enable", alice.email)[0] == 0
    assert [each["id"] for each in alice.send("GET", "/buckets").json()] == [bucket]


def test_the_activation_mail_is_sent_again_with_a_new_link(own_bridge: Running) -> None:
    email = waiting(own_bridge)
    old = own_bridge.mails[-1].token
    code, said = users(own_bridge, "resend", email)
    assert code == 0
    assert said.startswith(f"To activate {email}: http://127.0.0.1:6382/activations/")
    token = said.strip().rpartition("/")[2]
    assert own_bridge.http.get(f"/activations/{old}").status_code == 400
    assert own_bridge.http.get(f"/activations/{token}").json()["activated"] is True
    assert users(own_bridge, "resend", email)[0] == 1


def test_a_password_is_asked_for_without_echo_and_replaces_the_old_one(own_bridge: Running) -> None:
    alice = own_bridge.person()
    code, said = users(own_bridge, "password", alice.email, typed="new one\nnew one\n")
    assert code == 0
    assert "new one" not in said
    assert own_bridge.http.get("/keys", auth=alice.basic).status_code == 401
    new = hashlib.sha256(b"new one").hexdigest()
    assert own_bridge.http.get("/keys", auth=(alice.email, new)).status_code == 200


@pytest.mark.parametrize("command", ["show", "activate", "disable", "enable", "limit", "resend"])
def test_a_command_about_an_account_that_is_missing_says_so(own_bridge: Running, command: str) -> None:
    code, said = users(own_bridge, command, "nobody@example.com")
    assert (code, "nobody@example.com" in said) == (1, True)


def test_an_account_has_no_more_buckets_than_its_limit(tmp_path: Path) -> None:
    with running(tmp_path, user_buckets=1) as bridge:
        alice, bob = bridge.person(), bridge.person()
        alice.bucket()
        refused = alice.send("POST", "/buckets", {"name": "another"})
        assert (refused.status_code, refused.json()["error"]) == (403, "The account may have no more than 1 buckets")
        users(bridge, "limit", bob.email, "--buckets", "2")
        bob.bucket()
        bob.bucket()
        assert bob.send("POST", "/buckets", {"name": "another"}).status_code == 403


def test_an_account_stores_no_more_than_its_limit_in_all_its_buckets(tmp_path: Path) -> None:
    with running(tmp_path, user_storage=10e-9) as bridge:
        alice = bridge.person()
        first, second = alice.bucket(), alice.bucket()
        assert alice.upload(first, b"123456").status_code == 200
        refused = alice.upload(second, b"abcdef")
        assert (refused.status_code, refused.json()["error"]) == (403, "The account may store no more than 1e-08 GB")
        assert alice.upload(first, b"123456", name="renamed").status_code == 200, "it takes no more room"
        users(bridge, "limit", alice.email, "--storage", "1")
        assert alice.upload(second, b"abcdef").status_code == 200


@pytest.mark.parametrize(
    ("registrations", "email", "status"),
    [
        ("open", "a@example.com", 200),
        ("closed", "a@example.com", 403),
        ("example.com, example.org", "a@Example.org", 200),
        ("example.com, example.org", "a@sub.example.com", 403),
    ],
)
def test_an_operator_says_who_may_register(tmp_path: Path, registrations: str, email: str, status: int) -> None:
    with running(tmp_path, registrations=registrations) as bridge:
        assert bridge.http.post("/users", json={"email": email, "password": PASSWORD}).status_code == status


def test_an_account_that_is_never_activated_expires(tmp_path: Path) -> None:
    with running(tmp_path, activation_days=3) as bridge:
        alice = bridge.person()
        email, disabled = waiting(bridge), waiting(bridge, "disabled@example.com")
        users(bridge, "disable", disabled)
        with closing(Store(bridge.settings.database_url)) as store:
            for days, left in [(2, True), (4, False)]:
                bridge.sql(f"UPDATE users SET created = {store.now() - days * 24 * 3_600_000}")
                anyio.run(cleaned, bridge.settings)
                assert (store.accounts.get(email) is not None) is left
            assert store.accounts.get(disabled) is not None
            assert store.accounts.get(alice.email) is not None


def test_accounts_wait_without_limit_if_the_operator_says_so(tmp_path: Path) -> None:
    with running(tmp_path, activation_days=0) as bridge:
        email = waiting(bridge)
        bridge.sql("UPDATE users SET created = 0")
        anyio.run(cleaned, bridge.settings)
        assert users(bridge, "show", email)[0] == 0


async def cleaned(settings: Settings) -> None:
    """Clean up as another bridge of the same database does, once."""
    other = Bridge.open(settings)
    with closing(other.store):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cleaning.run, other)
            await other.in_store(lambda: None)
            tasks.cancel_scope.cancel()

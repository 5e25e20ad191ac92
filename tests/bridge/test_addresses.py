from __future__ import annotations

import pytest

from pymdc.bridge.addresses import Addresses, neighbourhood


def found(peer: str | None, *forwarded: str, proxies: tuple[str, ...] = ("10.0.0.0/8", "::1")) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    client = None if peer is None else (peer, 1234)
    return Addresses(proxies).of({"type": "http", "headers": headers, "client": client})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("::ffff:192.0.2.1", (), "192.0.2.1"),
        ("fe80::1%eth0", (), "fe80::1"),
        (None, (), "unknown"),
        # What an untrusted client says does not count.
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        # The last one that no trusted proxy has is the client: the client may have written anything before it.
        ("10.1.2.3", ("198.51.100.7",), "198.51.100.7"),
        ("::1", ("203.0.113.9, 198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        ("10.1.2.3", ("203.0.113.9", "198.51.100.7 ,10.0.0.2"), "198.51.100.7"),
        ("10.1.2.3", ("10.0.0.2",), "10.0.0.2"),
        ("10.1.2.3", (), "10.1.2.3"),
        ("10.1.2.3", ("198.51.100.7, nonsense",), "10.1.2.3"),
        ("10.1.2.3", ("nonsense, 198.51.100.7",), "198.51.100.7"),
    ],
)
def test_a_client_is_known_by_what_trusted_proxies_say(
    peer: str | None, forwarded: tuple[str, ...], expected: str
) -> None:
    assert found(peer, *forwarded) == expected


def test_no_proxy_is_trusted_by_default() -> None:
    assert found("127.0.0.1", "198.51.100.7", proxies=()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unknown", "unknown", True),
    ],
)
def test_the_addresses_of_one_customer_count_as_one(one: str, other: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same

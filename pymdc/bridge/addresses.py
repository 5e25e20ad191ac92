"""Find the address of a client: that of the connection, or the one that a trusted proxy names."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["Addresses", "neighbourhood"]

_HOPS = 32  # how many proxies in a row are read; a hostile header of 32 KB could name ten thousand
_REMEMBERED = 4096  # how many addresses are cached: the same one comes with each request of a connection
_HOME_BITS = 64  # bits of an IPv6 network: a provider gives one to each customer, so all its addresses count as one


class Addresses:
    """Finds the addresses of clients.

    Arguments:
        proxies: addresses and networks of trusted proxies, which name the client in `X-Forwarded-For`.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        self._proxies = [ip_network(proxy) for proxy in proxies]

    def of(self, scope: Scope) -> str:
        """Return the address of a request's client: the last address that does not belong to a trusted proxy."""
        said = scope["client"][0] if scope.get("client") else ""
        if not self._proxies:
            return _shown(said)
        peer = _parsed(said)
        named = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).rsplit(",", _HOPS)[-_HOPS:]
        while peer is not None and self._trusts(peer) and named:
            before = _parsed(named.pop())
            if before is None:
                break  # not an address: do not believe what stands before it
            peer = before
        return "unknown" if peer is None else str(peer)

    def trusts(self, address: str) -> bool:
        """Tell whether an address is that of a trusted proxy."""
        parsed = _parsed(address)
        return parsed is not None and self._trusts(parsed)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in proxy for proxy in self._proxies)


@lru_cache(_REMEMBERED)
def neighbourhood(address: str) -> str:
    """Return the group by which clients are counted: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _parsed(address)
    return str(ip_network((parsed, _HOME_BITS), strict=False)) if isinstance(parsed, IPv6Address) else address


@lru_cache(_REMEMBERED)
def _shown(text: str) -> str:
    address = _parsed(text)
    return "unknown" if address is None else str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped

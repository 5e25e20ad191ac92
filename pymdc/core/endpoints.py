"""Choose the bridge and the proxy for a call, and check the bridge's URL."""

from __future__ import annotations

import logging
import os
import re
from urllib.parse import SplitResult, urlsplit

from .. import config

__all__ = ["choose_endpoint", "parse_endpoint", "proxy_for", "warn_if_retired"]

logger = logging.getLogger("pymdc")

# The path is signed, so accept only paths that no library rewrites.
_SENT_AS_IT_IS = re.compile(r"(/(?!\.{1,2}(/|$))[\w%:!$&'()*+,;=~.-]*)*", re.ASCII)


def choose_endpoint(endpoint: str | None) -> str:
    """Return the endpoint to use: the argument, else the environment, else the retired one of 2016."""
    if endpoint is not None:
        return endpoint
    return os.environ.get(config.ENDPOINT_VARIABLE) or config.RETIRED_ENDPOINT


_warned: list[str] = []  # the retired endpoint, once this process was warned of it


def warn_if_retired(endpoint: str) -> None:
    """Warn once in a process if the endpoint is the one of 2016, which nobody serves any more."""
    if endpoint != config.RETIRED_ENDPOINT or _warned:
        return
    _warned.append(endpoint)
    logger.warning(
        "The public Metadisk service at %s was retired. Name another bridge: set the environment variable %s, or call "
        'pymdc.configure(endpoint="http://127.0.0.1:6382"). `pymdc bridge` runs one on this machine.',
        config.RETIRED_ENDPOINT,
        config.ENDPOINT_VARIABLE,
    )


def parse_endpoint(endpoint: str) -> SplitResult:
    """Split an endpoint into its parts, its path without a slash at the end.

    Raises:
        ValueError: it is no `http` or `https` URL, or contains credentials, a query or a fragment. The message does not
            repeat an endpoint that contains credentials.
    """
    if "@" in endpoint:  # before it is split: a password with a "/" in it would end up in the port, or in the path
        raise ValueError("malformed endpoint: it must not contain a user name or a password")
    try:
        parts = urlsplit(endpoint.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"malformed endpoint: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"malformed endpoint {endpoint!r}: expected something like http://127.0.0.1:6382")
    if parts.query or parts.fragment:
        raise ValueError(f"malformed endpoint {endpoint!r}: it must not have a query or a fragment")
    if not _SENT_AS_IT_IS.fullmatch(parts.path):
        raise ValueError(f"malformed endpoint {endpoint!r}: its path must be percent-encoded, without '.' and '..'")
    return parts._replace(path=parts.path.rstrip("/"))


def proxy_for(address: str, scheme: str) -> str | None:
    """Return the URL of the proxy in the environment, by the rules of urllib, as in 2016.

    Arguments:
        address: the host to reach, with its port, since `NO_PROXY` may contain a port.
        scheme: `http` or `https`.
    """
    import urllib.request  # slow to load, and not needed before the first call

    if urllib.request.proxy_bypass(address):
        return None
    proxies = urllib.request.getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    return named if not named or "://" in named else f"http://{named}"

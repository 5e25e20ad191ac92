"""Registering and activating."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from starlette.requests import Request
from starlette.responses import Response

from .. import fields
from ..addresses import neighbourhood
from ..context import Bridge
from ..errors import Refused
from ..mail import activation_mail
from ..requests import Reply, client, read_object
from ..store import User

__all__ = ["activate", "create"]

_URL_CHARACTERS = ":/%#?=@[]!$&'()*+,;"  # RFC 3986; all else is percent-encoded, line breaks included


async def create(bridge: Bridge, request: Request) -> Response:
    """POST /users"""
    _, sent = await read_object(request)
    password, email = fields.password(sent.get("password")), fields.email(sent.get("email"))
    _check_domain(bridge.settings.registrations, email)
    key = fields.public_key(sent["pubkey"]) if sent.get("pubkey") else None
    if bridge.settings.smtp_host is not None:
        limit, address = bridge.settings.registrations_per_hour, neighbourhood(client(request))
        await bridge.in_database(bridge.store.registrations.admit, address, limit, bridge.now())
    kept = await bridge.logins.protect(client(request), password)
    token = secrets.token_hex(32)
    user = await bridge.in_database(bridge.store.users.create, email, kept, key, token, bridge.now())
    await _send_mail(bridge, email, token, sent.get("redirect"))
    return Reply(_shown(user) | ({} if key is None else {"pubkey": key[0]}))


async def activate(bridge: Bridge, request: Request) -> Response:
    """GET /activations/:token"""
    user = await bridge.in_database(bridge.store.users.activate, request.path_params["token"])
    target = request.query_params.get("redirect")
    if not _allowed(bridge, target):
        return Reply(_shown(user))
    url = quote(str(target), safe=_URL_CHARACTERS)
    headers = {"Location": url, "Vary": "Origin, Accept"}
    return Response(f"Found. Redirecting to {url}", 302, headers, "text/plain")


async def _send_mail(bridge: Bridge, email: str, token: str, redirect: Any) -> None:
    link = f"{bridge.settings.base_url}/activations/{token}"
    if _allowed(bridge, redirect):
        link += f"?redirect={quote(redirect, safe=':/')}"
    mail = activation_mail(email, link, token)
    with anyio.CancelScope(shield=True):  # a mail that went out must not be forgotten
        try:
            await bridge.post(mail)
            await bridge.in_database(bridge.store.users.mailed, email)
        except Refused:
            # Without the mail the account could never be used, and its e-mail never be registered again.
            await bridge.in_database(bridge.store.users.unregister, email)
            raise


def _check_domain(registrations: str, email: str) -> None:
    """Refuse an address that may not register here."""
    if registrations == "closed":
        raise Refused(403, "This bridge takes no registrations")
    domains = {domain.strip().lower() for domain in registrations.split(",")}
    if registrations != "open" and email.rpartition("@")[2] not in domains:
        raise Refused(403, f"This bridge takes registrations for addresses of {registrations} only")


def _allowed(bridge: Bridge, redirect: Any) -> bool:
    if not isinstance(redirect, str):
        return False
    try:
        parts = urlsplit(redirect)
    except ValueError:
        return False
    allowed = {origin.rstrip("/").lower() for origin in bridge.settings.redirect_origins}
    return f"{parts.scheme}://{parts.netloc}".lower() in allowed


def _shown(user: User) -> dict[str, Any]:
    return {
        "activated": user.activated,
        "created": fields.iso_date(user.created),
        "email": user.email,
        "id": user.email,
    }

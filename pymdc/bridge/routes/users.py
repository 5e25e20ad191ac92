"""Register and activate users."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from .. import fields, pages
from ..addresses import neighbourhood
from ..context import Bridge
from ..errors import Refused
from ..mail import activation_mail
from ..message import Mail
from ..requests import Reply, client, read_object
from ..settings import MAILS_PER_ACCOUNT
from ..store import EMAIL_IS_TAKEN, User

__all__ = ["activate", "create"]

_log = logging.getLogger("pymdc.bridge")
_REDIRECT_BYTES = 256  # the link, percent-encoded, still fits into one line of a mail: RFC 5322, section 2.1.1
_URL_CHARACTERS = ":/%#?=@[]!$&'()*+,;"  # RFC 3986; all others, such as line breaks, are percent-encoded


async def create(bridge: Bridge, request: Request) -> Response:
    """POST /users

    Someone who registers again with the right password, before the account is activated, gets another mail. The reply
    is the same refusal as for any address that is taken, and does not wait for the mail.
    """
    _, sent = await read_object(request)
    password, email = fields.password(sent.get("password")), fields.email(sent.get("email"))
    _check_domain(bridge.settings.registrations, email)
    key = fields.public_key(sent["pubkey"]) if sent.get("pubkey") else None
    if bridge.settings.smtp_host is not None:
        limit, address = bridge.settings.registrations_per_hour, neighbourhood(client(request))
        await bridge.in_database(bridge.store.registrations.admit, address, limit, bridge.now())
    if isinstance(redirect := sent.get("redirect"), str) and fields.utf8(redirect) != redirect:
        raise Refused(422, "User validation failed")
    token = secrets.token_hex(32)
    mail = _mail(bridge, email, token, redirect)
    hashed = await bridge.logins.hash(client(request), password)
    try:
        user = await bridge.in_database(bridge.store.users.create, email, hashed, key, token, bridge.now())
    except Refused as refused:
        if refused.message != EMAIL_IS_TAKEN:
            raise
        is_owner = await _knows_password(bridge, client(request), email, password)
        again = BackgroundTask(_send_again, bridge, mail) if is_owner else None
        return Reply({"error": refused.message}, refused.status, background=again)
    await _send_mail(bridge, mail)
    return Reply(_shown(user) | ({} if key is None else {"pubkey": key[0]}))


async def activate(bridge: Bridge, request: Request) -> Response:
    """GET /activations/:token"""
    try:
        user = await bridge.in_database(bridge.store.users.activate, request.path_params["token"])
    except Refused as refused:
        if not pages.wanted(request):
            raise
        return pages.not_activated(refused.status, refused.message)
    target = request.query_params.get("redirect")
    if not _allowed(bridge, target):
        in_browser = pages.wanted(request)
        return pages.activated(user.email, bridge.settings.base_url) if in_browser else Reply(_shown(user))
    url = quote(str(target), safe=_URL_CHARACTERS)
    headers = {"Location": url, "Vary": "Origin, Accept"}
    return Response(f"Found. Redirecting to {url}", 302, headers, "text/plain")


def _mail(bridge: Bridge, email: str, token: str, redirect: Any) -> Mail:
    link = f"{bridge.settings.base_url}/activations/{token}"
    if _allowed(bridge, redirect):
        link += f"?redirect={quote(redirect, safe=':/')}"
    return activation_mail(email, link, token)


async def _send_mail(bridge: Bridge, mail: Mail) -> None:
    with anyio.CancelScope(shield=True):  # if the mail was sent, the database must record it
        try:
            await bridge.post(mail)
            await bridge.in_database(bridge.store.users.mailed, mail.to)
        except Refused:
            # Without the mail the account could never be activated, and its e-mail never be registered again.
            await bridge.in_database(bridge.store.users.unregister, mail.to)
            raise


async def _knows_password(bridge: Bridge, address: str, email: str, password: str) -> bool:
    found = await bridge.in_database(bridge.store.users.with_password, email)
    return await bridge.logins.verify(address, email, password, None if found is None else found[1])


async def _send_again(bridge: Bridge, mail: Mail) -> None:
    """Send another mail to an account that is not activated yet. Others get no mail."""
    with anyio.CancelScope(shield=True):  # the database must record this mail too
        try:
            if bridge.settings.smtp_host is not None:
                admit = bridge.store.registrations.admit_again
                await bridge.in_database(admit, mail.to, MAILS_PER_ACCOUNT, bridge.now())
            # The links in earlier mails still work: the user may follow any of them.
            if await bridge.in_database(bridge.store.accounts.renew_activation, mail.to, mail.token, keep=True):
                await bridge.post(mail)
        except Refused as refused:
            _log.warning("an activation mail was not sent again: %s", refused.message)


def _check_domain(registrations: str, email: str) -> None:
    """Refuse an e-mail address that may not register at this bridge."""
    if registrations == "closed":
        raise Refused(403, "This bridge takes no registrations")
    domains = {domain.strip().lower() for domain in registrations.split(",")}
    if registrations != "open" and email.rpartition("@")[2] not in domains:
        raise Refused(403, f"This bridge takes registrations for addresses of {registrations} only")


def _allowed(bridge: Bridge, redirect: Any) -> bool:
    if not isinstance(redirect, str) or len(redirect.encode("utf-8", "replace")) > _REDIRECT_BYTES:
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

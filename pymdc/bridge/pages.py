"""Pages for people who open the bridge in a browser. Programs never get them: they do not ask for HTML."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

__all__ = ["activated", "home", "not_activated", "wanted"]

_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --soft: #5b6675; --back: #f4f6f9; --card: #fff; --line: #dce2ea;
  --good: #1a7f4b; --bad: #b3382c; --link: #1f5fbf }
@media (prefers-color-scheme: dark) { :root { --text: #e6eaf0; --soft: #9aa6b5; --back: #12161c; --card: #1b212a;
  --line: #303946; --good: #55c98b; --bad: #f08a7d; --link: #84b4ff } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem 1rem 3rem; background: var(--back); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; overflow-wrap: anywhere }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25 } h2 { margin: 2rem 0 .5rem; font-size: 1.15rem }
.good { color: var(--good) } .bad { color: var(--bad) } .soft { color: var(--soft) }
pre, code { font-family: ui-monospace, monospace; font-size: .9em }
pre { padding: .75rem 1rem; background: var(--back); border: 1px solid var(--line); border-radius: .5rem;
  white-space: pre-wrap }
dt { margin-top: .9rem } dd { margin: .1rem 0 0 } dd.soft { font-size: .9rem } b.method { color: var(--link) }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    # No scripts, and nothing from other servers: only the style sheet in the page itself.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address of an activation holds its token
    "Cache-Control": "no-store",
    "Vary": "Origin, Accept",
}


def wanted(request: Request) -> bool:
    """Tell whether a request comes from a browser: it accepts `text/html`."""
    kinds = (part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(","))
    return "text/html" in kinds


def activated(email: str, url: str) -> HTMLResponse:
    """Return the page for somebody whose account has just been activated."""
    return _page(
        "Your account is active",
        f"""<h1 class="good">Your account is active</h1>
<p>The account <b>{html.escape(email)}</b> can be used from now on. You may close this page.</p>
<h2>What to do next</h2>
<p>Go back to your program and log in with this e-mail and your password. Programs find the bridge by its address:</p>
<pre>export STORJ_BRIDGE={html.escape(url)}</pre>""",
    )


def not_activated(status: int, message: str) -> HTMLResponse:
    """Return the page for somebody whose activation was refused."""
    return _page(
        "This link did not work",
        f"""<h1 class="bad">This link did not work</h1>
<p>The bridge says: <b>{html.escape(message)}</b>.</p>
<h2>What to do next</h2>
<p>A link works once. If you have followed it before, your account is active: go back to your program and log in.</p>
<p>If not, the link may be cut off: copy the whole line from the mail into the address bar.</p>
<p>For another mail, register again with the same e-mail and the same password. The program then says that the e-mail
is already registered, and the mail is sent all the same.</p>""",
        status,
    )


def home(document: Mapping[str, Any], url: str) -> HTMLResponse:
    """Return the home page, which describes the API. It is made from the OpenAPI document."""
    rows = "\n".join(
        _row(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    info = document["info"]
    return _page(
        str(info["title"]),
        f"""<h1>{html.escape(info["title"])}</h1>
<p>{html.escape(info["description"])}</p>
<p class="soft">Version {html.escape(info["version"])}</p>
<h2>Use it from a program</h2>
<pre>export STORJ_BRIDGE={html.escape(url)}</pre>
<p>or, in Python:</p>
<pre>import pymdc
pymdc.configure({html.escape(repr(url), quote=False)})</pre>
<h2>The API</h2>
<p class="soft">Programs get this as an OpenAPI document from the same address.</p>
<dl>
{rows}
</dl>""",
    )


_CREDENTIALS = {"basic": "e-mail and password", "publicKey signature": "a signature", "token": "a token"}


def _row(path: str, method: str, operation: Mapping[str, Any]) -> str:
    schemes = " or ".join(_CREDENTIALS[" ".join(choice)] for choice in operation["security"]) or "no credentials"
    statuses = ", ".join(sorted(operation["responses"]))
    return (
        f'<dt><code><b class="method">{method.upper()}</b> {html.escape(path)}</code></dt>'
        f"<dd>{html.escape(operation['summary'])}</dd>"
        f'<dd class="soft">Needs {html.escape(schemes)}. Answers {statuses}.</dd>'
    )


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    text = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><style>{_STYLE}</style></head>
<body><main>
{body}
</main></body>
</html>
"""
    return HTMLResponse(text, status, _HEADERS)

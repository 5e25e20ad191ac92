from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import PASSWORD, Running

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CHROMIUM = shutil.which("chromium")


def registered(bridge: Running, email: str) -> str:
    bridge.http.post("/users", json={"email": email, "password": PASSWORD}).raise_for_status()
    return bridge.mails[-1].link


def test_a_browser_gets_a_page_that_says_what_the_bridge_is(bridge: Running) -> None:
    page = bridge.http.get("/", headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f"export STORJ_BRIDGE={bridge.thread.url}" in page.text
    for path in bridge.http.get("/").json()["paths"]:
        assert path in page.text


def test_a_program_gets_the_document_whatever_else_it_accepts(bridge: Running) -> None:
    plain = bridge.http.get("/")
    for accept in ("*/*", "application/json", "text/plain", "text/htmlx"):
        assert bridge.http.get("/", headers={"Accept": accept}).content == plain.content


def test_a_page_runs_no_script_and_loads_nothing(bridge: Running) -> None:
    page = bridge.http.get("/", headers=BROWSER)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["vary"] == "Origin, Accept"


def test_an_activation_in_a_browser_says_what_happened_and_what_to_do(bridge: Running) -> None:
    link = registered(bridge, "browser@example.com")
    page = bridge.http.get(link, headers=BROWSER)
    assert page.status_code == 200
    assert "browser@example.com" in page.text
    assert "Your account is active" in page.text
    again = bridge.http.get(link, headers=BROWSER)
    assert again.status_code == 400
    assert "Invalid activation token" in again.text
    assert "register again with the same e-mail and the same password" in again.text
    assert bridge.http.get(link).json() == {"error": "Invalid activation token"}


def test_an_address_is_shown_as_text(bridge: Running) -> None:
    link = registered(bridge, '"<script>"@example.com')
    assert "&lt;script&gt;" in bridge.http.get(link, headers=BROWSER).text


@pytest.mark.parametrize(
    "sent", [{"email": "=?utf-8?b??=@b.cd"}, {"email": "lone@example.com", "redirect": "http://a\ud800"}]
)
def test_an_address_that_no_mail_can_hold_is_refused_and_nothing_is_stored(
    bridge: Running, sent: dict[str, str]
) -> None:
    for _ in range(2):
        reply = bridge.http.post("/users", content=json.dumps({"password": PASSWORD, **sent}))
        assert (reply.status_code, reply.json()) == (422, {"error": "User validation failed"})


def test_the_link_in_the_file_of_a_mail_is_whole(bridge: Running) -> None:
    link = registered(bridge, "whole@example.com")
    files = [path.read_text("utf-8") for path in bridge.settings.outbox.glob("*.eml")]
    assert any(link in text.split() for text in files)


OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
]  # fmt: skip
PAGES = ("home", "activated", "refused")
HEIGHT = 1600
LIGHT, DARK = "#f4f6f9", "#12161c"  # the colours around a page
GOOD, BAD = {False: "#1a7f4b", True: "#55c98b"}, {False: "#b3382c", True: "#f08a7d"}  # those of its title


def browse(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a browser of its own, and look whether it kept to the policy of the page."""
    done = subprocess.run(
        [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Content Security Policy" not in done.stderr
    return done


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_the_page_with_its_style(bridge: Running, tmp_path: Path) -> None:
    assert "Use it from a program" in browse(tmp_path, "--dump-dom", bridge.thread.url).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window_and_follows_the_colours_of_the_desktop(
    bridge: Running, tmp_path: Path, page: str, dark: bool, width: int
) -> None:
    url = bridge.thread.url
    if page != "home":
        url = registered(bridge, f"{page}-{dark}-{width}@{'a-long-name.' * 4}example.com")
    if page == "refused":
        bridge.http.get(url).raise_for_status()
    folder = Path(os.environ.get("PYMDC_SCREENSHOTS", tmp_path))
    picture = folder / f"{page}-{'dark' if dark else 'light'}-{width}.png"
    colours = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    browse(tmp_path, colours, f"--window-size={width},{HEIGHT}", f"--screenshot={picture}", url)
    colour = colours_of(picture, width)
    edges = {colour(x, y) for x in (2, width - 3) for y in range(2, HEIGHT, 40)}
    assert edges == {DARK if dark else LIGHT}, "nothing is wider than the window"
    inside = {colour(x, y) for x in range(20, width - 20, 3) for y in range(30, 300, 3)}
    assert len(inside) > 3, "there is text on it"
    assert (GOOD[dark] in inside, BAD[dark] in inside) == (page == "activated", page == "refused")


def colours_of(picture: Path, width: int) -> Callable[[int, int], str]:
    """Return a function that gives the colour of each pixel of a picture."""
    qt = pytest.importorskip("PySide6.QtGui", reason="Qt is not there to read a picture", exc_type=ImportError)
    image = qt.QImage(str(picture))
    assert (image.width(), image.height()) == (width, HEIGHT)
    return lambda x, y: str(image.pixelColor(x, y).name())

"""A scripted bridge, which gives the replies of a real one, and both ways to make a call."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx

from pymdc import Client

from ..old_bridge import RECORDED

ENDPOINT = "http://bridge.test:6382/base"


class Scripted:
    """A bridge that gives the same reply to every request, and keeps the requests.

    The reply is a recorded one where the test calls `plays`. A value of `says` is made up: there it does not matter, or
    no bridge of 2016 would give it.
    """

    def __init__(self) -> None:
        self.reply = httpx.Response(200, json={"id": "1"})
        self.asked: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return httpx.Response(self.reply.status_code, content=self.reply.content)

    def says(self, value: Any, status: int = 200) -> Any:
        """Set the reply, and return it, to be compared with a call's value."""
        self.reply = httpx.Response(status, json=value) if value != "" else httpx.Response(status)
        return value

    def plays(self, name: str, **changes: Any) -> Any:
        """Set the reply to the one of the v0.6.6 bridge that has this name, and return its value as `says` does.

        Arguments:
            changes: fields of the value that the test needs to be others.
        """
        return self.says(recorded(name, **changes), RECORDED[name]["status"])

    @property
    def request(self) -> httpx.Request:
        (request,) = self.asked
        return request

    @property
    def line(self) -> tuple[str, str]:
        """The method, and the path without the query."""
        return self.request.method, self.request.url.raw_path.decode().partition("?")[0]


def recorded(name: str, **changes: Any) -> Any:
    """Return the decoded body of a recorded reply, with some of its fields changed."""
    body = RECORDED[name]["body"]
    value: Any = json.loads(body) if body else ""
    return {**value, **changes} if changes else value


@pytest.fixture
def bridge() -> Iterator[Scripted]:
    scripted = Scripted()
    with respx.mock(assert_all_called=False) as router:
        router.route(host="bridge.test", port=6382).mock(side_effect=scripted.answer)
        yield scripted


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(ENDPOINT) as client:
        yield client


Ask = Callable[..., Any]


@pytest.fixture(params=["blocking", "callback"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Make a call and return its value: once blocking, once through a callback."""

    def in_background(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        values: list[Any] = []
        threads: list[threading.Thread] = []

        def callback(value: Any) -> None:
            values.append(value)
            threads.append(threading.current_thread())

        handle = function(*args, callback=callback, **kwargs)
        handle.join(30)
        assert not handle.is_alive()
        (value,) = values
        assert handle.result() is value
        assert threads != [threading.main_thread()]
        return value

    def blocking(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return blocking if request.param == "blocking" else in_background

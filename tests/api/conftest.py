"""A scripted bridge, and both ways to make a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx

from pymdc import Client

ENDPOINT = "http://bridge.test:6382/base"


class Scripted:
    """A bridge that gives the same reply to every request, and keeps the requests. It follows no recording."""

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

    @property
    def request(self) -> httpx.Request:
        (request,) = self.asked
        return request

    @property
    def line(self) -> tuple[str, str]:
        """The method, and the path without the query."""
        return self.request.method, self.request.url.raw_path.decode().partition("?")[0]


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

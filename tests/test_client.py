"""The client: where its bridge is, its settings, its connections, and the default client."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import respx

import pymdc
from pymdc import Client, Timeout, client
from pymdc.api import REST, Users
from tests.hostile import Connection, Received, Server, answering, client_context, reply_bytes, server_context

pytestmark = pytest.mark.usefixtures("_no_waiting")


def echo(request: Received) -> bytes:
    return reply_bytes(200, f'"{request.path}"')


# Where the bridge is


def test_the_argument_names_the_bridge_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment.invalid")
    assert Client("http://argument.invalid").endpoint == "http://argument.invalid"


def test_the_environment_names_the_bridge_before_the_default(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment.invalid")
    assert Client().endpoint == "http://environment.invalid"
    assert caplog.records == []


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_name_it_is_the_retired_bridge_and_the_first_call_of_the_process_warns(
    value: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if value is not None:
        monkeypatch.setenv("STORJ_BRIDGE", value)
    pymdc.configure(timeout=5)
    with respx.mock(assert_all_called=False) as router:
        router.route(host="api.metadisk.org").respond(200, json=[])  # as recorded: "list files empty bucket"
        clients = [Client(), Client(), client.default_client()]
        assert [one.endpoint for one in clients] == ["https://api.metadisk.org"] * 3
        assert [repr(one) for one in clients] == ["<Client https://api.metadisk.org>"] * 3
        assert caplog.records == []
        assert [REST("GET", "/buckets", client=one) for one in clients] == [[]] * 3
        for one in clients:
            one.close()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pymdc", logging.WARNING)
    for words in ("retired", "STORJ_BRIDGE", "pymdc.configure", "pymdc bridge"):
        assert words in record.getMessage()


def test_the_path_of_the_endpoint_comes_before_each_resource() -> None:
    with Server(answering(echo)) as server:
        for base in ("/api/v1", "/api/v1/", "/api/v1//"):
            with Client(server.url + base) as one:
                assert REST("GET", "/buckets", client=one) == "/api/v1/buckets"


def test_spaces_around_an_endpoint_do_not_count() -> None:
    with Server(answering(echo)) as server, Client(f" {server.url}\n") as one:
        assert REST("GET", "/a", client=one) == "/a"


MALFORMED = [
    "",
    " ",
    "bridge",
    "bridge.example.com",
    "bridge.example.com:6382",
    "127.0.0.1:6382",
    "//bridge.example.com",
    "ftp://bridge.example.com",
    "file:///etc/passwd",
    "http://",
    "http:///path",
    "http:bridge",
    "http://:6382",
    "http://[::1",
    "http://::1]",
    "http://bridge:port",
    "http://bridge:0",
    "http://bridge:-1",
    "http://bridge:65536",
    "http://bridge/?key=value",
    "http://bridge/#part",
    "http://bridge/a b",
    "http://bridge/../a",
    "http://bridge/ü",
    "http://bri dge",
    "http://bri\x00dge",
    "http://br\u2100idge",
    "http://" + "a" * 64,
    "http://me:5ecret@bridge",
    "http://5ecret@bridge",
    "http://me:5ecret/x@bridge",
    "http://me:5ecret?x@bridge",
    "http://me:5ecret#x@bridge",
    "http://me:5ecret@bridge:port",
    "http://me:5ecret@[::1",
    "me:5ecret@bridge",
    "ftp://me:5ecret@bridge",
    "//me:5ecret@bridge",
]


@pytest.mark.parametrize("endpoint", MALFORMED)
def test_a_malformed_endpoint_makes_each_calls_value_a_url_error_without_secrets(endpoint: str) -> None:
    values: list[Any] = []
    with Client(endpoint) as one:
        returned = REST("GET", "/a", client=one)
        Users("a", "b", client=one).register(values.append).join()
        assert "5ecret" not in repr(one)
    assert len(values) == 1
    for value in (returned, values[0]):
        assert type(value) is URLError
        assert isinstance(value.__cause__, Exception)
        error: BaseException | None = value
        while error is not None:
            assert "5ecret" not in f"{error} {error!r}"
            error = error.__cause__ or error.__context__


def test_a_malformed_endpoint_of_the_environment_is_a_value_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "bridge")
    value = REST("GET", "/a")
    assert type(value) is URLError
    assert "http://127.0.0.1:6382" in str(value)


# Settings


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"endpoint": 6382}, TypeError),
        ({"endpoint": b"http://bridge"}, TypeError),
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": "5"}, TypeError),
        ({"workers": 0}, ValueError),
        ({"workers": -1}, ValueError),
        ({"workers": 1.5}, ValueError),
        ({"workers": "2"}, ValueError),
        ({"scheduler": 5}, TypeError),
        ({"bridge": "http://bridge"}, TypeError),
    ],
)
def test_a_wrong_setting_is_an_error_and_changes_nothing(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Client(**{"endpoint": "http://bridge", **settings})
    pymdc.configure(endpoint="http://before")
    before = client.default_client()
    with pytest.raises(error):
        pymdc.configure(**{"endpoint": "http://after", **settings})
    assert client.default_client() is before
    pymdc.configure(workers=3)
    assert client.default_client().endpoint == "http://before"


def test_configure_keeps_what_it_does_not_name() -> None:
    handed: list[Any] = []

    def scheduler(function: Any) -> None:
        handed.append(function)
        function()

    with Server(answering(echo)) as server:
        pymdc.configure(endpoint=server.url)
        pymdc.configure(scheduler=scheduler)
        pymdc.configure(timeout=20)
        values: list[Any] = []
        REST("GET", "/a", callback=values.append).join()
        client.default_client().close()
    assert values == ["/a"]
    assert len(handed) == 1


def test_configure_may_set_the_endpoint_back_to_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment.invalid")
    pymdc.configure(endpoint="http://argument.invalid")
    pymdc.configure(endpoint=None)
    assert client.default_client().endpoint == "http://environment.invalid"


def test_a_call_that_is_under_way_ends_as_it_began_when_the_default_client_is_configured() -> None:
    arrived, go = threading.Event(), threading.Event()

    def slow(request: Received) -> bytes:
        arrived.set()
        assert go.wait(20)
        return echo(request)

    with Server(answering(slow)) as server:
        pymdc.configure(endpoint=server.url)
        old = client.default_client()
        values: list[Any] = []
        handle = REST("GET", "/old", callback=values.append)
        assert arrived.wait(20)
        pymdc.configure(endpoint="http://nowhere.invalid")
        go.set()
        handle.join()
        assert values == ["/old"]
        assert isinstance(REST("GET", "/new"), URLError)
        old.close()


def test_the_default_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://bridge")
    assert client.default_client() is client.default_client()


def test_the_limits_of_a_client_are_one_number_or_several() -> None:
    def silent(connection: Connection) -> None:
        connection.read_request()
        connection.wait()

    with Server(silent) as server:
        for timeout in (0.05, Timeout(read=0.05)):
            with Client(server.url, timeout=timeout) as one:
                assert type(REST("GET", "/a", client=one)) is TimeoutError


def test_a_client_without_limits_waits() -> None:
    with Server(answering(echo)) as server, Client(server.url, timeout=None) as one:
        assert REST("GET", "/a", client=one) == "/a"


@pytest.mark.parametrize("insecure", [False, ssl._create_unverified_context()], ids=["False", "a context"])
def test_a_client_can_trust_another_certificate_authority(insecure: ssl.SSLContext | bool) -> None:
    with Server(answering(echo), context=server_context()) as server:
        for verify in (insecure, client_context()):
            with Client(server.url, verify=verify) as one:
                assert REST("GET", "/a", client=one) == "/a"
        with Client(server.url) as one:
            assert isinstance(REST("GET", "/a", client=one), URLError)


# Connections


def test_a_closed_client_opens_new_connections_when_it_is_used_again() -> None:
    with Server(answering(echo)) as server, Client(server.url) as one:
        assert REST("GET", "/a", client=one) == "/a"
        one.close()
        one.close()
        assert REST("GET", "/b", client=one) == "/b"
        assert server.connections == 2


def test_the_end_of_a_with_block_closes_the_connections() -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        answering(echo)(connection)
        ended.set()

    with Server(script) as server:
        with Client(server.url) as one:
            assert REST("GET", "/a", client=one) == "/a"
            assert not ended.is_set()
        assert ended.wait(20)


def test_a_client_that_is_garbage_collected_closes_its_connections() -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        answering(echo)(connection)
        ended.set()

    with Server(script) as server:
        assert REST("GET", "/a", client=Client(server.url)) == "/a"
        assert ended.wait(20)


def test_threads_may_share_a_client() -> None:
    with Server(answering(echo)) as server, Client(server.url, workers=4) as one:
        values: list[Any] = []
        handles = [REST("GET", f"/{n}", callback=values.append, client=one) for n in range(50)]
        for handle in handles:
            handle.join()
        assert sorted(values) == sorted(f"/{n}" for n in range(50))


def test_the_repr_of_a_client_names_its_bridge() -> None:
    assert repr(Client("http://127.0.0.1:6382/api/")) == "<Client http://127.0.0.1:6382/api>"


def at_once(function: Callable[[], None]) -> None:
    function()


def test_a_client_pickles_by_its_settings_and_has_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(echo)) as server:
        made = Client(server.url, timeout=5, workers=2, scheduler=at_once, verify=False)
        for view in (made, made.with_scheduler(None)):
            for other in (pickle.loads(pickle.dumps(view)), copy.copy(view), copy.deepcopy(view)):
                assert type(other) is Client
                assert other._core is not made._core
                assert other._core.settings == made._core.settings
                assert other._scheduler is view._scheduler
                with other:
                    assert REST("GET", "/a", client=other) == "/a"
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment.invalid")
    other = pickle.loads(pickle.dumps(Users("a@b.c", "d", client=Client())))
    monkeypatch.setenv("STORJ_BRIDGE", "http://another.invalid")
    assert other.client.endpoint == "http://another.invalid"


class Named(Client):
    """A program's own kind of client, with other arguments and an attribute."""

    def __init__(self, name: str, endpoint: str) -> None:
        super().__init__(endpoint)
        self.name = name


def test_a_client_of_a_programs_own_class_pickles_and_has_views() -> None:
    one = Named("one", "http://bridge.invalid")
    for other in (one.with_scheduler(None), pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert (type(other), other.name, other.endpoint) == (Named, "one", "http://bridge.invalid")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_loaded_are_a_url_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "authority.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with Client("https://bridge.invalid") as one:
        value = REST("GET", "/a", client=one)
    assert isinstance(value, URLError)
    assert type(value.reason) is OSError
    assert "the trusted certificates cannot be loaded, see SSL_CERT_FILE" in pymdc.explain(value)


def test_a_client_with_a_context_of_tls_says_that_it_does_not_pickle() -> None:
    with pytest.raises(TypeError, match=r"a Client with an ssl.SSLContext cannot be pickled or copied"):
        pickle.dumps(Client("http://bridge", verify=client_context()))


# The end


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


def test_closing_waits_for_the_calls_under_way_and_for_their_callbacks() -> None:
    arrived, go = threading.Event(), threading.Event()

    def slow(request: Received) -> bytes:
        if request.path == "/first":
            arrived.set()
            assert go.wait(20)
        return echo(request)

    values: list[Any] = []
    with Server(answering(slow)) as server:
        with Client(server.url) as one:

            def callback(value: Any) -> None:
                values.append(value)
                if value == "/first":
                    REST("GET", "/second", callback=callback, client=one)
                else:
                    one.close()  # a callback may: its own call is not waited for

            REST("GET", "/first", callback=callback, client=one)
            assert arrived.wait(20)
            threading.Timer(0.05, go.set).start()
        assert values == ["/first", "/second"]
        assert one._core._transport is None


@pytest.mark.parametrize("context", [None, server_context()], ids=["plain", "tls"])
def test_closing_may_cancel_the_calls_under_way_without_any_limit_on_silence(context: ssl.SSLContext | None) -> None:
    values: list[Any] = []
    with Server(silent, context=context) as server:
        one = Client(server.url, timeout=None, workers=2, verify=client_context())
        user = Users("a@b.c", "d", client=one)
        handles = [user.register(values.append) for _ in range(5)]
        blocking = threading.Thread(target=lambda: values.append(user.register()))
        blocking.start()
        while len(server.requests) < 3:
            time.sleep(0.001)
        began = time.monotonic()
        one.close(cancel=True)
        assert time.monotonic() - began < 1
        blocking.join(20)
        assert [type(value) for value in values] == [CancelledError] * 6
        assert all(handle.cancelled() and not handle.is_alive() for handle in handles)


ATEXIT = """
import atexit
import pymdc
from pymdc.rest import REST

def at_the_end():
    print(REST("GET", "/blocking"), flush=True)
    REST("GET", "/callback", callback=print).join()

atexit.register(at_the_end)
print(REST("GET", "/first"), flush=True)
"""


def test_a_handler_of_atexit_that_was_registered_before_the_first_call_may_make_calls() -> None:
    with Server(answering(echo)) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ATEXIT],
            env={**os.environ, "STORJ_BRIDGE": server.url, "PYTHONPATH": str(Path(pymdc.__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout.split(), done.stderr, done.returncode) == (["/first", "/blocking", "/callback"], "", 0)


def test_a_wrong_setting_for_tls_raises_at_once() -> None:
    with pytest.raises(TypeError, match=r"verify is True, False or an ssl.SSLContext, not str"):
        Client("http://127.0.0.1:1", verify="/etc/ssl")  # type: ignore[arg-type]

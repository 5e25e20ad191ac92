"""Every call ends with a value and calls its callback, and its client closes, whatever else goes wrong."""

from __future__ import annotations

import asyncio
import gc
import io
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import pymdc
from pymdc import Client, explain
from pymdc.api import Files, Users
from pymdc.core.handle import Handle
from pymdc.transfers.targets import MemoryTarget

from ..farmers import Network, Shard, hash_of, whole
from ..hostile import Connection, Received, Server, answering, reply_bytes

LONG = 30.0  # a bound on what should take milliseconds; reaching it is a failure


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: object) -> Any:
        raise error

    return function


class NoTraceback(Exception):  # noqa: N818
    __traceback__ = property(raising(ValueError("no traceback")))


class TextForTraceback(Exception):  # noqa: N818
    __traceback__ = "a text"  # type: ignore[assignment]


class NumberForCause(Exception):  # noqa: N818
    __cause__ = 5  # type: ignore[assignment]


class EndlessContext(Exception):  # noqa: N818
    @property
    def __context__(self) -> BaseException:  # type: ignore[override]
        return EndlessContext()


class NoWords(Exception):  # noqa: N818
    __str__ = __repr__ = raising(ValueError("no words"))


class NoCopies(Exception):  # noqa: N818
    with_traceback = __reduce__ = __reduce_ex__ = raising(ValueError("no copies"))


class NoAttributes(Exception):  # noqa: N818
    __setattr__ = raising(ValueError("no attributes"))


class Slots(Exception):  # noqa: N818
    __slots__ = ("reason",)


class NoKind(Exception):  # noqa: N818
    __class__ = property(raising(ValueError("no kind")))


class Nothing(Exception):  # noqa: N818
    __getattribute__ = raising(ValueError("nothing"))


class Empty(Exception):  # noqa: N818
    __bool__ = __len__ = __eq__ = __hash__ = raising(ValueError("empty"))


class OfItsOwn(BaseException):
    pass


def in_a_circle() -> Exception:
    first, second, third = ValueError("first"), KeyError("second"), IndexError("third")
    first.__cause__, second.__context__, third.__cause__ = second, third, first
    third.__context__ = third
    return first


def in_a_long_chain() -> Exception:
    first = last = ValueError("the last one")
    for number in range(20_000):
        first, last.__context__ = ValueError(number), first
        first, last = last, first
    return first


ERRORS: list[Callable[[], BaseException]] = [
    *(NoTraceback, TextForTraceback, NumberForCause, EndlessContext, NoWords, NoCopies, NoAttributes, Slots, NoKind),
    *(Nothing, Empty, OfItsOwn, in_a_circle, in_a_long_chain),
    *(MemoryError, RecursionError, StopIteration, StopAsyncIteration, asyncio.CancelledError),
    *(SystemExit, KeyboardInterrupt, GeneratorExit),
]
ORDINARY = [error for error in ERRORS if isinstance(error(), Exception)]


class File(io.BytesIO):
    """A file of the program that cannot be read."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(b"content")
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        raise self.error


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    errors: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: errors.append(told.exc_value))
    return errors


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a bridge that answers `[]`."""
    with Server(answering(lambda _: reply_bytes(200, "[]"))) as server:
        client = Client(server.url, workers=1)
        yield client
        closes(client)


def closes(client: Client) -> None:
    closing = threading.Thread(target=client.close, daemon=True)
    closing.start()
    closing.join(LONG)
    assert not closing.is_alive(), "close() does not return"


def works(client: Client) -> None:
    """Check that the client and its only worker still work."""
    values: list[Any] = []
    Users("a", "b", client=client).register(callback=values.append).join(LONG)
    values.append(Users("a", "b", client=client).register())
    assert values == [[], []]


@pytest.mark.parametrize("error", ERRORS)
def test_each_exception_of_a_program_s_file_is_told_once(error: Callable[[], BaseException], client: Client) -> None:
    values: list[Any] = []
    handle = Files("1", None, client=client).upload(File(error()), "token", callback=values.append, name="a")
    handle.join(LONG)
    assert [type(value).__mro__[-2] for value in values] == [BaseException]
    assert handle.result(0) is values[0]
    assert handle.exception(0) is None
    assert handle.cancel() is handle.cancelled() is False
    works(client)


@pytest.mark.parametrize("error", ORDINARY)
def test_each_exception_of_a_program_s_file_is_returned(error: Callable[[], BaseException], client: Client) -> None:
    value = Files("1", None, client=client).upload(File(error()), "token", name="a")
    assert type(value).__mro__[-2] is BaseException
    works(client)


def test_an_exception_of_a_program_s_file_is_the_value_itself(client: Client) -> None:
    errors: list[Any] = [NoWords(), NoCopies(), Slots(), in_a_circle(), in_a_long_chain(), MemoryError()]
    for error in errors:
        assert Files("1", None, client=client).upload(File(error), "token", name="a") is error
        assert vars(error)["host"] == client.endpoint.partition("//")[2]


def test_an_error_value_without_words_is_explained_by_its_kind() -> None:
    assert explain(NoWords()) == "Something went wrong: NoWords."


def test_a_module_of_the_program_may_have_no_name(client: Client) -> None:
    module: dict[str, Any] = {"__name__": None}
    exec("def read(size): raise ValueError('no name')", module)
    file = File(ValueError())
    file.read = module["read"]  # type: ignore[method-assign]
    value = Files("1", None, client=client).upload(file, "token", name="a")
    assert str(value) == "no name"


def test_a_mistake_while_an_error_value_is_prepared_is_the_value(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands for any mistake of ours there, such as one with a value without a traceback."""
    mistake = LookupError("a mistake")
    monkeypatch.setattr("pymdc.core.handle.without_locals", raising(mistake))
    values: list[Any] = []
    handle = Files("1", None, client=client).upload(File(ValueError()), "token", callback=values.append, name="a")
    handle.join(LONG)
    assert values == [mistake]
    assert Files("1", None, client=client).upload(File(ValueError()), "token", name="a") is mistake
    works(client)


def test_an_error_value_that_was_never_raised_is_told(client: Client) -> None:
    values: list[Any] = []
    with Server(Connection.reset) as server, Client(server.url) as refused:
        Users("a", "b", client=refused).register(callback=values.append).join(LONG)
        values.append(Users("a", "b", client=refused).register())
    assert [isinstance(value, OSError) for value in values] == [True, True]


def test_error_values_keep_nothing_of_the_call_alive(client: Client) -> None:
    """Whoever looks at the frames of a value finds no variable of ours, nor a circle that only the collector frees."""
    value: Any = Files("1", None, client=client).upload(File(ValueError()), "token", name="a")
    ours = [frame for frame, _ in traceback.walk_tb(value.__traceback__) if "/pymdc/" in frame.f_code.co_filename]
    assert len(ours) > 1
    assert {name for frame in ours for name in frame.f_locals} == set()


class Result:
    """An object that a callback refers to. Its `__del__` raises, which Python reports."""

    def __del__(self) -> None:
        raise ValueError("the end of an object of the program")

    def __call__(self, *_: object) -> None:
        raise SystemExit(self)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_objects_of_the_program_that_cannot_be_freed_do_no_harm(client: Client, reported: list[BaseException]) -> None:
    handle = Users("a", "b", client=client).register(callback=Result())
    handle.join(LONG)
    file = File(ValueError())
    file.result = Result()  # type: ignore[attr-defined]
    Files("1", None, client=client).upload(file, "token", callback=Result(), name="a", progress=Result()).join(LONG)
    assert {type(error) for error in reported} == {SystemExit}
    reported.clear()
    del file
    gc.collect()
    works(client)


@pytest.mark.parametrize("error", ERRORS)
def test_each_exception_of_a_callback_is_reported(
    error: Callable[[], BaseException], client: Client, reported: list[BaseException]
) -> None:
    handle = Users("a", "b", client=client).register(callback=raising(error()))
    handle.add_done_callback(raising(error()))
    handle.join(LONG)
    assert handle.result(0) == []
    assert len(reported) == 2
    works(client)


@pytest.mark.parametrize("error", ERRORS)
def test_each_exception_of_a_scheduler_is_reported(
    error: Callable[[], BaseException], client: Client, reported: list[BaseException]
) -> None:
    handle = Users("a", "b", client=client.with_scheduler(raising(error()))).register(callback=print)
    handle.join(LONG)
    assert handle.result(0) == []
    assert len(reported) == 1
    works(client)


class Reporting:
    """A scheduler that runs everything at once, and whose report raises."""

    def __init__(self, error: BaseException) -> None:
        self.report = raising(error)

    def __call__(self, function: Callable[[], None]) -> None:
        function()
        function()


@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_in_the_report_of_a_scheduler_harms_nothing(
    error: Callable[[], BaseException], client: Client
) -> None:
    values: list[Any] = []

    def callback(value: Any) -> None:
        values.append(value)
        raise error()

    Users("a", "b", client=client.with_scheduler(Reporting(error()))).register(callback=callback).join(LONG)
    assert values == [[]]
    works(client)


def test_a_loop_that_was_closed_before_the_value_came_harms_nothing(reported: list[BaseException]) -> None:
    go = threading.Event()

    def later(_: Received) -> bytes:
        assert go.wait(LONG)
        return reply_bytes(200, "[]")

    async def begin() -> Any:
        handle = Users("a", "b", client=client).register(callback=values.append)
        asyncio.wrap_future(handle).add_done_callback(print)
        return handle

    values: list[Any] = []
    with Server(answering(later)) as server:
        client = Client(server.url, workers=1)
        handle = asyncio.run(begin())
        go.set()
        handle.join(LONG)
        assert values == [[]]
        works(client)
        closes(client)
    assert all(isinstance(error, RuntimeError) for error in reported)


@pytest.mark.parametrize("change", ["set_result", "set_exception", "set_running_or_notify_cancel"])
def test_a_program_cannot_set_the_value_of_a_handle(change: str, client: Client) -> None:
    values: list[Any] = []
    arguments = [] if change.endswith("cancel") else [ValueError()]
    handle: Handle = Users("a", "b", client=client).register(callback=values.append)
    with pytest.raises(RuntimeError, match="only the call itself"):
        getattr(handle, change)(*arguments)
    handle.join(LONG)
    with pytest.raises(RuntimeError, match="only the call itself"):
        getattr(handle, change)(*arguments)
    assert values == [[]] == [handle.result(0)]
    works(client)


class NoMemory(threading.Thread):
    """A `threading.Thread` that cannot start, for want of memory."""

    def start(self) -> None:
        if self.name.startswith("pymdc"):
            raise MemoryError
        super().start()


def test_without_memory_for_a_thread_a_call_runs_in_the_thread_that_makes_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: list[Any] = []
    monkeypatch.setattr(threading, "Thread", NoMemory)
    Users("a", "b", client=client).register(callback=values.append)
    assert values == [[]]
    monkeypatch.undo()
    works(client)


@pytest.mark.parametrize("kind", [MemoryError, SystemExit])
def test_a_look_up_that_fails_in_its_thread_ends_the_call(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pymdc.core.addresses.socket.getaddrinfo  # type: ignore[attr-defined]

    def look_up(*arguments: Any, flags: int = 0, **more: Any) -> Any:
        if not flags:
            raise kind
        return real(*arguments, flags=flags, **more)

    monkeypatch.setattr("pymdc.core.addresses.socket.getaddrinfo", look_up)
    values: list[Any] = []
    client = Client("http://nowhere.invalid", timeout=None)
    handle = Users("a", "b", client=client).register(callback=values.append)
    handle.join(LONG)
    assert [type(value) for value in values] == [kind]
    closes(client)


def test_a_download_whose_shards_cannot_be_kept_gives_its_buffers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first shard is bad, and there is no memory to keep the second one, which came before its turn."""
    second = threading.Event()

    def answer(shard: Shard) -> None:
        if shard.hash == hashes[0]:
            assert second.wait(LONG)
            shard.send(b"something else")
            return
        whole(shard)
        if shard.hash == hashes[1]:
            second.set()

    monkeypatch.setattr(MemoryTarget, "save", raising(MemoryError()))
    with Network(answer) as network:
        data = random.Random(0).randbytes(250_000)
        hashes = network.files[network.store(data)][1]
        token = network.token()
        with suppress(MemoryError, pymdc.errors.IntegrityError):  # that of the first shard, if the second is late
            value = pymdc.unwrap(Files("1", None, client=network.client).download(hash_of(data), token))
            pytest.fail(f"the download gave {value!r}")
        monkeypatch.undo()
        network.answer = whole
        assert network.bucket().download(hash_of(data)) == data
        exchange: Any = network.client._core._exchange
        sources = next(iter(exchange._shared.values()))
        assert (sources.buffers._downloads, sources.buffers._free) == (0, [])


@pytest.mark.parametrize("secure", [False, True])
def test_an_exception_that_the_program_handles_is_no_part_of_the_value(
    secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy refuses, without an error of the system. The exception that the program handles is not the cause."""
    value: Any = None

    def refuse(connection: Connection) -> None:
        connection.read_head()
        connection.reply(403, "no")

    with Server(refuse) as proxy:
        monkeypatch.setenv("https_proxy" if secure else "http_proxy", proxy.url)
        with Client("https://nowhere.invalid" if secure else "http://nowhere.invalid:99") as client:
            try:
                open("/nonexistent/file")  # noqa: PTH123, SIM115
            except OSError:
                value = Users("a", "b", client=client).register()
                assert sys.exc_info()[1] is not None
    assert "nonexistent" not in f"{value!r} {explain(value)}"
    assert "403" in repr(value) if secure else value.code == 403
    led = value
    while led is not None:
        assert not isinstance(led, FileNotFoundError)
        led = led.__cause__ or led.__context__

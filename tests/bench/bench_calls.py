"""Calls beside bare httpx, requests and http.client, and the import.

A server of sockets alone, in a process of its own, answers every request with the same few bytes.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Pipe

import httpx
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_der_canonize

from pymdc import Client
from pymdc.api import ECDSA, REST
from pymdc.core import curve

from .racing import Line, Race, Way, memory_line, milliseconds, per_call

REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + b'{"fine": true}'
PARAMS = {"name": "photos", "storage": 10, "transfer": 30}
JSON = {"Content-Type": "application/json"}
THREADS = 16
CALLS = 320  # of a run

Call = Callable[[], object]


def serve(pipe: Pipe) -> None:
    """Answer every request of every connection, each connection in a thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    pipe.send(listener.getsockname()[1])
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def answer(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    with suppress(OSError), sock:
        while True:
            head, end, rest = data.partition(b"\r\n\r\n")
            _, found, length = head.lower().partition(b"content-length: ")
            missing = int(length.split(b"\r\n")[0]) if found else 0
            if end and len(rest) >= missing:
                sock.sendall(REPLY)
                data = rest[missing:]
                continue
            received = sock.recv(1 << 16)
            if not received:
                return
            data += received


@contextmanager
def server() -> Iterator[int]:
    """Run the server, and give its port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def body() -> bytes:
    return json.dumps({**PARAMS, "__nonce": time.time_ns() // 1_000_000}, separators=(",", ":")).encode()


class Rivals:
    """The same call, made without pymdc."""

    def __init__(self, port: int, pair: ECDSA) -> None:
        self._url, self._port, self._pair = f"http://127.0.0.1:{port}/buckets", port, pair
        self._httpx = httpx.Client()
        self._connections = threading.local()
        number = pair.private_key
        assert number is not None
        self._key = SigningKey.from_string(number, SECP256k1)

    def by_httpx(self) -> object:
        return self._httpx.post(self._url, content=body(), headers=JSON).json()

    def by_httpx_signed(self) -> object:
        payload = body()
        digest = hashlib.sha256(b"POST\n/buckets\n" + payload).digest()
        signature = self._key.sign_digest_deterministic(
            digest, hashfunc=hashlib.sha256, sigencode=sigencode_der_canonize
        )
        headers = {**JSON, "x-signature": signature.hex(), "x-pubkey": self._pair.get_public_key()}
        return self._httpx.post(self._url, content=payload, headers=headers).json()

    def by_http_client(self) -> object:
        connection = getattr(self._connections, "connection", None)
        if connection is None:
            connection = self._connections.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("POST", "/buckets", body(), JSON)
        return json.loads(connection.getresponse().read())

    def by_requests(self) -> object:
        import requests

        session = getattr(self._connections, "session", None)
        if session is None:
            session = self._connections.session = requests.Session()
        return session.post(self._url, data=body(), headers=JSON).json()


class Ours:
    """The call, made by pymdc."""

    def __init__(self, port: int, pair: ECDSA) -> None:
        self._client, self._pair = Client(f"http://127.0.0.1:{port}", workers=THREADS), pair

    def unsigned(self) -> object:
        return REST("POST", "/buckets", PARAMS, client=self._client)

    def signed(self) -> object:
        return REST("POST", "/buckets", PARAMS, self._pair, client=self._client)

    def signed_slowly(self) -> object:
        """Sign by ecdsa, as where coincurve is not installed."""
        signer = self._pair._signer
        assert signer is not None
        fast, signer._fast = signer._fast, None
        try:
            return self.signed()
        finally:
            signer._fast = fast

    def by_callbacks(self, signed: bool, at_once: int) -> Callable[[object], object]:
        """Return what makes all calls of a run, so many under way at a time. Each callback begins the next call."""
        auth = self._pair if signed else ()

        def run(_: object) -> None:
            left, done = iter(range(CALLS - at_once)), threading.Semaphore(0)

            def begin() -> None:
                REST("POST", "/buckets", PARAMS, auth, client=self._client, callback=ended)

            def ended(value: object) -> None:
                done.release()
                if next(left, None) is not None:
                    begin()

            for _ in range(at_once):
                begin()
            for _ in range(CALLS):
                done.acquire()

        return run


def alone(call: Call) -> Callable[[object], object]:
    """Return what makes all calls of a run, one after the other."""

    def run(_: object) -> None:
        for _ in range(CALLS):
            call()

    return run


def together(call: Call) -> Callable[[object], object]:
    """Return what makes all calls of a run, in 16 threads."""

    def work() -> None:
        for _ in range(CALLS // THREADS):
            call()

    def run(_: object) -> None:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def calls(seconds: float) -> Iterator[Line]:
    """Signed and unsigned calls, blocking and with callbacks, by one thread and by 16."""
    pair = ECDSA()
    with server() as port:
        yield from _compared("1 thread", Rivals(port, pair), Ours(port, pair), alone, 1, seconds / 2)
        yield from _compared("16 threads", Rivals(port, pair), Ours(port, pair), together, THREADS, seconds / 2)


def _compared(
    threads: str,
    rivals: Rivals,
    ours: Ours,
    how: Callable[[Call], Callable[[object], object]],
    many: int,
    seconds: float,
) -> Iterator[Line]:
    runs = {
        "httpx": how(rivals.by_httpx),
        "requests": how(rivals.by_requests),
        "http.client": how(rivals.by_http_client),
        "httpx + ecdsa": how(rivals.by_httpx_signed),
        "unsigned": how(ours.unsigned),
        "unsigned, callbacks": ours.by_callbacks(False, many),
        "signed": how(ours.signed),
        "signed, callbacks": ours.by_callbacks(True, many),
    }
    if many == 1:  # the signer is shared, so other threads would see the change
        runs["signed by ecdsa"] = how(ours.signed_slowly)
    race = Race([Way(name, run, per_call(CALLS)) for name, run in runs.items()], seconds)
    yield race.line(f"unsigned call, {threads}", "unsigned", "httpx", 0.8)
    yield race.line(f"unsigned call, {threads}", "unsigned", "requests")
    yield race.line(f"unsigned call, {threads}", "unsigned", "http.client")
    aim = 0.8 if many > 1 else None
    yield race.line(f"unsigned call with a callback, {threads}", "unsigned, callbacks", "httpx", aim)
    if many == 1:
        yield race.line(f"signed call by ecdsa, {threads}", "signed by ecdsa", "httpx + ecdsa", 1 / 1.15)
    if curve.coincurve:
        yield race.line(f"signed call by `pymdc[fast]`, {threads}", "signed", "httpx + ecdsa", 1 / 0.75)
        yield race.line(f"the same with a callback, {threads}", "signed, callbacks", "httpx + ecdsa")


PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def imports(seconds: float) -> Iterator[Line]:
    """The import beside that of httpx, and its memory; and the command's help beside the import of click."""
    race = Race(
        [
            Way(f"import {name}", lambda _, name=name: _python(f"import {name}"), milliseconds)  # type: ignore[misc]
            for name in ("pymdc", "httpx")
        ],
        seconds,
    )
    yield race.line("`import pymdc`", "import pymdc", "import httpx", 1 / 0.9)
    ours, other = (int(_python(f"import {name}\n{PEAK}")) * 1024 for name in ("pymdc", "httpx"))
    yield memory_line("`import pymdc`", f"import httpx: {other >> 20} MiB", ours, other)
    helps = Race(
        [
            Way("pymdc --help", lambda _: _command("-m", "pymdc", "--help"), milliseconds),
            Way("import click", lambda _: _python("import click"), milliseconds),
        ],
        seconds / 2,
    )
    yield helps.line("`pymdc --help`", "pymdc --help", "import click", 1 / 1.3)


def _python(program: str) -> str:
    return _command("-c", program)


def _command(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

"""How long a call takes beside bare httpx, requests and http.client: `python -m tests.bench.bench_calls`.

A server of sockets alone, in a process of its own, answers every request with the same few bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe

import httpx
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_der_canonize

from pymdc import Client
from pymdc.api import ECDSA, REST
from pymdc.core import curve

REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + b'{"fine": true}'
PARAMS = {"name": "photos", "storage": 10, "transfer": 30}
THREADS = 16

Way = Callable[[], object]


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


def body() -> bytes:
    return json.dumps({**PARAMS, "__nonce": time.time_ns() // 1_000_000}, separators=(",", ":")).encode()


def ways(port: int) -> dict[str, Way]:
    url, origin = f"http://127.0.0.1:{port}/buckets", f"http://127.0.0.1:{port}"
    bare, client, pair = httpx.Client(), Client(origin), ECDSA()
    number = pair.private_key
    assert number is not None
    key = SigningKey.from_string(number, SECP256k1)
    kind = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def signed_httpx() -> object:
        payload = body()
        digest = hashlib.sha256(b"POST\n/buckets\n" + payload).digest()
        signature = key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_der_canonize)
        headers = {**kind, "x-signature": signature.hex(), "x-pubkey": pair.get_public_key()}
        return bare.post(url, content=payload, headers=headers).json()

    def standard() -> object:
        connection.request("POST", "/buckets", body(), kind)
        return json.loads(connection.getresponse().read())

    def slowly_signed() -> object:
        fast, pair._signer._fast = pair._signer._fast, None  # type: ignore[union-attr]
        try:
            return REST("POST", "/buckets", PARAMS, pair, client=client)
        finally:
            pair._signer._fast = fast  # type: ignore[union-attr]

    made: dict[str, Way] = {
        "httpx": lambda: bare.post(url, content=body(), headers=kind).json(),
        "pymdc, unsigned": lambda: REST("POST", "/buckets", PARAMS, client=client),
        "pymdc, unsigned, callback": lambda: REST("POST", "/buckets", PARAMS, client=client, callback=ignore).join(),
        "http.client": standard,
        "httpx + ecdsa": signed_httpx,
        "pymdc, signed by ecdsa": slowly_signed,
    }
    if curve.coincurve:
        made["pymdc[fast], signed"] = lambda: REST("POST", "/buckets", PARAMS, pair, client=client)
    with suppress(ImportError):
        import requests

        session = requests.Session()
        made["requests"] = lambda: session.post(url, data=body(), headers=kind).json()
    return made


def ignore(_value: object) -> None:
    """Take a value and do nothing with it."""


def threaded(way: Way, calls: int) -> float:
    """Return the seconds that a call takes, of so many by 16 threads."""

    def work() -> None:
        for _ in range(calls // THREADS):
            way()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - begun) / (calls // THREADS * THREADS)


def single(way: Way, calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - begun) / calls


def show(title: str, times: dict[str, list[float]], against: dict[str, str]) -> None:
    print(f"\n{title}")
    for name, taken in times.items():
        median = statistics.median(taken)
        ratio = statistics.median(a / b for a, b in zip(taken, times[against.get(name, "httpx")], strict=True))
        spread = f"({min(taken) * 1e6:.0f} to {max(taken) * 1e6:.0f})"
        print(f"  {name:28} {median * 1e6:7.0f} us {spread:20} {ratio:5.2f} x {against.get(name, 'httpx')}")


def imports(runs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"httpx": [], "pymdc": []}
    for _ in range(runs):
        for name, taken in times.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
            taken.append(time.perf_counter() - begun)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300, help="how many calls a run has")
    parser.add_argument("--runs", type=int, default=7, help="how often each way is taken, in turn")
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    made = ways(here.recv())
    against = dict.fromkeys(["pymdc, signed by ecdsa", "pymdc[fast], signed"], "httpx + ecdsa")
    for title, time_of in [("one thread", single), (f"{THREADS} threads", threaded)]:
        chosen = made if time_of is single else {name: made[name] for name in ["httpx", "pymdc, unsigned"]}
        times: dict[str, list[float]] = {name: [] for name in chosen}
        for way in chosen.values():
            time_of(way, arguments.calls // 4)
        for _ in range(arguments.runs):
            for name, way in chosen.items():
                times[name].append(time_of(way, arguments.calls))
        show(title, times, against)
    show("import", imports(arguments.runs), {})
    server.terminate()


if __name__ == "__main__":
    main()

"""How fast is a verified download to a file? Against `curl` of the same bytes by plain HTTP, unverified.

The ratios are those to curl with the URLs of the bridge's own shards. Further, the plain HTTP comes once from a server
like the bridge (uvicorn and Starlette, streaming the file), and once from Python's own, which copies a file to a socket
and does nothing else. The download comes once straight from the bridge's URLs, once over its data channel, and once
from a farmer that does nothing but send. A plain copy with SHA-256 is the limit.

    python -m tests.bench.bench_download --mib 1024 --runs 5
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymdc import Timeout, unwrap
from pymdc.core.job import Job
from pymdc.transfers.access import Access
from pymdc.transfers.downloads import Download
from pymdc.transfers.sources import ShardSources

from .bench_upload import copy
from .common import MIB, bench, measure, peak, run

STREAMING = """
import sys, uvicorn, socket
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

app = Starlette(routes=[Route("/", lambda request: FileResponse(sys.argv[1]))])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
"""
COPYING = """
import http.server, os, sys

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

os.chdir(os.path.dirname(sys.argv[1]))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"""
FARMER = """
import base64, hashlib, json, mmap, socket, sys, threading

def hash_of(data):
    return hashlib.new("ripemd160", hashlib.sha256(data).hexdigest().encode()).hexdigest()

def serve(sock):
    request = b""
    while b"\\r\\n\\r\\n" not in request:
        request += sock.recv(65536)
    lines = [line.split(b": ", 1) for line in request.split(b"\\r\\n") if b": " in line]
    key = next(value for name, value in lines if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    head = b"HTTP/1.1 101 X\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: "
    sock.sendall(head + accept + b"\\r\\n\\r\\n")
    frame = sock.recv(65536)
    mask, masked = frame[4:8], frame[8:]
    shard = places[json.loads(bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked)))["hash"]]
    for start in range(shard.start, shard.stop, 65536):
        piece = content[start : min(start + 65536, shard.stop)]
        sock.sendall(b"\\x82\\x7f" + len(piece).to_bytes(8, "big") + piece)
    sock.sendall(b"\\x88\\x02\\x03\\xe8")
    while sock.recv(65536):
        pass
    sock.close()

with open(sys.argv[1], "rb") as file:
    content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
size = 8 * 1024 * 1024
shards = [range(start, min(start + size, len(content))) for start in range(0, len(content), size)]
places = {hash_of(content[shard.start : shard.stop]): shard for shard in shards}
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""


class FarmersOnly:
    """A bridge that gives these pointers."""

    def __init__(self, pointers: list[dict[str, str]]) -> None:
        self._pointers = pointers

    def perform(self, call: object, job: Job) -> list[dict[str, str]]:
        return self._pointers

    def shared(self, make: Callable[..., ShardSources]) -> ShardSources:
        return make(Timeout(), True)


@contextmanager
def serving(script: str, source: Path) -> Iterator[str]:
    """Serve a file in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", script, source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.terminate()


def main() -> None:
    with (
        bench("Download against curl.") as (bucket, source, folder, runs),
        serving(STREAMING, source) as streaming,
        serving(COPYING, source) as copying,
        serving(FARMER, source) as farmer,
    ):
        stored = unwrap(bucket.files.upload(source))
        small = unwrap(bucket.files.upload(bytes(10)))
        unwrap(bucket.files.download(small, path=folder / "warm"))
        pointers = [
            {**pointer, "channel": farmer.replace("http", "ws")}
            for pointer in unwrap(bucket.files.pointers(stored, unwrap(bucket.files.token("PULL"))))
        ]

        def download_by(pointers: list[Any]) -> None:
            """What `Files.download` does once it has the pointers, with these."""
            access = Access(bucket.bucket_id, None)
            download = Download(access, stored["hash"], "token", stored, folder / "down", None, None)
            unwrap(download.run(FarmersOnly(pointers), Job(lambda report: None)))  # type: ignore[arg-type]

        def curl_the_shards() -> None:
            token = unwrap(bucket.files.token("PULL"))["token"]
            call = Access(bucket.bucket_id, None).call(
                "GET", "files", stored["hash"], token=token, headers={"x-direct": "1"}
            )
            urls = [pointer["url"] for pointer in unwrap(bucket.files._client_now.call(call, None))]
            run("curl", "-sSf", *[word for url in urls for word in ("-o", str(folder / "curl"), url)])

        def by_channel() -> list[Any]:
            return list(unwrap(bucket.files.pointers(stored, unwrap(bucket.files.token("PULL")))))

        before = peak()
        ways = {
            "curl, the bridge's URLs": curl_the_shards,
            "pymdc, direct": lambda: unwrap(bucket.files.download(stored, path=folder / "down")),
            "pymdc, by channel": lambda: download_by(by_channel()),
            "pymdc, a lean farmer": lambda: download_by(pointers),
            "curl, server like ours": lambda: run("curl", "-sSf", "-o", folder / "curl", streaming),
            "curl, http.server": lambda: run("curl", "-sSf", "-o", folder / "curl", copying + source.name),
            "copy with sha256": lambda: copy(source, folder / "copy"),
        }
        measure(ways, source.stat().st_size, runs)
        print(f"extra memory of the downloads: {(peak() - before) / MIB:.0f} MiB")


if __name__ == "__main__":
    main()

"""How fast is a verified download to a file? Against `curl` of the same bytes by plain HTTP, unverified.

The plain HTTP comes once from a server like the bridge (uvicorn and Starlette, streaming the file), and once from
Python's own, which copies a file to a socket and does nothing else. A plain copy with SHA-256 is the limit.

    python -m tests.bench.bench_download --mib 1024 --runs 5
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymdc import unwrap

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
    ):
        stored = unwrap(bucket.files.upload(source))
        small = unwrap(bucket.files.upload(bytes(10)))
        unwrap(bucket.files.download(small, path=folder / "warm"))
        before = peak()
        ways = {
            "curl, server like ours": lambda: run("curl", "-sSf", "-o", folder / "curl", streaming),
            "curl, http.server": lambda: run("curl", "-sSf", "-o", folder / "curl", copying + source.name),
            "pymdc download": lambda: unwrap(bucket.files.download(stored, path=folder / "down")),
            "copy with sha256": lambda: copy(source, folder / "copy"),
        }
        measure(ways, source.stat().st_size, runs)
        print(f"extra memory of the downloads: {(peak() - before) / MIB:.0f} MiB")


if __name__ == "__main__":
    main()

"""An object store is asked whether it answers by one short request, however full it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from obstore.exceptions import BaseError

from pymdc.bridge.objects import Objects

PAGE = (
    b"<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>more"
    b"</NextContinuationToken><Contents><Key>p/0/1</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    b"<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents></ListBucketResult>"
)


@contextmanager
def endless_store(
    monkeypatch: pytest.MonkeyPatch, head: int, listing: int = 200
) -> Iterator[tuple[Objects, list[str]]]:
    """A store whose list has no end, and the methods of the requests that it gets."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append("HEAD")
            self.send_response(head)
            self.send_header("Content-Length", "0")
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", '"e"')
            self.end_headers()

        def do_GET(self) -> None:
            asked.append("GET")
            body = PAGE if listing == 200 and len(asked) < 50 else b""
            self.send_response(listing if len(asked) < 50 else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield Objects("s3://b/p"), asked
        finally:
            server.shutdown()
            serving.join()


def test_a_store_in_use_is_asked_for_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with endless_store(monkeypatch, head=200) as (store, asked):
        store.check()
        assert asked == ["HEAD"]


def test_a_store_that_no_bridge_has_used_is_asked_for_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with endless_store(monkeypatch, head=404) as (store, asked):
        store.check()
        assert asked[:2] == ["HEAD", "GET"]
        assert len(asked) <= 3, "a list has no end, and one page of it is enough"


def test_a_missing_bucket_of_the_object_store_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with endless_store(monkeypatch, head=404, listing=404) as (store, _), pytest.raises((BaseError, FileNotFoundError)):
        store.check()

from __future__ import annotations

import asyncio

import pytest

from pymdc.bridge.output import ReplyOutput


class Written(asyncio.WriteTransport):
    """A transport that keeps the pieces that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


LARGE = bytes(1 << 20)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("writes", "pieces"),
    [
        ([b"head", b"body"], [b"headbody"]),
        ([b"head", memoryview(b"body"), b"more"], [b"headbody", b"more"]),
        ([b"head", b""], [b"head"]),
        ([b"head"], []),
        ([b"head", LARGE], [b"head", LARGE]),
        ([CONTINUE, b"head", b"body"], [CONTINUE, b"headbody"]),
        ([b"head", CONTINUE], [b"head" + CONTINUE]),
    ],
    ids=["a body", "a body in pieces", "no body", "before the body", "a large body", "asked for", "as a body"],
)
def test_a_head_goes_out_with_the_beginning_of_a_body(writes: list[bytes], pieces: list[bytes]) -> None:
    written = Written()
    output = ReplyOutput(written)
    for data in writes:
        output.write(data)
    assert written.pieces == pieces


def test_a_head_without_a_body_goes_out_before_the_connection_is_closed() -> None:
    written = Written()
    output = ReplyOutput(written)
    output.write(b"head")
    assert not output.is_closing()
    output.close()
    assert written.pieces == [b"head"]
    assert output.is_closing()

"""Many requests of one user: at once, out of order, and with the nonces of clients of any age."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pymdc
from pymdc.api import Buckets

from ..bridges import running_bridge
from .harness import Running

CALLS = 200


def test_two_hundred_callback_calls_at_once_signed_with_one_key_pair_all_succeed(tmp_path: Path) -> None:
    values: list[Any] = []
    with running_bridge(tmp_path) as bridge, pymdc.Client(bridge.url, workers=32) as client:
        _, key_pair = bridge.member("somebody@example.com", client)
        buckets = Buckets(key_pair, client=client)
        handles = [buckets.list(callback=values.append) for _ in range(CALLS // 2)]
        handles += [buckets.create(f"bucket {n}", 1, 1, [], callback=values.append) for n in range(CALLS // 2)]
        for handle in handles:
            handle.join(60)
        assert len(values) == CALLS
        assert all(isinstance(pymdc.unwrap(value), list | dict) for value in values)
        assert len(pymdc.unwrap(buckets.list())) == CALLS // 2


NOW = time.time()
NONCES: dict[str, Iterator[Any]] = {
    "milliseconds": itertools.count(int(NOW * 1000)),
    "seconds, some of them repeated": (int(NOW) + number // 10 for number in itertools.count()),
    "seconds with fractions": (round(NOW + number / 100, 2) for number in itertools.count()),
    "milliseconds with fractions": (NOW * 1000 + number / 8 for number in itertools.count()),
    "numbers in text": (str(int(NOW) + number) for number in itertools.count()),
    "microseconds": itertools.count(int(NOW * 1_000_000)),
    "a counter from one": itertools.count(1),
    "always the same": itertools.repeat(int(NOW)),
}


@pytest.mark.parametrize("form", NONCES)
def test_nonces_of_clients_of_any_age_serve_in_any_order(bridge: Running, form: str) -> None:
    alice, choose = bridge.person(), random.Random(form)
    sent = [
        alice.signed(method, path, {"__nonce": nonce, "name": f"request-{number}"})
        for (method, path), (number, nonce) in zip(
            itertools.cycle([("POST", "/buckets"), ("GET", "/buckets")]),
            enumerate(itertools.islice(NONCES[form], 60)),
            strict=False,
        )
    ]
    for start in range(0, len(sent), 20):  # old clients had some requests under way at once, not all they would make
        choose.shuffle(several := sent[start : start + 20])
        with ThreadPoolExecutor(8) as pool:
            assert [reply.status_code for reply in pool.map(bridge.http.send, several)] == [200] * len(several)
    for request in choose.sample(sent, 10):
        assert bridge.http.send(request).json() == {"error": "Invalid nonce supplied"}, "no request serves twice"

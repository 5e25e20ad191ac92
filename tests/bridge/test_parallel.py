"""Many requests of one user: at once, out of order, and with the nonces of clients of any age."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import pymdc
from pymdc.api import Buckets
from pymdc.keypair import ECDSA

from ..bridges import running_bridge
from ..engines import chosen_for
from .chaos.audit import audit
from .chaos.processes import Process, people, visited
from .harness import Person, Running, cleaned, running, settings_for

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


def programs_of_2016(clock: float) -> dict[str, Iterator[str]]:
    """Nonces as the programs of 2016 write them, at a moment by their clock."""
    return {
        # Python 2 writes a float in a query with 12 digits: hundredths of a second.
        "the original pymdc": (f"{clock + number / 50:.12g}" for number in itertools.count()),
        "hwkns": (str(int(clock) + number // 10) for number in itertools.count()),
        "metadisk-client": (str(int(clock * 1000) + number) for number in itertools.count()),
    }


@pytest.mark.parametrize("order", range(6))
def test_the_programs_of_2016_share_an_account_in_any_order(tmp_path: Path, order: int) -> None:
    now, choose = time.time(), random.Random(order)
    nonces = [*programs_of_2016(now).values(), *programs_of_2016(now - 90).values()]
    choose.shuffle(nonces)
    with running(tmp_path) as bridge:
        alice, keys = bridge.person(), [ECDSA() for _ in nonces]
        for key in keys:
            alice.send("POST", "/keys", {"key": key.get_public_key(), "__nonce": next(nonces[0])}).raise_for_status()
        turns = [turn for turn in range(len(nonces)) for _ in range(8)]
        choose.shuffle(turns)
        sent = [
            alice.signed("GET", "/keys", {"__nonce": next(nonces[turn]), "turn": number}, keys[turn])
            for number, turn in enumerate(turns)
        ]
        assert [bridge.http.send(request).status_code for request in sent] == [200] * len(sent)
    with running(tmp_path) as bridge:
        for request in sent:
            request.url = request.url.copy_with(port=httpx.URL(bridge.thread.url).port)
            assert bridge.http.send(request).json() == {"error": "Invalid nonce supplied"}, "after a restart too"


def test_two_bridges_may_share_a_data_folder(tmp_path: Path) -> None:
    engines = {name: value for name, value in chosen_for(tmp_path).items() if value}
    owners = people(tmp_path, engines, 4)
    one, other = Process(tmp_path, engines), Process(tmp_path, engines)
    settings = settings_for(tmp_path)
    with one.serving(), other.serving(), ThreadPoolExecutor(len(owners)) as pool:

        def work(owner: Person) -> int:
            with visited(settings, one.url) as first, visited(settings, other.url) as second:
                here, there = (Person(bridge, owner.email, owner.key) for bridge in (first, second))
                bucket = here.bucket()
                for number in range(10):
                    data = b"file %d of %s" % (number, owner.email.encode())
                    stored = there.upload(bucket, data).raise_for_status().json()["hash"]
                    assert here.download(bucket, stored) == data
                return len(here.send("GET", f"/buckets/{bucket}/files").raise_for_status().json())

        assert list(pool.map(work, owners)) == [10] * len(owners)
    cleaned(settings)
    assert audit(settings, clean=True) == []

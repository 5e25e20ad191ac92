from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from pymdc.bridge.errors import Unavailable
from pymdc.bridge.store import Store, database, fair_lock
from pymdc.bridge.store.database import Database
from pymdc.bridge.store.tables import garbage

from ... import engines
from ..harness import locked, running, settings_for


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Store(f"sqlite:///{tmp_path / 'missing' / 'bridge.sqlite'}")


@pytest.mark.parametrize("url", ["nonsense", "nonsense://host/name"])
def test_a_url_that_cannot_be_used_is_an_error_that_says_so(url: str) -> None:
    with pytest.raises(ValueError, match="the database URL cannot be used"):
        Database(url)


def test_a_database_whose_driver_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"pip install .pymdc-metadisk\[bridge,postgresql\]"):
        Database("postgresql+psycopg://host/name")


def test_a_database_that_is_locked_is_unavailable_and_then_well_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 10)
    url = settings_for(tmp_path).database_url
    impatient = Store(url)
    with locked(url):
        with pytest.raises(Unavailable):
            impatient.users.activate("activation")
        impatient.check()
    assert impatient.users.activate("activation").activated
    impatient.close()


def test_reads_go_on_while_another_program_holds_the_write_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 1000)
    monkeypatch.setattr(fair_lock, "_SLOW_SECONDS", 0.1)
    with running(tmp_path, database=None, store=None) as bridge:
        alice = bridge.person()
        with locked(bridge.settings.database_url), ThreadPoolExecutor(40) as pool:
            writes = [
                pool.submit(bridge.http.post, "/buckets", json={"name": "a"}, auth=alice.basic) for _ in range(40)
            ]
            next(as_completed(writes))
            began = time.monotonic()
            assert bridge.http.get("/buckets", auth=alice.basic).status_code == 200
            assert time.monotonic() - began < 5
            assert {write.result().status_code for write in writes} == {503}
        assert bridge.http.post("/buckets", json={"name": "a"}, auth=alice.basic).status_code == 200


def test_a_row_that_another_request_made_meanwhile_is_found_on_the_next_attempt(tmp_path: Path) -> None:
    database, attempts = Database(settings_for(tmp_path).database_url), []
    database.migrate()

    def work(connection: sa.Connection) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise exc.IntegrityError("statement", None, Exception())
        connection.execute(garbage.insert().values(blob="b"))
        return "done"

    assert database.settle(work) == "done"
    assert len(attempts) == 2

    def hopeless(connection: sa.Connection) -> None:
        connection.execute(garbage.insert().values(blob="b"))

    with pytest.raises(Unavailable, match="busy"):
        database.settle(hopeless)
    database.close()


def test_text_of_any_kind_is_kept(store: Store) -> None:
    name = '\0 ☃ \N{GRINNING FACE} "quoted"'
    made = store.buckets.create("a@example.com", {"name": name, "storage": 1, "transfer": 1}, [], 1)
    assert store.buckets.get(made.id).name == name


def test_the_time_is_the_one_at_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if engines.postgres_folder() is None:
        pytest.skip("needs PostgreSQL")
    store = Store(engines.shared_postgresql().create(f"clock{abs(hash(tmp_path))}"))
    try:
        before = time.time_ns() // 1_000_000
        assert abs(store.now() - before) < 5000
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + 400 * 10**9)  # somebody sets the clock of this machine
        store.measure_clock()
        monkeypatch.setattr(database, "_CLOCK_SECONDS", 0.0)  # an answer that takes so long tells nothing
        store.measure_clock()
        assert abs(store.now() - before) < 60_000
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.skipif(engines.postgres_folder() is None, reason="needs PostgreSQL")
def test_a_server_looks_whether_the_machine_of_a_bridge_is_still_there() -> None:
    url = engines.shared_postgresql().create("keepalives")
    with closing(Database(url)) as database, database.read() as connection:
        names = ("idle", "interval", "count")
        shown = [connection.execute(sa.text(f"SHOW tcp_keepalives_{name}")).scalar_one() for name in names]
    assert shown == ["10", "5", "2"]

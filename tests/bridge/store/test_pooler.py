"""A bridge whose PostgreSQL is behind a real PgBouncer."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pymdc.bridge.store.database import Database

from ... import engines
from ..harness import Person, file_hash, running

psycopg = pytest.importorskip("psycopg")
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or engines.postgres_folder() is None, reason="PostgreSQL or PgBouncer is missing"
)
MODES = {"transaction": 2, "session": 30}  # and how many sessions of the server it has


@contextmanager
def pooler(name: str, mode: str, size: int) -> Iterator[str]:
    """Run a PgBouncer in front of a new database, and give the URL."""
    assert PROGRAM is not None
    server, port = engines.shared_postgresql(), engines.free_port()
    url = server.create(name)
    with tempfile.TemporaryDirectory(prefix="pymdc-pgbouncer-") as folder:
        settings = Path(folder) / "settings.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = {size}\n"
        )
        command = [PROGRAM, "-q", str(settings)]
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "postgres")
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            engines.wait_for_port(port)
            yield url.replace(f":{server.port}/", f":{port}/")
        finally:
            process.kill()
            process.wait(engines.LONG)


def use(person: Person) -> None:
    """Sign requests, make buckets, upload and download, and look whether each reply is what was asked for."""
    for number in range(6):
        made = person.send("POST", "/buckets", {"name": f"{person.email} {number}", "storage": 1, "transfer": 1})
        assert made.json()["name"] == f"{person.email} {number}"
        assert {bucket["user"] for bucket in person.send("GET", "/buckets").json()} == {person.email}
        assert {key["user"] for key in person.send("GET", "/keys").json()} == {person.email}
        data = f"{person.email} {number}".encode()
        bucket = made.json()["id"]
        assert person.upload(bucket, data).json()["hash"] == file_hash(data)
        assert person.download(bucket, file_hash(data)) == data


@pytest.mark.parametrize("mode", MODES)
def test_two_bridges_share_the_sessions_of_a_pooler(mode: str, tmp_path: Path) -> None:
    log = engines.shared_postgresql().folder / "log"
    before = log.stat().st_size
    with (
        pooler(f"two{mode}", mode, MODES[mode]) as url,
        running(tmp_path, database=url) as one,
        running(tmp_path, database=url) as other,
        ThreadPoolExecutor(6) as pool,
    ):
        people = [bridge.person() for bridge in (one, other) for _ in range(3)]
        assert list(pool.map(use, people)) == [None] * 6
    assert "prepared statement" not in log.read_text()[before:]


def test_limits_hold_in_a_transaction_and_are_not_left_to_others() -> None:
    shown = []
    with pooler("limits", "transaction", 1) as url, closing(Database(url)) as base:
        for transaction in (base.read, base.write):
            with transaction() as connection:
                shown += [connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in LIMITS]
        taken: Any = base.driver_connection()
        sql = "SELECT current_setting('lock_timeout'), $1"
        assert taken.driver_connection.transact([(sql, ["a"]), (sql, ["b"])]) == [[("10s", "a")], [("10s", "b")]]
        taken.close()
        with closing(psycopg.connect(url.replace("+psycopg", ""))) as other:
            shown += [other.execute(f"SHOW {name}").fetchone()[0] for name in LIMITS]
    assert shown == ["10s", "1min", "10s", "1min", "0", "0"]


LIMITS = ("lock_timeout", "idle_in_transaction_session_timeout")


def test_a_pooler_that_nobody_noticed_never_makes_a_connection_run_other_sql() -> None:
    from pymdc.bridge.store.postgresql import Connection

    with pooler("unnoticed", "transaction", 1) as url:
        where = url.replace("+psycopg", "")
        with closing(Connection.connect(where)) as one, closing(Connection.connect(where)) as other:
            for number in range(8):  # psycopg prepares what it has run five times
                for connection, name in ((one, "one"), (other, "other")):
                    mine = [(f"SELECT '{name}', $1", [str(number)])]
                    assert connection.transact(mine) == [[(name, str(number))]]
                    shared = [("SELECT 'both', $1", [name]), *mine]
                    assert connection.transact(shared) == [[("both", name)], [(name, str(number))]]
                    answer = connection.execute(f"SELECT '{name}', %s", [number]).fetchall()
                    connection.commit()
                    assert answer == [(name, number)]
            assert (one.pooled, other.pooled) == (False, True), "only the later one found its SQL prepared already"

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pymdc.bridge.errors import Full
from pymdc.bridge.room import check_room
from pymdc.bridge.settings import Settings

POSTGRESQL = "postgresql+psycopg://somebody@db.example/bridge"


def test_a_file_needs_room_in_the_folder_of_the_shards(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for database in (None, POSTGRESQL):
        settings = Settings(tmp_path, database=database)
        check_room(settings, 1)
        with pytest.raises(Full):
            check_room(settings, shutil.disk_usage(tmp_path).total)


@pytest.mark.parametrize("database", [None, POSTGRESQL])
def test_a_file_that_goes_to_an_object_store_needs_little_room_here(tmp_path: Path, database: str | None) -> None:
    check_room(Settings(tmp_path, database=database, store="s3://bucket/prefix"), 1e18)
    none_left = shutil.disk_usage(tmp_path).total // 10**6 + 1
    with pytest.raises(Full):
        check_room(Settings(tmp_path, database=database, store="s3://bucket/prefix", minimum_free=none_left), 1)

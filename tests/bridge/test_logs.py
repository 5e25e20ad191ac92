"""The log of a bridge: one line for an event, with its time and its level."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from pymdc.bridge.logs import logging_as
from pymdc.bridge.settings import Settings

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
log = logging.getLogger("pymdc.bridge")
needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file on a full disk")


def fail() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("it failed")


def test_an_event_is_one_line_of_text_with_time_and_level(tmp_path: Path) -> None:
    with logging_as(Settings(tmp_path, log=str(tmp_path / "log"))):
        log.warning("a\r\nb %s", "c")
        fail()
        log.debug("not asked for")
    first, second = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(TIME + r" WARNING a\\r\\nb c", first)
    assert re.fullmatch(TIME + r" ERROR it failed\\nTraceback .*ValueError: two\\nlines", second)


def test_an_event_is_one_object_of_json(tmp_path: Path) -> None:
    with logging_as(Settings(tmp_path, log=str(tmp_path / "log"), log_format="json", log_level="debug")):
        log.debug("a\nb")
        fail()
    first, second = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {"level": "debug", "logger": "pymdc.bridge", "message": "a\nb"}
    assert second["error"].endswith("ValueError: two\nlines")


def test_the_log_goes_to_the_standard_error_and_ends_with_the_bridge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_as(Settings(tmp_path, log_level="error")):
        log.error("heard")
        log.warning("below the level")
    log.error("afterwards")
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == ["ERROR heard"]


@needs_full_disk
def test_a_log_on_a_full_disk_is_rotated_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "log"
    place.symlink_to("/dev/full")
    with logging_as(Settings(tmp_path, log=str(place))):
        for _ in range(3):
            log.warning("lost")
        place.unlink()
        for number in range(3):
            log.warning("kept %d", number)
    assert [line[-6:] for line in place.read_text().splitlines()] == ["kept 1", "kept 2"]
    gone, back = capsys.readouterr().err.splitlines()
    assert gone == f"the log file {place} cannot be written: [Errno 28] No space left on device"
    assert back == f"the log file {place} can be written again"


@needs_full_disk
def test_the_end_of_a_log_on_a_full_disk_is_no_error(tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.symlink_to("/dev/full")
    with logging_as(Settings(tmp_path, log=str(place))):
        log.warning("lost")


def test_a_log_whose_folder_is_gone_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with logging_as(Settings(tmp_path, log=str(folder / "log"))):
        log.warning("before")
        folder.rename(tmp_path / "moved")
        for _ in range(3):
            log.warning("lost")
        folder.mkdir()
        log.warning("after")
    assert (folder / "log").read_text().endswith(" WARNING after\n")
    assert len(capsys.readouterr().err.splitlines()) == 2

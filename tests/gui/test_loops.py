"""Schedulers in the real loops of the toolkits, each in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .programs import HERE, python_with, run

MODULES = {
    "tk": ["tkinter"],
    "pyside6": ["PySide6.QtWidgets"],
    "pyqt6": ["PyQt6.QtWidgets"],
    "glib": ["gi.repository.GLib"],
    "gtk3": ["gi.repository.Gtk"],
    "gtk4": ["gi.repository.Gtk"],
    "wx": ["wx"],
    "asyncio": ["asyncio"],
}
WITH_WINDOWS = sorted(MODULES.keys() - {"glib", "asyncio"})


@pytest.fixture(params=sorted(MODULES))
def toolkit(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def outcome(toolkit: str, scenario: str, request: pytest.FixtureRequest) -> Any:
    python = python_with(*MODULES[toolkit])
    needs_screen = toolkit in {"tk", "gtk3", "gtk4", "wx"}
    display = request.getfixturevalue("display") if needs_screen else None
    printed = run(python, HERE / "loops.py", toolkit, scenario, display=display, QT_QPA_PLATFORM="offscreen")
    return json.loads(printed)


def test_a_thousand_callbacks_come_once_each_in_order_in_the_right_thread(
    toolkit: str, request: pytest.FixtureRequest
) -> None:
    expected = {"in order": True, "each once": True, "in the loop's thread": True}
    assert outcome(toolkit, "thousand", request) == expected


def test_an_exception_in_a_callback_goes_to_the_toolkits_hook_and_the_next_ones_come(
    toolkit: str, request: pytest.FixtureRequest
) -> None:
    expected = {"values": [*range(10)], "reported": [str(each) for each in range(10)]}
    assert outcome(toolkit, "raising", request) == expected


def test_a_loop_that_ends_with_calls_under_way_calls_nobody_and_harms_nothing(
    toolkit: str, request: pytest.FixtureRequest
) -> None:
    """The program lets go of its windows meanwhile: they are not freed by the threads that made the calls."""
    expected = {"called": [], "reported": [], "values": [True] * 8, "alive": [False] * 8}
    assert outcome(toolkit, "ended", request) == expected


@pytest.mark.parametrize("windowed", WITH_WINDOWS)
def test_a_window_closed_with_calls_under_way_gets_none_of_their_callbacks(
    windowed: str, request: pytest.FixtureRequest
) -> None:
    assert outcome(windowed, "closed", request) == {"called": ["last"], "reported": [], "values": [True] * 8}


@pytest.mark.parametrize("windowed", WITH_WINDOWS)
def test_a_dialog_that_is_closed_and_not_destroyed_gets_no_more_callbacks(
    windowed: str, request: pytest.FixtureRequest
) -> None:
    assert outcome(windowed, "hidden", request) == {"called": ["shown", "last"], "reported": []}


def test_a_loop_answers_its_own_events_while_a_thousand_callbacks_wait(
    toolkit: str, request: pytest.FixtureRequest
) -> None:
    """About 100 slices of 10 ms, and a tick after every second one at least: Qt sees only then that it is due."""
    seen = outcome(toolkit, "busy", request)
    assert seen["ticks"] >= 40
    assert seen["p95"] < 0.1


@pytest.mark.parametrize("windowed", WITH_WINDOWS)
def test_a_callback_that_closes_its_window_is_the_last_one_there(windowed: str, request: pytest.FixtureRequest) -> None:
    assert outcome(windowed, "closing", request) == {"called": ["called", "last"], "reported": []}

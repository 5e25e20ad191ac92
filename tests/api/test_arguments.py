"""Results of calls where an id, a token or a hash is asked for."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError

import pytest

from pymdc.api.arguments import local_path, text_of


@pytest.mark.parametrize(
    "value",
    ["56ef", b"56ef", {"id": "56ef"}, {"id": b"56ef"}, {"id": "56ef", "error": "x"}, MappingProxyType({"id": "56ef"})],
)
def test_text_and_the_result_of_a_call_are_accepted(value: str | bytes | Mapping[str, Any]) -> None:
    assert text_of(value, "id", "a bucket's id") == "56ef"


def test_the_name_says_which_of_the_texts_is_meant() -> None:
    assert text_of({"id": "1", "token": "2", "hash": "3"}, "token", "a token") == "2"


def test_any_unicode_is_text() -> None:
    assert text_of("é/ ?#%", "id", "an id") == "é/ ?#%"


def test_a_refusal_of_the_bridge_is_a_value_error_with_its_words() -> None:
    with pytest.raises(ValueError, match="expected a bucket's id, got a refusal of the bridge: Not authorized"):
        text_of({"error": "Not authorized"}, "id", "a bucket's id")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "NoneType"),
        (5, "int"),
        ([{"id": "1"}], "list"),
        ({}, "dict"),
        ({"id": None}, "dict"),
        ({"id": 5}, "dict"),
        ({"token": "1"}, "dict"),
        (URLError("refused"), "URLError"),
        (object(), "object"),
    ],
)
def test_anything_else_is_a_type_error_that_says_what_was_expected(value: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"expected a bucket's id, a str or the dict that a call returned, not {kind}"):
        text_of(value, "id", "a bucket's id")


@pytest.mark.parametrize("value", ["", b"", {"id": ""}])
def test_empty_text_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a bucket's id, got an empty str"):
        text_of(value, "id", "a bucket's id")


def test_bytes_that_are_not_text_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="bytes that are not UTF-8 text"):
        text_of(b"\xff", "id", "a bucket's id")


def test_a_path_holds_from_where_the_program_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_path("a") == local_path(Path("a")) == str(tmp_path / "a")
    assert local_path(f"a{os.sep}") == f"{tmp_path / 'a'}{os.sep}"
    assert local_path(f"{tmp_path}{os.sep}") == f"{tmp_path}{os.sep}"


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder in which a program is")
def test_a_path_stays_as_it_is_if_the_folder_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert local_path("a") == "a"

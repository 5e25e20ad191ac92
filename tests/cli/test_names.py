"""Names of files at the bridge and on this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.cli.names import bridge_name, local_path, readable_name

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=40)


@given(TEXT)
def test_a_path_comes_back_from_its_name_at_the_bridge(path: str) -> None:
    name = bridge_name(path)
    assert "/" not in name
    assert "\\" not in name
    assert readable_name(name) == path


@given(st.lists(TEXT.filter(lambda part: "/" not in part and part not in (".", "..")), min_size=1, max_size=4))
def test_a_path_comes_back_as_the_path_on_this_machine(parts: list[str]) -> None:
    path = "/".join(parts)
    assert local_path(bridge_name(path), "hash", windows=False) == path


def test_folders_stay_readable_in_a_name() -> None:
    assert bridge_name("2016/march/a.jpg") == "2016／march／a.jpg"
    assert readable_name("2016／march／a.jpg") == "2016/march/a.jpg"
    assert bridge_name("a／b") == "a‛／b"
    assert bridge_name("a\\b") == "a＼b"


@pytest.mark.parametrize("name", ["", "／", "／／", None, 7, ["a"]])
def test_a_file_without_a_name_gets_another_one(name: object) -> None:
    assert local_path(name, "ba084d3f") == "ba084d3f"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("..／..／etc／passwd", "_/_/etc/passwd"),
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("／etc／passwd", "etc/passwd"),
        (".", "_"),
        ("a／／b", "a/b"),
        ("a\x1b[31m\u202eb\0", "a_[31m_b_"),
        (".git／config", ".git/config"),
        (".pymdc-0123／lock", "pymdc-0123/lock"),
        ("12:30?.txt", "12:30?.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_no_name_leads_out_of_the_folder_or_does_harm_there(name: str, path: str) -> None:
    assert local_path(name, "hash", windows=False) == path


def test_windows_has_more_rules() -> None:
    assert local_path("a＼b／con.txt", "hash", windows=True) == "a/b/_con.txt"
    assert local_path("12:30?.txt", "hash", windows=True) == "12_30_.txt"
    assert local_path("c:＼／x", "hash", windows=True) == "c_/x"

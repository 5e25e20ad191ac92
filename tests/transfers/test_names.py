"""File names that came from elsewhere."""

from __future__ import annotations

import ntpath
import posixpath
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymdc.transfers.names import numbered, safe_name

spiky = st.text(st.sampled_from('./\\:*?"<>|\0\n\x7f aA~con1²\u202e\ud800é漢😀'), max_size=300)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text() | spiky)
def test_any_name_becomes_that_of_a_plain_file_in_its_folder(name: str, tmp_path: Path) -> None:
    safe = safe_name(name, "otherwise")
    assert safe not in ("", ".", "..")
    assert posixpath.basename(safe) == ntpath.basename(safe) == safe
    assert ntpath.splitdrive(safe)[0] == ""
    assert len(safe.encode()) <= 255
    assert safe.strip(" ").strip(".") == safe
    assert not any(character < " " or character in '\x7f<>:"|?*' for character in safe)
    assert safe_name(safe, "otherwise") == safe
    (tmp_path / safe).write_bytes(b"x")
    assert (tmp_path / safe).parent.resolve() == tmp_path.resolve()
    (tmp_path / safe).unlink()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        (".profile", "profile"),
        (" . .profile", "profile"),
        ("desktop.ini", "_desktop.ini"),
        ("Autorun.INF", "_Autorun.INF"),
        ("film\u202e4pm.exe", "film_4pm.exe"),
        ("a\u2028b\x85c\ufeff", "a_b_c_"),
        ("two words 漢字 é😀.txt", "two words 漢字 é😀.txt"),
        ("it's; $(rm) & `x`", "it's; $(rm) & `x`"),
        ("a/b\\c", "c"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("C:\\autoexec.bat", "autoexec.bat"),
        ("C:autoexec.bat", "C_autoexec.bat"),
        ("file.txt:stream", "file.txt_stream"),
        ('say "hi"?', "say _hi__"),
        ("a\r\nb\0c\x7f", "a__b_c_"),
        ("name. . ", "name"),
        (" name", "name"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("nul .txt", "_nul .txt"),
        ("com1.x", "_com1.x"),
        ("Lpt².x", "_Lpt².x"),
        ("CONIN$", "_CONIN$"),
        ("console", "console"),
        ("half \ud800", "half _"),
    ],
)
def test_a_name_keeps_harmless_characters(name: str, safe: str) -> None:
    assert safe_name(name, "otherwise") == safe


@pytest.mark.parametrize("name", ["", ".", "..", "...", " ", "a/", "a\\", "/", "..\\..", None, 5, b"x", ["x"]])
def test_if_nothing_is_left_of_a_name_the_other_name_is_used(name: object) -> None:
    assert safe_name(name, "otherwise") == "otherwise"


def test_a_long_name_is_cut_but_keeps_its_suffix() -> None:
    assert safe_name("é" * 300 + ".tar.gz", "x") == "é" * 126 + ".gz"
    assert safe_name("x" * 300, "x") == "x" * 255
    assert safe_name("a." + "x" * 300, "x") == ("a." + "x" * 300)[:255]


def test_a_long_name_that_is_cut_does_not_end_in_a_dot() -> None:
    assert safe_name("x" * 254 + "." + "y" * 60, "x") == "x" * 254


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("film.mkv", "film (2).mkv"),
        ("film", "film (2)"),
        ("a.tar.gz", "a.tar (2).gz"),
        (".profile", ".profile (2)"),
        ("a." + "x" * 40, "a." + "x" * 40 + " (2)"),
        ("é" * 127, "é" * 125 + " (2)"),
        ("x" * 251 + ".mkv", "x" * 247 + " (2).mkv"),
    ],
)
def test_the_second_file_of_a_name_has_a_number_before_its_suffix(name: str, second: str) -> None:
    assert numbered(name, 2) == second
    assert len(second.encode()) <= 255

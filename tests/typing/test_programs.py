"""Type checkers on programs that use the library: mypy --strict and pyright, as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent
ROOT = PROGRAMS.parents[1]
REFUSED = {
    number
    for number, line in enumerate((PROGRAMS / "refused.py").read_text(encoding="utf-8").splitlines(), 1)
    if "# refused: " in line
}


def by_mypy(program: Path, folder: Path, python: str = sys.executable) -> set[int]:
    """Return the lines that mypy complains of, with the package as that Python finds it."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(folder / "mypy")]
    command += ["--python-executable", python]
    done = subprocess.run(
        [*command, program.name], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "import-untyped" not in done.stdout
    return {int(line) for line in re.findall(rf"^{program.name}:(\d+): error:", done.stdout, re.M)}


def by_pyright(program: Path, folder: Path, python: str = sys.executable) -> set[int]:
    """Return the lines that pyright complains of; it takes the machine's own node, if there is one."""
    settings = {"include": [program.name], "typeCheckingMode": "strict", "reportUnusedExpression": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", python]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == 1
    return {each["range"]["start"]["line"] + 1 for each in found["generalDiagnostics"] if each["severity"] == "error"}


Checker = Callable[..., set[int]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the programs, outside of the repository, where the package is found by its path."""
    for program in PROGRAMS.glob("*ed.py"):
        shutil.copy(program, tmp_path)
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.mark.parametrize("check", [by_mypy, by_pyright])
def test_a_program_that_is_right_is_accepted(check: Checker, folder: Path) -> None:
    assert check(folder / "accepted.py", folder) == set()


@pytest.mark.parametrize("check", [by_mypy, by_pyright])
def test_each_mistake_is_found_and_nothing_else(check: Checker, folder: Path) -> None:
    assert len(REFUSED) > 10
    assert check(folder / "refused.py", folder) == REFUSED


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs, and a virtual environment into which a copy of the package is installed by `-e`."""
    folder = tmp_path_factory.mktemp("editable")
    source = folder / "source"
    shutil.copytree(ROOT / "pymdc", source / "pymdc", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=300)
    command = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", "-e", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "No matching distribution" in done.stderr:
        pytest.skip("needs a package index")
    assert done.returncode == 0, done.stderr
    programs = folder / "programs"
    programs.mkdir()
    for program in PROGRAMS.glob("*ed.py"):
        shutil.copy(program, programs)
    return programs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the environment's folders have other names there")
@pytest.mark.parametrize("check", [by_mypy, by_pyright])
def test_type_checkers_find_the_types_of_an_editable_install(
    check: Checker, editable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MYPYPATH", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    python = str(editable.parent / "venv" / "bin" / "python")
    assert check(editable / "accepted.py", editable, python) == set()
    assert check(editable / "refused.py", editable, python) == REFUSED

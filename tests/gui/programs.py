"""What runs programs that have windows: interpreters with the toolkits, and a screen in memory."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import pymdc

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
LONG = 120.0  # a bound on what takes seconds; reaching it is a failure

REQUIRED = "PYMDC_GUI"
"""Set to `required`, what is not installed fails its tests instead of skipping them."""

# Qt says the first on a screen that is not there, GTK 4 the second where no desktop is running.
NOISE = ("This plugin does not support propagateSizeHints()", "Unable to acquire session bus")

_PYTHONS = [sys.executable, "/usr/bin/python3"]  # the distribution's: toolkits are often installed for it alone


def missing(what: str) -> None:
    """Skip this test, or fail it if that is asked for."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(what)
    pytest.skip(what)


def python_with(*modules: str) -> str:
    """Return an interpreter that has these modules, for which the tests of this environment are at hand as well."""
    found = _python_with(modules)
    if found is None:
        missing(f"no Python here has {' and '.join(modules)}")
    assert found is not None
    return found


@functools.cache
def _python_with(modules: tuple[str, ...]) -> str | None:
    script = f"import sys, {', '.join(modules)}; sys.exit(sys.version_info < (3, 10))"
    for python in _PYTHONS:
        if Path(python).exists() and not subprocess.run([python, "-c", script], capture_output=True).returncode:
            return python
    return None


def run(python: str, program: Path, *arguments: str, display: str | None = None, **environment: str) -> str:
    """Run a program that must end well and have nothing to complain about; return what it printed."""
    where = [str(Path(pymdc.__file__).parents[1]), sysconfig.get_path("purelib")]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(where), **environment}
    variables.pop("WAYLAND_DISPLAY", None)
    variables.pop("DISPLAY", None)
    if display is not None:
        variables["DISPLAY"] = display
    warnings = ["-W", "error", "-W", "ignore:DynamicImporter:ImportWarning"]  # the latter is PyGObject's own
    done = subprocess.run(
        [python, *warnings, str(program), *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if line and not any(each in line for each in NOISE)]
    assert (done.returncode, complaints) == (0, []), done.stderr
    return done.stdout

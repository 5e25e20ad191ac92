"""Commands that are typed in this process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from pymdc.cli.main import cli


class Keyboard:
    """Types commands. Standard output and standard error are apart."""

    @property
    def variables(self) -> dict[str, str]:
        """What the environment tells a command beside what it holds already."""
        return {}

    def type(self, *arguments: str, **settings: Any) -> Result:
        """Run a command."""
        return CliRunner(env=self.variables).invoke(cli, arguments, prog_name="pymdc", **settings)

    def done(self, *arguments: str, **settings: Any) -> str:
        """Run a command that must succeed, and return what it wrote on standard output."""
        ran = self.type(*arguments, **settings)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def data(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json, and return its objects."""
        return [json.loads(line) for line in self.done(*arguments, "--json").splitlines()]

    def failed(self, code: int, *arguments: str, **settings: Any) -> str:
        """Run a command that must fail with a code and a last line, and return all that it said."""
        ran = self.type(*arguments, **settings)
        assert ran.exit_code == code, ran.output
        assert ran.stderr.splitlines()[-1].startswith("Error: "), ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr

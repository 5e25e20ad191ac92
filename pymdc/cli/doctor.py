"""`pymdc doctor`: find out what is wrong between this machine and a bridge."""

from __future__ import annotations

import click

from .diagnosis import Finding, diagnose
from .session import Session, common_options, pass_session
from .texts import clean

__all__ = ["doctor"]


@click.command()
@common_options
@click.option("--transfer", is_flag=True, help="Send a small file too, fetch it again, and remove it.")
@pass_session
def doctor(session: Session, transfer: bool) -> None:
    """Find out what is wrong between this machine and the bridge, and what to do.

    Looks at each step, from the bridge's name to the account, and writes a line for each. Nothing is changed by that.
    Exits with 0 if all is well, else with the code of the first failure.
    """
    code = 0
    for finding in diagnose(session, transfer=transfer):
        _write(session, finding)
        code = code or (0 if finding.ok else int(finding.code))
    if code == 0:
        session.output.say("All is well.")
    click.get_current_context().exit(code)


def _write(session: Session, finding: Finding) -> None:
    if session.output.json:
        told = {**finding._asdict(), "code": 0 if finding.ok else int(finding.code)}
        session.output.object(told)
        return
    mark = "ok" if finding.ok else "PROBLEM"
    remedy = f" {finding.remedy}" if finding.remedy else ""
    words = finding.words if finding.words.endswith(".") else f"{finding.words}."
    click.echo(f"{mark:8}{finding.step + ':':12}{clean(words + remedy)}")

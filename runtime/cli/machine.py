"""Commands about the machine: doctor."""

from __future__ import annotations

import typer

from runtime.cli.common import NO, Answer, AnswerFormat, command, write_json


@command
def doctor(form: AnswerFormat = Answer.TEXT) -> None:
    """Say what the machine lacks for a run, and the way out; ends with 1 where something fails.

    Example: onepath doctor
    """
    from runtime.doctor import examine, healthy, to_json

    findings = examine()
    if form is Answer.JSON:
        write_json(to_json(findings))
    else:
        for finding in findings:
            print(finding)
    if not healthy(findings):
        raise typer.Exit(NO)

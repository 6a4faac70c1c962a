"""Commands that pages show."""

from __future__ import annotations

import shlex

import click
import typer

from runtime.cli import app


def check_options(line: str) -> None:
    """The command exists, with the options of the line."""
    words = shlex.split(line)[1:]
    command: click.Command = typer.main.get_command(app)
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known, line

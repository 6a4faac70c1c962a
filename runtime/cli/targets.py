"""Commands about targets: list the known ones, explain one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.common import Answer, AnswerFormat, command, read_source, write_json

app = typer.Typer(
    help="List the known targets, and explain what one means.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def targets(context: typer.Context) -> None:
    """List the known targets; `onepath targets show NAME` explains one."""
    if context.invoked_subcommand is None:
        list_targets()


@command
def list_targets(form: AnswerFormat = Answer.TEXT) -> None:
    """List the targets known by name: this machine, those that come with Onepath, and your own.

    Example: onepath targets list
    """
    from dsl.known_targets import known_targets, user_table
    from dsl.names import HOST

    known = known_targets()
    if form is Answer.JSON:
        rows = {name: {"title": each.title, "kind": each.settings.kind} for name, each in known.items()}
        write_json({HOST: {"title": "this machine", "kind": "llvm"}, **rows})
        return
    width = max(map(len, known))
    print(f"{HOST:{width}}  this machine")
    for name, each in known.items():
        own = "  (yours)" if each.file == user_table() else ""
        print(f"{name:{width}}  {each.title}{own}")
    print(f"\nYour own: a `target` of a .space file, or a table of {user_table()}")


@command
def show(
    name: Annotated[str, typer.Argument(metavar="TARGET", help="a known target, or one of --file")],
    file: Annotated[Path | None, typer.Option("--file", help="a .space file that declares targets")] = None,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Explain a target: vectors, threads, caches, an estimate of its peak, and what this machine can do for it.

    Example: onepath targets show raspberry_pi_5
    """
    from dsl.known_targets import known_targets
    from runtime.experiment import host_settings, target_of
    from runtime.target_facts import facts_of, lines_of

    settings = host_settings(name) if file is None else target_of(read_source(file), name)
    known = known_targets().get(name)
    facts = facts_of(settings, known.title if known and known.settings == settings else "")
    if form is Answer.JSON:
        write_json(facts.describe())
    else:
        print("\n".join(lines_of(facts)))


app.command("list")(list_targets)
app.command()(show)

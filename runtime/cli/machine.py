"""Commands about the machine: doctor, and the tuning records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.common import NO, Answer, AnswerFormat, CommandError, command, write_json

records_app = typer.Typer(
    help="The tuning records: every measurement of a kernel on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Database = Annotated[Path | None, typer.Option("--records", help="the database; default one per user")]


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


@command
def export(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="the file to write")],
    records: Database = None,
) -> None:
    """Write all records as a text pack, one JSON object a line, to be given to someone else.

    Example: onepath records export mine.jsonl
    """
    from runtime.files import write_atomic
    from runtime.records import Records, write_pack

    with Records(records) as database:
        rows = database.rows()
    write_atomic(pack, write_pack(rows))
    print(f"{len(rows)} records in {pack}")


@command
def import_(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="a pack that `export` wrote")],
    records: Database = None,
) -> None:
    """Add the records of a pack; those that are there already stay once.

    Example: onepath records import theirs.jsonl
    """
    from runtime.records import Records, read_pack

    rows = read_pack(pack.read_text(encoding="utf-8", errors="replace"), str(pack))
    with Records(records) as database:
        before = len(database.rows())
        database.add_all(rows)
        after = len(database.rows())
    print(f"{after - before} of {len(rows)} records were new")


@command
def list_(records: Database = None, form: AnswerFormat = Answer.TEXT) -> None:
    """List the best record of each kernel, the slowest kernels first.

    Example: onepath records list
    """
    from runtime.records import Records, best_of

    with Records(records) as database:
        rows = database.rows()
    by_key = {
        key: best_of([row for row in rows if row.key == key])
        for key in dict.fromkeys(row.key for row in rows)
    }
    best = sorted(
        (r for found in by_key.values() for r in found.values()), key=lambda record: -record.median_ns
    )
    if form is Answer.JSON:
        write_json(
            [{"kernel": r.signature, "target": r.key.target, "median_ms": r.median_ns / 1e6} for r in best]
        )
        return
    for record in best:
        print(f"{record.median_ns / 1e6:10.4f} ms  {record.signature}")
    print(f"{len(rows)} records of {len(best)} kernels")


@command
def check(records: Database = None, form: AnswerFormat = Answer.TEXT) -> None:
    """Look for damage in the database; ends with 1 where there is some.

    Example: onepath records check
    """
    path = _existing(records)
    damage = _damage(path)
    if form is Answer.JSON:
        write_json({"database": str(path), "damage": damage})
    else:
        for finding in damage:
            print(finding)
        print(f"{path}: {'keep what is whole with `records salvage`' if damage else 'nothing is damaged'}")
    if damage:
        raise typer.Exit(NO)


@command
def salvage(records: Database = None, form: AnswerFormat = Answer.TEXT) -> None:
    """Keep the whole records of a damaged database in a new one, and set the old file aside.

    Example: onepath records salvage
    """
    from runtime.records import salvage as keep_whole

    path = _existing(records)
    kept, aside = keep_whole(path) if _damage(path) else (None, None)
    if form is Answer.JSON:
        write_json({"database": str(path), "kept": kept, "aside": None if aside is None else str(aside)})
    elif aside is None:
        print(f"{path}: nothing is damaged, nothing was changed")
    else:
        print(f"{kept} whole records are kept in {path}; the damaged file is now {aside}")


def _existing(path: Path | None) -> Path:
    from runtime.records import default_path

    path = path or default_path()
    if not path.is_file():
        raise CommandError(f"there is no records database at {path}; name one with --records")
    return path


def _damage(path: Path) -> list[str]:
    from runtime.records import DamagedRecords, Records

    try:
        with Records(path) as database:
            return database.check()
    except DamagedRecords as problem:
        return [str(problem)]


records_app.command("check")(check)
records_app.command("export")(export)
records_app.command("import")(import_)
records_app.command("list")(list_)
records_app.command("salvage")(salvage)

"""Commands about the tuning records: what is in the database, and packs of it for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dsl.suggest import counted
from runtime.cli.common import (
    NO,
    Answer,
    AnswerFormat,
    CommandError,
    SpaceFile,
    SpaceName,
    command,
    read_source,
    write_json,
)
from runtime.cli.record_rows import fields, selected

if TYPE_CHECKING:
    from runtime.records import Losses, Salvaged

app = typer.Typer(
    help="The tuning records: every measurement of a kernel, and packs of them for others.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
NAMED = 20
"""How many damaged rows an answer names."""
Database = Annotated[Path | None, typer.Option("--records", help="the database; default one per user")]
ForTarget = Annotated[
    str | None, typer.Option("--target", help="only of targets with this LLVM processor, as `znver5`")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="only of targets with so many threads")]
OfProcessor = Annotated[
    str | None, typer.Option("--processor", help="only measured on processors named so, or `here`")
]
OfKernel = Annotated[str | None, typer.Option("--kernel", help="only of kernels with this text in them")]
Best = Annotated[int | None, typer.Option("--best", min=1, help="only the fastest so many of each kernel")]
Force = Annotated[bool, typer.Option("--force", help="replace the file, if it is of this kind")]
Pack = Annotated[Path, typer.Argument(metavar="PACK", help="a pack that `export` or `merge` wrote")]


@command
def export(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="the file to write")],
    records: Database = None,
    target: ForTarget = None,
    threads: Threads = None,
    processor: OfProcessor = None,
    kernel: OfKernel = None,
    best: Best = None,
    note: Annotated[str, typer.Option("--note", help="a line for whoever gets it")] = "",
    force: Force = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Write records as a text pack, one JSON object a line, to be given to someone else.

    It states versions, the processor and when, but neither the machine nor you. Ends with 1, and writes
    nothing, where no record is what you asked for. Nothing but an older pack is ever replaced, by --force.

    Example: onepath records export mine.jsonl --processor here --best 3
    """
    from runtime.files import checked_output, write_atomic
    from runtime.records import PACK_FILE, Records, fastest, files_of, write_pack

    path = _existing(records)
    out = checked_output(pack, PACK_FILE, inputs=files_of(path), force=force)
    with Records(path) as database:
        rows = selected(database.rows(), target, threads, processor, kernel)
    if best is not None:
        rows = fastest(rows, best)
    if not rows:
        typer.echo("onepath: no record is what you asked for; nothing was written", err=True)
        raise typer.Exit(NO)
    write_atomic(out, write_pack(rows, note))
    _answer(form, f"{counted(len(rows), 'record')} in {pack}", {"pack": str(pack), "records": len(rows)})


@command
def import_(pack: Pack, records: Database = None, form: AnswerFormat = Answer.TEXT) -> None:
    """Add the records of a pack, all or none; where a schedule is there already, the newer measurement stays.

    Records of other processors are kept apart and never used here.

    Example: onepath records import theirs.jsonl
    """
    from dataclasses import asdict

    from runtime.device import fingerprint
    from runtime.records import Records, load_pack

    if records is not None:
        _refuse_pack(records)
    rows = load_pack(pack)
    with Records(records) as database:
        taken = database.take(rows)
    usable = sum(row.key.processor == fingerprint() for row in rows)
    text = (
        f"{counted(len(rows), 'record')}: {taken.new} new, {taken.newer} newer than yours, {taken.same} the same,"
        f" {taken.older} older than yours and left out; {usable} of this processor"
    )
    _answer(form, text, {"records": len(rows), **asdict(taken), "of_this_processor": usable})


@command
def merge(
    packs: Annotated[list[Path], typer.Argument(metavar="PACK...", help="the packs to put together")],
    out: Annotated[Path, typer.Option("--out", help="the file to write")],
    best: Best = None,
    force: Force = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Put packs together into one; of two measurements of a schedule the newer stays. No database is touched.

    Example: onepath records merge a.jsonl b.jsonl --out both.jsonl
    """
    from runtime.files import checked_output, write_atomic
    from runtime.records import PACK_FILE, fastest, load_pack, write_pack
    from runtime.records import merge as merged

    real = checked_output(out, PACK_FILE, inputs=packs, force=force)
    rows = merged(load_pack(pack) for pack in packs)
    if best is not None:
        rows = fastest(rows, best)
    write_atomic(real, write_pack(rows))
    _answer(form, f"{counted(len(rows), 'record')} in {out}", {"pack": str(out), "records": len(rows)})


@command
def list_(
    records: Database = None,
    target: ForTarget = None,
    threads: Threads = None,
    processor: OfProcessor = None,
    kernel: OfKernel = None,
    best: Best = None,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """List the fastest records of each kernel (`--best`, 1 unless given), the slowest kernels first.

    Example: onepath records list --processor here
    """
    from runtime.records import Records, fastest

    with Records(_existing(records)) as database:
        rows = selected(database.rows(), target, threads, processor, kernel)
        damaged = len(database.damaged)
    shown = sorted(fastest(rows, best or 1), key=lambda record: -record.median_ns)
    if form is Answer.JSON:
        write_json([fields(record) for record in shown])
    else:
        for record in shown:
            row = fields(record)
            print(
                f"{row['median_ms']:10.4g} ms  {record.signature}\n{'':15}{row['processor']}, {row['cpu']},"
                f" {counted(row['threads'], 'thread')}; {row['origin']}"
            )
        kernels = len({(record.key, record.signature) for record in rows})
        print(f"{counted(len(rows), 'record')} of {counted(kernels, 'kernel')}")
    if damaged:
        typer.echo(
            f"onepath: {counted(damaged, 'damaged record')} left out: `onepath records check`", err=True
        )


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
        option = f" --records {path}" if records else ""
        way_out = f"damaged; keep what is whole with `onepath records salvage{option}`"
        print(f"{path}: {way_out if damage else 'nothing is damaged'}")
    if damage:
        raise typer.Exit(NO)


@command
def salvage(records: Database = None, form: AnswerFormat = Answer.TEXT) -> None:
    """Keep the whole records of a damaged database in a new one, and set the old file aside.

    Example: onepath records salvage
    """
    from dataclasses import asdict

    from runtime.records import salvage as keep_whole

    path = _existing(records)
    judged = path.stat()
    saved = keep_whole(path, judged) if _damage(path) else None
    text = f"{path}: nothing is damaged, nothing was changed" if saved is None else _salvaged(path, saved)
    _answer(
        form,
        text,
        {
            "database": str(path),
            "kept": None if saved is None else saved.kept,
            "lost": None if saved is None else saved.lost,
            "damaged": None if saved is None else saved.damaged,
            "lost_besides": None if saved is None else asdict(saved.besides),
            "aside": None if saved is None else str(saved.aside),
        },
    )


def _salvaged(path: Path, saved: Salvaged) -> str:
    kept, lost = (
        ", ".join(counted(count, what) for what, count in counts.items())
        for counts in (saved.kept, saved.lost)
    )
    names = [f"  {name}" for name in saved.damaged[:NAMED]]
    if len(saved.damaged) > NAMED:
        names.append(f"  and {len(saved.damaged) - NAMED} more")
    lines = [f"kept in {path}: {kept}", f"lost: {lost}", *names, *_besides(saved.besides)]
    return "\n".join([*lines, f"the damaged file is now {saved.aside}"])


def _besides(lost: Losses) -> Iterator[str]:
    """What was lost and has no name, a line each."""
    if lost.rows:
        yield f"lost besides: {counted(lost.rows, 'row')} that cannot be made out"
    if lost.pages:
        about = f", about {lost.rows_on_pages:,} as the others are filled" if lost.rows_on_pages else ""
        yield f"lost besides: an unknown number of rows{about}, on {counted(lost.pages, 'page')} that are gone"
    if not lost.known:
        yield "what else was lost nobody can tell: the beginning of the file is damaged"


@command
def table(
    file: SpaceFile,
    space: SpaceName = None,
    target: Annotated[
        str | None, typer.Option("--target", help="whose table; default the search's, else host")
    ] = None,
    records: Database = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="the file to write; default standard output")
    ] = None,
    force: Force = False,
) -> None:
    """Print the latency table of a space from the records, as JSON; nothing is measured.

    Ends with 1 where the records lack a price, which is named: `onepath profile` measures it.

    Example: onepath records table examples/quickstart.space --out table.json
    """
    from compiler.latency import SCHEMA, to_payload
    from compiler.pricing import space_kernels
    from runtime.experiment import load_experiment
    from runtime.files import checked_output, json_document, json_kind, write_atomic
    from runtime.recorded_table import MissingPrices, table_from_records
    from runtime.records import Records, files_of
    from runtime.targets import resolve

    database_path = _existing(records)
    if out is not None:
        kind = json_kind("a latency table", SCHEMA)
        real = checked_output(out, kind, inputs=[file, *files_of(database_path)], force=force)
    experiment = load_experiment(read_source(file), space=space, target=target)
    wanted = resolve(experiment.target)
    kernels = space_kernels(experiment.flat, wanted)
    try:
        with Records(database_path) as database:
            found = table_from_records(kernels, wanted, database)
    except MissingPrices as problem:
        typer.echo(f"onepath: {problem}", err=True)
        raise typer.Exit(NO) from None
    document = json_document(to_payload(found), SCHEMA)
    if out is None:
        print(document, end="")
    else:
        write_atomic(real, document)
        print(f"{counted(len(found.entries), 'kernel')} in {out}")


def _answer(form: Answer, text: str, payload: dict[str, Any]) -> None:
    if form is Answer.JSON:
        write_json(payload)
    else:
        print(text)


def _existing(path: Path | None) -> Path:
    from runtime.records import default_path

    path = path or default_path()
    if not path.is_file():
        raise CommandError(f"there is no records database at {path}; name one with --records")
    _refuse_pack(path)
    return path


def _refuse_pack(path: Path) -> None:
    from runtime.records import PACK_FILE

    if path.is_file() and PACK_FILE.holds(path):
        raise CommandError(
            f"{path} is a pack, not a database; `onepath records import {path}` takes it into one"
        )


def _damage(path: Path) -> list[str]:
    from runtime.records import DamagedRecords, Records

    try:
        with Records(path) as database:
            return database.check()
    except DamagedRecords as problem:
        return [str(problem)]


app.command("check")(check)
app.command("export")(export)
app.command("import")(import_)
app.command("list")(list_)
app.command("merge")(merge)
app.command("salvage")(salvage)
app.command("table")(table)

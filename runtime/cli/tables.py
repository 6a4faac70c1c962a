"""Commands about latency tables: convert, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.common import Answer, AnswerFormat, CommandError, command, write_json

if TYPE_CHECKING:
    from compiler.predict import Table

app = typer.Typer(
    help="Latency tables: convert one from elsewhere, show what is in one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
TableFile = Annotated[
    Path, typer.Argument(metavar="TABLE", help="a latency table: ours (JSON) or a published one (YAML)")
]


@command
def convert(
    table: TableFile,
    out: Annotated[Path, typer.Option("--out", help="the JSON file to write")],
    device: Annotated[
        str | None,
        typer.Option("--device", help="whose times they are; default the name in the file, else the file's"),
    ] = None,
) -> None:
    """Write a table of blocks from elsewhere in our format, to be edited or shared: docs/latency_tables.md.

    Example: onepath table convert mobile_trim.yaml --out pixel1.json --device 'Pixel 1'
    """
    from dataclasses import replace

    from compiler.tables.block_table import SCHEMA, BlockTable
    from runtime.block_tables import write_block_table
    from runtime.files import checked_output, json_kind
    from runtime.latency_table import read_any_table

    out = checked_output(out, json_kind("a table of blocks", SCHEMA), inputs=[table], force=True)
    found = read_any_table(table, device)
    if not isinstance(found, BlockTable):
        raise CommandError(f"{table} is a table that `onepath profile` measured; there is nothing to convert")
    write_block_table(out, replace(found, device=device or found.device))
    print(f"{len(found.times)} blocks in {out}")


@command
def show(table: TableFile, form: AnswerFormat = Answer.TEXT) -> None:
    """List the blocks or kernels of a latency table, the slowest first.

    Example: onepath table show pixel1.json
    """
    from runtime.latency_table import read_any_table

    found = read_any_table(table)
    owner, rows = _rows(found)
    if form is Answer.JSON:
        write_json({"table": str(table), "device": owner, "entries": rows})
        return
    for row in rows:
        print(f"{row['time_ms']:10.4f} ms  {row['name']}")
    print(f"{len(rows)} entries, of {owner}")


def _rows(table: Table) -> tuple[str, list[dict[str, Any]]]:
    """Whose times they are, and each entry: its name, its signature, its time in milliseconds."""
    from compiler.latency import LatencyTable

    if isinstance(table, LatencyTable):
        kernels = sorted(table.entries.items(), key=lambda item: -item[1].median_ms)
        rows = [{"name": text, "signature": text, "time_ms": entry.median_ms} for text, entry in kernels]
        return str(table.target.get("name")), rows
    blocks = [
        {"name": name, "signature": block.signature, "time_ms": time.mean_ms}
        for name, block, time in table.rows
    ]
    return table.device, blocks


for function in (convert, show):
    app.command()(function)

"""Latency tables as files: our measured ones, with schema and checksum, and tables of blocks from elsewhere."""

from __future__ import annotations

from pathlib import Path

from compiler.latency import SCHEMA, LatencyTable, TableProblem, from_payload, to_payload
from compiler.predict import Table
from compiler.tables.block_table import SCHEMA as BLOCK_SCHEMA
from dsl.settings import TargetSettings
from runtime.block_tables import YAML_SUFFIXES, block_table_of, read_published
from runtime.edited import Unreadable
from runtime.edited import read_json as read_edited_json
from runtime.files import FileProblem, read_json, write_json

TABLE_CAP_BYTES = 64 << 20
"""The largest table that is read from a place that a person names."""


def write_table(path: Path | str, table: LatencyTable) -> Path:
    """Write the table.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_json(path, to_payload(table), SCHEMA)


def read_table(path: Path | str) -> LatencyTable:
    """The table of a file.

    Raises:
        FileProblem: it is missing, damaged, of another schema, or no table of ours.
    """
    try:
        return from_payload(read_json(path, SCHEMA))
    except TableProblem as problem:
        raise FileProblem(path, str(problem), "profile the space again") from None


def read_any_table(path: Path, device: str | None = None) -> Table:
    """The table of a file of either kind: by its schema, or a published one where its name ends in `.yaml`.

    Raises:
        OSError: the file cannot be read.
        TableProblem, FileProblem: it is no table, or is damaged; the message says where.
    """
    if path.suffix.lower() in YAML_SUFFIXES:
        return read_published(path, device)
    try:
        document = read_edited_json(path, TABLE_CAP_BYTES, "a latency table")
    except Unreadable as problem:
        raise TableProblem(str(problem)) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == BLOCK_SCHEMA:
        return block_table_of(path, document)
    if schema == SCHEMA:
        return read_table(path)
    kinds = f'"{SCHEMA}" (measured by `onepath profile`) and "{BLOCK_SCHEMA}" (blocks, measured elsewhere)'
    raise TableProblem(f"{path}: not a latency table: its `schema` must be one of {kinds}")


def table_path(settings: TargetSettings, folder: Path) -> Path | None:
    """Where the target's table from elsewhere is, if it has one: relative to the folder of the `.space` file."""
    return None if settings.latency_table is None else folder / Path(settings.latency_table).expanduser()

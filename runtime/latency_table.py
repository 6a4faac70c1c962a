"""Latency tables as files, with schema and checksum."""

from __future__ import annotations

from pathlib import Path

from compiler.latency import SCHEMA, LatencyTable, TableProblem, from_payload, to_payload
from runtime.files import FileProblem, read_json, write_json


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

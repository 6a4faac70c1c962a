"""Latency tables of blocks as files: our JSON, and the tables that ProxylessNAS published as YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.architecture import shown
from compiler.kernel import Kernel
from compiler.latency import TableProblem
from compiler.tables.block_table import (
    ENTRIES_CAP,
    SCHEMA,
    BlockTable,
    Time,
    checked_time,
    from_payload,
    refuse,
    to_payload,
)
from compiler.tables.proxylessnas import block_of_key
from runtime.edited import Unreadable, read_text
from runtime.files import write_json

if TYPE_CHECKING:
    import yaml

YAML_SUFFIXES = (".yaml", ".yml")
YAML_CAP_BYTES = 1 << 20
"""The largest YAML file: the published table has 11 KiB, and parsing takes seconds for each MiB."""
PUBLISHED = "converted from a table in the form that ProxylessNAS published"
FIELDS = {"mean": "mean_ms", "count": "count", "var": "variance_ms2"}
"""What the fields of a published table are called in ours."""


def write_block_table(path: Path, table: BlockTable) -> Path:
    """Write the table as JSON, without a checksum: people edit it.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_json(path, to_payload(table), SCHEMA, checksum=False)


def block_table_of(path: Path, document: object) -> BlockTable:
    """The table that the JSON of a file holds.

    Raises:
        TableProblem: it is none; the message names file and entries.
    """
    try:
        return from_payload(document)
    except TableProblem as problem:
        raise TableProblem(f"{path}: {problem}") from None


def read_published(path: Path, device: str | None = None) -> BlockTable:
    """A table as ProxylessNAS published it: YAML, a block's key to `{count, mean, var}`, in milliseconds.

    The file does not say whose times they are: without `device` it is the file's name.

    Raises:
        OSError: the file cannot be read.
        TableProblem: it is too large, no YAML, or no such table; the message names the lines.
    """
    root = _root(path)
    times: dict[Kernel, Time] = {}
    problems = []
    for line, key, fields in _entries(path, root):
        try:
            block = block_of_key(key)
            if block in times:
                raise ValueError("stands twice; keep one of them")
            times[block] = checked_time(_renamed(fields), strict=False)
        except ValueError as problem:
            problems.append(f"{path}:{line}: `{shown(key)}`: {problem}")
    refuse(problems)
    return BlockTable(device or path.stem, times, PUBLISHED)


def _root(path: Path) -> yaml.Node:
    """The document as YAML nodes: nothing is constructed of it, and an alias is only another name of a node."""
    import yaml

    try:
        root = yaml.compose(read_text(path, YAML_CAP_BYTES, "a published table"), Loader=yaml.SafeLoader)
    except Unreadable as problem:
        raise TableProblem(str(problem)) from None
    except yaml.MarkedYAMLError as problem:
        where = "" if problem.problem_mark is None else f":{problem.problem_mark.line + 1}"
        raise TableProblem(f"{path}{where} is not YAML: {problem.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise TableProblem(f"{path} is not YAML, or is nested too deep") from None
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise TableProblem(f"{path}: a published table maps the keys of blocks to `{{count, mean, var}}`")
    if len(root.value) > ENTRIES_CAP:
        raise TableProblem(f"{path}: a latency table has at most {ENTRIES_CAP:,} entries")
    return root


def _entries(path: Path, root: yaml.Node) -> Iterator[tuple[int, str, list[tuple[str, Any]]]]:
    """Line, key and fields of each entry; fields are text."""
    import yaml

    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.MappingNode):
            raise TableProblem(f"{path}:{line}: an entry is a key with `{{count, mean, var}}`")
        yield line, key.value, [(str(name.value), field.value) for name, field in value.value]


def _renamed(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in fields]
    wrong = [name for name in names if name not in FIELDS or names.count(name) > 1]
    if wrong:
        raise ValueError(f"its fields are {', '.join(FIELDS)}, each once; `{shown(wrong[0])}` is wrong")
    if "mean" not in names:
        raise ValueError("it lacks `mean`")
    return {FIELDS[name]: value for name, value in fields}

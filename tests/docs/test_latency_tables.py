"""docs/latency_tables.md: its table is one, and its target is of the language."""

from __future__ import annotations

import json
import re
from pathlib import Path

from compiler.derive import derive
from compiler.tables.block_table import from_payload
from compiler.tables.costs import network_latency_ms
from dsl.parser import parse
from dsl.resolve import resolve_settings
from dsl.source import Source
from tests.compiler_spaces import space

PAGE = (Path(__file__).resolve().parents[2] / "docs/latency_tables.md").read_text(encoding="utf-8")


def test_the_table_shown_prices_a_network() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    graph = space(
        "conv(8, 3) -> bn -> relu6 -> residual { depthwise(5) -> bn -> relu6 -> conv(8, 1) -> bn } -> global_pool"
    )
    assert network_latency_ms(derive(graph, {}), from_payload(json.loads(text))) == 1.25 + 0.5 + 0.25


def test_the_target_shown_has_a_table() -> None:
    (text,) = re.findall(r"```\n(target .*?)```", PAGE, re.DOTALL)
    file, found = parse(Source("page", text))
    assert file is not None
    assert not found
    settings, problems = resolve_settings(file)
    assert not problems
    assert settings.targets["pixel1"].latency_table == "mobile_trim.yaml"

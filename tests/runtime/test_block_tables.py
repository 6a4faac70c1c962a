"""Tables from elsewhere as files: the published one to the last digit, ours back again, bad ones by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.architecture import sample
from compiler.frontend import space_of
from compiler.latency import TableProblem
from compiler.passes.flatten import flatten
from compiler.path_costs import latency_path_costs
from compiler.path_decisions import path_decisions
from compiler.predict import predict, space_latency
from compiler.tables.block_table import BlockTable
from compiler.tables.costs import block_costs
from dsl.reading import read
from runtime.block_tables import read_published, write_block_table
from runtime.latency_table import read_any_table

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
KEY = "Conv_1-input:7x7x320-output:7x7x1280"
GOOD = f"{KEY}:\n  count: 3\n  mean: 3.5\n  var: 0.25\n"


@pytest.fixture
def pixel1(shared_data: Path) -> BlockTable:
    return read_published(shared_data / "proxylessnas/mobile_trim.yaml", "Pixel 1")


@pytest.mark.data
def test_published_sums_over_the_default_space(pixel1: BlockTable) -> None:
    """The figures that ProxylessNAS's own estimator gives for this table: all but the last to three places."""
    space = space_of(read(EXAMPLES / "proxyless_mobile.space"))
    flat = flatten(space)
    costs, decisions = block_costs(flat, pixel1), path_decisions(flat.graph)
    latency = latency_path_costs(decisions, costs)

    def all_of(label: str) -> float:
        picks = [
            next(i for i, each in enumerate(decision.labels) if each.endswith(label))
            for decision in decisions
        ]
        return round(latency.total(picks), 3)

    found = space_latency(space, flat, costs)
    assert all_of("kernel=3 expand=3") == 76.048
    assert all_of("kernel=3 expand=6") == 136.466
    assert all_of("kernel=7 expand=6") == round(found.max_ms, 3) == 191.030
    assert round(found.min_ms, 3) == 29.609
    assert round(found.expected_ms, 6) == 113.988129


@pytest.mark.data
def test_a_network_costs_the_sum_of_its_candidates(pixel1: BlockTable) -> None:
    space = space_of(read(EXAMPLES / "proxyless_mobile.space"))
    flat = flatten(space)
    costs, decisions = block_costs(flat, pixel1), path_decisions(flat.graph)
    latency = latency_path_costs(decisions, costs)
    for architecture in sample(space, 10, 0):
        chosen = set(architecture.choices.items())
        picks = [
            next(i for i, choices in enumerate(each.choices) if chosen.issuperset(choices))
            for each in decisions
        ]
        whole = predict(pixel1, space, architecture.choices).latency_ms
        assert whole == pytest.approx(latency.total(picks), rel=1e-12)


@pytest.mark.data
def test_the_published_table_is_written_and_read_back(pixel1: BlockTable, tmp_path: Path) -> None:
    assert len(pixel1.times) == 72
    assert read_any_table(write_block_table(tmp_path / "pixel1.json", pixel1)) == pixel1


def written(tmp_path: Path, text: str, name: str = "table.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_published_table_says_not_whose_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "my_phone.yml")
    assert read_any_table(path).device == "my_phone"  # type: ignore[union-attr]
    assert read_any_table(path, "x").device == "x"  # type: ignore[union-attr]


WRONG_YAML = {
    "no mapping": ("- 1\n", "maps the keys of blocks"),
    "empty": ("", "maps the keys of blocks"),
    "an unknown key": (GOOD + "Pool-input:7x7x3-output:1:\n  mean: 1\n", "table.yaml:5: `Pool-input.*no key"),
    "a key twice": (GOOD + GOOD, "table.yaml:5: `Conv_1-.*stands twice"),
    "a wrong output": (GOOD.replace("-output:7x7", "-output:6x7"), "table.yaml:1: .*the output"),
    "a negative time": (GOOD.replace("3.5", "-3.5"), "table.yaml:1: .*>= 0.0"),
    "no number": (GOOD.replace("3.5", ".nan"), "table.yaml:1: .*mean_ms"),
    "an infinite time": (GOOD.replace("3.5", "1e999"), "out of range"),
    "no time": (f"{KEY}:\n  count: 3\n", "lacks `mean`"),
    "an unknown field": (GOOD + "  median: 1\n", "`median` is wrong"),
    "a field twice": (GOOD + "  mean: 1\n", "`mean` is wrong"),
    "a time alone": (f"{KEY}: 3.5\n", "table.yaml:1: an entry is a key with"),
    "no YAML": (GOOD + "  x: [\n", "table.yaml:6 is not YAML"),
    "nested": ("[" * 5000, "nested too deep"),
    "not text": ("\0", "is not YAML"),
    "too large": ("#" * (1 << 20) + "\n", "at most 1 MiB"),
    "an object": (f"{KEY}:\n  mean: !!python/object/apply:os.system ['true']\n", "table.yaml:1: "),
}


@pytest.mark.parametrize("name", WRONG_YAML)
def test_bad_published_tables_get_a_message(name: str, tmp_path: Path) -> None:
    text, message = WRONG_YAML[name]
    with pytest.raises(TableProblem, match=message):
        read_any_table(written(tmp_path, text))


WRONG_JSON = {
    "no JSON": ("{", "is not JSON"),
    "no object": ("[]", "not a latency table: its `schema`"),
    "another schema": ('{"schema": "onepath.bench/1"}', "onepath.latency/1.*onepath.block_latency/1"),
    "a block twice": (
        '{"schema": "onepath.block_latency/1", "entries": {"a": {}, "a": {}}}',
        "`a` stands twice",
    ),
    "an infinite time": (
        '{"schema": "onepath.block_latency/1", "mean_ms": Infinity}',
        "Infinity is no number",
    ),
    "a wrong entry": (
        '{"schema": "onepath.block_latency/1", "device": "x", "entries": {"a\\u001b": {"mean_ms": 1}}}',
        r"table.json: .*\n +entry `a\\u001b`",
    ),
}


@pytest.mark.parametrize("name", WRONG_JSON)
def test_bad_tables_get_a_message(name: str, tmp_path: Path) -> None:
    text, message = WRONG_JSON[name]
    with pytest.raises(TableProblem, match=message):
        read_any_table(written(tmp_path, text, "table.json"))

"""A table or a function judges a search from the command line: without data, without profiling, with plain messages."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from compiler.frontend import space_of
from compiler.passes.flatten import flatten
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of
from dsl.reading import read
from dsl.settings import CapSetting, Evolution, Gradient, Random, Reinforce, Strategy
from dsl.source import Source
from runtime.cli import app
from runtime.console import Console
from runtime.events import read_events
from runtime.experiment import load_experiment
from runtime.files import FileProblem
from runtime.pipeline import run_until, stages_of
from runtime.run_folder import RunFolder
from runtime.search.evaluators.function import FunctionOfChoices, load_function
from runtime.search.evaluators.table import TableOfScores, read_score_table
from runtime.search.options import InfeasibleCap, SearchOptions, SearchProblem
from runtime.search.problem import Problem, problem_of
from runtime.search.search import search
from runtime.stages import Run

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[3]
SPACE = """space tiny {
    input [1, 4, 4]
    output [2]
    conv(4, choose(1, 3)) -> choose { a: relu | b: conv(4, 1) | c: conv(4, 3) } -> conv(choose(2, 4), 1)
    -> global_pool -> linear(2)
}
"""
SIZES = (2, 3, 2)
ALL = list(product(*map(range, SIZES)))


def score(picks: Picks) -> float:
    """The slower, the better: the cap decides."""
    return 50 + sum(picks) + picks[1] / 10


def latency_ms(picks: Picks) -> float:
    return 1.0 + picks[0] + 0.5 * picks[1] + 0.25 * picks[2]


def rows(networks: Sequence[Picks] = ALL) -> list[dict[str, Any]]:
    return [
        {"architecture": ",".join(map(str, picks)), "score": score(picks), "latency_ms": latency_ms(picks)}
        for picks in networks
    ]


def write_csv(path: Path, table: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def problem(caps: Sequence[CapSetting] = (), table: TableOfScores | None = None) -> Problem:
    listed = {} if table is None or table.latencies_ms is None else {"host": table.latencies_ms}
    return problem_of(flatten(space_of(Source("tiny.space", SPACE))), {}, caps, "host", listed)


DECISIONS = problem().decisions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "scores.csv", rows())
    return tmp_path


def written(folder: Path, settings: str) -> str:
    file = folder / "tiny.space"
    file.write_text(f"{SPACE}\nsearch tiny {{ {settings} }}\n")
    return str(file)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def found(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "runs/tiny/search/result.json").read_text())
    return result


def best_under(limit_ms: float) -> Picks:
    return max((picks for picks in ALL if latency_ms(picks) <= limit_ms), key=score)


STRATEGIES = (
    "random(samples = 60)",
    "evolution(population = 4, generations = 8)",
    "reinforce(networks = 60)",
)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_table_with_latencies_needs_neither_data_nor_a_profile(folder: Path, strategy: str) -> None:
    settings = f'evaluator = table("scores.csv")  strategy = {strategy}  latency <= 2 ms on host'
    result = call("search", written(folder, settings), "--format", "json")
    assert result.exit_code == 0, result.output
    assert "not checked" not in result.output
    answer, summary = json.loads(result.stdout), found(folder)
    best = best_under(2)
    assert tuple(summary["picks"]) == best
    assert (answer["score"], answer["latency_ms"], answer["cap_ms"]) == (score(best), latency_ms(best), 2.0)
    assert summary["minimum_ms"] == 1.0
    assert not (folder / "runs/tiny/latency").exists()


def test_a_front_is_written_and_named(folder: Path) -> None:
    settings = 'evaluator = table("scores.csv")  strategy = random(samples = 100)  latency <= 2.5 ms on host'
    result = call("search", written(folder, settings), "--set", "front=5", "--format", "json")
    assert result.exit_code == 0, result.output
    names = [each["architecture"] for each in json.loads(result.stdout)["front"]]
    front = found(folder)["front"]
    assert [Path(name).name for name in names] == [f"{number}.json" for number in range(1, len(front) + 1)]
    assert all(Path(name).is_file() for name in names)
    costs, scores = ([each[key] for each in front] for key in ("costs", "score"))
    assert 2 <= len(front) <= 5
    assert scores == sorted(set(scores))
    assert max(cost["latency on host"] for cost in costs) <= 2.5
    assert call("derive", "tiny.space", "--arch", names[0], "--out", "derived").exit_code == 0


def test_a_cap_that_no_row_holds_is_refused_with_what_can_be_reached(folder: Path) -> None:
    file = written(folder, 'evaluator = table("scores.csv")  strategy = random  latency <= 0.9 ms on host')
    result = call("search", file)
    assert result.exit_code == 1
    assert "what can be reached is 1 ms" in " ".join(result.output.split())


def test_caps_together_are_refused_with_what_can_be_reached(tmp_path: Path) -> None:
    table = read_score_table(write_csv(tmp_path / "t.csv", rows()), DECISIONS)
    macs = problem().metrics["macs"]
    floor = max(macs.total(picks) for picks in ALL)
    caps = [CapSetting("latency", "<=", 1.1, None), CapSetting("macs", ">=", floor, None)]
    with pytest.raises(InfeasibleCap, match=r"among those that hold the other caps: .* is 3\.25 ms"):
        search(problem(caps, table), table, SearchOptions(Random()), tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_what_was_searched_is_not_searched_again_and_another_table_is(folder: Path) -> None:
    file = written(folder, 'evaluator = table("scores.csv")  strategy = random(samples = 60)')
    assert call("search", file).exit_code == 0
    stamp = (folder / "runs/tiny/search/result.json").stat().st_mtime_ns
    assert call("search", file).exit_code == 0
    assert (folder / "runs/tiny/search/result.json").stat().st_mtime_ns == stamp
    table = rows()
    table[0]["score"] = 99
    write_csv(folder / "scores.csv", table)
    assert call("search", file).exit_code == 0
    assert (found(folder)["score"], tuple(found(folder)["picks"])) == (99.0, ALL[0])
    assert call("search", file, "--set", 'evaluator=table("scores.csv", score="latency_ms")').exit_code == 0
    assert found(folder)["score"] == max(map(latency_ms, ALL))


def test_a_restart_that_is_interrupted_is_no_finished_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command without --restart goes on with what the restart began, and says nothing of the old result."""
    write_csv(folder / "scores.csv", rows())
    experiment = load_experiment(
        read(Path(written(folder, 'evaluator = table("scores.csv")  strategy = random')))
    )

    def run(force: bool = False) -> None:
        run_until(Run(experiment, RunFolder(folder / "run"), Console()), "search", force)

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    def checkpoints() -> list[Path]:
        return list((folder / "run/search").glob("*_checkpoints/*"))

    run()
    assert checkpoints()
    with monkeypatch.context() as patch:
        patch.setattr("runtime.pipeline.announced", stop)
        with pytest.raises(KeyboardInterrupt, match=r"the command without --restart goes on from it$"):
            run(force=True)
        assert not checkpoints(), "those of the finished search are no start"
        with pytest.raises(KeyboardInterrupt, match=r"the same command goes on from it$"):
            run()
    result = folder / "run/search/result.json"
    stamp = result.stat().st_mtime_ns
    run()
    assert result.stat().st_mtime_ns > stamp
    run()
    assert RunFolder(folder / "run").record("search") is not None


def stages(folder: Path, settings: str, until: str = "search") -> list[str]:
    experiment = load_experiment(read(Path(written(folder, settings))))
    run = Run(experiment, RunFolder(folder / "run"), Console())
    return [stage.name for stage in stages_of(run, until)]


def test_what_needs_a_measured_latency_is_profiled_and_nothing_else(folder: Path) -> None:
    (folder / "judge.py").write_text("def score(choices):\n    return 1\n")
    write_csv(folder / "plain.csv", [{k: row[k] for k in ("architecture", "score")} for row in rows()])
    function, table, plain = 'function("judge:score")', 'table("scores.csv")', 'table("plain.csv")'
    for evaluator, cap, profiles in (
        (function, "macs <= 1e6", False),
        (function, "latency <= 1 ms on host", True),
        (table, "latency <= 1 ms on host", False),
        (plain, "params <= 1e6", False),
        (plain, "latency <= 1 ms on host", True),
    ):
        there = stages(folder, f"evaluator = {evaluator}  strategy = random  {cap}")
        assert ("profile" in there) == profiles, (evaluator, cap)
    assert "profile" in stages(folder, f"evaluator = {table}  strategy = random", "build")


def test_where_nothing_is_measured_a_build_needs_no_profile_and_a_search_a_table(folder: Path) -> None:
    (folder / "judge.py").write_text("def score(choices):\n    return 1\n")
    search = 'evaluator = function("judge:score")  strategy = random'
    untuned = ("--set", "target.trials=0")
    file = written(folder, f"{search}  macs <= 1e6")
    experiment = load_experiment(read(Path(file)), overrides=["target.trials=0"])
    there = [
        stage.name for stage in stages_of(Run(experiment, RunFolder(folder / "run"), Console()), "build")
    ]
    assert there == ["search", "derive", "train", "export", "build"]
    for stage in ("profile", "tune", "bench", "run"):
        result = call(stage, file, *untuned)
        assert (result.exit_code, "`trials = 0` measures nothing on `host`" in result.output) == (2, True), (
            stage
        )
    result = call("search", written(folder, f"{search}  latency <= 1 ms on host"), *untuned)
    assert result.exit_code == 2
    assert "the search goes by its latency: give it a `latency_table`" in result.output


def test_a_known_target_is_priced_only_by_a_table_or_a_device(folder: Path) -> None:
    (folder / "judge.py").write_text("def score(choices):\n    return 1\n")
    search = 'evaluator = function("judge:score")  strategy = random'
    result = call("search", written(folder, f"{search}  latency <= 1 ms on raspberry_pi_5"))
    assert result.exit_code == 2
    assert "target `raspberry_pi_5` cannot be measured on this machine" in result.output


def test_a_gradient_needs_a_supernet(folder: Path) -> None:
    result = call("search", written(folder, 'evaluator = table("scores.csv")'))
    assert result.exit_code == 2
    assert "there is no gradient of a score" in " ".join(result.output.split())


# Tables

FORMS: dict[str, Callable[[Picks], Any]] = {
    "digits": lambda picks: "".join(map(str, picks)),
    "dashes": lambda picks: "-".join(map(str, picks)),
    "list": list,
    "choices": lambda picks: choices_of(DECISIONS, picks),
    "file": lambda picks: {"space": "tiny", "choices": choices_of(DECISIONS, picks)},
    "text": lambda picks: json.dumps({"choices": choices_of(DECISIONS, picks)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_architectures_may_be_written_in_several_forms(form: str, tmp_path: Path) -> None:
    table = [{"architecture": FORMS[form](picks), "score": score(picks)} for picks in ALL]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(table))
    read_back = read_score_table(path, DECISIONS)
    assert read_back.scores == {picks: score(picks) for picks in ALL}
    assert read_back.latencies_ms is None
    if isinstance(table[0]["architecture"], str):
        assert read_score_table(write_csv(tmp_path / "t.csv", table), DECISIONS).scores == read_back.scores


HEADER = "architecture,score,latency_ms\n"
WRONG: dict[str, tuple[str, bytes, str]] = {
    "empty": ("csv", b"", "has no rows"),
    "header alone": ("csv", HEADER.encode(), "has no rows"),
    "no architecture": (
        "csv",
        b"arch,score\n000,1\n",
        "line 2 has no `architecture`; there are `arch`, `score`",
    ),
    "no score": ("csv", b"architecture,acc\n000,1\n", "line 2 has no `score`; there are `acc`"),
    "again": ("csv", b'architecture,score\n000,1\n"0,0,0",2\n', "line 3 has the network 0,0,0 again"),
    "unknown": (
        "csv",
        b"architecture,score\n040,1\n",
        "line 2: '040' is no network of the space; give 3 numbers",
    ),
    "short": ("csv", b"architecture,score\n00,1\n", "'00' is no network of the space"),
    "nan": ("csv", b"architecture,score\n000,nan\n", "line 2: `score` is 'nan'; give a finite number"),
    "huge": ("csv", b"architecture,score\n000,1e999\n", "`score` is '1e999'"),
    "no number": ("csv", b"architecture,score\n000,\n", "`score` is ''"),
    "fields": ("csv", b"architecture,score\n000,1,2\n", "line 2 has not the 2 fields of the header"),
    "columns": ("csv", b"architecture,score,score\n000,1,2\n", "has two columns `score`"),
    "half": ("json", b'{"000": {"score": 1, "latency_ms": 1}, "001": {"score": 1}}', "in some rows alone"),
    "negative": ("csv", (HEADER + "000,1,-1\n").encode(), "`latency_ms` is -1"),
    "latin": ("csv", "architecture,score\n000,ü\n".encode("latin-1"), "is no UTF-8 text (byte 23)"),
    "zeros": ("csv", b"\0\0\0", "has no rows"),
    "no json": ("json", b"{", "is no table"),
    "number": ("json", b"3", "give a list of objects, or an object of objects"),
    "numbers": ("json", b"[3]", "row 1 is no object"),
    "object": ("json", b'{"000": 92.1}', "row 1 is no object"),
    "key again": ("json", b'{"000": {"score": 1}, "000": {"score": 2}}', "'000' stands twice"),
    "json nan": ("json", b'[{"architecture": [0, 0, 0], "score": NaN}]', "row 1: `score` is nan"),
    "true": ("json", b'[{"architecture": [0, 0, 0], "score": true}]', "`score` is True"),
    "halves": ("json", b'[{"architecture": [0.5, 0, 0], "score": 1}]', "is no network of the space"),
    "choice": ("json", b'[{"architecture": {"kernel": 3}, "score": 1}]', "row 1 has no choice for `"),
    "deep": ("json", b"[" * 100_000, "is no table"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_refused_in_words(name: str, folder: Path) -> None:
    suffix, content, message = WRONG[name]
    (folder / f"wrong.{suffix}").write_bytes(content)
    with pytest.raises(FileProblem) as caught:
        read_score_table(folder / f"wrong.{suffix}", DECISIONS)
    assert message in f"{caught.value}"
    file = written(folder, f'evaluator = table("wrong.{suffix}")  strategy = random')
    result = call("search", file)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert f"wrong.{suffix}" in result.output
    assert not (folder / "runs/tiny/search").exists()


def test_a_table_that_is_not_there_or_lacks_a_named_column(folder: Path) -> None:
    result = call("search", written(folder, 'evaluator = table("none.csv")  strategy = random'))
    assert result.exit_code == 2
    assert "No such file" in result.output
    with pytest.raises(
        FileProblem, match="no `ms`; there are `score`, `latency_ms`: name the column of the lat"
    ):
        read_score_table(folder / "scores.csv", DECISIONS, latency="ms")


def test_part_of_a_space_can_be_searched(tmp_path: Path) -> None:
    there = [ALL[1], ALL[4], ALL[9]]
    table = read_score_table(write_csv(tmp_path / "t.csv", rows(there)), DECISIONS)
    strategies: tuple[Strategy, ...] = (Random(20), Evolution(4, 5), Reinforce(networks=20))
    for number, strategy in enumerate(strategies):
        result = search(problem(), table, SearchOptions(strategy), tmp_path / str(number))
        assert result.picks == max(there, key=score)
        judged = [event for event in read_events(result.log) if event["event"] == "evaluation"]
        assert {tuple(event["picks"]) for event in judged} <= set(there)
        assert len(judged) <= 3
    with pytest.raises(SearchProblem, match="the table has no score of 0,0,0"):
        table.score_of(ALL[0])


# Functions

GOOD = """
import helper_of_judge
def score(choices):
    import helper_of_judge
    return helper_of_judge.total(choices)
"""


def test_a_function_judges_from_the_command_line(folder: Path) -> None:
    (folder / "judge.py").write_text(GOOD)
    (folder / "helper_of_judge.py").write_text("def total(choices):\n    return len(str(choices))\n")
    file = written(folder, 'evaluator = function("judge:score")  strategy = random(samples = 60)')
    result = call("search", file, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["score"] == max(len(str(choices_of(DECISIONS, picks))) for picks in ALL)
    (folder / "judge.py").write_text("def score(choices):\n    return 7\n")
    assert call("search", file).exit_code == 0
    assert found(folder)["score"] == 7.0


BROKEN = {
    "return 1 / 0": "`judge:score` failed with ZeroDivisionError: division by zero for {",
    "raise SystemExit(3)": "failed with SystemExit: 3",
    "return float('nan')": "gave nan for {",
    "return None": "gave None for {",
    "return '1.5'": "gave '1.5' for {",
    "return True": "gave True for {",
    "return [1]": "gave [1] for {",
    "return 10 ** 400": "gave 1000000",
}


@pytest.mark.parametrize("body", BROKEN)
def test_a_function_that_fails_is_told_with_its_network(body: str, folder: Path) -> None:
    (folder / "judge.py").write_text(f"def score(choices):\n    {body}\n")
    file = written(folder, 'evaluator = function("judge:score")  strategy = random')
    result = call("search", file)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "".join(BROKEN[body].split()) in "".join(result.output.split())


@pytest.mark.parametrize(
    ("entry", "message"),
    [("none:score", "there is no module `none`"), ("judge:none", "`none` of `judge:none` is not there")],
)
def test_a_function_that_is_not_there(entry: str, message: str, folder: Path) -> None:
    (folder / "judge.py").write_text("")
    with pytest.raises(SearchProblem, match=message):
        load_function(entry, folder, DECISIONS)
    file = written(folder, f'evaluator = function("{entry}")  strategy = random')
    assert call("search", file).exit_code == 2
    assert call("check", written(folder, 'evaluator = function("judge")  strategy = random')).exit_code == 2


@pytest.mark.parametrize("strategy", [Random(12), Evolution(4, 3), Reinforce(samples=4, networks=12)])
def test_a_search_that_was_interrupted_judges_nothing_twice(strategy: Strategy, tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []
    fails_at = [5]

    def judge(choices: Any) -> float:
        if len(calls) in fails_at:
            fails_at.clear()
            raise RuntimeError("no connection")
        calls.append(dict(choices))
        return float(len(str(choices)))

    options = SearchOptions(strategy, save_every_s=0.0, seed=2)
    evaluator = FunctionOfChoices(judge, DECISIONS, "judge")
    with pytest.raises(SearchProblem, match="no connection"):
        search(problem(), evaluator, options, tmp_path / "a")
    result = search(problem(), evaluator, options, tmp_path / "a")
    assert len({str(each) for each in calls}) == len(calls)
    whole = search(problem(), evaluator, options, tmp_path / "b")
    assert (result.best, result.probabilities) == (whole.best, whole.probabilities)


def test_a_function_has_no_gradient(tmp_path: Path) -> None:
    evaluator = FunctionOfChoices(lambda choices: 1.0, DECISIONS, "one")
    with pytest.raises(SearchProblem, match="no gradient of a score"):
        search(problem(), evaluator, SearchOptions(Gradient()), tmp_path)


def test_nas_bench_macro_is_searched_as_it_was_published(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = shared_data / "nas_bench_macro/nas-bench-macro_cifar10.json"
    search_text = (
        f'search nas_bench_macro {{ evaluator = table("{path}", score = "mean_acc")  strategy = reinforce }}'
    )
    macro = (ROOT / "examples/nas_bench_macro.space").read_text()
    (tmp_path / "macro.space").write_text(f"{macro}\n{search_text}\n")
    result = call("search", "macro.space", "--format", "json")
    assert result.exit_code == 0, result.output
    best = max(row["mean_acc"] for row in json.loads(path.read_text()).values())
    assert best - json.loads(result.stdout)["score"] <= 0.1

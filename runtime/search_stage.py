"""The search stage of a run: from the settings of a file to a search, and from its result to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.architecture import Architecture, completed, only, to_json, validate
from compiler.ir.text import print_space
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of, path_decisions
from dsl.settings import Adaptive, FunctionEvaluator, SupernetEvaluator, TableEvaluator
from runtime.architecture_file import read_architecture
from runtime.experiment import NoSuchPart
from runtime.files import write_atomic, write_json

if TYPE_CHECKING:
    from compiler.ir.expression import Literal
    from compiler.ir.graph import Limit
    from compiler.path_decisions import LatencyCosts
    from dsl.settings import CapSetting, TargetSettings
    from runtime.data.dataset import Dataset
    from runtime.search.evaluators.evaluator import Evaluator
    from runtime.search.evaluators.table import Listed
    from runtime.search.options import SearchOptions, SearchResult
    from runtime.search.problem import Problem
    from runtime.stages import Run

ARCHITECTURE = "architecture.json"
SEARCH_RESULT = "search/result.json"
SCHEMA = "onepath.search/2"


def search_inputs(run: Run) -> Any:
    """What the architecture depends on."""
    if run.given is not None:
        return ["given", to_json(read_architecture(run.given))]
    search = run.experiment.search
    graph, settings = print_space(run.experiment.flat), plain(search) if search else None
    if search is None or not run.experiment.space.decisions:
        return [graph, settings]
    tables = [run.sha(run.prices_file(each)) for each in priced(run)]
    judge = run.data_identity if needs_supernet(run) else run.judge.digest
    return [graph, settings, tables, judge, version("torch")]


def plain(settings: Any) -> Any:
    """Settings as JSON can say them; where in the text they stand is no part of them."""
    if is_dataclass(settings) and not isinstance(settings, type):
        named = {f.name: plain(getattr(settings, f.name)) for f in fields(settings) if f.name != "span"}
        return {"": type(settings).__name__, **named}
    return [plain(each) for each in settings] if isinstance(settings, tuple) else settings


def search_stage(run: Run) -> tuple[str, ...]:
    """The architecture: the one given, the only one of the space, or the one that the search finds."""
    if run.given is not None:
        return _write_architecture(run, validate(run.experiment.space, read_architecture(run.given)))
    if not run.experiment.space.decisions:
        return _write_architecture(run, only(run.experiment.space))
    return _searched(run)


def search_options_of(run: Run) -> SearchOptions:
    """How the file wants the space searched.

    Raises:
        NoSuchPart: it does not say.
        SearchProblem: it asks for what its strategy cannot do.
    """
    from runtime.options import search_options

    name, settings = run.experiment.space.name, run.experiment.search
    if settings is None:
        way_out = f"write `search {name} {{ … }}`, or give `--arch`"
        raise NoSuchPart(f"nothing says how to search `{name}`: {way_out}")
    return search_options(settings)


def problem_of_run(run: Run) -> Problem:
    """The space with its prices and caps.

    Raises:
        SearchProblem: a cap on the latency of a target without prices.
        TableProblem, FileProblem: a table is damaged, or lacks kernels of the space.
    """
    from runtime.search.problem import problem_of

    search, target = run.experiment.search, run.experiment.target.name
    caps, listed = search.caps if search else (), listed_latencies(run)
    listed_ms = {} if listed is None else {target: listed}
    return problem_of(run.experiment.flat, _latencies(run), caps, target, listed_ms)


def _latencies(run: Run) -> Mapping[str, LatencyCosts]:
    """The prices of every target that the search has to do with, and that has a table."""
    from compiler.predict import candidate_costs

    there = [each for each in priced(run) if (run.folder / run.prices_file(each)).is_file()]
    return {each.name: candidate_costs(run.prices(each), run.experiment.flat) for each in there}


def check_sizes(run: Run) -> None:
    """Whether some network holds the caps that need no latency: told before anything is measured.

    Raises:
        InfeasibleCap: none does.
    """
    from runtime.search.problem import problem_of

    search = run.experiment.search
    caps = [cap for cap in (search.caps if search else ()) if cap.metric != "latency"]
    problem_of(run.experiment.flat, {}, caps).check_feasible()


def needs_supernet(run: Run) -> bool:
    """Whether the search judges by a supernet, which needs data."""
    search = run.experiment.search
    return search is None or isinstance(search.evaluator, SupernetEvaluator)


def priced(run: Run) -> list[TargetSettings]:
    """The targets whose latencies the search takes from latency tables.

    With a supernet, all of the run, unless its limits are on sizes alone. Where a table of scores or a function judges,
    those alone whose latencies have a limit that the table of scores does not answer. In any case those whose tables
    are there without profiling.
    """
    search, host = run.experiment.search, run.experiment.target.name
    limits: list[CapSetting | Limit] = [*(search.caps if search else ()), *run.experiment.flat.limits]
    limited = {each.target or host for each in limits if each.metric == "latency"}
    by_latency = limited or not limits or (search and not isinstance(search.penalty, Adaptive))
    if needs_supernet(run) and by_latency:
        return list(run.targets)
    listed = set() if listed_latencies(run) is None else {host}
    return [
        each
        for each in run.targets
        if each.name not in listed and (each.name in limited or each.latency_table is not None)
    ]


def judge_of(run: Run) -> Dataset | Evaluator:
    """What judges the networks: the data set for a supernet, a table of scores, or a function. Files are looked for
    in the folder of the `.space` file.

    Raises:
        DataProblem, FileProblem, SearchProblem: it cannot be had.
    """
    search = run.experiment.search
    chosen = search.evaluator if search else SupernetEvaluator()
    if isinstance(chosen, SupernetEvaluator):
        return run.data
    decisions, folder = path_decisions(run.experiment.flat.graph), run.experiment.folder
    if isinstance(chosen, FunctionEvaluator):
        from runtime.search.evaluators.function import load_function

        return load_function(chosen.entry, folder, decisions)
    from runtime.search.evaluators.table import read_score_table

    return read_score_table(folder / Path(chosen.path).expanduser(), decisions, chosen.score, chosen.latency)


def listed_latencies(run: Run) -> Listed | None:
    """The latencies on the run's target that the table of scores has; None where it has none, or none judges."""
    search = run.experiment.search
    if search is None or not isinstance(search.evaluator, TableEvaluator):
        return None
    from runtime.search.evaluators.table import TableOfScores

    return run.judge.latencies_ms if isinstance(run.judge, TableOfScores) else None


def listed_latency_ms(run: Run, choices: Mapping[str, Literal]) -> float | None:
    """What the table of scores says that a network takes on the run's target; None where it says nothing."""
    listed = listed_latencies(run)
    if listed is None:
        return None
    from runtime.search.evaluators.table_rows import picks_of_choices

    picks, _ = picks_of_choices(choices, path_decisions(run.experiment.flat.graph))
    return listed.values.get(picks)


def follow_search(run: Run) -> None:
    """What other processes than the first do of the stage: steps of a supernet, where one is searched."""
    if run.given is None and run.experiment.space.decisions and needs_supernet(run):
        _search(run)


def _search(run: Run) -> tuple[Problem, SearchResult]:
    from runtime.search.search import search

    options, problem = search_options_of(run), problem_of_run(run)
    folder = run.folder / "search"
    return problem, search(problem, run.judge, options, folder, run.resume, run.searching, run.ranks)


def _searched(run: Run) -> tuple[str, ...]:
    problem, result = _search(run)
    write_json(run.folder / SEARCH_RESULT, _summary(run, problem, result), SCHEMA)
    written = _write_architecture(run, completed(run.experiment.space, result.choices))
    weights = () if result.parameters is None else (f"search/{result.parameters.name}",)
    return (
        *written,
        SEARCH_RESULT,
        f"search/{result.log.name}",
        *weights,
        *_write_front(run, problem, result),
    )


def _summary(run: Run, problem: Problem, result: SearchResult) -> dict[str, Any]:
    latency = f"latency on {run.experiment.target.name}"
    caps = [cap for cap in result.caps if cap.name == latency and cap.relation == "<="]
    metric = listed_latencies(run) or problem.additive.get(latency)
    return {
        "picks": list(result.picks),
        "score": result.best.score,
        "feasible": result.best.feasible,
        "costs": dict(result.best.costs),
        "expected": dict(result.expected),
        "argmax": dict(result.argmax),
        "caps": [{"cap": f"{cap}", "metric": cap.name, "limit": cap.limit} for cap in result.caps],
        "latency_ms": result.best.costs.get(latency),
        "cap_ms": min((cap.limit for cap in caps), default=None),
        "minimum_ms": None if metric is None else metric.total(metric.least),
        "accuracy_validation": None if result.validation is None else result.validation.accuracy,
        "steps": result.steps,
        "probabilities": {name: dict(row) for name, row in result.probabilities.items()},
        "front": [
            {"architecture": _front_file(number), "score": each.score, "costs": dict(each.costs)}
            for number, each in enumerate(result.front, 1)
        ],
    }


def _front_file(number: int) -> str:
    return f"search/front/{number}.json"


def _write_front(run: Run, problem: Problem, result: SearchResult) -> tuple[str, ...]:
    """The architecture of each network along the front, the cheapest first: `--arch` takes them."""
    for number, each in enumerate(result.front, 1):
        write_atomic(run.folder / _front_file(number), _text(run, problem, each.picks))
    return tuple(_front_file(number) for number in range(1, len(result.front) + 1))


def _text(run: Run, problem: Problem, picks: Picks) -> str:
    space = run.experiment.space
    checked = validate(space, completed(space, choices_of(problem.decisions, picks)))
    return json.dumps(to_json(checked), indent=2) + "\n"


def _write_architecture(run: Run, architecture: Architecture) -> tuple[str, ...]:
    checked = validate(run.experiment.space, architecture)
    write_atomic(run.folder / ARCHITECTURE, json.dumps(to_json(checked), indent=2) + "\n")
    return (ARCHITECTURE,)

"""Finals: networks trained from new weights at the end of a search, the best of which is the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.derive import derive  # noqa: E402
from compiler.nets.architecture_parameters import ArchitectureParameters  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from compiler.nets.supernet import Paths, build_supernet  # noqa: E402
from compiler.path_decisions import choices_of  # noqa: E402
from dsl.settings import (  # noqa: E402
    CapSetting,
    Evolution,
    FromScratch,
    Gradient,
    Progressive,
    Reinforce,
    Strategy,
)
from runtime.data.dataset import Dataset, Split  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.evaluate.accuracy import Score  # noqa: E402
from runtime.events import EventLog, read_events  # noqa: E402
from runtime.loss import loss_of  # noqa: E402
from runtime.optimiser import Optimiser  # noqa: E402
from runtime.search.evaluators.supernet import PathTrainer  # noqa: E402
from runtime.search.finals import Finals  # noqa: E402
from runtime.search.finals import finalists as finalists_of  # noqa: E402
from runtime.search.options import SearchOptions, SearchProblem, SearchProgress, check_options  # noqa: E402
from runtime.search.plan import make_plan  # noqa: E402
from runtime.search.problem import Problem, problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

FINALS = FromScratch(4, 0.3)
OPTIONS = SearchOptions(Gradient(every=2), epochs=1, warmup=1, batch=64, seed=1, finals=FINALS)
STRATEGIES: dict[str, Strategy] = {"gradient": OPTIONS.strategy, "reinforce": Reinforce(samples=3, every=2)}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"), seed=1)


def problem(limit: float | None = None) -> Problem:
    caps = [] if limit is None else [CapSetting("macs", "<=", limit, None)]
    return problem_of(tiny_space(), {}, caps)


def events(folder: Path) -> list[dict[str, Any]]:
    found = list(read_events(folder / "search.jsonl"))
    for event in found:
        del event["wall_s"]
    return found


def finalists(folder: Path) -> list[dict[str, Any]]:
    return [event for event in events(folder) if event["event"] == "finalist"]


def stopping_at(step: int) -> Callable[[SearchProgress], None]:
    def progress(now: SearchProgress) -> None:
        if now.step == step:
            raise KeyboardInterrupt

    return progress


def test_the_best_finalist_is_the_result(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[int, ...]] = []

    def judge(self: PathTrainer, paths: Paths, split: Split | None = None) -> Score:
        judged.append(tuple(paths))
        return Score(0.9 if len(judged) == 3 else 0.2, 1.0, 300)

    monkeypatch.setattr(PathTrainer, "judge", judge)
    told: list[SearchProgress] = []
    found = search(problem(), digits, OPTIONS, tmp_path, progress=told.append)
    assert len(set(judged[:4])) == 4
    assert (found.picks, found.best.score) == (judged[2], 0.9)
    assert [tuple(event["picks"]) for event in finalists(tmp_path)] == judged[:4]
    assert [event["best"] for event in finalists(tmp_path)] == [0.2, 0.2, 0.9, 0.9]
    assert told[-1].phase == "finals"
    assert told[-1].step == told[-1].steps == found.steps


@pytest.mark.parametrize("superkernels", [False, True])
def test_a_finalist_is_trained_as_the_network_alone(
    superkernels: bool, digits: Dataset, tmp_path: Path
) -> None:
    picks, steps, first = (1, 0, 1), 5, 40
    options = replace(OPTIONS, superkernels=superkernels, recalibration_batches=2)
    supernet = build_supernet(tiny_space(), 1, superkernels)
    shared = {key: tensor.clone() for key, tensor in supernet.state_dict().items()}
    network = build_network(derive(tiny_space(), choices_of(problem().decisions, picks)), options.seed)

    trainer = PathTrainer(supernet, digits, options)
    finals = Finals(problem(), trainer, steps, first)
    finals.finalists = [picks]
    optimiser = Optimiser(options.optimiser)
    with EventLog(tmp_path / "log") as log:
        for step in range(steps):
            before = dict(network.state_dict())
            own = supernet.network_tensors(picks) if step else before
            for key, tensor in own.items():
                torch.testing.assert_close(tensor, before[key])
            images, labels = trainer.batches[first + step]
            loss = loss_of(network.train()(images), labels, options.label_smoothing)
            rate = options.schedule.rate(options.optimiser.lr, step, steps)
            optimiser.descend(loss, dict(network.named_parameters()), rate)
            finals.step(step, log)
    assert finals.winner() == (picks, finals.scores[0])
    after = supernet.state_dict()
    names = set(supernet.network_tensors(picks))
    assert names == set(network.state_dict())
    assert all(torch.equal(after[key], shared[key]) for key in shared)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("superkernels", [False, True])
def test_finals_that_are_interrupted_go_on(
    superkernels: bool, name: str, digits: Dataset, tmp_path: Path
) -> None:
    options = replace(
        OPTIONS,
        strategy=STRATEGIES[name],
        superkernels=superkernels,
        save_every_s=0.0,
        recalibration_batches=2,
    )
    whole = search(problem(9e4), digits, options, tmp_path / "whole")
    plan = events(tmp_path / "whole")[0]
    weights, each = plan["weight_steps"], plan["final_steps"]
    for step in (weights, weights + 1, weights + each, weights + each + 2, plan["steps"]):
        with pytest.raises(KeyboardInterrupt):
            search(problem(9e4), digits, options, tmp_path / "parts", progress=stopping_at(step))
    parts = search(problem(9e4), digits, options, tmp_path / "parts")
    assert replace(parts, log=whole.log, parameters=whole.parameters) == whole
    assert events(tmp_path / "parts") == events(tmp_path / "whole")
    assert parts.parameters is not None
    assert whole.parameters is not None
    assert parts.parameters.read_bytes() == whole.parameters.read_bytes()
    assert all(
        problem(9e4).metrics["macs"].total(event["picks"]) <= 9e4 for event in finalists(tmp_path / "parts")
    )


def test_the_search_before_is_as_without_finals(digits: Dataset, tmp_path: Path) -> None:
    with_finals = search(problem(), digits, OPTIONS, tmp_path / "with")
    without = search(problem(), digits, replace(OPTIONS, finals=None), tmp_path / "without")
    assert with_finals.probabilities == without.probabilities
    assert with_finals.argmax == without.argmax


def test_a_space_with_fewer_networks_than_finalists(digits: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, finals=FromScratch(30, 0.05), recalibration_batches=2)
    found = search(problem(), digits, options, tmp_path)
    picks = {tuple(event["picks"]) for event in finalists(tmp_path)}
    total = 1
    for size in problem().candidates:
        total *= size
    assert len(picks) == len(finalists(tmp_path)) <= total < 30
    assert found.picks in picks


def test_a_decided_distribution_leaves_no_finalist_out() -> None:
    alphas = ArchitectureParameters(problem().candidates, 0)
    with torch.no_grad():
        alphas.alpha.zero_()
        for first in (0, 3, 5):
            alphas.alpha[first] = 50.0
    for count in (2, 4, 8):
        found = finalists_of(problem(), alphas, (0, 0, 0), count, "finalist", 0)
        assert len(set(found)) == count
        assert found[0] == (0, 0, 0)


def test_a_budget_shortens_finals_alike() -> None:
    options = SearchOptions(epochs=6, warmup=3, finals=FromScratch(8, 1.0))
    whole = make_plan(options, Gradient(every=5), 100)
    assert (whole.weight_steps, whole.finalists, whole.final_steps, whole.steps) == (900, 8, 100, 1700)
    short = make_plan(replace(options, budget_s=60.0), Gradient(every=5), 100, 0.1, 0.4)
    spent = short.steps * 0.1 + short.architecture_steps * 0.4
    assert 45 < spent < 60
    assert short.final_steps / short.weight_steps == pytest.approx(1 / 9, rel=0.05)


@pytest.mark.parametrize(
    ("options", "supernet", "message"),
    [
        (SearchOptions(Evolution(), finals=FINALS), True, "finals need binary gates"),
        (SearchOptions(Reinforce(), finals=FINALS), False, "finals need binary gates"),
        (SearchOptions(Reinforce(), superkernels=True), False, "superkernels are a supernet's"),
        (SearchOptions(finals=FINALS, prune=Progressive()), True, "pruning leaves one network"),
        (SearchOptions(finals=FINALS, front=3), True, "finals leave one network, and no front"),
    ],
)
def test_what_does_not_go_together_is_told(options: SearchOptions, supernet: bool, message: str) -> None:
    with pytest.raises(SearchProblem, match=message):
        check_options(options, supernet)

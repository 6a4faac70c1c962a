"""Finals: networks trained from new weights at the end of a search, the best of which is the result."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.derive import derive  # noqa: E402
from compiler.frontend import space_of  # noqa: E402
from compiler.nets.architecture_parameters import ArchitectureParameters  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from compiler.nets.supernet import Paths, build_supernet  # noqa: E402
from compiler.passes.flatten import flatten  # noqa: E402
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
from dsl.source import Source  # noqa: E402
from runtime.data.dataset import Dataset, Split  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.evaluate.accuracy import Score, score  # noqa: E402
from runtime.events import EventLog, read_events  # noqa: E402
from runtime.loss import loss_of  # noqa: E402
from runtime.optimiser import Optimiser  # noqa: E402
from runtime.search.evaluators.supernet import Diverged, PathTrainer  # noqa: E402
from runtime.search.finals import TRIES, Finals, available  # noqa: E402
from runtime.search.finals import finalists as finalists_of  # noqa: E402
from runtime.search.options import SearchOptions, SearchProblem, SearchProgress, check_options  # noqa: E402
from runtime.search.plan import Measured, make_plan  # noqa: E402
from runtime.search.problem import Problem, problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from runtime.search.strategies.gradient import GradientSearch  # noqa: E402
from runtime.train import read_weights  # noqa: E402
from tests.small_spaces import stacked_space, tiny_space  # noqa: E402

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
def test_finalists_are_trained_as_networks_alone(superkernels: bool, digits: Dataset, tmp_path: Path) -> None:
    """One after the other, with nothing of the shared weights, of their momenta, or of the one before."""
    finalists, steps, first = [(1, 0, 1), (1, 1, 0)], 5, 40
    options = replace(OPTIONS, superkernels=superkernels, recalibration_batches=2)
    supernet = build_supernet(tiny_space(), 1, superkernels)
    trainer = PathTrainer(supernet, digits, options)
    for index in range(3):
        trainer.weight_step(index, (0, 0, 0), 0.1)
    shared = {key: tensor.clone() for key, tensor in supernet.state_dict().items()}
    finals = Finals(problem(), trainer, steps, first)
    finals.finalists = finalists
    trained = []
    with EventLog(tmp_path / "log") as log:
        for place, picks in enumerate(finalists):
            network = build_network(
                derive(tiny_space(), choices_of(problem().decisions, picks)), options.seed
            )
            optimiser, losses = Optimiser(options.optimiser), []
            for step in range(steps):
                if step:
                    own = supernet.network_tensors(picks)
                    for key, tensor in network.state_dict().items():
                        torch.testing.assert_close(own[key], tensor)
                elif place:
                    assert all(map(torch.equal, supernet.state_dict().values(), shared.values()))
                images, labels = trainer.batches[first + step]
                loss = loss_of(network.train()(images), labels, options.label_smoothing)
                rate = options.schedule.rate(options.optimiser.lr, step, steps)
                optimiser.descend(loss, dict(network.named_parameters()), rate)
                losses.append(float(loss.detach()))
                finals.step(place * steps + step, log)
            trained.append((network.state_dict(), sum(losses) / steps))
    logged = list(read_events(tmp_path / "log"))
    assert [event["loss"] for event in logged] == pytest.approx([loss for _, loss in trained], rel=1e-5)
    assert [event["accuracy"] for event in logged] == finals.scores
    winner = finals.winner()
    assert winner is not None
    own = supernet.network_tensors(winner[0])
    for key, tensor in trained[finalists.index(winner[0])][0].items():
        if not key.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(own[key], tensor)
    assert trainer.judge(winner[0]).accuracy == winner[1] == max(each for each in finals.scores if each)


def test_what_is_told_of_the_network_is_its_own(digits: Dataset, tmp_path: Path) -> None:
    found = search(problem(), digits, replace(OPTIONS, recalibration_batches=2), tmp_path)
    assert found.validation is not None
    assert (
        found.validation.accuracy == found.best.score == max(each["accuracy"] for each in finalists(tmp_path))
    )
    assert events(tmp_path)[-1]["accuracy"] == found.best.score
    assert found.parameters is not None
    network = build_network(derive(tiny_space(), dict(found.choices)))
    network.load_state_dict(read_weights(found.parameters))
    validation = digits.validation
    again = score(network.eval(), validation, digits.preprocessing)
    assert again.accuracy == pytest.approx(found.best.score, abs=1 / len(validation))


@pytest.mark.parametrize("lost", [{1}, {0, 3}, {0, 1, 2, 3}])
def test_a_finalist_that_diverges_is_given_up(
    lost: set[int], digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its third step, with weights that are no numbers; the others are what they are without it."""
    options = replace(OPTIONS, superkernels=True, recalibration_batches=2, save_every_s=0.0)
    search(problem(), digits, options, tmp_path / "sound")
    plan, sound = events(tmp_path / "sound")[0], finalists(tmp_path / "sound")
    begin, each, step = plan["weight_steps"], plan["final_steps"], PathTrainer.weight_step
    assert each > 3

    def diverging(self: PathTrainer, index: int, paths: Paths, lr: float) -> None:
        step(self, index, paths, lr)
        picks = [tuple(event["picks"]) for event in sound]
        if index == begin + 2 and tuple(paths) in picks and picks.index(tuple(paths)) in lost:
            for tensor in self.supernet.path_parameters(paths).values():
                tensor.data.fill_(float("nan"))
            raise Diverged(float("nan"), index, lr)

    monkeypatch.setattr(PathTrainer, "weight_step", diverging)
    if len(lost) == len(sound):
        for _ in range(2):
            with pytest.raises(SearchProblem, match="every finalist became infinite; lower"):
                search(problem(), digits, options, tmp_path / "lost")
        return
    with pytest.raises(KeyboardInterrupt):
        search(problem(), digits, options, tmp_path / "lost", progress=stopping_at(begin + each + 1))
    found = search(problem(), digits, options, tmp_path / "lost")
    told = finalists(tmp_path / "lost")
    assert [event["accuracy"] for event in told] == [
        None if place in lost else event["accuracy"] for place, event in enumerate(sound)
    ]
    assert [event["loss"] is None for event in told] == [place in lost for place in range(4)]
    assert found.best.score == max(event["accuracy"] for event in told if event["accuracy"] is not None)
    assert found.validation is not None
    assert found.validation.accuracy == found.best.score


def test_finalists_whose_last_update_ruins_them_are_given_up(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No loss of a step tells it: that on validation images does."""
    options, step = replace(OPTIONS, recalibration_batches=2), PathTrainer.weight_step
    search(problem(), digits, options, tmp_path / "sound")
    plan, sound = events(tmp_path / "sound")[0], finalists(tmp_path / "sound")
    last = plan["weight_steps"] + plan["final_steps"] - 1
    best = max(sound, key=lambda event: event["accuracy"])

    def ruining(self: PathTrainer, index: int, paths: Paths, lr: float) -> None:
        step(self, index, paths, lr)
        if index == last and list(paths) != sound[1]["picks"]:
            for tensor in self.supernet.path_parameters(paths).values():
                tensor.data.fill_(float("nan"))

    monkeypatch.setattr(PathTrainer, "weight_step", ruining)
    found = search(problem(), digits, options, tmp_path / "ruined")
    assert list(found.picks) == sound[1]["picks"]
    assert [event["accuracy"] is None for event in finalists(tmp_path / "ruined")] == [
        True,
        False,
        True,
        True,
    ]
    assert found.best.score <= best["accuracy"]


def test_a_search_that_ends_with_weights_that_are_no_numbers_is_refused(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PathTrainer, "judge", lambda self, paths, split=None: Score(0.1, float("nan"), 300))
    with pytest.raises(SearchProblem, match="is nan on validation images; lower the learning rate"):
        search(problem(), digits, replace(OPTIONS, finals=None), tmp_path)


def test_candidates_behind_a_branch_that_does_nothing(digits: Dataset, tmp_path: Path) -> None:
    text = """
    space it {
        input [1, 8, 8]
        output [10]
        conv(8, 3) -> bn -> residual { conv(8, 3) -> bn -> zero }
        -> choose { a: conv(8, 1) -> bn | b: conv(8, 3) -> bn } -> global_pool -> linear(10)
    }
    """
    flat = flatten(space_of(Source("it.space", text)))
    options = replace(OPTIONS, finals=FromScratch(2, 0.2), recalibration_batches=2)
    found = search(problem_of(flat, {}), digits, options, tmp_path)
    assert len(finalists(tmp_path)) == 2
    assert found.validation is not None
    assert found.validation.accuracy == found.best.score


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
    assert total - 2 <= len(picks) == len(finalists(tmp_path)) <= total < 30
    assert events(tmp_path)[0]["finalists"] == total
    assert found.picks in picks


def test_how_many_finalists_there_can_be() -> None:
    capped = problem(6e4)
    alive = [range(size) for size in capped.candidates]
    held = [picks for picks in itertools.product(*alive) if capped.metrics["macs"].total(picks) <= 6e4]
    assert 5 < len(held) < 18
    assert [available(capped, alive, wanted) for wanted in (5, 30)] == [5, len(held)]
    assert available(capped, [[0], [1], [2]], 8) == 1
    wide = problem_of(stacked_space([(8, 1)] * 5, (1, 8, 8), (8, 1)), {})
    assert available(wide, [range(size) for size in wide.candidates], 1000) == 1000


def test_drawing_ends_where_there_is_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(Problem, "random_network", lambda self, generator: drawn.append(1) or (2, 0, 2))
    capped = problem(2.4e4)
    alphas = ArchitectureParameters(capped.candidates, 0)
    assert finalists_of(capped, alphas, (2, 0, 2), 1000, "finalist", 0) == [(2, 0, 2)]
    assert 0 < len(drawn) <= 2 * TRIES


def test_finalists_are_by_turns_probable_and_uniform() -> None:
    """Of seven candidates two are probable: of the networks drawn by probability all have but these."""
    wide = problem_of(stacked_space([(8, 1)] * 4, (1, 8, 8), (8, 1)), {})
    alphas = ArchitectureParameters(wide.candidates, 0)
    with torch.no_grad():
        alphas.alpha.zero_()
        for decision in range(4):
            alphas.alpha[7 * decision : 7 * decision + 2] = 50.0
    found = finalists_of(wide, alphas, (0, 0, 0, 0), 9, "finalist", 0)
    assert [max(picks) < 2 for picks in found] == [True, *[True, False] * 4]
    assert found != finalists_of(wide, alphas, (0, 0, 0, 0), 9, "another strategy's", 0)


def test_the_first_finalist_is_the_most_probable_network_under_the_caps(
    digits: Dataset, tmp_path: Path
) -> None:
    capped, strategy = problem(6e4), Gradient(every=2)
    trainer = PathTrainer(build_supernet(tiny_space(), 1), digits, OPTIONS)
    stage = GradientSearch(capped, trainer, strategy)
    with torch.no_grad():
        stage.alphas.alpha[:] = torch.tensor([1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 1.0, 0.5])
    stage.follow(stage.plan())
    with EventLog(tmp_path / "log") as log:
        stage.step(stage.schedule.weight_steps, log)
    best = capped.caps.best(stage.alphas.log_probabilities(), stage.alphas.alive)
    assert stage.finals.finalists[0] == best
    assert capped.caps.broken(stage.likeliest())
    assert not any(map(capped.caps.broken, stage.finals.finalists))


@pytest.mark.parametrize("change", [{"superkernels": True}, {"finals": FromScratch(2, 0.3)}])
def test_a_search_with_other_settings_is_begun_anew(
    change: dict[str, Any], digits: Dataset, tmp_path: Path
) -> None:
    options = replace(OPTIONS, recalibration_batches=2)
    before = search(problem(), digits, options, tmp_path / "again")
    again = search(problem(), digits, replace(options, **change), tmp_path / "again")
    anew = search(problem(), digits, replace(options, **change), tmp_path / "anew")
    assert events(tmp_path / "again") == events(tmp_path / "anew")
    assert again.validation == anew.validation
    assert before != again


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


@pytest.mark.parametrize(
    ("budget_s", "weights", "each"),
    [
        pytest.param(1e4, 900, 100, id="all fits"),
        pytest.param(300, 900, 100, id="just"),
        pytest.param(230, 694, 100, id="the supernet is shortened"),
        pytest.param(100, 287, 35, id="both are, finals to a half"),
    ],
)
def test_a_budget_is_divided_between_the_supernet_and_the_finals(
    budget_s: float, weights: int, each: int
) -> None:
    """900 steps of 0.1 s with 120 of 0.4 s between them, and 8 finalists of 100 steps and 2 s."""
    options = SearchOptions(epochs=6, warmup=3, finals=FromScratch(8, 1.0), budget_s=budget_s)
    plan = make_plan(options, Gradient(every=5), 100, Measured(0.1, 0.4, 2.0), 8)
    assert (plan.weight_steps, plan.final_steps) == (pytest.approx(weights, abs=2), each)
    assert plan.warmup == pytest.approx(weights / 3, abs=1)
    spent = plan.steps * 0.1 + plan.architecture_steps * 0.4 + 8 * 2.0
    assert spent <= 0.9 * budget_s


def test_finals_have_what_the_supernet_leaves_and_a_step_at_least() -> None:
    options = SearchOptions(epochs=1, warmup=0, finals=FromScratch(8, 1.0), budget_s=100)
    plan = make_plan(options, Gradient(every=5), 100, Measured(0.1, 0.4, 2.0), 8)
    assert (plan.weight_steps, plan.final_steps) == (100, 67)
    with pytest.raises(SearchProblem, match=r"8 finalists take 16\.8 s, and the budget leaves them 8\.8 s"):
        make_plan(
            replace(options, epochs=9, budget_s=20.0), Gradient(every=5), 100, Measured(0.1, 0.4, 2.0), 8
        )
    whole = make_plan(
        replace(options, epochs=6, warmup=3, budget_s=None), Gradient(every=5), 100, finalists=8
    )
    assert (whole.weight_steps, whole.finalists, whole.final_steps, whole.steps) == (900, 8, 100, 1700)


@pytest.mark.parametrize("finals", [None, FINALS])
def test_a_budget_that_suffices_changes_nothing(
    finals: FromScratch | None, digits: Dataset, tmp_path: Path
) -> None:
    """The steps that it is measured by are undone."""
    options = replace(OPTIONS, finals=finals, recalibration_batches=2)
    found = search(problem(), digits, options, tmp_path / "free")
    within = search(problem(), digits, replace(options, budget_s=60.0), tmp_path / "within")
    assert replace(within, log=found.log, parameters=found.parameters) == found
    assert events(tmp_path / "within")[1:] == events(tmp_path / "free")[1:]
    assert (events(tmp_path / "within")[0]["evaluation_s"] > 0) == (finals is not None)


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

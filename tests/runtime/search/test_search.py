"""A search ends under its cap, and a killed one goes on as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.ir.graph import SpaceGraph  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from compiler.path_decisions import LatencyCosts  # noqa: E402
from dsl.settings import (  # noqa: E402
    CapSetting,
    Evolution,
    Gradient,
    Progressive,
    Random,
    Reinforce,
    Strategy,
)
from runtime.checkpoint import load_checkpoint  # noqa: E402
from runtime.data.dataset import Dataset  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.events import read_events  # noqa: E402
from runtime.search.options import Found, InfeasibleCap, SearchOptions, SearchProblem  # noqa: E402
from runtime.search.problem import Problem, problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from runtime.search.strategies.gradient import GradientSearch  # noqa: E402
from runtime.train import read_weights  # noqa: E402
from tests.small_spaces import blocked_space, derived, stacked_space, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

COSTS = LatencyCosts(
    0.5, {"layer1.path": (1.0, 2.0, 0.0), "layer2.path": (1.0, 1.5), "layer3.path": (0.5, 1.0, 0.0)}
)
GRADIENT = Gradient(every=2)
OPTIONS = SearchOptions(GRADIENT, epochs=3, warmup=1, batch=64, seed=1, recalibration_batches=2)


def problem(
    cap_ms: float | None = 2.0, space: SpaceGraph | None = None, costs: LatencyCosts | None = COSTS
) -> Problem:
    caps = [] if cap_ms is None else [CapSetting("latency", "<=", cap_ms, None)]
    priced = {} if costs is None else {"host": costs}
    return problem_of(space or tiny_space(), priced, caps, "host")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"), seed=1)


def events(folder: Path) -> list[dict[str, Any]]:
    found = list(read_events(folder / "search.jsonl"))
    for event in found:
        del event["wall_s"]
    return found


class Killed(Exception):
    pass


def killer(step: int) -> Any:
    def progress(now: Any) -> None:
        if now.step == step:
            raise Killed

    return progress


def outcome(folder: Path, result: Any) -> tuple[Any, ...]:
    weights = {name: tensor.numpy().tobytes() for name, tensor in read_weights(result.parameters).items()}
    return replace(result, parameters=Path(), log=Path()), weights, events(folder)


@pytest.fixture(scope="module")
def undisturbed(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return outcome(folder, search(problem(), digits, OPTIONS, folder))


def test_result_is_a_network_under_the_cap(undisturbed: tuple[Any, ...]) -> None:
    result, weights, logged = undisturbed
    assert result.best.feasible
    assert result.best.costs["latency on host"] <= 2.0
    network = derived(tiny_space(), result.picks)
    assert dict(network.choices) == result.choices
    assert set(build_network(network).state_dict()) == set(weights)
    kinds = [event["event"] for event in logged]
    assert kinds[0] == "plan"
    assert kinds[-1] == "result"
    assert {"epoch", "architecture", "probabilities"} <= set(kinds)
    assert all(abs(sum(shares.values()) - 1) < 1e-9 for shares in result.probabilities.values())


@pytest.mark.parametrize("step", [1, 17, 40, 64])
def test_interrupted_and_resumed_is_identical(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], step: int
) -> None:
    options = replace(OPTIONS, save_every_s=0.05)
    for at in (step, step + 3):
        with pytest.raises(Killed):
            search(problem(), digits, options, tmp_path, progress=killer(at))
    assert outcome(tmp_path, search(problem(), digits, options, tmp_path)) == undisturbed
    assert outcome(tmp_path, search(problem(), digits, options, tmp_path)) == undisturbed


RUN = """
from tests.runtime.search.test_search import *
digits = load(DataSource("digits"), seed=1)
torch.set_num_threads({threads})
search(problem(), digits, replace(OPTIONS, save_every_s=0.0), Path({folder!r}))
"""


def test_killed_and_resumed_is_identical(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...]
) -> None:
    command = RUN.format(folder=str(tmp_path), threads=torch.get_num_threads())
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", command], cwd=root, env={**os.environ, "PYTHONPATH": "."}
    )
    checkpoints, deadline = tmp_path / "search_checkpoints", time.monotonic() + 60
    while len(list(checkpoints.glob("*-*0[1-9].safetensors"))) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.random() * 0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = search(problem(), digits, OPTIONS, tmp_path)
    assert outcome(tmp_path, result) == undisturbed


def test_damaged_checkpoint_is_passed_over(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(Killed):
        search(problem(), digits, options, tmp_path, progress=killer(20))
    *_, newest = sorted((tmp_path / "search_checkpoints").iterdir())
    content = bytearray(newest.read_bytes())
    content[-100] ^= 1
    newest.write_bytes(bytes(content))
    assert outcome(tmp_path, search(problem(), digits, options, tmp_path)) == undisturbed
    assert "checksum fails" in capsys.readouterr().err


def test_a_search_of_other_settings_is_begun_anew(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        search(problem(), digits, replace(OPTIONS, seed=2), tmp_path, progress=killer(3))
    assert outcome(tmp_path, search(problem(), digits, OPTIONS, tmp_path)) == undisturbed
    said = f"{tmp_path} holds a search of another space, data or settings: starting anew"
    assert said in capsys.readouterr().err


def test_a_search_without_a_sound_checkpoint_is_begun_anew(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        search(problem(), digits, OPTIONS, tmp_path, progress=killer(3))
    for checkpoint in (tmp_path / "search_checkpoints").iterdir():
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert outcome(tmp_path, search(problem(), digits, OPTIONS, tmp_path)) == undisturbed
    said = capsys.readouterr().err
    assert "holds no sound checkpoint" in said
    assert "starting anew" in said


def test_infeasible_cap_is_told_first(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleCap, match=r"latency <= 1.4 ms on host: what can be reached is 1\.5 ms"):
        search(problem(1.4), digits, OPTIONS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_prices_are_needed_for_a_cap(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SearchProblem, match="no latency table"):
        problem(costs=None)
    with pytest.raises(SearchProblem, match="0 latencies"):
        problem(costs=LatencyCosts(0.0, {}))
    with pytest.raises(SearchProblem, match="no decision"):
        search(problem(None, stacked_space([], (1, 8, 8)), None), digits, OPTIONS, tmp_path)


STRATEGIES: dict[str, Strategy] = {
    "two_path": replace(GRADIENT, update="two_path"),
    "reinforce": Reinforce(samples=3, every=2, entropy=0.1),
    "evolution": Evolution(population=4, generations=3),
    "random": Random(samples=6),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_other_strategies_resume_too(digits: Dataset, tmp_path: Path, name: str) -> None:
    options = replace(OPTIONS, strategy=STRATEGIES[name], epochs=1, save_every_s=0.0, front=3)
    whole = outcome(tmp_path / "a", search(problem(), digits, options, tmp_path / "a"))
    for step in (15, 32):
        with pytest.raises(Killed):
            search(problem(), digits, options, tmp_path / "b", progress=killer(step))
    assert outcome(tmp_path / "b", search(problem(), digits, options, tmp_path / "b")) == whole
    assert whole[0].best.costs["latency on host"] <= 2.0
    assert all(each.feasible for each in whole[0].front)


@pytest.mark.parametrize("superkernels", [False, True])
def test_a_pruned_search_resumes_and_frees_what_it_drops(
    digits: Dataset, tmp_path: Path, superkernels: bool
) -> None:
    prune = Progressive(power=1.0)
    options = replace(OPTIONS, prune=prune, superkernels=superkernels, save_every_s=0.0)
    whole = outcome(tmp_path / "a", search(problem(), digits, options, tmp_path / "a"))
    dropped = [event for event in whole[2] if event["event"] == "pruned"]
    assert dropped[-1]["total_left"] == 3
    assert all(event["probability"] <= event["threshold"] for event in dropped)
    middle = dropped[len(dropped) // 2]["step"]
    for step in (middle - 1, middle + 1):
        with pytest.raises(Killed):
            search(problem(), digits, options, tmp_path / "b", progress=killer(step))
    assert outcome(tmp_path / "b", search(problem(), digits, options, tmp_path / "b")) == whole
    begun = tmp_path / "c"
    with pytest.raises(Killed):
        search(problem(), digits, options, begun, progress=killer(5))
    tensors = [
        len(load_checkpoint(each / "search_checkpoints")[1].tensors) for each in (begun, tmp_path / "a")
    ]
    assert tensors[1] < tensors[0]


def test_a_candidate_that_lets_no_gradient_through(digits: Dataset, tmp_path: Path) -> None:
    blocked = {"space": blocked_space(), "costs": LatencyCosts(0.0, {"layer": (1.0, 0.0)})}
    options = replace(OPTIONS, epochs=2)
    result = search(problem(0.5, **blocked), digits, options, tmp_path)
    assert result.choices == {"layer": "none"}
    fast = replace(options, strategy=replace(GRADIENT, lr=1.0))
    free = search(problem(None, **blocked), digits, fast, tmp_path / "free")
    assert free.choices == {"layer": "conv"}


def test_a_budget_fixes_the_plan_and_a_resume_keeps_it(digits: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=10_000, warmup=1000, budget_s=1.5, save_every_s=0.0)
    with pytest.raises(Killed):
        search(problem(), digits, options, tmp_path, progress=killer(5))
    (plan,) = (event for event in events(tmp_path) if event["event"] == "plan")
    assert 5 < plan["steps"] < 2000
    assert plan["warmup"] == pytest.approx(plan["steps"] / 11, abs=1)
    assert search(problem(), digits, options, tmp_path).steps == plan["steps"]
    assert [event for event in events(tmp_path) if event["event"] == "plan"] == [plan]


def test_what_the_guard_found_is_of_the_front(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random network that takes the place of the most probable one is no network under a tighter cap."""
    rival = (1, 1, 1)
    costs = problem(None).costs(rival)
    monkeypatch.setattr(GradientSearch, "result", lambda self: Found(rival, 0.999, costs, True))
    found = search(problem(None), digits, replace(OPTIONS, epochs=1, front=3), tmp_path)
    assert rival in {each.picks for each in found.front}
    scores = [each.score for each in found.front]
    assert scores == sorted(scores)

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

from compiler.expected import LatencyCosts  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from runtime.data.dataset import Dataset  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.events import read_events  # noqa: E402
from runtime.search.options import InfeasibleCap, SearchOptions, SearchProblem  # noqa: E402
from runtime.search.paths import Latency  # noqa: E402
from runtime.search.search import choose, search  # noqa: E402
from runtime.train import read_weights  # noqa: E402
from tests.small_spaces import blocked_space, derived, stacked_space, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

COSTS = LatencyCosts(
    0.5, {"layer1.path": (1.0, 2.0, 0.0), "layer2.path": (1.0, 1.5), "layer3.path": (0.5, 1.0, 0.0)}
)
OPTIONS = SearchOptions(epochs=3, warmup=1, every=2, batch=64, cap_ms=2.0, seed=1, recalibration_batches=2)


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
    return outcome(folder, search(tiny_space(), COSTS, digits, OPTIONS, folder))


def test_result_is_a_network_under_the_cap(undisturbed: tuple[Any, ...]) -> None:
    result, weights, logged = undisturbed
    assert result.feasible
    assert result.latency_ms <= 2.0
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
            search(tiny_space(), COSTS, digits, options, tmp_path, progress=killer(at))
    assert outcome(tmp_path, search(tiny_space(), COSTS, digits, options, tmp_path)) == undisturbed
    assert outcome(tmp_path, search(tiny_space(), COSTS, digits, options, tmp_path)) == undisturbed


RUN = """
from tests.runtime.search.test_search import *
digits = load(DataSource("digits"), seed=1)
torch.set_num_threads({threads})
search(tiny_space(), COSTS, digits, replace(OPTIONS, save_every_s=0.0), Path({folder!r}))
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
    result = search(tiny_space(), COSTS, digits, OPTIONS, tmp_path)
    assert outcome(tmp_path, result) == undisturbed


def test_damaged_checkpoint_is_passed_over(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(Killed):
        search(tiny_space(), COSTS, digits, options, tmp_path, progress=killer(20))
    *_, newest = sorted((tmp_path / "search_checkpoints").iterdir())
    content = bytearray(newest.read_bytes())
    content[-100] ^= 1
    newest.write_bytes(bytes(content))
    assert outcome(tmp_path, search(tiny_space(), COSTS, digits, options, tmp_path)) == undisturbed
    assert "checksum fails" in capsys.readouterr().err


def test_a_search_of_other_settings_is_begun_anew(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        search(tiny_space(), COSTS, digits, replace(OPTIONS, seed=2), tmp_path, progress=killer(3))
    assert outcome(tmp_path, search(tiny_space(), COSTS, digits, OPTIONS, tmp_path)) == undisturbed
    said = f"{tmp_path} holds a search of another space, data or settings: starting anew"
    assert said in capsys.readouterr().err


def test_a_search_without_a_sound_checkpoint_is_begun_anew(
    digits: Dataset, tmp_path: Path, undisturbed: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        search(tiny_space(), COSTS, digits, OPTIONS, tmp_path, progress=killer(3))
    for checkpoint in (tmp_path / "search_checkpoints").iterdir():
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert outcome(tmp_path, search(tiny_space(), COSTS, digits, OPTIONS, tmp_path)) == undisturbed
    said = capsys.readouterr().err
    assert "holds no sound checkpoint" in said
    assert "starting anew" in said


def test_infeasible_cap_is_told_first(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleCap, match=r"the fastest takes 1\.5 ms"):
        search(tiny_space(), COSTS, digits, replace(OPTIONS, cap_ms=1.4), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "reinforce"}, "`reinforce` is not there yet"),
        ({"update": "three_path"}, "`three_path` is not there"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    digits: Dataset, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(SearchProblem, match=said):
        search(tiny_space(), COSTS, digits, replace(OPTIONS, **changes), tmp_path)


def test_prices_are_needed_for_a_cap(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SearchProblem, match="needs a latency table"):
        search(tiny_space(), None, digits, OPTIONS, tmp_path)
    with pytest.raises(SearchProblem, match="0 latencies"):
        search(tiny_space(), LatencyCosts(0.0, {}), digits, OPTIONS, tmp_path)
    with pytest.raises(SearchProblem, match="no decision"):
        search(stacked_space([], (1, 8, 8)), None, digits, replace(OPTIONS, cap_ms=None), tmp_path)


@pytest.mark.parametrize("form", ["two_path", "random"])
def test_other_forms_resume_too(digits: Dataset, tmp_path: Path, form: str) -> None:
    changes: dict[str, Any] = {"strategy": "random", "samples": 6} if form == "random" else {"update": form}
    options = replace(OPTIONS, epochs=1, save_every_s=0.0, **changes)
    whole = outcome(tmp_path / "a", search(tiny_space(), COSTS, digits, options, tmp_path / "a"))
    for step in (15, 32):
        with pytest.raises(Killed):
            search(tiny_space(), COSTS, digits, options, tmp_path / "b", progress=killer(step))
    assert outcome(tmp_path / "b", search(tiny_space(), COSTS, digits, options, tmp_path / "b")) == whole
    assert whole[0].latency_ms <= 2.0


def test_a_candidate_that_lets_no_gradient_through(digits: Dataset, tmp_path: Path) -> None:
    costs = LatencyCosts(0.0, {"layer": (1.0, 0.0)})
    options = replace(OPTIONS, epochs=2, cap_ms=0.5)
    result = search(blocked_space(), costs, digits, options, tmp_path)
    assert result.choices == {"layer": "none"}
    free = search(
        blocked_space(), costs, digits, replace(options, cap_ms=None, alpha_lr=1.0), tmp_path / "free"
    )
    assert free.choices == {"layer": "conv"}


def test_a_budget_fixes_the_plan_and_a_resume_keeps_it(digits: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=10_000, warmup=1000, budget_s=1.5, save_every_s=0.0)
    with pytest.raises(Killed):
        search(tiny_space(), COSTS, digits, options, tmp_path, progress=killer(5))
    (plan,) = (event for event in events(tmp_path) if event["event"] == "plan")
    assert 5 < plan["steps"] < 2000
    assert plan["warmup"] == pytest.approx(plan["steps"] / 11, abs=1)
    assert search(tiny_space(), COSTS, digits, options, tmp_path).steps == plan["steps"]
    assert [event for event in events(tmp_path) if event["event"] == "plan"] == [plan]


@pytest.mark.parametrize("seed", range(200))
def test_the_network_chosen_is_never_over_its_cap(seed: int) -> None:
    generator = random.Random(seed)
    sizes = [generator.randint(2, 7) for _ in range(generator.randint(1, 12))]
    costs = tuple(tuple(generator.uniform(0, 1) for _ in range(size)) for size in sizes)
    scores = [[generator.gauss(0, 3) for _ in range(size)] for size in sizes]
    free = Latency(0.1, costs, None)
    cap_ms = free.minimum_ms * generator.choice([1.0, 1.05, 1.5, 3.0])
    argmax, picks = choose(scores, replace(free, cap_ms=cap_ms))
    assert free.total_ms(picks) <= cap_ms
    assert picks == argmax or free.total_ms(argmax) > cap_ms

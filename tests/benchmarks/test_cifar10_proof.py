"""The proof on CIFAR-10: its figures, its commands, what it holds for done, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks/cifar10"
LINE = [(0.80, 0.1), (0.90, 0.3), (0.85, 0.35)]
"""The last is slower than the second, and less accurate."""


@pytest.fixture(autouse=True)
def beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize(
    ("accuracy", "latency_ms", "bound"),
    [
        (0.80, 0.1, "none"),
        (0.85, 0.2, "none"),
        (0.90, 0.3, "none"),
        (0.95, 0.3, "lower"),
        (0.70, 0.1, "upper"),
    ],
)
def test_latency_at_an_accuracy(accuracy: float, latency_ms: float, bound: str) -> None:
    from proof_figures import latency_at

    found = latency_at(LINE, accuracy)
    assert (found.latency_ms, found.bound) == (pytest.approx(latency_ms), bound)


def told() -> dict[str, Any]:
    """Summaries as the pieces write them, of plausible figures."""
    from proof_setup import NETWORKS, SEARCHED

    spent = {"seconds": 100.0, "cpu_seconds": 160.0, "peak_memory_mb": 900.0, "attempts": 1}
    command = {"command": "onepath", **spent}
    rows = {}
    for at, name in enumerate(NETWORKS):
        latency = {"latency_p50_ms": 0.1 + 0.05 * at, "latency_p90_ms": 0.2 + 0.05 * at}
        predicted = {"latency_predicted_ms": 0.11 + 0.055 * at, "latency_predicted_by_search_ms": 0.1}
        rows[name] = {**latency, **predicted, "accuracy_test": 0.87 + 0.005 * at}
    trained = {"train": command, "params": 200_000, "macs": 8_000_000, "images": 1_000_000}
    searched = {
        "search": {**command, "seconds": 500.0, "cpu_seconds": 128.0},
        "images_weights": 600_000,
        "images_architecture": 100_000,
        "accuracy_validation": 0.8,
        "caps": [{"cap": "latency on host <= 0.1 ms"}],
    }
    return {
        "profile": {"kernels": 49, "noisy": False, "profile": command},
        **{f"search_{name}": searched for name in SEARCHED},
        **{f"train_{name}": trained for name in NETWORKS},
        "measure": {"networks": rows, "machine": {"processor": "a processor"}},
        "same_hour": {"networks": rows, "machine": {"processor": "another one"}, "minutes": 30.0},
    }


def test_figures_and_report() -> None:
    from proof_figures import results
    from proof_plot import accuracy_svg
    from proof_report import readme

    figures = results(told())
    assert {"name", "accuracy_test", "latency_p50_ms", "latency_predicted_ms", "params", "macs"} <= set(
        figures["networks"][0]
    )
    # `gradient` is less accurate than every width: the fastest's latency, 0.35 ms, over its own 0.1.
    assert figures["speedup_at_equal_accuracy"] == pytest.approx(3.5)
    assert figures["speedup_bound"] == "upper"
    assert figures["search_cost_in_trainings"] == pytest.approx(0.8)
    assert figures["networks"][0]["prediction_error"] == pytest.approx(0.1)
    assert figures["accuracy_over_random"] == pytest.approx(-0.015)
    assert figures["same_hour"]["networks"][0]["speedup_at_equal_accuracy"] == pytest.approx(3.5)
    assert figures["same_hour"]["prediction_error_worst"] == pytest.approx(0.1)
    text = readme(figures, 1.0)
    assert "at most **3.50 times as" in text
    assert "the first is not reached, the second reached" in text
    assert accuracy_svg(figures["networks"]).count("<circle") == len(figures["networks"]) + 3


def test_one_recipe_and_effort_for_all(tmp_path: Path) -> None:
    from proof_setup import NETWORKS, RECIPE, TUNING, Setup

    setup = Setup(tmp_path / "runs", tmp_path / "out", tmp_path / "data", cap_ms=0.08)
    commands = {name: setup.command("train", name) for name in NETWORKS}
    assert all({*RECIPE, *TUNING} <= set(command) for command in commands.values())
    capped = [name for name, command in commands.items() if "latency <= 0.08 ms on host" in command]
    assert capped == [name for name in NETWORKS if not name.startswith("mobilenet")]
    assert not any(str(tmp_path) in setup.shown(command) for command in commands.values())


def test_where_latencies_alone_are_asked_for_networks_are_given_and_tuned_alike(tmp_path: Path) -> None:
    from proof_setup import NETWORKS, SEARCHED, TUNING, Setup

    setup = Setup(tmp_path / "runs", tmp_path / "out", tmp_path / "data", briefly=True)
    for name in NETWORKS:
        command = setup.command("build", name)
        assert {*TUNING, "train.budget=5 s"} <= set(command)
        assert ("--arch" in command) == (not name.startswith("mobilenet"))
    assert str(setup.architecture(SEARCHED[0])) in setup.command("build", SEARCHED[0])


def test_every_command_is_one_that_the_files_take(tmp_path: Path) -> None:
    from proof_setup import BASELINE, NETWORKS, SPACE, WIDTHS, Setup

    from dsl.reading import read
    from runtime.experiment import load_experiment

    setup = Setup(tmp_path / "runs", tmp_path / "out", tmp_path / "data", scale=0.01)
    recipes = []
    for name in NETWORKS:
        space = {"source": read(BASELINE), "space": name} if name in WIDTHS else {"source": read(SPACE)}
        experiment = load_experiment(**space, overrides=setup.settings(name))  # type: ignore[arg-type]
        assert experiment.train is not None
        recipes.append((experiment.train.epochs, experiment.train.optimizer, experiment.train.augment))
    assert len({f"{recipe}" for recipe in recipes}) == 1


def test_a_piece_is_done_once_and_again_where_what_it_read_changed(tmp_path: Path) -> None:
    from proof_pieces import Piece, bring, is_done
    from proof_setup import Setup

    setup, source, made = Setup(tmp_path, tmp_path / "out"), tmp_path / "source", tmp_path / "made"
    done: list[str] = []

    def does() -> dict[str, Any]:
        made.write_text("made")
        done.append(source.read_text())
        return {"figure": 1}

    piece = Piece("it", 1.0, does, ("how",), (source,), (made,))
    source.write_text("first")
    assert bring(setup, piece)
    assert not bring(setup, piece)
    source.write_text("second")
    assert bring(setup, piece)
    made.unlink()
    assert not is_done(setup, piece)
    assert done == ["first", "second"]


def test_says_that_there_is_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from proof import main

    assert main(["--all", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]) == 2
    assert "give its folder with --data" in capsys.readouterr().err


def test_time_adds_up_over_attempts(tmp_path: Path) -> None:
    from proof_run import PieceFailed, spent_before, timed

    account, log = tmp_path / "spent.json", tmp_path / "messages.log"
    with pytest.raises(PieceFailed, match=r"messages\.log"):
        timed(("count", "none.space"), account, log, tmp_path / "none")
    first = spent_before(account)
    assert "none.space" in log.read_text()
    here = FOLDER / "mobilenet_v2.space"
    second = timed(("check", str(here)), account, log, here)
    assert second.attempts == 2
    assert second.seconds > first.seconds > 0
    assert second.cpu_seconds > first.cpu_seconds > 0.1
    assert second.peak_memory_mb > 10

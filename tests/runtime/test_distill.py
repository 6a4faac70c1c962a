"""A run's teacher: the network that the recipe names, trained first, kept, and gone on with where it stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from compiler.architecture import Architecture, InvalidArchitecture, to_json  # noqa: E402
from dsl.reading import read  # noqa: E402
from runtime.console import Silent  # noqa: E402
from runtime.experiment import load_experiment  # noqa: E402
from runtime.loop import Place  # noqa: E402
from runtime.pipeline import run_until  # noqa: E402
from runtime.run_folder import RunFolder  # noqa: E402
from runtime.stages import Run  # noqa: E402

pytestmark = pytest.mark.torch

TEXT = """
space small {
    input [1, 8, 8]  output [10]
    conv(choose(4, 16), 3, stride = 2) -> bn -> relu -> global_pool -> linear(10)
}
train small {
    data = digits  epochs = 2  batch = 128  optimizer = sgd(lr = 0.4)
    distill = largest(weight = 0.6, temperature = 3, epochs = 3)
}
"""


class Killed(Exception):
    pass


@dataclass
class Watched(Silent):
    """Keeps what is said of each step; ends the run at step `kill` of all."""

    kill: int = -1
    said: list[str] = field(default_factory=list)

    def update(self, done: float, total: float, text: str = "", **more: object) -> None:
        self.said.append(text)
        if len(self.said) == self.kill:
            raise Killed


def write(path: Path, choices: dict[str, int]) -> None:
    path.write_text(json.dumps(to_json(Architecture("small", choices))))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "small.space").write_text(TEXT)
    experiment = load_experiment(read(tmp_path / "small.space"))
    (path,) = [decision.path for decision in experiment.space.decisions]
    for width in (4, 16):
        write(tmp_path / f"{width}.json", {path: width})
    return tmp_path


def trained(place: Path, out: str, *overrides: str, kill: int = -1, force: bool = False) -> Watched:
    experiment = load_experiment(read(place / "small.space"), overrides=overrides)
    progress = Watched(kill)
    run_until(Run(experiment, RunFolder(place / out), progress, given=place / "4.json"), "train", force)
    return progress


def taught(progress: Watched) -> tuple[int, int]:
    """Steps of the teacher and of the student."""
    own = [state.startswith("teacher") for state in progress.said]
    return sum(own), len(own) - sum(own)


def test_the_teacher_is_the_largest_and_is_trained_first(place: Path) -> None:
    progress = trained(place, "out")
    assert taught(progress) == (33, 22)
    assert progress.said[0].startswith("teacher")
    assert 16 in json.loads((place / "out/train/teacher/architecture.json").read_text())["choices"].values()
    weights = (place / "out/train/weights.safetensors").read_bytes()
    trained(place, "named", 'distill = architecture("16.json", weight = 0.6, temperature = 3, epochs = 3)')
    assert (place / "named/train/weights.safetensors").read_bytes() == weights
    trained(place, "alone", "distill = largest(weight = 0, epochs = 3)")
    assert (place / "alone/train/weights.safetensors").read_bytes() != weights


def test_a_teacher_is_kept_for_the_next_student(place: Path) -> None:
    trained(place, "out")
    changed = "train.distill = largest(weight = 0.9, temperature = 3, epochs = 3)"
    assert taught(trained(place, "out", changed)) == (0, 22)
    assert taught(trained(place, "out", changed, "train.epochs = 1")) == (0, 11)
    assert taught(trained(place, "out", changed, "train.label_smoothing = 0")) == (33, 22)
    assert taught(trained(place, "out", changed, "train.label_smoothing = 0")) == (0, 0)
    assert taught(trained(place, "out", changed, "train.label_smoothing = 0", force=True)) == (33, 22)


def test_it_goes_on_where_it_stopped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(place, "whole")
    monkeypatch.setattr("runtime.train.Place", lambda *given, ranks: Place(*given[:-1], 0.0, ranks=ranks))
    for kill in (20, 20, 5):
        with pytest.raises(Killed):
            trained(place, "killed", kill=kill)
    trained(place, "killed")
    for name in ("train/weights.safetensors", "train/teacher/weights.safetensors"):
        assert (place / "killed" / name).read_bytes() == (place / "whole" / name).read_bytes()


def test_a_teacher_that_cannot_be_had_is_told_before_anything_is_done(place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trained(place, "out", 'distill = architecture("none.json")')
    write(place / "wrong.json", {"nothing": 4})
    with pytest.raises(InvalidArchitecture, match="nothing"):
        trained(place, "out", 'distill = architecture("wrong.json")')
    assert not (place / "out" / "train").exists()

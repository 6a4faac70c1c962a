"""Run by `torchrun` in tests of several processes: `ranks_worker.py FOLDER CASE…` leaves each case's result there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compiler.nets.network import build_network
from compiler.nets.supernet import build_supernet
from dsl.settings import Adam, CapSetting, FromScratch, Gradient, Reinforce, Sgd
from runtime.checkpoint import load_checkpoint
from runtime.data.batches import Augmentation, Batches
from runtime.data.dataset import Dataset, Preprocessing
from runtime.data.load import DataSource, load
from runtime.loop import Place, run_stage
from runtime.optimiser import Schedule
from runtime.ranks import Ranks, joined
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.options import SearchOptions
from runtime.search.problem import problem_of
from runtime.search.search import search
from runtime.search.strategies.gradient import GradientSearch
from runtime.search.strategies.reinforce import ReinforceSearch
from runtime.train import TrainOptions, _Training
from tests.small_spaces import derived, tiny_space
from tests.supernets import with_whole_branches

STEPS = 20
AUGMENTATION = Augmentation(crop=1, colour=0.2, cutout=2, mixup=0.2)
SEARCH = SearchOptions(
    epochs=0.8, warmup=0.4, batch=65, seed=1, recalibration_batches=2, augmentation=AUGMENTATION
)
FINALS = replace(SEARCH, epochs=0.4, warmup=0.2, superkernels=True, finals=FromScratch(2, 0.3))
"""Ten steps of a supernet with superkernels, and five of each of two finalists."""
TRAIN = TrainOptions(batch=65, augmentation=AUGMENTATION, ema=0.9)


class Wide(Preprocessing):
    """Inputs in double precision, in which 20 steps do not make rounding visible."""

    def apply(self, pixels: Tensor) -> Tensor:
        return super().apply(pixels).double()


def digits(wide: bool = True) -> Dataset:
    data = load(DataSource("digits"), seed=1)
    return replace(data, preprocessing=Wide(*astuple(data.preprocessing))) if wide else data


def searched(
    folder: Path,
    ranks: Ranks,
    strategy: Gradient | Reinforce,
    wide: bool = True,
    options: SearchOptions = SEARCH,
) -> None:
    """20 steps of a search; its last checkpoint is the result."""
    supernet = with_whole_branches(build_supernet(tiny_space(), options.seed, options.superkernels))
    trainer = PathTrainer(
        supernet.double() if wide else supernet,
        digits(wide),
        replace(options, strategy=strategy),
        None,
        ranks,
    )
    kind: Any = GradientSearch if isinstance(strategy, Gradient) else ReinforceSearch
    problem = problem_of(tiny_space(), {}, [CapSetting("params", "<=", 1e4, None)], "host")
    stage = kind(problem, trainer, strategy)
    assert run_stage(stage, Place(folder, "stage", "", ranks=ranks))["steps"] == STEPS
    judged = stage.result()
    if ranks.first:
        torch.save({"score": torch.tensor(judged.score)}, folder / "score.pt")


def trained(folder: Path, ranks: Ranks, options: TrainOptions, wide: bool = True) -> None:
    """20 steps of a training."""
    module, data = build_network(derived(tiny_space(), (0, 1, 2))), digits(wide)
    batches = Batches(
        data.all_training, data.preprocessing, options.batch, 0, "train", options.augmentation, ranks
    )
    stage = _Training(module.double() if wide else module, batches, options, None, None)
    stage.plan = lambda: {"steps": STEPS}  # type: ignore[method-assign]
    run_stage(stage, Place(folder, "stage", "", ranks=ranks))


def killed(folder: Path, ranks: Ranks) -> None:
    """A search, in which the last rank is killed at step 12 where a file says so: once."""

    def progress(now: Any) -> None:
        if now.step == 12 and (folder / "kill").exists() and ranks.rank == ranks.size - 1:
            (folder / "kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    problem = problem_of(tiny_space(), {}, [], "host")
    options = replace(SEARCH, strategy=Gradient(every=2), save_every_s=0.0)
    search(problem, digits(False), options, folder, progress=progress, ranks=ranks)


CASES: dict[str, Callable[[Path, Ranks], None]] = {
    "two_path": lambda folder, ranks: searched(folder, ranks, Gradient(every=2, update="two_path")),
    "recompute": lambda folder, ranks: searched(folder, ranks, Gradient(every=2, update="recompute")),
    "reinforce": lambda folder, ranks: searched(folder, ranks, Reinforce(every=3, samples=3)),
    "finals": lambda folder, ranks: searched(folder, ranks, Gradient(every=2), options=FINALS),
    "sgd": lambda folder, ranks: trained(folder, ranks, replace(TRAIN, optimiser=Sgd(lr=0.1))),
    "adam": lambda folder, ranks: trained(
        folder, ranks, replace(TRAIN, optimiser=Adam(0.01), schedule=Schedule("constant"))
    ),
    "single precision": lambda folder, ranks: searched(folder, ranks, Gradient(every=2), wide=False),
    "killed": killed,
}


def result(folder: Path) -> dict[str, Tensor]:
    """The tensors of a case's last checkpoint."""
    found = load_checkpoint(folder / "stage_checkpoints")
    assert found is not None
    assert found[0] == STEPS
    return dict(found[1].tensors)


if __name__ == "__main__":
    ranks = joined()
    torch.set_num_threads(1)
    for case in sys.argv[2:]:
        CASES[case](Path(sys.argv[1]) / case, ranks)

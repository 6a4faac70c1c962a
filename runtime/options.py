"""From the settings of a file to the options of data, search and training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from dsl.settings import Augment, Data, SearchSettings, SupernetEvaluator, TrainSettings
from runtime.data.batches import Augmentation
from runtime.data.dataset import Dataset
from runtime.data.load import DataSource, load
from runtime.experiment import Experiment, NoSuchPart
from runtime.optimiser import Schedule
from runtime.search.options import SearchOptions, check_options
from runtime.train import TrainOptions

SEARCH_RAMP, TRAIN_RAMP = 0.02, 0.05
"""The share of the steps in which the learning rate rises where `lr_warmup` does not say."""


def data_source(experiment: Experiment) -> Data:
    """The data set that the experiment names: its search's, else its recipe's.

    Raises:
        NoSuchPart: it names none.
    """
    if experiment.search is not None and experiment.search.data is not None:
        return experiment.search.data
    if experiment.train is not None and experiment.train.data is not None:
        return experiment.train.data
    name = experiment.space.name
    raise NoSuchPart(f"no data: write `search {name} {{ data = … }}` or `train {name} {{ data = … }}`")


def load_data(experiment: Experiment) -> Dataset:
    """The data set of the experiment, a share held out for validation.

    Raises:
        NoSuchPart: it names none.
        DataProblem: it cannot be had or used.
    """
    source = data_source(experiment)
    path = None if source.path is None else experiment.folder / Path(source.path).expanduser()
    channels, *sides = experiment.space.graph.inputs[0].type.sizes
    settings = experiment.search or SearchSettings(experiment.space.name, "", source)
    seed = experiment.search.seed if experiment.search else experiment.train.seed if experiment.train else 0
    size = sides[0] if source.size is None and source.kind == "image_folder" and sides else source.size
    wanted = DataSource(source.kind, path, size, channels, source.entry, experiment.folder)
    return load(wanted, settings.validation, seed)


def _augmentation(settings: Augment) -> Augmentation:
    return Augmentation(**asdict(settings))


def _ramp(warmup: float | None, epochs: int, otherwise: float) -> float:
    """The share of all steps in which the learning rate rises: a budget shortens it like everything else."""
    return otherwise if warmup is None else min(1.0, warmup / max(1, epochs))


def search_options(settings: SearchSettings) -> SearchOptions:
    """The options of a search; its caps are not among them.

    Raises:
        SearchProblem: they ask for what their strategy cannot do.
    """
    options = SearchOptions(
        strategy=settings.strategy,
        penalty=settings.penalty,
        prune=settings.prune,
        finals=settings.finals,
        superkernels=settings.superkernels,
        front=settings.front,
        epochs=settings.epochs,
        warmup=settings.warmup,
        batch=settings.batch,
        optimiser=settings.optimizer,
        schedule=Schedule(
            settings.schedule, _ramp(settings.lr_warmup, settings.epochs + settings.warmup, SEARCH_RAMP)
        ),
        label_smoothing=settings.label_smoothing,
        augmentation=_augmentation(settings.augment),
        seed=settings.seed,
        budget_s=settings.budget,
    )
    check_options(options, isinstance(settings.evaluator, SupernetEvaluator))
    return options


def train_options(settings: TrainSettings) -> TrainOptions:
    """The options of a training."""
    return TrainOptions(
        settings.epochs,
        settings.batch,
        settings.optimizer,
        Schedule(settings.schedule, _ramp(settings.lr_warmup, settings.epochs, TRAIN_RAMP)),
        settings.label_smoothing,
        _augmentation(settings.augment),
        settings.ema,
        seed=settings.seed,
        budget_s=settings.budget,
    )

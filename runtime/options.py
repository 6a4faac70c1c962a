"""From the settings of a file to the options of data, search and training."""

from __future__ import annotations

from pathlib import Path

from dsl.settings import Adam, Data, Gradient, Optimizer, Random, SearchSettings, TrainSettings
from runtime.data.batches import Augmentation
from runtime.data.dataset import Dataset
from runtime.data.load import DataSource, load
from runtime.experiment import Experiment, NoSuchPart
from runtime.optimiser import Schedule, Sgd
from runtime.search.options import SearchOptions, SearchProblem
from runtime.train import TrainOptions


def data_source(experiment: Experiment) -> Data:
    """The data set that the experiment names: its search's, else its recipe's.

    Raises:
        NoSuchPart: it names none.
    """
    if experiment.search is not None:
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
    channels = experiment.space.graph.inputs[0].type.sizes[0]
    settings = experiment.search or SearchSettings(experiment.space.name, "", source)
    seed = experiment.search.seed if experiment.search else experiment.train.seed if experiment.train else 0
    return load(DataSource(source.kind, path, source.size, channels), settings.validation, seed)


def _sgd(optimizer: Optimizer, where: str) -> Sgd:
    if isinstance(optimizer, Adam):
        raise SearchProblem(f"`adam` is not supported in `{where}` yet", "use `sgd`")
    return Sgd(optimizer.lr, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay)


def search_options(settings: SearchSettings, target: str) -> SearchOptions:
    """The options of a search whose latency cap, if it has one, is on `target`.

    Raises:
        SearchProblem: the settings ask for what is not there yet.
    """
    common = {
        "epochs": settings.epochs,
        "warmup": settings.warmup,
        "batch": settings.batch,
        "optimiser": _sgd(settings.optimizer, "search"),
        "schedule": Schedule(settings.schedule, ramp=0.02),
        "label_smoothing": settings.label_smoothing,
        "augmentation": Augmentation(settings.augment.crop, settings.augment.flip),
        "cap_ms": _cap_ms(settings, target),
        "seed": settings.seed,
        "budget_s": settings.budget,
    }
    strategy = settings.strategy
    if isinstance(strategy, Gradient):
        lr = None if strategy.lr == Gradient().lr else strategy.lr
        return SearchOptions(
            "gradient",
            strategy.update,
            delay=strategy.delay,
            every=strategy.every,
            alpha_lr=lr,
            **common,  # type: ignore[arg-type]
        )
    if isinstance(strategy, Random):
        return SearchOptions("random", samples=strategy.samples, **common)  # type: ignore[arg-type]
    return SearchOptions(type(strategy).__name__.lower(), **common)  # type: ignore[arg-type]


def _cap_ms(settings: SearchSettings, target: str) -> float | None:
    caps = []
    for cap in settings.caps:
        if cap.metric != "latency" or cap.relation != "<=":
            what = f"a cap on `{cap.metric} {cap.relation}` in a search is not supported yet"
            raise SearchProblem(what, "write it as `require` in the space: the result is checked against it")
        if cap.target not in (None, target):
            what = f"a cap on `{cap.target}` while the run is for `{target}`"
            raise SearchProblem(what, f"run it with `--target {cap.target}`")
        caps.append(cap.limit)
    return min(caps, default=None)


def train_options(settings: TrainSettings) -> TrainOptions:
    """The options of a training."""
    return TrainOptions(
        settings.epochs,
        settings.batch,
        _sgd(settings.optimizer, "train"),
        Schedule(settings.schedule, ramp=0.05),
        settings.label_smoothing,
        Augmentation(settings.augment.crop, settings.augment.flip),
        seed=settings.seed,
        budget_s=settings.budget,
    )

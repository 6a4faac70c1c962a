"""What the proof compares, and how all of it is trained, searched and tuned: one recipe, one effort."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = ROOT.parent / "shared/data/cifar10"
SPACE, BASELINE = ROOT / "examples/cifar10.space", HERE / "mobilenet_v2.space"

SEARCHED, RANDOM = ("gradient", "reinforce"), ("random_1", "random_2", "random_3")
WIDTHS = ("mobilenet_v2_015", "mobilenet_v2_025", "mobilenet_v2_035")
"""MobileNetV2 at 0.15, 0.25 and 0.35 of its channels: 7.3, 9.5 and 15.6 M MACs, whose latencies are 1.7 to 3.4 times
that of networks under the cap."""
NETWORKS = (*SEARCHED, *RANDOM, *WIDTHS)
HEADLINE = "gradient"
"""The network whose figures stand for the proof, named before it was measured."""
RANDOM_SEED = 0

TRAINING_IMAGES, SEARCH_IMAGES = 50_000, 40_000
BATCH, EPOCHS = 128, 12
WARMUP_EPOCHS, SEARCH_EPOCHS, EVERY = 1, 3, 5
"""Random paths, then the search proper, with an architecture step after every fifth weight step."""
SEARCH_BATCH = 64
"""Half of the training's: the few epochs of a search are to have enough steps."""
FINALISTS, FINAL_EPOCHS = 8, 1
"""Networks that are trained from new weights at the end of a search, and for how long each."""
REINFORCE_SAMPLES = 10
"""Networks an update."""

AUGMENT = "standard(crop = 4, flip = true)"
RECIPE = (
    f"train.epochs={EPOCHS}",
    f"train.batch={BATCH}",
    "train.optimizer=sgd(lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 1e-4)",
    "train.schedule=cosine",
    "train.lr_warmup=1",
    "train.label_smoothing=0.1",
    f"train.augment={AUGMENT}",
    "train.seed=0",
)
SEARCH = (
    f"search.epochs={SEARCH_EPOCHS}",
    f"search.warmup={WARMUP_EPOCHS}",
    f"search.batch={SEARCH_BATCH}",
    "search.optimizer=sgd(lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 1e-4)",
    f"search.augment={AUGMENT}",
    "search.superkernels=true",
    f"search.finals=from_scratch(networks = {FINALISTS}, epochs = {FINAL_EPOCHS})",
    "search.seed=0",
)
STRATEGIES = {
    "gradient": f"search.strategy=gradient(update = recompute, every = {EVERY})",
    "reinforce": f"search.strategy=reinforce(samples = {REINFORCE_SAMPLES}, every = {EVERY})",
}
TUNING = ("target.trials=40", "target.tune_budget=30 min")
"""Forty schedules of every kernel, whoever's network it is in; the budget is not meant to bind."""
BRIEF_TRAINING = "5 s"
QUICK_TUNING = ("target.trials=1", "target.tune_budget=5 s")


@dataclass(frozen=True)
class Setup:
    """One proof: where its run folders and its results go, the data, the cap, and the share of the planned time
    that each search and training is given (1: no limit of time). `briefly`: networks found and drawn are given, and
    trained for seconds only, where no more than their latencies is asked for."""

    runs: Path
    out: Path
    data: Path = DATA
    cap_ms: float | None = None
    scale: float = 1.0
    briefly: bool = False

    def folder(self, network: str) -> Path:
        """The run folder of a network."""
        return self.runs / network

    def architecture(self, network: str) -> Path:
        """Where the architecture of a network that was found or drawn is kept."""
        return self.out / f"architectures/{network}.json"

    def command(self, stage: str, network: str) -> tuple[str, ...]:
        """The arguments of `onepath` that bring a network up to a stage; it resumes by itself."""
        return (stage, *self._what(network), *self._where(network), *_sets(self.settings(network)))

    def _what(self, network: str) -> tuple[str, ...]:
        if network in WIDTHS:
            return (str(BASELINE), "--space", network)
        is_given = network in RANDOM or (self.briefly and network in SEARCHED)
        given = ("--arch", str(self.architecture(network))) if is_given else ()
        return (str(SPACE), *given)

    def _where(self, network: str) -> tuple[str, ...]:
        return ("--out", str(self.folder(network)), "--records", str(self.runs / "records.sqlite"))

    def settings(self, network: str) -> tuple[str, ...]:
        """What replaces the settings of the files: the same for all but searches, each with its strategy."""
        section = "train" if network in WIDTHS else "search"
        every = [f'{section}.data=cifar10("{self.data}")', *RECIPE, *self._tuning()]
        if network in SEARCHED:
            every += [*SEARCH, STRATEGIES[network]]
        if network not in WIDTHS and self.cap_ms is not None:
            every += [f"latency <= {self.cap_ms} ms on host"]
        if self.scale < 1:
            budgets = {"train": train_minutes(network)}
            budgets |= {"search": search_minutes(network)} if network in SEARCHED else {}
            every += [f"{name}.budget={60 * minutes * self.scale:.1f} s" for name, minutes in budgets.items()]
        if self.briefly:
            every += [f"train.budget={BRIEF_TRAINING}"]
        return tuple(every)

    def _tuning(self) -> tuple[str, ...]:
        return TUNING if self.scale == 1 else QUICK_TUNING

    def shown(self, command: tuple[str, ...]) -> str:
        """A command without the places of this machine."""
        places = {str(self.runs): "RUNS", str(self.out): "OUT", str(self.data): "DATA", f"{ROOT}/": ""}
        text = " ".join(f"'{each}'" if set(each) & set(" <(") else each for each in ("onepath", *command))
        for place, name in places.items():
            text = text.replace(place, name)
        return text


def _sets(settings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))


# The time that the pieces are planned with, measured on one core of a shared Xeon; two are taken for 1.7 times as fast

SPACE_PACE = 560.0
"""Images a second through a network of the space of about 8 M multiply-accumulates, in training."""
PACE = {"mobilenet_v2_015": 340.0, "mobilenet_v2_025": 300.0, "mobilenet_v2_035": 255.0}
STEP_MS = {"weight": 120.0, "final": 90.0, "gradient": 380.0, "reinforce": 380.0}
"""A weight step of the supernet, one of a finalist, and an architecture step of each strategy, of `SEARCH_BATCH`
images, in one thread beside another search."""
FINISH_MIN, PROFILE_MIN, BUILD_MIN, MEASURE_MIN, BRIEF_MIN = 1.0, 8.0, 4.0, 5.0, 1.0


def train_minutes(network: str) -> float:
    """The planned minutes of a training."""
    return EPOCHS * TRAINING_IMAGES / PACE.get(network, SPACE_PACE) / 60 + FINISH_MIN


def search_minutes(network: str) -> float:
    """The planned minutes of a search, its profile aside."""
    an_epoch = SEARCH_IMAGES // SEARCH_BATCH
    weights = (WARMUP_EPOCHS + SEARCH_EPOCHS) * an_epoch * STEP_MS["weight"]
    architecture = SEARCH_EPOCHS * an_epoch / EVERY * STEP_MS.get(network, STEP_MS[HEADLINE])
    finals = FINALISTS * FINAL_EPOCHS * an_epoch * STEP_MS["final"]
    return (weights + architecture + finals) / 60_000 + FINISH_MIN

"""What the settings of a target, a search and a recipe resolve to: frozen values, units converted.

Times are in seconds unless a field's name says otherwise. Defaults are those of ProxylessNAS (Cai, Zhu, Han,
ICLR 2019, and its public search code) where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dsl.source import Span


@dataclass(frozen=True, slots=True)
class Data:
    """A data set: `kind` is the name of its source, `path` None the source's usual place.

    `entry` is the function of a `python` source, as `module:function`.
    """

    kind: str
    path: str | None = None
    size: int | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class Sgd:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013 for Nesterov's form)."""

    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 4e-5
    norm_weight_decay: float = 0.0
    bias_weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay: AdamW (Loshchilov and Hutter, ICLR 2019).

    As in PyTorch, a step takes the share `lr * weight_decay` off a weight.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    norm_weight_decay: float = 0.0
    bias_weight_decay: float = 0.0


Optimizer: TypeAlias = Sgd | Adam


@dataclass(frozen=True, slots=True)
class Augment:
    """Random changes of training images: shifts of up to `crop` pixels, horizontal flips of every second one,
    brightness, contrast and saturation changed by up to `colour`, a square of `cutout` pixels left out, pairs of
    images mixed by a share from Beta(mixup, mixup)."""

    crop: int = 0
    flip: bool = False
    colour: float = 0.0
    cutout: int = 0
    mixup: float = 0.0


@dataclass(frozen=True, slots=True)
class Distill:
    """Distillation: the teacher is the architecture in the file `path`, or the largest of the space.

    `weight` is the share of the teacher in the loss; `epochs` None trains it for as many as the student.
    """

    path: str | None = None
    weight: float = 0.5
    temperature: float = 4.0
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Gradient:
    """Binary gates with gradients. `every` weight steps make one architecture step; none in `delay` epochs.

    `lr` None is chosen from the number of architecture steps. `entropy` is the weight of a bonus for undecided
    gates, which falls to 0 over the first half; `explore` the share of decisions that weight steps draw
    uniformly, which falls to 0 over the whole.
    """

    update: Literal["recompute", "two_path"] = "recompute"
    lr: float | None = None
    every: int = 5
    delay: int = 1
    entropy: float = 0.0
    explore: float = 0.2


@dataclass(frozen=True, slots=True)
class Reinforce:
    """Binary gates with REINFORCE: `samples` networks an update, an update each `every` weight steps.

    The reward is the accuracy, times `(limit / latency) ** exponent` where there is a cap on latency. `lr` None
    is chosen from the number of updates. Where no supernet judges, `networks` are judged in all, and `lr` is 0.1.
    """

    samples: int = 10
    networks: int = 300
    every: int = 5
    delay: int = 1
    lr: float | None = None
    exponent: float = 0.1
    entropy: float = 0.0
    explore: float = 0.2


@dataclass(frozen=True, slots=True)
class Evolution:
    """Constrained NSGA-II on shared weights: `population` networks are judged in each of the `generations`."""

    population: int = 20
    generations: int = 10
    mutation: float = 0.1


@dataclass(frozen=True, slots=True)
class Random:
    """Uniform samples, the best of them kept."""

    samples: int = 100


Strategy: TypeAlias = Gradient | Reinforce | Evolution | Random


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A price for each cap, by dual ascent: no weight to guess."""


@dataclass(frozen=True, slots=True)
class Linear:
    """`weight * (E - reference) / reference` is added to the loss; E is the expected latency."""

    reference: float
    weight: float = 0.1


@dataclass(frozen=True, slots=True)
class Log:
    """The loss is multiplied by `scale * (ln E / ln reference) ** power`, both in ms: ProxylessNAS's for phones."""

    reference: float
    scale: float = 0.2
    power: float = 0.3


LatencyTerm: TypeAlias = Adaptive | Linear | Log


@dataclass(frozen=True, slots=True)
class Progressive:
    """A path is dropped when its probability, over that of its decision's likeliest, falls under a threshold.

    The threshold rises from 0 to 1 over the search, as its share to the power of `power`; none in the first
    `delay` of it.
    """

    power: float = 2.0
    delay: float = 0.1


@dataclass(frozen=True, slots=True)
class FromScratch:
    """After the search so many `networks` are trained for `epochs`, each from new weights; the best is the result."""

    networks: int = 8
    epochs: float = 1.0


@dataclass(frozen=True, slots=True)
class SupernetEvaluator:
    """Networks are judged by the weights that they share, on the validation split."""


@dataclass(frozen=True, slots=True)
class TableEvaluator:
    """Networks are judged by a file of scores (see docs/search.md)."""

    path: str
    score: str = "score"
    latency: str = "latency_ms"


@dataclass(frozen=True, slots=True)
class FunctionEvaluator:
    """Networks are judged by a function of Python's: `module:name`."""

    entry: str


EvaluatorSetting: TypeAlias = SupernetEvaluator | TableEvaluator | FunctionEvaluator


@dataclass(frozen=True, slots=True)
class CapSetting:
    """A cap of a search, in the metric's own unit: milliseconds, bytes, or a count."""

    metric: Literal["macs", "params", "peak_memory", "latency"]
    relation: Literal["<=", ">="]
    limit: float
    target: str | None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """A target. `trials` and `tune_budget` bound the tuning of one kernel and of all of them.

    `like` is the known target that it takes what it does not say from.
    `cores`, `clock_ghz`, `fma_units` and the caches are what is published of the processor, None where unknown.
    """

    name: str
    like: str | None = None
    kind: str = "llvm"
    cpu: str = "native"
    triple: str | None = None
    features: str | None = None
    abi: str | None = None
    arch: str | None = None
    threads: int = 1
    cores: int | None = None
    clock_ghz: float | None = None
    fma_units: int | None = None
    l1_kib: int | None = None
    l2_kib: int | None = None
    latency_table: str | None = None
    trials: int | None = None
    tune_budget: float | None = None


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """A search. `validation` is the fraction of the training data that architecture steps and choices see."""

    space: str
    name: str
    data: Data | None
    strategy: Strategy = Gradient()
    evaluator: EvaluatorSetting = SupernetEvaluator()
    penalty: LatencyTerm = Adaptive()
    prune: Progressive | None = None
    finals: FromScratch | None = None
    superkernels: bool = False
    front: int = 0
    optimizer: Optimizer = Sgd(lr=0.025)
    schedule: Literal["cosine", "constant"] = "cosine"
    lr_warmup: float | None = None
    epochs: int = 120
    warmup: int = 40
    batch: int = 256
    validation: float = 0.2
    label_smoothing: float = 0.1
    augment: Augment = Augment()
    seed: int = 0
    budget: float | None = None
    profile_budget: float | None = None
    caps: tuple[CapSetting, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """A training recipe; `data` and `seed` are the search's where the recipe has none of its own.

    `initial` says which weights it starts from: new ones, or those that the network had in the supernet.
    """

    space: str
    data: Data | None
    seed: int = 0
    epochs: int = 300
    batch: int = 256
    optimizer: Optimizer = Sgd()
    schedule: Literal["cosine", "constant"] = "cosine"
    label_smoothing: float = 0.1
    augment: Augment = Augment()
    lr_warmup: float | None = None
    ema: float | None = None
    distill: Distill | None = None
    initial: Literal["random", "supernet"] = "random"
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a file; the targets that it declares by name, `host` always among them."""

    targets: dict[str, TargetSettings]
    searches: tuple[SearchSettings, ...]
    recipes: tuple[TrainSettings, ...]

    def recipe_of(self, space: str) -> TrainSettings | None:
        """The training recipe of a space."""
        return next((each for each in self.recipes if each.space == space), None)

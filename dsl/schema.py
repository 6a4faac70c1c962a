"""The schema of settings: each key, the kind of its value, its range, its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dsl.settings import (
    Adam,
    Adaptive,
    Augment,
    Data,
    Distill,
    Evolution,
    FromScratch,
    FunctionEvaluator,
    Gradient,
    Linear,
    Log,
    Progressive,
    Random,
    Reinforce,
    SearchSettings,
    Sgd,
    SupernetEvaluator,
    TableEvaluator,
    TargetSettings,
    TrainSettings,
)

Kind: TypeAlias = Literal["count", "number", "fraction", "flag", "text", "entry", "time", "word", "call"]


@dataclass(frozen=True, slots=True)
class Form:
    """One value of a `call` setting: `sgd(lr = 0.05)`; `make` is the dataclass, `fixed` fields the name sets."""

    name: str
    make: type[Any]
    keys: tuple[Key, ...] = ()
    fixed: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """One setting, or one argument of a form.

    `least` and `most` bound a number, and are values themselves unless it must be `above` the one or `below` the
    other; a fraction has 1 for its most. `words` are the values of a word, `forms` those of a call. A
    `positional` argument may be given without its name; a `required` one must be given.
    """

    name: str
    kind: Kind
    means: str
    least: int = 0
    most: int | None = None
    above: bool = False
    below: bool = False
    words: tuple[str, ...] = ()
    forms: tuple[Form, ...] = ()
    required: bool = False
    positional: bool = False

    @property
    def limit(self) -> int | None:
        """The most that a number may be."""
        return 1 if self.kind == "fraction" else self.most


_LR = Key("lr", "number", "learning rate")
_GATES = (
    Key("every", "count", "weight steps from one architecture step to the next", least=1),
    Key("delay", "count", "epochs before the first architecture step"),
    Key("lr", "number", "learning rate of the architecture parameters"),
    Key("entropy", "number", "weight of the bonus for undecided gates, which falls to 0 over the first half"),
    Key("explore", "fraction", "share of decisions drawn uniformly in weight steps, which falls to 0"),
)
_REFERENCE = Key("reference", "time", "the latency that the term compares with", required=True)
_DECAYS = (
    Key("weight_decay", "number", "weight decay of weights"),
    Key("norm_weight_decay", "number", "weight decay of the scales and shifts of norms"),
    Key("bias_weight_decay", "number", "weight decay of biases"),
)
_PATH = Key("path", "text", "folder or file, relative to the space's file", positional=True)
_NEEDED_PATH = Key("path", "text", _PATH.means, positional=True, required=True)

DATA = (
    Form("fashion_mnist", Data, (_PATH,), (("kind", "fashion_mnist"),)),
    Form("cifar10", Data, (_PATH,), (("kind", "cifar10"),)),
    Form("digits", Data, (), (("kind", "digits"),)),
    Form(
        "image_folder",
        Data,
        (
            _NEEDED_PATH,
            Key("size", "count", "height and width of images; those of the space if not given", least=1),
        ),
        (("kind", "image_folder"),),
    ),
    Form("npz", Data, (_NEEDED_PATH,), (("kind", "npz"),)),
    Form(
        "python",
        Data,
        (
            Key("entry", "entry", "function that gives the arrays", positional=True, required=True),
            Key("path", "text", "folder or file the function is given, relative to the space's file"),
        ),
        (("kind", "python"),),
    ),
)
OPTIMIZERS = (
    Form(
        "sgd",
        Sgd,
        (
            _LR,
            Key("momentum", "fraction", "momentum", below=True),
            Key("nesterov", "flag", "Nesterov's form of momentum"),
            *_DECAYS,
        ),
    ),
    Form(
        "adam",
        Adam,
        (
            _LR,
            Key("beta1", "fraction", "decay of the mean", below=True),
            Key("beta2", "fraction", "decay of the square", below=True),
            *_DECAYS,
        ),
    ),
)
STRATEGIES = (
    Form(
        "gradient",
        Gradient,
        (
            Key("update", "word", "how gates get a gradient", words=("recompute", "two_path")),
            *_GATES,
        ),
    ),
    Form(
        "reinforce",
        Reinforce,
        (
            Key("samples", "count", "networks an update", least=1),
            Key("networks", "count", "networks judged in all, where no supernet judges", least=1),
            *_GATES,
            Key("exponent", "number", "weight of latency in the reward"),
        ),
    ),
    Form(
        "evolution",
        Evolution,
        (
            Key("population", "count", "networks a generation", least=2),
            Key("generations", "count", "generations", least=1),
            Key("mutation", "fraction", "chance that a decision changes"),
        ),
    ),
    Form("random", Random, (Key("samples", "count", "networks drawn", least=1),)),
)
EVALUATORS = (
    Form("supernet", SupernetEvaluator),
    Form(
        "table",
        TableEvaluator,
        (
            _NEEDED_PATH,
            Key("score", "text", "the column of what is to be great"),
            Key("latency", "text", "the column of the latency, ms"),
        ),
    ),
    Form(
        "function",
        FunctionEvaluator,
        (Key("entry", "entry", "function from choices to a score", positional=True, required=True),),
    ),
)
PENALTIES = (
    Form("adaptive", Adaptive),
    Form("linear", Linear, (Key("weight", "number", "weight of the relative excess"), _REFERENCE)),
    Form(
        "log",
        Log,
        (
            Key("scale", "number", "factor of the loss"),
            Key("power", "number", "power of the ratio of logarithms"),
            _REFERENCE,
        ),
    ),
)
PRUNES = (
    Form(
        "progressive",
        Progressive,
        (
            Key("power", "number", "how late the threshold rises"),
            Key("delay", "fraction", "share of the search before anything is dropped"),
        ),
    ),
)
FINALS = (
    Form(
        "from_scratch",
        FromScratch,
        (
            Key("networks", "count", "networks that are trained", least=2, most=1000),
            Key("epochs", "number", "epochs of each", above=True, most=1000),
        ),
    ),
)

AUGMENTS = (
    Form(
        "standard",
        Augment,
        (
            Key("crop", "count", "largest random shift in pixels", most=64),
            Key("flip", "flag", "flip every second image horizontally"),
            Key("colour", "fraction", "largest change of brightness, contrast and saturation"),
            Key("cutout", "count", "side of the square left out, in pixels", most=1024),
            Key(
                "mixup",
                "number",
                "both parameters of the beta distribution of shares; 0 is no mixup",
                most=1000,
            ),
        ),
    ),
)
_DISTILLATION = (
    Key("weight", "fraction", "share of the teacher in the loss"),
    Key("temperature", "number", "divides the logits of teacher and student", above=True),
    Key("epochs", "count", "epochs of the teacher; those of the recipe if not given", least=1),
)
DISTILL = (
    Form("largest", Distill, _DISTILLATION),
    Form(
        "architecture",
        Distill,
        (
            Key(
                "path", "text", "the teacher's file, relative to the space's", positional=True, required=True
            ),
            *_DISTILLATION,
        ),
    ),
)

_DATA = Key("data", "call", "data set; that of the search if it has one", forms=DATA)
_SEED = Key("seed", "count", "seed of every random stream", most=2**63 - 1)
_EPOCHS = Key("epochs", "count", "passes over the training data")
_BATCH = Key("batch", "count", "images a step", least=1)
_OPTIMIZER = Key("optimizer", "call", "optimiser of the weights", forms=OPTIMIZERS)
_SCHEDULE = Key("schedule", "word", "course of the learning rate", words=("cosine", "constant"))
_SMOOTHING = Key("label_smoothing", "fraction", "label smoothing", below=True)
_LR_WARMUP_MEANS = "epochs in which the learning rate rises to its value; {} of all steps if not given"
_AUGMENT = Key("augment", "call", "random changes of training images", forms=AUGMENTS)

TARGET = (
    Key("like", "text", "a known target, whose settings this one takes where it has none of its own"),
    Key("kind", "text", "code generator: `llvm`, `cuda` or `c`"),
    Key("cpu", "text", "processor, by LLVM's name; `native` is this machine's"),
    Key("triple", "text", "LLVM's target triple; this machine's if not given"),
    Key("features", "text", "LLVM's feature switches, as in `+avx2,+fma`"),
    Key("abi", "text", "calling convention by LLVM's name, where a triple leaves it open: `lp64d`"),
    Key("arch", "text", "architecture of an NVIDIA GPU: `sm_86`"),
    Key("threads", "count", "threads that the generated code uses", least=1, most=1024),
    Key("cores", "count", "cores of the processor, for estimates", least=1, most=4096),
    Key("clock_ghz", "number", "sustained clock of a core, GHz, for estimates", above=True, most=100),
    Key(
        "fma_units",
        "count",
        "fused multiply-adds of a full vector begun a cycle, for estimates",
        least=1,
        most=64,
    ),
    Key("l1_kib", "count", "first data cache of a core, KiB", least=1, most=2**20),
    Key("l2_kib", "count", "second cache of a core, KiB", least=1, most=2**20),
    Key("latency_table", "text", "a table of latencies measured elsewhere"),
    Key("trials", "count", "schedules tried a kernel"),
    Key("tune_budget", "time", "time for tuning, all kernels together"),
)
SEARCH = (
    Key("data", "call", "data set; not needed where no supernet judges", forms=DATA, required=True),
    Key("strategy", "call", "how the space is searched", forms=STRATEGIES),
    Key("evaluator", "call", "what judges networks", forms=EVALUATORS),
    Key("penalty", "call", "how latency enters the loss", forms=PENALTIES),
    Key("prune", "call", "whether unlikely paths are dropped on the way", forms=PRUNES),
    Key("finals", "call", "whether some networks are trained before one is chosen", forms=FINALS),
    Key("superkernels", "flag", "whether candidates that differ in sizes alone share weights"),
    Key("front", "count", "how many networks along the front to give besides, at most", most=1000),
    _OPTIMIZER,
    _SCHEDULE,
    Key("lr_warmup", "number", _LR_WARMUP_MEANS.format("2%")),
    _EPOCHS,
    Key("warmup", "count", "epochs on random paths before the search"),
    _BATCH,
    Key("validation", "fraction", "fraction of each class that choices are made on", above=True, below=True),
    _SMOOTHING,
    _AUGMENT,
    _SEED,
    Key("budget", "time", "time for the search; it ends early with what it has"),
    Key("profile_budget", "time", "time for filling the latency table"),
)
TRAIN = (
    _DATA,
    _EPOCHS,
    _BATCH,
    _OPTIMIZER,
    _SCHEDULE,
    Key("lr_warmup", "number", _LR_WARMUP_MEANS.format("5%")),
    _SMOOTHING,
    _AUGMENT,
    Key("ema", "fraction", "decay of the average of weights that is kept", above=True, below=True),
    Key("distill", "call", "learn from a larger network of the space", forms=DISTILL),
    Key("initial", "word", "weights to start from", words=("random", "supernet")),
    _SEED,
    Key("budget", "time", "time for training; it ends early with what it has"),
)
CALLS = (
    ("data", DATA),
    ("strategy", STRATEGIES),
    ("evaluator", EVALUATORS),
    ("penalty", PENALTIES),
    ("prune", PRUNES),
    ("finals", FINALS),
    ("optimizer", OPTIMIZERS),
    ("augment", AUGMENTS),
    ("distill", DISTILL),
)
SECTIONS: dict[str, tuple[tuple[Key, ...], type[Any]]] = {
    "target": (TARGET, TargetSettings),
    "search": (SEARCH, SearchSettings),
    "train": (TRAIN, TrainSettings),
}

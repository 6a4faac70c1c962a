"""Settings as values."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dsl.diagnostic import Diagnostic
from dsl.parser import parsed
from dsl.resolve import resolve_settings
from dsl.schema import SECTIONS, Form, Key
from dsl.settings import (
    Adam,
    Augment,
    Data,
    Distill,
    Evolution,
    Gradient,
    Random,
    Settings,
    Sgd,
    TargetSettings,
)
from dsl.source import Source
from tests.dsl.spaces import load


def resolved(text: str) -> Settings:
    settings, found = resolve_settings(parsed(Source("settings", text)))
    assert found == []
    return settings


def problems(text: str) -> list[Diagnostic]:
    return resolve_settings(parsed(Source("settings", text)))[1]


def test_units_become_seconds_and_milliseconds() -> None:
    settings = resolved(
        "target t { tune_budget = 2 min  trials = 64 }\n"
        "search s { data = digits  budget = 1.5 h  profile_budget = 500 ms  latency <= 2500 us on t"
        "  macs <= 600 M  peak_memory <= 2 MiB }"
    )
    (search,) = settings.searches
    assert settings.targets["t"].tune_budget == 120
    assert (search.budget, search.profile_budget) == (5400, 0.5)
    assert [(cap.metric, cap.limit, cap.target) for cap in search.caps] == [
        ("latency", 2.5, "t"),
        ("macs", 600e6, None),
        ("peak_memory", 2 * 2**20, None),
    ]


def test_a_published_file() -> None:
    settings, found = resolve_settings(parsed(load("proxyless_mobile")))
    assert found == []
    (search,), (recipe,) = settings.searches, settings.recipes
    assert search.strategy == Gradient(update="recompute")
    assert (search.epochs, search.warmup, search.data.kind) == (120, 40, "cifar10")
    assert recipe.optimizer == Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=4e-5)
    assert recipe.data == search.data


def test_host_is_always_a_target() -> None:
    assert resolved("").targets == {"host": TargetSettings("host")}


def test_a_recipe_inherits_data_and_seed() -> None:
    settings = resolved("search s { data = digits  seed = 7 }\ntrain s { epochs = 1 }\ntrain t { seed = 3 }")
    assert [(each.data, each.seed) for each in settings.recipes] == [(Data("digits"), 7), (None, 3)]


def test_a_recipe_has_the_data_of_its_search() -> None:
    (found,) = problems("search s { data = digits }\ntrain s { data = cifar10 }")
    assert (found.code, found.span.line) == ("E0409", 2)
    assert problems("search s { data = digits }\ntrain s { data = digits }") == []
    assert problems("search s { data = digits }\ntrain t { data = cifar10 }") == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fashion_mnist", Data("fashion_mnist")),
        ('cifar10("data/cifar")', Data("cifar10", "data/cifar")),
        ('cifar10(path = "here")', Data("cifar10", "here")),
        ('image_folder("photos", size = 224)', Data("image_folder", "photos", 224)),
        ('npz("a.npz")', Data("npz", "a.npz")),
        ('python("mine.load:arrays")', Data("python", entry="mine.load:arrays")),
        ('python("mine:arrays", path = "raw")', Data("python", "raw", entry="mine:arrays")),
    ],
)
def test_data(text: str, wanted: Data) -> None:
    assert resolved(f"search s {{ data = {text} }}").searches[0].data == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gradient", Gradient()),
        ("gradient(update = two_path, every = 2)", Gradient("two_path", every=2)),
        ("random(samples = 12)", Random(12)),
        ("evolution(population = 100, generations = 500)", Evolution(100, 500)),
    ],
)
def test_strategies(text: str, wanted: object) -> None:
    assert resolved(f"search s {{ data = digits  strategy = {text} }}").searches[0].strategy == wanted


def test_optimizers() -> None:
    assert resolved("train s { optimizer = adam(lr = 1e-3) }").recipes[0].optimizer == Adam(lr=1e-3)


def test_a_recipe_has_all_that_the_field_expects() -> None:
    (recipe,) = resolved(
        "train s { epochs = 30  optimizer = adam(weight_decay = 0.05, norm_weight_decay = 0.01)  lr_warmup = 2.5"
        "  augment = standard(crop = 4, flip = true, colour = 0.4, cutout = 8, mixup = 0.2)  ema = 0.999"
        "  distill = largest(weight = 0.7, temperature = 2, epochs = 10) }"
    ).recipes
    assert recipe.optimizer == Adam(weight_decay=0.05, norm_weight_decay=0.01, bias_weight_decay=0.0)
    assert recipe.augment == Augment(4, True, 0.4, 8, 0.2)
    assert (recipe.lr_warmup, recipe.ema) == (2.5, 0.999)
    assert recipe.distill == Distill(None, 0.7, 2.0, 10)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("largest", Distill()), ('architecture("big.json", weight = 1)', Distill("big.json", weight=1.0))],
)
def test_teachers(text: str, wanted: Distill) -> None:
    assert resolved(f"train s {{ distill = {text} }}").recipes[0].distill == wanted


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("ema = 1", "E0405", "more than 0 and less than 1"),
        ("ema = 0", "E0405", "more than 0 and less than 1"),
        ("label_smoothing = 1", "E0405", "at least 0 and less than 1"),
        ("optimizer = sgd(momentum = 1)", "E0405", "at least 0 and less than 1"),
        ("optimizer = adam(beta2 = 1.0)", "E0405", "at least 0 and less than 1"),
        ("optimizer = sgd(norm_weight_decay = -1)", "E0405", "at least 0"),
        ("lr_warmup = -1", "E0405", "at least 0"),
        ("epochs = 5  lr_warmup = 6", "E0405", "longer than all 5 epochs"),
        ("lr_warmup = 6  lr_warmup = 7", "E0402", "set twice"),
        ("augment = standard(colour = 1.5)", "E0405", "from 0 to 1"),
        ("augment = standard(cutout = 2.5)", "E0403", "an integer"),
        ("augment = standard(mixup = -0.2)", "E0405", "from 0 to 1,000"),
        ("augment = standard(color = 0.5)", "E0401", "no setting `color`"),
        ("distill = largest(temperature = 0)", "E0405", "more than 0"),
        ("distill = largest(epochs = 0)", "E0405", "at least 1"),
        ("distill = largest(weight = 2)", "E0405", "from 0 to 1"),
        ("distill = architecture", "E0406", "needs path"),
        ("distill = smallest", "E0407", "no value of `distill`"),
        ("data = python", "E0406", "needs entry"),
        ('data = python("mine.py")', "E0403", '`"module:function"`'),
        ("data = python(entry = load)", "E0403", '`"module:function"`'),
        ("data = image_folder(size = 64)", "E0406", "needs path"),
    ],
)
def test_wrong_recipes_are_told(text: str, code: str, said: str) -> None:
    found = problems(f"train s {{ {text} }}")
    assert (found[0].code, said in found[0].message) == (code, True), found[0].message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("validation = 0", "more than 0"),
        ("epochs = 1  warmup = 1  lr_warmup = 3", "longer than all 2 epochs"),
    ],
)
def test_wrong_searches_are_told(text: str, said: str) -> None:
    (found,) = problems(f"search s {{ data = digits  {text} }}")
    assert (found.code, said in found.message) == ("E0405", True), found.message


def test_a_hint_writes_what_is_missing() -> None:
    (found,) = problems('train s { data = python(path = "raw") }')
    assert found.hint == 'write `python("module:function")`'


def test_near_names_are_suggested() -> None:
    (found,) = problems("search s { data = digits  epoch = 3 }")
    assert (found.code, found.hint) == ("E0401", "did you mean `epochs`?")


def test_the_schema_names_fields() -> None:
    """Each key is a field of what it resolves to."""

    def agree(keys: tuple[Key, ...], make: type[object]) -> None:
        names = {field.name for field in fields(make)}  # type: ignore[arg-type]
        for key in keys:
            assert key.name in names
            for form in key.forms:
                agree_form(form)

    def agree_form(form: Form) -> None:
        agree(form.keys, form.make)
        needed = {key.name: None for key in form.keys if key.required}
        form.make(**needed, **dict(form.fixed))

    for keys, make in SECTIONS.values():
        agree(keys, make)

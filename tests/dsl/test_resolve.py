"""Settings as values."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dsl.diagnostic import Diagnostic
from dsl.parser import parsed
from dsl.resolve import resolve_settings
from dsl.schema import SECTIONS, Form, Key
from dsl.settings import Adam, Data, Evolution, Gradient, Random, Settings, Sgd, TargetSettings
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


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fashion_mnist", Data("fashion_mnist")),
        ('cifar10("data/cifar")', Data("cifar10", "data/cifar")),
        ('cifar10(path = "here")', Data("cifar10", "here")),
        ('image_folder("photos", size = 224)', Data("image_folder", "photos", 224)),
        ('npz("a.npz")', Data("npz", "a.npz")),
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
        form.make(**dict(form.fixed))

    for keys, make in SECTIONS.values():
        agree(keys, make)

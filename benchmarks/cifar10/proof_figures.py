"""The proof's figures from what its pieces told: the speed-up at equal accuracy, and what the search cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from proof_setup import HEADLINE, NETWORKS, RANDOM, SEARCHED, WIDTHS

SCHEMA = "onepath.cifar10/1"
TEST_IMAGES = 10_000

Point = tuple[float, float]
"""Accuracy, and latency in milliseconds."""


@dataclass(frozen=True)
class Equal:
    """What a line of networks takes at an accuracy. `bound` says of an accuracy off the line that the latency is
    that of the nearest end: "lower" where it is above the line, "upper" where it is below, else "none"."""

    latency_ms: float
    bound: str


def line_of(points: Sequence[Point]) -> list[Point]:
    """The networks of which none is as accurate and faster, the fastest first."""
    line: list[Point] = []
    for accuracy, latency_ms in sorted(points, key=lambda point: (point[1], -point[0])):
        if not line or accuracy > line[-1][0]:
            line.append((accuracy, latency_ms))
    return line


def latency_at(points: Sequence[Point], accuracy: float) -> Equal:
    """The latency at an accuracy, on straight lines between neighbours of `line_of(points)`."""
    line = line_of(points)
    if accuracy < line[0][0]:
        return Equal(line[0][1], "upper")
    if accuracy > line[-1][0]:
        return Equal(line[-1][1], "lower")
    for (low, low_ms), (high, high_ms) in pairwise(line):
        if accuracy <= high:
            return Equal(low_ms + (high_ms - low_ms) * (accuracy - low) / (high - low), "none")
    return Equal(line[-1][1], "none")


def standard_error(accuracy: float, images: int = TEST_IMAGES) -> float:
    """The standard error of an accuracy by the choice of the test images alone."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def results(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All figures, from the summaries of the pieces by name."""
    measured = told["measure"]["networks"]
    line = [(measured[name]["accuracy_test"], measured[name]["latency_p50_ms"]) for name in WIDTHS]
    networks = [_network(name, measured[name], told[f"train_{name}"], line) for name in NETWORKS]
    by_name = {each["name"]: each for each in networks}
    headline = by_name[HEADLINE]
    searches = [_search(name, told[f"search_{name}"], told[f"train_{name}"]) for name in SEARCHED]
    return {
        "headline": HEADLINE,
        "speedup_at_equal_accuracy": headline["speedup_at_equal_accuracy"],
        "speedup_bound": headline["speedup_bound"],
        "speedup_range": headline["speedup_range"],
        "search_cost_in_trainings": searches[SEARCHED.index(HEADLINE)]["cost_in_trainings"],
        "accuracy_over_random": headline["accuracy_test"]
        - fmean(by_name[name]["accuracy_test"] for name in RANDOM),
        **_errors(networks),
        "networks": networks,
        "searches": searches,
        "profile": {key: told["profile"][key] for key in ("kernels", "noisy", "profile")},
        "machine": told["measure"]["machine"],
        "same_hour": _same_hour(told["same_hour"], by_name),
        "caps": told["search_" + HEADLINE]["caps"],
    }


def _network(
    name: str, measured: Mapping[str, Any], trained: Mapping[str, Any], line: Sequence[Point]
) -> dict[str, Any]:
    accuracy, own_ms = measured["accuracy_test"], measured["latency_p50_ms"]
    error = standard_error(accuracy)
    return {
        "name": name,
        "kind": "mobilenet_v2" if name in WIDTHS else "random" if name in RANDOM else "searched",
        "accuracy_test": accuracy,
        **_latencies(measured, accuracy, line),
        "params": trained["params"],
        "macs": trained["macs"],
        "speedup_range": [latency_at(line, accuracy + by).latency_ms / own_ms for by in (-error, error)],
        "training_images": trained["images"],
        "training_peak_memory_mb": trained["train"]["peak_memory_mb"],
    }


def _latencies(measured: Mapping[str, Any], accuracy: float, line: Sequence[Point]) -> dict[str, Any]:
    """A network's latency beside its prediction, and beside that of `line` at its accuracy."""
    own_ms, equal = measured["latency_p50_ms"], latency_at(line, accuracy)
    return {
        **{key: measured[key] for key in ("latency_p50_ms", "latency_p90_ms", "latency_predicted_ms")},
        "prediction_error": measured["latency_predicted_ms"] / own_ms - 1,
        "speedup_at_equal_accuracy": equal.latency_ms / own_ms,
        "speedup_bound": equal.bound,
    }


def _errors(networks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    errors = [abs(each["prediction_error"]) for each in networks]
    return {"prediction_error_mean": fmean(errors), "prediction_error_worst": max(errors)}


def _same_hour(told: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The latencies and predictions of one hour, and the speed-up by them at the accuracies of before."""
    measured = told["networks"]
    line = [(by_name[name]["accuracy_test"], measured[name]["latency_p50_ms"]) for name in WIDTHS]
    networks = [
        {"name": name, **_latencies(measured[name], by_name[name]["accuracy_test"], line)}
        for name in NETWORKS
    ]
    return {
        "machine": told["machine"],
        "minutes": told["minutes"],
        **_errors(networks),
        "networks": networks,
    }


def _search(name: str, searched: Mapping[str, Any], trained: Mapping[str, Any]) -> dict[str, Any]:
    spent, images = searched["search"], searched["images_weights"] + searched["images_architecture"]
    return {
        "name": name,
        "seconds": spent["seconds"],
        "cpu_seconds": spent["cpu_seconds"],
        "images_weights": searched["images_weights"],
        "images_architecture": searched["images_architecture"],
        "cost_in_trainings": spent["cpu_seconds"] / trained["train"]["cpu_seconds"],
        "cost_in_training_images": images / trained["images"],
        "peak_memory_mb": spent["peak_memory_mb"],
        "memory_over_training": spent["peak_memory_mb"] / trained["train"]["peak_memory_mb"],
        "accuracy_validation": searched["accuracy_validation"],
    }

"""The plot of accuracy against measured latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.picture.shapes import Picture, circle, group, label, polyline, rectangle
from runtime.picture.templates import environment
from runtime.report.axes import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axes, spread

STYLE = """
text { font: 11px system-ui, sans-serif; fill: #333; }
.page { fill: #fff; } .grid { stroke: #e4e4e4; } .axis { stroke: #666; } .faint { fill: #777; }
.course { fill: none; stroke: #888; stroke-width: 1.4; }
.mobilenet_v2 circle { fill: #888; } .random circle { fill: #c98a1b; } .searched circle { fill: #1d7a46; }
"""
KINDS = {"searched": "searched", "random": "random, same cap", "mobilenet_v2": "MobileNetV2"}


def accuracy_svg(networks: Sequence[Mapping[str, Any]]) -> str:
    """One SVG file: no script, no link; the same networks give the same bytes."""
    template = environment().get_template("picture.svg.j2")
    return template.render(picture=accuracy_picture(networks), style=STYLE)


def accuracy_picture(networks: Sequence[Mapping[str, Any]]) -> Picture:
    """A dot for each network, and a line through MobileNetV2's widths."""
    points = {each["name"]: (each["latency_p50_ms"], 100 * each["accuracy_test"]) for each in networks}
    across = spread([x for x, _ in points.values()], from_zero=True)
    axes = Axes(across, spread([y for _, y in points.values()]), "ms at one thread")
    text = "Test accuracy in per cent against the measured latency, batch 1."
    shapes = [rectangle(0, 0, WIDTH, HEIGHT, "page"), *axes.shapes(), label(LEFT, TOP - 5, text, "faint")]
    widths = sorted(points[each["name"]] for each in networks if each["kind"] == "mobilenet_v2")
    shapes.append(polyline([axes.at(*point) for point in widths], "course"))
    for each in networks:
        x, y = axes.at(*points[each["name"]])
        shapes.append(group((circle(x, y, 4, "dot"),), each["kind"], each["name"]))
    for number, (kind, name) in enumerate(KINDS.items()):
        x, y = WIDTH - RIGHT - 118, HEIGHT - 84 + 15 * number
        shapes.append(group((circle(x, y - 4, 4, "dot"), label(x + 10, y, name)), kind))
    return Picture("accuracy", "Accuracy against latency", text, WIDTH, HEIGHT, tuple(shapes))

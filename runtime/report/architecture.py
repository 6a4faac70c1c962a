"""The picture of the network that was found: its layers, and under each the candidates it was chosen from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsl.suggest import counted
from runtime.picture.shapes import Picture, Shape, label, line, rectangle
from runtime.report.layers import Layer, initials, shape, short_labels
from runtime.report.numbers import count, percent
from runtime.report.values import MixedChoice

WIDTH = 1040.0
LEFT = 128.0
TALLEST, LOWEST = 136.0, 66.0
SKIPPED = 40.0
CELL = 21.0
ROWS_CAP = 20
COLUMNS_CAP = 26
GAP = 46.0
_WINDOWS = {1: "w1", 2: "w3", 3: "w3", 4: "w5", 5: "w5"}


def architecture_picture(layers: Sequence[Layer], mixed: Sequence[MixedChoice]) -> Picture:
    """Blocks from input to output, as high as their images are large; below, probabilities by candidate."""
    names = short_labels(mixed)
    rows = _rows(mixed, names)
    lines = math.ceil(len(layers) / COLUMNS_CAP)
    each = math.ceil(len(layers) / lines)
    height = TALLEST + GAP + CELL * len(rows) + 14
    shapes: list[Shape] = []
    for number in range(lines):
        part = layers[number * each : (number + 1) * each]
        shapes += _strip(part, rows, names, number * height, (WIDTH - LEFT) / each, _largest(layers))
    searched = sum(layer.choice is not None for layer in layers)
    skipped = sum(layer.output is None for layer in layers)
    text = f"{counted(len(layers), 'layer')} from input to output, {searched} of them searched, {skipped} skipped."
    return Picture("architecture", "The architecture found", text, WIDTH, lines * height, tuple(shapes))


def _largest(layers: Sequence[Layer]) -> int:
    return max((layer.output[1] for layer in layers if layer.output and len(layer.output) == 3), default=1)


def _rows(mixed: Sequence[MixedChoice], names: dict[str, str]) -> list[str]:
    """The candidates' short labels, one a row: the likeliest where there are too many, in their order."""
    best: dict[str, float] = {}
    for choice in mixed:
        for text, chance in zip(choice.labels, choice.probabilities, strict=True):
            best[names[text]] = max(best.get(names[text], 0.0), chance)
    kept = sorted(best, key=lambda name: -best[name])[:ROWS_CAP]
    return [name for name in best if name in kept]


def _strip(
    layers: Sequence[Layer], rows: list[str], names: dict[str, str], top: float, step: float, largest: int
) -> list[Shape]:
    base = top + TALLEST
    shapes = [line(LEFT - 8, base, WIDTH, base, "axis")]
    for row, name in enumerate(rows):
        shapes.append(label(LEFT - 14, base + GAP + row * CELL + 14, name, "label", "end"))
    if rows:
        shapes.append(label(LEFT - 14, base + 17, "gives", "faint", "end"))
        shapes.append(label(LEFT - 14, base + 31, "channels, size", "faint", "end"))
    for column, layer in enumerate(layers):
        x = LEFT + column * step
        shapes += _block(layer, names, x, base, step, largest)
        shapes += _cells(layer, rows, names, x, base + GAP, step)
    return shapes


def _block(
    layer: Layer, names: dict[str, str], x: float, base: float, step: float, largest: int
) -> list[Shape]:
    middle, width = x + step / 2, min(step - 6, 58)
    if layer.output is None:
        title = f"{layer.place}: {layer.title}"
        return [rectangle(middle - width / 2, base - SKIPPED, width, SKIPPED, "skipped", 5, title),
                label(middle + 4, base - SKIPPED / 2, "skip", "faint", "middle", turned=True)]  # fmt: skip
    size = layer.output[1] if len(layer.output) == 3 else 1
    height = LOWEST + (TALLEST - LOWEST) * math.log2(size + 1) / math.log2(largest + 1)
    css = "fixed" if layer.choice is None else _WINDOWS.get(layer.window, "w7" if layer.window else "w1")
    title = f"{layer.place}: {layer.title}, gives {shape(layer.output)}, {count(layer.macs)} MACs"
    text = initials(names[layer.title]) if layer.choice else layer.title.partition(" + ")[0]
    result = [
        rectangle(middle - width / 2, base - height, width, height, f"block {css}", 5, title),
        label(
            middle + 4, base - height / 2, text, "inside" if layer.choice else "label", "middle", turned=True
        ),
        label(middle, base + 17, str(layer.output[0]), "label", "middle"),
    ]
    if len(layer.output) == 3:
        result.append(label(middle, base + 31, shape(layer.output[1:]), "faint", "middle"))
    return result


def _cells(
    layer: Layer, rows: list[str], names: dict[str, str], x: float, top: float, step: float
) -> list[Shape]:
    if layer.choice is None:
        return []
    shapes: list[Shape] = []
    width = min(step - 6, 58)
    left = x + (step - width) / 2
    for index, (text, chance) in enumerate(zip(layer.choice.labels, layer.choice.probabilities, strict=True)):
        if names[text] not in rows:
            continue
        y = top + rows.index(names[text]) * CELL
        chosen = index == layer.choice.chosen
        title = f"{layer.choice.name}: {text}, {percent(chance)}" + (", chosen" if chosen else "")
        shapes.append(rectangle(left, y, width, CELL - 3, "cell", 3, opacity=0.06 + 0.86 * chance))
        css = "on" if chance > 0.65 else "label"
        shapes.append(label(left + width / 2, y + 13.5, f"{100 * chance:.0f}", css, "middle"))
        shapes.append(rectangle(left, y, width, CELL - 3, "chosen" if chosen else "cover", 3, title))
    return shapes

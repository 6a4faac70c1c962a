"""How the candidates' probabilities went: a small chart of stacked areas for each decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from dsl.suggest import counted
from runtime.picture.shapes import Picture, Shape, group, label, line, polygon, rectangle
from runtime.report.layers import initials, short_labels
from runtime.report.numbers import percent
from runtime.report.values import MixedChoice, Snapshot

COLUMNS, WIDTH = 4, 1040.0
PANELS_CAP = 60
"""The most decisions that are drawn."""
SNAPSHOTS_CAP = 40
"""The most places across a chart: closer ones are not told apart at its width."""
COLOURS = 12
"""How many colours the style sheet has; candidates beyond them begin again."""
LEFT, GAP, HEAD, PLOT, FOOT = 38.0, 16.0, 20.0, 86.0, 34.0
CELL = WIDTH / COLUMNS
KEY_ROW, KEY_LETTER = 20.0, 6.6
CHOICE_LETTERS, LETTER, BOLD_LETTER = 16, 6.7, 7.6


@dataclass(frozen=True)
class _Panel:
    """What a decision's chart needs; `names` are the candidates' labels as the key has them."""

    decision: str
    names: Mapping[str, str]
    chosen: str
    snapshots: Sequence[Snapshot]

    def share(self, snapshot: Snapshot, candidate: str) -> float:
        return snapshot.probabilities[self.decision].get(candidate, 0.0)


def probabilities_picture(snapshots: Sequence[Snapshot], mixed: Sequence[MixedChoice]) -> Picture | None:
    """Small charts, four a row, with one key for all; None where there is no course to draw."""
    if len({snapshot.step for snapshot in snapshots}) < 2:
        return None
    names, kept = short_labels(mixed), _thinned(snapshots)
    choices = [choice for choice in mixed if all(choice.name in each.probabilities for each in kept)]
    drawn = choices[:PANELS_CAP]
    if not drawn:
        return None
    order = list(dict.fromkeys(names[text] for choice in drawn for text in choice.labels))
    shapes, top = _key(order)
    for number, choice in enumerate(drawn):
        panel = _Panel(
            choice.name, {text: names[text] for text in choice.labels}, choice.labels[choice.chosen], kept
        )
        row, column = divmod(number, COLUMNS)
        inner = tuple(_panel(panel, order))
        shapes.append(group(inner, "panel", x=column * CELL, y=top + row * (HEAD + PLOT + FOOT)))
    height = top + ceil(len(drawn) / COLUMNS) * (HEAD + PLOT + FOOT)
    text = f"{len(drawn)} of {counted(len(choices), 'decision')}, from step {kept[0].step:,} to {kept[-1].step:,}."
    return Picture("probabilities", "Probability of each candidate, %", text, WIDTH, height, tuple(shapes))


def _thinned(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The first, the last, and evenly between them as many as are told apart."""
    by_step = list({snapshot.step: snapshot for snapshot in snapshots}.values())
    count = min(len(by_step), SNAPSHOTS_CAP)
    return [by_step[round(index * (len(by_step) - 1) / (count - 1))] for index in range(count)]


def _key(order: Sequence[str]) -> tuple[list[Shape], float]:
    """The candidates' colours, in as many rows as they need, and the height of these."""
    shapes: list[Shape] = []
    x, y = 0.0, 0.0
    for number, name in enumerate(order):
        width = 34 + KEY_LETTER * len(name)
        if x and x + width > WIDTH:
            x, y = 0.0, y + KEY_ROW
        shapes.append(rectangle(x, y + 1, 12, 12, f"share {_colour(number)}", 3))
        shapes.append(label(x + 18, y + 11, name))
        x += width
    return shapes, y + KEY_ROW + 12


def _colour(number: int) -> str:
    return f"p{number % COLOURS}"


def _panel(panel: _Panel, order: Sequence[str]) -> Iterator[Shape]:
    last = panel.snapshots[-1]
    choice = initials(panel.names[panel.chosen])
    final = f"{_cut(choice, CHOICE_LETTERS)} {percent(panel.share(last, panel.chosen), 0)}"
    room = int((CELL - GAP - LEFT - BOLD_LETTER * (len(final) + 1)) / LETTER)
    yield label(LEFT, HEAD - 7, _without_middle(panel.decision, room), "label")
    yield label(CELL - GAP, HEAD - 7, final, "value", "end")
    yield from _areas(panel, order)
    for share in (0.0, 0.5, 1.0):
        y = HEAD + PLOT * (1 - share)
        yield label(LEFT - 6, y + 4, f"{100 * share:.0f}", "faint", "end")
        yield line(LEFT - 3, y, LEFT, y, "axis")
    yield line(LEFT, HEAD + PLOT, CELL - GAP, HEAD + PLOT, "axis")
    yield label(LEFT, HEAD + PLOT + 14, f"step {panel.snapshots[0].step:,}", "faint")
    yield label(CELL - GAP, HEAD + PLOT + 14, f"{last.step:,}", "faint", "end")


def _areas(panel: _Panel, order: Sequence[str]) -> Iterator[Shape]:
    """From the highest sum to the lowest: each area covers what lies under it of the one before."""
    steps = [snapshot.step for snapshot in panel.snapshots]
    width = (CELL - GAP - LEFT) / (steps[-1] - steps[0])
    across = [LEFT + (step - steps[0]) * width for step in steps]
    floor = HEAD + PLOT
    sums = [0.0] * len(steps)
    areas: list[Shape] = []
    for candidate in sorted(panel.names, key=lambda text: order.index(panel.names[text])):
        shares = [panel.share(snapshot, candidate) for snapshot in panel.snapshots]
        sums = [total + share for total, share in zip(sums, shares, strict=True)]
        points = [(x, floor - PLOT * min(total, 1.0)) for x, total in zip(across, sums, strict=True)]
        outline = [(across[0], floor), *points, (across[-1], floor)]
        css = f"share {_colour(order.index(panel.names[candidate]))}"
        chosen = ", chosen" if candidate == panel.chosen else ""
        title = f"{panel.decision}: {candidate}, {percent(shares[0])} to {percent(shares[-1])}{chosen}"
        areas.append(group([polygon(outline, css)], "area-of-candidate", title))
    yield from reversed(areas)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _without_middle(text: str, letters: int) -> str:
    """A name cut in its middle: what tells decisions apart is at both ends."""
    if len(text) <= letters:
        return text
    head = letters * 3 // 5
    return f"{text[:head]}…{text[len(text) - (letters - head - 1) :]}"

"""The report of several targets: the cross table, the latencies as bars, and what each network chose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.files import write_atomic
from runtime.picture.shapes import Picture
from runtime.picture.templates import digest, environment
from runtime.report.charts import Bar, latency_picture
from runtime.report.numbers import count, figures, milliseconds, percent
from runtime.specialise.cross import Cell, Cross

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class CellWords:
    """A network on a target. `mood` is good where it holds the limits, else bad."""

    latency: str
    measured: str
    mood: str
    home: bool


@dataclass(frozen=True)
class RowWords:
    """A network: the target that it was searched for, where its own report is, if it has one, and its cells."""

    name: str
    report: str
    facts: tuple[str, ...]
    cells: tuple[CellWords, ...]


@dataclass(frozen=True)
class Choice:
    """A decision and what each network chose; `differs` where they do not agree."""

    decision: str
    chosen: tuple[str, ...]
    differs: bool


@dataclass(frozen=True)
class CrossPage:
    """The whole report."""

    title: str
    subtitle: str
    warnings: tuple[str, ...]
    fact_header: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    rows: tuple[RowWords, ...]
    best: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]
    networks: tuple[str, ...]
    choices: tuple[Choice, ...]
    choice_words: str


def write_cross_report(path: Path, cross: Cross, reports: Sequence[str]) -> Path:
    """Write the report of a cross table; `reports` are the targets whose own report stands in their folder.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_atomic(path, render_cross(cross, reports))


def render_cross(cross: Cross, reports: Sequence[str] = ()) -> str:
    """The page as HTML, safe like that of one run; the same table gives the same bytes."""
    style = "".join((TEMPLATES / name).read_text() for name in ("report.css", "cross.css"))
    template = environment(TEMPLATES).get_template("cross.html.j2")
    return template.render(page=page_of_cross(cross, reports), style=style, style_digest=digest(style))


def page_of_cross(cross: Cross, reports: Sequence[str] = ()) -> CrossPage:
    """The page of a cross table."""
    choices = tuple(_choices(cross))
    differing = sum(choice.differs for choice in choices)
    return CrossPage(
        title=f"{cross.space} on {len(cross.targets)} targets",
        subtitle=f"{cross.source}, searched for each of {', '.join(dict.fromkeys([*cross.networks, *cross.failed]))}",
        warnings=tuple(_warnings(cross)),
        fact_header=("score", *(("test accuracy",) if _trained(cross) else ()), "MACs", "parameters"),
        targets=tuple((name, " and ".join(on.limits) or "no limit") for name, on in cross.targets.items()),
        rows=tuple(_row(cross, name, reports) for name in cross.networks),
        best=tuple((target, _best_words(cross, target)) for target in cross.targets),
        pictures=tuple(_pictures(cross)),
        networks=tuple(cross.networks),
        choices=choices,
        choice_words=f"The networks differ in {differing} of {len(choices)} decisions, which are set in bold.",
    )


def _trained(cross: Cross) -> bool:
    return any(network.accuracy_test is not None for network in cross.networks.values())


def _warnings(cross: Cross) -> Iterator[str]:
    for target, why in cross.failed.items():
        found = target in cross.networks
        yield f"{'The run ended early' if found else 'There is no network'} for {target}: {why}"
    for target, on in cross.targets.items():
        if on.noisy:
            yield f"The machine was noisy while the networks were measured on {target}."


def _row(cross: Cross, name: str, reports: Sequence[str]) -> RowWords:
    network = cross.networks[name]
    accuracy = network.accuracy_test
    test = ("-" if accuracy is None else percent(accuracy, 2),) if _trained(cross) else ()
    facts = (figures(network.score, 4), *test, count(network.macs), count(network.params))
    cells = tuple(_cell(cell, target == name) for target, cell in network.on.items())
    return RowWords(name, f"{name}/report.html" if name in reports else "", facts, cells)


def _cell(cell: Cell, home: bool) -> CellWords:
    error = "" if cell.error_ms is None else f" ± {milliseconds(cell.error_ms)}"
    measured = "" if cell.measured_ms is None else f"measured {milliseconds(cell.measured_ms)}"
    return CellWords(milliseconds(cell.predicted_ms) + error, measured, "good" if cell.holds else "bad", home)


def _best_words(cross: Cross, target: str) -> str:
    best, why = cross.best_on(target), cross.targets[target].not_measured
    words = (
        "no network holds its limits"
        if best is None
        else f"the best network that holds its limits is that of {best}"
    )
    return words if why is None else f"{words}; not measured: {why}"


def _pictures(cross: Cross) -> Iterator[Picture]:
    """For each target the networks as bars, what was measured below what its table says."""
    for target in cross.targets if cross.networks else ():
        bars = []
        for name, network in cross.networks.items():
            cell = network.on[target]
            high_ms = None if cell.error_ms is None else cell.predicted_ms + cell.error_ms
            bars.append(Bar(f"of {name}, by the table", cell.predicted_ms, "predicted", high_ms))
            if cell.measured_ms is not None:
                bars.append(Bar("measured", cell.measured_ms, "mine"))
        picture = latency_picture(bars, None)
        yield replace(picture, key=f"latency-{target}", title=f"Latency of each network on {target}")


def _choices(cross: Cross) -> Iterator[Choice]:
    paths = dict.fromkeys(path for network in cross.networks.values() for path in network.choices)
    for path in paths:
        chosen = tuple(str(network.choices.get(path, "-")) for network in cross.networks.values())
        yield Choice(path, chosen, len(set(chosen)) > 1)

"""The report of the proof: `results.json`, `plot.svg` and `README.md`, from the summaries of the pieces alone."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from proof_figures import SCHEMA, results
from proof_pieces import pieces, summary_of
from proof_plot import accuracy_svg
from proof_setup import BATCH, EPOCHS, HERE, RECIPE, SEARCH, STRATEGIES, TUNING, Setup

from runtime.files import write_atomic, write_json

AIM = 1.8


def write_report(setup: Setup) -> None:
    """Write the three files into `setup.out`.

    Raises:
        FileProblem: a piece is not done; it names the piece's file.
    """
    figures = results({piece.name: summary_of(setup, piece.name) for piece in pieces(setup)})
    write_json(setup.out / "results.json", figures, SCHEMA)
    write_atomic(setup.out / "plot.svg", accuracy_svg(figures["networks"]))
    write_atomic(setup.out / "README.md", readme(figures, setup.scale))


def readme(figures: dict[str, Any], scale: float) -> str:
    """The report as Markdown."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=False,  # Markdown of our own figures
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    settings = {"recipe": RECIPE, "search": SEARCH, "strategies": STRATEGIES, "tuning": TUNING}
    by_name = {each["name"]: each for each in figures["networks"]}
    return environment.get_template("README.md.j2").render(
        **figures, **settings, by_name=by_name, aim=AIM, batch=BATCH, epochs=EPOCHS, scale=scale
    )

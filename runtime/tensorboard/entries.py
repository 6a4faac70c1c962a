"""A logged event as the numbers and texts that a viewer shows, by their tags.

Tags are `event/field`, and deeper where a field holds several numbers: `architecture/expected/macs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TEXTS = ("plan", "pruned", "front", "result")
"""Events that are read as a text."""
_HIDDEN = ("event", "step", "wall_s", "number")


def numbers_of(event: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an event, by tag."""
    kind = event["event"]
    if kind == "probabilities":
        return dict(_numbers(kind, event["probabilities"]))
    if kind == "pruned":
        fields = {f"pruned/{event['decision']}": event["left"], "pruned/total": event["total_left"]}
        return dict(_numbers("", fields))
    return {} if kind in TEXTS else dict(_numbers(kind, _shown(event)))


def text_of(event: Mapping[str, Any]) -> str | None:
    """The text of an event, in Markdown; None for one that is numbers alone."""
    kind = event["event"]
    if kind not in TEXTS:
        return None
    if kind == "pruned":
        return _pruned_text(event)
    return _table(_front_rows(event)) if kind == "front" else _table([("", ""), *_facts(_shown(event))])


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _HIDDEN}


def _numbers(place: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in fields.items():
        tag = f"{place}/{name}" if place else name
        if isinstance(value, Mapping):
            yield from _numbers(tag, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield tag, float(value)


def _facts(fields: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{place}{name}, ")
        else:
            yield f"{place}{name}", _said(value)


def _pruned_text(event: Mapping[str, Any]) -> str:
    return (
        f"`{event['label']}` of `{event['decision']}`: its probability {_said(event['probability'])} is under "
        f"{_said(event['threshold'])}. {event['left']} of the decision are left, {event['total_left']} in all."
    )


def _front_rows(event: Mapping[str, Any]) -> list[Sequence[str]]:
    """A network a row, the cheapest first."""
    networks = sorted(event["networks"], key=lambda each: list(each["costs"].values()))
    names = list(dict.fromkeys(name for each in networks for name in each["costs"]))
    rows = [
        [_said(each["score"]), *[_said(each["costs"].get(name)) for name in names], _said(each["picks"])]
        for each in networks
    ]
    return [("score", *names, "picks"), *rows]


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *others = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *others))


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)

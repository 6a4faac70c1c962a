"""The schema of settings in words: the tables of docs/language.md, and one line a setting."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from dsl.schema import CALLS, SECTIONS, Key


def default_of(make: type[Any], key: str) -> Any:
    """The default of a field, None where it has none."""
    field = next(each for each in fields(make) if each.name == key)
    return None if field.default is MISSING else field.default


def markdown() -> str:
    """The tables of settings that docs/language.md holds."""
    parts = []
    for section, (keys, make) in SECTIONS.items():
        parts.append(f"### `{section}`\n\n{_table(keys, make)}")
    for key, forms in CALLS:
        for form in forms:
            table = _table(form.keys, form.make) if form.keys else "No settings."
            parts.append(f"### `{key} = {form.name}`\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _table(keys: tuple[Key, ...], make: type[Any]) -> str:
    rows = [f"| `{key.name}` | {key.means} | {_kind(key)} | {_default(key, make)} |" for key in keys]
    return "\n".join(["| setting | meaning | value | default |", "|---|---|---|---|", *rows])


def _kind(key: Key) -> str:
    if key.kind == "word":
        return " or ".join(f"`{word}`" for word in key.words)
    if key.kind == "call":
        return ", ".join(f"`{form.name}`" for form in key.forms)
    if key.kind == "fraction":
        excluded = [bound for bound, is_out in (("0", key.above), ("1", key.below)) if is_out]
        return "0 to 1" + (f", without {' and '.join(excluded)}" if excluded else "")
    if key.kind == "number":
        return (
            "number"
            + (f" above {key.least}" if key.above else "")
            + (f" up to {key.most}" if key.most else "")
        )
    if key.kind == "count":
        return f"integer from {key.least}" + (f" to {key.most}" if key.most else "")
    return {
        "flag": "`true` or `false`",
        "text": "string",
        "entry": '`"module:function"`',
        "time": "time: `90 s`",
    }[key.kind]


def _default(key: Key, make: type[Any]) -> str:
    if key.required:
        return "must be given"
    value = default_of(make, key.name)
    if value is None:
        return "none"
    if key.kind == "call":
        return f"`{_written(key, value)}`"
    shown = (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return f'`"{shown}"`' if key.kind == "text" else f"`{shown}`"


def _written(key: Key, value: Any) -> str:
    """A default as it would be written: the form's name, and what differs from the form's own defaults."""
    form = next(each for each in key.forms if isinstance(value, each.make))
    plain = form.make(**dict(form.fixed))
    given = [each.name for each in form.keys if getattr(plain, each.name) != getattr(value, each.name)]
    return form.name + (
        f"({', '.join(f'{name} = {getattr(value, name):g}' for name in given)})" if given else ""
    )


def described(section: str, key: str, form: str | None = None) -> str | None:
    """A setting of a section, or of a form such as `sgd`, in one line; None where there is none.

    What it means, what may stand there and its default, as in the tables of docs/language.md.
    """
    keys, make = SECTIONS[section]
    if form is not None:
        forms = [each for outer in keys for each in outer.forms if each.name == form]
        keys, make = (forms[0].keys, forms[0].make) if forms else ((), make)
    found = next((each for each in keys if each.name == key), None)
    if found is None:
        return None
    return f"{found.means}; {_kind(found)}; default: {_default(found, make)}"

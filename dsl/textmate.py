"""`.space` texts in colour by a TextMate grammar, as VS Code and other editors read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dsl.lexical import DECLARING, Look, terminals, words

SCOPES: dict[Look, str] = {
    "comment": "comment.line.number-sign.space",
    "string": "string.quoted.double.space",
    "quantity": "constant.numeric.space",
    "number": "constant.numeric.space",
    "declaration": "keyword.declaration.space",
    "control": "keyword.control.space",
    "constant": "constant.language.space",
    "in": "variable.language.space",
    "merge": "support.function.space",
    "word operator": "keyword.operator.word.space",
    "name": "variable.other.space",
    "operator": "keyword.operator.space",
    "punctuation": "punctuation.space",
}
"""The scope for each look; white space has none."""
Rule = dict[str, Any]


def grammar_text() -> str:
    """The whole of grammar/vscode/syntaxes/space.tmLanguage.json."""
    grammar = {
        "information_for_contributors": ["Written from grammar/space.lark by dsl/textmate.py."],
        "name": "Onepath space",
        "scopeName": "source.space",
        "fileTypes": ["space"],
        "patterns": list(_rules()),
    }
    return json.dumps(grammar, indent=2, ensure_ascii=False) + "\n"


def _rules() -> Iterator[Rule]:
    """Rules in order: of those that match at the earliest place the first one wins."""
    found = {each.name: each for each in terminals()}
    name = found["NAME"].pattern
    yield {"match": found["COMMENT"].pattern, "name": SCOPES["comment"]}
    yield from _strings(found["STRING"].pattern)
    unit = {"0": {"name": SCOPES["quantity"]}, "3": {"name": "keyword.other.unit.space"}}
    yield {"match": rf"\b{found['QUANTITY'].pattern}", "captures": unit}
    yield {"match": rf"\b{found['NUMBER'].pattern}", "name": SCOPES["number"]}
    declaring = "|".join(found[each].pattern for each in DECLARING)
    captures = {"1": {"name": SCOPES["declaration"]}, "2": {"name": "entity.name.type.space"}}
    yield {"match": rf"\b({declaring})\s+({name})", "captures": captures}
    worded: tuple[Look, ...] = ("declaration", "control", "constant", "in", "merge", "word operator")
    for look in worded:
        yield {"match": rf"\b({'|'.join(words(look))})\b", "name": SCOPES[look]}
    yield {"match": rf"\b{name}(?=\s*\()", "name": "entity.name.function.space"}
    yield {"match": rf"\b{name}(?=\s*=(?!=))", "name": "variable.parameter.space"}
    yield {"match": rf"\b{name}", "name": SCOPES["name"]}
    signs: tuple[Look, ...] = ("operator", "punctuation")
    for look in signs:
        marks = (each.pattern for each in found.values() if each.look == look)
        yield {"match": "|".join(marks), "name": SCOPES[look]}


def _strings(pattern: str) -> Iterator[Rule]:
    """Closed strings with their escapes; one that is still being typed ends with its line."""
    escape = {"match": r"\\.", "name": "constant.character.escape.space"}
    yield {"match": pattern, "name": SCOPES["string"], "captures": {"0": {"patterns": [escape]}}}
    yield {"match": '"[^"\\n]*$', "name": "string.unterminated.space"}

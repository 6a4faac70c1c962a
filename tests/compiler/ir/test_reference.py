"""docs/operators.md is the operator table."""

from __future__ import annotations

from compiler.ir.ops import OPERATORS
from compiler.ir.reference import markdown
from tests.conftest import Golden


def test_documentation_is_the_table(golden: Golden) -> None:
    golden("../../docs/operators.md", markdown())


def test_costs_are_stated_where_there_are_some() -> None:
    sections = markdown().split("### `")[1:]
    costs = {
        text.split("`")[0].split("(")[0]: ("trained elements" in text, "MACs:" in text) for text in sections
    }
    plain = OPERATORS["relu"]
    assert costs == {
        name: (operator.weights is not plain.weights, operator.macs is not plain.macs)
        for name, operator in OPERATORS.items()
    }

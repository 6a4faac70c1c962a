"""docs/operators.md is the operator table."""

from __future__ import annotations

import pytest

from compiler.codegen.schedules import built_operators
from compiler.ir.ops import OPERATORS
from compiler.ir.reference import markdown
from tests.conftest import Golden


@pytest.mark.tvm
def test_documentation_is_the_table(golden: Golden) -> None:
    golden("../../docs/operators.md", markdown(built_operators()))


def test_costs_are_stated_where_there_are_some() -> None:
    sections = markdown(OPERATORS).split("### `")[1:]
    costs = {
        text.split("`")[0].split("(")[0]: ("trained elements" in text, "MACs:" in text) for text in sections
    }
    plain = OPERATORS["relu"]
    assert costs == {
        name: (operator.weights is not plain.weights, operator.macs is not plain.macs)
        for name, operator in OPERATORS.items()
    }


def test_what_has_no_kernel_is_said() -> None:
    page = markdown(set(OPERATORS) - {"attention"})
    assert "Not built yet: `attention`." in page
    assert page.count("- not built yet") == 1
    assert "one for every operator" in markdown(OPERATORS)

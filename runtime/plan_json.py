"""A plan as JSON, on its way to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.kernel import parse
from compiler.passes.fuse import KernelCall, Plan


def plan_from(fields: Mapping[str, Any]) -> Plan:
    """The plan whose `plan_to` this is."""
    calls = tuple(
        KernelCall(
            parse(call["kernel"]), tuple(call["inputs"]), call["output"], tuple(call["nodes"]), call["unit"]
        )
        for call in fields["calls"]
    )
    types = {name: tuple(shape) for name, shape in fields["types"].items()}
    return Plan(tuple(fields["inputs"]), calls, fields["output"], types)


def plan_to(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    calls = [
        {
            "kernel": call.kernel.signature,
            "inputs": call.inputs,
            "output": call.output,
            "nodes": call.nodes,
            "unit": call.unit,
        }
        for call in plan.calls
    ]
    return {"inputs": plan.inputs, "calls": calls, "output": plan.output, "types": dict(plan.types)}

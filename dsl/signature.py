"""What can be called, and how its arguments are given.

The operator table is the compiler's; it hands `check` a signature for each operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dsl.diagnostic import Diagnostic, Note
from dsl.source import Span
from dsl.suggest import listed, nearest
from dsl.syntax import Arg, Block


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; one that is not `required` has a default or is worked out."""

    name: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a block, an operator or a function, in the order of positional arguments.

    A `step` is applied to the value that reaches it; a `function` makes a value of its arguments alone.
    With `variadic` any number of positional arguments is taken, at least as many as there are parameters.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    kind: Literal["operator", "block", "function"] = "operator"
    variadic: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.parameters)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.parameters if each.required)


FUNCTIONS = {
    "min": Signature("min", (Parameter("first"), Parameter("second")), "function", variadic=True),
    "max": Signature("max", (Parameter("first"), Parameter("second")), "function", variadic=True),
    "divisible": Signature("divisible", (Parameter("x"), Parameter("divisor")), "function"),
}
"""The functions of values; they belong to the language, not to the operator table."""


def of_block(block: Block) -> Signature:
    """The signature that a block's definition states."""
    parameters = tuple(Parameter(each.name, each.default is None) for each in block.params)
    return Signature(block.name, parameters, "block")


def argument_problems(callee: Signature, args: Sequence[Arg], span: Span) -> Iterator[Diagnostic]:
    """What is wrong with the arguments of a call: unknown, given twice, too many, out of order, missing."""
    given: dict[str, Span] = {}
    known = callee.names
    first_named = next((index for index, arg in enumerate(args) if arg.name is not None), len(args))
    misplaced = False
    for index, arg in enumerate(args):
        if arg.name is None and index > first_named:
            yield Diagnostic("E0124", "a positional argument stands after a named one", arg.span, "name it")
            misplaced = True
            continue
        if arg.name is None and index >= len(known):
            if not callee.variadic:
                yield _too_many(callee, args[index:])
                return
            continue
        name = arg.name or known[index]
        if arg.name is not None and name not in known:
            near = nearest(name, known)
            if near is not None:
                given.setdefault(near, arg.span)
            hint = _takes(callee) if near is None else f"did you mean `{near}`?"
            yield Diagnostic(
                "E0120", f"`{callee.name}` has no parameter `{name}`", arg.name_span or arg.span, hint
            )
        elif name in given:
            notes = (Note("first here", given[name]),)
            message = f"`{name}` is given twice to `{callee.name}`"
            yield Diagnostic("E0122", message, arg.name_span or arg.span, notes=notes)
        given.setdefault(name, arg.span)
    # What a misplaced argument was for is unknown, and so is what is missing.
    if not misplaced:
        yield from missing_arguments(callee, given, span)


def missing_arguments(
    callee: Signature, given: Sequence[str] | dict[str, Span], span: Span
) -> Iterator[Diagnostic]:
    """One diagnostic that names every argument that is needed and not given."""
    missing = [f"`{name}`" for name in callee.required if name not in given]
    if missing:
        message = f"`{callee.name}` needs {listed(missing, 'and')}"
        yield Diagnostic("E0121", message, span, _takes(callee))


def _too_many(callee: Signature, surplus: Sequence[Arg]) -> Diagnostic:
    count = len(callee.parameters)
    message = f"`{callee.name}` takes {count or 'no'} argument{'s' * (count != 1)}"
    return Diagnostic("E0123", message, surplus[0].span, _takes(callee) if count else None)


def written(callee: Signature) -> str:
    """A signature as a call of it is written: `conv(out, kernel, stride = …)`."""
    parts = [each.name if each.required else f"{each.name} = …" for each in callee.parameters]
    return f"{callee.name}({', '.join(parts)}{', …' * callee.variadic})"


def _takes(callee: Signature) -> str:
    return f"it is `{written(callee)}`"

"""Random spaces as texts: every kind of decision, nested in each other, small enough to enumerate.

Every step keeps the type of what reaches it, so that any steps may follow each other. Names end in no digit, so that
a number behind one is always that of a sibling.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

T = TypeVar("T")

KERNELS = ("choose(1, 3)", "choose(1, 3, 5)", "choose(1..5 step 2)")
ACTS = ("relu", "hswish", "bn")


@dataclass(frozen=True)
class Scope:
    """Names that may be read: kernels, sets, truths, constants that count, tensors, functions."""

    kernels: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()


@dataclass
class Maker:
    """Makes one text. `chooses` is how many more times it may write `choose`."""

    stream: random.Random
    chooses: int = 6
    calls: list[str] = field(default_factory=list)
    _names: int = 0

    def text(self) -> str:
        """A whole file."""
        blocks = [self._block() for _ in range(self.stream.randrange(4))]
        blocks.append(f"block whole {{\n{self.body(Scope(), 2)}\n}}")
        inputs, entering = self.one_of(
            [
                ("input [2, 4, 4]", "in"),
                ("input [2, 4, 4]", "in"),
                ("input one [2, 4, 4]\n    input two [2, 4, 4]", "add(one, two)"),
            ]
        )
        width = self.chance(0.1) and self._choose()
        first = "conv(2 * choose(1, 2), 1) -> " if width else ""
        pipe = f"{entering} -> {first}whole -> global_pool -> linear(2)"
        return "\n".join([*blocks, f"space made {{\n    {inputs}\n    output [2]\n    {pipe}\n}}\n"])

    def one_of(self, options: Sequence[T]) -> T:
        """One of them, drawn evenly."""
        return self.stream.choice(options)

    def chance(self, probability: float) -> bool:
        return self.stream.random() < probability

    def name(self) -> str:
        """A name of two or more letters that nothing has yet."""
        number, letters = self._names, ""
        self._names += 1
        while True:
            number, letter = divmod(number, 26)
            letters = "abcdefghijklmnopqrstuvwxyz"[letter] + letters
            if not number:
                return f"n_{letters}"

    def _choose(self) -> bool:
        """Whether another `choose` may be written; it is taken as written."""
        self.chooses -= 1
        return self.chooses >= 0

    def _as(self) -> str:
        return f" as {self.name()}" if self.chance(0.2) else ""

    # Blocks

    def _block(self) -> str:
        name, tied = self.name(), "tied " if self.chance(0.5) else ""
        kind = self.one_of(
            [self._kernel_block, self._act_block, self._deep_block, self._tensor_block, self._plain]
        )
        return f"{tied}{kind(name)}"

    def _plain(self, name: str) -> str:
        body = self.body(Scope(), 1)
        self.calls.append(name)
        return f"block {name} {{\n{body}\n}}"

    def _kernel_block(self, name: str) -> str:
        parameter, default = self.name(), " = choose(1, 3)" if self.chance(0.5) and self._choose() else " = 3"
        body = f"conv(in.channels, {parameter}) -> {self.steps(Scope(kernels=(parameter,)), 1)}"
        self.calls += [name, f"{name}({parameter} = 1)"]
        if self._choose():
            self.calls.append(f"{name}({self.one_of(KERNELS)})")
        return f"block {name}({parameter}{default}) {{ {body} }}"

    def _act_block(self, name: str) -> str:
        parameter = self.name()
        body = f"{self.steps(Scope(acts=(parameter,)), 1)} -> {parameter}"
        self.calls += [f"{name}({act})" for act in ACTS[:2]]
        return f"block {name}({parameter}) {{ {body} }}"

    def _deep_block(self, name: str) -> str:
        """One that calls itself, once or twice, in a choice or not."""
        parameter, inner = self.name(), self.steps(Scope(), 0)
        again = f"{name}({parameter} - 1)"
        if self._choose():
            again = self.one_of(
                [
                    f"choose {{ stop: identity | more: {again} }}",
                    f"add choose 1..2 of {{ {again} | other: {again} }}",
                    f"{again} -> conv(in.channels, choose(1, 3))",
                ]
            )
        self.calls += [f"{name}(1)", f"{name}(2)"]
        return f"block {name}({parameter}) {{ {inner} -> if {parameter} > 0 {{ {again} }} }}"

    def _tensor_block(self, name: str) -> str:
        parameter = self.name()
        body = self.steps(Scope(tensors=(parameter,)), 1)
        self.calls += [f"{name}(in)", f"{name}(in -> bn)"]
        return f"block {name}({parameter}) {{ add({parameter}, in) -> {body} }}"

    # Bodies and steps

    def body(self, scope: Scope, depth: int) -> str:
        """Bindings, and a pipe that reads each of them."""
        bindings, used = [], []
        for _ in range(self.stream.randrange(3) if depth else 0):
            name, kind = self.name(), self.stream.randrange(4)
            if kind == 0 and self._choose():
                bindings.append(f"{name} = {self.one_of(KERNELS)}")
                used.append(f"conv(in.channels, {name})")
                scope = replace(scope, kernels=(*scope.kernels, name))
            elif kind == 1 and self._choose():
                bindings.append(f"{name} = choose {self.one_of(['0..1', '1', '1..2'])} of (1, 2, 3)")
                used.append(f"if {name} contains 2 {{ relu }}")
                scope = replace(scope, sets=(*scope.sets, name))
            elif kind == 2 and self._choose():
                bindings.append(f"{name} = choose(true, false)")
                used.append(f"residual when {name} {{ bn }}")
                scope = replace(scope, truths=(*scope.truths, name))
            else:
                bindings.append(f"{name} = in -> {self.steps(scope, depth - 1)}")
                used.append(f"add {{ identity | {name} -> bn }}")
                scope = replace(scope, tensors=(*scope.tensors, name))
        steps = [self.steps(scope, depth), *used]
        self.stream.shuffle(steps)
        return "\n".join([*bindings, " -> ".join(steps)])

    def braces(self, scope: Scope, depth: int) -> str:
        """A body in braces, in which `in` is what enters."""
        return f"{{ {self.body(scope, depth)} }}".replace("\n", " ")

    def steps(self, scope: Scope, depth: int) -> str:
        """One to three steps."""
        return " -> ".join(self.step(scope, depth) for _ in range(self.stream.randrange(1, 3 + (depth > 0))))

    def step(self, scope: Scope, depth: int) -> str:
        """One step."""
        deep: list[Callable[[Scope, int], str]] = [
            self._paths,
            self._paths,
            self._subset,
            self._subset,
            self._branches,
            self._residual,
            self._if,
            self._repeat,
        ]
        flat: list[Callable[[Scope], str]] = [
            self._operator,
            self._function,
            self._convolution,
            self._call,
            self._call,
        ]
        if depth and self.chance(0.6):
            return self.one_of(deep)(scope, depth - 1)
        return self.one_of(flat)(scope)

    def _operator(self, scope: Scope) -> str:
        prelude = ["squeeze_excite(1)", f"separable(in.channels, {self.kernel(scope)})"]
        return self.one_of(["relu", "bn", "zero", "identity", "max_pool(3, stride = 1)", *prelude])

    def _function(self, scope: Scope) -> str:
        if scope.acts:
            return self.one_of(scope.acts)
        return (
            f"choose({', '.join(ACTS[: self.stream.randrange(2, 4)])}){self._as()}"
            if self._choose()
            else "relu6"
        )

    def _convolution(self, scope: Scope) -> str:
        return f"{self.one_of(['conv(in.channels, ', 'depthwise('])}{self.kernel(scope)})"

    def _call(self, scope: Scope) -> str:
        if not self.calls:
            return "relu6"
        call = self.one_of(self.calls)
        return call + (self._as() if self.chance(0.5) else "")

    def _label(self, scope: Scope, depth: int) -> str:
        if self.calls and self.chance(0.3):
            return self._call(scope)
        return f"{self.name()}: {self.steps(scope, depth)}"

    def _candidates(self, scope: Scope, depth: int, least: int) -> str:
        found = [self._label(scope, depth) for _ in range(self.stream.randrange(least, 4))]
        if self.chance(0.3):
            found.append(
                f"{self.name()}: zero when {self.one_of(['1 < 2', '2 < 1', *[f'{c} == 1' for c in scope.counts]])}"
            )
        return " | ".join(found)

    def _paths(self, scope: Scope, depth: int) -> str:
        if not self._choose():
            return "relu6"
        return f"choose {{ {self._candidates(scope, depth, 1)} }}{self._as()}"

    def _subset(self, scope: Scope, depth: int) -> str:
        if not self._choose():
            return "relu6"
        branches = [self._label(scope, depth) for _ in range(self.stream.randrange(2, 4))]
        branches += [f"{name} -> {self.steps(scope, depth)}" for name in scope.tensors if self.chance(0.5)]
        picks = self.one_of(["1", "2", "1..2"])
        kind, after = self.one_of([("add", ""), ("add", ""), ("concat", " -> conv(in.channels, 1)")])
        return f"{kind} choose {picks} of {{ {' | '.join(branches)} }}{self._as()}{after}"

    def _branches(self, scope: Scope, depth: int) -> str:
        parts = [self._label(scope, depth) for _ in range(2)]
        return f"{self.one_of(['add', 'mul'])} {{ {' | '.join(parts)} }}"

    def _residual(self, scope: Scope, depth: int) -> str:
        when = f"when {self.condition(scope)} " if self.chance(0.5) else ""
        return f"residual {when}{self.braces(scope, depth)}"

    def _if(self, scope: Scope, depth: int) -> str:
        otherwise = f" else {self.braces(scope, depth)}" if self.chance(0.5) else ""
        return f"if {self.condition(scope)} {self.braces(scope, depth)}{otherwise}"

    def _repeat(self, scope: Scope, depth: int) -> str:
        count = "choose(1, 2)" if self.chance(0.5) and self._choose() else "2"
        tied = "tied " if self.chance(0.4) else ""
        if self.chance(0.5):
            return f"{tied}repeat {count} {self.braces(scope, depth)}"
        index = self.name()
        inner = self.braces(replace(scope, counts=(*scope.counts, index)), depth)
        return f"{tied}repeat {count} as {index} {{ if {index} == 1 {inner} else {{ relu }} }}"

    # Values

    def kernel(self, scope: Scope) -> str:
        """A window's size."""
        kinds = ["1", "3", *scope.kernels]
        if scope.kernels and self.chance(0.3):
            return f"max({self.one_of(scope.kernels)}, 3)"
        if self.chance(0.4) and self._choose():
            chosen = f"{self.one_of(KERNELS)}{self._as()}"
            return f"if {self.condition(scope)} then {chosen} else 3" if self.chance(0.4) else chosen
        return self.one_of(kinds)

    def condition(self, scope: Scope) -> str:
        """A condition, constant or not."""
        kinds = [f"{each} == 3" for each in scope.kernels]
        kinds += [f"{each} contains {self.stream.randrange(1, 4)}" for each in scope.sets]
        kinds += list(scope.truths) + [f"{each} == 1" for each in scope.counts]
        if self.chance(0.3) and self._choose():
            return self.one_of(["choose(true, false)", "choose(1, 2, 3) < 2"])
        if len(kinds) > 1 and self.chance(0.4):
            return f"{self.one_of(kinds)} {self.one_of(['and', 'or'])} not {self.one_of(kinds)}"
        return self.one_of(kinds or ["1 < 2", "2 < 1"])


def made(seed: int) -> str:
    """The text of a random space."""
    return Maker(random.Random(seed)).text()

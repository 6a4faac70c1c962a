"""Random programs of the language: most follow the grammar and many are sound, some are wrong in one place."""

from __future__ import annotations

import random
from collections.abc import Callable

STEPS = (
    *(
        "bn",
        "relu",
        "relu6",
        "hswish",
        "gelu",
        "identity",
        "zero",
        "global_pool",
        "flatten",
        "tokens",
        "softmax",
    ),
    *("dropout", "layer_norm", "class_token", "token"),
)
CALLED = (
    *("conv({n}, {k})", "conv({n}, {k}, stride = 2)", "conv({n}, {k}, bias = {b})", "depthwise({k})"),
    *("conv({n}, {k}, groups = {n})", "squeeze_excite({n})", "self_attention({n})"),
    *("linear({n})", "max_pool({k}, padding = {n})", "avg_pool({k}, stride = 2)"),
    *("dropout({v})", "slice({n}, {n})", "resize({k})", "channel_shuffle({n})", "attention({t}, {t})"),
    *(
        "matmul({t})",
        "separable({n}, {k})",
        "mlp({n})",
        "conv({n}, kernal = {k})",
        "conv({n})",
        "conv({t}, {v})",
    ),
)
KEEPING = ("relu", "bn", "identity", "zero", "conv(in.channels, {k})", "depthwise({k})", "hswish")
NAMES = ("a", "b", "w", "x", "y", "same", "i", "depth", "lib.a", "in", "missing")


class Programs:
    """Writes programs from a seed; `wrong` is how often something that does not fit is put in."""

    def __init__(self, seed: int, wrong: float) -> None:
        self.random = random.Random(seed)
        self.wrong = wrong
        self.blocks: list[tuple[str, int]] = []
        self.names: list[str] = []
        self.bound = 0
        self.keeping = False

    def pick(self, *of: str) -> str:
        """One of them."""
        return self.random.choice(of)

    def file(self) -> str:
        """A whole file."""
        self.names = ["2", "5"]
        parts = [f"c{index} = {self.plain()} * {self.plain()}" for index in range(self.random.randrange(3))]
        for index in range(self.random.randrange(4)):
            parts.append(self.block(f"block{index}"))
        parts.append(self.space())
        if self.random.random() < 0.3:
            parts.append(
                f"search s {{ data = {self.pick('digits', 'cifar10', 'npz', 'no')}  epochs = {self.value(1)} }}"
            )
        if self.random.random() < 0.1:
            self.random.shuffle(parts)
        return "\n".join(parts) + "\n"

    def block(self, name: str) -> str:
        """A block; those behind it may call it."""
        params = [f"{name}_p{index}" for index in range(self.random.randrange(3))]
        self.names = params.copy()
        written = [each if self.random.random() < 0.7 else f"{each} = {self.value(1)}" for each in params]
        body = self.body(3)
        self.blocks.append((name, len(params)))
        tied = "tied " if self.random.random() < 0.15 else ""
        return f"{tied}block {name}({', '.join(written)}) {body}"

    def space(self) -> str:
        """A space that ends in a classifier."""
        self.names = []
        named = self.random.random() < 0.05
        shape = self.rarely(
            self.pick("[16, 12]", "[24]", "[1, 2, 3, 4]"), self.pick("[3, 16, 16]", "[8, 7, 9]")
        )
        inputs = f"input x {shape}  input y {shape}" if named else f"input {shape}"
        if named:
            self.names = ["x", "y"]
        bindings, start = self.bindings(2)
        start = f"add(x, y) -> {start}" if named else start
        last = self.rarely(self.pick("linear(10)", "relu"), "global_pool -> linear(10)")
        require = self.pick("", "", "require macs <= 5 M", "require latency <= 3 ms on host")
        return f"space s {{ {inputs}  output [10]\n{bindings}{start}{self.pipe(3)} -> {last}\n{require} }}"

    def bindings(self, depth: int) -> tuple[str, str]:
        """Up to two names, and the start of a pipe that reads them."""
        lines, start = "", ""
        for _ in range(self.random.randrange(3)):
            name = self.name("n")
            if self.random.random() < 0.7:
                lines += f"{name} = {self.value(depth)}\n"
                start += f"if {name} == {self.plain()} {{ relu }} -> "
                self.names.append(name)
            elif not start:
                lines += f"{name} = in -> {self.pipe(depth - 1)}\n"
                start = f"{name} -> "
        return lines, start

    def name(self, letter: str) -> str:
        """A name that nothing else has."""
        self.bound += 1
        return f"{letter}{self.bound}"

    def rarely(self, odd: str, usual: str) -> str:
        """The odd one of two, once in ten times."""
        return odd if self.random.random() < 0.1 else usual

    def plain(self) -> str:
        """A name or a number."""
        return self.pick("1", "2", "3", "8", *self.names)

    def body(self, depth: int, keeping: bool = False) -> str:
        """Braces; with `keeping` what stands in them mostly keeps the type."""
        before, self.keeping = self.keeping, self.keeping or keeping
        kept = self.names.copy()
        bindings, start = self.bindings(depth - 1) if depth > 1 else ("", "")
        text = f"{{ {bindings}{start}{self.pipe(depth)} }}"
        self.names, self.keeping = kept, before
        return text

    def kept(self, depth: int) -> str:
        """A pipe that mostly keeps the type."""
        before, self.keeping = self.keeping, True
        text = self.pipe(depth)
        self.keeping = before
        return text

    def pipe(self, depth: int) -> str:
        """Steps with arrows between them."""
        return " -> ".join(self.step(depth) for _ in range(self.random.randint(1, 3)))

    def step(self, depth: int) -> str:
        """One step, with braces where `depth` is left."""
        kinds: list[Callable[[int], str]] = [self.operator, self.operator, self.called]
        if depth > 0:
            kinds += [self.choice, self.residual, self.repeat, self.condition, self.merge]
        return self.random.choice(kinds)(depth - 1)

    def operator(self, depth: int) -> str:
        if self.random.random() < self.wrong / 2:
            return self.pick(*NAMES, "->", "conv(", "3", '"text"')
        if self.keeping and self.random.random() < 0.95:
            return self._filled(self.pick(*KEEPING))
        if self.random.random() < 0.5:
            return self.pick(*STEPS[:7]) if self.random.random() < 0.9 else self.pick(*STEPS)
        return self._filled(self.pick(*CALLED[:4]) if self.random.random() < 0.9 else self.pick(*CALLED))

    def called(self, depth: int) -> str:
        if not self.blocks or self.keeping:
            return self.operator(depth)
        name, count = self.random.choice(self.blocks)
        args = ", ".join(self.value(1) for _ in range(count))
        return f"{name}({args})" if args else name

    def _filled(self, template: str) -> str:
        kernel = self.rarely(self.value(1), self.pick("1", "3", "3", "5", "choose(3, 5)"))
        number = self.rarely(self.value(1), self.pick("4", "8", "16", "in.channels", "choose(8, 16)"))
        tensor = self.pick("in", "in -> relu", *self.names)
        return template.format(
            n=number, k=kernel, v=self.value(1), t=tensor, b=self.rarely("1", self.pick("true", "false"))
        )

    def choice(self, depth: int) -> str:
        branches = [f"l{index}: {self.kept(depth)}" for index in range(self.random.randint(1, 3))]
        if self.random.random() < 0.2:
            branches[-1] += f" when {self.value(1)}"
        name = f" as d{self.random.randrange(3)}" if self.random.random() < 0.3 else ""
        return f"choose {{ {' | '.join(branches)} }}{name}"

    def residual(self, depth: int) -> str:
        when = f"when {self.truth(1)} " if self.random.random() < 0.5 else ""
        return f"residual {when}{self.body(depth, keeping=True)}"

    def repeat(self, depth: int) -> str:
        count = self.rarely(f"({self.value(1)})", self.pick("2", "3", "choose(1, 2, 3)", "7"))
        return f"{self.pick('', '', 'tied ')}repeat {count} as {self.name('i')} {self.body(depth)}"

    def condition(self, depth: int) -> str:
        other = f" else {self.body(depth, keeping=True)}" if self.random.random() < 0.5 else ""
        return f"if {self.truth(2)} {self.body(depth, keeping=True)}{other}"

    def merge(self, depth: int) -> str:
        kind = self.pick("add", "concat", "mul")
        branches = " | ".join(f"l{index}: {self.kept(depth)}" for index in range(self.random.randint(1, 3)))
        head = self.pick("", "", "choose 1 of ", "choose 1..2 of ")
        return (
            f"{kind}(in, in -> {self.pipe(depth)})"
            if head and kind == "mul"
            else f"{kind} {head}{{ {branches} }}"
        )

    def truth(self, depth: int) -> str:
        """A condition."""
        relation = self.pick("==", "<=", "<", "!=", ">")
        simple = f"{self.value(depth - 1)} {relation} {self.value(depth - 1)}"
        return self.pick(simple, simple, f"not {simple}", f"{simple} and {simple}", "choose(true, false)")

    def value(self, depth: int) -> str:
        """A value."""
        if depth <= 0 or self.random.random() < 0.4:
            return self.rarely(self.pick("0", "1.5", "in.channels", "in.height"), self.plain())
        left, right = self.value(depth - 1), self.value(depth - 1)
        return self.pick(
            *(f"{left} {sign} {right}" for sign in ("+", "-", "*", "//", "%", "/")),
            f"choose({left}, {right})",
            f"choose(1..{self.random.randint(1, 9)})",
            f"max({left}, {right})",
            f"divisible({left}, 4)",
            f"(if {left} < {right} then {left} else {right})",
            self.rarely("choose 1..2 of (1, 2, 3)", f"({left})"),
        )

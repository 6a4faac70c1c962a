"""The codes that lowering gives, which evaluates and expands: E03."""

from __future__ import annotations

from dsl.code import Code, Made


def _space(body: str, channels: int = 3) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"space s {{\n    input [3, 8, 8]\n    output [{channels}, 8, 8]\n{lines}}}"


def _doubling(depth: int) -> bytes:
    block = "block twice(n) { if n > 0 { twice(n - 1) -> twice(n - 1) } else { relu } }\n"
    return (block + _space(f"twice({depth})")).encode()


LOWERING_CODES = (
    Code(
        "E0301",
        "a value cannot be worked out",
        "An operator of values does not take these operands: a division by zero, an order between texts, a sum of\n"
        "logical values. A number that is computed may have 30 digits.",
        _space("n = 8 // 0\nconv(n, 3) -> identity"),
        _space("n = 8 // 1\nconv(n, 3) -> identity", 8),
    ),
    Code(
        "E0302",
        "something other than a value stands here",
        "A value is a number or true or false. Tensors, blocks and operators are none; texts and quantities\n"
        "with a unit stand in settings and caps only.",
        _space("conv(8 ms, 3)", 8),
        _space("conv(8, 3)", 8),
    ),
    Code(
        "E0303",
        "a constant is needed here",
        "This place may not depend on a decision: what candidates there are, the sizes of inputs and outputs, the\n"
        "ends of a range, the limit of a cap and the constants of a file are the same for all networks of a space.",
        _space("k = choose(0, 1)\nchoose { relu | skip: zero when k == 1 }"),
        _space("k = 1\nchoose { relu | skip: zero when k == 1 }"),
    ),
    Code(
        "E0304",
        "a size, a count or another number is not what its place takes",
        "Sizes and counts are integers from 1, paddings from 0, rates numbers from 0 to 1. A size that comes out as a\n"
        "fraction most often wants `//` or `divisible`.",
        _space("conv(in.channels / 2, 3) -> conv(3, 3)"),
        _space("conv(in.channels // 2, 3) -> conv(3, 3)"),
    ),
    Code(
        "E0306",
        "a range is no range",
        "The ends and the step are numbers, the end is not below the start, and the steps land on the end: both ends\n"
        "are options, and so none is left out by mistake.",
        _space("conv(choose(4..9 step 4), 3) -> conv(3, 3)"),
        _space("conv(choose(4..8 step 4), 3) -> conv(3, 3)"),
    ),
    Code(
        "E0307",
        "a decision has too many options",
        "A decision may have 1,024 options, since a search keeps something of each. Take a larger step, or fewer.",
        _space("conv(choose(1..5000), 3) -> conv(3, 3)"),
        _space("conv(choose(50..5000 step 50), 3) -> conv(3, 3)"),
    ),
    Code(
        "E0308",
        "the options of a decision differ in kind, or one stands twice",
        "Options are distinct constants of one kind, so that each is one choice. Where they would depend on\n"
        "something, let the decision be a factor: `choose(1, 2) * width`.",
        _space("conv(choose(4, 4), 3) -> conv(3, 3)"),
        _space("conv(choose(4, 5), 3) -> conv(3, 3)"),
    ),
    Code(
        "E0310",
        "a tensor of this type has no such size",
        "`[channels, height, width]` has all three, `[tokens, channels]` has those two, `[channels]` has one.",
        _space("conv(in.tokens, 3)"),
        _space("conv(in.channels, 3)"),
    ),
    Code(
        "E0311",
        "a condition is not true or false",
        "A number is no condition: compare it with something.",
        _space("if in.channels { relu }"),
        _space("if in.channels > 1 { relu }"),
    ),
    Code(
        "E0313",
        "the space has too many operators",
        "A space is expanded before it is searched, and there is a cap on what it may expand to: 20,000 operators,\n"
        "and as many bodies of blocks, iterations and branches. A recursion that doubles, or a repeat in a repeat,\n"
        "grows fast.",
        Made("a block that calls itself twice, 20 calls deep", lambda: _doubling(20)),
        Made("the same, 5 calls deep", lambda: _doubling(5)),
    ),
    Code(
        "E0314",
        "calls are nested too deeply",
        "A block that calls itself ends with an `if` on a constant; the cap on its depth is 64.",
        "block a(n) { if n > 0 { relu -> a(n + 1) } }\n" + _space("a(1)"),
        "block a(n) { if n > 0 { relu -> a(n - 1) } }\n" + _space("a(1)"),
    ),
    Code(
        "E0316",
        "no candidate is left",
        "`when` took out every one of them. One at least stands under every condition.",
        _space("choose { relu when in.channels > 8 | bn when in.channels > 16 }"),
        _space("choose { relu when in.channels > 8 | bn when in.channels <= 8 }"),
    ),
    Code(
        "E0317",
        "something other than a tensor stands here",
        "A merge, the value of a body and the start of a pipe are tensors.",
        _space("add(in, 3)"),
        _space("add(in, in -> relu)"),
    ),
    Code(
        "E0320",
        "an operator cannot stand here",
        "Its operands or its attributes do not fit: sizes differ, a window is larger than what it slides over, an\n"
        "even kernel states no padding. The message gives the types; the second places say where they come from,\n"
        "and which calls lead here.",
        _space("add(in, conv(8, 3))"),
        _space("add(in, conv(3, 3))"),
    ),
    Code(
        "E0321",
        "the paths of a choice differ in type",
        "All candidates of a path, both arms of an `if` on a decision, and the body of a residual or of an\n"
        "elastic repeat give one type, under every assignment: what follows is the same for all of them.",
        _space("choose { a: conv(8, 3) | b: relu }"),
        _space("choose { a: conv(3, 3) | b: relu }"),
    ),
    Code(
        "E0322",
        "an input has no type that a network takes",
        "An input has one to three dimensions: `[channels, height, width]`, `[tokens, channels]` or `[channels]`. The\n"
        "batch is none of them.",
        "space s {\n    input [1, 3, 8, 8]\n    output [3, 8, 8]\n    relu\n}",
        "space s {\n    input [3, 8, 8]\n    output [3, 8, 8]\n    relu\n}",
    ),
    Code(
        "E0323",
        "the space makes another type than its output says",
        "Put the output right, or the last step.",
        _space("conv(8, 3)"),
        _space("conv(8, 3)", 8),
    ),
    Code(
        "E0325",
        "a file has no such space",
        "Where a file has several spaces, say which with `--space NAME`. A file without a space is there to be used\n"
        "by others (`use`); nothing can be counted, shown or run of it.",
        _space("relu") + "\n" + _space("bn").replace("space s", "space t"),
        _space("relu"),
        asked=True,
    ),
    Code(
        "E0326",
        "the instances of a tied block differ in what a decision chooses between",
        "All instances of a tied block share its decisions, so that what is chosen in one is chosen in all. Each has\n"
        "then the same candidates everywhere: what stands in the arguments of a call must not change them.",
        "tied block unit(widest) { conv(3, choose(3, 5, widest)) }\n" + _space("unit(7) -> unit(9)"),
        "tied block unit { conv(3, choose(3, 5, 7)) }\n" + _space("unit -> unit"),
    ),
    Code(
        "E0327",
        "a number of picks does not fit its options",
        "`choose 2 of` picks without repetition: there are at least so many options, and the number is an integer,\n"
        "from 1 for paths and from 0 for values.",
        _space("add choose 4 of { relu | bn | identity }"),
        _space("add choose 2 of { relu | bn | identity }"),
    ),
    Code(
        "E0328",
        "`contains` is asked of what is no set",
        "A set is what `choose … of (…)` makes. Whether a value is one of several is asked with `==` and `or`.",
        _space("n = choose(1, 2, 3)\nif n contains 2 { relu }"),
        _space("n = choose 1..2 of (1, 2, 3)\nif n contains 2 { relu }"),
    ),
)

"""The codes that lowering gives: E02 and E03."""

from __future__ import annotations

from dsl.code import Code


def _space(channels: int, body: str) -> str:
    return f"space s {{ input [3, 8, 8]  output [{channels}, 8, 8]  {body} }}"


LOWERING_CODES = (
    Code(
        "E0300",
        "nothing has this name here",
        "Lowering found a name that the checks before it let pass, most likely one of a file brought in by `use`.",
    ),
    Code(
        "E0301",
        "a value cannot be worked out",
        "An operator of values does not take these operands: a division by zero, an order between texts, a sum of\n"
        "logical values.",
        _space(3, "n = 8 // 0  conv(n, 3) -> identity"),
        _space(8, "n = 8 // 1  conv(n, 3) -> identity"),
    ),
    Code(
        "E0302",
        "something other than a value stands here",
        "A value is a number or true or false. Tensors, blocks and operators are none; texts and quantities\n"
        "with a unit stand in settings and caps only.",
        _space(8, "conv(8 ms, 3)"),
        _space(8, "conv(8, 3)"),
    ),
    Code(
        "E0303",
        "a constant is needed here",
        "This place may not depend on a decision.",
        _space(3, "k = choose(0, 1)  choose { relu | skip: zero when k == 1 }"),
        _space(3, "k = 1  choose { relu | skip: zero when k == 1 }"),
    ),
    Code(
        "E0304",
        "a size or a count is not a positive integer",
        "Sizes and counts are integers from 1. A size that comes out as a fraction most often wants `//` or\n"
        "`divisible`.",
        _space(3, "repeat (3 / 2) { relu }"),
        _space(3, "repeat 2 { relu }"),
    ),
    Code(
        "E0305",
        "a function has the wrong number of arguments",
        "`min` and `max` take two or more, `divisible` takes two.",
    ),
    Code(
        "E0306",
        "a range is no range",
        "The ends and the step are numbers, the end is not below the start, and the steps land on the end.",
        _space(8, "choose { a: conv(choose(4..9 step 4), 3) -> conv(8, 1) }"),
        _space(8, "choose { a: conv(choose(4..8 step 4), 3) -> conv(8, 1) }"),
    ),
    Code(
        "E0307",
        "a decision has too many options",
        "Take a larger step, or fewer options.",
    ),
    Code(
        "E0308",
        "the options of a decision differ in kind, or one stands twice",
        "Options are distinct constants of one kind. Let the decision be a factor: `choose(1, 2) * width`.",
        _space(3, "conv(choose(4, 4), 3) -> conv(3, 1)"),
        _space(3, "conv(choose(4, 5), 3) -> conv(3, 1)"),
    ),
    Code(
        "E0309",
        "there is no `in` here",
        "`in` is the value that entered the innermost braces; nothing enters a file.",
    ),
    Code(
        "E0310",
        "a tensor of this type has no such size",
        "`[channels, height, width]` has all three, `[tokens, channels]` has those two, `[channels]` has one.",
        _space(3, "conv(in.tokens, 3)"),
        _space(3, "conv(in.channels, 3)"),
    ),
    Code(
        "E0311",
        "a condition is not true or false",
        "A number is no condition: compare it with something.",
        _space(3, "if in.channels { relu }"),
        _space(3, "if in.channels > 1 { relu }"),
    ),
    Code(
        "E0312",
        "something other than a step stands here",
        "After `->` stands a block, an operator or wiring; `add`, `concat` and `mul` take arguments or branches.",
        _space(3, "n = 3  n"),
        _space(3, "n = 3  conv(n, 3)"),
    ),
    Code(
        "E0313",
        "the space has too many operators",
        "A space is expanded before it is searched, and there is a cap on what it may expand to.",
    ),
    Code(
        "E0314",
        "calls are nested too deeply",
        "A block that calls itself ends with an `if` on a constant; the cap on its depth is 64.",
        "block a(n) { if n > 0 { a(n + 1) } }\n" + _space(3, "a(1)"),
        "block a(n) { if n > 0 { a(n - 1) } }\n" + _space(3, "a(1)"),
    ),
    Code(
        "E0315",
        "the arguments of a call do not fit",
        "An argument is missing, unknown or given twice, and the checks before could not tell: the callee was a\n"
        "parameter.",
    ),
    Code(
        "E0316",
        "no candidate is left",
        "`when` took out every one of them.",
        _space(3, "choose { a: relu when 1 > 2 }"),
        _space(3, "choose { a: relu when 1 < 2 }"),
    ),
    Code(
        "E0317",
        "something other than a tensor stands here",
        "The value of a body is a tensor.",
        _space(3, "add(in, 3)"),
        _space(3, "add(in, in -> relu)"),
    ),
    Code(
        "E0318",
        "a candidate needs a label",
        "See E0130.",
    ),
    Code(
        "E0320",
        "an operator cannot stand here",
        "Its operands or its attributes do not fit: sizes differ, a window is larger than what it slides over,\n"
        "an even kernel states no padding.",
        _space(3, "add(in, conv(8, 3))"),
        _space(3, "add(in, conv(3, 3))"),
    ),
    Code(
        "E0321",
        "the paths of a choice differ in type",
        "All candidates of a path, both arms of an `if` on a decision, and the body of a residual or of an\n"
        "elastic repeat give one type, under every assignment.",
        _space(3, "choose { a: conv(8, 3) | b: relu }"),
        _space(3, "choose { a: conv(3, 3) | b: relu }"),
    ),
    Code(
        "E0322",
        "an input has no type that a network takes",
        "A space has one input, of one to three dimensions.",
    ),
    Code(
        "E0323",
        "the space makes another type than its output says",
        "Put the output right, or the last step.",
        _space(8, "relu"),
        _space(3, "relu"),
    ),
    Code(
        "E0324",
        "a cap's metric or unit does not fit",
        "See E0142 and E0144.",
    ),
    Code(
        "E0325",
        "a file has no such space",
        "Where a file has several spaces, say which with `--space NAME`. A file without a space is there to be used\n"
        "by others (`use`); nothing can be counted, shown or run of it.",
    ),
    Code(
        "E0399",
        "this is not supported yet",
        "The language says what this means, and this release does not do it. docs/language.md lists what is missing.",
    ),
)

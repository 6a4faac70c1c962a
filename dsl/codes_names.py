"""The codes of names, arguments, bodies, items and files: E01 and W01, told without evaluating anything."""

from __future__ import annotations

from dsl.code import Code, Made


def _capped(cap: str) -> str:
    return f"space s {{\n    input [3, 8, 8]\n    output [3, 8, 8]\n    conv(3, 3) -> relu\n    require {cap}\n}}"


NAME_CODES = (
    Code(
        "E0101",
        "nothing has this name here",
        "A block sees its parameters, its bindings, and the file's blocks and constants; it does not see what is\n"
        "bound where it is called: pass that as an argument. A name bound in braces ends with them. The same code\n"
        "stands for an unknown space or target.",
        "block a { cnov(8, 3) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0102",
        "a name is defined or bound twice",
        "In braces and those around them a name is bound once, so that it means one thing wherever it is read. Blocks\n"
        "and constants share one set of names; spaces, targets and searches have their own.",
        "block a {\n    x = conv(8, 3)\n    x = x -> relu\n    x -> bn\n}",
        "block a {\n    x = conv(8, 3)\n    y = x -> relu\n    y -> bn\n}",
    ),
    Code(
        "E0103",
        "a name is used before it is bound",
        "Bindings and constants are read from the top. Only blocks may be used above their definition.",
        "block a {\n    y = x -> relu\n    x = conv(8, 3)\n    add(x, y)\n}",
        "block a {\n    x = conv(8, 3)\n    y = x -> relu\n    add(x, y)\n}",
    ),
    Code(
        "E0104",
        "a name hides another",
        "A name that is an operator's, a function's, a block's or a constant's means that everywhere in the file.",
        "block relu { identity }",
        "block activation { identity }",
    ),
    Code(
        "E0105",
        "there is no `in` here",
        "`in` is the value that entered the innermost braces. Nothing enters a file, and a space with several\n"
        "inputs has no `in`: a pipe there starts at an input by name.",
        "width = in.channels * 2\nblock a { conv(width, 3) }",
        "block a {\n    width = in.channels * 2\n    conv(width, 3)\n}",
    ),
    Code(
        "E0106",
        "a tensor or a value stands where a step is needed",
        "A pipe starts at a tensor or a step; after `->` stand steps, which are applied to what reaches them. To\n"
        "bring two tensors together, merge them with `add`, `concat` or `mul`.",
        "block a {\n    x = conv(8, 3)\n    relu -> x\n}",
        "block a {\n    x = conv(8, 3)\n    add(in -> relu, x)\n}",
    ),
    Code(
        "E0107",
        "a tensor has no such attribute",
        "A tensor has `.channels`, and by its type `.height` and `.width`, or `.tokens`.",
        "block a { conv(in.chanels, 3) }",
        "block a { conv(in.channels, 3) }",
    ),
    Code(
        "E0110",
        "a body makes no value",
        "A body is bindings, then one pipe, last: the pipe's value is the body's. To pass the input on, write\n"
        "`identity`.",
        "block a { x = conv(8, 3) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0111",
        "a pipe's value is lost",
        "Only the last statement of a body may be a pipe without a name. Most often an arrow is missing at the end\n"
        "of this line or at the start of the next.",
        "block a {\n    conv(8, 3) -> bn\n    relu -> conv(8, 3)\n}",
        "block a {\n    conv(8, 3) -> bn\n    -> relu -> conv(8, 3)\n}",
    ),
    Code(
        "E0112",
        "nobody reads this value",
        "A binding, or an input of a space with several, that is never read is most likely a mistake: a network has\n"
        "no operator whose result goes nowhere.",
        "block a {\n    x = conv(8, 3)\n    relu\n}",
        "block a {\n    x = conv(8, 3)\n    x -> relu\n}",
    ),
    Code(
        "E0120",
        "there is no such parameter",
        "An argument's name is none of the callee's parameters. docs/operators.md lists those of every operator.",
        "block a { conv(8, kernal = 3) }",
        "block a { conv(8, kernel = 3) }",
    ),
    Code(
        "E0121",
        "an argument is missing",
        "A parameter without a default needs an argument, also where the callee is named without parentheses.",
        "block a { conv(8) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0122",
        "an argument is given twice",
        "Once by its place and once by its name, or twice by its name.",
        "block a { conv(8, 3, kernel = 5) }",
        "block a { conv(8, kernel = 5) }",
    ),
    Code(
        "E0123",
        "there are too many arguments",
        "More arguments stand here without a name than there are parameters to take them.",
        "block a { relu(8) }",
        "block a { relu }",
    ),
    Code(
        "E0124",
        "a positional argument stands after a named one",
        "Positional arguments come first, so that the place of each says which parameter it is for.",
        "block a { conv(out = 8, 3) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0125",
        "a value is called",
        "Blocks, operators and functions can be called; tensors and numbers cannot.",
        "block a {\n    x = conv(8, 3)\n    x(3)\n}",
        "block a {\n    x = conv(8, 3)\n    x -> relu\n}",
    ),
    Code(
        "E0130",
        "a candidate needs a label",
        "Architecture files name the chosen path by its label. A single call has its callee's name; anything else\n"
        "carries a label of its own, so that the name does not change with what stands there.",
        "block a { choose { conv(8, 3) -> bn | identity } }",
        "block a { choose { normed: conv(8, 3) -> bn | identity } }",
    ),
    Code(
        "E0131",
        "two candidates have one label",
        "A label says which path was chosen, and so names one.",
        "block a { choose { x: relu | x: bn } }",
        "block a { choose { x: relu | y: bn } }",
    ),
    Code(
        "E0140",
        "a space has no input or no output",
        "A space states the type of what enters it and of what leaves it.",
        "space s {\n    input [3, 8, 8]\n    relu\n}",
        "space s {\n    input [3, 8, 8]\n    output [3, 8, 8]\n    relu\n}",
    ),
    Code(
        "E0141",
        "a space has a second output, or an input without a name",
        "A space has one output. Where it has several inputs, each has a name.",
        "space s {\n    input [3, 8, 8]\n    output [3, 8, 8]\n    output [10]\n    relu\n}",
        "space s {\n    input [3, 8, 8]\n    output [3, 8, 8]\n    relu\n}",
    ),
    Code(
        "E0142",
        "nothing that can be capped has this name",
        "There are `macs`, `params`, `peak_memory` and `latency`.",
        _capped("flops <= 600 M"),
        _capped("macs <= 600 M"),
    ),
    Code(
        "E0143",
        "a cap's target is missing, or not wanted",
        "A latency is that of a target. The other sizes are the same on every target.",
        _capped("latency <= 8 ms"),
        _capped("latency <= 8 ms on host"),
    ),
    Code(
        "E0144",
        "a cap's unit does not fit",
        "Latency is a time; `macs` and `params` are counts, with `K`, `M` or `G`; `peak_memory` is in bytes, with\n"
        "`KiB`, `MB` and the like.",
        _capped("macs <= 8 ms"),
        _capped("macs <= 8 M"),
    ),
    Code(
        "E0150",
        "files use each other in a circle",
        "A file that another uses cannot use that one. The hint shows the circle. Move what both need to a third.",
        'use "other.space"\nblock a { relu }',
        'use "shared.space"\nblock a { relu }',
        {"other.space": 'use "example.space"\nblock b { a }', "shared.space": "block b { bn }"},
    ),
    Code(
        "E0151",
        "a used file cannot be read",
        "The path of a `use` is relative to the file that it stands in, with `/` between folders.",
        'use "block.space"\nblock a { theirs -> relu }',
        'use "blocks.space"\nblock a { theirs -> relu }',
        {"blocks.space": "block theirs { bn }"},
    ),
    Code(
        "E0152",
        "too many files are used",
        "A file may use 64 others, directly and through them.",
        Made("a file that uses 65 others", lambda: "".join(f'use "{n}.space"\n' for n in range(65)).encode()),
        Made("a file that uses 64 others", lambda: "".join(f'use "{n}.space"\n' for n in range(64)).encode()),
        {f"{n}.space": f"block b{n} {{ relu }}" for n in range(65)},
    ),
    Code(
        "W0101",
        "a parameter is not read",
        "Nothing in the block reads this parameter, so that its argument has no effect.",
        "block a(out, kernel) { conv(out, 3) }",
        "block a(out, kernel) { conv(out, kernel) }",
    ),
)

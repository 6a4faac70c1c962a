"""The codes that the text layer gives: E00 spelling, E01 and W01 names and bodies."""

from __future__ import annotations

from dsl.code import Code

TEXT_CODES = (
    # E00: the text and its spelling
    Code(
        "E0001",
        "the file is not UTF-8",
        "A file is UTF-8, with or without a byte order mark. The message names the first byte that is not.",
    ),
    Code(
        "E0002",
        "the file is too large",
        "A file may have 256 KiB. Split it, and bring the parts together with `use`.",
    ),
    Code(
        "E0003",
        "the file has too many tokens",
        "A file may have 30,000 names, numbers and marks. Split it, and bring the parts together with `use`.",
    ),
    Code(
        "E0004",
        "something is nested too deeply",
        "Brackets may be nested 64 deep, and expressions and statements 128 levels in all: a sum of 200 terms is\n"
        "too deep as well. Bind a part to a name, or move it to a block.",
    ),
    Code(
        "E0005",
        "a number is too long",
        "A number may have 40 digits, and an exponent from -40 to 40.",
        "width = 1e5000000",
        "width = 1e6",
    ),
    Code(
        "E0010",
        "a character is not part of the language",
        "Outside strings and comments stand names, numbers and the marks of the language, in ASCII. Editors and\n"
        "web pages like to put typographic quotes, arrows and spaces in their place.",
        "block a { conv(8, 3); relu }",
        "block a { conv(8, 3) -> relu }",
    ),
    Code(
        "E0011",
        "a string is not closed, or has an unknown escape",
        "A string starts and ends on one line. In it a backslash is written `\\\\`, and there are the escapes\n"
        '`\\"`, `\\n`, `\\t` and `\\u0041`.',
        'target pixel { latency_table = "pixel.yaml }',
        'target pixel { latency_table = "pixel.yaml" }',
    ),
    Code(
        "E0012",
        "something else was expected here",
        "The text does not follow the grammar at this place. The message lists what could stand there.",
        "block a(out) { conv(out 3) }",
        "block a(out) { conv(out, 3) }",
    ),
    Code(
        "E0013",
        "a bracket is not closed",
        "A `{`, `(` or `[` has no partner before something that cannot be inside it. The second place shown is\n"
        "the innermost one still open; the one forgotten may be around it.",
        "block a(out) { conv(out, 3 }",
        "block a(out) { conv(out, 3) }",
    ),
    Code(
        "E0014",
        "a bracket closes nothing",
        "There is a `}`, `)` or `]` with nothing open that it could close.",
        "block a { relu } }",
        "block a { relu }",
    ),
    Code(
        "E0015",
        "a keyword stands where a name is needed",
        "The words of the language cannot be names: "
        + "add and as block choose concat contains else false if in\n"
        "input mul not of on or output repeat require residual search space step target then tied train true use when.",
        "block in(out) { conv(out, 3) }",
        "block entry(out) { conv(out, 3) }",
    ),
    Code(
        "E0016",
        "a number runs into a name",
        "A name starts with a letter or `_`, and a product needs its `*`.",
        "block a(n) { conv(2n, 3) }",
        "block a(n) { conv(2 * n, 3) }",
    ),
    # E01: names, arguments, bodies
    Code(
        "E0101",
        "nothing has this name here",
        "A block sees its parameters, its bindings, and the file's blocks and constants; it does not see what is\n"
        "bound where it is called. The same code stands for an unknown space or target.",
        "block a { cnov(8, 3) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0102",
        "a name is defined or bound twice",
        "In braces and those around them a name is bound once. Blocks and constants share one set of names; spaces,\n"
        "targets and searches have their own.",
        "block a { x = conv(8, 3)  x = x -> relu  x }",
        "block a { x = conv(8, 3)  y = x -> relu  y }",
    ),
    Code(
        "E0103",
        "a name is used before it is bound",
        "Bindings are read from the top. Only blocks may be used above their definition.",
        "block a { y = x -> relu  x = conv(8, 3)  add(x, y) }",
        "block a { x = conv(8, 3)  y = x -> relu  add(x, y) }",
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
        "A pipe starts at a tensor; after `->` stand steps, which are applied to what reaches them. To bring two\n"
        "tensors together, merge them with `add`, `concat` or `mul`.",
        "block a { x = conv(8, 3)  relu -> x }",
        "block a { x = conv(8, 3)  add(in -> relu, x) }",
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
        "block a { x = conv(8, 3)  relu }",
        "block a { x = conv(8, 3)  x -> relu }",
    ),
    Code(
        "E0120",
        "there is no such parameter",
        "An argument's name is none of the callee's parameters.",
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
        "Positional arguments come first.",
        "block a { conv(out = 8, 3) }",
        "block a { conv(8, 3) }",
    ),
    Code(
        "E0125",
        "a value is called",
        "Blocks, operators and functions can be called; tensors and numbers cannot.",
        "block a { x = conv(8, 3)  x(3) }",
        "block a { x = conv(8, 3)  x -> relu }",
    ),
    Code(
        "E0130",
        "a candidate needs a label",
        "Architecture files name the chosen path by its label. A single call has its callee's name; anything else\n"
        "carries a label of its own.",
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
        "space s { input [3, 8, 8]  relu }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }",
    ),
    Code(
        "E0141",
        "a space has a second output, or an input without a name",
        "A space has one output. Where it has several inputs, each has a name.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  output [10]  relu }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }",
    ),
    Code(
        "E0142",
        "nothing that can be capped has this name",
        "There are `macs`, `params`, `peak_memory` and `latency`.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require flops <= 600 M }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require macs <= 600 M }",
    ),
    Code(
        "E0143",
        "a cap's target is missing, or not wanted",
        "A latency is that of a target. The other sizes are the same on every target.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require latency <= 8 ms }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require latency <= 8 ms on host }",
    ),
    Code(
        "E0144",
        "a cap's unit does not fit",
        "Latency is a time; `macs` and `params` are counts, with `K`, `M` or `G`; `peak_memory` is in bytes, with\n"
        "`KiB`, `MB` and the like.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require macs <= 8 ms }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu  require macs <= 8 M }",
    ),
    Code(
        "E0150",
        "files use each other in a circle",
        "A file that another uses cannot use that one. The hint shows the circle. Move what both need to a third.",
    ),
    Code(
        "E0151",
        "a used file cannot be read",
        "The path of a `use` is relative to the file that it stands in, with `/` between folders.",
    ),
    Code(
        "E0152",
        "too many files are used",
        "A file may use 64 others, directly and through them.",
    ),
    Code(
        "W0101",
        "a parameter is not read",
        "Nothing in the block reads this parameter, so that its argument has no effect.",
        "block a(out, kernel) { conv(out, 3) }",
        "block a(out, kernel) { conv(out, kernel) }",
    ),
)

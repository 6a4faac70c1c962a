"""The codes of a text's spelling: E00."""

from __future__ import annotations

from dsl.code import Code, Made

SPELLING_CODES = (
    Code(
        "E0001",
        "the file is not UTF-8",
        "A file is UTF-8, with or without a byte order mark. The message names the first byte that is not, and\n"
        "points to it. Most often the file was saved in another encoding (UTF-16, Latin-1), or is no text at all.",
        Made(
            "a file in Latin-1, with `é` in a comment",
            lambda: "# caf\N{LATIN SMALL LETTER E WITH ACUTE}\n".encode("latin-1"),
        ),
        Made("the same file in UTF-8", lambda: "# caf\N{LATIN SMALL LETTER E WITH ACUTE}\n".encode()),
    ),
    Code(
        "E0002",
        "the file is too large",
        "A file may have 256 KiB, so that every file is checked within about a second. Split it, and bring the parts\n"
        "together with `use`.",
        Made("a file of 300,000 bytes", lambda: b"#" * 300_000),
        Made("a file of 200,000 bytes", lambda: b"#" * 200_000),
    ),
    Code(
        "E0003",
        "the file has too many tokens",
        "A file may have 30,000 names, numbers and marks, so that every file is checked within about a second. What\n"
        "is written many times is a `block` or a `repeat`; else split the file, and bring the parts together with\n"
        "`use`.",
        Made("a sum of 20,000 terms", lambda: b"x = 1" + b" + 1" * 20_000),
        "x = 20001",
    ),
    Code(
        "E0004",
        "something is nested too deeply",
        "Brackets may be nested 64 deep, and expressions and statements 128 levels in all: a sum of 200 terms is\n"
        "too deep as well. Bind a part to a name, or move it to a block.",
        "x = " + "(" * 65 + "1" + ")" * 65,
        "x = 1",
    ),
    Code(
        "E0005",
        "a number is too long",
        "A number may have 40 digits, and an exponent from -40 to 40. Numbers are exact, and a longer one would cost\n"
        "more than any size of a network is worth.",
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
        "The text does not follow the grammar at this place. The message lists what could stand there; the mistake\n"
        "may be just before it.",
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
        "There is a `}`, `)` or `]` with nothing open that it could close. Remove it, or open its partner before.",
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
)

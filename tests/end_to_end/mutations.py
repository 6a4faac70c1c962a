"""Spaces with a few places cut, doubled, swapped or replaced: token by token, and byte by byte."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dsl.expected import keywords
from dsl.scan import scan
from dsl.source import Source

PIECES = (
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "|",
        ":",
        ",",
        "=",
        "<",
        ">",
        "+",
        "-",
        "*",
        "/",
        "%",
        ".",
        '"',
        "#",
        "'",
        "\n",
    ),
    *(
        "->",
        "..",
        "==",
        "<=",
        "//",
        "1e9",
        "3 ms",
        "5 M",
        "\ufeff",
        "é",
        "→",
        "\u202e",
        "\0",
        "name",
        "12",
        "0",
    ),
    *(
        "choose(1, 2)",
        "choose { a: relu | b: bn }",
        "repeat 1000000000 { relu }",
        "repeat 9999",
        "1e40",
        "tied ",
    ),
    *(word for word in keywords().values() if word.isidentifier()),
)


def tokens_changed(text: str, seed: int) -> bytes:
    """A text with up to three of its tokens replaced, doubled, dropped or swapped with others."""
    random_ = random.Random(seed)
    words = [str(token) for token in scan(Source("mutated", text)).tokens]
    for _ in range(random_.randint(1, 3)):
        at, other = random_.randrange(len(words)), random_.randrange(len(words))
        kind = random_.randrange(5)
        if kind == 0:
            words[at] = random_.choice(PIECES)
        elif kind == 1:
            words[at] = words[other]
        elif kind == 2:
            words.insert(at, words[other])
        elif kind == 3:
            words[at], words[other] = words[other], words[at]
        elif len(words) > 1:
            del words[at]
    return " ".join(words).encode("utf-8", "surrogatepass")


def bytes_changed(texts: Sequence[str], seed: int) -> bytes:
    """A text with up to four stretches of its bytes cut, doubled or replaced by bytes or by another text's."""
    random_ = random.Random(seed)
    data = random_.choice(texts).encode()
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data) + 1)
        end = min(len(data), at + random_.randrange(20))
        other = random_.choice(texts).encode()
        start = random_.randrange(len(other))
        new = random_.choice(
            [
                b"",
                data[at:end] * 2,
                bytes([random_.randrange(256)]),
                random_.choice(PIECES).encode(),
                other[start : start + 20],
            ]
        )
        data = data[:at] + new + data[end:]
    return data

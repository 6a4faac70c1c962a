"""The codes of settings: E04."""

from __future__ import annotations

from dsl.code import Code

SETTINGS_CODES = (
    Code(
        "E0401",
        "there is no such setting",
        "A target, a search and a training recipe each have their own settings; docs/language.md lists them.",
        'target laptop { core = "native" }',
        'target laptop { cpu = "native" }',
    ),
    Code(
        "E0402",
        "a setting is given twice",
        "Each setting stands once.",
        "target laptop { threads = 1  threads = 2 }",
        "target laptop { threads = 2 }",
    ),
    Code(
        "E0403",
        "a setting has a value of the wrong kind",
        "The message says what kind of value it takes.",
        "target laptop { threads = 1.5 }",
        "target laptop { threads = 1 }",
    ),
    Code(
        "E0404",
        "a time has no unit, or not one of time",
        "A time is written with its unit: `90 s`, `10 min`, `2 h`.",
        "target laptop { tune_budget = 90 }",
        "target laptop { tune_budget = 90 s }",
    ),
    Code(
        "E0405",
        "a setting is out of its range",
        "The message says what it may be.",
        "target laptop { threads = 0 }",
        "target laptop { threads = 1 }",
    ),
    Code(
        "E0406",
        "a setting is missing",
        "A search needs its data, and some data sets need the folder or file that they are in.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }\nsearch s { epochs = 1 }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }\nsearch s { data = digits  epochs = 1 }",
    ),
    Code(
        "E0407",
        "a setting has no such value",
        "The setting takes one of a few names; the message lists them or names the nearest. Those of a target's "
        "`cpu`, `features` and `triple` are LLVM's, which `onepath check` asks.",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }\ntrain s { schedule = cosin }",
        "space s { input [3, 8, 8]  output [3, 8, 8]  relu }\ntrain s { schedule = cosine }",
    ),
    Code(
        "E0408",
        "a setting holds a decision",
        "What is searched for is the network. A setting has one value; run a search for each of several.",
        "target laptop { threads = choose(1, 2) }",
        "target laptop { threads = 2 }",
    ),
    Code(
        "E0409",
        "a recipe has other data than its search",
        "A run has one data set: a network is trained on the data that it was searched on. Write `data` in the search "
        "alone, or write the recipe in a file of its own that is given the network found (`--arch`).",
        "space s { input [1, 8, 8]  output [10]  conv(10, 3) -> global_pool }\n"
        "search s { data = digits }\ntrain s { data = fashion_mnist }",
        "space s { input [1, 8, 8]  output [10]  conv(10, 3) -> global_pool }\n"
        "search s { data = digits }\ntrain s { epochs = 2 }",
    ),
)

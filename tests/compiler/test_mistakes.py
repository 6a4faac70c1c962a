"""What is said of a hundred wrong programs: programs and answers stand in one golden file, to be read through.

A case is `=== its name`, the program, `---`, what is said. `@@@ path` in a program starts another file of it.
"""

from __future__ import annotations

import errno
import os
import re

import pytest

from compiler.frontend import analyse
from dsl.diagnostic import Diagnostic
from dsl.render import render
from dsl.source import Source
from tests.conftest import GOLDEN, Golden

FILE = "compiler/mistakes.txt"
CASE = re.compile(r"^=== ([^\n]*)\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
CASES: dict[str, str] = dict(CASE.findall((GOLDEN / FILE).read_text(encoding="utf-8")))
SEVERAL = {
    "typo in a setting's word": 3,
    "missing comma": 2,
    "semicolons": 2,
    "arrow of an editor": 2,
    "two mistakes in one file": 2,
    "three mistakes in three blocks": 3,
    "lr as text": 2,
    # The rest of the braces is taken for items.
    "a file used in the middle": 3,
}
"""Cases with several mistakes; any other gets one message."""


def findings(program: str) -> list[Diagnostic]:
    main, *parts = re.split(r"^@@@ (.*)\n", program, flags=re.MULTILINE)
    files = dict(zip(parts[::2], parts[1::2], strict=True))

    def read(path: str) -> Source:
        if path not in files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return Source(path, files[path])

    return analyse(Source("main.space", main), read)[1]


def test_what_is_said(golden: Golden) -> None:
    parts = [f"=== {name}\n{program}---\n{render(findings(program))}\n" for name, program in CASES.items()]
    golden(FILE, "".join(parts))


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_has_one_message(name: str) -> None:
    assert len(findings(CASES[name])) == SEVERAL.get(name, 1)

"""What of a manifest stands in the emitted C++ source, and that the rest is the same for every bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.codegen.rendering import c_text
from compiler.codegen.to_cpp import CodeFile, CppRunner, PixelRule, to_cpp

RUNNER = CppRunner(
    (1, 3, 32, 32),
    (1, 4),
    "logits",
    PixelRule(1 / 255, (0.5, 0.4, 0.1), (0.25, 0.2, 1.0)),
    ("ant", 'a "bee"', "Käfer\n", "what??/"),
    "x86_64",
    "znver4",
    ("avx2", "avx512f"),
    2,
    (CodeFile("lib/libtvm_ffi.so", "ab" * 32, 2600000), CodeFile("model.so", "cd" * 32, 12)),
)


def parts(runner: CppRunner) -> tuple[str, str]:
    """What the manifest says, and the rest."""
    head, _, rest = to_cpp(runner)["cpp/runner.cpp"].partition("// ---- What the manifest says.")
    said, _, rest = rest.partition("// ---- Files.")
    assert "g++ -std=c++17" in head
    return said, head + rest


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("compiler/runner_cpp.txt", parts(RUNNER)[0])
    golden("compiler/runner_cmake.txt", to_cpp(RUNNER)["cpp/CMakeLists.txt"])


def test_only_the_constants_differ() -> None:
    other = replace(RUNNER, pixels=None, labels=(), features=(), output_kind="values", input_shape=(1, 16))
    assert parts(other)[0] != parts(RUNNER)[0]
    assert parts(other)[1] == parts(RUNNER)[1]
    assert to_cpp(RUNNER) == to_cpp(replace(RUNNER))


def test_no_text_ends_its_literal() -> None:
    for text in ('"', "\\", "\n", "\0", "??/", "ä1", "%s"):
        said = c_text(text)
        assert said.isascii()
        assert said.isprintable()
        inside = said.removeprefix('"').removesuffix('"sv')
        assert inside.encode().decode("unicode_escape").encode("latin-1").decode() == text


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="is not for inputs of"):
        to_cpp(replace(RUNNER, input_shape=(1, 1, 32, 32)))
    with pytest.raises(ValueError, match="is not 1"):
        to_cpp(replace(RUNNER, input_shape=(2, 3, 32, 32)))

"""What is written of a standalone network compiles anywhere: strictly, by make and CMake, in programs of C and C++."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.device import host
from runtime.linker import compiler_for
from runtime.standalone_check import build_example, run_example
from tests.runtime.standalone_cases import HERE, Case, chain_case, every_kind_case, named

pytest.importorskip("torch")
pytestmark = [pytest.mark.tvm, pytest.mark.torch]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "standalone.md"


@pytest.fixture(scope="module")
def network() -> Case:
    return every_kind_case()


@pytest.fixture(scope="module")
def chain() -> Case:
    return chain_case()


STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wmissing-prototypes", "-Werror"]
SANITIZERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"


@pytest.mark.parametrize(("name", "threads"), [("host", 2), ("c", 1)])
def test_the_c_is_free_of_warnings_and_of_faults(
    name: str, threads: int, network: Case, chain: Case, tmp_path: Path
) -> None:
    for case in (network, chain):
        folder = tmp_path / str(len(case.plan.calls))
        folder.mkdir()
        view = case.write(named(name, threads), folder)
        compile_host(
            folder, "gcc", [*STRICT, *SANITIZERS, "onepath.c", "main.c", view.kernels, "weights.S"], "example"
        )
        outputs = run_example(folder, HERE, case.inputs[:3], case.outputs[:3].shape)
        np.testing.assert_allclose(
            outputs, case.outputs[:3], rtol=1e-4, atol=1e-4 * np.abs(case.outputs).max()
        )


CLOSED_HEAP = r"""
#include <stddef.h>
#include <stdlib.h>
#include "onepath.h"
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static int closed;
void *malloc(size_t size) { if (closed) abort(); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { if (closed) abort(); return __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { if (closed) abort(); return __libc_realloc(block, size); }
static float input[ONEPATH_INPUT_SIZE], output[ONEPATH_OUTPUT_SIZE];
int main(void) {
    if (onepath_start() != 0) return 2;
    closed = 1;
    for (int turn = 0; turn < 3; ++turn)
        if (onepath_infer(input, output) != 0) return 3;
    closed = 0;
    onepath_stop();
    return malloc(1) == NULL;
}
"""


def compile_host(folder: Path, compiler: str, sources: list[str], program: str = "program") -> Path:
    """A program of sources and objects in a folder, by the system's own compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    command = [compiler, "-O1", "-o", program, *sources, "-lm", "-pthread"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / program


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_is_allocated_after_the_start(threads: int, network: Case, tmp_path: Path) -> None:
    network.write(replace(host(), threads=threads), tmp_path)
    (tmp_path / "closed.c").write_text(CLOSED_HEAP)
    sources = ["closed.c", "onepath.c", "kernels.o", "weights.S"]
    assert subprocess.run([compile_host(tmp_path, "gcc", sources)], check=False).returncode == 0


TWO_NETWORKS = r"""
#include <cstdio>
#include "first.h"
#include "second.h"
static float input[FIRST_INPUT_SIZE + 1], output[2][FIRST_OUTPUT_SIZE + 1];
int main() {
    float *given = input + 1;  // aligned as a float and no better
    for (int i = 0; i < FIRST_INPUT_SIZE; ++i) given[i] = float(i % 7) - 3;
    for (int turn = 0; turn < 2; ++turn) {
        if (first_infer(given, output[0] + 1) != 0 || second_infer(given, output[1] + 1) != 0) return 2;
        first_stop();  // and started again by the next call
    }
    for (int i = 1; i <= FIRST_OUTPUT_SIZE; ++i)
        if (output[0][i] != output[1][i] || output[0][i] == 0) return 3;
    return 0;
}
"""


def test_two_networks_in_one_program_in_cpp(network: Case, tmp_path: Path) -> None:
    (tmp_path / "two.cpp").write_text(TWO_NETWORKS)
    objects = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        network.write(replace(host(), threads=2), folder, name)
        made = subprocess.run(
            ["make", "-s", f"lib{name}.a"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert (made.returncode, made.stderr) == (0, "")
        objects += [f"-I{name}", f"{name}/lib{name}.a"]
    program = compile_host(tmp_path, "g++", ["two.cpp", *objects])
    assert subprocess.run([program], check=False).returncode == 0


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake")
@pytest.mark.parametrize(("name", "threads"), [("host", 2), ("c", 1)])
def test_cmake_builds_what_was_checked(name: str, threads: int, network: Case, tmp_path: Path) -> None:
    target, written = named(name, threads), tmp_path / "written"
    written.mkdir()
    view = network.write(target, written)
    build = tmp_path / "build"
    commands = "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
    for arguments in (["-S", written, "-B", build, commands], ["--build", build]):
        done = run(tmp_path, "cmake", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    for each in json.loads((build / "compile_commands.json").read_text()):
        if each["file"].endswith(".c"):
            assert {"-std=c99", "-O3"} <= set(shlex.split(each["command"]))
    outputs = run_example(build, HERE, network.inputs[:3], network.outputs[:3].shape)
    build_example(written, "onepath", view.kernels, compiler_for(target), static=False)
    checked = run_example(written, HERE, network.inputs[:3], network.outputs[:3].shape)
    np.testing.assert_array_equal(outputs, checked)


def test_a_program_of_another_folder_as_the_page_compiles_it(network: Case, tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"^cc .*$", page, re.MULTILINE)
    (program,) = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    (tmp_path / "standalone").mkdir()
    network.write(host(), tmp_path / "standalone")
    (tmp_path / "program.c").write_text(program)
    done = run(tmp_path, *shlex.split(line))
    assert (done.returncode, done.stderr) == (0, "")
    assert run(tmp_path, "./program").returncode == 0


def test_the_example_refuses_what_is_no_input(network: Case, tmp_path: Path) -> None:
    view = network.write(host(), tmp_path)
    build_example(tmp_path, "onepath", view.kernels, compiler_for(host()), static=False)
    whole = network.inputs[0].tobytes()
    for content, message in (
        (b"", "there is no input"),
        (whole[:-4], "the inputs end within an input"),
        (whole + b"x", "the inputs end within an input"),
    ):
        (tmp_path / "x.f32").write_bytes(content)
        done = run(tmp_path, "./example", "x.f32")
        assert (done.returncode, done.stderr) == (2, f"example: {message}\n")
    assert run(tmp_path, "./example", tmp_path).stderr == "example: the inputs cannot be read\n"

"""The C around the kernels of a standalone network, and the kernels' own C without TVM's headers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.codegen import tvm_api
from compiler.codegen.arrangement import Place
from compiler.codegen.c_names import BadName, check_name
from compiler.codegen.elf import ElfObject, NotAnObject
from compiler.codegen.plain_c import plain_c
from compiler.codegen.schedules.template import Schedule
from compiler.codegen.static_network import Call, Constants, StaticNetwork, static_network
from compiler.codegen.to_c import View, files, own_symbol, runtime_uses, view_of
from compiler.target import Target
from runtime.device import host
from runtime.measure import random_weights
from tests.compiler.codegen.plans import default_schedules, mobile

pytestmark = pytest.mark.tvm

CALLS = (
    Call("net_turn_in", (Place("input"),), Place("workspace"), "the input, channels turned"),
    Call("net_1", (Place("workspace"), Constants(0)), Place("workspace", 192), "stem.conv */ x"),
    Call("memcpy", (Place("workspace", 192),), Place("output"), "the output", 5),
)
TAKEN = ("weights", "kernels", "string", "pthread", "m", "c", "search", "threads", "edit_cache", "immintrin")
NETWORK = StaticNetwork({}, CALLS, np.zeros(64, np.float32), (3, 8, 8), (5,), 256, 128)


def view(**changes: Any) -> View:
    given: dict[str, Any] = {
        "network": NETWORK,
        "title": "net",
        "target": "host",
        "compiler": "cc",
        "threads": 1,
        "kernels": "kernels.o",
        "uses": frozenset(),
        "huge_pages": True,
    }
    return view_of(name="net", **given | changes)


def test_golden(golden: Callable[[str, str], None]) -> None:
    alone, threaded = files(view()), files(view(threads=2, uses=frozenset({"launch", "allocate", "release"})))
    golden("compiler/standalone_header.txt", alone["net.h"])
    golden("compiler/standalone_calls.txt", alone["net.c"])
    golden("compiler/standalone_threads.txt", threaded["net.c"])
    golden("compiler/standalone_makefile.txt", alone["Makefile"])
    golden("compiler/standalone_cmake.txt", alone["CMakeLists.txt"])


def test_only_c_kernels_are_compiled_by_the_makefile() -> None:
    assert "kernels.o: %.o: %.c" in files(view(kernels="kernels.c"))["Makefile"]
    assert "kernels.o:" not in files(view())["Makefile"]


@pytest.mark.parametrize("name", ["", "9x", "Net", "a-b", "x" * 41, "a_"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(BadName, match="is no name for C"):
        check_name(name)
    assert check_name("face_finder2") == "face_finder2"


@pytest.mark.parametrize("name", TAKEN)
def test_names_of_other_files(name: str) -> None:
    with pytest.raises(BadName, match=r"is the name of another file, library or target .* choose one as"):
        check_name(name)


def test_without_a_launch_there_are_no_threads() -> None:
    alone = files(view(threads=2))
    assert "#define NET_THREADS 1 " in alone["net.h"].replace("\n", " ")
    assert not any(
        "pthread.h" in alone[name] or "-pthread -c" in alone[name] for name in ("net.c", "Makefile")
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_a_large_workspace_lies_in_huge_pages(threads: int, tmp_path: Path) -> None:
    large, uses = replace(NETWORK, workspace=1 << 20), frozenset({"launch"} if threads > 1 else ())
    shown = view(network=large, threads=threads, uses=uses)
    for name, text in files(shown).items():
        (tmp_path / name).write_text(text)
    assert "use_huge_pages();" in (tmp_path / "net.c").read_text()
    assert "madvise" not in files(view())["net.c"]
    assert "madvise" not in files(view(network=large, huge_pages=False))["net.c"]
    if compiler := shutil.which("gcc"):
        strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        given = ["-D_DEFAULT_SOURCE", "-D_POSIX_C_SOURCE=200809L"]  # as a whole program may be compiled
        for options in ([], given):
            subprocess.run([compiler, *strict, *options, "net.c", "main.c"], cwd=tmp_path, check=True)


def test_titles_stay_within_comments() -> None:
    written = files(view(title="*/ int x; /* \n", target="*/"))
    assert "network `* / int x; / *  `, compiled by Onepath for * /." in written["net.h"]


def test_the_runtime_s_functions_are_known_or_refused() -> None:
    assert runtime_uses({"__TVMBackendParallelLaunch", "expf", "net_1"}) == {"launch"}
    assert own_symbol("net", "__TVMBackendParallelLaunch") == "net_launch_pointer"
    with pytest.raises(ValueError, match="TVMBackendParallelBarrier, which"):
        runtime_uses({"__TVMBackendParallelBarrier"})


def test_c_without_tvm_s_headers() -> None:
    declared = '#ifdef __cplusplus\nextern "C"\n#endif\nTVM_DLL '
    source = (
        "#define TVM_EXPORTS\nvoid* __tvm_ffi__library_ctx = NULL;\n"
        f"{declared}float floorf(float);\n{declared}int32_t net_1(float* a);\n"
        f"{declared}int32_t net_1(float* a) {{\n"
        "  float b = (*(float *)(&(v__5)));\n  void* c = TVMBackendAllocWorkspace(1, 0, 8, 2, 32);\n}\n"
    )
    text, uses = plain_c(source, "net")
    assert uses == {"allocate"}
    assert "TVM" not in text.partition("*/")[2]
    assert "floorf" not in text
    assert "float b = float_of(v__5);" in text
    assert "net_allocate(1, 0, 8, 2, 32)" in text


def test_weights_that_are_fetched_ahead_are_not_in_c() -> None:
    plan, target = (
        mobile(64, size=2, classes=8, layers=1),
        Target("c", "c", host().triple, "c", vector_bits=32),
    )
    ahead = {
        name: Schedule.of(found.template, {**dict(found.parameters), "ahead": 1})
        for name, found in default_schedules(plan, target).items()
    }
    network = static_network(plan, random_weights(plan), ahead, target, "net")
    assert "prefetch" not in plain_c(tvm_api.c_source(dict(network.functions)), "net")[0]


def test_symbols_of_an_object_get_other_names(tmp_path: Path) -> None:
    plan, target = mobile(3, layers=1), host()
    network = static_network(plan, random_weights(plan), default_schedules(plan, target), target, "net")
    path = tmp_path / "kernels.o"
    tvm_api.object_file(dict(network.functions), target, str(path))
    before = ElfObject(path.read_bytes())
    after = ElfObject(before.renamed(lambda symbol: f"{symbol}_longer"))
    assert [each.name for each in after.symbols()] == [f"{each.name}_longer" for each in before.symbols()]
    assert {f"{call.function}_longer" for call in network.calls} - {"memcpy_longer"} <= {
        each.name for each in after.symbols() if each.is_defined
    }
    assert after.sizes == before.sizes
    assert before.sizes.constant > 100


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(100), b"\x7fELF\2\1" + b"\xff" * 100])
def test_what_is_no_object(data: bytes) -> None:
    with pytest.raises(NotAnObject):
        ElfObject(data)

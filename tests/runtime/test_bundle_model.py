"""A loaded model serves several Python threads, leaves its caller's cores alone, and says what it cannot take."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model

from runtime.bundle import write_bundle
from runtime.bundle_runner.manifest import BundleProblem
from runtime.bundle_runner.model import as_array

HEAD = """
import json, os, sys, threading
import numpy as np
sys.path.insert(0, sys.argv[1])
from runner import BundleProblem, load
folder, others = sys.argv[1], sys.argv[2:]
image = np.random.default_rng(0).normal(size=(1, 2, 8, 8)).astype(np.float32)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny classifier's bundle, as if built for two threads."""
    library = tiny_model.library(tmp_path_factory.mktemp("library"))
    target = tiny_model.manifest().target
    target = type(target)(target.name, target.cpu, target.triple, target.machine, threads=2)
    manifest = tiny_model.manifest(target=target)
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", library, manifest).folder


def child(script: str, *arguments: object) -> Any:
    """What a script prints as JSON in a process of its own: a bundle cannot run where TVM was imported."""
    command = [sys.executable, "-B", "-c", HEAD + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


SHARED = """
model = load(folder, threads=1)
images = [np.full((1, 2, 8, 8), n, np.float32) for n in range(4)]
expected = [model.run(each) for each in images]
wrong = []
def ask(n):
    for _ in range(500):
        if not np.array_equal(model.run(images[n]), expected[n]):
            wrong.append(n)
threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
[each.start() for each in threads]
[each.join() for each in threads]
print(json.dumps(len(wrong)))
"""


@pytest.mark.tvm
def test_one_model_serves_several_threads(made: Path) -> None:
    assert child(SHARED, made) == 0


CORES = """
before, during = os.sched_getaffinity(0), []
first, second = sorted(before)[0], sorted(before)[-1]
model = load(folder, cores=sorted({first, second}))
loaded = os.sched_getaffinity(0)
call = model._call
def watched():
    during.append(sorted(os.sched_getaffinity(0)))
    return call()
model._call = watched
here = model.run(image)
from runner import POOL
workers = [sorted(os.sched_getaffinity(worker)) for worker in POOL._workers]
thread = threading.Thread(target=model.run, args=(image,))
thread.start()
thread.join()
load(folder, threads=1, cores=[second]).run(image)
after = os.sched_getaffinity(0)
print(json.dumps([first, second, loaded == after == before, during, workers]))
"""


@pytest.mark.tvm
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux pins threads")
def test_the_callers_cores_are_its_own_again(made: Path) -> None:
    first, second, unchanged, during, workers = child(CORES, made)
    assert unchanged
    assert during == [[first], [first]], "one run here, one in another Python thread"
    assert workers == ([[second]] if second != first else [])


POOLS = """
from runner import POOL
two, one = load(folder), load(folder, threads=1)
sizes = []
for model in (two, one, two):
    model.run(image)
    sizes.append(POOL._placed[0])
print(json.dumps([sizes, len(POOL._workers), np.array_equal(two.run(image), one.run(image))]))
"""


@pytest.mark.tvm
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux lists threads")
def test_models_of_several_thread_counts_share_a_pool(made: Path) -> None:
    assert child(POOLS, made) == [[2, 1, 2], 1, True]


BUNDLES = """
outputs = [load(each).run(image).tolist() for each in (folder, *others)]
print(json.dumps(outputs))
"""


@pytest.mark.tvm
def test_two_bundles_run_in_one_process(made: Path, tmp_path: Path) -> None:
    again = shutil.copytree(made, tmp_path / "again")
    one, other = child(BUNDLES, made, again)
    assert one == other


REPLACED = """
load(folder)
library = os.path.join(folder, "lib", "libtvm_ffi.so")
os.rename(library, library + ".old")
open(library, "wb").write(open(library + ".old", "rb").read())
try:
    load(folder)
except BundleProblem as problem:
    print(json.dumps(str(problem)))
"""


@pytest.mark.tvm
@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="only Linux lists what is loaded")
def test_a_second_copy_of_the_runtime_is_refused_or_shared(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    assert "another version of TVM's runtime" in child(REPLACED, copy)


INPUTS = """
model = load(folder, threads=1)
expected = model.run(image)
wide = np.repeat(image, 2, axis=3)[..., ::2]
same = [model.run(given) for given in (image.tolist(), np.asfortranarray(image), wide)]
problems = []
for given in (image[0], image.astype(float), image.astype(">f4"), "cow", None, [[1], [1, 2]]):
    try:
        model.run(given)
    except BundleProblem as problem:
        problems.append(str(problem))
print(json.dumps([all(np.array_equal(each, expected) for each in same), problems]))
"""


@pytest.mark.tvm
def test_what_is_no_input_is_a_message(made: Path) -> None:
    equal, problems = child(INPUTS, made)
    assert equal
    wanted = "the network takes float32 [1, 2, 8, 8]"
    assert problems[0] == f"the input is float32 [2, 8, 8], and {wanted}; add the batch with `[None]`"
    assert problems[1].endswith("convert it with `.astype(numpy.float32)`")
    assert problems[2].startswith("the input is >f4")
    assert all("is no array of numbers" in each for each in problems[3:])
    assert len(problems) == 6


def test_numbers_without_a_type_become_float32() -> None:
    assert as_array([[1, 2], [3, 4.5]]).dtype == np.float32
    assert as_array(np.ones(2)).dtype == np.float64
    with pytest.raises(BundleProblem, match="of type list, is no array of numbers"):
        as_array([object()])

"""A bundle's runner labels a classifier's scores alone, describes anything else, and writes the arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model

from compiler.ir.graph import INPUT, GraphBuilder, Network, Node
from compiler.ir.types import TensorType
from runtime.bundle import run_bundle, write_bundle
from runtime.bundle_runner.manifest import BundleProblem
from runtime.bundle_runner.outputs import (
    VALUES_CAP,
    answer_line,
    check_output,
    describe,
    predict,
    softmax,
    write_outputs,
)
from runtime.checked_bundle import output_kind

SCORES = np.array([[0.5, -1.0, 2.0]], np.float32)


def ending(*steps: tuple[str, tuple[int, ...]]) -> Network:
    """A chain of operators with the sizes that each gives; the first is the input's."""
    builder, before = GraphBuilder(), ()
    for number, (op, sizes) in enumerate(steps):
        builder.add(Node(f"n{number}", op, before, TensorType(sizes)))
        before = (f"n{number}",)
    return Network("chain", builder.build(before[0]))


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([(INPUT, (3,)), ("linear", (5,))], "logits"),
        ([(INPUT, (8, 4, 4)), ("relu", (8, 4, 4)), ("global_pool", (8,))], "logits"),
        ([(INPUT, (3,)), ("linear", (5,)), ("softmax", (5,))], "probabilities"),
        ([(INPUT, (3,)), ("softmax", (3,)), ("dropout", (3,))], "probabilities"),
        ([(INPUT, (3,)), ("linear", (5,)), ("sigmoid", (5,))], "values"),
        ([(INPUT, (3,)), ("linear", (1,))], "values"),
        ([(INPUT, (3, 4, 4)), ("softmax", (3, 4, 4)), ("flatten", (48,))], "values"),
        ([(INPUT, (3, 4, 4)), ("relu", (3, 4, 4))], "values"),
        ([(INPUT, (7, 16)), ("linear", (7, 5))], "values"),
    ],
)
def test_the_graph_says_what_its_output_is(steps: Any, kind: str) -> None:
    assert output_kind(ending(*steps)) == kind


def test_only_scores_have_labels() -> None:
    def first(kind: str, output: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        return predict(output, {"output_kind": kind, "labels": ["a", "b", "c"]}, 1)

    chances = softmax(SCORES[0])
    assert first("logits", SCORES) == [{"label": "c", "probability": round(float(chances[2]), 6)}]
    given = np.array([[0.25, 0.5, 0.25]], np.float32)
    assert first("probabilities", given) == [{"label": "b", "probability": 0.5}]
    assert first("values", SCORES) == []
    assert first("logits", SCORES * np.float32(np.nan)) == []


def test_an_output_is_described() -> None:
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    said = describe(image)
    assert said["shape"] == [2, 2, 2]
    assert (said["min"], said["max"], said["mean"], said["not_finite"]) == (0, 7, 3.5, 0)
    assert said["values"] == image[0].tolist()
    assert answer_line(image, []) == "[2, 2, 2]  min 0  max 7  mean 3.5  first 0 1 2 3 4 5 6 7"
    assert describe(np.zeros((1, VALUES_CAP + 1), np.float32))["values"] is None


def test_what_is_not_finite_stays_json() -> None:
    output = np.array([[1, np.nan, np.inf]], np.float32)
    said = json.loads(json.dumps(describe(output), allow_nan=False))
    assert (said["values"], said["not_finite"], said["max"]) == ([1, None, None], 2, 1)
    assert "2 of 3 not finite" in answer_line(output, [])
    nothing = describe(output * np.float32(np.nan))
    assert (nothing["min"], nothing["mean"]) == (None, None)


def test_no_file_is_lost_to_an_output(tmp_path: Path) -> None:
    there, text, new = (tmp_path / name for name in ("there.npy", "text.npy", "new.npy"))
    write_outputs(there, [SCORES, -SCORES])
    np.testing.assert_array_equal(np.load(there), np.concatenate([SCORES, -SCORES]))
    text.write_text("notes")
    check_output(new, [there], force=False)
    check_output(there, [], force=True)
    refused: list[tuple[Path, list[Path], str]] = [
        (there, [], "replace it with --force"),
        (text, [], "is there already and is no .npy array"),
        (there, [there], "is an input"),
        (tmp_path / "y.txt", [], "a name that ends in .npy"),
        (tmp_path / "no" / "y.npy", [], "its folder does not exist"),
    ]
    for path, inputs, message in refused:
        with pytest.raises(BundleProblem, match=message):
            check_output(path, inputs, force=path != there or bool(inputs))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["text.npy", "there.npy"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.library(tmp_path_factory.mktemp("library"))


@pytest.mark.tvm
@pytest.mark.parametrize("kind", ["logits", "values"])
def test_the_runner_answers_and_writes(kind: str, library: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", library, tiny_model.manifest(output_kind=kind)).folder
    images = np.random.default_rng(1).normal(size=(2, 2, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    arguments = [str(tmp_path / "x.npy"), "--out", str(tmp_path / "y.npy"), "--top", "1"]
    code, out, error = run_bundle(bundle, [*arguments, "--json"])
    assert (code, error) == (0, "")
    answer = json.loads(out)
    expected = tiny_model.expected(images)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5)
    np.testing.assert_allclose([each["values"] for each in answer["outputs"]], expected, rtol=1e-5)
    assert answer["output_kind"] == kind
    assert [len(each) for each in answer["predictions"]] == ([1, 1] if kind == "logits" else [0, 0])
    code, out, _ = run_bundle(bundle, [*arguments, "--force"])
    assert code == 0
    assert out.startswith("[3]  min ") == (kind == "values")
    code, _, error = run_bundle(bundle, arguments)
    assert (code, "replace it with --force" in error) == (2, True)

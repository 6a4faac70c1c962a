"""A model of another program becomes a bundle that answers as ONNX Runtime does, or nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiler.codegen.from_onnx import from_onnx, read_model
from compiler.codegen.onnx_reader import OnnxProblem
from compiler.passes.chains import counts
from compiler.passes.fuse import fuse
from runtime import device, model_build
from runtime.bundle import verify
from runtime.bundle_diff import differences
from runtime.bundle_trust import standing
from runtime.checked_bundle import WrongAnswers
from runtime.files import FileProblem, folder_lock
from runtime.model_build import answer, build_model, read, reference_of
from runtime.peers import onnxruntime
from tests.compiler.codegen.light_models import light_model

pytestmark = pytest.mark.tvm


def small_model(height: int | str = 9, last: str = "Softmax") -> onnx.ModelProto:
    """A convolution, batch norm, activation, pool, classifier; the height may be free."""
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    weights = [weight("w", 8, 3, 3, 3), weight("scale", 8), weight("shift", 8), weight("mean", 8)]
    weights += [numpy_helper.from_array(np.full(8, 2, np.float32), "var"), weight("head", 5, 8)]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], "bn"),
        helper.make_node("Relu", ["b"], ["c"], "act"),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "pool"),
        helper.make_node("Flatten", ["d"], ["e"], "flat"),
        helper.make_node("Gemm", ["e", "head"], ["f"], "head", transB=1),
        helper.make_node(last, ["f"], ["y"], "last"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, height, 7])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "small.onnx"
    onnx.save(model, path)
    return path


def test_without_trials_nothing_is_measured(tmp_path: Path) -> None:
    path, out = saved(tmp_path, small_model()), tmp_path / "out"
    (out / "tuning").mkdir(parents=True)
    (out / "tuning" / "host.json").write_text("of an earlier build")
    built = build_model(path, device.host(), out, trials=0, records=tmp_path / "records.db")
    assert built.table is None
    assert not (tmp_path / "records.db").exists()
    assert sorted(entry.name for entry in out.iterdir() if entry.name[0] != ".") == [
        "bundle",
        "model.onnx",
        "tuning",
    ]
    assert not [*(out / "tuning").iterdir()]
    manifest = verify(out / "bundle").manifest
    assert manifest.numerical_check["reference"] == "onnxruntime"
    assert manifest.numerical_check["max_relative_error"] < 1e-5
    assert (manifest.input.shape, manifest.output.shape) == ((1, 3, 9, 7), (1, 5))
    assert manifest.output_kind == "probabilities"
    written, _ = from_onnx(read_model(out / "model.onnx"))
    assert [call.kernel.signature for call in fuse(written).calls] == [
        call.kernel.signature for call in built.plan.calls
    ]


def test_a_tuned_bundle_has_a_table_and_records(tmp_path: Path) -> None:
    path, out = saved(tmp_path, small_model("height")), tmp_path / "out"
    built = build_model(
        path,
        device.host(),
        out,
        trials=2,
        budget_s=10,
        input_sizes=(3, 9, 7),
        records=tmp_path / "records.db",
    )
    assert built.table is not None
    assert built.predicted.latency_ms > built.predicted.error_ms > 0
    assert set(built.plan.kernels) <= set(built.table.entries)
    assert json.loads((out / "tuning" / "host.json").read_text())["schema"] == "onepath.latency/1"
    assert (tmp_path / "records.db").exists()
    predicted, measured = built.bundle.manifest.benchmark, verify(out / "bundle").benchmark
    assert predicted["latency_predicted_ms"] == built.predicted.latency_ms
    told = answer(built)
    assert told["latency_predicted_ms"] == built.predicted.latency_ms
    assert told["latency_error_ms"] == built.predicted.error_ms
    joined = built.table.joined(built.plan)
    assert {name: told[name] for name in counts(joined)} == counts(joined)
    assert (told["latency_p50_ms"], told["noisy"]) == (measured["latency_p50_ms"], measured["noisy"])
    assert 0 < measured["latency_p50_ms"] <= measured["latency_p90_ms"] <= measured["latency_p99_ms"]
    assert standing(built.bundle) == "built here"


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path, small_model())
    one, other = (build_model(path, device.host(), tmp_path / name, trials=0).bundle for name in "ab")
    assert differences(one, other) == {}
    assert one.digest == other.digest
    assert {"llvm", "onepath", "apache-tvm", "numpy", "onnx"} <= one.manifest.versions.keys()


def test_outputs_that_are_no_numbers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that overflow: nothing can be compared, and the message says which program says so."""
    model = small_model()
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim == 4:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(array, 3e38), tensor.name))
    path = saved(tmp_path, model)
    with pytest.raises(WrongAnswers, match="of onnxruntime are infinite or no number, for ordinary inputs"):
        build_model(path, device.host(), tmp_path / "out", trials=0)
    assert not (tmp_path / "out/bundle").exists()
    assert "the same for different inputs" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "squeezenet", "shufflenet"])
def test_networks_of_the_field_answer_as_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    path = tmp_path / "light.onnx"
    onnx.save(light_model(name), path)
    built = build_model(path, device.host(), tmp_path / "out", trials=0)
    assert built.bundle.manifest.numerical_check["reference"] == "onnxruntime"
    assert built.bundle.manifest.numerical_check["max_relative_error"] <= 1e-4


def test_wrong_answers_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: model_build.Model, threads: int) -> model_build.Reference:
        right = reference_of(model, threads, 2)
        return replace(right, outputs=right.outputs * np.float32(1.001))

    monkeypatch.setattr(model_build, "reference_of", wrong)
    with pytest.raises(WrongAnswers, match=r"differs from that of onnxruntime by 9.99e-04"):
        build_model(saved(tmp_path, small_model()), device.host(), tmp_path / "out", trials=0)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_keeps_its_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(model_build, "write_checked", lambda *given: pytest.fail("it was not to be reached"))
    monkeypatch.setattr("runtime.files.LOCK_WAIT_S", 0.01)
    with folder_lock(out), pytest.raises(FileProblem, match="is in use by process"):
        build_model(saved(tmp_path, small_model()), device.host(), out, trials=0)
    assert out.is_dir()


def test_a_failed_build_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise WrongAnswers("no")

    monkeypatch.setattr(model_build, "write_checked", fails)
    path = saved(tmp_path, small_model())
    (tmp_path / "out").mkdir()
    for out in (tmp_path / "out", tmp_path / "new" / "deep"):
        with pytest.raises(WrongAnswers):
            build_model(path, device.host(), out, trials=0)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "small.onnx"]


def test_no_model_is_built_inside_of_a_bundle(tmp_path: Path) -> None:
    for name in ("manifest.json", "model.so", "runner.py"):
        (tmp_path / name).touch()
    with pytest.raises(FileProblem, match="is inside of the bundle"):
        build_model(tmp_path / "small.onnx", device.host(), tmp_path / "bundle", trials=0)


def test_what_is_not_supported_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, small_model(last="Hardmax"))
    with pytest.raises(OnnxProblem, match=r"small\.onnx: node `last` \(Hardmax\) is not supported"):
        build_model(path, device.host(), tmp_path / "out", trials=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.torch
def test_without_onnx_runtime_pytorch_is_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read(saved(tmp_path, small_model()))
    runtime = reference_of(model, 1)
    monkeypatch.setattr(onnxruntime, "available", lambda: False)
    torch = reference_of(model, 1)
    assert (runtime.name, torch.name) == ("onnxruntime", "torch")
    np.testing.assert_array_equal(runtime.inputs, torch.inputs)
    np.testing.assert_allclose(runtime.outputs, torch.outputs, rtol=1e-4, atol=1e-6)


def test_free_sizes_must_be_stated(tmp_path: Path) -> None:
    path = saved(tmp_path, small_model("height"))
    with pytest.raises(OnnxProblem, match=r"`x` is \?x3x\?x7, .* `--input-shape 3x224x7`"):
        read(path)
    with pytest.raises(OnnxProblem, match=r"`x` is \?x3x\?x7, and 3x9x8 does not fit it"):
        read(path, (3, 9, 8))
    assert read(path, (3, 9, 7)).shape == (1, 3, 9, 7)

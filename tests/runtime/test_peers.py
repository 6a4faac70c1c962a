"""Peers: what each says of itself, what is said where one is absent, and that those here give the same answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_model

from compiler.codegen.to_onnx import model_bytes, to_onnx
from runtime import peers
from runtime.bench import cores
from runtime.bench_contender import Contender
from runtime.peers import PEERS, UnknownPeer, absence, conversion, iree, ncnn, openvino, packages, peer
from runtime.peers.conversion import CannotConvert, convert

SLOW = ("litert", "torch-compiled")
"""Converted or compiled for longer than a test should take."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("peers") / "model.onnx"
    path.write_bytes(model_bytes(to_onnx(tiny_model.network(), {"head.weight": tiny_model.WEIGHT})))
    return path


def test_names_are_unique_and_no_part_of_another() -> None:
    names = [each.NAME for each in PEERS]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names), "agreement joins two names with it"
    assert {peer(name).NAME for name in names} == set(names)
    with pytest.raises(UnknownPeer, match="`tensorrt`; there are onnxruntime, openvino"):
        peer("tensorrt")


@pytest.mark.parametrize("each", PEERS, ids=lambda each: each.NAME)
def test_threads_are_part_of_what_a_peer_runs_with(each: peers.Peer) -> None:
    assert 3 in each.configuration(3).values()


def test_nothing_of_a_peer_is_imported_before_it_is_prepared() -> None:
    code = "import sys, runtime.peers as p; [each.available() for each in p.PEERS]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"onnxruntime", "openvino", "ncnn", "pnnx", "iree", "torch", "ai_edge_litert"}


def test_an_absent_peer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_version", lambda name: None if name == "pnnx" else "1.0")
    assert absence(peer("ncnn")) == "not installed: pip install pnnx"
    assert absence(peer("openvino")) == ""


@pytest.mark.parametrize(
    "each", [each for each in PEERS if each.NAME not in SLOW], ids=lambda each: each.NAME
)
def test_a_peer_gives_the_networks_answers(each: peers.Peer, model: Path, tmp_path: Path) -> None:
    if absence(each):
        pytest.skip(f"{each.TITLE} is {absence(each)}")
    images = np.random.default_rng(0).normal(size=(3, 2, 8, 8)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    setup = {"kind": "peer", "peer": each.NAME, "model": str(model), "threads": 1}
    with Contender(each.NAME, setup | {"cores": cores(1), "shape": [1, 2, 8, 8]}) as contender:
        outputs = contender.predict(tmp_path / "images.npy", tmp_path)
    assert outputs.shape == (3, 3)
    np.testing.assert_allclose(outputs, tiny_model.expected(images), rtol=1e-4, atol=1e-5)


def test_a_converter_that_refuses_is_quoted(tmp_path: Path) -> None:
    code = "import sys; print('note: a'); print('error: no such operator', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CannotConvert, match="ended with code 3: error: no such operator"):
        convert([sys.executable, "-c", code], tmp_path)


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_openvino_is_held_to_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Core:
        def compile_model(self, path: str, device: str, settings: dict[str, Any]) -> Any:
            given.update(settings)
            request = SimpleNamespace(infer=lambda inputs: {"out": inputs[0] * 2})
            return SimpleNamespace(output=lambda index: "out", create_infer_request=lambda: request)

    _module(monkeypatch, "openvino", Core=Core)
    run = openvino.prepare(Path("model.onnx"), 2)
    assert run(np.ones((1, 3), np.float32)).tolist() == [[2, 2, 2]]
    assert (given["INFERENCE_PRECISION_HINT"], given["INFERENCE_NUM_THREADS"]) == ("f32", 2)
    assert given["ENABLE_CPU_PINNING"] is False


def test_ncnn_is_held_to_fp32(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    commands: list[Any] = []

    class Net:
        def __init__(self) -> None:
            self.opt = SimpleNamespace(use_fp16_storage=True)
            nets.append(self)

        def load_param(self, path: str) -> int:
            return 0

        load_model = load_param

        def input_names(self) -> list[str]:
            return ["in0"]

        output_names = input_names

        def create_extractor(self) -> Any:
            held: dict[str, Any] = {}
            return SimpleNamespace(input=held.__setitem__, extract=lambda name: (0, held[name][0, 0]))

    nets: list[Net] = []
    _module(monkeypatch, "ncnn", Net=Net, Mat=lambda image: image)
    _module(monkeypatch, "pnnx", EXEC_PATH="pnnx")
    monkeypatch.setattr(ncnn, "convert", lambda command, folder: commands.append(command))
    image = np.arange(128, dtype=np.float32).reshape(1, 2, 8, 8)
    assert ncnn.prepare(model, 2)(image).tolist() == [image[0, 0, 0].tolist()]
    assert commands == [["pnnx", "model.onnx", "inputshape=[1,2,8,8]", "fp16=0"]]
    assert not any(getattr(nets[0].opt, name) for name in ncnn.LOWER_PRECISION)
    assert nets[0].opt.num_threads == 2


def test_iree_takes_a_pool_of_threads_only_for_several() -> None:
    assert iree.configuration(1)["device"] == "local-sync"
    assert iree.configuration(2)["device"] == "local-task"


def test_torch_gets_the_network_with_its_weights(model: Path) -> None:
    import torch

    image = torch.rand(1, 2, 8, 8)
    expected = tiny_model.expected(image.numpy())
    np.testing.assert_allclose(conversion.torch_module(model)(image).numpy(), expected, rtol=1e-5)

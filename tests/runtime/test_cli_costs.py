"""`onepath cost` and `onepath table` as a user meets them: a network, a space, tables of both kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compiler.codegen.schedules.template import Schedule
from compiler.frontend import examine
from compiler.latency import Entry, LatencyTable, MeasuredNoise, Model
from compiler.passes.flatten import flatten
from compiler.pricing import space_kernels
from compiler.target import Target
from runtime.cli import app
from runtime.cli.common import read_source
from runtime.latency_table import write_table

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROXYLESS = EXAMPLES / "proxyless_mobile.space"
SPACE = """
space small {
    input [3, 8, 8]
    output [10]
    conv(8, 3) -> choose { relu | hswish } -> global_pool -> linear(10)
}
target phone { latency_table = "phone.json" }
"""
STEM = "f32 nhwc (3x8x8) conv(%0, out=8, kernel=3)"
PHONE = {
    "schema": "onepath.block_latency/1",
    "device": "a phone",
    "entries": {
        f"{STEM}; relu(%1)": {"mean_ms": 1.0},
        f"{STEM}; hswish(%1)": {"mean_ms": 3.0},
        "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10)": {"mean_ms": 0.5},
    },
}


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "phone.json").write_text(json.dumps(PHONE))
    path = tmp_path / "small.space"
    path.write_text(SPACE)
    return path


def test_the_range_of_a_space_and_its_fastest_network(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "fastest.json"
    result = call("cost", file, "--target", "phone", "--fastest", out, "--format", "json")
    answer = json.loads(result.stdout)
    assert (answer["latency_min_ms"], answer["latency_max_ms"], answer["latency_expected_ms"]) == (
        1.5,
        3.5,
        2.5,
    )
    assert answer["params_min"] == answer["params_max"] == 3 * 8 * 9 + 90
    assert json.loads(out.read_text())["choices"] == {"path": "relu"}
    network = json.loads(call("cost", file, "--target", "phone", "--arch", out, "--format", "json").stdout)
    assert network["latency_predicted_ms"] == 1.5
    assert network["latency_error_ms"] is None
    assert network["table"] == str(tmp_path / "phone.json")


def test_the_range_as_text(file: Path) -> None:
    assert call("cost", file, "--target", "phone").stdout.splitlines() == [
        "parameters              306 to 306",
        "MACs                 13,904 to 13,904",
        "latency              1.5000 to 3.5000 ms, predicted for phone",
        "expected             2.5000 ms where all candidates are as likely as each other",
    ]


def test_a_measured_table_gives_an_error_bar(file: Path, tmp_path: Path) -> None:
    schedule = Schedule.of("dense", {"pixels": 4}).text
    kernels = space_kernels(flatten(examine(read_source(file)).space(None)))
    entries = {name: Entry(1.0 + ("hswish" in name), 1.0, False, schedule) for name in kernels}
    target = Target("laptop", "znver4", "x86_64-unknown-linux-gnu").to_json()
    noise = MeasuredNoise(0.0, 0.0, 1.0, False)
    table = LatencyTable(target, "", "", entries, Model(0.0, 0.0, 0.1, ()), "", noise)
    path = write_table(tmp_path / "laptop.json", table)
    answer = json.loads(call("cost", file, "--table", path, "--format", "json").stdout)
    names = ("min", "max", "expected")
    assert [answer[f"latency_{name}_ms"] for name in names] == [4.0, 5.0, 4.5]
    assert [answer[f"latency_{name}_error_ms"] for name in names] == pytest.approx([0.4, 0.5, 0.45])
    assert call("cost", file, "--table", path).stdout.splitlines()[2:] == [
        "latency              4.0000 ± 0.4000 to 5.0000 ± 0.5000 ms, predicted for laptop",
        "expected             4.5000 ± 0.4500 ms where all candidates are as likely as each other",
    ]


def test_a_space_without_a_table() -> None:
    answer = json.loads(call("cost", PROXYLESS, "--format", "json").stdout)
    assert answer["params_min"] == 2_154_984
    assert not [key for key in answer if key.startswith("latency")]


@pytest.mark.data
def test_the_released_network_needs_what_the_released_table_lacks(shared_data: Path) -> None:
    table = shared_data / "proxylessnas/mobile_trim.yaml"
    result = call("cost", EXAMPLES / "proxyless_mobile_searched.space", "--table", table)
    assert result.exit_code == 2
    missing = [line.strip() for line in result.output.splitlines() if line.startswith("  expanded_conv-")]
    assert missing == [
        "expanded_conv-input:112x112x16-output:56x56x32-expand:3-kernel:5-stride:2-idskip:0",
        "expanded_conv-input:56x56x32-output:56x56x32-expand:3-kernel:3-stride:1-idskip:1",
        "expanded_conv-input:56x56x32-output:28x28x40-expand:3-kernel:7-stride:2-idskip:0",
    ]
    assert "proxyless_mobile_searched.space:6:25: `mbconv2`" in result.output


def test_a_missing_table_is_named(file: Path) -> None:
    (file.parent / "phone.json").unlink()
    result = call("cost", file, "--target", "phone")
    assert result.exit_code == 2
    assert "phone.json: No such file" in result.output


def test_a_table_of_another_target_is_refused(file: Path, tmp_path: Path) -> None:
    noise = MeasuredNoise(0.0, 0.0, 1.0, False)
    table = LatencyTable({"name": "laptop"}, "", "", {}, Model(0.0, 0.0, 0.1, ()), "", noise)
    path = write_table(tmp_path / "laptop.json", table)
    result = call("cost", file, "--target", "phone", "--table", path)
    assert result.exit_code == 2
    assert "laptop.json is the latency table of target `laptop`, not of `phone`" in result.output
    # Without --target it is taken for what it is, and then lacks the kernels.
    assert "has no entry for kernel" in call("cost", file, "--table", path).output


@pytest.mark.parametrize("extra", [(), ("--target", "phone", "--arch", "ARCH")])
def test_fastest_needs_a_choice_and_a_table(extra: tuple[str, ...], file: Path, tmp_path: Path) -> None:
    (tmp_path / "arch.json").write_text(call("sample", file).stdout)
    words = [str(tmp_path / "arch.json") if word == "ARCH" else word for word in extra]
    result = call("cost", file, *words, "--fastest", tmp_path / "out.json")
    assert (result.exit_code, (tmp_path / "out.json").exists()) == (2, False)
    assert "--fastest is for a space with decisions" in result.output


def test_nothing_is_built_for_a_target_with_times_from_elsewhere(file: Path, tmp_path: Path) -> None:
    result = call("profile", file, "--target", "phone", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "target `phone` has its times from `phone.json`" in result.output


def test_convert_and_show(tmp_path: Path) -> None:
    published = tmp_path / "published.yaml"
    published.write_text(
        "Conv_1-input:7x7x320-output:7x7x1280: {count: 3, mean: 3.5, var: 0.25}\n"
        "Logits-input:7x7x1280-output:1000: {count: 3, mean: 4.5, var: 0.25}\n"
    )
    ours = tmp_path / "ours.json"
    result = call("table", "convert", published, "--out", ours, "--device", "My phone")
    assert result.stdout == f"2 blocks in {ours}\n"
    assert call("table", "show", ours).stdout.splitlines() == [
        "    4.5000 ms  Logits-input:7x7x1280-output:1000",
        "    3.5000 ms  Conv_1-input:7x7x320-output:7x7x1280",
        "2 entries, of My phone",
    ]
    shown = json.loads(call("table", "show", ours, "--format", "json").stdout)
    assert shown["entries"][0]["signature"].startswith("f32 nhwc (1280x7x7) global_pool(%0)")


def test_a_measured_table_is_shown_but_not_converted(tmp_path: Path) -> None:
    noise = MeasuredNoise(0.0, 0.0, 1.0, False)
    table = LatencyTable({"name": "laptop"}, "", "", {}, Model(0.0, 0.0, 0.1, ()), "", noise)
    path = write_table(tmp_path / "laptop.json", table)
    assert call("table", "show", path).stdout == "0 entries, of laptop\n"
    result = call("table", "convert", path, "--out", tmp_path / "out.json")
    assert (result.exit_code, (tmp_path / "out.json").exists()) == (2, False)

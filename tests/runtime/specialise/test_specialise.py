"""`--targets`: a search for each target under its own caps, and the cross table; what is refused, fails or resumes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("torch")

from runtime.cli.specialise import open_runs
from runtime.files import FileProblem
from runtime.report.cross import page_of_cross, render_cross
from runtime.specialise.cross import Cell, Cross, OnTarget, Searched, read_cross
from runtime.specialise.runs import check_runs
from runtime.workers import WorkerFailed
from tests.runtime.specialise.targets_space import PHONE_MS, SEARCH, WATCH_MS, call, written

pytestmark = pytest.mark.torch

KERNEL = {"layer": 0, "layer#2": 1, "layer#3": 2}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path)


def by_hand_ms(times_ms: tuple[float, ...], choices: dict[str, str]) -> float:
    """Stem and head take a millisecond each, each layer what its kernel does."""
    return 2 + sum(times_ms[KERNEL[choice]] for choice in choices.values() if choice in KERNEL)


def test_each_network_wins_at_home_and_the_table_tells_each_on_each(file: Path) -> None:
    result = call("run", file, "phone,watch", "--format", "json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    cross = read_cross(file.parent / "out/cross.json")
    assert answer == {
        "cross": str(file.parent / "out/cross.json"),
        "report": str(file.parent / "out/report.html"),
        **json.loads(json.dumps(cross.describe())),
    }
    assert cross.networks["phone"].choices != cross.networks["watch"].choices
    assert {target: cross.best_on(target) for target in cross.targets} == {"phone": "phone", "watch": "watch"}
    for network in cross.networks.values():
        for target, times_ms in (("phone", PHONE_MS), ("watch", WATCH_MS)):
            cell = network.on[target]
            assert cell.predicted_ms == pytest.approx(by_hand_ms(times_ms, network.choices))
            assert cell.holds == (cell.predicted_ms <= 5)
            assert cell.measured_ms is None
    assert [cross.networks[name].score for name in ("phone", "watch")] == [6, 10]


def test_a_run_holds_the_caps_of_its_own_target_and_those_of_no_target_in_the_list(file: Path) -> None:
    assert call("run", file, "phone,watch", "--set", "macs <= 200000").exit_code == 0
    caps = {
        name: [
            each["metric"]
            for each in json.loads((file.parent / f"out/{name}/search/result.json").read_text())["caps"]
        ]
        for name in ("phone", "watch")
    }
    assert caps == {"phone": ["latency on phone", "macs"], "watch": ["latency on watch", "macs"]}
    # Alone, the phone's search holds the watch's cap, too.
    assert call("run", file, "phone").exit_code == 0
    answer = json.loads((file.parent / "out/phone/search/result.json").read_text())
    assert [each["metric"] for each in answer["caps"]] == ["latency on phone", "latency on watch"]


def test_what_was_done_is_not_done_again(file: Path) -> None:
    assert call("run", file, "phone,watch").exit_code == 0
    made = [file.parent / "out" / name for name in ("cross.json", "report.html", "phone/search/result.json")]
    stamps = [path.stat().st_mtime_ns for path in made]
    assert call("run", file, "phone,watch").exit_code == 0
    assert [path.stat().st_mtime_ns for path in made] == stamps
    assert call("run", file, "phone,watch", "--set", "latency <= 4.5 ms on watch").exit_code == 0
    assert made[2].stat().st_mtime_ns == stamps[2]
    assert read_cross(made[0]).targets["watch"].limits == ("latency <= 4.5 ms on watch",)


def test_an_interrupted_command_goes_on_with_the_target_that_it_was_at(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runtime.pipeline

    whole = runtime.pipeline._shared

    def interrupted(run, stage):  # type: ignore[no-untyped-def]
        if run.experiment.target.name == "watch":
            raise KeyboardInterrupt
        return whole(run, stage)

    with monkeypatch.context() as patch:
        patch.setattr(runtime.pipeline, "_shared", interrupted)
        result = call("run", file, "phone,watch")
    assert (result.exit_code, "the same command goes on" in result.output) == (130, True)
    assert not (file.parent / "out/cross.json").exists()
    stamp = (file.parent / "out/phone/search/result.json").stat().st_mtime_ns
    assert call("run", file, "phone,watch").exit_code == 0
    assert (file.parent / "out/phone/search/result.json").stat().st_mtime_ns == stamp
    assert set(read_cross(file.parent / "out/cross.json").networks) == {"phone", "watch"}


def test_where_one_target_fails_the_others_go_on(file: Path) -> None:
    result = call("run", file, "phone,watch", "--set", "latency <= 1 ms on phone")
    assert result.exit_code == 1
    assert "target `phone`: no network of the space has latency <= 1 ms on phone" in result.output
    assert "what can be reached is 2 ms" in result.output
    assert re.search(r"^phone: failed: no network", result.output, re.MULTILINE)
    cross = read_cross(file.parent / "out/cross.json")
    assert (set(cross.networks), set(cross.failed), set(cross.targets)) == (
        {"watch"},
        {"phone"},
        {"phone", "watch"},
    )
    assert cross.best_on("phone") is None
    assert cross.networks["watch"].on["phone"].holds is False
    # Mended, the same command has both.
    assert call("run", file, "phone,watch").exit_code == 0
    assert read_cross(file.parent / "out/cross.json").failed == {}


def test_where_all_fail_there_is_an_empty_table(file: Path) -> None:
    result = call(
        "run", file, "phone,watch", "--set", "latency <= 1 ms on phone", "--set", "latency <= 1 ms on watch"
    )
    assert result.exit_code == 1
    assert read_cross(file.parent / "out/cross.json").networks == {}


REFUSED = {
    "twice": ("phone,phone", (), "`phone` stands there twice"),
    "empty": ("phone,", (), "a name is empty"),
    "unknown": ("phone,wach", (), "no target is named `wach`; did you mean `watch`?"),
    "uncapped": (
        "phone,host",
        (),
        "nothing limits the latency on `host`, so that its search would not be for it; write `latency <= ",
    ),
    "elsewhere": (
        "phone,raspberry_pi_5",
        ("--set", "latency <= 8 ms on raspberry_pi_5"),
        "target `raspberry_pi_5` cannot be measured on this machine",
    ),
    "another": ("phone,watch", ("--target", "phone"), "--target does not go with --targets"),
    "given": ("phone,watch", ("--arch", "a.json"), "--arch does not go with --targets"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_before_anything_starts(case: str, file: Path) -> None:
    targets, more, message = REFUSED[case]
    result = call("run", file, targets, *more)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not (file.parent / "out").exists()


def test_a_search_that_is_not_about_one_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("architecture,score,latency_ms\n00,1,1\n11,2,2\n")
    file = written(tmp_path, SEARCH.replace('function("judge:score")', 'table("scores.csv")'))
    result = call("search", file, "phone,watch")
    assert (result.exit_code, "latencies, which would be those of every target" in result.output) == (2, True)
    file.write_text(
        file.read_text().replace("choose { layer(1) | layer(3) | layer(5) | none: identity }", "relu")
    )
    result = call("search", file, "phone,watch")
    assert (result.exit_code, "`small` has nothing to decide" in result.output) == (2, True)


def test_a_table_without_a_block_is_refused_before_the_other_target_is_searched(file: Path) -> None:
    watch = json.loads((file.parent / "watch.json").read_text())
    watch["entries"].pop(next(name for name in watch["entries"] if "kernel=5" in name))
    (file.parent / "watch.json").write_text(json.dumps(watch))
    result = call("run", file, "phone,watch")
    assert (result.exit_code, "kernel=5" in result.output) == (2, True)
    assert not (file.parent / "out").exists()


def test_the_folder_of_one_run_is_left_alone(file: Path) -> None:
    (file.parent / "out").mkdir()
    (file.parent / "out/source.space").write_text("")
    result = call("run", file, "phone,watch")
    assert (result.exit_code, "is the folder of one run; choose another with --out" in result.output) == (
        2,
        True,
    )


def test_a_recipe_trains_and_exports_each_network_and_search_stops_before(tmp_path: Path) -> None:
    recipe = "train small { data = digits  epochs = 1  batch = 512 }"
    file = written(tmp_path, more=recipe)
    assert call("search", file, "phone,watch").exit_code == 0
    assert read_cross(tmp_path / "out/cross.json").networks["phone"].accuracy_test is None
    assert not (tmp_path / "out/phone/train").exists()
    plan = json.loads(call("run", file, "phone,watch", "--dry-run", "--format", "json").stdout)
    assert [step["stage"] for step in plan["watch"]] == ["search", "derive", "train", "export"]
    result = call("run", file, "phone,watch")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out/watch/model.onnx").is_file()
    cross = read_cross(tmp_path / "out/cross.json")
    assert all(0 < network.accuracy_test <= 1 for network in cross.networks.values())  # type: ignore[operator]
    assert "test accuracy" in (tmp_path / "out/report.html").read_text()
    # Of another recipe nothing is trained yet; what was trained by the former holds as soon as it is back.
    assert call("search", file, "phone,watch", "--set", "train.epochs=2").exit_code == 0
    assert read_cross(tmp_path / "out/cross.json").networks["phone"].accuracy_test is None
    assert call("search", file, "phone,watch").exit_code == 0
    assert read_cross(tmp_path / "out/cross.json") == cross


def test_what_is_checked_before_the_runs_keeps_no_data(tmp_path: Path) -> None:
    file = written(tmp_path, more="train small { data = digits  epochs = 1 }")
    folder, runs = open_runs(file, ["phone", "watch"], tmp_path / "out", None, None, None, None)
    check_runs(folder, runs, ["train", "train"])
    assert not any("data" in vars(run) for run in runs)


UNTUNED = """
target plain { kind = "c"  latency_table = "phone.json"  trials = 0 }
target riscv { like = "riscv64"  latency_table = "phone.json"  trials = 0 }
target server { cpu = "x86-64-v2"  triple = "x86_64-unknown-linux-gnu"  latency_table = "phone.json"  trials = 0 }
train small { data = digits  epochs = 1 }
"""


@pytest.mark.tvm
def test_where_no_bundle_can_be_built_the_run_ends_with_the_exported_network(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    search = SEARCH.replace("on phone", "on plain  latency <= 5 ms on riscv  latency <= 5 ms on server")
    file = written(tmp_path, search, UNTUNED)
    result = call("run", file, "plain,riscv,server", "--dry-run", "--format", "json")
    assert result.exit_code == 0, result.output
    last = {name: steps[-1]["stage"] for name, steps in json.loads(result.stdout).items()}
    assert last == {"plain": "export", "riscv": "export", "server": "build"}


def test_a_table_whose_files_changed_while_it_was_made_is_made_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runtime.specialise.stage as stage

    write = stage.write_cross

    def meanwhile(path: Path, cross: Cross) -> Path:
        with (file.parent / "phone.json").open("a") as table:
            table.write("\n")
        return write(path, cross)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_cross", meanwhile)
        assert call("run", file, "phone,watch").exit_code == 0
    assert not (file.parent / "out/stages/cross.json").exists()
    assert call("run", file, "phone,watch").exit_code == 0
    assert (file.parent / "out/stages/cross.json").exists()


@pytest.mark.tvm
def test_a_target_of_this_machine_is_measured_beside_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tvm")
    import runtime.specialise.measured as measured

    def failing(*more: object) -> list[float]:
        raise WorkerFailed("it hung")

    search = SEARCH.replace("latency <= 5 ms on watch", "latency <= 5 s on host  profile_budget = 1 s")
    file, table = written(tmp_path, search), tmp_path / "out/cross.json"
    arguments = ("run", file, "phone,host", "--records", str(tmp_path / "r.sqlite"))
    with monkeypatch.context() as patch:
        patch.setattr(measured, "measure_plans", failing)
        assert call(*arguments).exit_code == 0
    assert read_cross(table).targets["host"].not_measured == "a network cannot be built or run: it hung"
    # What failed is tried again.
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    cross = read_cross(table)
    assert cross.targets["host"].not_measured is None
    for network in cross.networks.values():
        on = network.on["host"]
        assert 0 < on.measured_ms < 5  # type: ignore[operator]
        assert on.error_ms is not None
        assert network.on["phone"].measured_ms is None
    # What was measured stays, whatever the limits.
    monkeypatch.setattr(measured, "measure_plans", failing)
    assert call(*arguments, "--set", "latency <= 4 s on host").exit_code == 0
    now = read_cross(table)
    assert now.targets["host"].limits == ("latency <= 4000 ms on host",)
    times_ms = [[each.on["host"].measured_ms for each in made.networks.values()] for made in (cross, now)]
    assert times_ms[0] == times_ms[1]


class Closed(HTMLParser):
    """Sees that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_as_it_was_read_and_looked_at(golden: Callable[[str, str], None]) -> None:
    golden("report/cross.html", render_cross(sample("sample"), ["a"]))


def test_the_report_is_one_safe_file_with_every_cell() -> None:

    hostile = "</title><script>alert(1)</script>"
    html = render_cross(sample(hostile), ["a"])
    parser = Closed()
    parser.feed(html)
    assert parser.open == []
    assert "default-src 'none'" in html
    assert not re.search(r"<script|javascript:|\son\w+=|\sstyle=|https?://|url\(|@import", html)
    assert '<a href="a/report.html">a</a>' in html
    for words in (
        "1.00\N{NO-BREAK SPACE}ms",
        "measured 1.10",
        "4.00\N{NO-BREAK SPACE}ms",
        "differ in 1 of 2",
    ):
        assert words in html


def test_a_run_that_fails_after_its_network_was_found_is_not_said_to_have_none() -> None:
    page = page_of_cross(replace(sample("s"), failed={"a": "no space left", "c": "no network"}))
    assert page.subtitle == "s.space, searched for each of a, b, c"
    assert page.warnings[:2] == (
        "The run ended early for a: no space left",
        "There is no network for c: no network",
    )


def test_a_damaged_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "cross.json").write_text('{"schema": "onepath.cross/1"}')
    with pytest.raises(FileProblem, match="checksum"):
        read_cross(tmp_path / "cross.json")


def test_of_equals_the_fastest_network_is_the_best() -> None:
    cross = sample("s")
    assert cross.networks["a"].score == cross.networks["b"].score
    fastest = {
        name: min(cross.networks, key=lambda each: cross.networks[each].on[name].predicted_ms)
        for name in "ab"
    }
    assert (cross.best_on("a"), cross.best_on("b")) == (fastest["a"], fastest["b"])


def sample(space: str) -> Cross:
    """Two targets and two networks of one score; each is held by both targets."""

    def network(on: dict[str, Cell], kernel: int) -> Searched:
        return Searched(0.5, None, 1000, 2_000_000, 4096, {"kernel": kernel, "expand": 3}, on)

    first = network({"a": Cell(1.0, 0.1, 1.1, True), "b": Cell(2.0, None, None, True)}, 3)
    second = network({"a": Cell(3.0, 0.1, 3.1, True), "b": Cell(4.0, None, None, True)}, 5)
    targets = {
        "a": OnTarget(("latency <= 2 ms on a",), "a/latency/a.json", "0", noisy=True),
        "b": OnTarget((), "b.json", "0", not_measured="its times are from `b.json`"),
    }
    return Cross(space, "s.space", targets, {"a": first, "b": second}, {"c": space})

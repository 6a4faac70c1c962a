"""Every template agrees with PyTorch, on awkward shapes, for several of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from psutil import Process

from compiler.codegen.schedules import candidates, template_named, template_of
from compiler.codegen.schedules.emit import split_lanes
from compiler.codegen.schedules.template import Schedule, Unsupported, read_schedule
from compiler.codegen.schedules.tiles import Window, channel_runs, imbalance, tile_runs
from compiler.ir.ops import ACTIVATIONS
from compiler.kernel import Kernel, Step
from compiler.target import Target
from runtime.device import host
from tests.compiler.codegen.call import call_again, call_kernels
from tests.compiler.codegen.chains import CHAINS, chain_parts, chained
from tests.compiler.codegen.reference import (
    AVX2,
    AVX512,
    channels_last,
    conv,
    depthwise,
    kernel,
    linear,
    plain,
    pool,
    run_reference,
    shuffle,
    values_of,
)

pytestmark = pytest.mark.tvm

POINTWISE = [
    conv((24, 13, 11), 40, 1, "relu6"),
    conv((3, 5, 7), 10, bias=False),
    conv((1, 4, 4), 1, 1, "relu"),
    conv((16, 7, 7), 24, 1, "hswish", residual=True),
    conv((12, 9, 9), 20, 1, "relu", stride=2),
    conv((72, 1, 1), 18, 1, "hsigmoid"),
]
WINDOWED_CONVOLUTIONS = [
    conv((3, 17, 19), 16, 3, "relu6", stride=2),
    conv((1, 28, 28), 10, 5, "relu", stride=2),
    conv((10, 11, 13), 7, 7),
    conv((5, 9, 8), 24, 3, "swish", dilation=2),
    conv((6, 9, 9), 6, 3, dilation=4),
    conv((8, 9, 9), 12, 3, "relu", groups=2, residual=True),
    conv((4, 6, 5), 4, 3, groups=4, padding=0),
    conv((4, 6, 6), 8, 2, padding=0, stride=2),
    conv((3, 4, 4), 8, 5, padding=3),
]
DEPTHWISE = [
    depthwise((24, 13, 11), 3, "relu6"),
    depthwise((10, 14, 14), 5, "hswish", residual=True),
    depthwise((3, 7, 5), 7, bias=False),
    depthwise((1, 9, 9), 3, stride=2),
    depthwise((40, 15, 15), 5, "relu", stride=2),
    depthwise((17, 9, 11), 3, dilation=3),
    depthwise((33, 3, 2), 5),
    depthwise((16, 8, 8), 1, stride=2),
]
OTHERS = [
    linear((37,), 10),
    linear((64,), 3, "relu", bias=False),
    linear((5, 24), 17, "gelu", residual=True),
    pool("max_pool", (10, 13, 11), 3, 2, 1, "relu"),
    pool("max_pool", (24, 8, 8), 2, 2, 0),
    pool("avg_pool", (10, 13, 11), 3, 1, 1),
    pool("avg_pool", (3, 9, 9), 5, 2, 2, "sigmoid"),
    plain("global_pool", [(24, 7, 5)], "relu"),
    plain("global_pool", [(1, 3, 3)]),
    plain("global_pool", [(130, 1, 1)]),
    plain("global_pool", [(9, 20)]),
    plain("global_max_pool", [(24, 7, 5)], "relu"),
    plain("mul", [(24, 7, 5), (24,), (1, 7, 5)], "relu6"),
    plain("mul", [(24,), (9, 24)]),
    plain("mul", [(1,), (24,)]),
    plain("concat", [(3, 5, 5), (24, 5, 5), (10, 5, 5)], "relu"),
    plain("concat", [(7,), (16,)]),
    plain("concat", [(4, 6), (4, 10)]),
    plain("add", [(10, 7, 3)] * 3, "relu"),
    plain("add", [(10,)]),
    plain("mul", [(3, 3, 3)] * 2),
    plain("zero", [(3, 5, 5)]),
    plain("identity", [(17,)]),
]
EPILOGUES = [plain(name, [(10, 5, 7)]) for name in ACTIVATIONS] + [
    conv((8, 4, 4), 8, 1, *ACTIVATIONS, residual=True),
    Kernel(
        ((8, 3, 3), (16, 3, 3), (16, 3, 3)),
        (
            conv((8, 3, 3), 16).steps[0],
            Step("relu", (), (1,)),
            Step("sigmoid", (), (3,)),
            Step("mul", (), (5, 4, 2)),
            Step("add", (), (6, 3, 3)),
        ),
    ),
]
SHUFFLES = [
    shuffle((136, 5, 3), 4, "relu"),
    shuffle((51, 3, 2), 3),
    shuffle((36, 2, 2), 18),
    shuffle((24, 4, 3), 1),
    shuffle((18 * 19, 1, 2), 18),
    shuffle((9, 40), 2),
    shuffle((60,), 12),
]
LINE_BUFFERED = [chained(parts) for parts in CHAINS]


def agree(cases: Sequence[tuple[Kernel, Schedule]], target: Target) -> None:
    """All cases, compiled together, agree with PyTorch within 1e-4 of the largest value."""
    values = [values_of(kernel, seed) for seed, (kernel, _) in enumerate(cases)]
    results = call_kernels(cases, values, target)
    for (case, schedule), (inputs, weights), result in zip(cases, values, results, strict=True):
        expected = channels_last(run_reference(case, inputs, weights))
        scale = max(float(np.abs(expected).max()), 1e-3)
        where = f"{case.signature} {schedule.text}"
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * scale, err_msg=where)


def some(case: Kernel, target: Target, count: int) -> list[tuple[Kernel, Schedule]]:
    """The default schedule, and others from all over the candidates."""
    found = candidates(case, target)
    places = sorted({round(index * (len(found) - 1) / max(1, count - 1)) for index in range(count)})
    return [(case, found[place]) for place in places]


@pytest.mark.parametrize(
    "family", [POINTWISE, WINDOWED_CONVOLUTIONS, DEPTHWISE, OTHERS, EPILOGUES, SHUFFLES, LINE_BUFFERED]
)
def test_default_schedules_agree_with_pytorch(family: list[Kernel]) -> None:
    target = host()
    agree([(case, candidates(case, target)[0]) for case in family], target)


@pytest.mark.parametrize("family", [POINTWISE, WINDOWED_CONVOLUTIONS, DEPTHWISE, SHUFFLES, LINE_BUFFERED])
def test_other_schedules_agree_with_pytorch(family: list[Kernel]) -> None:
    target = host()
    agree([case for each in family[::2] for case in some(each, target, 4)[1:]], target)


@pytest.mark.parametrize("threads", [1, 2])
def test_chains_give_their_lines_back(threads: int) -> None:
    target = replace(host(), threads=threads)
    case = chained(chain_parts((16, 8, 64), 256, 16))
    line_bytes = 4 * 64 * 256
    call_again((case, candidates(case, target)[0]), target, 10)
    before = Process().memory_info().rss
    call_again((case, candidates(case, target)[0]), target, 400)
    assert Process().memory_info().rss - before < 100 * line_bytes


def test_what_is_no_number_stays_none() -> None:
    """A NaN comes out where PyTorch has one, and nowhere else: of each activation, and of what follows a sum."""
    target = host()
    cases = [plain(name, [(10, 5, 7)]) for name in ACTIVATIONS] + [
        conv((8, 5, 7), 10, 3, "relu6"),
        depthwise((10, 5, 7), 3, "relu"),
        linear((350,), 10, "elu"),
    ]
    values = [values_of(case) for case in cases]
    for (value,), _ in values:
        value.reshape(-1)[[0, 100, value.size - 1]] = np.nan
    results = call_kernels([(case, candidates(case, target)[0]) for case in cases], values, target)
    for case, (inputs, weights), result in zip(cases, values, results, strict=True):
        expected = np.isnan(channels_last(run_reference(case, inputs, weights)))
        assert expected.any(), case.signature
        np.testing.assert_array_equal(np.isnan(result), expected, err_msg=case.signature)


@pytest.mark.parametrize("bits", [128, 256])
def test_narrower_vectors_agree_with_pytorch(bits: int) -> None:
    machine = host()
    target = Target(
        "narrow", machine.cpu, machine.triple, features=machine.features, vector_bits=bits, registers=16
    )
    cases = [POINTWISE[0], WINDOWED_CONVOLUTIONS[0], DEPTHWISE[1], OTHERS[5], OTHERS[10], *LINE_BUFFERED[:2]]
    agree([(case, candidates(case, target)[0]) for case in cases], target)


def test_parallel_loops_agree_with_pytorch() -> None:
    machine = host()
    target = replace(machine, threads=2)
    cases = [
        POINTWISE[0],
        WINDOWED_CONVOLUTIONS[0],
        DEPTHWISE[0],
        *OTHERS[:4],
        OTHERS[7],
        OTHERS[10],
        OTHERS[13],
        *LINE_BUFFERED[:4],
    ]
    agree([pair for case in cases for pair in some(case, target, 3)], target)


@pytest.mark.parametrize(
    "case", [*POINTWISE, *WINDOWED_CONVOLUTIONS, *DEPTHWISE, *OTHERS, *EPILOGUES, *LINE_BUFFERED]
)
def test_candidates_are_distinct_and_read_back(case: Kernel) -> None:
    for target in (AVX512, AVX2):
        found = candidates(case, target)
        assert len(set(found)) == len(found) > 0
        assert found == candidates(case, target)
        assert all(read_schedule(schedule.text) == schedule for schedule in found)
        assert all(template_named(schedule.template).applies(case) for schedule in found)


def test_what_no_template_writes_is_named() -> None:
    two_anchors = kernel([(8, 4, 4)], conv((8, 4, 4), 8).steps[0])
    chained = Kernel(two_anchors.inputs, (*two_anchors.steps, Step("global_pool", (), (1,))))
    with pytest.raises(Unsupported, match="`global_pool` must be the first step"):
        template_of(chained)
    norm = Step("bn", (("eps", 0), ("momentum", 0)), (0,))
    with pytest.raises(Unsupported, match="`bn`"):
        template_of(Kernel(((8, 4, 4),), (norm,)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"template": 3}', '{"template": "dense", "pixels": "4"}'])
def test_other_text_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="not a schedule"):
        read_schedule(text)


def test_a_template_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no schedule template is called `sparse`"):
        template_named("sparse")


def test_lanes_cover_every_size() -> None:
    assert split_lanes(40, 16) == (16, 16, 8)
    for size in range(1, 70):
        for lanes in (1, 4, 16):
            assert sum(split_lanes(size, lanes)) == size


def test_tiles_cover_a_row_and_know_where_the_padding_is() -> None:
    for window in (Window(14, 14, 5, 1, 2), Window(15, 8, 3, 2, 1), Window(9, 9, 3, 1, 6, 6), Window(7, 7)):
        for tile in range(1, window.extent + 1):
            covered = set()
            for run in tile_runs(window, tile):
                for index in range(run.count):
                    start = min(run.start + index * tile, run.last)
                    covered |= set(range(start, start + tile))
                    taps = [(start + p, t) for p in range(tile) for t in range(window.kernel)]
                    assert run.clean == all(window.inside(*tap) for tap in taps)
            assert covered == set(range(window.extent))


def test_uneven_parallel_loops_cost_what_the_longest_thread_does() -> None:
    assert imbalance(1, [(5, 2.0), (1, 1.0)]) == 1
    assert imbalance(2, [(4, 3.0)]) == 1
    assert imbalance(2, [(3, 1.0)]) == pytest.approx(4 / 3)
    assert imbalance(2, [(1, 1.0)]) == 2
    assert imbalance(2, [(2, 1.0), (1, 2.0)]) == pytest.approx(3 / 2)
    assert imbalance(2, []) == 1


@pytest.mark.parametrize("out", [24, 80, 96, 144, 320])
def test_two_threads_prefer_loops_that_share_the_work_evenly(out: int) -> None:
    target = replace(AVX512, threads=2)
    default = dict(candidates(conv((64, 14, 14), out, 1, "relu6"), target)[0].parameters)
    blocks = [(run.count, float(run.block)) for run in channel_runs(out, default["vectors"], target.lanes)]
    tiles = [(run.count, 1.0) for run in tile_runs(Window(196, 196), default["pixels"])]
    assert imbalance(2, blocks if default["order"] == 0 else tiles) < 1.1


def test_channel_blocks_cover_all_channels() -> None:
    for channels in (1, 10, 24, 72, 130):
        runs = channel_runs(channels, 3, 16)
        assert sum(run.count * run.block for run in runs) == channels

"""Networks and spaces of papers that do not ship, written in the language: the sizes and works that are published.

They stand in `papers/`, each with where its numbers come from.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.cost import cost
from compiler.counting import Counter
from compiler.derive import derive
from compiler.frontend import examine
from compiler.ir.graph import SpaceGraph
from compiler.ir.verify import verify_space
from dsl.source import Source
from tests.compiler.modules import counts_of

PAPERS = Path(__file__).parent / "papers"

NETWORKS = {
    "convnext_tiny": (28_589_128, 4_455_531_264),
    "densenet_121": (7_978_856, 2_834_161_664),
    "efficientnet_b0": (5_288_548, 385_814_752),
    "googlenet": (6_624_904, 1_498_376_192),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "resnet_18": (11_689_512, 1_814_073_344),
    "resnet_50": (25_557_032, 4_089_184_256),
    "resnext_50": (25_028_904, 4_230_479_872),
    "shufflenet_v2": (2_278_604, 144_907_992),
    "squeezenet": (1_235_496, 349_151_936),
    "u_net": (31_037_633, 12_041_846_784),
    "vgg_16": (138_357_544, 15_470_264_320),
    "vit_b_16": (86_567_656, 17_563_828_224),
}
"""Parameters as published, to the last one; MACs, which are published with three or four digits, and these agree."""

SIZES = {
    "enas_macro": 6**12 * 2**66,
    "fairnas": 6**19,
    "fbnet": 8**6 * 9**16,
    "nas_bench_101": 3 * 7 * 15 * 31 * 63 * 3**5,
    "pnas": (2 * 3 * 4 * 5 * 6) ** 2 * 8**10,
    "single_path_one_shot": 4**20,
    "trans_nas_bench_101": 4**6,
}


def spaces() -> dict[str, SpaceGraph]:
    """Every space of the files, by name."""
    found: dict[str, SpaceGraph] = {}
    for path in sorted(PAPERS.glob("*.space")):
        analysis = examine(Source(path.name, path.read_text(encoding="utf-8")))
        assert analysis.diagnostics == [], path
        found |= analysis.graphs
    return found


@pytest.fixture(scope="module", name="graphs")
def _graphs() -> dict[str, SpaceGraph]:
    return spaces()


def test_nothing_is_left_out(graphs: dict[str, SpaceGraph]) -> None:
    assert set(graphs) == set(NETWORKS) | set(SIZES)


@pytest.mark.parametrize(("name", "wanted"), NETWORKS.items())
def test_parameters_and_macs(name: str, wanted: tuple[int, int], graphs: dict[str, SpaceGraph]) -> None:
    found = cost(derive(verify_space(graphs[name]), {}))
    assert (found.params, found.macs) == wanted


@pytest.mark.torch
@pytest.mark.parametrize(("name", "wanted"), NETWORKS.items())
def test_modules_agree(name: str, wanted: tuple[int, int], graphs: dict[str, SpaceGraph]) -> None:
    network = derive(graphs[name], {})
    counts = counts_of(network)
    assert (counts.params, counts.macs) == wanted
    assert counts.shape == network.graph.type.sizes


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_sizes(name: str, size: int, graphs: dict[str, SpaceGraph]) -> None:
    assert Counter(verify_space(graphs[name])).size() == size

"""Residual branches of a supernet begin nearly as if they were not there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from compiler.frontend import space_of  # noqa: E402
from compiler.nets.residuals import SCALE  # noqa: E402
from compiler.nets.supernet import Supernet, build_supernet  # noqa: E402
from compiler.passes.flatten import flatten  # noqa: E402
from dsl.source import Source  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402
from tests.supernets import with_whole_branches  # noqa: E402

pytestmark = pytest.mark.torch

BLOCKS = """
block body(kernel) { conv(8, kernel) -> bn -> relu -> conv(8, 1) -> bn }
"""


def supernet_of(layers: str) -> Supernet:
    whole = f"conv(8, 3) -> bn -> {layers} -> global_pool -> linear(10)"
    text = f"{BLOCKS} space it {{ input [3, 8, 8]  output [10]  {whole} }}"
    return build_supernet(flatten(space_of(Source("it.space", text))))


def quiet(supernet: Supernet) -> set[str]:
    """The names of the batch norms whose scales are not 1."""
    return {
        name.removesuffix(".weight")
        for name, tensor in supernet.named_parameters()
        if "bn" in name.rpartition(".")[0].rpartition(".")[2]
        and name.endswith(".weight")
        and (tensor == SCALE).all()
    }


def test_every_path_begins_near_the_skip() -> None:
    supernet = supernet_of("residual { choose { small: body(1) | large: body(3) | none: zero } }")
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert len(quiet(supernet)) == 2
    near = [supernet.logits(images, (pick,)) for pick in range(3)]
    far = [with_whole_branches(supernet).logits(images, (pick,)) for pick in range(3)]
    assert torch.equal(near[2], far[2])
    for one, other in zip(near[:2], far[:2], strict=True):
        assert 0 < (one - near[2]).abs().max() < 0.3 * (other - far[2]).abs().max()


def test_a_branch_behind_a_decision_and_one_in_a_candidate() -> None:
    behind = quiet(supernet_of("residual { choose { body(1) | body(3) } -> conv(8, 1) -> bn }"))
    assert behind == {"bn2"}
    inside = quiet(supernet_of("choose { kept: residual { body(3) } | plain: body(1) }"))
    assert {name.rpartition(".")[2] for name in inside} == {"bn2"}
    assert all(name.startswith("path.kept.") for name in inside)
    assert len(quiet(build_supernet(tiny_space()))) == 2 + 2


@pytest.mark.parametrize(
    "layers",
    [
        "choose { body(1) | body(3) }",
        "add { body(1) | body(3) }",
        "residual { choose { small: body(1) -> relu | large: body(3) -> relu } }",
    ],
)
def test_what_is_no_residual_branch_begins_as_ever(layers: str) -> None:
    assert quiet(supernet_of(layers)) == set()

"""Candidates that differ in sizes alone have parts of one tensor."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from compiler.frontend import space_of  # noqa: E402
from compiler.nets.supernet import Supernet, build_supernet  # noqa: E402
from compiler.passes.flatten import flatten  # noqa: E402
from dsl.settings import Adam, Sgd  # noqa: E402
from dsl.source import Source  # noqa: E402
from runtime.optimiser import Optimiser  # noqa: E402

pytestmark = pytest.mark.torch

BLOCKS = """
block body(kernel, width) {
    conv(width, 1) -> bn -> relu -> depthwise(kernel) -> bn -> relu -> conv(8, 1) -> bn
}
block joined(width) { concat { conv(width, 1) | conv(8, 1) } -> conv(8, 1) -> bn }
"""
CHOICE = "choose { body(kernel = choose(3, 5), width = choose(8, 16)) | none: zero }"


POOLED = "global_pool -> linear(10)"


def supernet_of(layer: str, superkernels: bool = True, tail: str = POOLED) -> Supernet:
    text = f"{BLOCKS} space it {{ input [3, 8, 8]  output [10]  conv(8, 3) -> bn -> {layer} -> {tail} }}"
    return build_supernet(flatten(space_of(Source("it.space", text))), superkernels=superkernels)


def weights(supernet: Supernet, kind: str) -> dict[str, torch.Tensor]:
    """The parameters of the nodes of this kind, by the label of their candidate."""
    found = {
        key: tensor
        for key, tensor in supernet.named_parameters()
        if key.endswith(f".{kind}.weight") and "body" in key
    }
    return {key.split("body ")[1].split(".")[0]: tensor for key, tensor in found.items()}


def storages(supernet: Supernet) -> int:
    return len({tensor.untyped_storage().data_ptr() for tensor in supernet.parameters()})


def images() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def steps(supernet: Supernet, optimiser: Optimiser, picks: list[int]) -> None:
    for pick in picks:
        loss = supernet.logits(images(), (pick,)).square().mean()
        optimiser.descend(loss, supernet.path_parameters((pick,)), 0.1)


def test_smaller_kernels_are_the_middle_and_fewer_channels_the_first() -> None:
    supernet = supernet_of(f"residual {{ {CHOICE} }}")
    kernels = weights(supernet, "depthwise")
    assert len(kernels) == 4
    whole = kernels["kernel=5 width=16"]
    assert torch.equal(kernels["kernel=3 width=16"], whole[:, :, 1:-1, 1:-1])
    assert torch.equal(kernels["kernel=5 width=8"], whole[:8])
    assert torch.equal(kernels["kernel=3 width=8"], whole[:8, :, 1:-1, 1:-1])
    inward = weights(supernet, "conv2")
    assert torch.equal(inward["kernel=3 width=8"], inward["kernel=5 width=16"][:, :8])
    plain = supernet_of(f"residual {{ {CHOICE} }}", superkernels=False)
    assert storages(plain) - storages(supernet) == 3 * (3 + 3 * 2)
    assert plain.state_dict().keys() == supernet.state_dict().keys()


def test_first_values_do_not_depend_on_the_order_of_candidates() -> None:
    one, other = (
        supernet_of(
            f"residual {{ choose {{ body(kernel = choose({k}), width = choose({w})) | none: zero }} }}"
        )
        for k, w in (("3, 5", "8, 16"), ("5, 3", "16, 8"))
    )
    values = other.state_dict()
    assert len(one.superkernels) == 9
    assert values.keys() == one.state_dict().keys()
    assert all(torch.equal(tensor, values[key]) for key, tensor in one.state_dict().items())


def test_a_strip_is_the_middle_of_a_window() -> None:
    strip = "conv(8, 1, kernel_width = 3) -> bn"
    supernet = supernet_of(f"choose {{ a: {strip} | b: conv(8, 3, kernel_width = 3) -> bn }}")
    a, b = (supernet.network_tensors((pick,)) for pick in (0, 1))
    (key,) = (key for key, tensor in a.items() if tensor.shape[2:] == (1, 3))
    (square,) = (tensor for tensor in b.values() if tensor.shape == (8, 8, 3, 3))
    assert torch.equal(a[key], square[:, :, 1:-1])


@pytest.mark.parametrize("options", [Sgd(momentum=0.9, weight_decay=1e-3), Adam()])
def test_a_step_of_one_candidate_is_a_step_of_its_part_in_all(options: Sgd | Adam) -> None:
    supernet = supernet_of(f"residual {{ {CHOICE} }}")
    optimiser = Optimiser(options, superkernels=supernet.superkernels)
    before = {key: tensor.clone() for key, tensor in weights(supernet, "depthwise").items()}
    steps(supernet, optimiser, [0, 0])
    after = weights(supernet, "depthwise")
    assert not torch.equal(after["kernel=3 width=8"], before["kernel=3 width=8"])
    assert torch.equal(after["kernel=3 width=8"], after["kernel=5 width=16"][:8, :, 1:-1, 1:-1])
    assert torch.equal(after["kernel=5 width=16"][8:], before["kernel=5 width=16"][8:])
    assert torch.equal(after["kernel=5 width=16"][:, :, 0], before["kernel=5 width=16"][:, :, 0])
    kept = {name: tensor for name, tensor in optimiser.tensors().items() if ".depthwise." in name}
    assert all(int(count) == 2 for name, count in kept.items() if name.startswith("counts/"))
    moments = [tensor for name, tensor in kept.items() if name.startswith("momenta/")]
    assert len(moments) == 4
    assert all(tensor.any() for tensor in moments)
    assert len({tensor.untyped_storage().data_ptr() for tensor in moments}) == 1


@pytest.mark.parametrize("options", [Sgd(momentum=0.9), Adam()])
def test_a_state_that_is_read_goes_on_as_if_nothing_had_happened(options: Sgd | Adam) -> None:
    one, other = (supernet_of(f"residual {{ {CHOICE} }}") for _ in range(2))
    first = Optimiser(options, superkernels=one.superkernels)
    steps(one, first, [0, 3, 1])
    state = {name: tensor.clone() for name, tensor in first.tensors().items()}
    other.load_state_dict({name: tensor.clone() for name, tensor in one.state_dict().items()})
    second = Optimiser(options, superkernels=other.superkernels)
    second.restore(state, dict(other.named_parameters()))
    for supernet, optimiser in ((one, first), (other, second)):
        steps(supernet, optimiser, [2, 3, 0])
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    assert first.tensors().keys() == second.tensors().keys()
    assert all(map(torch.equal, first.tensors().values(), second.tensors().values()))


def test_what_no_candidate_needs_is_freed_and_the_others_keep_their_values() -> None:
    supernet = supernet_of(f"residual {{ {CHOICE} }}")
    optimiser = Optimiser(Sgd(momentum=0.9), superkernels=supernet.superkernels)
    steps(supernet, optimiser, [3, 0])
    small = {key: tensor.clone() for key, tensor in supernet.path_parameters((0,)).items()}
    momenta = {key: optimiser.momenta[key].clone() for key in small}
    for pick in (3, 2, 1):
        supernet.drop(0, pick)
        optimiser.keep([name for name, _ in supernet.named_parameters()], supernet.superkernels)
    left = supernet.path_parameters((0,))
    assert all(torch.equal(left[key], tensor) for key, tensor in small.items())
    assert all(torch.equal(optimiser.momenta[key], tensor) for key, tensor in momenta.items())
    for tensor in (*left.values(), *optimiser.momenta.values()):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_moved_and_cast_supernets_stay_joined() -> None:
    supernet = supernet_of(f"residual {{ {CHOICE} }}").to(torch.float64)
    kernels = weights(supernet, "depthwise")
    assert len({tensor.untyped_storage().data_ptr() for tensor in kernels.values()}) == 1
    assert kernels["kernel=3 width=8"].dtype == torch.float64


def test_a_path_is_the_network_with_its_tensors() -> None:
    supernet = supernet_of(f"residual {{ {CHOICE} }}")
    for pick in range(4):
        own = supernet.network_tensors((pick,))
        assert all(tensor.is_contiguous() for tensor in own.values())
        shapes = {key: tuple(tensor.shape) for key, tensor in own.items()}
        expected = supernet_of(f"residual {{ {CHOICE} }}", superkernels=False).network_tensors((pick,))
        assert shapes == {key: tuple(tensor.shape) for key, tensor in expected.items()}


def candidates(layer: str, *widths: int) -> str:
    """The same layer with each width at its `#`."""
    return "choose { " + " | ".join(f"w{width}: {layer.replace('#', str(width))}" for width in widths) + " }"


def test_positions_of_another_grid_are_not_shared() -> None:
    layer = (
        "choose { "
        + " | ".join(
            f"k{kernel}: conv(8, {kernel}, padding = 0) -> tokens -> position_embedding -> token"
            for kernel in (3, 5)
        )
        + " }"
    )
    supernet = supernet_of(layer, tail="linear(10)")
    assert not supernet.superkernels
    same = candidates("conv(#, 3) -> tokens -> position_embedding -> linear(8)", 16, 24)
    assert any(
        "position" in key
        for each in supernet_of(same, tail="token -> linear(10)").superkernels
        for key in each.parts
    )


@pytest.mark.parametrize(
    ("layer", "tail"),
    [
        pytest.param(
            "choose { a: conv(8, 3) -> bn | b: conv(8, 3, dilation = 2) -> bn }", POOLED, id="dilation"
        ),
        pytest.param("choose { a: conv(8, 3) -> bn | b: conv(8, 3) -> bn -> relu }", POOLED, id="structure"),
        pytest.param("choose { joined(8) | joined(16) }", POOLED, id="concat"),
        pytest.param(candidates("conv(#, 3, groups = 2) -> conv(8, 1)", 16, 24), POOLED, id="groups"),
        pytest.param(
            candidates("conv(#, 1) -> channel_shuffle(2) -> conv(8, 1)", 16, 24), POOLED, id="shuffle"
        ),
        pytest.param(candidates("conv(#, 1) -> slice(8, 16) -> conv(8, 1)", 16, 24), POOLED, id="slice"),
        pytest.param(candidates("conv(#, 1) -> flatten -> linear(8)", 4, 6), "linear(10)", id="flatten"),
        pytest.param(
            candidates("tokens -> self_attention(heads = 2, width = #)", 16, 24),
            "token -> linear(10)",
            id="attention",
        ),
    ],
)
def test_candidates_that_differ_in_more_than_sizes_have_weights_of_their_own(layer: str, tail: str) -> None:
    supernet = supernet_of(layer, tail=tail)
    assert not supernet.superkernels
    assert storages(supernet) == len(list(supernet.parameters()))


def test_tokens_and_images_leave_the_channels_in_order() -> None:
    layer = candidates("conv(#, 1) -> tokens -> linear(#) -> image(8, 8) -> conv(8, 1)", 16, 24)
    assert len(supernet_of(layer).superkernels) > 3

"""Batch norm over processes is batch norm over their batches together: values, gradients, statistics."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.batch_norm import Total, shared_batch_norm  # noqa: E402
from compiler.nets.forward import FORWARD, Mode  # noqa: E402

pytestmark = pytest.mark.torch

SETTINGS = {"momentum": Fraction(1, 10), "eps": Fraction(1, 100_000)}


def together(count: int) -> Total:
    """A sum over threads that stand for processes."""
    barrier, given = threading.Barrier(count), list[torch.Tensor]()

    def total(tensor: torch.Tensor) -> torch.Tensor:
        given.append(tensor)
        barrier.wait(10)
        found = torch.stack(given[-count:]).sum(0)
        barrier.wait(10)
        return found

    return total


def weights(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = {
        name: torch.rand(4, dtype=dtype, generator=generator)
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    return {name: t.requires_grad_(not name.startswith("running")) for name, t in drawn.items()}


def passed(compute: Any, values: torch.Tensor, direction: torch.Tensor, mode: Mode) -> list[torch.Tensor]:
    """The result, the gradients of values, weight and bias, and the running statistics."""
    own = weights(values.dtype)
    result = compute([values], own, SETTINGS, mode)
    gradients = torch.autograd.grad((result * direction).sum(), [values, own["weight"], own["bias"]])
    return [result.detach(), *gradients, own["running_mean"], own["running_var"]]


@pytest.mark.parametrize("mode", ["train", "observe", "evaluate"])
@pytest.mark.parametrize("shape", [(7, 4, 3, 5), (7, 6, 4), (7, 4)])
def test_it_is_that_of_the_whole_batch(mode: Mode, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    values, direction = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    values = (3 * values + 10).requires_grad_()
    whole = passed(FORWARD["bn"], values, direction, mode)
    total, parts = together(2), [slice(0, 3), slice(3, 7)]

    def part(own: slice) -> list[torch.Tensor]:
        def compute(*given: Any) -> torch.Tensor:
            return shared_batch_norm(total, *given)

        return passed(compute, values.detach()[own].requires_grad_(), direction[own], mode)

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(part, parts)
    for at in (0, 1):
        torch.testing.assert_close(torch.cat([one[at], other[at]]), whole[at])
    for at in (2, 3):
        torch.testing.assert_close(one[at] + other[at], whole[at])
    for at in (4, 5):
        torch.testing.assert_close(one[at], whole[at])
        assert torch.equal(one[at], other[at])


def test_low_precision_inputs_keep_statistics_in_full() -> None:
    """As autocast gives them: values in bfloat16, weights and statistics in float32."""
    values = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    own = weights(torch.float32)
    narrow = values.bfloat16().requires_grad_()
    result = shared_batch_norm(lambda tensor: tensor, [narrow], own, SETTINGS, "train")
    (gradient,) = torch.autograd.grad(result.float().square().sum(), [narrow])
    expected = passed(FORWARD["bn"], narrow.detach().float().requires_grad_(), 1, "train")
    assert result.dtype == gradient.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), expected[0], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(own["running_var"], expected[5])

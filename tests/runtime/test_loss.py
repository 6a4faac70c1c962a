"""The one loss: labels or mixed labels, smoothed; a teacher's answers by Hinton's formula."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from runtime.loss import Teacher, loss_of, right_answers  # noqa: E402

pytestmark = pytest.mark.torch

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [-1.0, 3.0, 0.0]])
LABELS = torch.tensor([0, 1, 1])


def test_labels_and_their_shares_are_alike() -> None:
    shares = torch.nn.functional.one_hot(LABELS, 3).float()
    for smoothing in (0.0, 0.1):
        torch.testing.assert_close(loss_of(LOGITS, LABELS, smoothing), loss_of(LOGITS, shares, smoothing))
    assert right_answers(LOGITS, LABELS) == right_answers(LOGITS, shares) == 2


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    wanted = -(0.7 * LOGITS.log_softmax(1)[range(3), LABELS] + 0.3 * LOGITS.log_softmax(1).mean(1))
    torch.testing.assert_close(loss_of(LOGITS, LABELS, 0.3), wanted.mean())


def test_mixed_labels_mix_the_losses() -> None:
    other = torch.tensor([2, 0, 1])
    one_hot = [torch.nn.functional.one_hot(labels, 3).float() for labels in (LABELS, other)]
    mixed = loss_of(LOGITS, 0.8 * one_hot[0] + 0.2 * one_hot[1], 0.0)
    torch.testing.assert_close(mixed, 0.8 * loss_of(LOGITS, LABELS, 0.0) + 0.2 * loss_of(LOGITS, other, 0.0))


def test_a_teacher_is_followed() -> None:
    answers = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    hard, teacher = loss_of(LOGITS, LABELS, 0.1), Teacher(lambda inputs: answers, 0.3, 4.0, "")
    given, wanted = (LOGITS / 4).softmax(1), (answers / 4).softmax(1)
    divergence = (wanted * (wanted.log() - given.log())).sum(1).mean()
    found = teacher.joined(hard, LOGITS, torch.zeros(3, 1))
    torch.testing.assert_close(found, 0.7 * hard + 0.3 * 16 * divergence)
    agreeing = Teacher(lambda inputs: LOGITS, 1.0, 2.0, "")
    assert float(agreeing.joined(hard, LOGITS, torch.zeros(3, 1))) == pytest.approx(0, abs=1e-6)


def test_no_gradient_reaches_the_teacher() -> None:
    weight, inputs = torch.ones(3, requires_grad=True), torch.randn(2, 3)
    logits = torch.randn(2, 3, requires_grad=True)
    teacher = Teacher(lambda inputs: inputs * weight, 1.0, 1.0, "")
    teacher.joined(torch.tensor(0.0), logits, inputs).backward()
    assert weight.grad is None
    assert logits.grad is not None

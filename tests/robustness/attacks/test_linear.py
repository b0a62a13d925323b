"""On linear classifiers the worst case is known: what FGSM, PGD and `linear_worst_case` must find, to rounding."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.robustness.attacks import fgsm, linear_worst_case, pgd

N, D = 40, 30
EPS = 0.15


def linear(classes: int, seed: int = 0, dtype=torch.float64) -> nn.Linear:
    draw = torch.Generator().manual_seed(seed)
    model = nn.Linear(D, classes, dtype=dtype).requires_grad_(False)
    model.weight.copy_(torch.randn(classes, D, generator=draw, dtype=torch.float64))
    model.bias.copy_(torch.randn(classes, generator=draw, dtype=torch.float64))
    return model


def images(seed: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (1.6 * torch.rand(N, D, generator=draw, dtype=torch.float64) - 0.3).clamp(0, 1)


def margins(model: nn.Linear, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    logits = model(z)
    own = logits.gather(1, y[:, None])
    return (logits - own).scatter(1, y[:, None], -torch.inf).amax(1)


@pytest.mark.parametrize(("norm", "order"), [("linf", 1), ("l2", 2)])
def test_margins_grow_by_the_dual_norm(norm, order):
    """No box: margin j is its value at x plus eps |w_j - w_y|; several classes, by the plain formula in numpy."""
    model, x = linear(5), images()
    y = model(x).argmax(1)
    found = linear_worst_case(model.weight, model.bias, x, y, eps=EPS, norm=norm, clip=None)
    W, b, logits = model.weight.numpy(), model.bias.numpy(), model(x).numpy()
    assert b.shape == (5,)
    for i, own in enumerate(y.tolist()):
        gains = [
            logits[i, j] - logits[i, own] + EPS * np.linalg.norm(W[j] - W[own], order) for j in range(5) if j != own
        ]
        assert float(found.loss_at_end[i]) == pytest.approx(max(gains), rel=1e-12)
    torch.testing.assert_close(margins(model, found.adversarial, y), found.loss_at_end)
    torch.testing.assert_close(found.distance, torch.full((N,), EPS, dtype=torch.float64))


def test_with_a_box_the_worst_case_is_the_linear_program():
    model, x = linear(4), images()
    y = model(x).argmax(1)
    found = linear_worst_case(model.weight, model.bias, x, y, eps=EPS)
    W, b = model.weight.numpy(), model.bias.numpy()
    for i in range(6):
        own = int(y[i])
        low, high = (x[i] - EPS).clamp(min=0).numpy(), (x[i] + EPS).clamp(max=1).numpy()
        best = max(
            -linprog(-(W[j] - W[own]), bounds=np.stack([low, high], 1)).fun + b[j] - b[own]
            for j in range(4)
            if j != own
        )
        assert float(found.loss_at_end[i]) == pytest.approx(best, abs=1e-9)  # HiGHS's tolerance


@pytest.mark.parametrize("clip", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_the_exact_worst_case_of_two_classes(norm, clip):
    model, x = linear(2), images()
    y = model(x).argmax(1)
    wanted = linear_worst_case(model.weight, model.bias, x, y, eps=[0.02, EPS], norm=norm, clip=clip)
    found = fgsm(model, x, y, eps=[0.02, EPS], norm=norm, clip=clip)
    torch.testing.assert_close(found.adversarial, wanted.adversarial, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.loss_at_end, nn.functional.softplus(wanted.loss_at_end))
    assert found.success.equal(wanted.success)
    assert found.gradients == N


@pytest.mark.parametrize("clip", [None, (0.0, 1.0)])
@pytest.mark.parametrize(("norm", "random_start"), [("linf", True), ("linf", False), ("l2", False)])
def test_pgd_reaches_the_exact_worst_case_of_two_classes(norm, random_start, clip):
    model, x = linear(2), images()
    y = model(x).argmax(1)
    wanted = linear_worst_case(model.weight, model.bias, x, y, eps=EPS, norm=norm, clip=clip)
    # In the box the sphere is curved around faces: 300 steps contract to it, where one step does without a box.
    steps = 300 if (norm, clip) == ("l2", (0.0, 1.0)) else 10
    found = pgd(
        model, x, y, eps=EPS, norm=norm, clip=clip, steps=steps, random_start=random_start, early_exit=False,
    )  # fmt: skip
    atol = 1e-6 if steps == 300 else 1e-12
    torch.testing.assert_close(margins(model, found.adversarial, y), wanted.loss_at_end, rtol=0, atol=atol)
    assert found.success.equal(wanted.success)


def test_a_step_at_the_box_goes_its_whole_length_inside():
    """From a black image the entries that would become negative take nothing of the step."""
    model, x = linear(2), torch.zeros(1, D, dtype=torch.float64)
    y = model(x).argmax(1)
    found = pgd(model, x, y, eps=1.0, norm="l2", steps=1, step_size=0.1, random_start=False, early_exit=False)
    assert float(found.distance) == pytest.approx(0.1, rel=1e-12)


def test_from_random_starts_in_l2_the_rest_shrinks_with_the_steps():
    model, x = linear(2), images()
    y = model(x).argmax(1)
    wanted = linear_worst_case(model.weight, model.bias, x, y, eps=EPS, norm="l2", clip=None).loss_at_end
    short = [
        float((wanted - margins(model, pgd(
            model, x, y, eps=EPS, norm="l2", clip=None, steps=steps, step_size=EPS / 4, early_exit=False
        ).adversarial, y)).max())
        for steps in (5, 20, 80)
    ]  # fmt: skip
    assert short[0] > short[1] > short[2]
    assert 0 <= short[2] < 1e-9


def test_pgd_never_exceeds_the_worst_case_of_many_classes_and_mostly_finds_it():
    model, x = linear(6), images()
    y = model(x).argmax(1)
    wanted = linear_worst_case(model.weight, model.bias, x, y, eps=EPS)
    found = [
        pgd(model, x, y, eps=EPS, steps=30, restarts=5, loss=one, early_exit=False)
        for one in ("cross_entropy", "margin")
    ]
    reached = [margins(model, one.adversarial, y) for one in found]
    for one in reached:
        assert bool((one <= wanted.loss_at_end + 1e-12).all())
    # The margin's corner is found unless the largest class changes on the way and the path stays with the wrong one.
    assert float((torch.maximum(*reached) > wanted.loss_at_end - 1e-9).double().mean()) > 0.9


def test_bad_input_is_refused():
    model, x = linear(3), images()
    y = model(x).argmax(1)
    with pytest.raises(InvalidInput, match=r"weight of shape \(3, 29\)"):
        linear_worst_case(model.weight[:, 1:], model.bias, x, y, eps=0.1)
    with pytest.raises(InvalidInput, match="labels run from 0 to 3"):
        linear_worst_case(model.weight, model.bias, x, torch.full_like(y, 3).scatter(0, y.new_tensor([0]), 0), eps=0.1)
    with pytest.raises(InvalidInput, match="beyond clip"):
        linear_worst_case(model.weight, model.bias, x + 1, y, eps=0.1)
    for weight, bias, words in (
        (model.weight * torch.nan, model.bias, "the weight is complex, or holds NaN"),
        (model.weight, model.bias * torch.nan, "the bias is complex, or holds NaN"),
        (model.weight + 0j, model.bias, "the weight is complex"),
        (model.weight, model.bias[:2], r"bias of shape \(2,\); give \(3,\)"),
        (model.weight, 0.0, "bias: a float"),
    ):
        with pytest.raises(InvalidInput, match=words):
            linear_worst_case(weight, bias, x, y, eps=0.1)


def test_the_widest_type_given_is_computed_in():
    model, x = linear(3), images()
    y = model(x).argmax(1)
    wanted = linear_worst_case(model.weight, model.bias, x.float().double(), y, eps=0.125)
    found = linear_worst_case(model.weight, model.bias, x.float(), y, eps=0.125)
    assert found.adversarial.dtype == torch.float64
    assert found.success.equal(wanted.success)
    torch.testing.assert_close(found.loss_at_end, wanted.loss_at_end, rtol=0, atol=1e-12)

"""The study of Jacot et al.: its networks against definitions, the limit, closed forms; its verdicts at smoke scale."""

import numpy as np
import pytest
import torch

from lemmata import nets
from lemmata.kernels import empirical_ntk
from lemmata.studies import _jacot_2018_circle as circle
from lemmata.studies import _jacot_2018_digits as digits
from lemmata.studies import _jacot_2018_networks as networks
from lemmata.verdicts import Outcome


def as_module(drawn: networks.Networks, i: int) -> torch.nn.Module:
    """The i-th network as a perceptron of this package, whose own parameterisation is the paper's."""
    widths = [weight.shape[1] for weight in drawn.weights[:-1]]
    model = nets.mlp(drawn.weights[0].shape[2], widths, 1, initialisation="ntk", seed=0)
    with torch.no_grad():
        for parameter, value in zip(
            model.parameters(), [p[i] for pair in zip(drawn.weights, drawn.biases, strict=True) for p in pair],
            strict=True,
        ):  # fmt: skip
            parameter.copy_(value)
    return model


def test_outputs_and_kernels_are_those_of_a_module():
    drawn = networks.drawn([3, 4], 5, [16, 8])
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    for i in range(2):
        model = as_module(drawn, i)
        torch.testing.assert_close(drawn.outputs(x)[i], model(x)[:, 0], rtol=1e-5, atol=1e-6)
        wanted = empirical_ntk(model, x, outputs="sum").values
        torch.testing.assert_close(drawn.kernels(x)[i], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("feature", [False, True])
def test_a_step_is_descent_on_half_the_mean_square_with_the_scale_taken_out(feature):
    drawn = networks.drawn([7], 3, [256, 256], feature_learning=feature)
    assert drawn.scale == (0.5 if feature else 1.0)
    model, x = as_module(drawn, 0), torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    y = torch.arange(4.0)
    (0.5 * (drawn.scale * model(x)[:, 0] - y).square().mean()).backward()
    assert torch.allclose(drawn.descend(x, y[None], 0.3)[0], drawn.scale * model(x)[:, 0].detach(), rtol=1e-5)
    wanted = [p.detach() - 0.3 / drawn.scale**2 * p.grad for p in model.parameters() if p.grad is not None]
    ours = [p[0] for pair in zip(drawn.weights, drawn.biases, strict=True) for p in pair]
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one.detach(), other, rtol=1e-4, atol=1e-6)


def test_at_the_reference_width_the_two_parameterisations_are_one():
    own, other = (
        circle.follow([circle.Circle(width=64, parameterisation=kind, steps=5)])[0].scalars
        for kind in ("ntk", "feature learning")
    )
    assert own == other


def test_members_do_not_see_each_other():
    configs = [circle.Circle(width=32, seed=seed, steps=10) for seed in range(3)]
    for config, found in zip(configs, circle.follow(configs), strict=True):
        (alone,) = circle.follow([config])
        assert found.scalars == pytest.approx(alone.scalars, rel=1e-3)
    configs = [digits.Digits(width=32, n=20, pool=7, component=k, steps=6) for k in (1, 3)]
    for config, found in zip(configs, digits.along(configs), strict=True):
        (alone,) = digits.along([config])
        assert found.scalars == pytest.approx(alone.scalars, rel=1e-3)


def test_without_steps_nothing_changes_and_the_limit_is_far_only_by_chance():
    """48 networks of width 256: <K, Theta> / |Theta|^2 has deviation 0.13 (measured), so 0.08 is 4 standard errors."""
    found = circle.follow([circle.Circle(width=256, seed=seed, steps=0) for seed in range(48)])
    assert all(one.scalars["change"] == 0 for one in found)
    assert np.mean([one.scalars["overlap"] for one in found]) == pytest.approx(1, abs=0.08)


def test_a_linear_kernel_machine_would_go_at_the_rate_of_the_eigenvalue():
    n, steps, step_size, eigenvalue = 10, 30, 0.5, 2.0
    v = torch.ones(n, dtype=torch.float64)
    share = (1 - step_size * eigenvalue / n) ** torch.arange(steps + 1, dtype=torch.float64)
    across = torch.tensor([1.0, -1.0] * 5, dtype=torch.float64)
    path = 0.5 * (1 - share)[:, None] * v + 0.01 * torch.linspace(0, 1, steps + 1)[:, None] * across
    scalars = digits._measured(path, v, eigenvalue, step_size).scalars
    assert scalars["relative_rate"] == pytest.approx(1)
    assert scalars["bend"] == pytest.approx(0.01 / (0.5 * (1 - share[-1].item())))
    assert scalars["half_time"] == step_size * 7  # 0.9^7 = 0.478 is the first power below one half


def test_principal_components_are_those_of_the_limit():
    config = digits.Digits(n=24, pool=7)
    x = digits.inputs(config)
    values, vectors = digits.principal_components(config, x)
    K = circle.limit_kernel(circle.Circle(depth=4), x.double())
    torch.testing.assert_close(K @ vectors.mT, vectors.mT * values, rtol=0, atol=1e-10)
    torch.testing.assert_close(vectors.square().mean(1), torch.ones(24, dtype=torch.float64))
    assert (values.diff() <= 0).all()


def test_at_smoke_scale_nothing_is_contradicted(smoke):
    found = smoke("jacot-2018")
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in found.verdicts.values()}
    for name in ("stays", "largest-first"):
        found.assert_outcome(name)

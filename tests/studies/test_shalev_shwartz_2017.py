"""Failures of gradient descent: the study's linear algebra against enumeration, and its verdicts at smoke scale."""

from itertools import product

import numpy as np
import pytest
import torch

from lemmata import nets
from lemmata.studies import _shalev_shwartz_2017_conditioning as conditioning
from lemmata.studies import _shalev_shwartz_2017_flat as flat
from lemmata.studies import _shalev_shwartz_2017_parity as parity
from lemmata.studies import _shalev_shwartz_2017_stocks as stocks
from lemmata.studies import _shalev_shwartz_2017_tuples as tuples
from lemmata.verdicts import Outcome


def test_the_variance_over_parities_is_that_of_autograd_on_each():
    """With 4 bits: the loss of each of 16 targets on all 16 points, differentiated whole; equal to rounding."""
    config = parity.Signal(d=4, width=5, seed=2)
    model = nets.mlp(4, [5], 1, activation="tanh", seed=2, dtype=torch.float64)
    x, found = parity.cube(4), []
    for bits in product([False, True], repeat=4):
        h = torch.where(torch.tensor(bits), x, torch.ones(())).prod(1)
        model.zero_grad()
        (0.5 * (model(x)[:, 0] - h).square().mean()).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))  # type: ignore[union-attr]
    each = torch.stack(found)
    variance = (each - each.mean(0)).square().sum(1).mean()
    total = parity.gradients(model, x).square().sum(1).mean()
    (measured,) = parity.signals([config])
    assert measured.scalars["share"] == pytest.approx(float(variance / total), rel=1e-12)
    assert measured.scalars["over_bound"] == pytest.approx(float(16 * variance / total), rel=1e-12)


@pytest.mark.parametrize("d", [1, 3, 6])
def test_the_fast_transform_is_the_product_with_hadamards_matrix(d):
    from scipy.linalg import hadamard

    values = torch.randn(2**d, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(parity.walsh_hadamard(values), torch.tensor(hadamard(2**d)).double() @ values, atol=1e-12)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_parities_have_the_size_asked_for(size):
    chosen = [int(parity.parity_of(parity.Parity(d=30, size=size, seed=s)).sum()) for s in range(50)]
    assert all(n == size for n in chosen) if size else 12 < np.mean(chosen) < 18
    assert min(chosen) >= min(size or 2, 2)


@pytest.mark.parametrize("outcomes", [1, 4])
def test_moments_are_those_of_the_closed_form(outcomes):
    """E |J z|^2 = |J e_y|^2 + (|J|_F^2 - |J e_y|^2) / m, by matrices; 400 x 64 draws are within 1 %, five errors."""
    config = stocks.Moments(d=400, k=30, outcomes=outcomes, draws=64, seed=1)
    draw = torch.Generator().manual_seed(1)
    p = torch.softmax(torch.randn(400, 30, generator=draw, dtype=torch.float64) / 20, 1)
    y = torch.randint(30, (400,), generator=draw)
    J = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    own = J[torch.arange(400), :, y].square().sum(1).mean()
    whole = own + (J.square().sum((1, 2)).mean() - own) / outcomes
    (found,) = stocks.measure_moments([config])
    assert found.scalars["ratio"] == pytest.approx(float(whole / own), rel=0.01)


def test_outcomes_are_one_in_the_own_sector_and_fair_elsewhere():
    y = torch.randint(6, (4000,), generator=torch.Generator().manual_seed(0))
    z = stocks.mean_outcome(y, 6, 3, torch.Generator().manual_seed(1))
    assert bool((z.gather(1, y[:, None]) == 1).all())
    others = z[torch.nn.functional.one_hot(y, 6) == 0]
    assert abs(float(others.mean())) < 5 / (3 * len(others)) ** 0.5
    assert float(others.var()) == pytest.approx(1 / 3, rel=0.05)


def test_summations_are_the_matrices_of_the_paper():
    i, j = np.mgrid[1:8, 1:8]
    assert np.array_equal(conditioning.summation(7, 2), np.maximum(i - j + 1, 0))
    assert np.array_equal(conditioning.summation(7, 0), np.eye(7))


def test_windows_invert_by_second_differences():
    """(1, -2, 1) on every window gives the kink: what the convolution is to find."""
    windows, kinks = conditioning.samples(conditioning.Curves(n=30, curves=5), 0)
    assert windows @ [1, -2, 1] == pytest.approx(kinks, abs=1e-9)
    assert windows.shape == (5 * 28, 3)


def test_steps_are_those_of_gradient_descent():
    """Run literally on a least-squares problem of three weights; the same count, or one beside it by rounding."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3)) * [1.0, 0.5, 0.2]
    theta = np.array([1.0, -2.0, 3.0])
    C = X.T @ X / 200
    values, turn = np.linalg.eigh(C)
    steps = conditioning.steps_to(values, values * (turn.T @ theta) ** 2)
    w, count = np.zeros(3), 0
    first = float((w - theta) @ C @ (w - theta))
    while (w - theta) @ C @ (w - theta) > 0.01 * first:
        w, count = w - C @ (w - theta) / values[-1], count + 1
    assert abs(steps - count) <= 1


def test_whitening_by_the_same_curves_would_be_perfect():
    """So that the condition number 1.05 found is that of other curves, and not of the formula."""
    windows, _ = conditioning.samples(conditioning.Curves(n=40, curves=50), 0)
    C = windows.T @ windows / len(windows)
    scale, turn = np.linalg.eigh(C)
    white = turn / np.sqrt(scale) @ turn.T
    assert np.linalg.cond(white @ C @ white) == pytest.approx(1, abs=1e-6)


def test_the_staircase_is_what_a_loop_says():
    levels = torch.tensor([flat.LEVELS]) + 0.3
    assert levels.shape[1] == 55 - 3  # -5, 0 and 5 are twice in the authors' list
    p = torch.linspace(-7, 7, 400)[None]
    plain = [max(level for level in levels[0].tolist() if level <= one) for one in p[0].tolist()]
    assert flat.stepped(p, levels, levels)[0].tolist() == plain


def test_the_smooth_staircase_is_the_sum_of_all_sigmoids_and_its_derivative():
    """Against sums over all 51 steps, in float64; left out is at most exp(-12.5), 4e-6 of a step, and 50 times that."""
    levels = torch.tensor([flat.LEVELS], dtype=torch.float64)
    p = torch.linspace(-8, 8, 331, dtype=torch.float64)[None]
    gap = levels[:, 1:] - levels[:, :-1]
    s = torch.sigmoid(50 * (p[..., None] - levels[:, None, 1:] + gap / 20) / gap)
    value, slope = flat.sigmoids(p, levels, levels)
    assert torch.allclose(value, levels[0, 0] + (s * gap).sum(2), atol=2e-5)
    assert torch.allclose(slope, (50 * s * (1 - s)).sum(2), atol=5e-4)


def test_the_slope_of_a_line_is_its_label():
    """The sign of the covariance of bright pixels' coordinates, right for all but a few of 500 (ends cut off)."""
    x, y = tuples.lines((500,), 12, torch.Generator().manual_seed(0))
    line = torch.linspace(-1, 1, 12)
    v, u = torch.meshgrid(-line, line, indexing="ij")
    weight = x / x.sum(1, keepdim=True)
    mean_u, mean_v = weight @ u.flatten(), weight @ v.flatten()
    covariance = weight @ (u * v).flatten() - mean_u * mean_v
    assert float((covariance.sign() == y).float().mean()) > 0.97
    assert abs(float(y.mean())) < 0.2


@pytest.mark.parametrize(
    ("learn", "configs", "name"),
    [
        (
            parity.learn,
            [parity.Parity(d=6, steps=60, seed=s, size=z) for s in (1, 5) for z in (0, 2)],
            "final_accuracy",
        ),
        (
            flat.learn,
            [flat.Flat(steps=30, seed=s, rule=r) for s in (1, 5) for r in ("forward-only", "smooth")],
            "moved",
        ),
        (tuples.learn, [tuples.Tuples(k=2, steps=60, seed=s, width=8) for s in (1, 5)], "final_accuracy"),
    ],
)
def test_members_do_not_see_each_other(learn, configs, name):
    """Alone or together: to the rounding of products of other shapes, which moves few of thousands of test points."""
    for config, member in zip(configs, learn(configs), strict=True):
        (alone,) = learn([config])
        assert alone.scalars[name] == pytest.approx(member.scalars[name], abs=5e-3)


SURE = [
    "parity-no-progress", "variance-bound", "variance-rate", "end-to-end-fails", "second-moment", "full", "conditioned",
    "steps", "no-gradient",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SURE)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("shalev-shwartz-2017").assert_outcome(name)


@pytest.mark.slow
def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("shalev-shwartz-2017").verdicts.values()}

"""The study of Papyan, Han and Donoho: its measures of collapse against literal formulas, and its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.studies import _papyan_2020_training as training
from lemmata.studies._papyan_2020_collapse import collapse
from lemmata.studies._papyan_2020_training import Training
from lemmata.verdicts import Outcome

# ---- the measures ----------------------------------------------------------------------------------------------------


def sample(seed: int, n: int = 40, p: int = 6, K: int = 4) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % K
    h = torch.randn(n, p, generator=g, dtype=torch.float64) + 2 * torch.randn(K, p, generator=g, dtype=torch.float64)[y]
    return (
        h,
        y,
        torch.randn(K, p, generator=g, dtype=torch.float64),
        torch.randn(n, K, generator=g, dtype=torch.float64),
    )


def test_measures_are_the_formulas_written_out():
    """Class by class in numpy, S_B^+ by its K - 1 largest eigenvalues; 1e-9 relative, condition numbers below 100."""
    h, y, W, logits = (part.numpy() for part in sample(0))
    mu = np.stack([h[y == k].mean(0) for k in range(4)])
    m = mu - mu.mean(0)
    within = sum((h[y == k] - mu[k]).T @ (h[y == k] - mu[k]) for k in range(4)) / len(h)
    between = sum(np.outer(row, row) for row in m) / 4
    norms = np.linalg.norm(m, axis=1)
    cosines = [m[i] @ m[j] / norms[i] / norms[j] for i in range(4) for j in range(i)]
    nearest = np.argmin(((h[:, None] - mu) ** 2).sum(2), 1)
    found = collapse(*(torch.tensor(part)[None] for part in (h, y, W, logits)))
    inverse = np.linalg.pinv(between, rcond=1e-10, hermitian=True)
    assert float(found.nc1) == pytest.approx(np.trace(within @ inverse) / 4, rel=1e-9)
    assert float(found.norms) == pytest.approx(norms.std() / norms.mean(), rel=1e-9)
    assert float(found.angles) == pytest.approx(np.std(cosines), rel=1e-9)
    assert float(found.rms_cosine) == pytest.approx(np.mean(np.square(cosines)) ** 0.5, rel=1e-9)
    gap = W / np.linalg.norm(W) - m / np.linalg.norm(m)
    assert float(found.duality) == pytest.approx((gap**2).sum(), rel=1e-9)
    assert float(found.nearest) == pytest.approx(np.mean(nearest != logits.argmax(1)))


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10), K=st.integers(3, 6))
@settings(max_examples=25, deadline=None)
def test_measures_do_not_know_rotation_scale_or_place(seed: int, scale: float, K: int):
    """Features turned, scaled and shifted together with the weights; 1e-7, the rounding of an inverse."""
    h, y, W, logits = sample(seed, K=K)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    one = collapse(h[None], y[None], W[None], logits[None])
    other = collapse(scale * (h @ Q + 1)[None], y[None], scale * (W @ Q)[None], logits[None])
    for name in training.NAMES:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9)
    assert float(one.rms_cosine) > 0


@pytest.mark.parametrize("K", [3, 5, 10])
def test_a_simplex_has_collapsed_and_what_is_near_it_has_not(K: int):
    means = torch.eye(K, dtype=torch.float64) - 1 / K
    y = torch.arange(3 * K) % K
    exact = collapse(means[y][None], y[None], 2 * means[None], means[y][None])
    assert float(exact.rms_cosine) == pytest.approx(1 / (K - 1), rel=1e-12)
    for name in ("nc1", "norms", "angles", "duality", "nearest"):
        assert float(getattr(exact, name)) == pytest.approx(0, abs=1e-7)
    moved = means.clone()
    moved[0] += 0.5 * means[1]
    near = collapse(moved[y][None], y[None], means[None], means[y][None])
    assert float(near.rms_cosine) > 1 / (K - 1) + 1e-3
    assert float(near.angles) > 0.01


def test_what_cannot_be_measured_is_refused():
    h, y, W, logits = (part[None] for part in sample(1))
    with pytest.raises(InvalidInput, match="no sample"):
        collapse(h, y.clamp(max=2), W, logits)
    with pytest.raises(InvalidInput, match="K - 1"):
        collapse(h[..., :2], y, W[..., :2], logits)


# ---- training --------------------------------------------------------------------------------------------------------

TINY = {"widths": (8, 6), "per_class": 6, "batch_size": 20, "epochs": 8, "classes": 4}


def test_examples_are_as_many_of_each_class():
    x, y = training.examples(Training(classes=5, per_class=7, seed=2))
    assert torch.bincount(y).tolist() == [7] * 5
    assert x.shape == (35, 64)
    assert float(x.min()) == -0.5
    permuted = training.examples(Training(classes=5, per_class=7, seed=2, labels="random"))[1]
    assert torch.equal(permuted.sort().values, y)
    assert not torch.equal(permuted, y)


@pytest.mark.parametrize("normalised", [True, False])
def test_an_epoch_by_hand_gives_the_same_collapse(normalised: bool):
    """Torch's own SGD on the same batches, the drop of the step size included; float32, 48 steps."""
    config = Training(**TINY, normalised=normalised, seed=3)
    (found,) = training.run([config])
    x, y = training.examples(config)
    net = training.network(config, x.shape[1]).train()
    rule = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-3)
    random = torch.Generator().manual_seed(3)
    for epoch in range(1, 9):
        for group in rule.param_groups:
            group["lr"] = 0.05 * (0.01 if epoch > 20 / 3 else 0.1 if epoch > 4 else 1)
        for rows in torch.randperm(24, generator=random).split(20):
            rule.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            rule.step()
    net.eval()
    with torch.no_grad():
        h = net[:-1](x)
        own = collapse(h[None], y[None], net[-1].weight[None], net(x)[None])
    for name in ("nc1", "rms_cosine", "duality"):
        assert found.scalars[name] == pytest.approx(float(getattr(own, name)), rel=1e-2)


def test_members_do_not_see_each_other():
    configs = [Training(**TINY, seed=seed, weight_decay=decay) for seed, decay in ((0, 0.0), (1, 5e-3))]
    for config, found in zip(configs, training.run(configs), strict=True):
        (alone,) = training.run([config])
        np.testing.assert_allclose(found.curves["duality_curve"].y, alone.curves["duality_curve"].y, rtol=1e-3)


# ---- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    """Angles keep more than our third of their unevenness, and how much the norms keep of theirs stays open."""
    but = {"terminal-angles": Outcome.DIRECTION_ONLY, "terminal-norms": Outcome.INCONCLUSIVE}
    laptop("papyan-2020").assert_outcomes(but)

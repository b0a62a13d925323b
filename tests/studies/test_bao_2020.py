"""The study of Bao et al.: gradients by autograd, the optimum and its Hessian by instruments, and its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import Objective, curvature, data
from lemmata.studies import _bao_2020_conditioning as conditioning
from lemmata.studies import _bao_2020_descent as descent
from lemmata.studies import _bao_2020_optimum as closed
from lemmata.studies import _bao_2020_training as training
from lemmata.studies import _bao_2020_uncut as uncut
from lemmata.studies import bao_2020 as bao
from lemmata.studies._bao_2020_descent import Terms
from lemmata.studies._bao_2020_training import Autoencoder, Speed
from lemmata.verdicts import Outcome

E = torch.tensor([4.0, 2.5, 1.5, 1.0, 0.3], dtype=torch.float64)
R = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- descent ---------------------------------------------------------------------------------------------------------


def _literal(method: str, W: torch.Tensor, D: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The loss as the paper states it, on samples x (n, m); nested dropout as its sum over b."""
    k, penalty = len(W), {"non-uniform": R.square(), "uniform": R.mean().square().expand(3)}.get(method)
    if method == "dropout":
        p = [0.9**b * 0.1 for b in range(k - 1)]
        p.append(1 - sum(p))
        parts = [(x - (x @ W[: b + 1].T) @ D[: b + 1]).square().sum(1).mean() for b in range(k)]
        return sum(weight * part for weight, part in zip(p, parts, strict=True))  # type: ignore[return-value]
    loss = (x - (x @ W.T) @ D).square().sum(1).mean()
    if penalty is not None:
        loss = loss + (penalty[:, None] * (W.square() + D.square())).sum()
    return loss


@pytest.mark.parametrize("method", ["plain", "uniform", "non-uniform", "dropout"])
def test_directions_are_gradients_of_the_literal_loss(method):
    """On samples whose second moment is diag(E) exactly; rounding. The batch's other member must not matter."""
    x = torch.diag((len(E) * E).sqrt())
    W, D = _random(3, 5).requires_grad_(), _random(3, 5, seed=1).requires_grad_()
    _literal(method, W, D, x).backward()
    terms = Terms.of(["rotation", method], R.expand(2, 3))
    found = descent.gradients(_pair(W), _pair(D), E.expand(2, 1, 5), terms)
    torch.testing.assert_close(found[0][1], W.grad)
    torch.testing.assert_close(found[1][1], D.grad)


def _pair(w: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.full_like(w, 0.3), w.detach()])


def test_the_rotation_term_is_the_authors():
    """With gamma = (up(S) - up(S)^T) / 2 on top of the plain gradient: less gamma W_1 and W_2 gamma^T."""
    W, D = _random(3, 5), _random(3, 5, seed=1)
    plain, rotation = (
        descent.gradients(W[None], D[None], E[None, None], Terms.of([name], R[None])) for name in ("plain", "rotation")
    )
    S = (W * E) @ W.T
    up = torch.triu(S, 1)
    gamma = (up - up.T) / 2
    torch.testing.assert_close(rotation[0][0], plain[0][0] - gamma @ W)
    torch.testing.assert_close(rotation[1][0].T, plain[1][0].T - D.T @ gamma.T)


def test_steps_are_those_of_torchs_nesterov_momentum():
    """Twenty steps against torch.optim.SGD on the literal loss; 1e-12."""
    x = torch.diag((len(E) * E).sqrt())
    W, D = (0.1 * _random(3, 5, seed=i) for i in (2, 3))
    found = descent.descend(
        W[None], D[None], E[None, None], Terms.of(["non-uniform"], R[None]),
        rate=torch.tensor([0.01], dtype=torch.float64), marks=[0, 7, 20],
    )  # fmt: skip
    W, D = W.clone().requires_grad_(), D.clone().requires_grad_()
    optimiser, expected = torch.optim.SGD([W, D], lr=0.01, momentum=0.9, nesterov=True), []
    for step in range(21):
        if step in (0, 7, 20):
            expected.append(D.detach().clone())
        optimiser.zero_grad()
        _literal("non-uniform", W, D, x).backward()
        optimiser.step()
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a[0], b, rtol=1e-12, atol=1e-12)


def test_measures_are_those_of_their_definitions():
    D = _random(2, 3, 6, seed=4)
    D[1, 2] = 1e-12 * D[1, 2]  # a unit that has died
    found = descent.measures(D)
    for i in range(2):
        columns = D[i].numpy().T
        alive = columns[:, :2] if i else columns
        q = np.linalg.qr(alive)[0]
        assert float(found["subspace"][i]) == pytest.approx(1 - (q[:3] ** 2).sum() / 3, abs=1e-12)
        cos2 = (columns / (np.linalg.norm(columns, axis=0) + 1e-8)) ** 2
        assert float(found["alignment"][i]) == pytest.approx(np.mean([1 - cos2[a].max() for a in range(3)]), abs=1e-12)
        assert float(found["ordered"][i]) == pytest.approx(np.mean([1 - cos2[a, a] for a in range(3)]), abs=1e-12)
    perfect = descent.measures(torch.eye(3, 6, dtype=torch.float64)[None])
    assert all(float(value) == pytest.approx(0.0, abs=1e-7) for value in perfect.values())
    swapped = descent.measures(torch.eye(3, 6, dtype=torch.float64)[[1, 0, 2]][None])
    assert float(swapped["alignment"]) == pytest.approx(0.0, abs=1e-7)
    assert float(swapped["ordered"]) == pytest.approx(2 / 3)
    assert torch.isnan(descent.measures(torch.full((1, 2, 3), torch.nan, dtype=torch.float64))["subspace"]).all()


def test_without_a_cut_a_dying_unit_counts_in_full():
    """The formula of the authors' code; 1e-6 for single precision. Dead units hide until they point elsewhere."""
    D = torch.eye(3, 6, dtype=torch.float64).repeat(3, 1, 1) + 0.1 * _random(3, 3, 6, seed=4)
    D[1, 2], D[2, 2] = 1e-12 * torch.eye(6)[2], 1e-12 * torch.eye(6)[5]
    found = uncut.uncut(D)
    for i in range(3):
        left = np.linalg.svd(D[i].numpy().T, full_matrices=False)[0]
        projected = np.eye(6)[:, :3] @ np.eye(6)[:3] @ left @ left.T
        assert float(found[i]) == pytest.approx(1 - np.trace(projected) / 3, abs=1e-6)
    assert float(found[0]) == pytest.approx(float(descent.measures(D)["subspace"][0]), abs=1e-6)
    assert float(found[1]) < 0.1  # one that points to the third component hides that it is lost
    assert float(found[2]) > 0.3  # and does not where it points elsewhere
    assert torch.isnan(uncut.uncut(torch.full((1, 2, 3), torch.nan, dtype=torch.float64))).all()


def test_a_rise_is_counted_from_where_the_subspace_was_found():
    marks = np.array([10, 20, 30])
    for curve, rise in (([0.5, 1e-5, 0.05], 0.05 - 1e-5), ([0.5, 2e-3, 0.05], 0.0), ([0.5, 0.2, 1e-9], 0.0)):
        assert uncut.measured(marks, np.array(curve)).scalars["rise"] == pytest.approx(rise)
    assert uncut.measured(marks, np.array([0.5, np.nan, 0.1])).status == "diverged"


def test_decoders_without_a_cut_are_those_of_training():
    """While all units live, the distance is that which is measured to the rank; 1e-6, for single precision."""
    configs = [Autoencoder(source="linear", dimensions=12, k=4, steps=300, rate=0.01, seed=s) for s in (0, 3)]
    for free, cut in zip(uncut.fall_and_rise(configs), training.train(configs), strict=True):
        np.testing.assert_allclose(free.curves["uncut_curve"].y, cut.curves["subspace_curve"].y, atol=1e-6)


def test_the_eigenbasis_is_no_loss_of_generality():
    """Correlated inputs from rotated weights follow the rotated path, 60 steps; 1e-10."""
    Q = torch.linalg.qr(_random(5, 5, seed=9))[0]
    x = torch.diag((len(E) * E).sqrt()) @ Q.T
    W, D = (0.1 * _random(3, 5, seed=i) for i in (5, 6))
    found = descent.descend(
        W[None], D[None], E[None, None], Terms.of(["uniform"], R[None]),
        rate=torch.tensor([0.02], dtype=torch.float64), marks=[60],
    )[0][0]  # fmt: skip
    V, F = (W @ Q.T).requires_grad_(), (D @ Q.T).requires_grad_()
    optimiser = torch.optim.SGD([V, F], lr=0.02, momentum=0.9, nesterov=True)
    for _ in range(60):
        optimiser.zero_grad()
        _literal("uniform", V, F, x).backward()
        optimiser.step()
    torch.testing.assert_close(F.detach() @ Q, found, rtol=1e-10, atol=1e-10)


def test_eigenvalues_of_the_digits_are_scikit_learns():
    """Explained variances of PCA on the same images, with n for n - 1; 1e-8 relative."""
    from sklearn.decomposition import PCA

    x = data.load("mnist-5k", dtype=torch.float64).x.flatten(1).numpy()[::10]
    expected = PCA(n_components=10, svd_solver="full").fit(x).explained_variance_ * (len(x) - 1) / len(x)
    centred = x - x.mean(0)
    assert np.linalg.eigvalsh(centred.T @ centred / len(x))[::-1][:10] == pytest.approx(expected, rel=1e-8)
    e = training.digits("mnist-5k")
    assert e[[0, 1, 2, 18, 19]] == pytest.approx([5.195, 3.816, 3.280, 0.646, 0.607], abs=6e-4)
    assert e.sum() == pytest.approx(52.8, abs=0.05)


# ---- the optimum and its Hessian -------------------------------------------------------------------------------------


class _Penalised(nn.Module):
    """Residuals and weighted weights as outputs, so that the mean of their squares is the loss of the study."""

    def __init__(self, W: torch.Tensor, D: torch.Tensor, r: torch.Tensor):
        super().__init__()
        self.W, self.D, self.r = nn.Parameter(W), nn.Parameter(D), r[:, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.cat([(self.r * self.W).flatten(), (self.r * self.D).flatten()])
        return torch.cat([x - (x @ self.W.T) @ self.D, weights.expand(len(x), -1)], 1)


def _at_optimum(e: np.ndarray, penalty: np.ndarray) -> tuple[Objective, np.ndarray]:
    m, k = len(e), len(penalty)
    at = np.zeros((k, m))
    at[range(k), range(k)] = closed.optimum(e, penalty).w
    model = _Penalised(torch.tensor(at), torch.tensor(at), torch.tensor(penalty).sqrt())
    x = torch.diag((m * torch.tensor(e)).sqrt())
    loss = lambda outputs, _: outputs.square().sum(1).mean()  # noqa: E731
    return Objective(model, loss=loss, data=(x, torch.zeros(m, 1, dtype=torch.float64))), at


@pytest.mark.parametrize("penalty", [[0.1, 0.5, 0.9], [0.1, 0.5, 4.5], [0.3, 2.0, 3.0]])
def test_the_hessian_is_the_instruments(penalty: list[float]):
    """All eigenvalues from products of `curvature.hessian`, dead units included; 1e-10. The gradient vanishes."""
    e, lam = np.linspace(5.0, 1.0, 6), np.array(penalty)
    objective, at = _at_optimum(e, lam)
    assert float(objective.value()) == pytest.approx(closed.loss(at, at, e, lam), rel=1e-12)
    assert max(float(g.abs().max()) for g in objective.gradient().values()) < 1e-12
    operator = curvature.hessian(objective)
    dense = operator @ torch.eye(operator.shape[0], dtype=torch.float64)
    np.testing.assert_allclose(np.linalg.eigvalsh(dense.numpy()), closed.hessian_eigenvalues(e, lam), atol=1e-10)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_optimum_is_below_random_points_and_other_orders(seed: int, k: int):
    """Random weights, units on any axes with their best weights, and random perturbations cost no less."""
    random = np.random.default_rng(seed)
    e, lam = np.sort(random.uniform(0.2, 4.0, 5))[::-1], np.sort(random.uniform(0.01, 3.0, k))
    at = np.zeros((k, 5))
    at[range(k), range(k)] = closed.optimum(e, lam).w
    least = closed.loss(at, at, e, lam)
    others = [random.normal(size=(2, k, 5))]
    for _ in range(5):
        axes, other = random.permutation(5)[:k], np.zeros((k, 5))
        other[range(k), axes] = np.sqrt(np.maximum(1 - lam / e[axes], 0))
        others += [np.stack([other, other]), np.stack([at, at]) + 0.1 * random.normal(size=(2, k, 5))]
    assert min(closed.loss(W, D, e, lam) for W, D in others) >= least - 1e-12
    assert closed.hessian_eigenvalues(e, lam)[0] >= -1e-12


def test_rotations_have_the_curvature_stated():
    """Second difference of the loss along a rotation, over the length of its direction: the formula stated; 1e-5.

    And the block of the two units says the same of that direction.
    """
    e, lam = np.array([3.0, 2.0, 1.0]), np.array([0.2, 0.5])
    at = np.zeros((2, 3))
    at[range(2), range(2)] = closed.optimum(e, lam).w
    h = 1e-4

    def along(angle: float) -> float:
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([[c, -s], [s, c]]) @ at
        return closed.loss(turned, turned, e, lam)

    second = (along(h) - 2 * along(0.0) + along(-h)) / h**2
    w = np.diagonal(at)
    stated = 2 * (lam[1] - lam[0]) * (w[0] ** 2 - w[1] ** 2) / (w @ w)
    assert stated == pytest.approx(second / (2 * (at**2).sum()), rel=1e-5)
    rotation = np.array([w[0], -w[1], -w[1], w[0]]) / (2 * w @ w) ** 0.5
    assert stated == pytest.approx(rotation @ (2 * closed._pairs(e, w, lam)[0]) @ rotation, rel=1e-12)


@pytest.mark.parametrize("third", [1.0, 2.0 - 1e-6])
def test_the_flattest_direction_is_that_of_the_dense_hessian(third: float):
    """Its eigenvector, by the instrument's products, against the generator of rotations; 1e-6. A tie leaves 0."""
    e, lam = np.array([3.0, 2.0, third]), np.array([0.2, 0.5])
    objective, at = _at_optimum(e, lam)
    operator = curvature.hessian(objective)
    dense = (operator @ torch.eye(operator.shape[0], dtype=torch.float64)).numpy()
    flattest = np.linalg.eigh(dense)[1][:, 0]
    turned = np.concatenate([(np.array([[0.0, -1.0], [1.0, 0.0]]) @ at).ravel()] * 2)
    expected = (flattest @ turned) ** 2 / (turned @ turned)
    assert closed.share_of_rotation(e, lam) == pytest.approx(expected, abs=1e-6)
    assert (expected > 0.9) == (third == 1.0)


def test_condition_numbers_are_those_of_finite_differences():
    """Numbers of a finite-difference Hessian made independently: m = 12, eigenvalues 5 to 1, r = 0.1 to 0.9; 1 %."""
    for k, expected in ((2, 3.52e3), (4, 1.39e5), (10, 2.16e6)):
        rates = closed.hessian_eigenvalues(np.linspace(5, 1, 12), np.linspace(0.1, 0.9, k) ** 2)
        assert rates[-1] / rates[0] == pytest.approx(expected, rel=0.01)


def test_the_rates_of_nested_dropout_are_its_hessians():
    """The literal loss, twice differentiated at the components; 1e-10. Three scales of units are neutral."""
    x = torch.diag((len(E) * E).sqrt())
    at = torch.eye(3, 5, dtype=torch.float64).flatten().repeat(2)
    dense = torch.autograd.functional.hessian(lambda v: _literal("dropout", *v.view(2, 3, 5), x), at)
    rates = conditioning.field_rates(E.numpy(), 3, "dropout")
    np.testing.assert_allclose(rates, np.linalg.eigvalsh(dense.numpy()), atol=1e-10)  # type: ignore[union-attr]
    assert (np.abs(rates) < 1e-9).sum() == 3
    assert rates.min() > -1e-9


def test_the_rotation_gradient_has_its_neutral_directions():
    """Of its rates k + k(k-1)/2 are 0, all others positive."""
    for k in (2, 5):
        rates = conditioning.field_rates(np.linspace(5, 1, 8), k, "rotation")
        assert (np.abs(rates) < 1e-9).sum() == k + k * (k - 1) // 2
        assert rates.min() > -1e-9


# ---- training --------------------------------------------------------------------------------------------------------


def test_members_do_not_see_each_other():
    """To the rounding of batched products over 200 steps from 1e-4 up, 1e-8."""
    settings_ = {"source": "linear", "dimensions": 12, "k": 4, "steps": 200, "rate": 0.01, "r_max": 1.5}
    configs = [Autoencoder(method=m, seed=s, **settings_) for m in ("dropout", "rotation") for s in (0, 3)]  # type: ignore[arg-type]
    for config, member in zip(configs, training.train(configs), strict=True):
        alone = training.train([config])[0]
        assert alone.scalars["alignment"] == pytest.approx(member.scalars["alignment"], rel=1e-8)


def test_arrivals_are_first_marks_below_the_threshold():
    config = Speed(k=2, steps=300, seed=1)
    found = training.speeds([config])[0]
    curve = found.curves["alignment_curve"]
    assert found.scalars["arrival"] == curve.x[np.argmax(curve.y < 0.3)]
    rates = [training.paths([config], [rate])["alignment"][0] for rate in training.RATES]
    best = [np.array(config.marks)[np.argmax(path < 0.3)] for path in rates if (path < 0.3).any()]
    assert found.scalars["arrival"] == min(best)
    assert training.speeds([Speed(k=2, steps=20)])[0].scalars["arrival"] == np.inf


# ---- verdicts --------------------------------------------------------------------------------------------------------

QUICK = ("audit", "conditioning")


def test_exact_claims_hold_at_smoke_scale(smoke):
    for verdict in smoke("bao-2020", *QUICK).verdicts.values():
        assert verdict.outcome is Outcome.REPRODUCED, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", [claim.name for claim in bao.study.claims])
def test_verdicts_at_laptop_scale(laptop, name: str):
    untestable = bao.study.find_claim(name).untestable
    laptop("bao-2020").assert_outcome(name, Outcome.NOT_TESTABLE if untestable else Outcome.REPRODUCED)

"""Leave-one-out: exact for least squares against refits, by influence against exact retraining."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from torch import Tensor, nn

from lemmata.bounds import Sample
from lemmata.bounds.stability import (
    FarFromRetraining,
    leave_one_out_measure,
    left_out_by_influence,
    left_out_least_squares,
    stability_measure,
)
from lemmata.bounds.stability.many_right_sides import solve_columns
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import LinearOperator
from lemmata.objective import Objective

# most networks here are not trained: what is asked of them holds wherever the step starts
pytestmark = pytest.mark.filterwarnings("ignore::lemmata.bounds.stability.FarFromRetraining")
F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("ridge", [0.0, 0.01, 1.0])
def test_least_squares_by_scikit_learn(ridge: float):
    """Refits by another library, to 1e-6: its ridge is n times ours, and stays as it is when a sample goes."""
    x, y = drawn(25, 4), drawn(25, seed=1)
    found = left_out_least_squares(x, y, ridge=ridge)
    refitted = cross_val_predict(Ridge(alpha=25 * ridge, fit_intercept=False), x.numpy(), y.numpy(), cv=LeaveOneOut())
    np.testing.assert_allclose(found.left_out[:, 0].numpy(), refitted, rtol=1e-6, atol=1e-9)
    hat = x @ torch.linalg.solve(x.T @ x + 25 * ridge * torch.eye(4), x.T)
    torch.testing.assert_close(found.leverage, hat.diagonal(), rtol=1e-6, atol=1e-9)
    assert found.exact


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_influence_is_exact_for_linear_least_squares(damping: float):
    """With damping / 2 |w|^2 beside the mean of k squared errors / k: the ridge is k damping / 2. To 1e-8."""
    x, y = drawn(20, 3), drawn(20, 2, seed=1)
    exact = left_out_least_squares(x, y, ridge=damping)
    gram = x.T @ x / 20 + damping * torch.eye(3)
    layer = nn.Linear(3, 2, bias=False).double().requires_grad_(False)
    layer.weight.copy_(torch.linalg.solve(gram, x.T @ y / 20).T)
    found = left_out_by_influence((layer, "mse", (x, y)), damping=damping)
    torch.testing.assert_close(found.left_out, exact.left_out, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(found.leverage, exact.leverage, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(2 * found.left_out_loss, exact.left_out_loss, rtol=1e-8, atol=1e-10)


def retrained(objective: Objective, damping: float, start: Tensor) -> Tensor:
    """The minimiser of the mean loss + damping / 2 |theta|^2, by scipy's L-BFGS from `start`, float64."""

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(theta)
        loss, slope = objective.value_and_gradient(objective.tree(point))
        gradient = objective.vector(slope) + damping * point
        return float(loss) + damping / 2 * float(point @ point), gradient.numpy()

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 50}
    return torch.from_numpy(minimize(value, start.numpy(), jac=True, method="L-BFGS-B", options=options).x)


def without(x: Tensor, i: int) -> Tensor:
    return torch.cat([x[:i], x[i + 1 :]])


def both(model: nn.Module, x: Tensor, y: Tensor, damping: float, **options) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs of the fitted model, by influence without each sample, and retrained without it."""
    whole = Objective(model, data=(x, y))
    theta = retrained(whole, damping, whole.vector(whole.parameters))
    fitted = whole.at(whole.tree(theta))
    found = left_out_by_influence(fitted, damping=damping, **options)
    n, exact = len(y), []
    for i in range(n):
        part = Objective(model, data=(without(x, i), without(y, i)))
        scale = n / (n - 1)  # the sum of the others over n, and the same damping
        again = retrained(part, damping * scale, theta)
        exact.append(part.outputs(part.tree(again), x[i : i + 1])[0])
    return found.fitted, found.left_out, torch.stack(exact)


def test_influence_in_softmax_regression_against_retraining():
    """Convex: the one Newton step misses 5 % of how far outputs move, at most, where they move by 1 to 100 %."""
    x, y = drawn(40, 4), torch.arange(40) % 3
    fitted, influence, exact = both(nn.Linear(4, 3).double(), x, y, 0.05)
    assert float((influence - exact).norm() / (fitted - exact).norm()) < 0.05


@pytest.mark.parametrize("curvature", ["ggn", "hessian"])
def test_influence_in_a_network_against_retraining(curvature: str):
    """Two layers of tanh, 43 parameters, 30 samples, minimised: a step that sees 60 % of what retraining does."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    x = drawn(30, 3)
    y = (x[:, 0] * x[:, 1] + 0.3 * drawn(30, seed=2) > 0).long()
    fitted, influence, exact = both(model, x, y, 0.03, curvature=curvature)
    assert float((influence - exact).norm() / (fitted - exact).norm()) < 0.4
    moved = torch.stack([(influence - fitted).flatten(), (exact - fitted).flatten()])
    assert float(torch.corrcoef(moved)[0, 1]) > 0.9


def network() -> tuple[nn.Module, str, tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double(), "cross_entropy", (
        drawn(18, 4), torch.arange(18) % 3,
    )  # fmt: skip


def test_conjugate_gradients_agree_with_the_factor(monkeypatch: pytest.MonkeyPatch):
    """To 1e-6 at a tolerance of 1e-9, in one chunk and in many."""
    from lemmata.bounds.stability import influence

    dense = left_out_by_influence(network(), damping=0.01)
    monkeypatch.setattr(influence, "DENSE", 0)
    for memory in (2**28, 3 * 6 * 3 * 43 * 8):
        found = left_out_by_influence(network(), damping=0.01, tolerance=1e-9, memory=memory)
        torch.testing.assert_close(found.left_out, dense.left_out, rtol=1e-6, atol=1e-8)
        assert 0 < found.residual <= 1e-9
    with pytest.raises(NotConverged):
        left_out_by_influence(network(), damping=1e-9, tolerance=1e-12, max_iterations=3)


def test_some_samples_are_some_of_all():
    """Each sample's numbers do not depend on which others are left out."""
    whole, some = left_out_by_influence(network()), left_out_by_influence(network(), samples=5, seed=3)
    assert len(some.indices) == 5
    torch.testing.assert_close(some.left_out, whole.left_out[some.indices], rtol=1e-9, atol=1e-12)
    measure = leave_one_out_measure(network()[0], network()[2], samples=5, seed=3)
    assert measure.stderr > 0
    assert leave_one_out_measure(network()[0], network()[2]).stderr == 0


def test_measures_are_means():
    """Of the losses, the mistakes and the changes of the losses; they are no bounds."""
    model, _, data = network()
    found = left_out_by_influence(network())
    loss, error, change = (
        leave_one_out_measure(model, data),
        leave_one_out_measure(model, data, error=True),
        stability_measure(found),
    )
    assert loss.value == pytest.approx(float(found.left_out_loss.mean()))
    assert error.value == pytest.approx(float((found.left_out.argmax(1) != data[1]).double().mean()))
    assert change.value == pytest.approx(float((found.left_out_loss - found.fitted_loss).abs().mean()))
    assert not loss.is_bound
    assert loss.terms["with the sample"] < loss.terms["without it"]


def test_signs_are_counted_as_classes():
    """Least squares on +-1 has mistakes; on other targets it has none."""
    x, y = drawn(30, 2), drawn(30, 2)[:, 0].sign()
    assert 0 <= leave_one_out_measure(left_out_least_squares(x, y), error=True).value < 0.5
    with pytest.raises(InvalidInput, match="numbers"):
        leave_one_out_measure(left_out_least_squares(x, 2 * y), error=True)


def test_one_output_without_its_axis():
    """A model that gives (n,) is as one that gives (n, 1)."""
    x, y = drawn(12, 2), drawn(12, seed=4)
    layer = nn.Linear(2, 1).double()
    flat = left_out_by_influence((nn.Sequential(layer, nn.Flatten(0)), "mse", (x, y)))
    axis = left_out_by_influence((layer, "mse", (x, y[:, None])))
    torch.testing.assert_close(flat.left_out, axis.left_out)


def test_columns_are_solved_as_by_a_dense_solve():
    """20 right-hand sides of very different sizes, one of them zero."""
    A = drawn(30, 30)
    A = A @ A.T + torch.eye(30)
    B = drawn(30, 20, seed=1) * torch.logspace(-6, 6, 20, dtype=F64)
    B[:, 3] = 0
    X, residual, _ = solve_columns(LinearOperator.of((A + A.T) / 2), B, tolerance=1e-10, max_iterations=200)
    torch.testing.assert_close(X, torch.linalg.solve(A, B), rtol=1e-6, atol=1e-12)
    assert residual <= 1e-10
    with pytest.raises(InvalidInput, match="larger damping"):
        solve_columns(LinearOperator.of(-torch.eye(3)), torch.ones(3, 1), tolerance=1e-3, max_iterations=9)


@pytest.mark.gpu
def test_on_a_gpu():
    """Influence there is as here, to 1e-8 in float64."""
    model, loss, (x, y) = network()
    here = left_out_by_influence(network(), samples=7)
    there = left_out_by_influence((model.cuda(), loss, (x.cuda(), y.cuda())), samples=7)
    torch.testing.assert_close(there.left_out.cpu(), here.left_out, rtol=1e-8, atol=1e-10)


def test_figures_are_drawn():
    """Losses with and without, and changes by leverage; a measure's samples."""
    figure = left_out_by_influence(network()).plot()
    assert [panel.x.label for panel in figure.panels] == ["loss of a sample", "leverage"]
    assert leave_one_out_measure(left_out_by_influence(network())).plot().name == "measure"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: left_out_by_influence(network(), damping=-1.0), "damping = -1.0"),
        (lambda: left_out_by_influence(network(), samples=19), "samples = 19"),
        (lambda: left_out_by_influence(network(), curvature="hessian", damping=0.0), "not positive definite"),
        (lambda: left_out_least_squares(drawn(3, 5), drawn(3)), "dependent"),
        (lambda: left_out_least_squares(drawn(3, 2), drawn(4)), "give"),
        (lambda: left_out_least_squares(drawn(3, 2), drawn(3), ridge=-1.0), "ridge = -1.0"),
        (lambda: leave_one_out_measure(network()[0]), "data = None"),
        (lambda: stability_measure(left_out_by_influence(network()), network()[2]), "no data"),
    ],
)
def test_bad_input_is_named(call, said: str):
    """Each is refused by what is wrong with it."""
    with pytest.raises(InvalidInput, match=said):
        call()


def test_an_unknown_curvature_is_named():
    """The known ones are offered."""
    with pytest.raises(UnknownName, match="fisher"):
        left_out_by_influence(network(), curvature="fisher")


def test_a_model_that_is_not_at_a_minimum_is_warned_of():
    """One sample moves it less than further training would; at the minimum nothing is said, and the gradient is 0."""
    model, loss, (x, y) = network()
    with pytest.warns(FarFromRetraining, match="gradient is .* times what one sample contributes"):
        far = left_out_by_influence((model, loss, (x, y)), damping=0.05)
    objective = Objective(model, loss=loss, data=(x, y))
    alone = [Objective(model, loss=loss, data=(x[i : i + 1], y[i : i + 1])) for i in range(len(y))]
    pulls = torch.stack([objective.vector(one.gradient()).norm() for one in alone]) / len(y)
    torch.testing.assert_close(far.pull, pulls, rtol=1e-9, atol=1e-12)
    plain, theta = objective.vector(objective.gradient()), objective.vector(objective.parameters)
    assert far.gradient == pytest.approx(float(min(plain.norm(), (plain + 0.05 * theta).norm())))
    assert far.unfinished == pytest.approx(far.gradient / float(pulls.mean()))
    done = objective.at(objective.tree(retrained(objective, 0.05, theta)))
    found = left_out_by_influence(done, damping=0.05)
    assert found.unfinished < 0.01
    terms = leave_one_out_measure(found).terms
    assert terms["gradient over pull"] == found.unfinished
    assert terms["largest leverage"] == found.largest_leverage == float(found.leverage.max())


@pytest.mark.filterwarnings("error")
def test_a_sample_that_decides_its_own_output_is_warned_of():
    """Its leverage, (x_1^2 / (x_1^2 + ... + x_n^2)), is above 1/2 for one long sample, and not for equal ones."""
    mean = nn.Linear(1, 1, bias=False).double().requires_grad_(False)
    x = torch.ones(4, 1).double()
    mean.weight.fill_(1.0)
    left_out_by_influence((mean, "mse", (x, x)), damping=0.0)
    x[0] = 10.0
    with pytest.warns(FarFromRetraining, match="leverage 0.97"):
        left_out_by_influence((mean, "mse", (x, x)), damping=0.0)


def test_samples_of_the_bounds_and_labels_of_any_whole_type():
    """They are the same data."""
    model, loss, (x, y) = network()
    expected = left_out_by_influence((model, loss, (x, y))).left_out
    for data in (Sample(x, y), (x, y.to(torch.uint8)), (x, y.int()), [(x[:7], y[:7]), (x[7:], y[7:])]):
        torch.testing.assert_close(left_out_by_influence((model, loss, data)).left_out, expected, rtol=1e-10, atol=0)


def test_progress_is_told():
    """In order, up to all samples; the numbers are those without it, to rounding."""
    told: list[tuple[int, int]] = []
    found = left_out_by_influence(network(), progress=lambda done, m: told.append((done, m)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 5
    assert told[-1] == (18, 18)
    torch.testing.assert_close(found.left_out, left_out_by_influence(network()).left_out, rtol=1e-9, atol=1e-12)


JUNK = {
    "damping": [None, "a", -1.0, float("nan"), float("inf"), [], True],
    "tolerance": [None, "a", 0.0, 1.0, -1.0, float("nan"), [], True],
    "max_iterations": [None, "a", 0, 2.5, True],
    "memory": [None, "a", 0, 2.5],
    "samples": ["a", 0, 2.5, True],
    "seed": [None, "a", True, 2**70, 0.5],
    "progress": ["a", 3],
    "curvature": [None, 3, []],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in JUNK.items() for value in values])
def test_options_of_the_wrong_kind_are_refused(name: str, value):
    """By name, whether or not they would be used."""
    with pytest.raises((InvalidInput, UnknownName), match=name):
        left_out_by_influence(network(), **{name: value})


@pytest.mark.parametrize("error", ["a", 1, None])
def test_error_is_a_flag(error):
    with pytest.raises(InvalidInput, match="error = "):
        leave_one_out_measure(*(network()[i] for i in (0, 2)), error=error)


def test_what_overflows_and_half_precision_are_refused():
    """Neither a NaN nor torch's own words."""
    model, loss, (x, y) = network()
    with pytest.raises(InvalidInput, match=r"overflows|not positive definite|NaN"):
        left_out_by_influence((nn.Linear(x.shape[1], 3), loss, (x.float() * 1e30, y)))
    with pytest.raises(InvalidInput, match="bfloat16"):
        left_out_by_influence((model.bfloat16(), loss, (x.bfloat16(), y)))
    with pytest.raises(InvalidInput, match=r"model\.eval"):
        left_out_by_influence((nn.Sequential(nn.Dropout(), model), loss, (x, y)))


def test_a_small_damping_is_factorised_rather_than_iterated(monkeypatch: pytest.MonkeyPatch):
    """Where conjugate gradients would take more products than there are parameters."""
    monkeypatch.setattr("lemmata.bounds.stability.influence.solve_columns", None)
    left_out_by_influence(network(), damping=1e-6, samples=1)


def test_two_logits_count_as_one_number():
    """Their mean leverage cannot exceed 1/2: of the difference one sample decides all."""
    net = nn.Linear(3, 2).double()
    with pytest.warns(FarFromRetraining, match=r"leverage (0\.9|1\.0)"):
        found = left_out_by_influence((net, "cross_entropy", (drawn(2, 3), torch.tensor([0, 1]))), damping=1e-7)
    assert 0.45 < found.largest_leverage < 0.5 + 1e-6

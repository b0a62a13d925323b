"""What is refused and in which words, what may be given, interruption, and the promises of any instrument."""

import pytest
import torch

from lemmata import nets
from lemmata.conformance import InstrumentConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import Interrupted, critical
from lemmata.objective import Objective

WELL = critical.function(lambda v: (v[0] ** 2 - 1) ** 2 + v[1] ** 2, 2)
SAMPLES = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = SAMPLES[:, :1].tanh()


def test_kinks_are_refused_with_what_they_mean():
    relu = nets.mlp(2, [3], 1, seed=0, dtype=torch.float64)
    with pytest.raises(InvalidInput, match=r"relu, which has kinks: .* no Hessian and no index"):
        critical.search((relu, "mse", (SAMPLES, TARGETS)), 2)
    allowed = critical.search((relu, "mse", (SAMPLES, TARGETS)), 2, steps=2, kinks=True)
    assert len(allowed) == 2
    with pytest.raises(InvalidInput, match="abs"):
        critical.polish(critical.function(lambda v: v.abs().sum(), 2))


def test_numbers_that_are_none_are_refused():
    broken = nets.mlp(2, [3], 1, activation="tanh", seed=0, dtype=torch.float64)
    objective = Objective(broken, loss="mse", data=(SAMPLES, TARGETS))
    with torch.no_grad():
        next(iter(objective.model.parameters())).fill_(torch.nan)
    with pytest.raises(InvalidInput, match="NaN"):
        critical.search(objective, 2)
    with pytest.raises(InvalidInput, match="starts hold NaN"):
        critical.search(WELL, torch.tensor([[0.0, torch.nan]]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"starts": torch.zeros(3, 5)}, r"starts of shape \(3, 5\); the objective has 2"),
        ({"starts": 0}, "starts = 0"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"spread": -1.0}, "spread = -1.0"),
        ({"resolution": 2.0}, "resolution = 2.0"),
        ({"lipschitz": -1.0}, "lipschitz = -1.0"),
        ({"steps": 2.5}, "steps = 2.5"),
    ],
)
def test_options_out_of_range_are_named(options, said):
    with pytest.raises(InvalidInput, match=said):
        critical.search(WELL, **{"starts": 3, **options})
    with pytest.raises(UnknownName, match="newton_mr"):
        critical.search(WELL, 3, method="newton")  # type: ignore[arg-type]


def test_single_precision_is_computed_in_double():
    """A float32 model polished to 1e-12, and left as it was."""
    model = nets.mlp(2, [2], 1, activation="tanh", seed=0)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    found = critical.search(
        (model, "mse", (SAMPLES.float(), TARGETS.float())), 8, method="trust_region", steps=100, seed=0
    )
    assert found.theta.dtype == torch.float64
    assert float(found.gradient_norm[found.critical].max()) < 1e-11
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())


def test_starts_may_be_vectors_trees_and_earlier_results():
    points = torch.tensor([[0.9, 0.2], [-0.8, 0.1], [0.1, 0.3]])
    found = critical.search(WELL, points)
    tree = critical.search(WELL, {"theta": points})
    again = critical.search(WELL, found)
    assert found.kind == tree.kind == again.kind == ("minimum", "minimum", "saddle")
    assert int(again.steps.max()) == 0
    assert critical.polish(WELL, points[0].double()).kind == ("minimum",)
    assert critical.polish(WELL).kind == ("saddle",)


def test_control_c_gives_what_there_is():
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    rosenbrock = critical.function(lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2, 2)
    with pytest.raises(Interrupted, match="starts=it goes on") as caught:
        critical.search(rosenbrock, 4, method="trust_region", progress=stop)
    partial = caught.value.partial
    assert partial.history.shape[1] == 3
    assert critical.search(rosenbrock, partial, method="trust_region").counts == {"minimum": 4}


def test_a_small_budget_of_memory_gives_the_same():
    model = nets.mlp(2, [3], 1, activation="tanh", seed=0, dtype=torch.float64)
    whole = critical.search((model, "mse", (SAMPLES, TARGETS)), 12, steps=5, seed=1)
    pieces = critical.search((model, "mse", (SAMPLES, TARGETS)), 12, steps=5, seed=1, memory=100_000)
    torch.testing.assert_close(whole.theta, pieces.theta, rtol=1e-6, atol=1e-8)


def test_results_draw_themselves_and_can_be_narrowed(tmp_path):
    found = critical.search(WELL, 20, seed=0)
    assert found.plot().save(tmp_path / "points.png").stat().st_size > 1000
    assert set(found.of("saddle").kind) <= {"saddle"}
    assert len(found.distinct()) == 3
    assert found.tree(0)["theta"].shape == (2,)


class _Points(InstrumentConformance):
    """Compared by losses, gradient norms and eigenvalues; the model has rectifiers."""

    tolerance = 1e-6
    tolerance32 = 1e-3

    def values(self, result):
        return torch.cat([result.loss, result.gradient_norm, result.eigenvalues.flatten()])


class TestPolish(_Points):
    def instrument(self, subject):
        return critical.polish(subject, steps=0, kinks=True, certify=False)


class TestSearch(_Points):
    def instrument(self, subject):
        return critical.search(subject, 2, method="trust_region", steps=1, kinks=True, certify=False, spread=0.05)

"""The study of Ruthotto and Haber (2020): known norms and growth, members that do not see each other, its verdicts."""

import numpy as np
import pytest
import torch
from torch.func import jacrev

from lemmata import flows
from lemmata.figures import static
from lemmata.studies import _ruthotto_haber_2020_networks as networks
from lemmata.studies import _ruthotto_haber_2020_propagation as propagation
from lemmata.studies import ruthotto_haber_2020 as ruthotto
from lemmata.verdicts import Outcome

TINY = {"n": 60, "epochs": 1, "batch": 30, "channels": 2, "layers": 1, "looked_at": 2}


@pytest.mark.parametrize("kind", propagation.LAYERS)
def test_random_layers_have_the_norm_asked_for(kind):
    """Singular values of the Jacobian of K y, which no code of the study makes."""
    config = propagation.Distances(kind=kind, norm=1.7)
    field = propagation.layers(config, 3, 1.0, torch.Generator().manual_seed(0))
    for name, theta in field.coefficients.items():
        if name != "b":
            K = theta.detach()[1]
            J = jacrev(lambda y, K=K: field.linear.apply(K, y))(torch.zeros(1, 3, 6, 6, dtype=K.dtype))
            assert torch.linalg.matrix_norm(J.reshape(108, 108), ord=2).item() == pytest.approx(1.7, rel=1e-12)


def test_the_limit_of_the_step_is_that_of_the_scalar_equation():
    """|1 - h k^2| = 1 at h = 2 / k^2 and h k = 2 for leapfrog, to the bisection's 0.001."""
    for kind, method, limit in (("parabolic", "forward-euler", 2 / 1.3**2), ("hyperbolic", "verlet", 2 / 1.3)):
        (found,) = propagation.limits([propagation.Limit(kind=kind, method=method, norm=1.3, seed=8)])
        assert found.scalars["limit"] == pytest.approx(limit, abs=1e-3)
        curve = found.curves["grown"]
        assert np.all((curve.y > 1.001) == (curve.x > limit))


def test_stretch_is_the_largest_singular_value():
    """A linear block: K is the same everywhere; from below, and near it after 300 rounds though others lie near."""
    field = flows.Parabolic(flows.Convolution(2), flows.PiecewiseConstant(1), activation="identity", seed=1)
    flow = flows.Flow(field, steps=1, method="forward-euler")
    x = torch.zeros(3, 2, 4, 4)
    J = jacrev(flow)(x[:1]).reshape(32, 32)
    draw = torch.Generator().manual_seed(0)
    found = networks.stretch(flow, x, draw, iterations=300)
    top = torch.linalg.matrix_norm(J, ord=2).item()
    assert (found < top * (1 + 1e-5)).all()
    assert (found > top * 0.998).all()
    K = jacrev(lambda y: field.linear.apply(field.coefficients["K"][0], y))(x[:1]).reshape(32, 32)
    norm = torch.linalg.matrix_norm(K, ord=2).item()
    with torch.no_grad():
        found = networks.step_norm(flow, 4, draw, iterations=300)
    assert found == pytest.approx(1.05 * norm**2, rel=2e-3)


def test_members_do_not_see_each_other():
    """A member alone and in a block, with steps of both lengths: to the rounding of batched products in float32."""
    configs = [networks.Network.build({**TINY, "kind": "hamiltonian", "seed": s, "finer": f}) for s, f in
               ((0, True), (3, True), (0, False))]  # fmt: skip
    together = networks.trained(configs)
    alone = networks.trained(configs[1:2])[0].scalars
    for name in ("test_error", "noisy_error", "step_norm", "weights"):
        assert alone[name] == pytest.approx(together[1].scalars[name], rel=1e-2)
    assert together[0].scalars["test_error"] == together[2].scalars["test_error"]
    assert together[0].scalars["test_error"] != together[1].scalars["test_error"]


def test_leaving_blocks_out_spares_the_residual_network():
    small = {**TINY, "omit": True}
    counts = {
        kind: sum(p.numel() for p in networks.network(networks.Network.build({**small, "kind": kind}), 0).parameters())
        for kind in ("resnet", "parabolic")
    }
    assert counts["resnet"] > counts["parabolic"]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_theory_is_reproduced_at_smoke_scale(smoke):
    found = smoke("ruthotto-haber-2020")
    assert {verdict.outcome for verdict in found.verdicts.values() if verdict.controls} == {Outcome.REPRODUCED}
    assert len(found.verdicts) >= 7


CLAIMS = {claim.name: Outcome.REPRODUCED for claim in ruthotto.study.claims}
CLAIMS |= dict.fromkeys(("parabolic-competitive", "hyperbolic-competitive"), Outcome.INCONCLUSIVE)  # means near 3/2


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("ruthotto-haber-2020").assert_outcome(name, CLAIMS[name])


@pytest.mark.slow
def test_figures_of_digits_are_drawn(laptop):
    table = laptop("ruthotto-haber-2020").tables["digits"]
    for figure in ruthotto.study.experiments["digits"].figures:
        assert "<svg" in str(static.render(figure(table)))

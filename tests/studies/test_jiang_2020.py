"""The study of Jiang et al.: networks measured at once against instruments for one, its controls, and its smoke run."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import bounds, nets
from lemmata.bounds.norms.inverse_margin import inverse_margin_measure
from lemmata.bounds.norms.parameters import distance_measure, l2_measure, parameter_count_measure
from lemmata.bounds.norms.path_norm import path_norm_measure
from lemmata.bounds.norms.products import frobenius_product_measure, spectral_product_measure
from lemmata.bounds.norms.spectral_distance import spectral_distance_measure
from lemmata.bounds.sharpness import pac_bayes_sharpness_measure
from lemmata.plan import make
from lemmata.studies import jiang_2020 as jiang
from lemmata.studies._jiang_2020_measures import gradient_noise, margin, norm_measures
from lemmata.studies._jiang_2020_networks import Group, Networks, trained
from lemmata.studies._jiang_2020_ranks import MEASURES, judged, key, measure_grid, rank
from lemmata.studies._jiang_2020_sharpness import CELL, LEAST, gaussian_draws, largest_sigma, perturbed, training_error
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {
    "n": 40, "n_test": 100, "pool": 4, "depths": (1, 2), "widths": (6,), "batches": (8, 20), "step_sizes": (0.2, 0.4),
    "decays": (0.0, 1e-3), "epochs": 60, "fitted": 0.3, "draws": 2,
}  # fmt: skip


def tiny(**values) -> Networks:
    return Networks.build({**TINY, **values})


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    """The tiny grid without its axes of one value, two seeds."""
    return list(trained(tiny(), [0, 1]))


def alone(group: Group, i: int) -> tuple[nn.Module, nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """One network, the same before training, and its training set."""
    model = group.result.model(i)
    before = nets.mlp(49, [6] * group.depth, 10, seed=0)
    before.load_state_dict({name: value[i] for name, value in group.initial.items()})
    return model, before, (group.x[i], group.y[i])


def test_the_grid_is_every_combination_in_the_order_of_the_groups(groups):
    table = tiny().table()
    assert len(table["depth"]) == 16
    assert table["depth"] == [1] * 8 + [2] * 8
    assert table["batch"][:8] == [8] * 4 + [20] * 4
    assert table["step size"][:4] == [0.2, 0.2, 0.4, 0.4]
    assert table["weight decay"][:2] == [0.0, 1e-3]
    assert [(group.depth, len(group.result)) for group in groups] == [(1, 8), (1, 8), (2, 8), (2, 8)]
    for group in groups:
        for i in range(4):
            for value in group.initial.values():
                assert value[i].equal(value[0])  # of one seed
        assert not group.initial["output.weight"][4].equal(group.initial["output.weight"][0])
        assert not group.x[0].equal(group.x[4])
        assert (group.result.final["train_loss"][group.result.stopped] < 0.3).all()


def test_norms_and_margins_are_those_of_each_network(groups):
    """Against the instruments for one network: float64 against float32 or proven upper bounds, 1e-5."""
    for group in (groups[0], groups[3]):
        found = norm_measures(group)
        for i in (0, 5):
            model, before, data = alone(group, i)
            one = {
                "spectral product": np.log(spectral_product_measure(model, [49]).value),
                "Frobenius product": np.log(frobenius_product_measure(model, [49]).value),
                "length": l2_measure(model).value,
                "distance": distance_measure(model, before).value,
                "spectral distance": spectral_distance_measure(model, before, [49]).value,
                "path norm": path_norm_measure(model, [49]).value,
                "parameters": parameter_count_measure(model).value,
                "inverse margin": inverse_margin_measure(model, data).value,
            }
            for name, right in one.items():
                assert found[name][i] == pytest.approx(right, rel=1e-5), name
            gamma = bounds.margins(model, data).quantile(0.1)
            weights = [p.detach().double() for name, p in model.named_parameters() if name.endswith("weight")]
            start = [p.detach().double() for name, p in before.named_parameters() if name.endswith("weight")]
            spectral = [float(torch.linalg.matrix_norm(weight, 2)) for weight in weights]
            product = np.log(np.prod(spectral))
            ratio = sum(float((w - m).norm()) ** 2 / s**2 for w, m, s in zip(weights, start, spectral, strict=True))
            stable = sum(float(w.norm()) ** 2 / s**2 for w, s in zip(weights, spectral, strict=True))
            log_gamma = np.log(gamma) if gamma > 0 else -np.inf
            assert found["spectral product / margin"][i] == pytest.approx(product - log_gamma, rel=1e-5)
            assert found["Frobenius / spectral"][i] == pytest.approx(stable, rel=1e-5)
            assert found["spectral complexity"][i] == pytest.approx(product - log_gamma + np.log(ratio) / 2, rel=1e-5)
            paths = path_norm_measure(model, [49]).value
            assert found["path norm / margin"][i] == pytest.approx(np.log(paths) - log_gamma, rel=1e-5)
            frobenius = np.log(frobenius_product_measure(model, [49]).value)
            assert found["Frobenius product / margin"][i] == pytest.approx(frobenius - log_gamma, rel=1e-5)


def test_a_network_that_does_not_fit_has_infinite_margin_measures(groups):
    """A tenth of the labels and more turned: gamma is negative, and what divides by it infinite, not NaN."""
    group = groups[0]
    wrong = Group(group.depth, group.result, group.initial, group.x, (group.y + 5) % 10)
    assert (margin(wrong) < 0).all()
    found = norm_measures(wrong)
    for name in ("inverse margin", "spectral product / margin", "spectral complexity", "path norm / margin"):
        assert torch.isinf(found[name]).all(), name


def test_gradient_noise_is_the_variance_of_single_gradients(groups):
    """Against autograd, an example at a time: float32, 1e-4 of the value."""
    for group in (groups[0], groups[3]):
        found = gradient_noise(group)
        model, _, (x, y) = alone(group, 5)
        gradients = []
        for k in range(len(y)):
            loss = nn.functional.cross_entropy(model(x[k : k + 1]), y[k : k + 1])
            gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*model.parameters()])]))
        each = torch.stack(gradients).double()
        right = (each - each.mean(0)).square().sum(1).mean()
        assert found[5] == pytest.approx(float(right), rel=1e-4)


@pytest.mark.parametrize("magnitude", [False, True])
def test_sigma_is_that_of_the_instrument_for_one_network(groups, magnitude):
    """200 draws each: 1 / sigma^2 agrees within 4 standard errors of both (failing by chance: 1e-4)."""
    group = groups[3]
    draws = gaussian_draws(group, [7] * 4 + [8] * 4, 200)
    sigma = largest_sigma(group, draws, magnitude=magnitude)
    for i in (0, 5):
        model, _, data = alone(group, i)
        found = pac_bayes_sharpness_measure(model, data, magnitude=magnitude, draws=200, seed=1)
        assert abs(1 / float(sigma[i]) ** 2 - found.value) < 4 * 2**0.5 * found.stderr
        assert found.stderr < 0.2 * found.value


@pytest.mark.parametrize("magnitude", [False, True])
def test_sigma_is_where_the_rise_is_allowed_and_not_at_the_next_value(groups, magnitude):
    """Both ends of the interval that is found, by evaluating all networks there; the values are those of 1,024."""
    group = groups[3]
    draws = gaussian_draws(group, [7] * 4 + [8] * 4, 5)
    sigma = largest_sigma(group, draws, magnitude=magnitude)
    places = (sigma / LEAST).log() / CELL
    torch.testing.assert_close(places, places.round(), atol=1e-9, rtol=0)
    before = training_error(group, group.result.states)
    for factor, allowed in ((0, True), (CELL, False)):
        here = (sigma * np.exp(factor)).float()
        errors = [training_error(group, perturbed(group.result.states, u, here, magnitude)) for u in draws]
        assert ((torch.stack(errors).mean(0) - before <= 0.1) == allowed).all()


def test_errors_are_counted_and_sigma_stays_in_its_range(groups):
    group = groups[0]
    error = training_error(group, group.result.states)
    torch.testing.assert_close(error, group.result.final["train_error"], atol=1e-6, rtol=0)
    still = [{name: torch.zeros_like(value) for name, value in group.initial.items()}]
    assert largest_sigma(group, still, magnitude=False) == pytest.approx(10.0, rel=2e-2)  # the last halving: 1.1 %


def test_networks_do_not_see_each_other():
    """Seeds together or alone, whatever is made of the measures: the same to the rounding of batched products."""
    setting = tiny(epochs=4, widths=(5,))
    together, one = measure_grid(setting, [3, 1]), measure_grid(setting, [1])
    for name, value in together.items():
        loose = 0.35 if name in ("1 / sigma", "1 / sigma'", "pac-bayes") else 1e-3  # an error of 2 in 40 jumps
        np.testing.assert_allclose(value[:, [1]], one[name], rtol=loose, atol=1e-6, err_msg=name)


def test_controls_replace_the_measures_of_a_grid_trained_once():
    names = ("networks", "permuted", "noisy gap", "hyperparameters")
    configs = [tiny(measured=name, widths=(4, 8)) for name in names]
    found = dict(zip(names, rank(configs), strict=True))
    for one in found.values():
        np.testing.assert_array_equal(one.arrays["test_error"], found["networks"].arrays["test_error"])
    own, permuted = found["networks"].scalars, found["permuted"].scalars
    assert permuted["psi_hyperparameters"] == own["psi_hyperparameters"]
    moved = [permuted[f"tau_{key(name)}"] != own[f"tau_{key(name)}"] for name in MEASURES]
    assert sum(moved) > len(moved) / 2  # so few networks leave one or another tau as it was
    assert found["hyperparameters"].scalars["psi_steps"] == found["hyperparameters"].scalars["psi_hyperparameters"]
    assert found["hyperparameters"].scalars["sharpness_above_hyperparameters"] == 0
    assert found["noisy gap"].scalars["psi_steps"] != found["noisy gap"].scalars["psi_distance"]
    values = {name: found["networks"].arrays[key(name)] for name in (*MEASURES, "test error", "train error", "reached")}
    one = judged(configs[0], values)
    for name in MEASURES:
        assert found["networks"].scalars[f"psi_{key(name)}"] == one[name].granulated
        assert found["networks"].scalars[f"k_{key(name)}"] == one[name].information
    left = found["networks"].scalars
    norms = max(one[name].granulated for name in MEASURES if name not in jiang_others())
    assert left["sharpness_above_norms"] == pytest.approx(one["1 / sigma'"].granulated - norms)
    assert left["least_worst_error"] == min(one[name].robust_error for name in MEASURES)


def jiang_others() -> set[str]:
    return {"1 / sigma", "1 / sigma'", "pac-bayes", "gradient noise", "parameters", "steps"}


def test_networks_that_do_not_reach_the_loss_are_counted_and_left_out():
    (found,) = rank([tiny(fitted=0.02, epochs=12, widths=(4, 8))])
    share = found.scalars["share_reached"]
    assert share == pytest.approx(np.mean(found.arrays["reached"]))
    assert share < 1
    (none,) = rank([tiny(epochs=1, fitted=1e-3, widths=(4, 8))])
    assert none.status == "ok"
    assert none.scalars == {"share_reached": 0.0}
    assert set(none.arrays) == {"reached"}  # nothing is measured of what is not judged


def test_an_average_over_settings_hides_the_worst_pair_of_them():
    """Why a claim about kinds of change cannot contradict one about pairs of settings: on any table it errs less."""
    (found,) = rank([tiny(widths=(4, 8))])
    values = {name: found.arrays[key(name)] for name in (*MEASURES, "test error", "train error", "reached")}
    coarse = judged(tiny(widths=(4, 8)), values)
    gaps = np.where(values["reached"] > 0, values["test error"] - values["train error"], np.nan)
    by_pair = bounds.judge(
        {name: values[name] for name in MEASURES}, gaps, tiny(widths=(4, 8)).table(), missing="leave out",
        gap_errors=np.sqrt(np.maximum(values["test error"] * (1 - values["test error"]), 0.01) / 100),
        least_effective=0.0,
    )  # fmt: skip
    for name in MEASURES:
        assert coarse[name].robust_error <= by_pair[name].robust_error + 1e-12
    assert any(coarse[name].robust_error < 1 for name in MEASURES)
    worst = found.scalars["worst_inverse_sigma_magnitude"]
    assert worst == coarse["1 / sigma'"].robust_error


def test_every_claim_is_asked_at_smoke_scale(smoke):
    verdicts = smoke("jiang-2020").verdicts
    for name, verdict in verdicts.items():
        untestable = name in ("worst-case-sharpness", "no-measure-is-robust")
        assert (verdict.outcome is Outcome.NOT_TESTABLE) == untestable
    reach = verdicts["networks-reach-the-loss"]
    assert [control.outcome for control in reach.controls] == [ControlOutcome.REFUTED]
    figures = jiang.study.experiments["main"].figures
    assert len(figures) == 4


def test_paper_scale_asks_the_same_claims():
    plan = make(jiang.study, scale="paper", data_dir="/nowhere")
    assert {member.config.flat()["n"] for member in plan.members_of("main")} == {5_000}
    assert plan.of_claim["sharpness-above-norms"]
    assert len(Networks().table()["depth"]) >= 96

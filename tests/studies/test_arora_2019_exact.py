"""The study of Arora et al. on exact computation: samples, regression and networks by hand, and its declarations."""

import math

import pytest
import torch

from lemmata.kernels import Convolutional, cntk, empirical_ntk
from lemmata.plan import make
from lemmata.studies import arora_2019_exact as arora
from lemmata.studies._arora_2019_exact_kernels import Regression, interpolant, kernel_of, regress, sample
from lemmata.studies._arora_2019_exact_networks import (
    ConvolutionalNetwork,
    FiniteNetwork,
    _kernel_descent,
    patches,
    train_beside_kernel,
)
from lemmata.verdicts import Outcome

SMALL = {"pool": 2, "n": 12, "n_test": 20}


def small(**values) -> Regression:
    return Regression.build({**SMALL, **values})


def test_all_kernels_of_a_seed_see_the_same_images():
    ours = sample(small(seed=3))
    for other in ({"network": "vanilla"}, {"depth": 6}, {"labels": "random"}):
        for a, b in zip(ours, sample(small(seed=3, **other)), strict=True):
            assert a.equal(b)
    assert not ours[0].equal(sample(small(seed=4))[0])


def test_permuted_pixels_are_the_same_pixels_in_one_other_order():
    x, _, x_test, _ = sample(small(seed=1))
    moved, _, moved_test, _ = sample(small(seed=1, pixels="permuted"))
    assert not x.equal(moved)
    for before, after in ((x, moved), (x_test, moved_test)):
        assert before.flatten(1).sort().values.equal(after.flatten(1).sort().values)
    perceptron = {"network": "fully-connected"}
    for a, b in zip(
        kernel_of(small(seed=1, **perceptron), x, x_test), kernel_of(small(seed=1, **perceptron), moved, moved_test),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(a, b, rtol=1e-5, atol=0)  # float32 inner products in another order


def test_the_interpolant_takes_its_targets_and_is_the_kernel_regression_of_the_paper():
    kernel = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    cross = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    predicted, fitted = interpolant(kernel, cross, torch.tensor([0, 1]), 2)
    torch.testing.assert_close(fitted, torch.tensor([[0.9, -0.1], [-0.1, 0.9]], dtype=torch.float64))
    # K^-1 = [[2, -1], [-1, 2]] / 3: the first row of K^-1 Y is (2 * 0.9 + 0.1, -2 * 0.1 - 0.9) / 3
    torch.testing.assert_close(predicted, torch.tensor([[1.9 / 3, -1.1 / 3]], dtype=torch.float64))


def test_a_member_does_not_depend_on_the_others_of_its_call():
    configs = [small(seed=seed, labels=labels) for seed in range(2) for labels in ("true", "random")]
    for config, found in zip(configs, regress(configs), strict=True):
        assert regress([config])[0].scalars == found.scalars
        assert found.scalars["train_accuracy"] == 1  # no ridge: every label is fitted, random ones too
        assert found.scalars["error"] == 1 - found.scalars["accuracy"]


def test_patches_make_a_convolution():
    x = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(27, 7, generator=torch.Generator().manual_seed(1))
    filters = weights.reshape(3, 3, 3, 7).permute(3, 2, 0, 1)
    expected = torch.nn.functional.conv2d(x.movedim(-1, 1), filters, padding=1).movedim(1, -1)
    torch.testing.assert_close(patches(x) @ weights, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("readout", ["average", "vanilla"])
def test_the_tangent_kernel_of_a_wide_network_is_the_cntk(readout):
    """One draw of 512 channels: fluctuations of 1 / sqrt(512), 4 %, and a few of them; 15 % is far from any factor."""
    config = FiniteNetwork.build({"width": 512, "readout": readout, "seed": 5})
    x = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    network = ConvolutionalNetwork(1, config, (3, 3), 1)
    law = Convolutional(config.depth, readout, train_first=True, train_last=True)
    expected = cntk(x, network=law).values
    found = empirical_ntk(network, x, outputs="trace").values
    torch.testing.assert_close(found, expected, rtol=0, atol=0.15 * float(expected.max()))


def test_the_kernels_descent_step_by_step():
    config = FiniteNetwork.build({"n": 6, "n_test": 5, "steps": 7})
    draw = torch.Generator().manual_seed(0)
    x, x_test = (torch.rand(n, 1, 4, 4, generator=draw) for n in (6, 5))
    y = torch.randn(6, 10, generator=draw)
    step, predicted = _kernel_descent(config, x, y, x_test)
    law = Convolutional(3, "average", train_first=True, train_last=True)
    kernel, cross = cntk(x.double(), network=law).values, cntk(x_test.double(), x.double(), network=law).values
    inside, outside = torch.zeros(6, 10, dtype=torch.float64), torch.zeros(5, 10, dtype=torch.float64)
    for _ in range(7):
        slope = 2 * (inside - y) / 60
        inside, outside = inside - step * kernel @ slope, outside - step * cross @ slope
    torch.testing.assert_close(predicted, outside, rtol=1e-8, atol=1e-10)
    assert step * float(torch.linalg.eigvalsh(kernel)[-1]) * 2 / 60 == pytest.approx(1)


def test_a_network_that_has_not_trained_has_learned_nothing():
    tiny = {"n": 6, "n_test": 10, "width": 8}
    (one,) = train_beside_kernel([FiniteNetwork.build({**tiny, "steps": 1, "seed": 2})])
    assert 0 < one.scalars["distance"] < 2
    alone, among = (
        train_beside_kernel([FiniteNetwork.build({**tiny, "steps": 20, "seed": seed}) for seed in seeds])[-1]
        for seeds in ((2,), (0, 1, 2))
    )
    assert alone.scalars["distance"] == pytest.approx(among.scalars["distance"], rel=1e-3)


def test_the_papers_numbers():
    claims = {claim.name: claim for claim in arora.study.claims}
    column = [claims[f"cntk-gap-2k-{depth}"].paper for depth in (3, 4, 6, 11, 21)]
    assert column == [0.4971, 0.5106, 0.5173, 0.5192, 0.5222]
    column = [claims[f"cntk-v-2k-{depth}"].paper for depth in (3, 4, 6, 11, 21)]
    assert column == [0.4094, 0.4254, 0.4343, 0.4342, 0.4253]
    assert arora.remaining(3) == pytest.approx(50.29 / 59.06, abs=1e-3)
    assert all(arora.remaining(depth) < arora.FEWER[1] < 1 for depth in (3, 4, 6, 11, 21))
    assert all(claim.controls for claim in arora.study.claims)
    assert claims["networks-tend-to-their-kernel"].region == (-0.75, -0.25)
    assert claims["interpolates-and-generalises"].region == (0.5, math.inf)


def test_paper_scale_is_two_thousand_images_of_cifar():
    plan = make(arora.study, scale="paper", data_dir="/nowhere")
    members = plan.members_of("cifar10-2k")
    assert {(m.config.data, m.config.n, m.config.n_test, m.config.pool) for m in members} == {
        ("cifar10", 2000, 10_000, 1)
    }


@pytest.mark.slow
def test_nothing_is_contradicted_at_smoke_scale_but_depth(smoke):
    verdicts = {name: verdict.outcome for name, verdict in smoke("arora-2019-exact").verdicts.items()}
    assert verdicts["interpolates-and-generalises"] is not Outcome.VOID

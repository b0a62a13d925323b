"""What no kernel of a network can be is refused, by name, where it would otherwise go on as numbers."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.kernels import (
    Antisymmetric,
    Convolutional,
    FullyConnected,
    Gaussian,
    KernelBlocks,
    KernelMatrix,
    LinearisedTraining,
    ScaledModel,
    activation_flips,
    analytic_ntk,
    cntk,
    distance_from_initialisation,
    eigendirection_rates,
    empirical_ntk,
    fill,
    gram,
    kernel_ridge,
    kernel_ridge_path,
    kernel_sketch,
    label_complexity,
    linearise,
    one_vs_all,
    predict_ensemble,
    two_layer_gram,
)

EYE = torch.eye(3, dtype=torch.float64)
INDEFINITE = torch.diag(torch.tensor([2.0, 1.0, -0.5], dtype=torch.float64))
BLOCKS = KernelBlocks(EYE, 0.1 * torch.ones(2, 3, dtype=torch.float64), EYE[:2, :2])
Y = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)


def test_a_covariance_that_is_none():
    """Indefinite on the training samples, or only together with the test samples."""
    with pytest.raises(InvalidInput, match="not those of one covariance"):
        predict_ensemble(BLOCKS, KernelBlocks(INDEFINITE, BLOCKS.cross, BLOCKS.test), Y, times=[0.1])
    with pytest.raises(InvalidInput, match="not those of one covariance"):
        predict_ensemble(BLOCKS, KernelBlocks(EYE, 100 * BLOCKS.cross, BLOCKS.test), Y)


def test_rates_of_an_indefinite_kernel():
    with pytest.raises(InvalidInput, match=r"eigenvalue -0.5, below zero"):
        eigendirection_rates(INDEFINITE, Y, step_size=0.1)
    found = eigendirection_rates(EYE, Y, step_size=0.1)
    for wrong in ([-1], [math.nan]):
        with pytest.raises(InvalidInput, match="0 or more"):
            found.bound(wrong)


def test_a_kernel_of_another_type():
    ntk = empirical_ntk(nn.Linear(2, 1), torch.ones(3, 2), outputs="trace")
    for wrong in (ntk, EYE.numpy(), "rbf"):
        with pytest.raises(InvalidInput, match=f"a kernel of type {type(wrong).__name__}; give"):
            kernel_ridge(wrong, Y, ridge=1.0)
    assert kernel_ridge(ntk.matrix, Y.float(), ridge=1.0).residual < 1e-6


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.nan, math.inf])
def test_a_tolerance_that_is_none(tolerance):
    training = LinearisedTraining(EYE, torch.tensor([0, 1, 0]), loss="cross_entropy")
    with pytest.raises(InvalidInput, match="tolerance"):
        training.run([1.0], tolerance=tolerance)


@pytest.mark.parametrize("depth", [math.nan, 2.5, 2.0, "3", True, 0])
def test_a_depth_that_is_none(depth):
    with pytest.raises(InvalidInput, match="depth"):
        FullyConnected(depth)


def test_images_of_different_sizes():
    images = [torch.ones(1, 4, 4), torch.ones(1, 5, 4)]
    with pytest.raises(InvalidInput, match="images of one size"):
        cntk(images, network=Convolutional(3))
    with pytest.raises(InvalidInput, match="both sides take the same"):
        cntk(images[0][None], images[1][None], network=Convolutional(3))


def test_a_kernel_of_no_parameters():
    with pytest.raises(InvalidInput, match="one parameter at least"):
        empirical_ntk(nn.Linear(2, 1), torch.ones(3, 2), parameters=[])


X = torch.tensor([[1.0, 0.0], [0.5, 1.0], [-1.0, 2.0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda given: analytic_ntk(given, network=FullyConnected(2)),
        two_layer_gram,
        Gaussian(1.0),
        lambda given: kernel_ridge(Gaussian(1.0), Y, x=given),
        kernel_ridge(Gaussian(1.0), Y.float(), x=X),
        lambda given: kernel_ridge(EYE, given),
        lambda given: label_complexity(EYE, given),
        lambda given: one_vs_all(given, 2),
        lambda given: KernelMatrix(EYE, name="k", symmetric=True).alignment(given),
        lambda given: KernelMatrix(given, name="k", symmetric=True),
        kernel_sketch,
        lambda given: kernel_sketch(EYE, given),
        lambda given: LinearisedTraining(EYE, given),
        lambda given: LinearisedTraining.of(nn.Linear(2, 1), given, Y),
        lambda given: activation_flips(nn.ReLU(), nn.ReLU(), given, model=nn.ReLU()),
    ],
)
@pytest.mark.parametrize("given", [X.numpy(), X.tolist(), X.to("meta"), X.to_sparse()], ids=lambda g: type(g).__name__)
def test_what_is_no_dense_tensor(call, given):
    with pytest.raises(InvalidInput):
        call(given)


@pytest.mark.parametrize("network", [None, "relu", nn.Linear(2, 1), Convolutional(3)])
def test_a_network_of_another_kind(network):
    with pytest.raises(InvalidInput, match=f"network: a {type(network).__name__}; give FullyConnected"):
        analytic_ntk(X, network=network)
    with pytest.raises(InvalidInput, match="give Convolutional"):
        cntk(torch.ones(1, 1, 3, 3), network=FullyConnected(2))


@pytest.mark.parametrize("times", [3.0, "ab", None, ["a"], [None]])
def test_times_that_are_none(times):
    with pytest.raises(InvalidInput, match="time"):
        LinearisedTraining(EYE, Y).run(times)


@pytest.mark.parametrize("ridge", ["a", None, [0.1, 1.0], math.nan, -1.0])
def test_a_ridge_that_is_no_number(ridge):
    with pytest.raises(InvalidInput, match="ridge ="):
        kernel_ridge(EYE, Y, ridge=ridge)


def test_a_model_that_is_none():
    wrong: Any
    for wrong in (None, abs, "net"):
        for call in (linearise, Antisymmetric, lambda m: ScaledModel(m, 2.0), lambda m: LinearisedTraining.of(m, X, Y)):
            with pytest.raises(InvalidInput, match="model"):
                call(wrong)
        with pytest.raises(InvalidInput, match="now: "):
            distance_from_initialisation(wrong, wrong)


def test_samples_that_the_model_does_not_take():
    with pytest.raises(InvalidInput, match=r"fails on samples of shape \(3, 2\) in torch.float32.*float64"):
        empirical_ntk(nn.Linear(2, 1).double(), X)


def test_a_kernel_without_a_sketch():
    for wrong in (0 * EYE, math.nan * EYE):
        with pytest.raises(InvalidInput, match="squared norm"):
            kernel_sketch(wrong)


def test_the_kernel_of_a_model_of_tokens():
    """Integers are looked up and stay integers, where everything else is taken to float64."""
    model = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 1))
    tokens = torch.tensor([[0, 1], [2, 3], [1, 1]])
    run = LinearisedTraining.of(model, tokens, Y, x_test=tokens[:1]).run([math.inf])
    assert run.train_outputs.flatten().tolist() == pytest.approx(Y.tolist())


def test_a_fit_takes_the_matrix_of_new_points_as_it_comes():
    network = FullyConnected(2)
    fit = kernel_ridge(analytic_ntk(X, network=network), Y.float(), ridge=0.1)
    cross = analytic_ntk(X[:2], X, network=network)
    assert torch.equal(fit(cross), fit(cross.values))


@pytest.mark.parametrize("wrong", [{"block": 0}, {"block": 2.5}, {"processes": 0}, {"processes": -1}])
def test_blocks_and_processes_that_are_none(wrong, tmp_path):
    with pytest.raises(InvalidInput, match=f"{next(iter(wrong))} ="):
        gram(Gaussian(1.0), X, folder=tmp_path, **wrong)


def test_ridges_folds_and_steps_that_are_none():
    path = kernel_ridge_path(EYE, Y)
    for wrong in ("a", None):
        with pytest.raises(InvalidInput, match="ridges"):
            path.fit(wrong)
        with pytest.raises(InvalidInput, match="steps"):
            eigendirection_rates(EYE, Y, step_size=0.1).residual(wrong)
    for folds in (2.5, "a", 1, 4):
        with pytest.raises(InvalidInput, match="folds of 3 samples"):
            path.cross_validation(folds, seed=0)
    with pytest.raises(InvalidInput, match="give NewSamples"):
        LinearisedTraining(EYE, Y, test=EYE)


def test_a_model_of_several_outputs_is_not_linearised():
    """Values and changes that are tuples would be strung together."""

    class Two(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(InvalidInput, match="the model's outputs: a tuple"):
        linearise(Two(2, 1))(X)


@pytest.mark.parametrize("outputs", [lambda f: (f, f), lambda f: {"logits": f}])
@pytest.mark.parametrize("wrapped", [Antisymmetric, lambda m: ScaledModel(m, 2.0, centred=False)])
def test_a_model_of_several_outputs_is_not_scaled(wrapped, outputs):
    class Several(nn.Linear):
        def forward(self, x):
            return outputs(super().forward(x))

    with pytest.raises(InvalidInput, match=r"the model's outputs: a (tuple|dict)"):
        wrapped(Several(2, 1))(torch.ones(3, 2))


@pytest.mark.parametrize("wrong", [{"progress": 3}, {"memory": "a"}, {"threads": 1.5}, {"threads": "a"}])
def test_options_of_a_convolutional_kernel_that_are_none(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        cntk(torch.ones(1, 1, 3, 3), network=Convolutional(3), **wrong)


@pytest.mark.parametrize("wrong", [{"train_first": "a"}, {"train_last": 1}])
def test_layers_that_are_neither_trained_nor_fixed(wrong):
    with pytest.raises(InvalidInput, match=f"{next(iter(wrong))} = .*give True or False"):
        Convolutional(3, **wrong)


@pytest.mark.parametrize("wrong", [{"rank": 2.5}, {"rank": 0}, {"max_steps": "a"}, {"max_steps": 0}])
def test_counts_of_a_solver_that_are_none(wrong):
    with pytest.raises(InvalidInput, match=f"{next(iter(wrong))} = .*whole number"):
        kernel_ridge(EYE, Y, method="iterative", **wrong)


def test_a_network_too_deep_to_be_tabulated():
    with pytest.raises(InvalidInput, match=r"depth = 20000; .* tabulated up to depth 10000"):
        analytic_ntk(X, network=FullyConnected(20_000))


@pytest.mark.parametrize("variance", [1e300, 1e-300])
def test_a_kernel_that_leaves_float64(variance):
    with pytest.raises(InvalidInput, match=r"weight_variance = 1e[+-]300 at depth 3: the kernel overflows"):
        analytic_ntk(X, network=FullyConnected(3, weight_variance=variance))


@pytest.mark.parametrize("devices", [["abacus"], ["cuda:99"], ["meta"], [None], [], "cpu", 3])
def test_devices_that_are_not_there(devices, tmp_path):
    for call in (
        lambda: analytic_ntk(X, network=FullyConnected(2), devices=devices),
        lambda: gram(Gaussian(1.0), X, folder=tmp_path, devices=devices),
    ):
        with pytest.raises(InvalidInput, match="devices"):
            call()


@pytest.mark.parametrize(
    ("activation", "match"),
    [
        (lambda u: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda u: u.tanh().detach(), "not differentiable"),
        (lambda u: 1.0, "a float; give a torch tensor"),
    ],
)
def test_an_activation_that_fails(activation, match):
    with pytest.raises(InvalidInput, match=f"the activation .*{match}"):
        analytic_ntk(X, network=FullyConnected(2, activation=activation))


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": "a"}, {"memory": -1}, {"progress": 3}, {"patience": -1}, {"patience": math.nan}, {"patience": "a"},
        {"folder": None}, {"folder": 3},
    ],
)  # fmt: skip
def test_options_of_blocks_that_are_none(wrong, tmp_path):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        gram(Gaussian(1.0), X, **({"folder": tmp_path} | wrong))


@pytest.mark.parametrize("shard", [3, None, ("a", 2), (0.0, 2), (2, 2), (0, 1, 2), "ab"])
def test_a_shard_that_is_none(shard, tmp_path):
    with pytest.raises(InvalidInput, match=r"shard = .*give \(i, k\)"):
        fill(Gaussian(1.0), X, folder=tmp_path, shard=shard)


def test_a_kernel_that_cannot_be_called(tmp_path):
    wrong: Any
    for wrong in (None, 3):
        with pytest.raises(InvalidInput, match="kernel"):
            gram(wrong, X, folder=tmp_path, law="none")
    wrong = lambda x: x @ x.T  # noqa: E731
    for call in (lambda: gram(wrong, X, folder=tmp_path, law="one"), lambda: kernel_ridge(wrong, Y, x=X)):
        with pytest.raises(InvalidInput, match=r"takes \(x\); it must take two arguments"):
            call()


def test_a_kernel_that_gives_nan(tmp_path):
    """The block is refused with its samples, not kept; those before it are."""

    def root(x, z=None):
        return ((x if z is None else z)[:, 0] + x[:, :1]).sqrt()

    x = torch.tensor([[1.0], [2.0], [3.0], [-1.5]])
    with pytest.raises(InvalidInput, match=r"samples 2 to 3 with 0 to 1, first for the pair \(3, 0\)"):
        gram(root, x, folder=tmp_path, block=2, law="root")
    assert [file.stem for file in (tmp_path / "blocks").iterdir()] == ["000000-000000"]


def test_a_folder_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    for folder in (file, file / "below", tmp_path / ("a" * 300)):
        with pytest.raises(InvalidInput, match=r"folder = .*cannot be used"):
            gram(Gaussian(1.0), X, folder=folder)

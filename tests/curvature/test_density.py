import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from lemmata import curvature, nets
from lemmata.curvature import Density, spectral_density
from lemmata.errors import InvalidInput, UnknownName
from lemmata.linalg import LinearOperator, lanczos_quadrature
from lemmata.linalg.probes import generator_of, random_vectors
from lemmata.objective import Objective


def trained(width=24, dtype=torch.float64, activation="relu", steps=60):
    """A perceptron on two Gaussian classes of 16 features, fitted a little, and its objective: 459 parameters."""
    g = torch.Generator().manual_seed(0)
    y = torch.randint(3, (200,), generator=g)
    x = (2 * torch.randn(3, 16, generator=g)[y] + torch.randn(200, 16, generator=g)).to(dtype)
    model = nets.mlp(16, (width,), 3, activation=activation, seed=1, dtype=dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return Objective(model, loss="cross_entropy", data=(x, y))


def dense(objective):
    H = objective.hessian().dense().double()
    return (H + H.T) / 2


def of_matrix(A, *, steps, probes, seed=0):
    operator = LinearOperator.of(A)
    return Density.of(lanczos_quadrature(operator, steps=steps, probes=probes, seed=seed), operator)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_probes_moments_are_those_of_the_dense_hessian(activation):
    objective, m = trained(activation=activation), 12
    H = dense(objective)
    density = spectral_density(objective, steps=m, probes=4, seed=5)
    Z = random_vectors(LinearOperator.of(H), 4, generator=generator_of(5))
    scale, power = float(torch.linalg.matrix_norm(H, 2)), Z
    for k in range(2 * m):
        exact = (Z * power).sum(0) / len(H) / scale**k
        ours = (density.weights * (density.nodes / scale) ** k).sum(1)
        assert torch.allclose(ours, exact, rtol=0, atol=1e-9)
        power = H @ power


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_to_the_exact_spectrum_is_that_of_the_probes(dtype):
    objective = trained(dtype=dtype)
    exact = torch.linalg.eigvalsh(dense(objective))
    density = spectral_density(objective, steps=40, probes=20, seed=0)
    nodes, weights = density.nodes.flatten().numpy(), density.weights.flatten().numpy()
    w1 = wasserstein_distance(nodes, exact.numpy(), u_weights=weights)
    # W1 of the mean over K probes is at most the range times the deviation sqrt(2 N (P - N) / P^3 / K) of the counting
    # function, integrated: below 0.4 % of the range here; 1 % is never reached by chance
    assert w1 < 0.01 * float(exact[-1] - exact[0])
    assert density.range[1] == pytest.approx(float(exact[-1]), rel={torch.float32: 1e-4, torch.float64: 1e-8}[dtype])


def test_moments_agree_with_the_spectrum_within_their_standard_error():
    objective = trained()
    exact = torch.linalg.eigvalsh(dense(objective))
    density = spectral_density(objective, steps=20, probes=40, seed=3)
    for k in (1, 2, 3):
        estimate = density.moment(k)
        # 5 standard errors of 40 probes: by chance once in 40,000 (Student, 39 degrees of freedom), thrice
        assert abs(float(estimate.value - exact.pow(k).mean())) < 5 * float(estimate.stderr)
    assert density.moment(0).value == pytest.approx(1.0)
    assert density.cost == 2.0 * 20 * 40


def test_intervals_of_a_moment_cover():
    A = torch.diag(torch.linspace(-1, 3, 40, dtype=torch.float64))
    Q = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    A = Q @ A @ Q.T
    A, truth = (A + A.T) / 2, float((A @ A).trace() / 40)
    hits = 0
    for seed in range(200):
        low, high = of_matrix(A, steps=4, probes=10, seed=seed).moment(2).interval(0.9)
        hits += bool(low < truth < high)
    # 200 intervals at 90 %: deviation 0.021; five of them
    assert abs(hits / 200 - 0.9) < 0.106


def test_the_density_of_a_gaussian_matrix_is_the_semicircle():
    n = 1000
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    A = (A + A.T) / math.sqrt(2 * n)  # eigenvalues on [-2, 2] with density sqrt(4 - t^2) / (2 pi)
    density = of_matrix(A, steps=60, probes=10)
    grid = torch.linspace(-1.8, 1.8, 37, dtype=torch.float64)
    theory = (4 - grid**2).sqrt() / (2 * math.pi)
    estimate = density.at(grid, width=0.1)
    # probes: about sqrt(2 / (10 * 1000 * 0.35 * phi)) = 4 %; smoothing and n add less than 1 %
    assert torch.allclose(estimate.value, theory, rtol=0.2, atol=0)
    assert float(((estimate.value - theory) / theory).abs().mean()) < 0.05
    # off by about their standard errors, not more: chi-square with correlated terms, mean 1 within a factor 2.5
    z = (estimate.value - theory) / estimate.stderr
    assert 0.2 < float(z.square().mean()) < 2.5
    assert density.edge() == pytest.approx(2.0, abs=0.1)


def test_the_density_integrates_to_one_and_to_the_counting_function():
    density = spectral_density(trained(), steps=30, probes=6)
    grid = density.grid(20_000)
    step = float(grid[1] - grid[0])
    phi = density.at(grid)
    assert float(phi.value.sum() * step) == pytest.approx(1.0, abs=1e-3)
    cumulative = density.cumulative(grid)
    assert (cumulative.value.diff() >= -1e-12).all()
    assert float(cumulative.value[-1]) == pytest.approx(1.0)
    # the smoothed density is the derivative of the counting function: their integrals differ by the smoothing
    assert float((phi.value.cumsum(0) * step - cumulative.value).abs().mean()) < 0.01


def test_blocks_are_those_of_the_dense_hessian():
    objective = trained()
    density = spectral_density(objective, steps=25, probes=30, by_layer=True, seed=2)
    assert list(density.layers) == ["hidden1", "output"]
    H, sizes = dense(objective), {"hidden1": 16 * 24 + 24, "output": 24 * 3 + 3}
    start = 0
    for name, layer in density.layers.items():
        stop = start + sizes[name]
        exact = torch.linalg.eigvalsh(H[start:stop, start:stop])
        assert layer.size == sizes[name]
        assert abs(float(layer.moment(1).value - exact.mean())) < 5 * float(layer.moment(1).stderr)
        assert layer.range[1] == pytest.approx(float(exact[-1]), rel=1e-6)
        start = stop
    assert density.cost == 3 * 25 * 30 * 2.0
    assert len(density.plot().panels) == 3


@pytest.mark.parametrize("operator", ["ggn", "fisher", "empirical_fisher"])
def test_positive_semidefinite_matrices_have_no_negative_eigenvalues(operator):
    objective = trained()
    exact = torch.linalg.eigvalsh(getattr(curvature, operator)(objective).dense())
    density = spectral_density(objective, operator=operator, steps=30, probes=10)
    assert density.range[0] > -1e-12
    assert density.range[1] == pytest.approx(float(exact[-1]), rel=1e-8)
    assert abs(float(density.moment(1).value - exact.mean())) < 5 * float(density.moment(1).stderr)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_batch_normalisation_is_seen_in_the_mode_asked_for(mode):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    x, y = torch.randn(60, 5), torch.arange(60) % 3
    objective = Objective(model.double(), loss="cross_entropy", data=(x.double(), y), mode=mode)
    exact = torch.linalg.eigvalsh(dense(objective))
    density = spectral_density(objective, steps=40, probes=3)
    assert density.range[1] == pytest.approx(float(exact[-1]), rel=1e-8)
    # at initialisation in training mode nothing depends on the bias before batch normalisation: 8 zeros more
    assert int((exact.abs() < 1e-12 * exact[-1]).sum()) >= (8 if mode == "train" else 0)


def test_the_same_seed_gives_the_same_density_and_the_model_stays_as_it_was():
    objective = trained(dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    first, second = (spectral_density(objective, steps=10, probes=2, seed=7) for _ in range(2))
    assert torch.equal(first.nodes, second.nodes)
    assert torch.equal(first.weights, second.weights)
    for name, tensor in objective.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_one_probe_gives_values_and_no_errors():
    A = torch.diag(torch.linspace(0, 1, 30, dtype=torch.float64))
    density = of_matrix(A, steps=10, probes=1)
    assert math.isnan(density.moment(1).stderr)
    assert math.isnan(density.above(0.5).stderr)
    assert bool(density.log().positive.value.isfinite().all())
    with pytest.raises(InvalidInput, match="no interval from n = 1 draw"):
        density.moment(1).interval()


def test_it_draws_itself(tmp_path):
    density = spectral_density(trained(), steps=20, probes=3)
    figure = density.plot()
    linear, logarithmic = figure.panels
    assert linear.references[0].value == density.edge()
    assert np.nanmax(linear.series[0].y) == pytest.approx(float(density.at(density.grid(800)).value.max()))
    assert [series.label for series in logarithmic.series] == ["positive", "negative"]
    assert figure.save(tmp_path / "density.png").stat().st_size > 1000


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_density_of_the_cpu():
    objective = trained()
    x, y = objective.batches[0]
    moved = Objective(objective.model.cuda(), loss="cross_entropy", data=(x.cuda(), y.cuda()))
    ours = spectral_density(moved, steps=15, probes=3, seed=1)
    cpu = spectral_density(trained(), steps=15, probes=3, seed=1)
    assert torch.allclose(ours.moment(2).value, cpu.moment(2).value, rtol=1e-9)


def test_bad_questions_are_refused():
    objective = trained()
    with pytest.raises(InvalidInput, match="probes = 1: the error over probes needs at least two"):
        spectral_density(objective, probes=1)
    with pytest.raises(UnknownName, match="did you mean 'hessian'"):
        spectral_density(objective, operator="hesian")
    with pytest.raises(InvalidInput, match="take fewer products, more memory"):
        spectral_density(objective, steps=50, probes=2, memory=100_000)
    with pytest.raises(InvalidInput, match=r"width = -1\.0: the Gaussian needs a positive width"):
        spectral_density(objective, steps=5, probes=2).at(torch.zeros(1), width=-1.0)
    with pytest.raises(InvalidInput, match="expected an Objective"):
        curvature.spectral_density(torch.eye(3))

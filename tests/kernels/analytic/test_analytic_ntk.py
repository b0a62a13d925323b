"""NTK and NNGP of networks against 50-digit recursions, networks of finite width, and what theory says of them."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call, jacrev, vmap

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.analytic import FullyConnected, Rectifier, analytic_nngp, analytic_ntk
from lemmata.kernels.analytic.pairs import Covariance
from lemmata.kernels.analytic.samples import Samples
from lemmata.kernels.analytic.workers import by_layers


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def recursion(x, z, law):
    """The textbook recursion for ReLU in 50 digits, in (nngp, ntk): Jacot et al., with Cho and Saul's integrals."""
    with mpmath.workdps(50):
        w2, b2 = mpmath.mpf(law.weight_variance), mpmath.mpf(law.bias_variance)

        def inner(u, v):
            return w2 * mpmath.fsum(mpmath.mpf(p) * mpmath.mpf(q) for p, q in zip(u, v, strict=True)) / len(u) + b2

        a, b, c = inner(x, x), inner(z, z), inner(x, z)
        ntk = c
        for _ in range(law.depth - 1):
            size = mpmath.sqrt(a * b)
            angle = mpmath.acos(min(c / size, mpmath.mpf(1)))
            c = w2 * size * (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)) / (2 * mpmath.pi) + b2
            ntk = c + w2 * ntk * (mpmath.pi - angle) / (2 * mpmath.pi)
            a, b = w2 * a / 2 + b2, w2 * b / 2 + b2
        return float(c), float(ntk)


@pytest.mark.parametrize("law", [FullyConnected(2), FullyConnected(6), FullyConnected(4, bias_variance=0.2)])
@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-6, 1e-9])
def test_fifty_digits_of_relu(law, apart):
    """Values to 1e-14, however near the two samples are."""
    x = points(2, 5)
    x[1] = x[0] + apart * x[1]
    found = [function(x, network=law).values for function in (analytic_nngp, analytic_ntk)]
    for i, j in ((0, 0), (0, 1), (1, 1)):
        wanted = recursion(x[i].tolist(), x[j].tolist(), law)
        for values, right in zip(found, wanted, strict=True):
            assert values[i, j].item() == pytest.approx(right, rel=1e-14)


@pytest.mark.parametrize("apart", [1e-2, 1e-5])
def test_two_near_duplicates_have_the_smallest_eigenvalue_of_fifty_digits(apart):
    """In float32: within a rounding of the entries, 3 units in the last place, of the exact eigenvalue."""
    x = points(2, 30).float()
    x[1] = x[0] * (1 + apart * x[1])
    law = FullyConnected(5)
    a, b, c = (recursion(x[i].tolist(), x[j].tolist(), law)[1] for i, j in ((0, 0), (1, 1), (0, 1)))
    wanted = float(torch.linalg.eigvalsh(torch.tensor([[a, c], [c, b]], dtype=torch.float64))[0])
    found = float(torch.linalg.eigvalsh(analytic_ntk(x, network=law).values.double())[0])
    assert abs(found - wanted) < 3 * 2.0**-23 * a


LAWS = [
    FullyConnected(depth, activation, bias_variance=bias, residual=residual, layer_norm=norm, fixed_layers=fixed)
    for depth, fixed in ((1, 0), (2, 1), (4, 0), (4, 2))
    for activation in ("relu", "abs", Rectifier(0.3), "identity")
    for bias in (0.0, 0.4)
    for residual in (False, True)
    for norm in (False, True)
]


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_compiled_ways_agree_with_the_recursion(law):
    """Profile, compiled layers and the plain recursion in torch; equal, opposite, zero and near-duplicate samples.

    In units of the geometric mean of the two diagonals: 1e-13 in float64, 1e-6 in float32.
    """
    x = points(24, 7) * torch.linspace(0.1, 3, 24, dtype=torch.float64)[:, None]
    x[8:12], x[12], x[13], x[14] = x[:4] * (1 + 1e-5 * points(4, 7, 1)), 0.0, -x[15], x[16]
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
        given = x.to(dtype)
        samples = Samples.of(given)
        for name, function in (("ntk", analytic_ntk), ("nngp", analytic_nngp)):
            wanted = by_layers(samples, samples, law, name)((slice(0, 24), slice(0, 24)))
            size = wanted.diagonal().clamp(min=1e-9).sqrt()
            off = (function(given, network=law).values.double() - wanted).abs() / (size[:, None] * size)
            assert float(off.max()) < tolerance, (name, dtype)


@pytest.mark.parametrize("law", [law for law in LAWS if law.depth == 4], ids=str)
def test_deficits_say_what_covariances_say(law):
    """The algebra of deficits against the one of covariances, on well-separated samples: 1e-13."""

    class OnCovariances:
        form = Covariance

        def dual(self, kernel):
            a, b = kernel.left, kernel.right
            slope = law.dual.slope

            def arc(c):
                cosine = (c / (a * b).sqrt()).clamp(-1, 1)
                angle = cosine.acos()
                weight = (math.pi - angle) / (2 * math.pi)
                return (a * b).sqrt() * ((1 - cosine.square()).sqrt() / (2 * math.pi) + weight * cosine), weight

            (k, k_slope), (m, m_slope) = arc(kernel.values), arc(-kernel.values)
            gain = (1 + slope**2) / 2
            values = (1 + slope**2) * k - 2 * slope * m
            slopes = (1 + slope**2) * k_slope + 2 * slope * m_slope
            return Covariance(gain * a, gain * b, values), Covariance(gain + 0 * a, gain + 0 * b, slopes)

    x, z = points(6, 5), points(4, 5, 1)
    options = {name: getattr(law, name) for name in ("bias_variance", "residual", "layer_norm", "fixed_layers")}
    plain = FullyConnected(law.depth, OnCovariances(), **options)
    for function in (analytic_ntk, analytic_nngp):
        wanted = function(x, z, network=plain).values
        assert torch.allclose(function(x, z, network=law).values, wanted, rtol=1e-13, atol=1e-13 * float(wanted.max()))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_networks_of_growing_width_come_near(activation):
    """Mean over 48 networks: within 5 standard errors plus the bias of order 1/width, |bias| < 4/width K(x, x).

    Of 48 draws, a mean of 36 entries beyond 5 standard errors has a probability below 1e-3 (Student's t).
    """
    x = points(3, 6)
    law = FullyConnected(3, activation, weight_variance=1.44, bias_variance=0.01)
    ntk, nngp = (function(x, network=law).values for function in (analytic_ntk, analytic_nngp))
    spread = []
    for width in (32, 256):
        model = nets.mlp(6, [width, width], 1, activation=activation, initialisation="ntk", gain=1.2, seed=0).double()
        draw = torch.Generator().manual_seed(width)
        stacked = {
            name: torch.randn(48, *p.shape, dtype=torch.float64, generator=draw) for name, p in model.named_parameters()
        }

        def one(weights, model=model):
            jacobian = jacrev(lambda w: functional_call(model, w, (x,)).squeeze(1))(weights)
            return sum(part.flatten(1) @ part.flatten(1).T for part in jacobian.values())

        outputs = vmap(lambda weights, model=model: functional_call(model, weights, (x,)).squeeze(1))(stacked)
        for draws, wanted in ((vmap(one)(stacked), ntk), (outputs[:, :, None] * outputs[:, None], nngp)):
            error = draws.std(0) / math.sqrt(48)
            allowed = 5 * error + 4 / width * wanted.diagonal().max()
            assert bool(((draws.mean(0) - wanted).abs() < allowed).all())
        spread.append(float(vmap(one)(stacked).std(0).mean()))
    assert spread[1] < spread[0] / 2  # theory: sqrt(8) = 2.8


@settings(deadline=None)  # the first example compiles
@given(st.integers(2, 8), st.floats(0.5, 3.0), st.floats(0.1, 10.0), st.integers(0, 10**6))
def test_relu_without_bias_is_homogeneous(depth, weight_variance, scale, seed):
    """k(s x, z) = s k(x, z): to 1e-13."""
    x, law = points(5, 4, seed), FullyConnected(depth, weight_variance=weight_variance)
    plain, scaled = (analytic_ntk(s * x, x, network=law).values for s in (1.0, scale))
    assert torch.allclose(scaled, scale * plain, rtol=1e-12, atol=1e-13 * scale * float(plain.abs().max()))


@settings(deadline=None)  # the first example compiles
@given(st.integers(1, 6), st.floats(0.3, 3.0), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_rotations_change_nothing_and_matrices_are_positive(depth, weight_variance, bias_variance, seed):
    """Kernels depend on inner products only; eigenvalues are at least -1e-14 of the trace."""
    x = points(6, 5, seed)
    rotation = torch.linalg.qr(points(5, 5, seed + 1)).Q
    law = FullyConnected(depth, weight_variance=weight_variance, bias_variance=bias_variance)
    values = analytic_ntk(x, network=law).values
    assert torch.allclose(analytic_ntk(x @ rotation, network=law).values, values, rtol=1e-12, atol=1e-12)
    assert float(torch.linalg.eigvalsh(values)[0]) > -1e-14 * float(values.trace())


def test_diagonals_of_relu_are_known():
    """With weight variance 2 and no bias k(x, x) = 2 |x|^2 / d for the NNGP, and depth times that for the NTK."""
    x = points(4, 3)
    size = 2 * x.square().sum(1) / 3
    for depth in (1, 2, 7):
        law = FullyConnected(depth)
        assert torch.allclose(analytic_nngp(x, network=law).values.diagonal(), size, rtol=1e-14)
        assert torch.allclose(analytic_ntk(x, network=law).values.diagonal(), depth * size, rtol=1e-14)


def test_only_the_last_layer_trained_is_the_nngp():
    """The gradient by the last layer's parameters alone is the kernel of its inputs."""
    x = points(5, 4)
    for law in (FullyConnected(4, fixed_layers=3), FullyConnected(4, "erf", bias_variance=0.2, fixed_layers=3)):
        pair = (function(x, network=law).values for function in (analytic_ntk, analytic_nngp))
        assert torch.allclose(*pair, rtol=1e-14)


def test_kernel_as_a_function():
    x, law = points(5, 4), FullyConnected(3)
    for name, function in (("ntk", analytic_ntk), ("nngp", analytic_nngp)):
        kernel = law.kernel(name)
        assert torch.equal(kernel(x, None), function(x, network=law).values)
        assert torch.equal(kernel(x, x[:2]), function(x, x[:2], network=law).values)
    with pytest.raises(UnknownName, match="nngp"):
        law.kernel("nngpp")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"depth": 0}, "at least one weight layer"),
        ({"depth": 2, "weight_variance": -1.0}, "weight_variance = -1.0"),
        ({"depth": 2, "weight_variance": 0.0}, "would not depend on its input"),
        ({"depth": 2, "bias_variance": math.nan}, "bias_variance = nan"),
        ({"depth": 2, "fixed_layers": 2}, "the last one is trained"),
        ({"depth": 2, "activation": 3}, "a name, an activation object or a callable"),
    ],
)
def test_laws_that_are_none_are_refused(options, what):
    with pytest.raises(InvalidInput, match=what):
        FullyConnected(**options)


def test_unknown_activations_are_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'relu'"):
        FullyConnected(2, "rellu")


def test_samples_that_are_none_are_refused():
    law, x = FullyConnected(2), points(4, 3)
    for bad, what in ((x[0], "expected"), (x.long(), "float32 or float64"), (x[:, :0], "expected")):
        with pytest.raises(InvalidInput, match=what):
            analytic_ntk(bad, network=law)
    with pytest.raises(InvalidInput, match="bring them together"):
        analytic_ntk(x, x.float(), network=law)
    with pytest.raises(InvalidInput, match="all but the first axis"):
        analytic_ntk(x, x[:, :2], network=law)

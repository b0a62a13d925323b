"""The CNTK in plain torch against fifty digits and nets of finite width; what it promises and what it refuses."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.cntk import Convolutional, cnn_gp, cntk
from lemmata.kernels.cntk.rectifier import rectify


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_differences_are_right_where_images_nearly_agree() -> None:
    """Against the textbook recursion in fifty digits, on 2 x 2 images of one channel that differ by 1e-7: to 1e-12."""
    x = images(1, 1, 2, 2)
    z = x + 1e-7 * images(1, 1, 2, 2, seed=1)
    found = cntk(x, z, network=Convolutional(4, "average"), backend="torch").values
    itself = cntk(x, network=Convolutional(4, "average"), backend="torch").values
    with mpmath.workdps(50):
        wanted, wanted_itself = _in_fifty_digits(x[0, 0], z[0, 0], 3), _in_fifty_digits(x[0, 0], x[0, 0], 3)
        assert abs(float(found) / wanted - 1) < 1e-14 * 50
        lost = float(itself - found)  # what a small eigenvalue is made of: 1e-8 of the kernel
        assert abs(lost / (wanted_itself - wanted) - 1) < 1e-6


def _in_fifty_digits(x: torch.Tensor, z: torch.Tensor, convolutions: int) -> mpmath.mpf:
    """CNTK with global average pooling of images (P, Q), first and last layer fixed."""
    places = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]

    def patches(k: dict) -> dict:
        shifts = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        moved = lambda place, shift: (place[0] + shift[0], place[1] + shift[1])  # noqa: E731
        return {(p, s): sum(k.get((moved(p, n), moved(s, n)), mpmath.mpf(0)) for n in shifts) for p, s in k}

    def product(a: torch.Tensor, b: torch.Tensor) -> dict:
        return {(p, s): mpmath.mpf(float(a[p])) * mpmath.mpf(float(b[s])) for p in places for s in places}

    def rectified(k: dict, left: dict, right: dict) -> tuple[dict, dict]:
        kernel, derivative = {}, {}
        for (p, s), covariance in k.items():
            scale = mpmath.sqrt(left[p, p] * right[s, s])
            cosine = min(covariance / scale, mpmath.mpf(1))
            angle = mpmath.acos(cosine)
            kernel[p, s] = scale * (mpmath.sin(angle) + (mpmath.pi - angle) * cosine) / mpmath.pi / 9
            derivative[p, s] = (mpmath.pi - angle) / mpmath.pi / 9
        return kernel, derivative

    xz, xx, zz = patches(product(x, z)), patches(product(x, x)), patches(product(z, z))
    theta = dict.fromkeys(xz, mpmath.mpf(0))
    for layer in range(convolutions):
        kernel, derivative = rectified(xz, xx, zz)
        theta = {at: theta[at] * derivative[at] + (kernel[at] if layer < convolutions - 1 else 0) for at in theta}
        if layer < convolutions - 1:
            theta, xz = patches(theta), patches(kernel)
            xx, zz = patches(rectified(xx, xx, xx)[0]), patches(rectified(zz, zz, zz)[0])
    return sum(theta.values()) / len(places) ** 2


def test_nets_of_finite_width_scatter_around_it() -> None:
    """The empirical tangent kernel of 30 nets, 300 channels: the mean within 5 standard errors and 1 % (bias 1/width).

    By Student's t with 29 degrees of freedom, six entries stay within 5 standard errors but for one seed in 6,000.
    """
    x, width, nets = images(3, 2, 4, 4), 300, 30
    network = Convolutional(3, "average")
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(nets):
        w1, w2, last = (
            torch.randn(*shape, generator=generator, dtype=torch.float64)
            for shape in ((width, 2, 3, 3), (width, width, 3, 3), (width,))
        )
        w2.requires_grad_()
        h = torch.conv2d(x, w1, padding=1).relu() * math.sqrt(2 / (9 * width))
        h = torch.conv2d(h, w2, padding=1).relu() * math.sqrt(2 / (9 * width))
        outputs = (h.mean((2, 3)) * last).sum(1)
        gradients = torch.stack([torch.autograd.grad(f, w2, retain_graph=True)[0].flatten() for f in outputs])
        found.append(gradients @ gradients.mT)
    samples = torch.stack(found)
    wanted = cntk(x, network=network, backend="torch").values
    error = samples.std(0) / math.sqrt(nets)
    assert bool(((samples.mean(0) - wanted).abs() < 5 * error + 0.01 * wanted.abs()).all())
    assert bool((error < 0.04 * wanted).all())  # the test sees a factor


def test_the_prior_is_the_covariance_of_outputs() -> None:
    """Outputs of 3,000 nets of 40 channels, all layers drawn: entries within 5 standard errors and 4 % (bias 1/width).

    Of six entries, each with a normal error, one falls outside 5 standard errors once in 10^5 seeds.
    """
    x, width, nets = images(3, 1, 3, 3), 40, 3000
    generator = torch.Generator().manual_seed(4)
    w1 = torch.randn(nets, width, 1, 3, 3, generator=generator, dtype=torch.float64)
    w2 = torch.randn(nets, width, width, 3, 3, generator=generator, dtype=torch.float64)
    patches = torch.nn.functional.unfold(x, 3, padding=1)  # (3, 9, 9 places)
    h = torch.einsum("nck,xkp->nxcp", w1.flatten(2), patches).relu() * math.sqrt(2 / (9 * width))
    folded = torch.nn.functional.unfold(h.reshape(-1, width, 3, 3), 3, padding=1).reshape(nets, 3, 9 * width, 9)
    h = torch.einsum("nck,nxkp->nxcp", w2.flatten(2), folded).relu() * math.sqrt(2 / (9 * width))
    last = torch.randn(nets, width, 9, generator=generator, dtype=torch.float64)
    outputs = torch.einsum("nxcp,ncp->nx", h, last)
    products = outputs[:, :, None] * outputs[:, None]
    wanted = cnn_gp(x, network=Convolutional(3), backend="torch").values
    error = products.std(0) / math.sqrt(nets)
    assert bool(((products.mean(0) - wanted).abs() < 5 * error + 0.04 * wanted.abs()).all())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), readout=st.sampled_from(["vanilla", "average"]))
def test_it_is_homogeneous_and_blind_to_flips(seed: int, scale: float, readout: str) -> None:
    """k(a x, z) = a k(x, z) for a > 0, and both images flipped give the same: to rounding, a few 1e-16 a layer."""
    x, z = images(1, 2, 4, 3, seed=seed), images(1, 2, 4, 3, seed=seed + 1)
    network = Convolutional(4, readout)  # pyright: ignore[reportArgumentType]
    kernel = lambda x, z: float(cntk(x, z, network=network, backend="torch").values)  # noqa: E731
    assert kernel(scale * x, z) == pytest.approx(scale * kernel(x, z), rel=1e-12)
    assert kernel(x.flip(3), z.flip(3)) == pytest.approx(kernel(x, z), rel=1e-12)
    assert kernel(x.flip(2), z.flip(2)) == pytest.approx(kernel(x, z), rel=1e-12)
    assert kernel(x.mT, z.mT) == pytest.approx(kernel(x, z), rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(distance=st.floats(0, 2))
def test_the_rectifier_is_right_to_rounding(distance: float) -> None:
    """Against fifty digits, relative to 1e-14 each: kappa_0 near D = 2 relative to the angle's own rounding."""
    gate, behind = (float(t) for t in rectify(torch.tensor(distance, dtype=torch.float64)))
    with mpmath.workdps(50):
        angle = 2 * mpmath.asin(mpmath.sqrt(mpmath.mpf(distance) / 2))
        wanted = mpmath.mpf(distance) - (mpmath.sin(angle) - angle * mpmath.cos(angle)) / mpmath.pi
        assert abs(gate - (1 - angle / mpmath.pi)) <= 1e-15
        assert abs(behind - wanted) <= 1e-14 * wanted


def test_memory_is_bounded_by_blocks_that_agree() -> None:
    x, network = images(7, 2, 4, 4), Convolutional(3, "average")
    small = cntk(x, network=network, backend="torch", memory=10_000).values  # first: no right values lie about yet
    whole = cntk(x, network=network, backend="torch").values
    torch.testing.assert_close(small, whole, rtol=1e-14, atol=0)


def test_what_no_kernel_takes_is_refused() -> None:
    x, network = images(2, 3, 4, 4), Convolutional(3, "average")
    for bad, told in (
        (x[0], r"\(3, 4, 4\)"),
        (x.int(), "floating point"),
        (x.log(), "NaN"),
    ):
        with pytest.raises(InvalidInput, match=told):
            cntk(bad, network=network)
    for other in (x[:, :2], x[..., :3], x.float()):
        with pytest.raises(InvalidInput, match="both sides"):
            cntk(x, other, network=network)
    with pytest.raises(InvalidInput, match="window = 5 does not fit"):
        cntk(x, network=Convolutional(3, "local-average", window=5))
    with pytest.raises(InvalidInput, match="nothing is trained"):
        cntk(x, network=Convolutional(2))
    with pytest.raises(InvalidInput, match="threads = 0"):
        cntk(x, network=network, threads=0)
    for options in ({"backend": "cuda"}, {"recursion": "differences"}):
        with pytest.raises(UnknownName):
            cntk(x, network=network, **options)


def test_a_layer_that_is_trained_adds_its_own_kernel() -> None:
    """The last layer's term is the CNN-GP; with one convolution the first one's term is all there is."""
    x = images(3, 2, 4, 4)
    fixed, trained = (cntk(x, network=Convolutional(4, "average", train_last=last)).values for last in (False, True))
    prior = cnn_gp(x, network=Convolutional(4, "average")).values
    torch.testing.assert_close(trained - fixed, prior, rtol=1e-12, atol=0)

"""The kernel in Numba against the reference in float64: sizes, lanes, threads, budgets, rounding.

In float32 the recursion of differences leaves 2e-7 of a value, whatever the depth; the tests ask for that.
"""

import pytest
import torch
from torch.nn.functional import interpolate

from lemmata.errors import InvalidInput
from lemmata.kernels.cntk import Convolutional, cnn_gp, cntk
from lemmata.kernels.cntk.cpu import cpu_kernel
from lemmata.kernels.cntk.reference import reference
from lemmata.kernels.cntk.vectors import Lanes

ROUNDING = 2e-7


def images(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth images, as photographs are, in float32."""
    coarse = torch.randn(n, shape[0], 4, 4, generator=torch.Generator().manual_seed(seed))
    return 0.3 + interpolate(coarse, shape[1:], mode="bicubic")


def right(x: torch.Tensor, z: torch.Tensor | None, network: Convolutional, *, tangent: bool = True) -> torch.Tensor:
    z = None if z is None else z.double()
    return reference(x.double(), z, network, tangent=tangent, plain=False, memory=1 << 28)


def computed(x, z, network, *, tangent=True, plain=False, memory=1 << 28, threads=1, **options) -> torch.Tensor:
    return cpu_kernel(x, z, network, tangent=tangent, plain=plain, memory=memory, threads=threads, **options)


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(((found - wanted) / wanted).abs().max())


@pytest.mark.parametrize(
    ("shape", "network"),
    [
        ((3, 6, 6), Convolutional(4, "average")),
        ((1, 5, 7), Convolutional(5, "average", train_first=True, train_last=True)),
        ((2, 7, 4), Convolutional(6, "local-average", window=3, train_last=True)),
        ((3, 8, 5), Convolutional(5, "vanilla", train_first=True)),
        ((2, 1, 6), Convolutional(4, "average")),
        ((2, 6, 1), Convolutional(4, "average")),
        ((3, 2, 2), Convolutional(8, "average")),
    ],
)
def test_the_reference_agrees(shape: tuple[int, ...], network: Convolutional) -> None:
    """Even and odd sizes, one row, one column, all readouts; 19 images leave a block of lanes unfilled.

    Twice the rounding, for in the smallest of these images it hardly averages out.
    """
    x, z = images(5, *shape), images(19, *shape, seed=1)
    z[3], z[4] = x[2], 2 * x[2] + 1e-4 * z[4]
    for tangent in (True, False):
        assert off(computed(x, z, network, tangent=tangent), right(x, z, network, tangent=tangent)) < 2 * ROUNDING
    found = computed(z, None, network)
    assert torch.equal(found, found.mT)
    assert off(found, right(z, None, network)) < 2 * ROUNDING


def test_depth_leaves_the_rounding_of_one_layer() -> None:
    x, z = images(2, 3, 8, 8), images(4, 3, 8, 8, seed=1)
    network = Convolutional(21, "average")
    assert off(computed(x, z, network), right(x, z, network)) < ROUNDING


def test_noise_images_have_negative_correlations() -> None:
    """The first ReLU sees all of [0, 2]; a vanilla readout of 25 positions lets no error average out: 1e-6.

    Opposite images have kernels near 0, right to the rounding of the largest; only if the first layer is trained, its
    gate, the angle to the opposite and so the root of a rounded 2 - D, is right to 1e-4 alone.
    """
    generator = torch.Generator().manual_seed(5)
    x, z = (torch.randn(n, 1, 5, 5, generator=generator) for n in (4, 16))
    for readout in ("average", "vanilla"):
        for trained in (False, True):
            network = Convolutional(3, readout, train_first=trained)  # pyright: ignore[reportArgumentType]
            assert off(computed(x, z, network), right(x, z, network)) < 6 * ROUNDING
            error = (computed(x, -x, network) - right(x, -x, network)).abs().max()
            assert float(error / right(x, x, network).max()) < (1e-4 if trained else ROUNDING)


def test_the_smallest_eigenvalue_is_kept() -> None:
    """Near-duplicates: within 2 % of float64, where the plain recursion is off by a fifth or negative."""
    x = images(10, 3, 6, 6)
    near = torch.cat([x, x * (1 + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2)))])
    network = Convolutional(11, "average")
    least = [float(torch.linalg.eigvalsh(k)[0]) for k in (
        right(near, None, network), computed(near, None, network).float().double(),
        computed(near, None, network, plain=True),
    )]  # fmt: skip
    assert least[1] == pytest.approx(least[0], rel=0.02)
    assert least[2] != pytest.approx(least[0], rel=0.02)


def test_plain_is_as_good_as_float32_lets_it() -> None:
    x, z, network = images(3, 3, 6, 5), images(5, 3, 6, 5, seed=1), Convolutional(5, "average")
    assert off(computed(x, z, network, plain=True), right(x, z, network)) < 1e-3
    assert off(computed(x, z, network, plain=True, tangent=False), right(x, z, network, tangent=False)) < 1e-5


@pytest.mark.parametrize("lanes", [Lanes(8), pytest.param(Lanes(4), marks=pytest.mark.slow)])
def test_narrower_processors_agree(lanes: Lanes) -> None:
    """Eight lanes (AVX2), four (any): the same code."""
    x, z, network = images(3, 2, 5, 6), images(19, 2, 5, 6, seed=1), Convolutional(5, "average", train_last=True)
    assert off(computed(x, z, network, lanes=lanes), right(x, z, network)) < ROUNDING


def test_threads_and_budgets_do_not_change_a_value() -> None:
    """Threads not to the bit; a budget for fewer images at a time not beyond rounding."""
    x, network = images(40, 2, 4, 4), Convolutional(4, "average")
    whole = computed(x, None, network)
    assert torch.equal(computed(x, None, network, threads=3), whole)
    small = computed(x, None, network, memory=1_820_000)
    assert off(small, whole) < 1e-7
    assert off(computed(x[:20], x, network, memory=1_820_000), whole[:20]) < 1e-7
    with pytest.raises(InvalidInput, match=r"need .* MB"):
        computed(x, None, network, memory=100_000)


def test_progress_counts_all_pairs() -> None:
    told: list[tuple[int, int]] = []
    x = images(20, 1, 3, 3)
    computed(x, None, Convolutional(3, "average"), progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_black_images_and_black_borders() -> None:
    """A black image has kernel 0 with all; black rows have patches without variance, and no NaN comes of them."""
    x = images(4, 2, 5, 5)
    x[1] = 0
    x[2, :, :3] = 0
    for readout in ("vanilla", "average"):
        network = Convolutional(4, readout, train_first=True, train_last=True)  # pyright: ignore[reportArgumentType]
        found, wanted = computed(x, None, network), right(x, None, network)
        assert bool(found.isfinite().all())
        assert bool((found[1] == 0).all())
        assert bool((wanted[1] == 0).all())
        some = wanted > 0
        assert off(found[some], wanted[some]) < ROUNDING


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_faint_and_bright_images(scale: float) -> None:
    """Images are scaled to 1 before float32 squares them."""
    x, network = images(3, 2, 4, 4), Convolutional(4, "average")
    found = computed(scale * x, x, network)
    assert off(found, right((scale * x).double(), x.double(), network)) < ROUNDING


def test_what_ran_is_said() -> None:
    x, network = images(2, 1, 3, 3), Convolutional(3, "average")
    assert cntk(x, network=network, threads=2).way.startswith("numba, ")
    assert cntk(x, network=network, threads=2).way.endswith("2 threads")
    assert cnn_gp(x, network=network, backend="torch").way == "torch, cpu"
    assert cntk(x.double(), network=network).way == "torch, cpu"
    assert cntk(x, network=Convolutional(3, "average", filter=5)).way == "torch, cpu"
    assert cntk(x, network=network).values.dtype == torch.float32


def test_what_the_processor_does_not_take_is_refused() -> None:
    x = images(2, 1, 4, 4)
    for other, network in ((x.double(), Convolutional(3)), (x, Convolutional(3, filter=5))):
        with pytest.raises(InvalidInput, match="take backend 'torch'"):
            cntk(other, network=network, backend="cpu")

"""What float32 keeps: errors of entries and smallest eigenvalues against float64, on real digits."""

import mpmath
import pytest
import torch

from lemmata import data
from lemmata.kernels.analytic import FullyConnected, analytic_ntk


@pytest.fixture(scope="module")
def digits():
    x = data.load("mnist-5k").x.flatten(1).float()
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:600]]


def textbook(x, depth):
    """The recursion as it is usually written: the arc cosine of a rounded cosine."""
    S = 2 * x @ x.T / x.shape[1]
    T = S.clone()
    for _ in range(depth - 1):
        norms = S.diagonal().sqrt()
        cosine = (S / norms[:, None] / norms).clamp(-1, 1)
        angle = cosine.acos()
        S = norms[:, None] * norms * (angle.sin() + (torch.pi - angle) * cosine) / torch.pi
        T = S + T * (torch.pi - angle) / torch.pi
    return T


@pytest.mark.parametrize(("depth", "tolerance"), [(2, 1e-7), (5, 1e-7), (20, 1e-7), (100, 2e-7)])
def test_entries_in_float32(digits, depth, tolerance):
    """Relatively, of every entry: one rounding, 6e-8, and what the series leaves; the textbook's is 500 times that."""
    law = FullyConnected(depth)
    right = analytic_ntk(digits.double(), network=law).values
    error = ((analytic_ntk(digits, network=law).values.double() - right) / right).abs().max()
    usual = ((textbook(digits, depth).double() - right) / right).abs().max()
    assert float(error) < tolerance
    assert float(usual) > 500 * float(error)


@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize("depth", [5, 20])
def test_smallest_eigenvalue_of_near_duplicates_in_float32(digits, depth, bias):
    """Within 2 % of float64's, with noise of 1e-4 on every digit; the textbook recursion's is negative."""
    noise = torch.randn(300, 784, generator=torch.Generator().manual_seed(1))
    x = torch.cat([digits[:300], digits[:300] + 1e-4 * noise])
    law = FullyConnected(depth, bias_variance=bias)
    least = [
        float(torch.linalg.eigvalsh(values.double())[0])
        for values in (
            analytic_ntk(x.double(), network=law).values,
            analytic_ntk(x, network=law).values,
            textbook(x, depth),
        )
    ]
    assert least[1] == pytest.approx(least[0], rel=0.02)
    assert least[2] < 0 < least[0]


def test_float64_is_better_than_the_textbook_in_float64(digits):
    """Against 40 digits for the pair that is nearest: 1e-14, where the textbook recursion keeps 8 digits of the NTK."""
    x = digits[:2].double()
    x[1] = x[0] * (1 + 1e-7)
    x[1, 300] += 1e-7
    found, usual = analytic_ntk(x, network=FullyConnected(3)).values[0, 1], textbook(x, 3)[0, 1]
    with mpmath.workdps(40):
        exact = [[mpmath.fsum(mpmath.mpf(p) * mpmath.mpf(q) for p, q in zip(u, v, strict=True)) for v in x.tolist()]
                 for u in x.tolist()]  # fmt: skip
        cosine, ntk, angle = exact[0][1] / mpmath.sqrt(exact[0][0] * exact[1][1]), mpmath.mpf(0), mpmath.pi
        size = 2 * mpmath.sqrt(exact[0][0] * exact[1][1]) / 784
        for _ in range(3):
            ntk = cosine + ntk * (1 - angle / mpmath.pi)
            angle = mpmath.acos(cosine)
            cosine = (mpmath.sin(angle) + (mpmath.pi - angle) * cosine) / mpmath.pi
        wanted = float(size * ntk)
    assert abs(found.item() / wanted - 1) < 1e-14
    assert abs(usual.item() / wanted - 1) > 1e-10

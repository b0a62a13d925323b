r"""A two-layer ReLU network with 2n + d weights that takes any values on any n points: the construction itself.

    c(x) = sum_j w_j max(<a, x> - b_j, 0),        b_1 < z_1 < b_2 < z_2 < ... < b_n < z_n,    z_i = <a, x_(i)>

The direction `a` sends the points to distinct numbers z, and the thresholds `b` interleave with them. Then the matrix
A_ij = max(z_i - b_j, 0) is lower triangular with a positive diagonal, and A w = y has exactly one solution, found by
forward substitution. Capacity as such therefore says nothing about generalisation.

The construction is sharp in its own family: with fewer than n of these hidden units, all but a null set of y is out
of reach (`misfit_by_units`). Networks that may also move their thresholds can do with fewer.

Forward substitution is backward stable, so that the rounding error is bounded by the system's own condition number
(Skeel's, at y), whatever it is; `InterpolatingNet.tolerance` is that bound. Each threshold lies a quarter of the way
from one z to the next: halfway, overshoots are passed on undamped, and at n = 1,000 cond(A) is some hundred times
larger.

References: Zhang, Bengio, Hardt, Recht, Vinyals (2017), arXiv:1611.03530, Theorem 1 and Lemma 1; Higham (2002),
Accuracy and Stability of Numerical Algorithms, Theorem 8.5. Cost: n^2 numbers of memory, n^2 + nd flops, and 4/3 n^3
for `misfit_by_units`. Fails when two points have the same projection, as equal points do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lemmata.errors import InvalidInput

INTERLEAVE = 0.25


@dataclass(frozen=True, eq=False)
class InterpolatingNet:
    """The network: `direction` (d,), `thresholds` (n,) ascending, `weights` (n,), all float64.

    `tolerance` bounds |c(x_i) - y_i| over the n points: what rounding may cost in this system.
    """

    direction: Tensor
    thresholds: Tensor
    weights: Tensor
    tolerance: float

    @property
    def weight_count(self) -> int:
        """2n + d.

        >>> x, y = torch.tensor([[0.0, 1.0], [2.0, 0.5]]), torch.tensor([1.0, -1.0])
        >>> interpolating_net(x, y, generator=torch.Generator().manual_seed(0)).weight_count
        6
        """
        return len(self.direction) + len(self.thresholds) + len(self.weights)

    def hidden(self, x: Tensor) -> Tensor:
        """The hidden units' activations at x of shape (m, d): shape (m, n), float64.

        >>> net = InterpolatingNet(torch.tensor([2.0]), torch.tensor([1.0, 5.0]), torch.ones(2), 0.0)
        >>> net.hidden(torch.tensor([[3.0]])).tolist()
        [[5.0, 1.0]]
        """
        return _hidden(x.double() @ self.direction.double(), self.thresholds)

    def __call__(self, x: Tensor) -> Tensor:
        """c(x) for x of shape (m, d): shape (m,), float64."""
        return self.hidden(x) @ self.weights


def interpolating_net(x: Tensor, y: Tensor, *, generator: Generator) -> InterpolatingNet:
    """Build the network with c(x_i) = y_i, for x of shape (n, d) and y of shape (n,), any real numbers.

    Random: the direction, standard normal. Raises `InvalidInput` if two points coincide in it or shapes disagree.

    >>> x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([1.0, -1.0, 1.0])
    >>> net = interpolating_net(x, y, generator=torch.Generator().manual_seed(0))
    >>> bool((net(x) - y).abs().max() <= net.tolerance)
    True
    """
    if x.ndim != 2 or y.shape != x.shape[:1] or len(y) == 0:
        raise InvalidInput(f"x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}; expected (n, d) and (n,)")
    n, d = x.shape
    x, y = x.double(), y.double()
    direction = torch.randn(d, generator=generator, dtype=torch.float64, device=generator.device).to(x.device)
    z, order = (x @ direction).sort()
    gaps = z.diff()
    if n > 1 and gaps.min() <= 0:
        i = int(gaps.argmin())
        first, second = sorted((int(order[i]), int(order[i + 1])))
        raise InvalidInput(
            f"examples {first} and {second} have the same projection; the points must be distinct: drop one of the two"
        )
    before_first = gaps.mean() if n > 1 else torch.ones_like(z[0])
    thresholds = torch.cat([z[:1] - before_first, z[:-1] + INTERLEAVE * gaps])
    activations = _hidden(z, thresholds)
    weights = torch.linalg.solve_triangular(activations, y[order][:, None], upper=False)[:, 0]
    tolerance = _rounding(x, direction, activations, weights)
    return InterpolatingNet(direction, thresholds, weights, tolerance)


def misfit_by_units(net: InterpolatingNet, x: Tensor, y: Tensor, *, generator: Generator) -> Tensor:
    """The root mean square of c - y when only k of the n hidden units are kept, for k = 0..n: shape (n + 1,).

    For k < n the k units' output weights are the best there are (least squares), so that what is left is a lower
    bound of the largest error; at k = n it is the network's own error. Random: the order in which units are added. One
    QR factorisation serves all k: what the first k columns leave of y is the norm of the rest of Q^T y.

    >>> x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([1.0, -1.0, 1.0])
    >>> net = interpolating_net(x, y, generator=torch.Generator().manual_seed(0))
    >>> misfit = misfit_by_units(net, x, y, generator=torch.Generator().manual_seed(1))
    >>> round(misfit[0].item(), 9), (misfit > net.tolerance).tolist()
    (1.0, [True, True, True, False])
    """
    y = y.double()
    n = len(y)
    kept = torch.randperm(n, generator=generator, device=generator.device).to(x.device)
    q, _ = torch.linalg.qr(net.hidden(x)[:, kept])
    left = (q.mT @ y).square().flip(0).cumsum(0).flip(0)  # squared norms of what the first 0..n-1 units leave
    own = (net(x) - y).square().sum()
    return (torch.cat([left, own[None]]) / n).sqrt()


def _hidden(z: Tensor, thresholds: Tensor) -> Tensor:
    return (z[:, None] - thresholds.double()).clamp(min=0)


def _rounding(x: Tensor, direction: Tensor, activations: Tensor, weights: Tensor) -> float:
    """Bound the error of solving and of evaluating, to first order in the unit roundoff.

    With gamma_k = k u / (1 - k u): solving leaves at most gamma_n |A| |w|, evaluating adds gamma_(n+1) |A| |w|, and
    <a, x> may be summed in another order the second time, which moves every z by at most 2 gamma_d |a| |x|.
    """
    (n, d), unit = x.shape, torch.finfo(torch.float64).eps / 2
    gamma = lambda k: k * unit / (1 - k * unit)  # noqa: E731
    size = (activations @ weights.abs()).max()
    shift = (x.abs() @ direction.abs()).max() * weights.abs().sum()
    return float((gamma(n) + gamma(n + 1)) * size + 2 * gamma(d) * shift)

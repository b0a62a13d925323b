"""How probable it is that Lanczos, begun at a random vector, missed an eigenvalue: a bound that costs nothing.

With Ritz values theta_1, ..., theta_m and off-diagonal beta_1, ..., beta_m, Lanczos from the unit vector b has

    psi(A) b = c p,    psi(x) = prod_i (x - theta_i),    c = prod_j beta_j,    |p| = 1     (Parlett, 1998, section 12.3)

so that an eigenvector u of A with eigenvalue lambda has |<u, b>| <= c / |psi(lambda)|. For b uniform on the sphere of
R^n that happens with probability sqrt(2 n / pi) c / |psi(lambda)| at most, whatever u is. Between two Ritz values
log |psi| is concave, so that its least value over a gap is taken at an end: the bound holds for a whole region
at once. A thick restart keeps p and beta, and the Ritz values that it drops stay among the theta_i.

An eigenvalue that is nearer to a Ritz value than a slack cannot be excluded: a second copy of a multiple eigenvalue is
never seen from one vector.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def missed_probability(
    theta: Tensor, dropped: Tensor, log_c: float, *, k: int, n: int, order: Callable[[Tensor], Tensor], slack: float
) -> float:
    """Bound the probability that an eigenvalue before the k-th Ritz value was missed, more than `slack` off all found.

    `theta` (m,) are the Ritz values in the order asked for, `order` what is increasing in it (-theta for the largest),
    `dropped` those that restarts dropped, `log_c` the logarithm of c, n the size of A. For each eigenvalue, at most 1.

    >>> theta = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    >>> bound = missed_probability(
    ...     theta, theta[:0], math.log(1e-6), k=1, n=100, order=lambda x: -x, slack=0.1
    ... )
    >>> round(bound / (math.sqrt(200 / math.pi) * 1e-6 / (0.1 * 1.1 * 2.1)), 6)
    1.0
    """
    ends = torch.cat([theta - slack, theta + slack, -theta - slack, -theta + slack])
    gaps = (ends[:, None] - theta).abs()
    edge = float(order(theta)[k - 1]) - slack
    inside = (gaps.min(1).values >= slack * (1 - 1e-9)) & (order(ends) <= edge + 1e-9 * slack)
    if not inside.any():
        return 0.0
    log_psi = gaps[inside].log().sum(1) + (ends[inside][:, None] - dropped).abs().log().sum(1)
    log_bound = 0.5 * math.log(2 * n / math.pi) + log_c - float(log_psi.min())
    return math.exp(min(log_bound, 0.0))

"""The silver step sizes: h_i = 1 + rho^(nu(i) - 1), rho = 1 + sqrt 2, nu(i) the number of twos in i = 1, 2, ...

    sqrt 2, 2, sqrt 2, 2 + sqrt 2, sqrt 2, 2, sqrt 2, 2 + 2 sqrt 2 + 1, ...

One sequence without end, of which N = 2^k - 1 steps sum to rho^k - 1 and give the rate N^(-log2 rho) = N^(-1.2716).
The exact worst case there is that of the primitive schedules, to which they belong at these lengths:

    f_N - f* <= L D^2 / (2 (2 rho^k - 1))

Fails to be good in between: after the long step at n = 2^k the gap can be large, and a length other than 2^k - 1 has
better steps (`primitive`). Sources: Altschuler and Parrilo (2023), arXiv:2309.16530 (the steps; their bound
1/(1 + sqrt(4 rho^(2k) - 3)) is up to twice this); Grimmer, Shu and Wang (2024), arXiv:2410.16249 (the exact one).
"""

from __future__ import annotations

import math

import numpy as np

from lemmata.descent.method import Guarantee, Schedule
from lemmata.descent.schedules.between import GAP_AT_START, carried
from lemmata.descent.schedules.length import whole

RHO = 1 + math.sqrt(2)


def silver(n: int) -> Schedule:
    """Give the first n silver steps, float64; O(n).

    The guarantee of the gap is exact at 1, 3, 7, 15, ...; at other n it is what the last of these carries over, which
    is true and may be weak. Raises `InvalidInput` for n < 1.

    >>> silver(3).steps.round(4).tolist()
    [1.4142, 2.0, 1.4142]
    >>> silver(3).guarantee.bound(3) == 1 / (2 * (2 * (1 + 2**0.5) ** 2 - 1))
    True
    """
    n = whole(n)
    index = np.arange(1, n + 1)
    twos = np.log2(index & -index)
    steps = 1 + RHO ** (twos - 1)
    ends = {2**k - 1: 1 / (2 * (2 * RHO**k - 1)) for k in range(1, (n + 1).bit_length())}
    where = "Grimmer, Shu, Wang (2024), Composing optimized stepsize schedules, of s-composable schedules"
    tight = n + 1 == 2 ** (n.bit_length())
    guarantee = Guarantee("gap", "distance", carried({0: GAP_AT_START, **ends}, steps), where, tight=tight)
    return Schedule(f"silver, {n} steps", steps, guarantee=guarantee, source="Altschuler, Parrilo (2023)")

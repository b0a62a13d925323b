"""The seven long-step patterns of Grimmer (2023), with which gradient descent first provably beat L D^2 / (2T).

Palindromes: step i = 1, ..., t is v[nu(i)], nu(i) the number of twos in i; t = 2 is (3 - eta, 1.5). In the long run

    f_T - f* <= L R^2 / (c T) + O(1/T^2),    c from 2.25 - eta/2 (t = 2) over 3.2 (t = 7) to 5.83 (t = 127)

where the textbook has c = 2, and the constant step, exactly, 4. What is proven at every T is in `straightforward`.
Fails for the impatient: with the published Delta the rate sets in late (for t = 127 after some 10^7 steps), and from
far away one cycle can leave a gap near L D^2 / 2. Source: arXiv:2307.06324v5, Table 1; the certificates are those of
its companion notebooks, which `certificate.published` holds and verifies.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lemmata.descent.method import Schedule
from lemmata.descent.schedules.straightforward import straightforward
from lemmata.errors import InvalidInput, UnknownName

WHERE = "Grimmer (2023), Provably faster gradient descent via long steps, Theorem 2.1 and Table 1"

# t: (v, Delta, eps); Delta rounded down and eps up in the last digit
PATTERNS: dict[int, tuple[tuple[float, ...], float, float]] = {
    3: ((1.5, 4.9), 1e-4, 0.0),
    7: ((1.5, 2.2, 12.0), 7.5691529118e-5, 1.5726e-10),
    15: ((1.4, 2.0, 4.5, 29.7), 2.5818495435e-6, 6.1227e-10),
    31: ((1.4, 2.0, 3.9, 8.2, 72.3), 9.4923184338e-8, 2.4620e-12),
    63: ((1.4, 2.0, 3.9, 7.2, 14.2, 164.0), 2.6715042712e-7, 1.32060e-4),
    127: ((1.4, 2.0, 3.9, 7.2, 12.6, 23.5, 370.0), 3.2853121705e-8, 1.53160e-5),
}


def grimmer(t: int, *, eta: float = 1.0) -> Schedule:
    """Give the pattern of t = 2, 3, 7, 15, 31, 63 or 127 steps, cyclic.

    `eta` in (0, 3) is the slack of t = 2, (3 - eta, 1.5): a small one has a better rate in the long run and a smaller
    Delta = min{eta (4 - eta)/(6 - eta)^2, 1/(6 - eta)}, for which Grimmer's multipliers stay a certificate. Raises
    `UnknownName` for another t, `InvalidInput` for another eta.

    >>> grimmer(7).steps.tolist()
    [1.5, 2.2, 1.5, 12.0, 1.5, 2.2, 1.5]
    >>> grimmer(2, eta=0.5).steps.tolist()
    [2.5, 1.5]
    """
    if t == 2:
        if not 0 < eta < 3:
            raise InvalidInput(f"eta = {eta}; the pattern (3 - eta, 1.5) is straightforward for 0 < eta < 3")
        name = f"Grimmer, t = 2, eta = {eta:g}"
        return straightforward(name, [3 - eta, 1.5], Delta=float(threshold(eta)), where=WHERE, source=WHERE)
    if t not in PATTERNS:
        raise UnknownName("pattern length", str(t), [str(known) for known in (2, *PATTERNS)])
    v, Delta, eps = PATTERNS[t]
    index = np.arange(1, t + 1)
    steps = np.array(v)[np.log2(index & -index).astype(int)]
    return straightforward(f"Grimmer, t = {t}", steps, Delta=Delta, eps=eps, where=WHERE, source=WHERE)


def threshold(eta: float | Fraction) -> float | Fraction:
    """Give the largest Delta for which the published multipliers of t = 2 are a certificate; exact on fractions.

    >>> threshold(Fraction(1))
    Fraction(3, 25)
    """
    return min(eta * (4 - eta) / (6 - eta) ** 2, 1 / (6 - eta))

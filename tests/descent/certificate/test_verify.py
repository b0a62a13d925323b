"""Verification of the published certificates, and of damaged ones.

Oracles: the numbers that the authors' notebooks print (20 significant digits), and conditions (a) to (d) written out
from the inequalities one pair at a time in Fractions, which shares nothing with the products that `conditions` takes.
"""

import time
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest

from lemmata.descent.certificate import Certificate, published, verify
from lemmata.descent.certificate.conditions import flows, quadratic_form
from lemmata.descent.certificate.verify import smallest_corner
from lemmata.errors import InvalidInput
from lemmata.linalg.definite import rational_matrix

LENGTHS = (3, 7, 15, 31, 63, 127)
SUMS = {3: "7.9", 7: "22.4", 15: "57.9", 31: "142.7", 63: "329.2", 127: "741"}
EPS = {  # as the notebooks print it, with a precision of 20 digits; that of t = 3 proves eps = 0
    7: "1.5725407490505889231e-10",
    15: "6.1226015399064260652e-10",
    31: "2.4619886789105047795e-12",
    63: "0.00013205941758963900675",
    127: "0.000015315973132076549708",
}
COEFFICIENT = {  # that of t = 63 is printed as 5.2253968..., the average step, with eps left out by an oversight
    7: "3.1999999998427459251",
    15: "3.8599999993877398460",
    31: "4.6032258064491509145",
    127: "5.8346303533182065061",
}
DELTA = {3: 1e-4, 7: 7.569e-5, 15: 2.581e-6, 31: 9.492e-8, 63: 2.671e-7, 127: 3.285e-8}


def digits(value: Fraction, printed: str) -> str:
    """The value rounded to as many decimals as are printed, as text of the same form."""
    mantissa, _, exponent = printed.partition("e")
    shift = Fraction(10) ** int(exponent or 0)
    places = len(mantissa.partition(".")[2])
    scaled = round(value / shift * 10**places)
    text = str(scaled).rjust(places + 1, "0")
    return f"{text[:-places]}.{text[-places:]}" + (f"e{exponent}" if exponent else "")


@pytest.mark.parametrize("t", LENGTHS)
def test_the_published_certificates_hold_with_the_printed_rates(t):
    found = verify(published(t))
    assert found.holds, found
    assert published(t).average == Fraction(SUMS[t]) / t
    assert found.rate == published(t).average - found.eps
    if t == 3:
        assert found.eps == 0
    else:
        assert digits(found.eps, EPS[t]) == EPS[t]
    if t in COEFFICIENT:
        assert digits(found.rate, COEFFICIENT[t]) == COEFFICIENT[t]
    assert abs(float(published(t).Delta) / DELTA[t] - 1) < 1e-3  # printed to four digits, rounded down


def test_all_six_take_less_than_five_seconds():
    for t in LENGTHS:
        published(t)
    start = time.process_time()
    assert all(verify(published(t)) for t in LENGTHS)
    assert time.process_time() - start < 5  # 1 s on an idle core


def slowly(steps, multipliers):
    """Flows and Z of the inequality of each pair in turn, as in the theorem, in Fractions."""
    n = len(steps) + 2
    x = [[Fraction(0)] * n for _ in range(n)]
    for k in range(1, n):
        x[k][0] = Fraction(1)
        for step in range(k - 1):
            x[k][step + 1] = -steps[step]
    g = [[Fraction(i == k and k > 0) for i in range(n)] for k in range(n)]
    flow, Z = [Fraction(0)] * n, [[Fraction(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            weight = multipliers[i][j]
            if i == j or not weight:
                continue
            flow[j] += weight
            flow[i] -= weight
            for a in range(n):
                for b in range(n):
                    cross = g[j][a] * (x[i][b] - x[j][b]) + g[j][b] * (x[i][a] - x[j][a])
                    Z[a][b] += weight * (cross + (g[i][a] - g[j][a]) * (g[i][b] - g[j][b])) / 2
    return flow[1:], Z


@pytest.mark.parametrize("t", [3, 7])
def test_the_products_are_the_sum_over_pairs(t):
    # any multipliers will do, and full ones test more: diagonals mean nothing, and the column of x* has its part
    random = Random(t)
    lam = [[Fraction(random.randint(-9, 9), 7) * (i != j) for j in range(t + 2)] for i in range(t + 2)]
    flow, Z = slowly(published(t).steps, lam)
    assert flows(rational_matrix(lam)) == flow
    assert quadratic_form(published(t).steps, rational_matrix(lam)) == rational_matrix(Z)


@pytest.mark.parametrize("t", [3, 7])
def test_what_is_proven_holds_on_a_quadratic_and_on_a_huber_function(t):
    # x^2 / 2 and Huber functions of all thresholds from |x_0 - x*| = 1, in exact arithmetic, at gaps up to Delta
    certificate = published(t)
    rate = verify(certificate).rate
    tested = 0
    for threshold in [Fraction(1)] + [certificate.Delta * k / 64 for k in range(1, 65)]:
        for start in (Fraction(1), certificate.Delta, Fraction(1, 100)):
            x, values = start, []
            for h in (*certificate.steps, 0):
                inside = abs(x) <= threshold
                values.append(x**2 / 2 if inside else threshold * abs(x) - threshold**2 / 2)
                x -= h * (x if inside else threshold * (1 if x > 0 else -1))
            if values[0] <= certificate.Delta:
                tested += 1
                assert values[-1] <= values[0] - t * rate * values[0] ** 2
    assert tested > 60


def damaged(random: Random) -> Certificate:
    """A published certificate with one wrong thing in it that makes it false.

    Why each must be rejected. A change of one off-diagonal entry (i, j) of lam or gam adds d (e_j - e_i) to the flows,
    where e of x* is 0; that is not zero, however small d. On the diagonal, and in row x* of lam, zeros are asked for.
    A swap of two unequal entries adds d (e_j - e_i - e_l + e_k), which is zero for no two different pairs. A change of
    one step changes 2 S, the wanted flow of gam at x_0. A swap of two steps leaves all flows as they are: then M is no
    longer positive semidefinite, or the rate less than claimed; this is a computation, not an argument. The claimed
    rate is the one that is proven, rounded down by at most 1e-20, so that a claim larger by 1e-12 is false. A smaller
    Delta would be true: what holds for all gaps up to Delta holds up to less. A larger one may be true too, by slack
    in (c), so Delta is made negative, zero, or so large that 2 S Delta > 1, where f_t <= delta - S delta^2 < 0 at
    delta = 1 / S would be false.
    """
    certificate = published(random.choices(LENGTHS, weights=[43, 33, 18, 5, 0.8, 0.2])[0])
    n = certificate.t + 2
    kind = random.choice(["lam", "gam", "lam", "gam", "steps", "Delta", "rate", "swap", "swap steps"])
    if kind in ("lam", "gam"):
        rows = [list(row) for row in getattr(certificate, kind)]
        i, j = random.randrange(n), random.randrange(n)
        rows[i][j] = wrong(rows[i][j], random)
        return replace(certificate, **{kind: rows})
    if kind == "swap":
        name = random.choice(["lam", "gam"])
        rows = [list(row) for row in getattr(certificate, name)]
        places = [(i, j) for i in range(n) for j in range(n) if i != j]
        (i, j), (k, m) = random.sample(places, 2)
        while rows[i][j] == rows[k][m]:
            (i, j), (k, m) = random.sample(places, 2)
        rows[i][j], rows[k][m] = rows[k][m], rows[i][j]
        return replace(certificate, **{name: rows})
    steps = list(certificate.steps)
    if kind == "steps":
        k = random.randrange(certificate.t)
        steps[k] = wrong(steps[k], random)
        return replace(certificate, steps=steps)
    if kind == "swap steps":
        i, j = random.sample(range(certificate.t), 2)
        while steps[i] == steps[j]:
            i, j = random.sample(range(certificate.t), 2)
        steps[i], steps[j] = steps[j], steps[i]
        return replace(certificate, steps=steps)
    if kind == "rate":
        return replace(certificate, rate=certificate.rate + random.choice([Fraction(1, 10**12), Fraction(1, 7)]))
    Delta = random.choice([-certificate.Delta, Fraction(0), Fraction(51, 100) / sum(steps)])
    return replace(certificate, Delta=Delta)


def wrong(value: Fraction, random: Random) -> Fraction:
    """The value changed: by 1e-12, relatively, or in sign."""
    changes = [value + Fraction(1, 10**12), value - Fraction(1, 10**12)]
    if value:
        changes += [-value, value * (1 + Fraction(1, 10**6)), value / 2, Fraction(0)]
    return random.choice(changes)


def test_a_thousand_damaged_certificates_are_all_rejected():
    random = Random(20230706)
    accepted = [k for k in range(1000) if verify(damaged(random))]
    assert accepted == []


@pytest.mark.parametrize("t", [7, 15])
def test_a_smaller_delta_is_as_true(t):
    # q(delta) = m^T M(delta)^-1 m is convex in delta, so at a smaller Delta the rate is no smaller
    shrunk = verify(replace(published(t), Delta=published(t).Delta / 3))
    assert shrunk.holds
    assert shrunk.rate >= verify(published(t)).rate


def test_what_is_wrong_is_said():
    three = published(3)
    rows = [list(row) for row in three.lam]
    rows[1][2] += Fraction(1, 10**12)
    said = verify(replace(three, lam=rows))
    assert not said.holds
    assert said.rate is None
    assert said.failures == ("(a) the flow of lam at x_0 is off by -1e-12",)
    assert verify(replace(three, Delta=0)).failures[0].startswith("Delta = 0 lies outside (0, 1 / (2 sum h)]")
    assert "2.64 is claimed" in verify(replace(three, rate="2.64")).failures[0]
    rows = [list(row) for row in three.gam]
    rows[2][2] = 1
    assert "not zero on its diagonal, at 2" in verify(replace(three, gam=rows)).failures[0]
    rows = [list(row) for row in three.lam]
    rows[0][1] = 1
    assert any("row 0" in failure for failure in verify(replace(three, lam=rows)).failures)
    circulation = [list(row) for row in three.lam]  # around x_0 -> x_1 -> x_2 -> x_0: keeps the flows
    for i, j in ((1, 2), (2, 3), (3, 1)):
        circulation[i][j] -= 5
    assert any("(c) lam is negative" in failure for failure in verify(replace(three, lam=circulation)).failures)


def test_definiteness_is_looked_at_when_flows_and_signs_are_in_order():
    # adding a circulation keeps the equalities and signs; a large one on one side of M makes (d) fail or the rate drop
    three = published(3)
    for size in (Fraction(1, 10**9), Fraction(1), Fraction(100)):
        rows = [list(row) for row in three.lam]
        for i, j in ((1, 2), (2, 3), (3, 1)):
            rows[i][j] += size
        said = verify(replace(three, lam=rows, rate="79/30"))
        assert not said.holds, size
        assert all("(d)" in failure or "claimed" in failure for failure in said.failures)


def test_the_other_end_is_looked_at_too():
    # a circulation in gam alone leaves flows, m and M(lam) as they are, and changes M(lam + Delta gam)
    three = published(3)
    rows = [list(row) for row in three.gam]
    for i, j in ((1, 2), (2, 3), (3, 1)):
        rows[i][j] += 50 / three.Delta
    failures = verify(replace(three, gam=rows)).failures
    assert [failure.partition(" is not")[0] for failure in failures] == ["(d) the block matrix of lam + Delta gam"]


def test_signs_are_exact():
    # a circulation through an entry that is zero makes it negative by 1e-12
    three = published(3)
    rows = [list(row) for row in three.lam]
    assert rows[3][2] == 0
    for i, j in ((3, 2), (2, 1), (1, 3)):
        rows[i][j] -= Fraction(1, 10**12)
    assert "(c) lam is negative at (3, 2): -1e-12" in verify(replace(three, lam=rows)).failures


def one_step(x: Fraction | int, Delta: Fraction | int | str) -> Certificate:
    """A certificate of the step 1/L: lam = 1 at (x_0, x_1), gam = -x there, and m^T M^-1 m = ((2 - x)^2 + x^2) / 2."""
    lam = [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    return Certificate((Fraction(1),), Delta, lam, [[0, 2 - x, x], [0, 0, -x], [0, 0, 0]])  # type: ignore[arg-type]


def test_the_step_of_one_by_hand():
    found = verify(one_step(1, "1/1000000"))
    assert found.holds
    # at lam the corner is 1 and the rate 1; at lam + Delta gam M, and so the corner, differ by the order of Delta
    assert 0 <= found.eps < Fraction(1, 10**5)
    assert verify(one_step(0, "1/1000000")).failures[0].startswith("(d) the rate that is proven, 0, is not positive")


def test_a_delta_beyond_half_the_inverse_of_the_sum_is_refused():
    assert verify(one_step(1, "1/2")).holds
    assert verify(one_step(1, "51/100")).failures[0].startswith("Delta = 0.51 lies outside")


def test_the_smallest_corner_of_singular_blocks():
    assert smallest_corner(rational_matrix([[2, 1], [1, 2]]), rational_matrix([[1, 0]]).entries()) == Fraction(2, 3)
    singular = rational_matrix([[1, 1], [1, 1]])
    assert smallest_corner(singular, rational_matrix([[3, 3]]).entries()) == 9
    assert smallest_corner(singular, rational_matrix([[1, 0]]).entries()) is None
    assert smallest_corner(rational_matrix([[1, 2], [2, 1]]), rational_matrix([[0, 0]]).entries()) is None


def test_the_schedule_carries_what_is_proven():
    certificate = published(3)
    schedule = certificate.schedule()
    assert schedule.cyclic
    assert schedule.steps.tolist() == [1.5, 4.9, 1.5]
    assert schedule.guarantee is not None
    # by hand, from below Delta: a cycle takes a gap d to d - 7.9 d^2, and k cycles to 1 / (1/d + 7.9 k) at most
    gap = start = 9e-5
    for _ in range(1000):
        gap -= 7.9 * gap**2
    bound = schedule.guarantee.bound(3000, start)  # type: ignore[call-arg]
    assert bound == pytest.approx(1 / (1 / start + 7900), rel=1e-9)
    assert gap < bound < 1.01 * gap
    # from above Delta the best multipliers are those of Delta: (1 - 2 S Delta) d + S Delta^2
    above = schedule.guarantee.bound(3, 1.5e-4)  # type: ignore[call-arg]
    assert above == pytest.approx((1 - 2 * 7.9e-4) * 1.5e-4 + 7.9e-8, rel=1e-9)
    with pytest.raises(InvalidInput, match="claims no rate"):
        replace(certificate, rate=None).schedule()


def test_unknown_length():
    with pytest.raises(InvalidInput, match="no certificate of 5 steps is published; choose from"):
        published(5)

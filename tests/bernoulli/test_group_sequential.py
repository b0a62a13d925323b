"""The bound by looks: against its formula written out, enumeration, closed forms, and what it promises of effort."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, norm

from lemmata.bernoulli import FixedSample, GroupSequential, Procedure, clopper_pearson
from lemmata.errors import InvalidInput


def bound(h, n, level):
    """Clopper-Pearson from SciPy's beta distribution."""
    return 0.0 if h == 0 else float(beta.ppf(level, h, n - h + 1))


def written_out(procedure, shares, hits):
    """The formula of the module, coin by coin and look by look: lower after each look."""
    lower, found = 0.0, []
    for k, (n, h) in enumerate(zip(procedure.looks.tolist(), hits, strict=True)):
        lower = max(lower, bound(h, n, procedure.alpha * shares[k]))
        spent = procedure.alpha * sum(shares[: k + 1])
        earlier = 0.0 if k == 0 else (procedure.alpha * sum(shares[:k])) ** (1 / procedure.looks[k - 1])
        if lower >= earlier * (1 - 1e-12):
            lower = max(lower, bound(h, n, spent))
        found.append(lower)
    return np.array(found)


def radius(p):
    return np.maximum(norm.ppf(p), 0.0)


def paths(looks):
    """All numbers of hits at each look, (paths, K)."""
    steps = [range(more + 1) for more in np.diff(looks, prepend=0)]
    return np.cumsum(np.array(list(itertools.product(*steps))), axis=1)


def run(procedure, hits, selected=0, n0=0):
    """Show paths (N, K) to the procedure without ever stopping: lower (N,)."""
    progress = procedure.start(np.full(len(hits), selected), n0)
    for k in range(hits.shape[1]):
        progress.look(k, np.arange(len(hits)), hits[:, k])
    return progress.lower


@settings(max_examples=60, deadline=None)
@given(st.data(), st.floats(0.0005, 0.2), st.integers(0, 40), st.floats(0, 0.95))
def test_agrees_with_the_formula(data, alpha, selected, trust):
    """Walks with mostly hits, where unused alpha is passed on; 1e-9 between two inversions of the beta function."""
    procedure = GroupSequential(400, alpha=alpha, tolerance=0.02, trust=trust, growth=1.6)
    share = data.draw(st.sampled_from([0.5, 0.9, 0.99, 1.0]))
    steps = [data.draw(st.integers(math.floor(share * more), more)) for more in np.diff(procedure.looks, prepend=0)]
    hits = np.cumsum(steps)
    progress = procedure.start(np.array([selected]), 40)
    wanted = written_out(procedure, progress.shares[0], hits.tolist())
    for k, h in enumerate(hits):
        progress.look(k, np.array([0]), np.array([h]))
        assert progress.lower[0] == pytest.approx(wanted[k], rel=1e-9)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
@pytest.mark.parametrize(("selected", "trust"), [(0, 0.0), (0, 0.9), (14, 0.9), (20, 0.99)])
def test_exact_soundness_by_enumeration(alpha, selected, trust):
    """All 26 * 26 * 11 ways through looks at 25, 50, 60, stopped whenever it is worst: P(lower >= p) <= alpha.

    At every p that is a bound of some way, where the probability is largest. The audit's boundary counts no less; it
    is asked 1e-11 below p, where rounding does not decide.
    """
    procedure = GroupSequential(60, alpha=alpha, tolerance=0.05, growth=1.5, trust=trust)
    assert procedure.looks.tolist() == [25, 50, 60]
    ways = paths(procedure.looks)
    lower = run(procedure, ways, selected, 20)
    steps = np.diff(ways, prepend=0, axis=1)
    worst = 0.0
    for p in np.unique(lower[lower > 0]):
        chance = np.prod(binom.pmf(steps, np.diff(procedure.looks, prepend=0), p), axis=1)
        false = lower >= p
        counted = (ways >= procedure.boundary(float(p) * (1 - 1e-11), selected, 20)).any(axis=1)
        assert (counted | ~false).all()
        worst = max(worst, float(chance[false].sum()))
    assert worst <= alpha * (1 + 1e-9)
    assert worst > 0.5 * alpha  # and alpha is put to use


def test_nothing_but_hits_ends_where_a_fixed_sample_does():
    """At n = 100,000 and alpha = 0.001 a radius of 3.8115 sigma, that of alpha^(1/n), whatever was spent before."""
    for trust, last, selected in ((0.9, 0.9, 100), (0.0, 0.1, 100), (0.9, 0.5, 3)):
        procedure = GroupSequential(100_000, alpha=0.001, tolerance=0.05, scale=radius, trust=trust, last=last)
        lower = run(procedure, procedure.looks[None], selected, 100)[0]
        assert lower == pytest.approx(0.001 ** (1 / 100_000), rel=1e-15)
    assert radius(lower) == pytest.approx(3.8115, abs=5e-5)


def test_one_look_is_a_fixed_sample():
    """Too few tosses for two looks."""
    procedure, fixed = GroupSequential(25, alpha=0.01), FixedSample(25, alpha=0.01)
    assert procedure.looks.tolist() == [25]
    hits = np.arange(26)
    np.testing.assert_allclose(run(procedure, hits[:, None], 5, 10), clopper_pearson(hits, 25, alpha=0.01), rtol=1e-14)
    assert isinstance(procedure, Procedure)
    assert isinstance(fixed, Procedure)


def test_shares():
    """Shares are positive, with sum 1; the base without selection; more late for coins that selected all hits."""
    procedure = GroupSequential(100_000, alpha=0.001, tolerance=0.05, scale=radius)
    shares = procedure.spending.shares(np.arange(101), 100)
    assert (shares > 0).all()
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-12)
    base = procedure.spending.shares(np.array([0]), 0)[0]
    assert base[-1] == pytest.approx(0.9)
    np.testing.assert_allclose(base[:-1], 0.1 / (len(base) - 1))
    when = shares @ np.arange(len(base))
    assert when[100] > when[80] > when[40]


def test_lower_never_falls_and_grows_with_hits():
    """Along a walk, and from a walk to one with more hits everywhere."""
    rng = np.random.default_rng(0)
    procedure = GroupSequential(2000, alpha=0.01, tolerance=0.01)
    progress, better = (procedure.start(np.full(50, 15), 20) for _ in range(2))
    hits, more, before = np.zeros(50, np.int64), np.zeros(50, np.int64), np.zeros(50)
    everyone = np.arange(50)
    for k, step in enumerate(np.diff(procedure.looks, prepend=0)):
        fresh = rng.binomial(step, 0.8, 50)
        hits, more = hits + fresh, more + np.minimum(fresh + 1, step)
        progress.look(k, everyone, hits)
        better.look(k, everyone, more)
        assert (progress.lower >= before).all()
        assert (better.lower >= progress.lower).all()
        before = progress.lower.copy()


def simulated(procedure, p, runs, seed, n0=100):
    """Where `runs` coins stop: lower, tosses, and what all n tosses would have proven."""
    rng = np.random.default_rng(seed)
    progress = procedure.start(rng.binomial(n0, p, runs), n0)
    hits, tossed, active = np.zeros(runs, np.int64), np.zeros(runs, np.int64), np.arange(runs)
    for k, step in enumerate(np.diff(procedure.looks, prepend=0)):
        hits[active] += rng.binomial(step, p, len(active))
        tossed[active] = procedure.looks[k]
        active = active[~progress.look(k, active, hits[active])]
    assert not len(active)
    final = hits + rng.binomial(procedure.n - tossed, p)
    return progress.lower, tossed, clopper_pearson(final, procedure.n, alpha=procedure.alpha)


@pytest.mark.parametrize("p", [0.3, 0.55, 0.8, 0.97, 0.9999])
def test_the_tolerance_is_kept(p):
    """No more than the share `futility` loses more than the tolerance; 2,000 coins, by a 1 - 1e-6 interval."""
    procedure = GroupSequential(20_000, alpha=0.001, tolerance=0.1, scale=radius, futility=0.02)
    lower, tossed, fixed = simulated(procedure, p, 2000, seed=5)
    missed = int((radius(fixed) - radius(lower) > 0.1).sum())
    assert clopper_pearson(missed, 2000, alpha=1e-6) <= 0.02
    assert tossed.mean() < 20_000


def test_it_saves_what_it_should():
    """A tenth of the tosses for p = 0.9 at tolerance 0.1 sigma; what cannot be certified is given up at once."""
    procedure = GroupSequential(100_000, alpha=0.001, tolerance=0.1, scale=radius)
    assert simulated(procedure, 0.9, 500, seed=6)[1].mean() < 100_000 / 10
    assert simulated(procedure, 0.2, 500, seed=7)[1].mean() < 60
    uninformed = GroupSequential(100_000, alpha=0.001, tolerance=0.1, scale=radius, trust=0.0)
    assert simulated(procedure, 0.9, 500, seed=6)[1].mean() < 0.8 * simulated(uninformed, 0.9, 500, seed=6)[1].mean()


def test_no_tolerance_takes_all():
    """Tolerance 0 stops only where nothing can be gained: at the end, or where the scale says that all is lost."""
    procedure = GroupSequential(1000, alpha=0.001, tolerance=0.0, scale=radius)
    assert (simulated(procedure, 0.9, 50, seed=8)[1] == 1000).all()
    assert (simulated(procedure, 0.1, 50, seed=8)[1] < 100).all()


def test_a_scale_may_be_minus_infinity():
    """A relative tolerance, as one of the logarithm: 10 % of the radius; below 1/2 the logarithm is -inf."""

    def log_radius(p):
        with np.errstate(divide="ignore"):
            return np.log(radius(p))

    procedure = GroupSequential(20_000, alpha=0.001, tolerance=-math.log(0.9), scale=log_radius)
    lower, tossed, fixed = simulated(procedure, 0.95, 500, seed=9)
    assert (radius(lower) < 0.9 * radius(fixed)).mean() <= 0.01
    assert tossed.mean() < 10_000
    assert (simulated(procedure, 0.2, 50, seed=9)[0] < 0.5).all()


def test_looks():
    """Multiples of 25 below n, growing by `growth` seen from the end."""
    looks = GroupSequential(100_000, alpha=0.001).looks
    assert looks[-1] == 100_000
    assert (looks[:-1] % 25 == 0).all()
    assert looks[0] >= 25
    ratio = looks[1:] / looks[:-1]
    np.testing.assert_allclose(ratio[looks[:-1] > 2000], 1.2, rtol=0.01)
    assert len(GroupSequential(100_000, alpha=0.001, growth=1.5).looks) < 25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n = 0"),
        ({"alpha": 0.0}, "alpha = 0"),
        ({"futility": 1.0}, "futility = 1"),
        ({"tolerance": -1.0}, "tolerance = -1"),
        ({"tolerance": math.inf}, "tolerance = inf"),
        ({"tolerance": math.nan}, "tolerance = nan"),
        ({"last": 0.0}, "last = 0"),
        ({"trust": 1.0}, "trust = 1"),
        ({"trust": -0.1}, "trust = -0.1"),
        ({"growth": 1.0}, "growth = 1"),
        ({"scale": 3}, "scale"),
        ({"scale": lambda p: -p}, "decreases"),
        ({"scale": lambda p: p[:2]}, "as many numbers"),
        ({"scale": lambda p: p * math.nan}, "NaN"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InvalidInput, match=message):
        GroupSequential(**{"n": 1000, "alpha": 0.001, **options})


def test_refuses_selections_that_are_none():
    with pytest.raises(InvalidInput, match="n0 = 10"):
        GroupSequential(1000, alpha=0.001).start(np.array([11]), 10)

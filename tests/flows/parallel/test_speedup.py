"""The forecast of cost, by hand, and against what is counted (with `test_solve` and `test_processes`)."""

import math

import pytest

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows.parallel import Multigrid, forecast


def test_by_hand():
    """16 layers, m = 4, two iterations with F: three sweeps of 16; 4 steps of guess and two of 4 + 4 more."""
    cost = forecast(16, scheme=Multigrid(m=4, relaxation="F"), iterations=2, processes=2, method="forward-euler")
    assert cost.steps == (48, 20)
    assert cost.chain == 3 * 4 * 2 + 20
    assert cost.speedup == 16 / 44
    assert cost.messages == 2 * 2 * 4
    three = forecast(16, scheme=Multigrid(m=2, levels=3), iterations=1, method="heun")
    assert three.steps == (48, 8 + 8 + 3 * 8 - 4, 4 + 8)
    assert three.evaluations == 2 * (48 + 36 + 12)


def test_it_wins_from_where_the_speedup_passes_one():
    cost = forecast(1024, scheme=Multigrid(m=16, relaxation="F"), iterations=2)
    first = cost.wins_from
    assert first is not None
    for processes in range(1, 65):
        faster = forecast(1024, scheme=cost.scheme, iterations=2, processes=processes).speedup > 1
        assert faster == (processes >= first)
    assert forecast(64, scheme=Multigrid(m=2), iterations=3).wins_from is None
    late = forecast(1024, scheme=cost.scheme, iterations=2, latency=50.0).wins_from
    assert late is None or late > first


def test_the_chain_is_shortest_where_the_page_says():
    """With K processes it is (1 + i s) m + (1 + 2 i) N / m; the best power of 2 beside the formula's root."""
    i, N = 3, 4096
    chains = {
        m: forecast(N, scheme=Multigrid(m=m, relaxation="F"), iterations=i, processes=N // m, method="midpoint").chain
        for m in (2**k for k in range(1, 10))
    }
    best = min(chains, key=lambda m: chains[m])
    assert best / math.sqrt(N * (1 + 2 * i) / (1 + i)) == pytest.approx(1, abs=0.5)


def test_it_draws():
    assert "<svg" in str(static.render(forecast(1024, scheme=Multigrid(m=16)).plot()))


def test_bad_input():
    for wrong in ({"processes": 65}, {"processes": 0}, {"iterations": -1}, {"latency": -1.0}):
        with pytest.raises(InvalidInput):
            forecast(1024, scheme=Multigrid(m=16), **wrong)

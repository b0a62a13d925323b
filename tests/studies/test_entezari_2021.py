"""The study of Entezari et al.: annealing against all orders, that members do not see each other, its verdicts."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional

from lemmata import nets
from lemmata.landscape import permutation
from lemmata.studies import _entezari_2021_annealing as annealing
from lemmata.studies import _rebasin_networks as rebasin
from lemmata.studies import entezari_2021 as entezari
from lemmata.studies._entezari_2021_barriers import Barrier, measure
from lemmata.verdicts import Outcome

TINY = {"n": 60, "n_test": 40, "measured": 60, "pool": 4, "width": 10, "presented": 300, "points": 5, "swaps": 20}


def _pair(widths, seed: int):
    return [nets.mlp(3, list(widths), 2, initialisation="he", seed=seed + k).state_dict() for k in (0, 1)]


def _midpoint(a, b, x, y) -> float:
    for depth, name in enumerate(name[:-7] for name in a if name.endswith("weight")):
        weight, bias = ((a[f"{name}.{part}"] + b[f"{name}.{part}"]) / 2 for part in ("weight", "bias"))
        x = (x if depth == 0 else x.relu()) @ weight.T + bias
    return float(functional.cross_entropy(x, y))


def test_annealing_finds_the_best_of_all_orders_of_a_small_layer():
    """4! orders, several pairs at once, 400 swaps each: the best to float32 rounding, 1e-6, and the loss is its own."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 30, 3, generator=draw), torch.randint(2, (6, 30), generator=draw)
    pairs = [_pair([4], 10 * k) for k in range(6)]
    found, losses = annealing.anneal(pairs, x, y, steps=400, seeds=range(6))
    for k, (a, b) in enumerate(pairs):
        orders = [torch.tensor(p) for p in permutations(range(4))]
        moved = [
            {
                "hidden1.weight": b["hidden1.weight"][p], "hidden1.bias": b["hidden1.bias"][p],
                "output.weight": b["output.weight"][:, p], "output.bias": b["output.bias"],
            }
            for p in orders
        ]  # fmt: skip
        best = min(_midpoint(a, state, x[k], y[k]) for state in moved)
        assert losses[k].item() == pytest.approx(_midpoint(a, found[k], x[k], y[k]), abs=1e-6)
        assert losses[k].item() == pytest.approx(best, abs=1e-6)
        assert any(all(torch.equal(state[n], found[k][n]) for n in state) for state in moved)


def test_annealed_networks_are_the_same_functions():
    pairs = [tuple(nets.mlp(3, [7, 5, 6], 2, seed=seed).state_dict() for seed in (3, 4))]
    x, y = torch.randn(1, 20, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 20, dtype=torch.long)
    (state,), _ = annealing.anneal(pairs, x, y, steps=60, seeds=[0])
    model = nets.mlp(3, [7, 5, 6], 2, seed=0)
    before, after = (torch.func.functional_call(model, s, (x[0],)) for s in (pairs[0][1], state))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert not torch.equal(state["hidden2.bias"], pairs[0][1]["hidden2.bias"])


def test_members_do_not_see_each_other():
    """A pair alone, and among others with searches and copies: to the rounding of batched products in float32."""
    setting = {**TINY, "depth": 2}
    variants = [
        {"search": s, "other": o} for s in ("none", "annealing", "weights") for o in ("independent", "permuted")
    ]
    configs = [Barrier.build({**setting, "seed": seed, **v}) for seed in (0, 3) for v in variants]
    together = measure(configs)
    for k in (1, 4, 7, 9):
        alone = measure([configs[k]])[0].scalars
        assert alone["barrier"] == pytest.approx(together[k].scalars["barrier"], abs=1e-4)
    assert len({m.scalars["barrier"] for m in together}) > 8


def test_a_copy_is_the_same_function_with_the_share_moved():
    model = nets.mlp(3, [50, 40], 2, seed=0)
    spec = permutation.specification(model, torch.zeros(2, 3))
    order = rebasin.moved_share(spec, 0.2, seed=1)
    for name, p in order.items():
        assert sorted(p.tolist()) == list(range(spec.group(name).size))
        assert int((p != torch.arange(len(p))).sum()) <= 0.2 * len(p)
    copy = measure([Barrier.build({**TINY, "other": "permuted"})])[0].curves["loss"].y
    assert copy[0] == pytest.approx(copy[-1], rel=1e-5)


def test_extremes_and_heights():
    t = np.linspace(0, 1, 11)
    assert rebasin.extreme(t, -((t - 0.43) ** 2)) == pytest.approx(0.43, abs=1e-12)
    assert rebasin.extreme(t, t) == 1.0
    assert rebasin.height(t**2) == pytest.approx(0.25 - 0.5)


def test_orders_exchanged_between_layers():
    spec = permutation.specification(nets.mlp(3, [4, 4, 4], 2, seed=0), torch.zeros(2, 3))
    given = permutation.random(spec, 0)
    found = rebasin.exchanged(spec, given)
    names = list(given)
    assert torch.equal(found[names[0]], given[names[1]])
    assert torch.equal(found[names[2]], given[names[0]])


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = {claim.name: Outcome.REPRODUCED for claim in entezari.study.claims}
CLAIMS["annealing-finds-little"] = Outcome.CONTRADICTED


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("entezari-2021").assert_outcome(name, CLAIMS[name])

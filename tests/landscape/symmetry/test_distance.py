"""The distance modulo permutation against all permutations."""

from itertools import permutations

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.landscape.symmetry import distance


def net(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv1d(2, 4, 2), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).double()


def test_it_is_the_least_over_all_permutations():
    a, b = net(0).state_dict(), net(1).state_dict()
    names = [name for name in a if "running" not in name and "batches" not in name]
    least = float("inf")
    for p in map(list, permutations(range(4))):
        moved = {name: b[name][p] for name in names if name not in {"4.weight", "4.bias"}}
        moved |= {"4.weight": b["4.weight"].reshape(2, 4, 3)[:, p].reshape(2, 12), "4.bias": b["4.bias"]}
        least = min(least, sum(float((a[name] - moved[name]).square().sum()) for name in names) ** 0.5)
    found = distance(net(0), b)
    assert found.value == pytest.approx(least, rel=1e-12)
    assert found.value < found.unaligned
    rest = float((a["4.bias"] - b["4.bias"]).square().sum())
    assert float(found.per_neuron.square().sum()) + rest == pytest.approx(found.value**2, rel=1e-12)
    assert distance(a, found.state | {k: v for k, v in b.items() if k not in found.state}).unaligned == pytest.approx(
        least
    )
    assert "<svg" in str(static.render(found.plot()))


def test_a_renumbered_network_is_at_no_distance():
    a = net(0).state_dict()
    order = torch.tensor([2, 0, 3, 1])
    b = {name: t[order] if t.ndim and len(t) == 4 else t for name, t in a.items()}
    b["4.weight"] = a["4.weight"].reshape(2, 4, 3)[:, order].reshape(2, 12)
    found = distance(a, b)
    assert found.value == 0
    assert torch.equal(order[found.permutation], torch.arange(4))


@pytest.mark.parametrize(
    "pair",
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)),) * 2,
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))),
    ],
    ids=["deep", "shapes"],
)
def test_refused(pair):
    with pytest.raises(InvalidInput):
        distance(*pair)

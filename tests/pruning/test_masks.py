"""Masks, counts, the parametrisation, and which weights go."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from lemmata import nets, pruning
from lemmata.errors import InvalidInput, UnknownName


def lenet(seed: int = 0) -> nn.Sequential:
    return nets.mlp(784, [300, 100], 10, initialisation="xavier_normal", seed=seed)


def test_what_is_pruned_are_the_weights_of_layers():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 4), nn.LayerNorm((2, 2)), nn.Linear(4, 2)
    )
    assert pruning.prunable(net) == ("0.weight", "3.weight", "5.weight")
    assert pruning.prunable(nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2, bias=False))) == ("1.weight",)


def test_a_shared_weight_and_a_model_without_weights_are_refused():
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    with pytest.raises(InvalidInput, match="one tensor"):
        pruning.prunable(tied)
    with pytest.raises(InvalidInput, match="no weights to prune"):
        pruning.prunable(nn.BatchNorm1d(3))


def test_masks_that_do_not_fit_are_refused():
    for bad in ({"weight": torch.ones(3, 2)}, {"weight": torch.ones(2, 3, dtype=torch.bool)}, {"w": torch.ones(1)}):
        with pytest.raises(InvalidInput, match="mask"):
            pruning.masked(nn.Linear(2, 3), bad)


# ---- the parametrisation ---------------------------------------------------------------------------------------------


def test_a_masked_network_is_the_network_without_its_weights():
    """A hidden unit without outgoing weights, and inputs without any, against the smaller network; bit for bit but for
    the order of sums: 1e-12 in float64.
    """
    net = nets.mlp(5, [4], 3, seed=1, dtype=torch.float64)
    masks = pruning.ones(net)
    masks["hidden1.weight"][:, 2] = False  # input 2 is not read
    masks["output.weight"][:, 1] = False  # unit 1 is not heard
    sparse, small = pruning.masked(net, masks), nets.mlp(4, [3], 3, seed=0, dtype=torch.float64)
    inputs, units = [0, 1, 3, 4], [0, 2, 3]
    with torch.no_grad():
        small.hidden1.weight.copy_(net.hidden1.weight[units][:, inputs])
        small.hidden1.bias.copy_(net.hidden1.bias[units])
        small.output.weight.copy_(net.output.weight[:, units])
        small.output.bias.copy_(net.output.bias)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(sparse(x), small(x[:, inputs]), rtol=1e-12, atol=1e-12)


def test_a_masked_network_has_no_gradient_where_it_is_pruned_and_is_plain_afterwards():
    net, mask = nn.Linear(4, 2), torch.tensor([[1, 0, 1, 0], [0, 0, 1, 1]], dtype=torch.bool)
    before = net.weight.detach().clone()
    sparse = pruning.masked(net, {"weight": mask})
    assert torch.equal(net.weight, before)
    sparse(torch.ones(3, 4)).square().sum().backward()
    gradient = sparse.parametrizations.weight.original.grad
    assert not gradient[~mask].any()
    assert gradient[mask].all()
    with torch.no_grad():
        sparse.weight = torch.ones(2, 4)  # assigned weights are masked
    assert torch.equal(sparse.weight.detach(), mask.float())
    assert torch.equal(pruning.plain(sparse).weight.detach(), mask.float())
    assert isinstance(pruning.plain(sparse).weight, nn.Parameter)
    assert "parametrizations.weight.original" in sparse.state_dict()
    assert "parametrizations.weight.original" in copy.deepcopy(sparse).state_dict()


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_lenet_has_266200_weights_and_the_published_shares_are_left():
    """Fractions to one decimal as in Frankle and Carbin (2019): 51.3, 21.1 and 3.6 % after 3, 7 and 15 prunings."""
    net = lenet()
    masks = pruning.ones(net, 1)
    found = {}
    for rounds in (3, 7, 10, 15):
        weights = {name: p.detach()[None] for name, p in net.named_parameters()}
        left = pruning.smallest_pruned(weights, masks, shares={"output": 0.1}, times=rounds)
        found[rounds] = pruning.count(net, {name: mask[0] for name, mask in left.items()})
    assert sum(found[3].prunable.values()) == 235200 + 30000 + 1000
    assert found[3].others == 410
    assert [round(100 * found[r].density, 1) for r in (3, 7, 15)] == [51.3, 21.1, 3.6]
    assert found[3].left == {"hidden1.weight": 120422, "hidden2.weight": 15360, "output.weight": 729}


@given(n=st.integers(1, 10**6), share=st.floats(0.01, 0.9), a=st.integers(0, 8), b=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_prunings_add_up(n: int, share: float, a: int, b: int):
    left = pruning.left_after(n, share, a + b)
    assert left == pruning.left_after(pruning.left_after(n, share, a), share, b)
    assert 1 <= left <= n


# ---- which weights go ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_masks_are_those_of_torch(scope: str):
    """`torch.nn.utils.prune`, three prunings of 20 %, weights that move in between; equal masks."""
    net = nets.mlp(13, [11, 7], 3, seed=2)
    layers = [net.hidden1, net.hidden2, net.output]
    masks = pruning.ones(net, 1)
    for step in range(3):
        draw = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for layer in layers:
                weight = layer.weight_orig if step else layer.weight
                weight.copy_(torch.randn(weight.shape, generator=draw))
                layer(torch.zeros(1, layer.in_features))  # torch ranks what the last pass left in `weight`
        names = ["hidden1", "hidden2", "output"]
        weights = {
            f"{n}.weight": (layer.weight_orig if step else layer.weight).detach()[None]
            for n, layer in zip(names, layers, strict=True)
        }
        weights = {name: weight * masks[name] for name, weight in weights.items()}
        masks = pruning.smallest_pruned(weights, masks, share=0.2, scope=scope)
        if scope == "global":
            pairs = [(layer, "weight") for layer in layers]
            torch_prune.global_unstructured(pairs, pruning_method=torch_prune.L1Unstructured, amount=0.2)
        else:
            for layer in layers:
                torch_prune.l1_unstructured(layer, "weight", amount=0.2)
        for name, layer in zip(names, layers, strict=True):
            assert torch.equal(masks[f"{name}.weight"][0], layer.weight_mask.bool())


def test_pruned_weights_stay_pruned_and_ties_go_from_the_end():
    weights = {"w": torch.tensor([[9.0, 1.0, 1.0, 1.0, 5.0]])}
    first = pruning.smallest_pruned(weights, {"w": torch.tensor([[False, True, True, True, True]])}, share=0.5)
    assert first["w"].tolist() == [[False, True, False, False, True]]


def test_members_are_pruned_each_by_itself():
    draw = torch.Generator().manual_seed(0)
    weights = {"a": torch.randn(3, 4, 5, generator=draw), "b": torch.randn(3, 6, 2, generator=draw)}
    masks = {name: torch.rand(w.shape, generator=draw) < 0.7 for name, w in weights.items()}
    for scope in ("layer", "global"):
        together = pruning.smallest_pruned(weights, masks, scope=scope, times=2)
        for i in range(3):
            one = {name: w[i : i + 1] for name, w in weights.items()}
            alone = pruning.smallest_pruned(one, {n: m[i : i + 1] for n, m in masks.items()}, scope=scope, times=2)
            assert all(torch.equal(alone[name][0], together[name][i]) for name in masks)


def test_shares_that_do_not_fit_are_refused():
    masks = {"output.weight": torch.ones(1, 2, 2, dtype=torch.bool)}
    for bad in ({"share": 1.0}, {"share": float("nan")}, {"shares": {"out": 0.1}}, {"shares": {"output": 0.0}}):
        with pytest.raises(InvalidInput):
            pruning.smallest_pruned({}, masks, **bad)
    with pytest.raises(InvalidInput, match="ranked together"):
        pruning.smallest_pruned({}, masks, shares={"output": 0.1}, scope="global")
    with pytest.raises(UnknownName):
        pruning.smallest_pruned({}, masks, scope="network")


def test_a_permuted_mask_keeps_as_many_in_each_layer_or_in_all_and_its_places_are_uniform():
    """2,000 masks with 2 of 6 places: chi-squared with 5 degrees of freedom, scaled for the draws without replacement,
    exceeds 25.7 once in 10,000 times.
    """
    mask = {"a": torch.tensor([[[True, True, False]]]), "b": torch.tensor([[[False, False, False]]])}
    for within, hits in (("layer", {"a": 2, "b": 0}), ("network", None)):
        draws = [
            pruning.permuted(mask, [torch.Generator().manual_seed(seed)], within)
            for seed in range(200 if hits else 2000)
        ]
        if hits:
            assert all({name: int(m.sum()) for name, m in one.items()} == hits for one in draws)
        else:
            counts = sum(torch.cat([one["a"].flatten(), one["b"].flatten()]).double() for one in draws)
            assert counts.sum() == 4000
            expected = 4000 / 6
            chi = ((counts - expected) ** 2 / expected).sum() / (1 - 2 / 6) * 5 / 6
            assert chi < 25.7


def test_a_layer_that_is_empty_stays_empty():
    masks = {"w": torch.tensor([[False, False], [True, True]])}
    for scope in ("layer", "global"):
        left = pruning.smallest_pruned({"w": torch.ones(2, 2)}, masks, share=0.9, times=3, scope=scope)
        assert left["w"].tolist() == [[False, False], [True, False]]


def test_a_mask_of_a_weight_that_two_layers_share_is_refused():
    """One of them is an embedding, so that neither is pruned by itself; a mask of it would be one layer's only."""
    tied = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    tied[1].weight = tied[0].weight
    assert pruning.prunable(tied) == ("2.weight",)
    with pytest.raises(InvalidInput, match="one tensor"):
        pruning.masked(tied, {"0.weight": torch.zeros(4, 3, dtype=torch.bool)})


def test_frozen_weights_are_not_pruned_and_stay_frozen():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    net[0].weight.requires_grad_(False)
    assert pruning.prunable(net) == ("1.weight",)
    sparse = pruning.plain(pruning.masked(net, {"0.weight": torch.eye(3, dtype=torch.bool)}))
    assert not sparse[0].weight.requires_grad

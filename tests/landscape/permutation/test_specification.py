"""Derived permutation groups against those worked out by hand, and against the function they must not change."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.landscape.permutation import architectures as net
from torch import nn
from torch.nn import functional

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import permutation

ROUNDING = 1e-9  # float64: reordered sums of hundreds of products are within 1e-13, a wrong group is of order 1


def sizes(model: nn.Module, *x: torch.Tensor) -> list[tuple[int, tuple[int, ...]]]:
    """The free groups as (size, copies), sorted, once the function is seen to stay the same."""
    spec = permutation.specification(model, x)
    for seed in range(3):
        assert permutation.check(spec, model, x, seed=seed) < ROUNDING
    return sorted((g.size, spec.copies(g.name)) for g in spec.free)


TOKENS, IMAGES, WORDS = torch.zeros(2, 6, 5), torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, dtype=torch.long)
BY_HAND = [
    ("mlp", lambda: nets.mlp(8, [7, 6], 3, seed=0), torch.zeros(2, 8), [(6, ()), (7, ())]),
    *(
        (f"attention, {s}", lambda s=s: net.Attention(s), TOKENS, [(3, ()), (4, (3,)), (4, (3,)), (12, ())])
        for s in ("unbind", "split", "slices")
    ),
    ("attention, one matrix a head", net.Stacked, TOKENS, [(3, ()), (4, (3,)), (4, (3,)), (12, ())]),
    ("shared heads", net.SharedHeads, TOKENS, [(2, ()), (2, (2,)), (4, (2,)), (4, (2,)), (16, ())]),
    ("language", net.Language, WORDS, [(4, ()), (4, (4,)), (4, (4,)), (16, ()), (24, ())]),
    ("branches", net.Branches, IMAGES, [(3, ()), (4, ()), (5, ()), (6, ())]),
    ("blocks", net.blocks_of_channels, IMAGES, [(2, ()), (2, (2,)), (2, (2, 2)), (3, (2, 2))]),
]  # fmt: skip


@pytest.mark.parametrize(("model", "x", "expected"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
def test_groups_worked_out_by_hand(model, x, expected):
    assert sizes(model(), x) == sorted(expected)


def test_a_resnet_has_one_group_a_stage_and_one_in_each_block():
    spec = permutation.specification(nets.resnet(20, seed=0), torch.zeros(2, 3, 32, 32))
    assert sorted(g.size for g in spec.free) == [16] * 4 + [32] * 4 + [64] * 4
    assert spec.group("layer3.2.conv2.weight[2]").pinned is not None
    assert permutation.check(spec, nets.resnet(20, seed=0), torch.randn(2, 3, 32, 32)) < ROUNDING


def test_what_cannot_permute_says_why():
    spec = permutation.specification(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), torch.zeros(2, 3))
    assert {g.name: g.pinned for g in spec.pinned} == {
        "0.weight[1]": "an input of the model", "1.weight[0]": "the model's output",
    }  # fmt: skip
    ordered = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 5))
    pinned = permutation.specification(_First(ordered), torch.zeros(2, 3, 3)).group("net.0.weight[0]").pinned
    assert pinned is not None
    assert "lstm" in pinned


class _First(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[0]


class _Gram(nn.Module):
    """W W^T of one weight: its columns permute alike in all rows, though each row alone would allow more."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, 4))

    def forward(self, x):
        return x @ (self.w @ self.w.T)


class _Transposed(nn.Module):
    """x + W x on a stream that a first map writes and a last one reads: W is on both sides of one group."""

    def __init__(self):
        super().__init__()
        self.first, self.w, self.last = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x)
        return self.last(x + torch.tanh(self.w(x)))


def test_rows_of_one_matrix_share_the_permutation_of_its_columns():
    assert sizes(_Gram(), torch.randn(2, 5)) == [(4, ())]


def test_a_square_matrix_in_a_residual_sum():
    model, x = _Transposed(), torch.randn(2, 3)
    assert sizes(model, x) == [(6, ())]
    spec = permutation.specification(model, x)
    planted = permutation.random(spec, seed=1)
    found = permutation.weight_matching(model, permutation.permuted(spec, model, planted), spec, seed=0)
    assert all(torch.equal(found.state[name], tensor) for name, tensor in model.state_dict().items())


class Chain(nn.Module):
    """Linear layers at random with skips, concatenations, products, normalisation and attention between them."""

    def __init__(self, steps: list[tuple[str, int]], width: int):
        super().__init__()
        self.steps, self.layers = steps, nn.ModuleList([nn.Linear(3, width)])
        n = width
        for kind, m in steps:
            if kind == "linear":
                self.layers.append(nn.Linear(n, m * 2))
                n = 2 * m
            elif kind == "residual":
                self.layers.append(nn.Sequential(nn.Linear(n, m), nn.GELU(), nn.Linear(m, n)))
            elif kind == "cat":
                self.layers.append(nn.Linear(n, m))
                n = n + m
            elif kind == "norm":
                self.layers.append(nn.LayerNorm(n))
            elif kind == "blocks":
                self.layers.append(nn.GroupNorm(2 if n % 2 == 0 else 1, n))
            elif kind == "gate":
                self.layers.append(nn.Linear(n, 2 * m))
                n = m
            else:
                self.layers.append(nn.MultiheadAttention(n, 2 if n % 2 == 0 else 1))
        self.last = nn.Linear(n, 2)

    def forward(self, x):
        x = self.layers[0](x)
        for (kind, _), layer in zip(self.steps, self.layers[1:], strict=True):
            if kind == "residual":
                x = x + layer(x)
            elif kind == "cat":
                x = torch.cat([x, layer(x)], -1)
            elif kind == "gate":
                a, b = layer(x).chunk(2, -1)
                x = a * torch.sigmoid(b)
            elif kind == "attention":
                x = layer(x, x, x, need_weights=False)[0]
            else:
                x = torch.tanh(layer(x)) if kind == "linear" else layer(x)
        return self.last(x)


KINDS = st.sampled_from(["linear", "residual", "cat", "norm", "blocks", "gate", "attention"])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(st.tuples(KINDS, st.integers(1, 4)), max_size=6), st.integers(2, 6), st.integers(0, 2**31))
def test_random_architectures_keep_their_function(steps, width, seed):
    torch.manual_seed(0)
    model, x = Chain(steps, width), torch.randn(4, 3)
    spec = permutation.specification(model, x)
    assert permutation.check(spec, model, x, seed=seed) < ROUNDING
    one, two = permutation.random(spec, seed), permutation.random(spec, seed + 1)
    at_once = permutation.permuted(spec, model, permutation.compose(spec, one, two))
    in_turn = permutation.permuted(spec, permutation.permuted(spec, model, one), two)
    back = permutation.permuted(spec, permutation.permuted(spec, model, one), permutation.inverse(spec, one))
    for name, tensor in model.state_dict().items():
        assert torch.equal(at_once[name], in_turn[name])
        assert torch.equal(back[name], tensor)


def test_what_is_wrong_is_refused():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), torch.zeros(2, 3)
    spec = permutation.specification(model, x)
    with pytest.raises(InvalidInput, match="fails on inputs"):
        permutation.specification(model, torch.zeros(2, 4))
    with pytest.raises(UnknownName, match="did you mean"):
        permutation.permuted(spec, model, {"0.weight[2]": torch.arange(4)})
    with pytest.raises(InvalidInput, match="pinned: an input"):
        permutation.permuted(spec, model, {"0.weight[1]": torch.arange(3)})
    with pytest.raises(InvalidInput, match="no permutation"):
        permutation.permuted(spec, model, {"0.weight[0]": torch.tensor([0, 0, 1, 2])})
    with pytest.raises(InvalidInput, match="specification has"):
        permutation.permuted(spec, {"0.weight": torch.zeros(2, 2)}, {})


class Branching(nn.Module):
    """What it computes depends on the sign of a sum."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.first(x)
        if x.sum() > 0:
            x = 2 * x
        return self.last(x)


def test_a_branch_on_values_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match=r"test_specification\.py, line \d+, .*`if x\.sum\(\) > 0:`.*torch\.where"):
        permutation.specification(Branching(), torch.ones(2, 3))


def test_a_specification_that_allows_too_much_is_found_out():
    """Two groups of two said to be apart that are one: half of the permutations are right, and no draw may be 1."""
    model, x = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2)), torch.randn(2, 3)
    spec = permutation.specification(model, x)
    (group,) = spec.free
    other = replace(group, name="another")
    groups = {**spec.groups, other.name: other}
    blocks = tuple(
        replace(b, factors=tuple((other.name,) if own == (group.name,) else own for own in b.factors))
        if b.tensor == "2.weight"
        else b
        for b in spec.blocks
    )
    wrong = replace(spec, groups=groups, blocks=blocks)
    for seed in range(20):  # a draw misses with probability 1/3, ten of them with 2e-5
        assert permutation.check(wrong, model, x, seed=seed) > 1e-3
        assert permutation.check(spec, model, x, seed=seed) < ROUNDING
    nothing = permutation.specification(nn.Linear(3, 2), x)
    assert permutation.check(nothing, nn.Linear(3, 2), x) == 0
    with pytest.raises(InvalidInput, match="draws = 0"):
        permutation.check(spec, model, x, draws=0)


class Rows(nn.Module):
    """Row 1 of E is added to neurons that may move, row 0 to the outputs, which may not."""

    def __init__(self):
        super().__init__()
        self.E = nn.Parameter(torch.randn(2, 8, dtype=torch.float64))
        self.a, self.d = nn.Linear(5, 8, dtype=torch.float64), nn.Linear(8, 8, dtype=torch.float64)

    def forward(self, x):
        return self.d(torch.tanh(self.a(x) + self.E[1])) + self.E[0]


class OverHeads(nn.Module):
    """An operation along the axis of three heads of two, which sees how those of different heads stand."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation
        self.first, self.last = nn.Linear(5, 6, dtype=torch.float64), nn.Linear(6, 2, dtype=torch.float64)

    def forward(self, x):
        q = self.first(x).view(len(x), -1, 3, 2).transpose(1, 2)
        return self.last(torch.tanh(self.operation(q).transpose(1, 2).reshape(len(x), -1, 6)))


@pytest.mark.parametrize(
    "make",
    [
        Rows,
        lambda: OverHeads(lambda q: q.softmax(1)),
        lambda: OverHeads(lambda q: q.flip(1)),
        lambda: OverHeads(lambda q: functional.layer_norm(q.transpose(1, 3), (3,)).transpose(1, 3)),
    ],
    ids=["rows of one tensor", "softmax over heads", "flip of heads", "normalisation over heads"],
)
def test_what_sees_the_places_of_others_is_left_where_it_is(make):
    torch.manual_seed(0)
    model = make().eval()
    x = torch.randn(*((4, 5) if isinstance(model, Rows) else (4, 3, 5)), dtype=torch.float64)
    spec = permutation.specification(model, x)
    expected = model(x)
    for seed in range(5):  # three heads of two: a draw of the identity is one in twelve or rarer
        state = permutation.permuted(spec, model.state_dict(), permutation.random(spec, seed=seed))
        torch.testing.assert_close(torch.func.functional_call(model, state, (x,)), expected, rtol=1e-10, atol=1e-12)

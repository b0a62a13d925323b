"""Shapes, parameter counts and published names of the networks; every one is built from its seed alone."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName

BUILD = {
    "mlp": lambda seed: nets.mlp(6, [5, 4], 3, seed=seed),
    "ntk": lambda seed: nets.mlp(6, [5, 4], 3, initialisation="ntk", seed=seed),
    "convnet": lambda seed: nets.convnet(3, seed=seed),
    "convnet1d": lambda seed: nets.convnet1d(3, batch_norm=True, seed=seed),
    "resnet": lambda seed: nets.resnet(8, channels=2, seed=seed),
    "autoencoder": lambda seed: nets.linear_autoencoder(6, 2, seed=seed),
}


@pytest.mark.parametrize("family", BUILD)
def test_the_seed_alone_determines_the_network(family):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again, other = BUILD[family](7), BUILD[family](torch.Generator().manual_seed(7)), BUILD[family](8)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q, _ in pairs)
    assert any(not torch.equal(p, r) for p, _, r in pairs)
    assert all(p.requires_grad and p.isfinite().all() for p in first.parameters())


def test_mlp_computes_what_its_formula_says():
    net = nets.mlp(4, [5], 3, activation="tanh", seed=0, dtype=torch.float64)
    x = torch.randn(7, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    W1, b1, W2, b2 = (p.detach() for p in net.parameters())
    expected = torch.tanh(x.reshape(7, 4) @ W1.T + b1) @ W2.T + b2
    torch.testing.assert_close(net(x).detach(), expected, rtol=0, atol=1e-14)
    assert [name for name, _ in net.named_parameters()] == [
        "hidden1.weight", "hidden1.bias", "output.weight", "output.bias",
    ]  # fmt: skip
    assert len(list(nets.mlp(4, [], 3, bias=False, seed=0).parameters())) == 1


def test_parameter_counts_of_the_literature():
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    # Zhang et al. (2017), table 1: MLP 1x512 and 3x512 on 28x28x3 inputs
    assert count(nets.mlp(28 * 28 * 3, [512], 10, seed=0)) == 1_209_866
    assert count(nets.mlp(28 * 28 * 3, [512] * 3, 10, seed=0)) == 1_735_178
    # MNIST-1D (Greydanus and Kobak, 2024): 410, 15,210 and 5,210
    assert count(nets.mlp(40, [], 10, seed=0)) == 410
    assert count(nets.mlp(40, [100, 100], 10, seed=0)) == 15_210
    assert count(nets.convnet1d(25, seed=0)) == 5_210
    # He et al. (2016), table 6: 0.27M at depth 20, 0.85M at depth 56 (there without weights in the shortcuts)
    assert count(nets.resnet(20, seed=0)) == pytest.approx(0.27e6, rel=0.02)
    assert count(nets.resnet(56, seed=0)) == pytest.approx(0.85e6, rel=0.02)


def test_convnet_fits_images_of_any_size():
    for image in [(1, 14, 14), (3, 32, 32), (1, 7, 5)]:
        net = nets.convnet(2, image=image, outputs=4, seed=0)
        assert net(torch.zeros(2, *image)).shape == (2, 4)
    assert nets.convnet1d(2, length=33, seed=0)(torch.zeros(2, 1, 33)).shape == (2, 10)


def test_a_block_adds_its_input():
    """With its last scale at zero a residual block passes on relu of its input, a plain one zero."""
    x = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for shortcuts in (True, False):
        stage = nets.resnet(8, channels=4, shortcuts=shortcuts, seed=0).eval().layer1
        torch.nn.init.zeros_(stage[0].bn2.weight)
        assert torch.equal(stage(x), x if shortcuts else torch.zeros_like(x))


@pytest.mark.parametrize(("weights", "shortcuts"), [("resnet56_epoch300", True), ("resnet56_noshort_epoch300", False)])
def test_published_weights_load_by_name(weights, shortcuts):
    path = Path(os.environ.get("LEMMATA_DATA", "nowhere")) / "oracles" / "loss-landscape" / f"{weights}.npz"
    if not path.exists():
        pytest.skip(f"no {weights}.npz under LEMMATA_DATA")
    net = nets.resnet(56, shortcuts=shortcuts, seed=0)
    with np.load(path, allow_pickle=False) as published:
        own = {name: t.shape for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")}
        assert {name: published[name].shape for name in published} == {n: tuple(s) for n, s in own.items()}
        net.load_state_dict({name: torch.tensor(published[name]) for name in published}, strict=False)
    assert net.eval()(torch.zeros(1, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize(
    ("message", "build"),
    [
        ("layer sizes \\[4, 0, 3\\]: size 0 at place 1", lambda: nets.mlp(4, [0], 3, seed=0)),
        ("size -2 at place 1", lambda: nets.linear_autoencoder(4, -2, seed=0)),
        ("size 0 at place 3", lambda: nets.convnet(0, seed=0)),
        ("size 0 at place 0", lambda: nets.convnet1d(0, seed=0)),
        ("depth 21 is not 6n \\+ 2", lambda: nets.resnet(21, seed=0)),
        ("depth 2 is not 6n \\+ 2", lambda: nets.resnet(2, seed=0)),
        ("needs an input and an output, not 3 -> 0", lambda: nets.NTKLinear(3, 0, seed=0)),
    ],
)
def test_impossible_sizes_are_refused(message, build):
    with pytest.raises(InvalidInput, match=message):
        build()


def test_unknown_names_are_offered_a_neighbour():
    with pytest.raises(UnknownName, match="unknown activation 'rleu'; did you mean 'relu'"):
        nets.mlp(4, [3], 2, activation="rleu", seed=0)
    with pytest.raises(UnknownName, match="unknown initialisation 'xaver'; did you mean 'xavier'"):
        nets.mlp(4, [3], 2, initialisation="xaver", seed=0)

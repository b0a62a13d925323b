"""A step of a curve between two networks, in gradients of one network: any model against rewritten layers.

    python benchmarks/paths.py

writes ``benchmarks/results/paths.json``. One process, one thread, processor time. The unit is one gradient of the plain
network on the minibatch. The work is 20 steps of SGD with momentum on a quadratic Bezier curve. The peer is written the
way that rewritten layers work: every linear layer and convolution has three sets of weights, and its forward pass mixes
them at t; the loss is differentiated through that. Both sides descend from the same points; the limit is the one
gradient that any method takes.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

import machine
from lemmata import nets
from lemmata.landscape.paths.bases import bernstein
from lemmata.landscape.paths.bends import Bends
from lemmata.landscape.paths.ends import Ends
from lemmata.training import SGD
from turns import RESULTS, Row, Side, merge, show

STEPS, BATCH, RATE, MOMENTUM = 20, 128, 0.01, 0.9


class CurveLayer(nn.Module):
    """A linear layer or convolution with three sets of weights, of which the middle one is trained."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.kind = layers[0]
        for name in ("weight", "bias"):
            for k, layer in enumerate(layers):
                p = nn.Parameter(getattr(layer, name).detach().clone(), requires_grad=k == 1)
                self.register_parameter(f"{name}_{k}", p)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Mix the weights by c (3,) and apply the layer."""
        weight, bias = (sum(c[k] * self.get_parameter(f"{n}_{k}") for k in range(3)) for n in ("weight", "bias"))
        if isinstance(self.kind, nn.Conv2d):
            return functional.conv2d(x, weight, bias, self.kind.stride, self.kind.padding)
        return functional.linear(x, weight, bias)


class CurveNetwork(nn.Module):
    """A sequential network of such layers."""

    def __init__(self, networks: list[nn.Sequential]):
        super().__init__()
        triples = zip(*networks, strict=True)
        self.layers = nn.ModuleList(
            CurveLayer(list(t)) if isinstance(t[0], nn.Linear | nn.Conv2d) else t[0] for t in triples
        )

    def forward(self, x: Tensor, t: float) -> Tensor:
        """Evaluate the network at t on the curve."""
        c = bernstein(torch.tensor(t), 3).float()
        for layer in self.layers:
            x = layer(x, c) if isinstance(layer, CurveLayer) else layer(x)
        return x


def rewritten(networks: list[nn.Sequential], x: Tensor, y: Tensor) -> float:
    """Steps with rewritten layers; the last loss."""
    curve = CurveNetwork(networks)
    free = [p for p in curve.parameters() if p.requires_grad]
    rule = torch.optim.SGD(free, lr=RATE, momentum=MOMENTUM)
    loss = torch.tensor(0.0)
    for step in range(STEPS):
        rule.zero_grad()
        loss = functional.cross_entropy(curve(x, (step + 0.5) / STEPS), y)
        loss.backward()
        rule.step()
    return loss.item()


def ours(networks: list[nn.Sequential], x: Tensor, y: Tensor) -> float:
    """The same steps on the model as it is."""
    ends = Ends.of(networks[0], [networks[0]], [networks[2]])
    control = ends.straight(1)
    moving = Bends(ends.models, control, bernstein, loss="cross_entropy", draws=1, decay=0.0)
    rule = SGD(lr=RATE, momentum=MOMENTUM).start(moving)
    loss = torch.zeros(1)
    for step in range(STEPS):
        moving.t = torch.full((1, 1), (step + 0.5) / STEPS, dtype=torch.float64)
        loss = rule.step(moving, x[None], y[None], shared=False, factor=1.0)
    return loss.item()


def gradient(network: nn.Sequential, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(functional.cross_entropy(network(x), y), list(network.parameters()))


def row(name: str, a: nn.Sequential, b: nn.Sequential, middle: nn.Sequential, x: Tensor) -> Row:
    y = torch.randint(10, (len(x),), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for p, one, other in zip(middle.parameters(), a.parameters(), b.parameters(), strict=True):
            p.copy_((one + other) / 2)
    networks = [a, middle, b]
    off = abs(ours(networks, x, y) - rewritten(networks, x, y))
    return Row(
        f"{STEPS} steps of a Bezier curve, {name}, batch {len(x)}", partial(gradient, a, x, y), "gradients a step",
        [
            Side("lemmata", partial(ours, networks, x, y)),
            Side("rewritten layers, autograd", partial(rewritten, networks, x, y)),
        ],
        turns=5, per=STEPS, limit=1.0, limit_reason="the gradient of one network, which any method takes",
        facts={"parameters": sum(p.numel() for p in a.parameters()), "difference of the last losses": off},
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    flat, images = torch.randn(BATCH, 784, generator=draw), torch.randn(BATCH, 1, 14, 14, generator=draw)
    rows = [
        row("MLP 784-256-128-10", *(nets.mlp(784, [256, 128], 10, seed=s) for s in range(3)), flat),
        row("convolutional network, 16 and 32 channels", *(nets.convnet(16, seed=s) for s in range(3)), images),
    ]
    facts, measured = machine.facts(), []
    for one in rows:
        measured.append(one.measure())
        merge(RESULTS / "paths.json", measured[-1], facts)
    show(measured)


if __name__ == "__main__":
    main()

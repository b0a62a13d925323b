"""Networks that learn a table of a op b modulo p from a part of it: the runs of the study of Power and others (2022).

Every cell of the p x p table is an example; a random share of them is for training, the others for validation. All
networks of a block take their steps together, full batch, by AdamW.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lemmata import nets
from lemmata.study import Config, Curve, Measurements
from lemmata.training import Adam
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import assemble

FITTED = 0.99  # accuracy from which the training cells count as fitted
GENERALISED = 0.95  # accuracy from which the others count as found
EVERY = 50  # steps between two looks


class Table(Config):
    """One network, one table, one choice of cells."""

    operation: Literal["sum", "first", "random"] = "sum"
    p: int = Field(default=31, ge=3, description="modulus")
    fraction: float = Field(default=0.6, gt=0, lt=1, description="share of the cells that is trained on")
    network: Literal["perceptron", "transformer"] = "perceptron"
    width: int = Field(default=128, ge=1)
    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1.0, ge=0, description="of AdamW: weights shrink by lr times this each step")
    steps: int = Field(default=8000, ge=EVERY)


class Block(nn.Module):
    """Causal attention of four heads and a perceptron, each added to what it reads."""

    def __init__(self, width: int):
        super().__init__()
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, h: Tensor) -> Tensor:
        """Positions (n, length, width) to the same shape."""
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.read(self.before(h)).chunk(3, -1))
        later = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool, device=h.device).triu(1)
        weight = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(later, -torch.inf).softmax(-1)
        h = h + self.write((weight @ v).transpose(1, 2).flatten(2))
        return h + self.outer(torch.relu(self.inner(self.between(h))))


class Transformer(nn.Module):
    """Two blocks on the tokens (a, op, b, =), as in the paper; logits are read off the last one."""

    def __init__(self, p: int, width: int, seed: int):
        super().__init__()
        self.p = p
        self.token = nn.Parameter(torch.empty(p + 2, width))
        self.place = nn.Parameter(torch.empty(4, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.output = nn.Linear(width, p)
        nets.initialise(self, "standard", seed)
        random = torch.Generator().manual_seed(40_000 + seed)
        with torch.no_grad():
            for table in (self.token, self.place):
                table.copy_(torch.randn(table.shape, generator=random) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """One-hot pairs (n, 2p) to logits (n, p)."""
        a, b = x[:, : self.p] @ self.token[: self.p], x[:, self.p :] @ self.token[: self.p]
        op, equals = (self.token[self.p + i].expand_as(a) for i in range(2))
        return self.output(self.blocks(torch.stack([a, op, b, equals], 1) + self.place)[:, -1])


def table(config: Table) -> tuple[Tensor, Tensor]:
    """All cells: one-hot pairs (p^2, 2p) and results (p^2,); random results follow from the seed."""
    a, b = torch.meshgrid(torch.arange(config.p), torch.arange(config.p), indexing="ij")
    a, b = a.ravel(), b.ravel()
    if config.operation == "random":
        random = torch.Generator().manual_seed(30_000 + config.seed)
        y = torch.randint(config.p, a.shape, generator=random)
    else:
        y = (a + b) % config.p if config.operation == "sum" else a
    return torch.cat([one_hot(a, config.p), one_hot(b, config.p)], 1).float(), y


def split(config: Table) -> tuple[Tensor, Tensor]:
    """Which cells are trained on, and which are not."""
    cells = torch.randperm(config.p**2, generator=torch.Generator().manual_seed(config.seed))
    n = int(config.fraction * config.p**2)
    return cells[:n], cells[n:]


def network(config: Table) -> nn.Module:
    """An untrained network."""
    if config.network == "transformer":
        return Transformer(config.p, config.width, config.seed)
    return nets.mlp(2 * config.p, [config.width], config.p, seed=config.seed)


def run(configs: Sequence[Table]) -> list[Measurements]:
    """Train all networks of a block together, until every one has generalised or to the last step."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ensemble = assemble([network(config).to(device) for config in configs], "cross_entropy")
    decay = [config.weight_decay for config in configs]
    rule = Adam(lr=first.lr, betas=(0.9, 0.98), weight_decay=decay, decoupled=True).start(ensemble)
    x, y, x_other, y_other = (torch.stack(part).to(device) for part in zip(*map(examples, configs), strict=True))
    found: list[np.ndarray] = []
    for step in range(1, first.steps + 1):
        rule.step(ensemble, x, y, shared=False, factor=1.0)
        if step % EVERY == 0:
            found.append(np.stack([accuracy(ensemble, x, y), accuracy(ensemble, x_other, y_other)]))
            if np.max([others for _, others in found], axis=0).min() >= GENERALISED:
                break
    at = EVERY * np.arange(1, len(found) + 1)
    return [measured(at, *np.stack(found)[..., i].T) for i in range(len(configs))]


def examples(config: Table) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs and results of the cells trained on, and of the others."""
    x, y = table(config)
    trained, others = split(config)
    return x[trained], y[trained], x[others], y[others]


@torch.no_grad()
def accuracy(ensemble: Ensemble, x: Tensor, y: Tensor) -> np.ndarray:
    """The share of cells (M, n) that each network gets right, (M,)."""
    return (ensemble(x).argmax(-1) == y).double().mean(1).cpu().numpy()


def measured(at: np.ndarray, training: np.ndarray, others: np.ndarray) -> Measurements:
    """When the training cells are fitted and the others found; curves end where they are, whatever the block does."""
    fitted, generalised = (first_at(at, values, level) for values, level in ((training, FITTED), (others, GENERALISED)))
    kept = at <= generalised
    at, training, others = at[kept], training[kept], others[kept]
    more = {}
    if np.isfinite(fitted):
        more["others_when_fitted"] = float(others[at == fitted][0]) if fitted <= generalised else float(others[-1])
        if np.isfinite(generalised):
            more["delay"] = generalised / fitted
    return Measurements.of(
        "ok",
        fitted=fitted,
        generalised=generalised,
        best=float(others.max()),
        **more,
        training=Curve(at, training),
        others=Curve(at, others),
    )


def first_at(at: np.ndarray, values: np.ndarray, level: float) -> float:
    """The first step at which a level is reached; infinity if it never is."""
    reached = values >= level
    return float(at[np.argmax(reached)]) if reached.any() else np.inf

"""Trace and diagonal of the generalised Gauss-Newton matrix, exactly, from squared per-sample gradients.

    G = sum_n J_n^T (d^2 L / dz_n^2) J_n = sum_n sum_j s_nj (J_n^T S_nj)(J_n^T S_nj)^T

with J_n the Jacobian of sample n's outputs z_n and S_nj the columns of a factor of the loss's Hessian there
(`lemmata.curvature.output_curvature`). So tr G is the sum of s |J_n^T S_nj|^2, and diag G that of the squared entries.
For column j one backward pass from the outputs, through the activations only, serves all samples, and the squares
follow from the layers' inputs and output gradients (`lemmata.curvature.ghost_norm`). No theorem is needed and nothing
is random: it is exact for every network whose samples do not mix.

Cost with R columns (R = C - 1 for cross-entropy with C classes): (1 + R) / 3 gradients for the passes, and up to
R / 3 for the squares of convolutions; next to nothing for the squares of linear layers. Samples are taken in chunks
whose working set fits the cache. A parameter that enters by another operation than a linear layer, a convolution or
a normalisation has its gradients taken sample by sample, about R gradients more. It is refused where the outputs of
one sample depend on another's (batch normalisation by statistics of the batch).
"""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lemmata.curvature.ghost_norm import Outer, Use
from lemmata.curvature.not_exact import NotExact
from lemmata.curvature.output_curvature import OutputFactor, output_factor
from lemmata.curvature.sample_layout import Layout
from lemmata.curvature.signals import Signals
from lemmata.objective import Objective, Tree

WORKING_SET = 2**27  # bytes: patches of a chunk of samples that are used in every pass


@dataclass(frozen=True)
class Squares:
    """For every parameter the trace of its block () or its diagonal (its shape); the cost in gradients."""

    values: Tree
    cost: float


def ggn_trace(objective: Objective, *, memory: int = 2**30) -> Squares:
    """The trace of the Gauss-Newton matrix by parameter, in float64. See the module for cost and refusals."""
    return _Run(objective, entries=False, memory=memory).result()


def ggn_diagonal(objective: Objective, *, memory: int = 2**30) -> Squares:
    """The diagonal of the Gauss-Newton matrix as a tree. See the module for cost and refusals."""
    return _Run(objective, entries=True, memory=memory).result()


class _Run:
    """One sweep over the data, adding up squares by parameter."""

    def __init__(self, objective: Objective, *, entries: bool, memory: int):
        self.objective, self.entries, self.memory = objective, entries, memory
        self.theta = {name: tensor.requires_grad_() for name, tensor in objective.parameters.items()}
        self.total = {n: torch.zeros(p.shape if entries else (), dtype=torch.float64) for n, p in self.theta.items()}
        self.total = {name: total.to(objective.device) for name, total in self.total.items()}
        self.flops = self.gradient_flops = 0.0
        self.layout = Layout(objective, self.theta, entries)

    def result(self) -> Squares:
        """Sweep over the batches."""
        for x, y in self.objective.batches:
            whole = None if self.objective.loss_name else self._whole_factor(x, y)
            size = self.layout.samples_at_once(min(WORKING_SET, self.memory), self.objective.mode == "train", len(x))
            for start in range(0, len(x), size):
                rows = slice(start, start + size)
                z = self.objective.outputs(self.theta, x[rows])
                if whole is None:
                    factor, share = output_factor(self.objective, z, y[rows]), len(z) / self.objective.n
                else:
                    factor, share = whole.rows(rows), len(x) / self.objective.n
                self._chunk(x[rows], z, factor, share)
        like = self.objective.dtype if self.entries else torch.float64
        return Squares({n: t.to(like) for n, t in self.total.items()}, self.cost)

    @property
    def cost(self) -> float:
        """Gradient evaluations of the whole data, by flops."""
        return self.flops / self.gradient_flops if self.gradient_flops else 0.0

    def _whole_factor(self, x: Tensor, y: Tensor) -> OutputFactor:
        """The factor of a loss that may weigh samples by the batch, which is therefore not split."""
        with torch.no_grad():
            z = self.objective.outputs(self.theta, x)
        return output_factor(self.objective, z, y, memory=self.memory)

    def _chunk(self, x: Tensor, z: Tensor, factor: OutputFactor, share: float) -> None:
        if not z.requires_grad:
            return
        uses, rest = self.layout.read(z, self.theta)
        signals = Signals(z, uses)
        deferred: dict[str, Outer] = {}
        with torch.no_grad(), signals:
            for j in range(factor.rank):
                column, signs = factor.column(j)
                late: dict[str, dict[Use, Tensor]] = defaultdict(dict)

                def receive(use: Use, d: Tensor, signs: Tensor | None = signs, late: Any = late) -> None:
                    if len(uses[use.name]) > 1:
                        late[use.name][use] = d
                    elif self.entries and isinstance(use, Outer) and use.positions == 1:
                        use.add_square_entries(d, signs)
                        deferred[use.name] = use
                    else:
                        self._add(use.name, self._squares({use: d}, signs), share)

                signals.pull(column, receive)
                for name, parts in late.items():
                    self._add(name, self._squares(parts, signs), share)
                if rest:
                    for name, G in self._one_by_one(x, column, rest).items():
                        self._add(name, _sum_of_squares(G, signs, self.entries), share)
            for name, use in deferred.items():
                self._add(name, use.square_entries(), share)
        self._count(signals, rest, factor.rank, len(z))

    def _squares(self, parts: dict[Use, Tensor], signs: Tensor | None) -> Tensor:
        if len(parts) == 1 and not self.entries:
            ((use, d),) = parts.items()
            norms = use.square_norms(d)
            return (norms if signs is None else norms * signs).sum()
        G = sum((use.gradients(d) for use, d in parts.items()), torch.zeros(()).to(next(iter(parts.values()))))
        return _sum_of_squares(G, signs, self.entries)

    def _add(self, name: str, squares: Tensor, share: float) -> None:
        self.total[name] += share * squares.double()

    def _one_by_one(self, x: Tensor, column: Tensor, names: list[str]) -> Tree:
        """J_n^T S_n for parameters whose use is not recognised: (n, *shape) each, by mapped backward passes."""
        others = {name: p.detach() for name, p in self.theta.items() if name not in names}
        chosen = {name: self.theta[name].detach() for name in names}

        def pulled(x: Tensor, column: Tensor) -> Tree:
            outputs = partial(self._single, others, x)
            return vjp(outputs, chosen)[1](column)[0]

        size = 4 * sum(p.numel() * p.element_size() for p in chosen.values())
        try:
            with warnings.catch_warnings(), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
                warnings.filterwarnings("ignore", message="There is a performance drop")  # no rule for mapping: a loop
                return vmap(pulled, chunk_size=max(1, self.memory // size))(x, column)
        except RuntimeError as error:
            raise NotExact(
                f"{names[0]!r} enters by an operation without a ghost norm, and the model cannot be mapped over "
                f"samples ({str(error).splitlines()[0]}); take method='hutchinson', or an objective without it"
            ) from error

    def _single(self, others: Tree, x: Tensor, chosen: Tree) -> Tensor:
        return self.objective.outputs({**others, **chosen}, x[None])[0]

    def _count(self, signals: Signals, rest: list[str], rank: int, n: int) -> None:
        """A layer takes as many flops forward as backward to its input, which the first ones are spared."""
        forward = through = squares = 0.0
        for node, uses in signals.of_node.items():
            for use in uses:
                layer, own = use.flops(self.entries, rank)
                forward, squares = forward + layer, squares + own
                through += 0.0 if node in signals.first else layer
        if rest or not forward:  # layers that are not recognised: as if all flops were in layers like these
            forward, through = forward or 1.0, forward or 1.0
        self.gradient_flops += 3 * n * forward
        self.flops += n * (forward + rank * through + squares + (3 * rank * forward if rest else 0))


def _sum_of_squares(G: Tensor, signs: Tensor | None, entries: bool) -> Tensor:
    """Add up s_n G_n^2 over samples, entry by entry or altogether; G (n, *shape)."""
    if not entries:
        norms = G.flatten(1).square().sum(1)
        return (norms if signs is None else norms * signs).sum()
    squares = G.square()
    return (squares if signs is None else squares * signs.view(-1, *[1] * (G.ndim - 1))).sum(0)

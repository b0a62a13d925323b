"""The sharpness of M networks while they are trained: all together, and warm-started from the last time.

    sharpness = lambda_max(H),   H = d^2 L / d theta^2,   L the loss of the whole training set

Between two measurements the leading eigenvectors turn a little, mostly among themselves. So the search for the next
one starts from the subspace of the last two leading Ritz vectors: on networks at the edge of stability that takes some
5 products to a relative residual of 1e-3, against 20 from a random start, and 7 from the last eigenvector alone. With
two vectors it also sees an eigenvalue overtake another. Cost: a gradient, and 2 gradients for each product.

It fails to see an eigenvalue that rises above the others along a direction of which the subspace has nothing, until
rounding or the next cold start shows it; `cold_every` sets how often one is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.curvature.perceptron_hessians import hessians_at
from lemmata.estimate import Estimate
from lemmata.linalg.leading_pair import leading_pairs
from lemmata.objective import Objective, Subject
from lemmata.training.epochs import Epochs, log_epochs
from lemmata.training.probes import WeightProbe

SIXTY_EPOCHS = log_epochs(60)
RECYCLED = 2  # leading Ritz vectors that the next search starts from; with more, there is more to multiply than to gain


@dataclass(frozen=True, kw_only=True)
class Sharpness(Estimate):
    """`value` (M,) largest Hessian eigenvalues, float64; `residuals` (M,) |H v - lambda v|, v the rows of `vectors`.

    `products` (M,) counts those with the Hessian of each, `cost` what they come to in gradients of one member.
    """

    residuals: Tensor
    vectors: Tensor = field(repr=False)
    products: Tensor
    warm: bool


class SharpnessTracker:
    """Measures the sharpness of one objective at successive points, or at those of M members together.

    `tolerance` bounds the residual relative to the sharpness (to the largest |eigenvalue| met). Every `cold_every`-th
    measurement starts from random vectors (0: only the first). `memory` bounds the graphs kept, in bytes. `history`
    keeps every `Sharpness`. Random: the cold starts, by `seed`. Raises `NotConverged` beyond `max_products`.

    >>> x = torch.eye(2)
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> tracker = SharpnessTracker((model, "mse", (x, x[:, :1])))
    >>> round(tracker.measure().value.item(), 4), round(tracker.measure({"weight": torch.ones(1, 2)}).value.item(), 4)
    (1.0, 1.0)
    """

    def __init__(
        self,
        subject: Subject,
        *,
        tolerance: float = 1e-3,
        cold_every: int = 0,
        max_products: int = 300,
        memory: int = 2**30,
        seed: int = 0,
    ):
        self.objective = Objective.of(subject)
        self.tolerance, self.cold_every, self.max_products = tolerance, cold_every, max_products
        self.memory, self.generator = memory, torch.Generator().manual_seed(seed)
        self.history: list[Sharpness] = []
        self._points = self._vectors = torch.empty(0)

    def measure(self, state: Mapping[str, Tensor] | None = None) -> Sharpness:
        """Measure at the model's own parameters or at `state`: of one member, or of M with a leading axis.

        `state` has all parameters that the objective is a function of, and may have others, and buffers.
        """
        own = self.objective.parameters
        state = own if state is None else state
        name = self.objective.names[0]
        if name in state and state[name].shape == own[name].shape:
            state = {key: tensor[None] for key, tensor in state.items()}
        hessians = hessians_at(self.objective, state, memory=self.memory)
        points = torch.cat([state[key].detach().flatten(1) for key in self.objective.names], 1)
        start, nearest = self._start(points)
        found = leading_pairs(
            hessians.product, start, keep=RECYCLED, tolerance=self.tolerance, max_products=self.max_products
        )
        self._remember(points, found.vectors, nearest)
        sharpness = Sharpness(
            found.values, residuals=found.residuals, vectors=found.vectors[:, 0], products=found.products,
            warm=nearest is not None, cost=len(points) + 2.0 * int(found.products.sum()),
        )  # fmt: skip
        self.history.append(sharpness)
        return sharpness

    def _start(self, points: Tensor) -> tuple[Tensor, Tensor | None]:
        """Where each member's search starts, (M, s, size), and which record each goes on from, if any."""
        due = self.cold_every > 0 and len(self.history) % self.cold_every == 0
        if due or len(points) > len(self._points):
            shape = (len(points), 1, points.shape[1])
            return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(points), None
        if len(points) == len(self._points):
            nearest = torch.arange(len(points), device=points.device)
        else:  # members have left: go on from the record that each is nearest to
            nearest = torch.cdist(points, self._points).argmin(1)
        return self._vectors[nearest], nearest

    def _remember(self, points: Tensor, vectors: Tensor, nearest: Tensor | None) -> None:
        if nearest is None or len(points) == len(self._points):
            self._points, self._vectors = points.clone(), vectors
        else:
            self._points[nearest], self._vectors[nearest] = points, vectors


@dataclass(frozen=True)
class SharpnessProbe(WeightProbe):
    """A probe of `lemmata.training.train`; `tracker.history` has residuals and products of each measurement."""

    tracker: SharpnessTracker = field(kw_only=True, repr=False)


def sharpness_probe(
    subject: Subject,
    *,
    at: Epochs = SIXTY_EPOCHS,
    tolerance: float = 1e-3,
    cold_every: int = 0,
    max_products: int = 300,
    memory: int = 2**30,
    seed: int = 0,
) -> SharpnessProbe:
    """Measure the sharpness of all members while `lemmata.training.train` trains them, after the epochs `at`.

    `subject` is any one of the models with the loss and the data of the training; the other options are those of
    `SharpnessTracker`. Use a probe for one training only, since it remembers the members.

    >>> from lemmata import nets
    >>> from lemmata.training import GD, every, train
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> models = [nets.mlp(1, [8], 1, activation="tanh", seed=seed) for seed in range(3)]
    >>> probe = sharpness_probe((models[0], "mse", (x, x**2)), at=every(5))
    >>> result = train(models, x, x**2, loss="mse", optimiser=GD(lr=0.1), epochs=10, probes={"sharpness": probe})
    >>> result.curves["sharpness"][1].shape
    torch.Size([3, 2])
    """
    tracker = SharpnessTracker(
        subject, tolerance=tolerance, cold_every=cold_every, max_products=max_products, memory=memory, seed=seed
    )
    return SharpnessProbe(lambda states: tracker.measure(states).value, at, tracker=tracker)

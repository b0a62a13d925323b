"""The Fisher information of a network's predictions as an operator, exact, sampled, and the empirical look-alike.

    F = (1/n) sum_i E_{y ~ p(. | f(x_i))} g_i(y) g_i(y)^T,        g_i(y) = grad_theta -log p(y | f(x_i))

The expectation is over the model's own predictions. With cross-entropy p is the softmax of the outputs; with ``"mse"``
(mean over samples and C outputs) it is the Gaussian about the outputs with variance C / 2 of each, of which the loss is
the negative logarithm up to a constant. Both are exponential families in their natural parameters, or linear in them,
so that F is the generalised Gauss-Newton matrix exactly (Martens, 2020, section 9.2). `samples` replaces the
expectation by draws, whose operator is unbiased for F. The empirical Fisher takes the labels of the data instead: it is
not an estimate of F, however many data (Kunstner, Balles, Hennig, 2019).

Cost: a product 4/3 gradients, all three. Fails for a loss given as a function, whose p is not known (refused).
"""

import torch
from torch import Tensor

from lemmata.curvature.gauss_newton import Bend, ggn, pulled_back
from lemmata.curvature.linear.choice import fitted
from lemmata.curvature.linear.operator import CurvatureOperator
from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Subject


def fisher(
    subject: Subject,
    *,
    samples: int | None = None,
    seed: int | torch.Generator | None = None,
    products: int | None = None,
    memory: int = 2**30,
    way: str = "auto",
) -> CurvatureOperator:
    """The Fisher information at the model's own parameters: a symmetric operator on flat vectors (size,).

    Exact, or with `samples` draws of a label for each input from `seed`: then one operator, the same at each product,
    whose expectation over seeds is the exact one. Other options and errors are those of `hessian`; besides,
    `InvalidInput` for a loss given as a function, samples < 1, or samples without a seed.

    >>> from torch import nn
    >>> x = torch.ones(2, 1)
    >>> fisher((nn.Linear(1, 1, bias=False), "mse", (x, x))).dense()
    tensor([[2.]])
    """
    objective = Objective.of(subject)
    if objective.loss_name is None:
        raise InvalidInput(
            "the Fisher information needs the distribution of the labels, which a loss given as a function does not "
            "tell; take loss='cross_entropy' or 'mse', or the operator ggn"
        )
    if samples is None:
        return ggn(objective, products=products, memory=memory, way=way)
    if samples < 1 or seed is None:
        raise InvalidInput(f"samples = {samples}, seed = {seed}: give at least one sample, and a seed to draw it")
    objective = fitted(objective, memory)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    slopes = [_drawn(objective, batch, samples, generator) for batch in range(len(objective.batches))]
    return pulled_back(objective, OuterProducts(objective, slopes), products=products, memory=memory, way=way)


def empirical_fisher(
    subject: Subject, *, products: int | None = None, memory: int = 2**30, way: str = "auto"
) -> CurvatureOperator:
    """The mean over the data of g_i g_i^T, g_i the gradient of sample i's own loss: an operator on flat vectors.

    Options and errors are those of `hessian`. Nothing is random. The loss must be a mean over samples.

    >>> from torch import nn
    >>> x = torch.ones(2, 1)
    >>> empirical_fisher((nn.Linear(1, 1, bias=False).requires_grad_(False), "mse", (x, 0 * x))).shape
    (1, 1)
    """
    objective = fitted(Objective.of(subject), memory)
    slopes = [_own(objective, batch) for batch in range(len(objective.batches))]
    return pulled_back(objective, OuterProducts(objective, slopes), products=products, memory=memory, way=way)


class OuterProducts(Bend):
    """b(z) = (1/N k) sum s s^T z over k slopes s of each of N predictions; `slopes` are (k, N, C), one a batch."""

    def __init__(self, objective: Objective, slopes: list[Tensor]):
        super().__init__(objective)
        self.slopes = slopes

    def constants(self, batch: int) -> list[Tensor]:
        """The slopes of the batch."""
        return [self.slopes[batch]]

    def __call__(self, z: Tensor, y: Tensor, *constants: Tensor) -> Tensor:
        """b(z), linear in z."""
        (s,) = constants
        with torch.enable_grad():
            rows = _predictions(z, s.shape[-1])
            bent = (s * (s * rows).sum(-1, keepdim=True)).sum(0) / (s.shape[0] * s.shape[1])
            return _like_outputs(bent, z)


def _drawn(objective: Objective, batch: int, samples: int, generator: torch.Generator) -> Tensor:
    """The slopes of -log p by the outputs, at labels drawn from p: (samples, N, C)."""
    with torch.no_grad():
        z = objective.outputs(objective.parameters, objective.batches[batch][0])
    if objective.loss_name == "mse":
        rows = z.reshape(len(z), -1)
        noise = torch.randn(samples, *rows.shape, generator=generator, dtype=torch.float64)
        return (noise * (2 / rows.shape[1]) ** 0.5).to(z)
    p = _predictions(z, z.shape[1]).softmax(1)
    drawn = torch.multinomial(p.double().cpu(), samples, replacement=True, generator=generator)
    return p - torch.nn.functional.one_hot(drawn.T, p.shape[1]).to(p)


def _own(objective: Objective, batch: int) -> Tensor:
    """The slopes of each sample's own loss at its own label: (1, n_b, outputs)."""
    x, y = objective.batches[batch]
    with torch.no_grad():
        z = objective.outputs(objective.parameters, x)
    slope = Bend(objective)(z, y).detach()
    return len(y) * slope.reshape(1, len(y), -1)


def _predictions(z: Tensor, width: int) -> Tensor:
    """Outputs as rows (N, width): of each sample, or of each of a sample's places where the classes are axis 1."""
    by_place = z.ndim > 2 and width == z.shape[1] and width != z[0].numel()
    return z.movedim(1, -1).reshape(-1, width) if by_place else z.reshape(-1, width)


def _like_outputs(rows: Tensor, z: Tensor) -> Tensor:
    """The inverse of `_predictions`."""
    if z.ndim > 2 and rows.shape[1] == z.shape[1] and rows.shape[1] != z[0].numel():
        places = (len(z), *z.shape[2:], z.shape[1])
        return rows.reshape(places).movedim(-1, 1)
    return rows.reshape(z.shape)

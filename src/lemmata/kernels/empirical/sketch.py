"""Norm, effective rank and alignment of a tangent kernel that is never formed.

With Q an orthonormal basis of K S (S random signs, k columns), P = Q Q^T and random signs g,

    tr K    = tr(Q^T K Q) + E g^T (I - P) K (I - P) g
    |K|_F^2 = |K Q|_F^2   + E |K (I - P) g|^2

so that one product with K for each column of Q and each g serves both: the dominant part exactly, the rest by draws
(Hutch++ of Meyer, Musco, Musco and Woodruff, 2021, which Hazelden, 2025, applies to tangent kernels). Both are
unbiased. The effective rank (tr K)^2 / |K|_F^2 and the alignment y^T K y / (|K|_F |y|^2) are ratios of them: their
bias is of second order in the standard errors, which are propagated by the delta method.
Cost: `products` products, 4/3 of a gradient each, one more for an alignment; O(n C k^2) flops, 4 k vectors of memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_tensor
from lemmata.kernels.empirical.operator import ntk_operator
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.linalg import LinearOperator
from lemmata.linalg.probes import counts, generator_of, held, random_vectors, require_memory, square
from lemmata.objective import Mode


@dataclass(frozen=True, eq=False)
class KernelSketch:
    """Estimates of a kernel K (N, N) known by its products: `trace`, `square_norm`, and what follows from them.

    `alignment` is None where no targets were given. `samples` (draws, 2) are the draws for the trace and the squared
    norm of what the basis leaves, empty where `products` reach N and all is exact; `eigenvalues` (k,) those of Q^T K Q,
    largest first, which are lower bounds of the kernel's.
    """

    trace: Estimate
    square_norm: Estimate
    norm: Estimate
    effective_rank: Estimate
    alignment: Estimate | None
    eigenvalues: Tensor = field(repr=False)
    samples: Tensor = field(repr=False)

    def plot(self) -> Figure:
        """Draw the eigenvalues on the basis against their index."""
        values = self.eigenvalues.cpu().numpy()
        above = values > 0
        index = torch.arange(1, len(values) + 1).numpy()[above]
        series = Series(label="Ritz values", x=index, y=values[above], style="points")
        panel = Panel(x=Axis(label="index", log=True), y=Axis(label="eigenvalue", log=True), series=[series])
        caption = f"Trace {self.trace:.4g}, norm {self.norm:.4g}, effective rank {self.effective_rank:.4g}."
        return Figure(name="kernel-sketch", title="Kernel from its products", caption=caption, panels=[panel])


def ntk_sketch(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    *,
    parameters: Sequence[str] | None = None,
    mode: Mode | None = None,
    products: int = 99,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
) -> KernelSketch:
    """Trace, Frobenius norm, effective rank and, with targets y (n, C), alignment of the full tangent kernel of x.

    Draws from `seed`. Refusals as for `empirical_ntk`; at least 6 products.

    >>> x = torch.tensor([[2.0], [3.0]])
    >>> sketch = ntk_sketch(nn.Linear(1, 1, bias=False), x, x)
    >>> sketch.norm.value, sketch.effective_rank.value, round(sketch.alignment.value, 6)
    (13.0, 1.0, 1.0)
    """
    K = ntk_operator(model, x, parameters=parameters, mode=mode, products=products, memory=memory)
    return kernel_sketch(K, y, products=products, memory=memory, seed=seed)


def kernel_sketch(
    K: LinearOperator | KernelMatrix | Tensor,
    y: Tensor | None = None,
    *,
    products: int = 99,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
) -> KernelSketch:
    """The same of any symmetric operator (N, N), with targets y of N entries. Exact where products >= N.

    >>> sketch = kernel_sketch(torch.diag(torch.tensor([3.0, 4.0])))
    >>> sketch.norm.value, sketch.trace.value
    (5.0, 7.0)
    """
    given = K.values if isinstance(K, KernelMatrix) else K
    if not isinstance(given, LinearOperator) and require_tensor(given, "K").ndim != 2:
        raise InvalidInput(f"K of shape {tuple(given.shape)}; give a symmetric matrix (N, N) or an operator")
    operator = square(given, "a sketch")
    if products < 6:
        raise InvalidInput(f"products = {products}: a sketch needs at least 6, two for each third")
    N = operator.shape[0]
    targets = None if y is None else _targets(y, N, operator)
    exact = products >= N
    k = N if exact else products // 3
    require_memory(operator, 4 * k, memory, "a sketch")
    generator = generator_of(seed)
    if exact:
        Q = torch.eye(N, dtype=operator.dtype, device=operator.device)
    else:
        Q = torch.linalg.qr(operator @ random_vectors(operator, k, generator=generator))[0]
    KQ = operator @ Q
    samples = [torch.zeros(0, 2, dtype=torch.float64, device=operator.device)]
    for count in [] if exact else counts(products - 2 * k, held(operator, memory, copies=4)):
        G = random_vectors(operator, count, generator=generator)
        G = G - Q @ (Q.T @ G)
        KG = operator @ G
        samples.append(torch.stack([(G * KG).sum(0), KG.square().sum(0)], 1).double())
    dominant = torch.stack([(Q * KQ).sum(), KQ.square().sum()]).double()
    size = float(dominant[1])
    if not 0 < size < math.inf:
        raise InvalidInput(f"the kernel's squared norm is {size}: a kernel that is zero, or not finite, has no sketch")
    ritz = torch.linalg.eigvalsh((Q.T @ KQ).double()).flip(0)
    cost = (N if exact else products) * operator.cost
    return _sketch(dominant, torch.cat(samples), ritz, None if targets is None else _quadratic(operator, targets), cost)


def _sketch(dominant: Tensor, samples: Tensor, ritz: Tensor, quadratic: float | None, cost: float) -> KernelSketch:
    """Put the parts together; the delta method for what is not linear in them."""
    draws = len(samples)
    trace, square_norm = (dominant + (samples.mean(0) if draws else 0)).tolist()

    def estimate(value: float, slope: tuple[float, float]) -> Estimate:
        if not draws:
            return Estimate(value, cost=cost)
        influence = samples @ samples.new_tensor(slope)
        return Estimate(value, stderr=float(influence.std()) / math.sqrt(draws), n=draws, cost=cost)

    norm = math.sqrt(square_norm)
    rank = trace**2 / square_norm
    alignment = None if quadratic is None else quadratic / norm
    return KernelSketch(
        trace=estimate(trace, (1.0, 0.0)),
        square_norm=estimate(square_norm, (0.0, 1.0)),
        norm=estimate(norm, (0.0, 0.5 / norm)),
        effective_rank=estimate(rank, (2 * trace / square_norm, -rank / square_norm)),
        alignment=None if alignment is None else estimate(alignment, (0.0, -0.5 * alignment / square_norm)),
        eigenvalues=ritz,
        samples=samples,
    )


def _targets(y: Tensor, N: int, operator: LinearOperator) -> Tensor:
    require_tensor(y, "targets y")
    if y.numel() != N or not bool(y.isfinite().all()) or not bool(y.any()):
        raise InvalidInput(f"targets of shape {tuple(y.shape)}: give {N} finite numbers that are not all zero")
    return y.reshape(-1).to(dtype=operator.dtype, device=operator.device)


def _quadratic(operator: LinearOperator, y: Tensor) -> float:
    """y^T K y / |y|^2."""
    return float((y * (operator @ y)).double().sum() / y.double().square().sum())

"""The spectral density of a symmetric operator by stochastic Lanczos quadrature (Ubaru, Chen and Saad, 2017).

For a random vector z of covariance I, (1/n) z^T f(A) z has the mean (1/n) tr f(A) = int f dphi, phi the spectral
density. Lanczos from z / |z| gives a tridiagonal T (m, m); with its eigenvalues theta_j and the squared first entries
w_j of its eigenvectors (Golub and Welsch, 1969),

    z^T f(A) z / |z|^2  =  sum_j w_j f(theta_j)      exactly for polynomials f of degree 2 m - 1

and for other f with an error that falls geometrically in m. The mean over K probes z is the estimate of phi, their
spread its error.

In floating point the Lanczos vectors lose their orthogonality when an eigenvalue converges, and T then has several
copies of it (ghosts). Here the loss is watched by Simon's recurrence (`LossOfOrthogonality`), and only when it passes
sqrt(eps) are the last two vectors made orthogonal to all before them, both in one pass over the basis. That keeps T
the projection of A to eps |A|, without ghosts, at a fraction of the 2 n m^2 flops a probe of doing it at every step.
Cost: K m products, m of K columns each; K m n numbers of memory, or as many probes at a time as fit.
Fails where z has no component along an eigenvector, which has probability zero; an outlier of multiplicity 2 is one
node with twice the weight.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.orthogonality import LossOfOrthogonality
from lemmata.linalg.probes import Distribution, counts, generator_of, held, random_vectors, require_memory, square

WORKSPACE = 4  # vectors beside the m of the basis: the next one, the product and what it is made of


@dataclass(frozen=True)
class Quadrature:
    """Nodes (K, m) in rising order and weights (K, m), which sum to 1 for each of K probes, in float64 on the CPU.

    `n` is the operator's size, `products` the number of products spent, `reorthogonalisations` at how many of the
    steps the vectors had to be made orthogonal. A Krylov space that is exhausted early leaves nodes of weight 0.
    """

    nodes: Tensor
    weights: Tensor
    n: int
    products: int
    reorthogonalisations: int

    def plot(self) -> Figure:
        """Draw the nodes of every probe with their weights."""
        series = [
            Series(label=f"probe {k + 1}", x=theta.numpy(), y=w.clamp(min=1e-12).numpy(), style="points")
            for k, (theta, w) in enumerate(zip(self.nodes, self.weights, strict=True))
        ]
        panel = Panel(x=Axis(label="node"), y=Axis(label="weight", log=True), series=series)
        caption = f"{self.products} products with the operator of size {self.n}."
        return Figure(name="quadrature", title="Lanczos quadrature", caption=caption, panels=[panel])


def lanczos_quadrature(
    A: LinearOperator | Tensor,
    *,
    steps: int = 50,
    probes: int = 8,
    distribution: Distribution = "signs",
    memory: int = 2**30,
    seed: int | torch.Generator,
) -> Quadrature:
    """Gauss quadratures of the spectral density of a symmetric operator (n, n), one for each of `probes` vectors.

    `steps` is taken down to n where it is larger. The bases lie in `memory` bytes, as many probes at a time as fit.
    Raises `InvalidInput` for an operator that is not symmetric, and where the basis of one probe does not fit.

    >>> quadrature = lanczos_quadrature(torch.diag(torch.tensor([1.0, 1.0, 4.0])), steps=2, probes=1, seed=0)
    >>> quadrature.nodes.round(decimals=4), quadrature.weights.round(decimals=4)
    (tensor([[1., 4.]], dtype=torch.float64), tensor([[0.6667, 0.3333]], dtype=torch.float64))
    """
    operator = square(A, "Lanczos quadrature")
    if not operator.symmetric:
        raise InvalidInput("Lanczos needs a symmetric operator; construct it with symmetric=True")
    if steps < 1 or probes < 1:
        raise InvalidInput(f"steps = {steps}, probes = {probes}: both must be at least 1")
    n = operator.shape[0]
    m = min(steps, n)
    vectors = m + WORKSPACE
    require_memory(operator, vectors, memory, "Lanczos quadrature")
    generator, parts, passes = generator_of(seed), [], 0
    for count in counts(probes, held(operator, memory, copies=vectors)):
        Z = random_vectors(operator, count, distribution=distribution, generator=generator)
        a, b, renewed = _tridiagonal(operator, Z.T, m)
        parts.append(_gauss(a, b))
        passes += renewed
    nodes, weights = (torch.cat(part) for part in zip(*parts, strict=True))
    return Quadrature(nodes, weights, n=n, products=probes * m, reorthogonalisations=passes)


def _tridiagonal(operator: LinearOperator, Z: Tensor, m: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Run m steps from the rows of Z (K, n): diagonals (K, m), off-diagonals (K, m - 1), reorthogonalisations."""
    K, n = Z.shape
    eps, renewed = torch.finfo(operator.dtype).eps, 0
    loss = LossOfOrthogonality(K, m, n, eps=eps)
    V = torch.empty(K, m + 1, n, dtype=operator.dtype, device=operator.device)
    torch.div(Z, _length(Z), out=V[:, 0])
    for j in range(m):
        v, w = V[:, j], V[:, j + 1]
        before, b = (V[:, j - 1], loss.b[:, j - 1, None]) if j else (v, np.zeros((K, 1)))
        torch.addcmul((operator @ v.T).T, before, torch.as_tensor(b).to(V), value=-1, out=w)
        a = torch.linalg.vecdot(v, w)[:, None]
        w.addcmul_(v, a, value=-1)
        found = torch.cat([a, w.norm(dim=1, keepdim=True)], 1).double().cpu().numpy()
        lost = loss.advance(found[:, 0], found[:, 1])
        w.div_(torch.as_tensor(np.where(loss.b[:, j, None] > 0, loss.b[:, j, None], np.inf)).to(V))
        if lost and j + 1 < m:
            loss.renew(*_orthogonalise(V[:, : j + 2]))
            renewed += 1
    return loss.a, loss.b[:, : m - 1], renewed


def _orthogonalise(V: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Make the last two rows of V (K, j, n) orthogonal to those before them and each other, in place.

    Returns the largest inner product that the last one had with the others, and what was left of its length, (K,).
    """
    basis, pair = V[:, :-2], V[:, -2:]
    u, v = pair[:, 0], pair[:, 1]
    measured, left = None, 1.0
    for _ in range(2):  # a second time only where the first leaves little of a vector: "twice is enough"
        products = pair @ basis.mT
        pair.baddbmm_(products, basis, alpha=-1)
        u /= _length(u)
        v.addcmul_(u, torch.linalg.vecdot(u, v)[:, None], value=-1)
        size = _length(v)
        v /= size
        left = left * size
        measured = products[:, 1].abs().amax(1, keepdim=True) if measured is None else measured
        found = torch.cat([measured, left, size], 1).double().cpu().numpy().T
        if found[2].min() > 0.7:
            break
    return found[0], found[1]


def _length(v: Tensor) -> Tensor:
    """The length of each row (K, n), as (K, 1); 1 for a row of zeros."""
    length = v.norm(dim=1, keepdim=True)
    return torch.where(length > 0, length, 1)


def _gauss(a: np.ndarray, b: np.ndarray) -> tuple[Tensor, Tensor]:
    """Nodes and weights (K, m) of the tridiagonal matrices with diagonals a (K, m) and off-diagonals b (K, m - 1)."""
    T = torch.diag_embed(torch.as_tensor(a)) + torch.diag_embed(torch.as_tensor(b), 1)
    nodes, vectors = torch.linalg.eigh(T, UPLO="U")
    return nodes, vectors[:, 0].square()

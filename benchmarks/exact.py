"""The right answers, by means independent of lemmata's instruments and of the peers: the benchmarks' yardstick.

Dense Hessians in float64 where there are few parameters; ARPACK on the double-backward product for the largest
eigenvalues, at a residual far below the tolerance asked of the contestants (the error of an eigenvalue is of second
order in it); and for the trace of a piecewise-linear network, where the diagonals of Hessian and Gauss-Newton matrix
agree, the sum of squared gradients of each sample's outputs, times the square root of the loss's Hessian.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.func import functional_call, vjp, vmap

from networks import Network


def double_backward(network: Network):
    """The Hessian product on flat vectors, its graph kept: (P,) -> (P,)."""
    parameters = list(network.model.parameters())
    slopes = torch.autograd.grad(network.loss(), parameters, create_graph=True)
    shapes, sizes = [p.shape for p in parameters], [p.numel() for p in parameters]

    def product(v: Tensor) -> Tensor:
        parts = [part.reshape(shape) for part, shape in zip(v.split(sizes), shapes, strict=True)]
        return torch.cat([h.flatten() for h in torch.autograd.grad(slopes, parameters, parts, retain_graph=True)])

    return product


def hessian(network: Network) -> Tensor:
    """The dense Hessian (P, P) in float64, symmetrised."""
    product = double_backward(network.double())
    rows = torch.stack([product(e) for e in torch.eye(network.size, dtype=torch.float64)])
    return (rows + rows.T) / 2


def largest(network: Network, k: int) -> np.ndarray:
    """The k largest eigenvalues, descending, (k,)."""
    if network.size <= 3000:
        return torch.linalg.eigvalsh(hessian(network)).flip(0)[:k].numpy()
    product = double_backward(network)

    def matvec(v: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(v.ravel().astype(np.float32)).to(network.x.device)).cpu().numpy()

    operator = LinearOperator((network.size, network.size), matvec=matvec, dtype=np.float32)
    start = np.random.default_rng(0).standard_normal(network.size).astype(np.float32)
    return np.sort(eigsh(operator, k, which="LA", tol=3e-4, v0=start, return_eigenvectors=False))[::-1].copy()


def trace(network: Network, at_once: int = 16) -> float:
    """The trace of the Hessian of a piecewise-linear network under cross-entropy."""
    named = {name: p.detach() for name, p in network.model.named_parameters()}

    def of_sample(x: Tensor) -> Tensor:
        outputs, pull = vjp(lambda theta: functional_call(network.model, theta, (x[None],))[0], named)
        p = outputs.softmax(0)
        root = p.sqrt().diag() - torch.outer(p, p.sqrt())  # its square is diag(p) - p p^T
        return sum(slope.square().sum() for slope in vmap(pull)(root.T)[0].values())

    parts = [vmap(of_sample)(x).double().sum() for x in network.x.split(at_once)]
    return float(torch.stack(parts).sum()) / len(network.x)

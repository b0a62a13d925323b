"""Linear and softmax regression on Gaussian data."""

import torch
from torch.nn import functional

from lemmata import nets
from lemmata.phantoms.phantom import F64, Phantom, filled, normals


def linear_regression(
    n: int = 30, d: int = 5, *, outputs: int = 1, noise: float = 0.5, seed: int | torch.Generator = 0
) -> Phantom:
    """Least squares on Gaussian data: weights (k, d) without bias, mean squared error over samples and outputs.

    The Hessian is 2/(nk) times k blocks X'X, whatever the weights are; the gradient at these is not zero.

    >>> linear_regression(10, 3).hessian.shape
    torch.Size([3, 3])
    """
    X, teacher, W, errors = normals(seed, (n, d), (outputs, d), (outputs, d), (n, outputs))
    Y = X @ teacher.T + noise * errors
    model = filled(nets.mlp(d, [], outputs, bias=False, seed=0, dtype=F64), {"output.weight": W})
    residual, scale = X @ W.T - Y, 2 / (n * outputs)
    H = scale * torch.kron(torch.eye(outputs, dtype=F64), X.T @ X)
    g = scale * (residual.T @ X).flatten()
    return Phantom("linear regression", model, "mse", (X, Y), float(residual.square().mean()), g, H, polynomial=True)


def softmax_regression(n: int = 30, d: int = 4, classes: int = 3, *, seed: int | torch.Generator = 0) -> Phantom:
    """Multinomial logistic regression on Gaussian inputs and uniform labels: convex, Hessian equal to Gauss-Newton's.

    >>> bool(softmax_regression().eigenvalues.min() > -1e-12)
    True
    """
    X, W, scores = normals(seed, (n, d), (classes, d), (n, classes))
    y = scores.argmax(1)
    model = filled(nets.mlp(d, [], classes, bias=False, seed=0, dtype=F64), {"output.weight": W})
    p = (X @ W.T).softmax(1)
    S = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    H = torch.einsum("nab,ni,nj->aibj", S, X, X).reshape(classes * d, classes * d) / n
    g = ((p - functional.one_hot(y, classes)).T @ X).flatten() / n
    value = float(functional.cross_entropy(X @ W.T, y))
    return Phantom("softmax regression", model, "cross_entropy", (X, y), value, g, H)

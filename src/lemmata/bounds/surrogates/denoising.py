"""Surrogates by denoising: the learner's answer to the same inputs with labels that have no noise.

    h = A(X, y),   s = A(X, E[y | X])

What an interpolator has more than its surrogate is its answer to the noise alone. For least squares of minimum norm
this is a sum, as the answer is linear in the labels,

    h = X^+ y = X^+ f + X^+ e = s + X^+ e,      f = E[y | X],  e = y - f

so that E[R(h) | X] = R(s) + E|S^(1/2) X^+ e|^2 (S the covariance of x): the surrogate never has the larger expected
risk. On the sample h has no error and s has that of the noise, |e|^2 / n: the empirical risk is traded for a predictor
that depends on X and the truth only.

Cost: one more training. Fails: f must be known, or drawn from a model of the data; with an estimate of f the surrogate
is that of another truth.

Source: Negrea, Dziugaite, Roy (2020), surrogates by denoising; Bartlett, Long, Lugosi, Tsigler (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.bounds.surrogates.conditioning import Fit, fitted
from lemmata.errors import InvalidInput
from lemmata.given import require_callable, require_tensor
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class LeastSquaresSurrogate:
    """The interpolator of minimum norm `model` (d -> 1) of the labels, `surrogate` of their conditional means.

    `noise_part` (d,) is the difference of their weights, X^+ e.
    """

    model: nn.Linear
    surrogate: nn.Linear
    noise_part: Tensor

    __repr__ = short_repr


def denoising_surrogate(fit: Fit, x: Tensor, expected: Tensor | Callable[[Tensor], Tensor]) -> nn.Module:
    """Train on inputs x (n, ...) with the conditional means (or the true classes) of their labels instead of labels.

    `expected` is (n, ...), what `fit` takes for labels, or a function of x that gives it. `fit`, called with a leading
    axis of 1 on both, gives one module, or the `Result` of `lemmata.training.train`: train from the model's own seed.
    Raises `InvalidInput` for NaN and another number of labels.

    >>> x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    >>> def fit(xs, ys):
    ...     return [least_squares_surrogate(x, y, y).model for x, y in zip(xs, ys)]
    >>> surrogate = denoising_surrogate(fit, x, lambda x: x[:, 0])
    >>> torch.allclose(surrogate(x.double())[:, 0], x[:, 0].double())
    True
    """
    require_callable(fit, "fit")
    inputs = require_tensor(x, "x")
    labels = require_tensor(expected(inputs) if callable(expected) else expected, "expected")
    if labels.ndim < 1 or len(labels) != len(inputs) or not len(inputs):
        raise InvalidInput(f"expected: shape {tuple(labels.shape)} for {len(inputs)} inputs; give one each")
    _require_finite(inputs, "x")
    _require_finite(labels, "expected")
    return fitted(fit, inputs[None], labels[None])[0].eval().requires_grad_(False)


def least_squares_surrogate(x: Tensor, y: Tensor, expected: Tensor) -> LeastSquaresSurrogate:
    """Solve least squares of minimum norm for labels y (n,) and for their conditional means `expected` (n,).

    x is (n, d), of any rank; computed in float64 by one singular value decomposition, where d > n of what reflections
    leave, n x n: some 2 n^2 d + 20 n^3 operations. Singular values below max(n, d) 2^-52 of the largest count as 0.
    Nothing is random. Raises `InvalidInput` for shapes that do not go together and NaN.

    >>> x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    >>> found = least_squares_surrogate(x, torch.tensor([2.0, 3.0]), torch.tensor([2.0, 2.0]))
    >>> [[round(w, 6) for w in one.weight[0].tolist()] for one in (found.model, found.surrogate)]
    [[1.0, 1.5, 1.0], [1.0, 1.0, 1.0]]
    """
    inputs, labels, clean = (require_tensor(t, n) for t, n in ((x, "x"), (y, "y"), (expected, "expected")))
    if inputs.ndim != 2 or labels.shape != (len(inputs),) or clean.shape != labels.shape or not inputs.numel():
        raise InvalidInput(
            f"x {tuple(inputs.shape)}, y {tuple(labels.shape)}, expected {tuple(clean.shape)}; give (n, d), (n,), (n,)"
        )
    for value, name in ((inputs, "x"), (labels, "y"), (clean, "expected")):
        _require_finite(value, name)
    both = torch.stack([labels, clean], 1).double()
    weights = _minimum_norm(inputs.double(), both)
    return LeastSquaresSurrogate(_linear(weights[:, 0]), _linear(weights[:, 1]), weights[:, 0] - weights[:, 1])


def _minimum_norm(x: Tensor, y: Tensor) -> Tensor:
    """X^+ y, (d, k), for x (n, d) and y (n, k): with X' = QR, X^+ = Q (R')^+, and Q is never formed."""
    n, d = x.shape
    least = max(n, d) * torch.finfo(x.dtype).eps
    if d <= n:
        return _pseudo_inverse(x, y, least)
    reflections, scales = torch.geqrf(x.T)
    weights = _pseudo_inverse(reflections[:n].triu().T, y, least)
    return torch.ormqr(reflections, scales, torch.cat([weights, weights.new_zeros(d - n, y.shape[1])]))


def _pseudo_inverse(x: Tensor, y: Tensor, least: float) -> Tensor:
    """X^+ y, where singular values below `least` of the largest count as 0."""
    left, singular, right = torch.linalg.svd(x, full_matrices=False)
    kept = singular > least * singular[0]
    return right[kept].T @ ((left[:, kept].T @ y) / singular[kept, None])


def _linear(weight: Tensor) -> nn.Linear:
    model = nn.Linear(len(weight), 1, bias=False, dtype=weight.dtype, device="meta")
    model = model.to_empty(device=weight.device).requires_grad_(False)
    model.weight.copy_(weight[None])
    return model


def _require_finite(value: Tensor, name: str) -> None:
    if not bool(value.isfinite().all()):
        raise InvalidInput(f"{name} holds NaN or infinity; remove or replace those samples")

"""A linear classifier fitted, with what vouches for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.regression.minimum import History, descent_figure


@dataclass(frozen=True)
class ClassificationFit:
    """Weights (p, k) and intercept (k,) of a softmax (k classes) or logistic (k = 1) regression.

    `gradient_norm` is Euclidean, over weights and intercept, computed at the fit; `intercept_residual` is its part in
    the intercept. `gap_bound` bounds `value` minus the minimum, rigorously up to rounding; infinite where the ridge is
    0. `cost` counts gradients, Hessian products two each. `unique` is True where there is a ridge (the intercept up to
    a constant added to all classes), and None for not known.
    """

    weights: Tensor
    intercept: Tensor
    value: float
    gradient_norm: float
    intercept_residual: float
    gap_bound: float
    tolerance: float
    ridge: float
    method: str
    iterations: int
    evaluations: int
    products: int
    cost: float
    history: History
    stopped: str
    unique: bool | None

    @property
    def converged(self) -> bool:
        """Whether the gradient came below the tolerance."""
        return self.gradient_norm <= self.tolerance

    def scores(self, x: Tensor) -> Tensor:
        """The logits X W + b (n, k) of features (n, p), of the type of the weights; `InvalidInput` for others."""
        W = self.weights
        if not isinstance(x, Tensor):
            raise InvalidInput(f"x is a {type(x).__name__}; give a torch tensor (n, {len(W)})")
        if x.ndim != 2 or x.shape[1] != len(W) or len(x) == 0:
            raise InvalidInput(
                f"x has shape {tuple(x.shape)}; the fit wants features (n, {len(W)}), with a sample at least"
            )
        if x.dtype != W.dtype or x.device != W.device:
            raise InvalidInput(
                f"x is {x.dtype} on {x.device}, the weights {W.dtype} on {W.device}; bring them together"
            )
        if not bool(x.isfinite().all()):
            raise InvalidInput("x holds NaN or infinity; remove or replace those samples")
        return torch.addmm(self.intercept, x, self.weights)

    def probabilities(self, x: Tensor) -> Tensor:
        """The probability of each class (n, k); of class 0 and 1 where k = 1 (n, 2)."""
        scores = self.scores(x)
        if scores.shape[1] == 1:
            return torch.cat([torch.sigmoid(-scores), torch.sigmoid(scores)], 1)
        return torch.softmax(scores, 1)

    def predict(self, x: Tensor) -> Tensor:
        """The most likely class of each sample (n,)."""
        scores = self.scores(x)
        return (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores.argmax(1)

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """The share of samples whose most likely class is theirs."""
        found = self.predict(x)
        if not isinstance(y, Tensor) or y.shape != found.shape or y.device != found.device:
            what = f"of shape {tuple(y.shape)} on {y.device}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise InvalidInput(f"y is {what}; give a tensor of labels of shape ({len(found)},) on {found.device}")
        return float((found == y).double().mean())

    def plot(self) -> Figure:
        """Draw the objective above the least that it can be, and the gradient norm, against cost."""
        sure = self.gap_bound < float("inf")
        floor = self.value - self.gap_bound if sure else self.value
        caption = (
            f"{self.method}: f = {self.value:.8g} after {self.iterations} iterations and {self.cost:.4g} gradients."
        )
        if sure:
            caption += f" It is at most {self.gap_bound:.1e} above the minimum."
        return descent_figure({self.method: self.history}, floor=floor, tolerance=self.tolerance, caption=caption)

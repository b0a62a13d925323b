"""Softmax and logistic regression: mean cross-entropy with a ridge on the weights, the intercept free.

    f(W, b) = mean_i (log sum_j exp(w_j^T x_i + b_j) - w_{y_i}^T x_i - b_{y_i}) + ridge/2 |W|^2

f is convex. With b at its best for W, phi(W) = min_b f(W, b) is ridge-strongly convex, since f - ridge/2 |W|^2 is
jointly convex and a partial minimum of a convex function is convex. Hence the certificate: at the b that is best for
the W found, which is made so by Newton's method in b alone,

    f(W, b) - min f  <=  |dphi/dW|^2 / (2 ridge),    dphi/dW = df/dW (W, b).

Newton's method needs some ten steps, and its inner conjugate gradients what the preconditioner leaves: see
`lemmata.regression.classification_loss`. Cost: 4 n p k flops a gradient, and as many a Hessian product, in float32;
memory: one copy of the data in their type and one in float32. Slow where the ridge is tiny and classes nearly
separable; without a ridge, separable classes have no minimum, which is said.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.regression.classification_fit import ClassificationFit
from lemmata.regression.classification_loss import ClassificationLoss, Link, Logistic, Softmax
from lemmata.regression.minimise import METHODS, minimise
from lemmata.regression.minimum import Minimum


def softmax_regression(
    x: Tensor,
    y: Tensor,
    *,
    ridge: float,
    classes: int | None = None,
    intercept: bool = True,
    method: str = "newton-cg",
    tolerance: float | None = None,
    iterations: int = 1000,
    start: tuple[Tensor, Tensor] | None = None,
    mixed: bool | None = None,
    **options: Any,
) -> ClassificationFit:
    """Fit multinomial logistic regression to features x (n, p) and labels y (n,) in 0..classes-1.

    `ridge` multiplies |W|^2 / 2 beside the *mean* loss: scikit-learn's C is 1 / (n ridge). It ends where the Euclidean
    norm of the gradient is at most `tolerance`: by default 1e-6, or 1e-4 in float32. `method` and `options` are those
    of `minimise` ("gauss-newton" is damped Newton here); `mixed` takes Hessian products in float32 (default: where x is
    float64 and the tolerance not below 1e-10). `start` is (W (p, k), b (k,)), zero by default. Features may have any
    scale, but conjugate gradients like them alike. Nothing is random, and nothing of the user's is changed.

    Raises `InvalidInput` for NaN or infinity, no samples, labels that are none, a class without samples (its
    intercept would run to -infinity), a negative ridge, and classes that are separable where the ridge is 0;
    `NotConverged` with the best fit there was.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    >>> fit = softmax_regression(x, torch.tensor([0, 0, 1, 1]), ridge=0.1)
    >>> fit.predict(torch.tensor([[0.5], [2.5]], dtype=torch.float64)), fit.gap_bound < 1e-10
    (tensor([0, 1]), True)
    """
    _check(x, y, ridge)
    k = int(y.max()) + 1 if classes is None else classes
    if k < 2 or int(y.min()) < 0 or int(y.max()) >= k:
        raise InvalidInput(
            f"labels run from {int(y.min())} to {int(y.max())} and there are {k} classes; they must be 0..classes-1, "
            "with two classes at least"
        )
    link = Softmax(y, k)
    begin = None if start is None else _start(start, (x.shape[1], k))
    about = (method, ridge, intercept, tolerance, mixed, begin)
    return _fit(x, link, about, {"iterations": iterations, **options})


def logistic_regression(
    x: Tensor,
    y: Tensor,
    *,
    ridge: float,
    intercept: bool = True,
    method: str = "newton-cg",
    tolerance: float | None = None,
    iterations: int = 1000,
    start: tuple[Tensor, Tensor] | None = None,
    mixed: bool | None = None,
    **options: Any,
) -> ClassificationFit:
    """Fit binary logistic regression, one weight vector, to labels y (n,) of 0 and 1; else as `softmax_regression`.

    `weights` of the fit are (p, 1) and `intercept` (1,). With a ridge twice as large it is softmax regression of two
    classes, w = w_1 - w_0.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    >>> fit = logistic_regression(x, torch.tensor([0, 0, 1, 1]), ridge=0.1)
    >>> round(float(-fit.intercept / fit.weights), 6)
    1.5
    """
    _check(x, y, ridge)
    if int(y.min()) < 0 or int(y.max()) > 1:
        raise InvalidInput(f"labels run from {int(y.min())} to {int(y.max())}; they must be 0 and 1")
    begin = None if start is None else _start(start, (x.shape[1], 1))
    about = (method, ridge, intercept, tolerance, mixed, begin)
    return _fit(x, Logistic(y), about, {"iterations": iterations, **options})


def _fit(x: Tensor, link: Link, about: tuple, options: dict[str, Any]) -> ClassificationFit:
    """Minimise, make the intercept the best for the weights, and judge."""
    method, ridge, intercept, tolerance, mixed, begin = about
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if intercept and int(link.counts.min()) == 0:
        raise InvalidInput(
            f"class {int(link.counts.argmin())} has no samples, so that its intercept would run to -infinity; "
            "drop the class, or take intercept=False"
        )
    single = x.dtype == torch.float32
    allowed = (1e-4 if single else 1e-6) if tolerance is None else tolerance
    fast = (allowed >= 1e-10 and not single) if mixed is None else mixed
    loss = ClassificationLoss(x.detach(), link, ridge=float(ridge), intercept=intercept, mixed=fast)
    v = torch.zeros(loss.p * link.columns, dtype=x.dtype, device=x.device) if begin is None else loss.flat(*begin)
    try:
        found = minimise(loss.smooth(), v, method=method, tolerance=allowed, **options)
    except NotConverged as stopped:
        _refuse_separable(loss, stopped.best.x)
        raise NotConverged(
            f"{'softmax' if link.columns > 1 else 'logistic'} regression by {method}",
            best=_judged(loss, stopped.best),
            residual=stopped.residual,
            tolerance=stopped.tolerance,
            remedy="allow more iterations, scale the features alike, or take a larger ridge or tolerance",
        ) from None
    _refuse_separable(loss, found.x)
    return _judged(loss, found)


def _judged(loss: ClassificationLoss, found: Minimum) -> ClassificationFit:
    """The fit, and the bound on how far above the minimum it is.

    It has the best intercept for its weights, where that keeps the gradient below the tolerance. Otherwise the bound,
    which holds there, is raised by how much higher the fit is.
    """
    v = torch.as_tensor(found.x)
    better = loss.polished(v)
    value, slope, left = loss.judged(better)
    gap = slope**2 / (2 * loss.ridge) if loss.ridge > 0 else math.inf
    if math.hypot(slope, left) > max(found.tolerance, found.gradient_norm):
        better, least = v, value
        value, slope, left = loss.judged(v)
        gap += max(0.0, value - least)
    W, b = loss.unpacked(better)
    return ClassificationFit(
        W, b, value, math.hypot(slope, left), left, gap, found.tolerance, loss.ridge, found.method, found.iterations,
        found.evaluations, found.products, found.cost + 1, found.history, found.stopped, True if loss.ridge else None,
    )  # fmt: skip


def _refuse_separable(loss: ClassificationLoss, v: Any) -> None:
    """Without a ridge, weights that tell all classes apart can be scaled up for ever: there is no minimum."""
    if loss.ridge == 0 and loss.separates(v):
        raise InvalidInput(
            "the classes are linearly separable and the ridge is 0: the loss falls to zero at infinity and has no "
            "minimum; give a ridge, 1e-4 say"
        )


def _check(x: Tensor, y: Tensor, ridge: float) -> None:
    if not isinstance(x, Tensor) or x.ndim != 2 or not x.is_floating_point() or x.numel() == 0:
        what = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InvalidInput(f"features are {what}; give floats (n, p), with a sample and a feature at least")
    if not isinstance(y, Tensor) or y.shape != (len(x),) or y.dtype != torch.int64 or y.device != x.device:
        what = f"{y.dtype} {tuple(y.shape)} on {y.device}" if isinstance(y, Tensor) else type(y).__name__
        raise InvalidInput(f"labels are {what}; give int64 of shape ({len(x)},) on {x.device}")
    if not bool(x.isfinite().all()):
        raise InvalidInput("the features hold NaN or infinity; remove or replace those samples")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise InvalidInput(f"ridge = {ridge} must be a number and not negative, or there is no minimum")


def _start(start: tuple[Tensor, Tensor], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    W, b = start
    if tuple(W.shape) != shape or tuple(b.shape) != shape[1:]:
        raise InvalidInput(f"the start is {tuple(W.shape)} and {tuple(b.shape)}; it must be {shape} and {shape[1:]}")
    return W, b

"""Extreme learning machines: hidden weights drawn at random and left as they are, output weights by least squares.

    H = sigma(x K' + b),    min over W, c of  |H W + 1 c' - Y|_F^2 + ridge |W|_F^2

K (m, d) and b (m,) are drawn once (Huang, Zhu, Siew, 2006, Neurocomputing 70, 489-501), so that only a linear problem
is left. Its penalty is chosen by generalised cross-validation or by the exact leave-one-out error, in closed form:

    GCV(ridge) = n |r|^2 / (n - tr A)^2,      LOO(ridge) = (1/n) sum_i |r_i|^2 / (1 - A_ii)^2,     fitted = A Y

One QR factorisation [1, H] = Q R of the widest layer serves all widths: the first m columns of H have the leading block
of R. The singular values of that block, and of nothing squared, give every penalty at once.

Cost, for n samples and widest layer m: 2 n m^2 flops for QR, 22 w^3 for each width w (LOO: 2 n w^2 besides). Where it
fails: the features do not adapt, so that it wants many more units than a trained layer; and their singular values fall
so fast in low dimension that the numerical rank, which is reported, stays far below the width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.regression.single_layer.nested_ridge import Choice, RidgeFit, nested_ridge

Activation = str | Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": functional.softplus,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class ExtremeLearning:
    """Fits of W widths and R draws of the hidden layer; a tensor (W, R) has one number for each.

    `train_loss`, `test_loss` are the mean squared error or the mean cross-entropy, `train_error`, `test_error` the
    share of samples in the wrong class (None in regression). `ridge` is the penalty used, `criterion` the value of GCV
    or LOO there (None without), `freedom` tr A with the intercept, `rank` the numerical rank of H and `condition` its
    largest over its smallest nonzero singular value. `K` (R, m, d) and `b` (R, m) are the widest layer, of which a
    narrower one has the first units; `weights` and `intercepts` have (R, w, k) and (R, k) for each width w.
    `cost` is that of the factorisations, 2 n m^2 flops each, in gradients of the widest layer's least squares, 4 n m k.
    """

    widths: tuple[int, ...]
    train_loss: Tensor
    test_loss: Tensor | None = None
    train_error: Tensor | None = None
    test_error: Tensor | None = None
    ridge: Tensor
    criterion: Tensor | None
    freedom: Tensor
    rank: Tensor
    condition: Tensor
    K: Tensor
    b: Tensor
    weights: tuple[Tensor, ...]
    intercepts: tuple[Tensor, ...]
    activation: Callable[[Tensor], Tensor]
    cost: float = 0.0

    def predict(self, x: Tensor, width: int | None = None, *, draws: slice = slice(None)) -> Tensor:
        """Give the outputs (R, n, k) of all draws, or some, at x (n, d), of the widest layer or of `width` units."""
        if not isinstance(x, Tensor) or x.shape[1:] != self.K.shape[2:] or x.dtype != self.K.dtype:
            what = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise InvalidInput(f"x is {what}; give a torch tensor {self.K.dtype} of shape (n, {self.K.shape[2]})")
        place = len(self.widths) - 1 if width is None else self._place(width)
        m = self.widths[place]
        H = self.activation(x @ self.K[draws, :m].mT + self.b[draws, None, :m])
        return H @ self.weights[place][draws] + self.intercepts[place][draws, None]

    def plot(self) -> Figure:
        """Draw loss against width, and the numerical rank, with 95 % bands of the mean over draws."""
        classes = self.train_error is not None
        parts = {"training": self.train_error if classes else self.train_loss}
        if self.test_loss is not None:
            parts["test"] = self.test_error if classes else self.test_loss
        label = "share in the wrong class" if classes else "mean squared error"
        losses = [_over_draws(name, self.widths, part) for name, part in parts.items() if part is not None]
        freedom = [
            _over_draws("numerical rank of the features", self.widths, self.rank),
            _over_draws("degrees of freedom used", self.widths, self.freedom),
        ]
        units = Axis(label="hidden units", log=True)
        bound = Series(label="hidden units", x=self.widths, y=self.widths, role="theory")
        panels = [
            Panel(x=units, y=Axis(label=label, log=not classes), series=losses),
            Panel(x=units, y=Axis(label="dimension", log=True), series=[*freedom, bound]),
        ]
        draws = self.rank.shape[1]
        caption = f"Random hidden layers, output weights by least squares; means and 95 % bands over {draws} draws."
        return Figure(name="extreme-learning", title="Extreme learning machine", caption=caption, panels=panels)

    def _place(self, width: int) -> int:
        if width not in self.widths:
            raise InvalidInput(f"no fit with {width} units; the widths are {', '.join(map(str, self.widths))}")
        return self.widths.index(width)


def extreme_learning_machine(
    x: Tensor,
    y: Tensor,
    width: int | Sequence[int],
    activation: Activation = "tanh",
    *,
    ridge: Choice = "gcv",
    loss: Literal["mse", "cross_entropy"] = "mse",
    test: tuple[Tensor, Tensor] | None = None,
    intercept: bool = True,
    scale: float = 1.0,
    hidden: tuple[Tensor, Tensor] | None = None,
    repeats: int = 10,
    seed: int | Generator = 0,
    memory: int = 2**28,
) -> ExtremeLearning:
    """Fit extreme learning machines of one or several widths to x (n, d) and y, for `repeats` random hidden layers.

    y is (n, k) or (n,) floating, or (n,) int64: labels, fitted as one-hot vectors by ``loss="mse"`` and as they are by
    ``"cross_entropy"`` (softmax regression on the features; its penalty, ridge / 2 |W|^2 beside the mean, must be a
    number). Drawn are K_ij ~ N(0, scale^2 / d) and b_i ~ N(0, scale^2), so that inputs of unit variance give
    pre-activations of about that size; or `hidden` = (K (R, m, d), b (R, m)) is given. ``ridge=0`` means the solution
    of least norm, singular values below rounding left out. The output has an unpenalised intercept; Huang et al. have
    none. `memory` bytes bound the draws treated at once. Computed in x's dtype; float64 is advised.

    Raises `InvalidInput` for shapes that disagree, NaN, no samples, a width below 1, a negative penalty.

    >>> x = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None]
    >>> fit = extreme_learning_machine(x, torch.sin(3 * x), [5, 20], repeats=3)
    >>> fit.train_loss.shape, bool((fit.train_loss[1] < 1e-6).all()), bool((fit.rank[1] <= 20).all())
    (torch.Size([2, 3]), True, True)
    """
    widths = _widths(width)
    if intercept and isinstance(x, Tensor) and x.ndim and len(x) == 1:
        raise InvalidInput("n = 1 sample, which the intercept alone fits; give two or more, or intercept=False")
    _check(x, y, widths, ridge, loss)
    if test is not None:
        _check_alike(test, (x, y))
    x, y = x.detach(), y.detach()
    classes = None if y.is_floating_point() else int(y.max()) + 1
    targets = _targets(y, classes, x.dtype)
    sigma = _activation(activation)
    K, b = _drawn(x, widths[-1], scale, repeats, seed) if hidden is None else _given(x, widths[-1], hidden)
    together = max(1, memory // (6 * x.element_size() * len(x) * (widths[-1] + targets.shape[1] + 1)))
    parts: list[list[RidgeFit]] = []
    for start in range(0, len(K), together):
        H = sigma(x @ K[start : start + together].mT + b[start : start + together, None])
        if not H.isfinite().all():
            raise InvalidInput("the activation gives NaN or infinity on these data; scale the inputs")
        if loss == "mse":
            parts.append(nested_ridge(H, targets, widths, ridge, intercept=intercept))
        else:
            parts.append([_softmax(H[:, :, :m], y, float(ridge), intercept) for m in widths])
    fits = [_joined([part[place] for part in parts]) for place in range(len(widths))]
    found = _result(widths, fits, K, b, sigma)
    train = _scores(found, x, y, targets if loss == "mse" else None, together)
    if test is None:
        return replace(found, train_loss=train[0], train_error=train[1])
    test_targets = _targets(test[1], classes, x.dtype)
    tested = _scores(found, *test, test_targets if loss == "mse" else None, together)
    return replace(found, train_loss=train[0], train_error=train[1], test_loss=tested[0], test_error=tested[1])


def _result(
    widths: tuple[int, ...], fits: list[RidgeFit], K: Tensor, b: Tensor, sigma: Callable[[Tensor], Tensor]
) -> ExtremeLearning:
    """The fits of all widths in one result, its losses still to be measured."""
    criterion = [fit.criterion for fit in fits if fit.criterion is not None]
    return ExtremeLearning(
        widths=widths,
        train_loss=K.new_zeros(0),
        ridge=torch.stack([fit.ridge for fit in fits]),
        criterion=torch.stack(criterion) if criterion else None,
        freedom=torch.stack([fit.freedom for fit in fits]),
        rank=torch.stack([fit.rank for fit in fits]),
        condition=torch.stack([fit.condition for fit in fits]),
        K=K,
        b=b,
        weights=tuple(fit.weights for fit in fits),
        intercepts=tuple(fit.intercept for fit in fits),
        activation=sigma,
        cost=len(K) * widths[-1] / (2 * fits[-1].weights.shape[2]),
    )


def _scores(
    found: ExtremeLearning, x: Tensor, y: Tensor, targets: Tensor | None, together: int
) -> tuple[Tensor, Tensor | None]:
    """Loss (W, R) on data, the cross-entropy where there are no targets, and of classes the share in the wrong one."""
    losses, errors = [], []
    for width in found.widths:
        outputs = [found.predict(x, width, draws=slice(i, i + together)) for i in range(0, len(found.K), together)]
        if targets is not None:
            parts = [(part - targets).square().mean((1, 2)) for part in outputs]
        else:
            parts = [torch.stack([functional.cross_entropy(one, y) for one in part]) for part in outputs]
        losses.append(torch.cat(parts))
        if not y.is_floating_point():
            errors.append(torch.cat([(part.argmax(-1) != y).to(x.dtype).mean(-1) for part in outputs]))
    return torch.stack(losses), torch.stack(errors) if errors else None


def _softmax(H: Tensor, y: Tensor, ridge: float, intercept: bool) -> RidgeFit:
    """Softmax regression on the features of each draw in turn, to a gradient of 1e-6."""
    from lemmata.regression.softmax_regression import softmax_regression

    fits = [softmax_regression(one, y, ridge=ridge, intercept=intercept) for one in H]
    singular = torch.linalg.svdvals(H)
    kept = singular > singular[:, :1] * max(H.shape[1:]) * torch.finfo(H.dtype).eps
    rank = kept.sum(-1)
    condition = singular[:, 0] / torch.where(kept, singular, torch.inf).amin(-1)
    weights = torch.stack([fit.weights for fit in fits])
    c = torch.stack([fit.intercept for fit in fits])
    return RidgeFit(weights, c, torch.full_like(singular[:, 0], ridge), None, rank.to(H.dtype), rank, condition)


def _joined(parts: list[RidgeFit]) -> RidgeFit:
    """The fits of several groups of draws as one."""

    def all_of(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    names = [field.name for field in fields(RidgeFit) if getattr(parts[0], field.name) is not None]
    return replace(parts[0], **{name: all_of(name) for name in names})


def _targets(y: Tensor, classes: int | None, dtype: torch.dtype) -> Tensor:
    """What least squares fits (n, k): the targets, or labels as one-hot vectors."""
    if classes is not None:
        if int(y.min()) < 0 or int(y.max()) >= classes:
            raise InvalidInput(f"labels from {int(y.min())} to {int(y.max())}; they must be 0 to {classes - 1}")
        return functional.one_hot(y, classes).to(dtype)
    return y.to(dtype).reshape(len(y), -1)


def _drawn(x: Tensor, m: int, scale: float, repeats: int, seed: int | Generator) -> tuple[Tensor, Tensor]:
    """K (R, m, d) ~ N(0, scale^2 / d) and b (R, m) ~ N(0, scale^2), drawn one hidden layer after the other."""
    if not isinstance(repeats, Integral) or repeats < 1 or not (math.isfinite(scale) and scale > 0):
        raise InvalidInput(
            f"repeats = {repeats} and scale = {scale}; they must be an integer of 1 or more, and positive"
        )
    generator = seed if isinstance(seed, Generator) else torch.Generator().manual_seed(seed)
    d = x.shape[1]
    drawn = torch.randn(repeats, m, d + 1, generator=generator, dtype=torch.float64, device=generator.device)
    drawn = scale * drawn.to(x.device, x.dtype)
    return drawn[..., :d] / math.sqrt(d), drawn[..., d]


def _given(x: Tensor, m: int, hidden: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    K, b = hidden
    if K.ndim != 3 or K.shape[1:] != (m, x.shape[1]) or b.shape != K.shape[:2] or not len(K):
        wanted = f"(R, {m}, {x.shape[1]}) and (R, {m})"
        raise InvalidInput(f"hidden layers of shapes {tuple(K.shape)} and {tuple(b.shape)}; expected {wanted}")
    return K.to(x), b.to(x)


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise UnknownName("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation]


def _widths(width: int | Sequence[int]) -> tuple[int, ...]:
    """The different widths in order."""
    given = list(width) if isinstance(width, Iterable) else [width]
    if not all(isinstance(one, Integral) for one in given):
        raise InvalidInput(f"width = {width}; numbers of hidden units are integers")
    return tuple(sorted({int(one) for one in given}))


def _check(x: Tensor, y: Tensor, widths: tuple[int, ...], ridge: Choice, loss: str) -> None:
    if loss not in ("mse", "cross_entropy"):
        raise UnknownName("loss", loss, ("mse", "cross_entropy"))
    _check_data(x, y)
    labels = not y.is_floating_point()
    if not widths or widths[0] < 1:
        raise InvalidInput(f"widths {widths}; a hidden layer has at least one unit")
    if isinstance(ridge, str) and loss == "cross_entropy":
        raise InvalidInput(f"ridge = {ridge!r} has a closed form for loss='mse' only; give a number")
    if isinstance(ridge, str) and ridge not in ("gcv", "loo"):
        raise UnknownName("choice of the penalty", ridge, ("gcv", "loo"))
    if not isinstance(ridge, str) and not (math.isfinite(ridge) and ridge >= 0):
        raise InvalidInput(f"ridge = {ridge}; a penalty is finite and 0 or more")
    if loss == "cross_entropy" and not labels:
        raise InvalidInput(f"cross_entropy needs integer labels (n,); y is {y.dtype}")


def _check_data(x: Tensor, y: Tensor) -> None:
    for name, part in (("x", x), ("y", y)):
        if not isinstance(part, Tensor):
            raise InvalidInput(f"{name} is a {type(part).__name__}; give a torch tensor")
    if x.ndim != 2 or not y.ndim or len(x) != len(y) or not len(x) or not x.shape[1]:
        raise InvalidInput(f"x of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}; expected (n, d) and n targets")
    if not x.is_floating_point() or not (x.isfinite().all() and y.isfinite().all()):
        raise InvalidInput(f"x is {x.dtype} and must be floating; x and y must hold no NaN and no infinity")
    if not y.is_floating_point() and y.dtype != torch.int64:
        raise InvalidInput(f"y is {y.dtype}; labels are int64, by y.long(), and targets floating")
    if not y.is_floating_point() and y.ndim != 1:
        raise InvalidInput(f"integer y of shape {tuple(y.shape)}; labels are (n,), or convert the targets to floating")


def _check_alike(test: tuple[Tensor, Tensor], train: tuple[Tensor, Tensor]) -> None:
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InvalidInput(f"test is a {type(test).__name__}; give a pair of tensors (x, y)")
    _check_data(*test)
    if any(a.shape[1:] != b.shape[1:] or a.dtype != b.dtype for a, b in zip(test, train, strict=True)):
        shapes = ", ".join(str(tuple(part.shape)) for part in (*test, *train))
        raise InvalidInput(f"test data are not like the training data: shapes {shapes}, or their dtypes, disagree")


def _over_draws(label: str, widths: Sequence[int], values: Tensor) -> Series:
    drawn = values.double().cpu().numpy().T
    mean, low, high = mean_and_band(drawn)
    return Series(label=label, x=widths, y=mean, low=low, high=high, seeds=drawn)

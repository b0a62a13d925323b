"""Bounds of a network's outputs on balls: by intervals and by CROWN.

    interval_bounds     each layer's box from the last one's (Gowal et al., 2018); two forward passes
    crown               lines carried back from the outputs to the ball (Zhang et al., 2018); tighter, dearer;
                        with slopes optimised (Xu et al., 2021), tighter still
    margin_bounds       of differences f_y - f_j of logits, which decide a class: the last layer is merged with them

All hold in real arithmetic for every input in the ball and in range: rounding is bounded and taken off (`rounding`).
Where they fail: they loosen with depth, intervals by about the layers' |W| / W ratio each, so that on nets that were
not trained for it intervals say nothing beyond radii that attacks do not need. Only steps that `layers` lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number, require_tensor
from lemmata.robustness.linear_bounds.backward import State, lower_bounds
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.forward import propagate, rows_at_once
from lemmata.robustness.linear_bounds.graph import Graph
from lemmata.robustness.linear_bounds.optimised_slopes import ascended
from lemmata.robustness.linear_bounds.rounding import plain_products
from lemmata.robustness.linear_bounds.tracing import trace
from lemmata.short_repr import short_repr

METHODS = ("interval", "crown", "crown-ibp", "alpha-crown")
BUDGET = 2**28
Clip = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class LogitBounds:
    """Bounds `low` and `high` (N, C) of the logits of N images on balls of radii `eps` (N,) in `norm`, by `method`.

    >>> LogitBounds(torch.zeros(1, 2), torch.ones(1, 2), eps=torch.ones(1), norm="l2", method="crown").width
    tensor([[1., 1.]])
    """

    low: Tensor
    high: Tensor
    eps: Tensor
    norm: str
    method: str

    __repr__ = short_repr

    @property
    def width(self) -> Tensor:
        """High - low."""
        return self.high - self.low

    def plot(self, image: int = 0) -> Figure:
        """Draw the interval of each logit of one image. Raises `InvalidInput` for one that is not there."""
        if isinstance(image, bool) or not isinstance(image, int) or not 0 <= image < len(self.low):
            raise InvalidInput(f"image = {image!r}; there are images 0 to {len(self.low) - 1}")
        low, high = self.low[image].cpu().double().numpy(), self.high[image].cpu().double().numpy()
        index = range(len(low))
        series = Series(
            label=f"{self.method}, middle and bounds", x=list(index), y=(low + high) / 2, low=low, high=high,
            style="points",
        )  # fmt: skip
        panel = Panel(x=Axis(label="class", ticks=tuple(map(str, index))), y=Axis(label="logit"), series=[series])
        caption = f"Every input within {float(self.eps[image]):.3g} ({self.norm}) of image {image} has logits in these."
        return Figure(name="logit-bounds", title="Bounds of the logits", caption=caption, panels=[panel])


def interval_bounds(
    model: nn.Module | Graph,
    x: Tensor,
    eps: float | Tensor,
    *,
    norm: str = "linf",
    clip: Clip = (0.0, 1.0),
    dtype: torch.dtype = torch.float64,
    budget: int = BUDGET,
) -> LogitBounds:
    """Bound the logits (N, C) on balls around x (N, ...) by interval propagation.

    `eps` is one radius or one an image (N,), in ``"linf"``, ``"l2"`` or ``"l1"``; `clip` the range of inputs, within
    which balls are cut (None: no range). The model is read in evaluation mode and computed in `dtype`; float32 is
    about twice as fast and its bounds are wider by the rounding that they include. The first affine map is bounded
    by the dual norm of its rows, exactly; further layers by intervals. `budget` is the memory in bytes.

    Raises `InvalidInput` for a model with steps that have no bounds here, for one that depends on the batch, for x
    outside `clip` and a negative radius; `UnknownName` for a norm. Nothing is random. Cost: two forward passes.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    >>> for p in model.parameters():
    ...     _ = p.data.fill_(1.0)
    >>> found = interval_bounds(model, torch.tensor([[0.5, 0.5]]), 0.25)
    >>> found.low.round(decimals=6), found.high.round(decimals=6)
    (tensor([[3.]], dtype=torch.float64), tensor([[5.]], dtype=torch.float64))
    """
    return _bounds(model, x, eps, method="interval", norm=norm, clip=clip, dtype=dtype, budget=budget)


def crown(
    model: nn.Module | Graph,
    x: Tensor,
    eps: float | Tensor,
    *,
    norm: str = "linf",
    intermediate: str = "crown",
    optimise: bool = False,
    clip: Clip = (0.0, 1.0),
    dtype: torch.dtype = torch.float64,
    budget: int = BUDGET,
) -> LogitBounds:
    """Bound the logits (N, C) by lines carried backwards; arguments and errors as `interval_bounds`.

    `intermediate` says how the units' own bounds are found: ``"crown"`` likewise, ``"interval"`` by intervals
    (CROWN-IBP), which costs 2 C backward passes in all instead of two for each unit that can be on and off. With
    `optimise` the slopes below rectifiers are ascended (alpha-CROWN): 20 steps of six backward passes more.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    >>> model[0].weight.data, model[2].weight.data = torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([[1.0, -1.0]])
    >>> model[0].bias.data.zero_()
    tensor([0., 0.])
    >>> x = torch.tensor([[0.5, 0.5]])                                       # always on, and the units cancel
    >>> crown(model, x, 0.25).width.item() < 1e-12, interval_bounds(model, x, 0.25).width.item()
    (True, 2.0...)
    """
    if not isinstance(optimise, bool):
        raise InvalidInput(f"optimise = {optimise!r}; give True or False")
    if intermediate not in ("crown", "interval"):
        raise UnknownName("way of intermediate bounds", intermediate, ("crown", "interval"))
    if optimise and intermediate != "crown":
        raise InvalidInput("optimised slopes start from CROWN's own intermediate bounds; leave intermediate='crown'")
    method = "alpha-crown" if optimise else "crown" if intermediate == "crown" else "crown-ibp"
    return _bounds(model, x, eps, method=method, norm=norm, clip=clip, dtype=dtype, budget=budget)


def margin_bounds(
    model: nn.Module | Graph,
    x: Tensor,
    classes: Tensor,
    eps: float | Tensor,
    *,
    method: str = "crown",
    norm: str = "linf",
    clip: Clip = (0.0, 1.0),
    dtype: torch.dtype = torch.float64,
    budget: int = BUDGET,
) -> Tensor:
    """Lower bounds (N, C) of f_y(x') - f_j(x') on the balls, y = classes[i] (N,) int64; 0 where j = y.

    All positive but that one: no input of the ball is classified otherwise. `method` is ``"interval"``,
    ``"crown-ibp"``, ``"crown"`` or ``"alpha-crown"``; the rest as `interval_bounds`.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.tensor([[1.0], [-1.0]])
    >>> margin_bounds(model, torch.tensor([[0.5]]), torch.tensor([0]), 0.25).abs().round(decimals=6)
    tensor([[0.0000, 0.5000]], dtype=torch.float64)
    """
    graph, ball = prepared(model, x, eps, norm=norm, clip=clip, dtype=dtype, method=method)
    with torch.inference_mode(False), torch.no_grad(), plain_products(dtype):
        return graph_margins(graph, ball, classes, method, budget)


def prepared(
    model: nn.Module | Graph, x: Tensor, eps: float | Tensor, *, norm: str, clip: Clip, dtype: torch.dtype, method: str
) -> tuple[Graph, Ball]:
    """The model as a graph and the balls, checked."""
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    with torch.inference_mode(False), plain_products(dtype):
        ball = Ball.of(x, eps, norm, clip, dtype)
        graph = model if isinstance(model, Graph) else trace(model, x.shape[1:], dtype, x.device, around=ball.x)
    if graph.dtype != dtype or graph.nodes[0].shape != x.shape[1:]:
        raise InvalidInput(
            f"the model was traced for {tuple(graph.nodes[0].shape)} in {graph.dtype}, not for {tuple(x.shape[1:])} in "
            f"{dtype}; trace it anew"
        )
    return graph, ball


def graph_margins(graph: Graph, ball: Ball, classes: Tensor, method: str, budget: int) -> Tensor:
    """`margin_bounds` of what is prepared."""
    C = graph.outputs
    budget = required_budget(budget)
    if C < 2:
        raise InvalidInput("the model gives one logit, which no other can exceed; give a model of two classes or more")
    classes = require_tensor(classes, "classes").to(ball.x.device)
    if (
        classes.shape != (len(ball.x),)
        or classes.is_floating_point()
        or classes.dtype == torch.bool
        or (classes < 0).any()
        or (classes >= C).any()
    ):
        raise InvalidInput(f"classes of shape {tuple(classes.shape)}; give {len(ball.x)} integers from 0 to {C - 1}")
    eye = torch.eye(C, dtype=ball.x.dtype, device=ball.x.device)
    classes = classes.long()
    return _rows(graph, ball, eye[classes][:, None] - eye, method, budget).scatter(1, classes[:, None], 0.0)


def required_budget(budget: object) -> int:
    """A number of bytes, one at least; fewer than a row takes is a row at a time."""
    if not require_number(budget, "budget") >= 1:  # NaN fails too
        raise InvalidInput(f"budget = {budget!r}; give the bytes that bounds may take, such as {BUDGET}")
    return int(min(float(budget), 2.0**62))  # type: ignore[arg-type]


def _bounds(
    model: nn.Module | Graph, x: Tensor, eps: float | Tensor,
    *, method: str, norm: str, clip: Clip, dtype: torch.dtype,
    budget: int,
) -> LogitBounds:  # fmt: skip
    budget = required_budget(budget)
    graph, ball = prepared(model, x, eps, norm=norm, clip=clip, dtype=dtype, method=method)
    with torch.inference_mode(False), torch.no_grad(), plain_products(dtype):
        eye = torch.eye(graph.outputs, dtype=dtype, device=x.device)
        found = _rows(graph, ball, torch.cat([eye, -eye])[None].expand(len(x), -1, -1), method, budget)
    low, high = found.split(graph.outputs, 1)
    return LogitBounds(low, -high, ball.eps, norm, method)


def _rows(graph: Graph, ball: Ball, rows: Tensor, method: str, budget: int) -> Tensor:
    """Lower bounds (N, S) of rows (N, S, C) of the logits, images and rows in chunks within the budget."""
    last = len(graph.nodes) - 1
    images = rows_at_once(graph, 1, rows.dtype, budget)
    found = []
    for start in range(0, len(rows), images):
        part = slice(start, start + images)
        state = propagate(graph, ball.at(part), method, budget)
        found.append(_row_chunks(state, last, rows[part], method, budget))
    return torch.cat(found)


def _row_chunks(state: State, last: int, rows: Tensor, method: str, budget: int) -> Tensor:
    step = rows_at_once(state.graph, len(rows), rows.dtype, budget)
    bound = ascended if method == "alpha-crown" else lower_bounds
    return torch.cat([bound(state, last, chunk) for chunk in rows.split(step, 1)], 1)

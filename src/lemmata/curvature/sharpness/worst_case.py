"""The largest rise of the loss in a ball around the parameters, over all data or m samples at a time.

    max { L(theta + delta) - L(theta) : |T^-1 delta|_p <= rho },   p = 2 or infinity

the common part of `sam_sharpness` (T = 1) and `adaptive_sharpness` (T of the weights' own size).
"""

import math

import torch

from lemmata.curvature.sharpness.climb import Chart, Norm, climb
from lemmata.curvature.sharpness.points import parts
from lemmata.curvature.sharpness.result import WorstCase
from lemmata.curvature.sharpness.scale import Normalization, scale
from lemmata.objective import Objective, Subject


def worst_case(
    subject: Subject,
    *,
    rho: float,
    normalization: Normalization,
    norm: Norm,
    steps: int,
    starts: int,
    m: int | None,
    seed: int | torch.Generator,
) -> WorstCase:
    """Climb on each part of the data; with more than one part, the mean of the rises and its standard error."""
    objective = Objective.of(subject)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    chart = Chart(scale(objective, normalization))
    pieces = parts(objective, m)
    climbs = [climb(part, chart, rho=rho, norm=norm, steps=steps, starts=starts, seed=draw) for part in pieces]
    rises = torch.tensor([found.rise for found in climbs], dtype=torch.float64)
    share = torch.tensor([part.n / objective.n for part in pieces], dtype=torch.float64)
    value, many = float(share @ rises), len(pieces) > 1
    longest = max(found.losses.shape[1] for found in climbs)
    history = sum(w * _padded(found.losses - found.loss, longest) for w, found in zip(share, climbs, strict=True))
    gap = float(share @ torch.tensor([found.gap for found in climbs], dtype=torch.float64))
    return WorstCase(
        value,
        stderr=float(rises.std()) / math.sqrt(len(rises)) if many else 0.0,
        n=len(pieces),
        converged=gap <= 0.05 * abs(value),
        cost=float(sum(w * found.cost for w, found in zip(share, climbs, strict=True))),
        loss=float(share @ torch.tensor([found.loss for found in climbs], dtype=torch.float64)),
        history=torch.as_tensor(history),
        gap=gap,
        displacement=None if many else objective.tree(chart.delta(climbs[0].u)),
        samples=rises if many else None,
    )


def _padded(losses: torch.Tensor, steps: int) -> torch.Tensor:
    """A climb that ended early stays where it ended."""
    return torch.cat([losses, losses[:, -1:].expand(-1, steps - losses.shape[1])], 1)

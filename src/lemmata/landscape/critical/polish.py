"""Polish given points: Newton's iteration down to a gradient norm of 1e-12, and a judgement of what they are."""

import torch

from lemmata.given import require_flag, require_whole
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.flatness import RESOLUTION
from lemmata.landscape.critical.judge import judge
from lemmata.landscape.critical.kinds import Flat
from lemmata.landscape.critical.kinks import refuse_kinks
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.critical.polishing import Polishing
from lemmata.landscape.critical.search import FINEST, POLISHING, standards_of
from lemmata.landscape.critical.starts import Starts, read_starts
from lemmata.landscape.critical.stopped import Stopped
from lemmata.landscape.critical.walk import walk
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Subject


def polish(
    subject: Subject,
    theta: Starts | None = None,
    *,
    steps: int = POLISHING,
    tolerance: float = FINEST,
    flat: Flat = "degenerate",
    resolution: float = RESOLUTION,
    lipschitz: float | None = None,
    certify: bool = True,
    dense: int = 512,
    kinks: bool = False,
    memory: int = 2**29,
    seed: int | torch.Generator = 0,
) -> CriticalPoints:
    """Take points near critical ones to a gradient norm of `tolerance`, in float64; the model's own if none is given.

    `theta` is (M, P) or (P,), a parameter tree with or without a leading axis, or an earlier result. Each step is
    Newton's with the pseudo-inverse (see `polishing`); with ``steps=0`` points are judged as they are. The rest is as
    for `search`, and so is what is raised. Points that do not get there are told by their kind and `gradient_norm`: the
    floor of rounding is about 1e-16 times the Hessian's norm times that of theta. Cost: 2 P gradients a step and point.

    >>> from lemmata.landscape.critical import function
    >>> found = polish(function(lambda v: v[0].cosh() - v[1].cos(), 2, at=[0.2, 3.0]))
    >>> found.kind, bool(found.gradient_norm < 1e-12), found.theta.round(decimals=9).abs().tolist()
    (('saddle',), True, [[0.0, 3.141592654]])
    """
    field = Field(subject, memory=require_whole(memory, "memory"))
    refuse_kinks(field.objective, allowed=require_flag(kinks, "kinks"))
    generator = generator_from(seed)
    Y = read_starts(field, field.own if theta is None else theta, spread=1.0, generator=generator)
    standards = standards_of(
        tolerance, resolution=resolution, flat=flat, dense=dense, lipschitz=lipschitz, certify=certify,
        generator=generator,
    )  # fmt: skip
    limit = require_whole(steps, "steps", least=0)
    found = walk(Polishing(field, dense=standards.dense), field, Y, steps=limit, tolerance=tolerance)
    points = judge(field, found, standards)
    if found.interrupted:
        raise Stopped(points)
    return points

"""Pruning any model: winning tickets by iterative magnitude, their baselines, and the stability of training."""

from lemmata.pruning.baselines import one_shot, permuted, random_tickets, reinitialised
from lemmata.pruning.instability import Instability, instability
from lemmata.pruning.magnitude import left_after, smallest_pruned
from lemmata.pruning.masked import masked, plain
from lemmata.pruning.masks import Count, count, ones, prunable
from lemmata.pruning.stability import Stability, stability
from lemmata.pruning.steps import Pruned
from lemmata.pruning.tickets import Tickets, iterative_magnitude
from lemmata.pruning.trace import Trace

__all__ = [
    "Count",
    "Instability",
    "Pruned",
    "Stability",
    "Tickets",
    "Trace",
    "count",
    "instability",
    "iterative_magnitude",
    "left_after",
    "masked",
    "one_shot",
    "ones",
    "permuted",
    "plain",
    "prunable",
    "random_tickets",
    "reinitialised",
    "smallest_pruned",
    "stability",
]

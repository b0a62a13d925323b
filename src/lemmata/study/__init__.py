"""Declarations: what a study is, claims, measures and is about. Nothing here runs, stores or draws."""

from lemmata.study import kinds
from lemmata.study.claim import Claim, Control
from lemmata.study.config import Config, Section
from lemmata.study.experiment import Experiment
from lemmata.study.measurements import Curve, Measurements
from lemmata.study.paper import Paper
from lemmata.study.study import Study

__all__ = [
    "Claim",
    "Config",
    "Control",
    "Curve",
    "Experiment",
    "Measurements",
    "Paper",
    "Section",
    "Study",
    "kinds",
]

"""Inference on one probability from coin tosses: exact intervals, sequential tests, and audits of either."""

from lemmata.bernoulli.audit import Audit, crossing_probability, false_certificate_probability, false_certificate_rate
from lemmata.bernoulli.binomial_test import binomial_test
from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.decide import Decision, decide
from lemmata.bernoulli.fixed_sample import FixedSample
from lemmata.bernoulli.fixed_sequence import FixedSequence
from lemmata.bernoulli.group_sequential import GroupSequential
from lemmata.bernoulli.looks import looks
from lemmata.bernoulli.procedure import Procedure, Progress
from lemmata.bernoulli.samples_needed import samples_needed

__all__ = [
    "Audit",
    "Decision",
    "FixedSample",
    "FixedSequence",
    "GroupSequential",
    "Procedure",
    "Progress",
    "binomial_test",
    "clopper_pearson",
    "crossing_probability",
    "decide",
    "false_certificate_probability",
    "false_certificate_rate",
    "looks",
    "samples_needed",
]

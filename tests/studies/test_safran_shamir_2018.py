"""The study of Safran and Shamir: its batches, its figures and its verdicts."""

import pytest
import torch

from lemmata.landscape.teacher_student import descend, orthonormal
from lemmata.studies import safran_shamir_2018 as safran
from lemmata.studies._safran_shamir_2018_descents import Onset, Students, measure, shares

CLAIMS = [claim.name for claim in safran.study.claims]


def test_members_are_those_of_separate_runs():
    """Two seeds in one batch and alone: the same losses, to 1e-12; and those of a plain call on the same starts."""
    configs = [Students(k=10, starts=12, seed=seed) for seed in (0, 3)]
    together, alone = measure(configs), [measure([config])[0] for config in configs]
    for a, b in zip(together, alone, strict=True):
        assert abs(a.arrays["losses"] - b.arrays["losses"]).max() < 1e-12
        assert a.scalars["spurious"] == b.scalars["spurious"] == (a.arrays["losses"] > 1e-3).sum()
    random = torch.Generator().manual_seed(3 * 10_000 + 1000)
    W = torch.randn(12, 10, 10, generator=random, dtype=torch.float64) / 10**0.5
    losses = descend(orthonormal(10), starts=W).loss.numpy()
    assert abs(together[1].arrays["losses"] - losses).max() < 1e-12
    assert together[0].scalars["proved"] == 1
    assert measure([Students(k=10, starts=12, displaced=0.1)])[0].scalars["proved"] == 0


def test_onset_is_a_curve_of_shares():
    (found,) = shares([Onset(ks=[2, 8], starts=20)])
    assert found.curves["share"].x.tolist() == [2, 8]
    assert found.curves["share"].y[0] == 0
    assert found.scalars["unfinished"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("safran-shamir-2018").assert_outcome(name)

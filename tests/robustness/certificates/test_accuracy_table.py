"""Tables over runs, and the envelope: the definition, the band that pays for the choice, the printed forms."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.robustness import Certificates
from lemmata.robustness.certificates.accuracy_table import accuracy_table


def runs(seed=0, n=200, members=4):
    generator = torch.Generator().manual_seed(seed)
    label = torch.zeros(n, dtype=torch.int64)
    return {
        f"run {i}": Certificates(label, torch.rand(n, generator=generator, dtype=torch.float64), label=label)
        for i in range(members)
    }


def test_cells_and_the_envelope_are_their_definitions():
    table = accuracy_table(runs(), [0.2, 0.5, 0.8])
    for row, certificates in zip(table.accuracy, runs().values(), strict=True):
        np.testing.assert_array_equal(row, [(certificates.radius >= r).double().mean() for r in table.radii])
    value, low, high = table.envelope
    np.testing.assert_array_equal(value, table.accuracy.max(0))
    np.testing.assert_array_equal(value, table.accuracy[table.best, range(3)])
    assert (low <= value).all()
    assert (value <= high).all()
    assert (
        table.high - table.low
        > runs()["run 0"].accuracy([0.2, 0.5, 0.8]).high - runs()["run 0"].accuracy([0.2, 0.5, 0.8]).low
    ).all()


def test_the_envelope_of_equal_runs_is_biased_and_its_band_is_not():
    """Sixteen runs of one law, whose curve is 1 - r: 150 tables, at most 5 % may miss (4 standard errors, < 1e-4)."""
    radii, missed, above = [0.3, 0.6], 0, 0
    for seed in range(150):
        value, low, high = accuracy_table(runs(seed, n=100, members=16), radii).envelope
        truth = 1 - np.array(radii)
        missed += not ((low <= truth) & (truth <= high)).all()
        above += bool((value > truth).all())
    assert missed / 150 <= 0.05 + 4 * (0.05 * 0.95 / 150) ** 0.5
    assert above / 150 > 0.95  # the largest of sixteen is above what each of them estimates


def test_printed_forms():
    label = torch.zeros(8, dtype=torch.int64)
    two = {
        "a": Certificates(label, torch.arange(8) / 8.0, label=label),
        "b": Certificates(label, torch.full((8,), 0.5), label=label),
    }
    table = accuracy_table(two, [0.25, 0.5])
    assert (
        table.markdown()
        == "| | r = 0.25 | r = 0.5 |\n| --- | --- | --- |\n| a | 0.75 | 0.50 |\n| b | **1.00** | **1.00** |"
    )
    assert table.latex(3) == (
        "& $r = 0.25$& $r = 0.5$\\\\\n\\midrule\na & 0.750 & 0.500\\\\\nb & \\textbf{1.000} & \\textbf{1.000}\\\\"
    )
    figure = table.plot(beside=[(0.25, 0.9, "PGD")])
    labels = ["a", "b", "PGD, upper bound: not broken by attack", "best run at each radius"]
    assert [series.label for series in figure.panels[0].series] == labels
    assert static.render(figure, None).startswith("<svg")


def test_runs_that_make_no_table_are_refused():
    with pytest.raises(InvalidInput, match="no runs"):
        accuracy_table({}, [0.5])
    label = torch.tensor([0])
    both = {norm: Certificates(label, torch.tensor([0.5]), label=label, norm=norm) for norm in ("l1", "l2")}
    with pytest.raises(InvalidInput, match="l1"):
        accuracy_table(both, [0.5])


@pytest.mark.parametrize("runs", [3, {"a": 3}, ["a"]])
def test_runs_that_are_none_are_refused(runs):
    with pytest.raises(InvalidInput, match="mapping of names to certificates"):
        accuracy_table(runs, [0.1])

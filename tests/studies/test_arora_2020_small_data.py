"""The small-data study: kernels against closed forms, protocol against scikit-learn, controls at smoke scale."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from lemmata.errors import InvalidInput
from lemmata.kernels import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.studies import _arora_2020_kernels as kernels
from lemmata.studies import _arora_2020_leads as leads
from lemmata.studies import _arora_2020_protocol as protocol
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

X = np.random.default_rng(0).standard_normal((12, 3))


def test_tangent_kernels_are_the_closed_forms():
    """Here the first layer has no 1 / sqrt(d) and variances are 1: the law's kernel times d."""
    x = torch.tensor(X)
    found = {(int(k.first), int(k.second)): torch.tensor(k.values) for k in kernels.tangent_kernels(X, 5)}
    assert sorted(found) == [(layers, fixed) for layers in range(1, 6) for fixed in range(layers)]
    for (layers, fixed), values in found.items():
        law = FullyConnected(depth=layers, weight_variance=1.0, fixed_layers=fixed)
        torch.testing.assert_close(values, 3 * analytic_ntk(x, network=law).values, rtol=1e-7, atol=1e-9)
        if fixed == layers - 1:
            torch.testing.assert_close(values, 3 * analytic_nngp(x, network=law).values, rtol=1e-7, atol=1e-9)


def test_a_sample_of_zeros_has_kernel_zero_and_copies_are_exact():
    x = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]])
    for kernel in kernels.tangent_kernels(x, 3):
        assert np.isfinite(kernel.values).all()
        assert not kernel.values[0].any()
        assert kernel.values[1, 2] == pytest.approx(kernel.values[1, 1], rel=1e-6)


def test_other_kernels_are_scikit_learns():
    for kernel in kernels.gaussian_kernels(X):
        np.testing.assert_allclose(kernel.values, rbf_kernel(X, gamma=2.0**kernel.first / 3), rtol=1e-12, atol=1e-14)
    for kernel in kernels.polynomial_kernels(X):
        wanted = polynomial_kernel(X, degree=int(kernel.first), gamma=1 / 3, coef0=int(kernel.second))
        np.testing.assert_allclose(kernel.values, wanted, rtol=1e-10, atol=1e-12)
    assert len(list(kernels.gaussian_kernels(X))) == len(list(kernels.polynomial_kernels(X))) == 15


def noisy(n=90):
    draw = np.random.default_rng(1)
    x = draw.standard_normal((n, 2))
    return x, (x[:, 0] * x[:, 1] + 0.7 * draw.standard_normal(n) > 0).astype(int)


def test_the_shortcut_in_costs_changes_nothing():
    """Against the whole grid of costs, for kernels that do and do not separate the classes."""
    x, y = noisy()
    part = protocol.split(protocol.Comparison(), y)
    for kernel in (list(kernels.gaussian_kernels(x))[k] for k in (2, 8, 14)):
        inside, across = (kernel.values[np.ix_(rows, part.train)] for rows in (part.train, part.validation))
        accuracies = []
        for cost in protocol.COSTS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                machine = SVC(kernel="precomputed", C=cost).fit(inside, y[part.train])
            accuracies.append((machine.predict(across) == y[part.validation]).mean())
        found = protocol.validated(kernel.values, part)
        assert found == (max(accuracies), protocol.COSTS[int(np.argmax(accuracies))])


def test_testing_is_cross_validation():
    x, y = noisy()
    part = protocol.split(protocol.Comparison(seed=2), y)
    kernel = next(iter(kernels.gaussian_kernels(x, range(1))))
    wanted = cross_val_score(SVC(C=10.0, gamma=0.5), x, y, cv=part.folds).mean()  # pyright: ignore[reportArgumentType]
    assert protocol.tested(protocol.Best(0.0, 10.0, kernel), part) == (pytest.approx(wanted), 0.0)


def test_halves_and_folds_keep_the_classes_and_depend_on_the_seed_alone():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    one, same, other = (
        protocol.split(protocol.Comparison.build({"seed": s, "labels": labels}), y)
        for s, labels in ((0, "true"), (0, "permuted"), (1, "true"))
    )
    assert np.bincount(y[one.train]).tolist() == [30, 15, 5]
    assert sorted([*one.train, *one.validation]) == list(range(100))
    assert len(one.folds) == 4
    assert sorted(i for _, test in one.folds for i in test) == list(range(100))
    assert not np.array_equal(one.train, other.train)
    assert not np.array_equal(same.y, y)
    assert np.bincount(same.y).tolist() == [60, 30, 10]


def test_members_do_not_see_each_other_and_scrambling_touches_tangent_kernels_only():
    configs = [protocol.Comparison(seed=seed, trees=5, depth=2) for seed in range(2)]
    together = protocol.compare(configs)
    for config, found in zip(configs, together, strict=True):
        assert found.scalars == protocol.compare([config])[0].scalars
    scrambled = protocol.compare([c.model_copy(update={"scrambled": True}) for c in configs])
    for found, plain in zip(scrambled, together, strict=True):
        for name in ("gaussian", "polynomial", "forest", "majority"):
            assert found.scalars[name] == plain.scalars[name]
        assert found.scalars["ntk"] < 0.6  # chance is one in three
        assert plain.scalars["ntk"] > 0.9


def accuracies(rows) -> pd.DataFrame:
    names = ["seed", "table", *leads.CLASSIFIERS]
    return pd.DataFrame(rows, columns=names)


def test_leads_by_hand():
    table = accuracies([
        (0, "a", 0.9, 0.8, 0.7, 0.6), (0, "b", 0.5, 0.6, 0.4, 0.6),
        (1, "a", 0.9, 0.9, 0.9, 0.9), (1, "b", 0.8, 0.4, 0.4, 0.4),
    ])  # fmt: skip
    rank, accuracy, pma = (
        leads.lead(of=of, first="ntk", others=("forest",)).components(table, None, (0.0, np.inf))[0]
        for of in ("rank", "accuracy", "pma")
    )
    assert rank.samples.tolist() == [((4 + 1.5) - (1 + 3)) / 2, (0 + 2) / 2]  # three others are third at their mean
    assert accuracy.samples == pytest.approx([(0.3 - 0.1) / 2, 0.4 / 2])
    assert pma.samples == pytest.approx([(1 + 5 / 6 - 2 / 3 - 1) / 2, (1 - 0.5) / 2])
    assert (rank.null, rank.seeds, rank.low) == (0.0, (0, 1), 0.0)


def test_a_seed_without_all_tables_gives_no_number():
    table = accuracies([(0, "a", 0.9, 0.8, 0.7, 0.6), (0, "b", 0.9, 0.8, 0.7, 0.6), (1, "a", 0.9, 0.8, 0.7, 0.6)])
    (part,) = leads.lead(of="rank", first="ntk", others=("forest",)).components(table, None, (0.0, np.inf))
    assert (part.seeds, part.dropped) == ((0,), 1)
    with pytest.raises(InvalidInput, match="no column"):
        leads.each(of=("boosting",)).components(table, None, (0, 1))


def test_every_control_is_refuted_at_smoke_scale(smoke):
    asked = [
        verdict
        for verdict in smoke("arora-2020-small-data").verdicts.values()
        if verdict.claim.experiment == "embedded"
    ]
    assert len(asked) == 8
    for verdict in asked:
        assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls), verdict.claim.name


LEVEL = dict.fromkeys(("embedded-rank-polynomial", "embedded-share-of-the-best"), Outcome.INCONCLUSIVE)


@pytest.mark.slow
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop):
    """On four classic tables the polynomial kernel is level with the NTK; all else is reproduced."""
    found = laptop("arora-2020-small-data")
    assert len(found.verdicts) == 8
    found.assert_outcomes(LEVEL)

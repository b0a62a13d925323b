"""Every result draws itself: what is drawn is what was measured."""

import numpy as np
import pytest
import torch

from lemmata import nets, training
from lemmata.errors import UnknownName
from lemmata.estimate import Estimate
from lemmata.linalg import eigenpairs
from lemmata.regression.early_stopping import RiskCurve


def test_an_estimate_with_its_interval(tmp_path):
    estimate = Estimate(np.array([3.0, 2.0]), stderr=np.array([0.1, 0.2]), n=10)
    (series,) = estimate.plot("eigenvalue").panels[0].series
    low, high = estimate.interval()
    assert np.array_equal(series.y, [3.0, 2.0])
    assert np.array_equal(series.low, low)
    assert np.array_equal(series.high, high)
    assert estimate.plot().save(tmp_path / "estimate.png").stat().st_size > 1000
    assert Estimate(1.5).plot()._repr_svg_().startswith("<svg")


def test_eigenvalues_with_their_residuals():
    pairs = eigenpairs(torch.diag(torch.arange(1.0, 31.0).double()), 3, seed=0)
    (series,) = pairs.plot().panels[0].series
    assert np.allclose(series.y, [30, 29, 28])
    assert np.array_equal(series.high - series.y, (pairs.values + pairs.residuals - pairs.values).numpy())


def test_training_curves_of_every_member():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    models = [nets.mlp(3, (4,), 2, seed=seed) for seed in range(5)]
    result = training.train(models, x, (x[:, 0] > 0).long(), optimiser=training.SGD(lr=0.1), epochs=3)
    figure = result.plot("train_loss")
    (panel,) = figure.panels
    assert panel.series[0].seeds.shape == (5, len(result.curves["train_loss"][0]))
    assert np.allclose(panel.series[0].y, result.curves["train_loss"][1].double().mean(0))
    assert len(result.plot().panels) == len(result.curves)
    with pytest.raises(UnknownName, match="did you mean 'train_loss'"):
        result.plot("train_los")


def test_a_risk_is_the_sum_of_its_parts():
    curve = RiskCurve(torch.tensor([[0.4, 0.1], [0.2, 0.1]]), torch.tensor([[0.0, 0.2], [0.0, 0.1]]))
    risk, bias, variance = curve.plot(torch.tensor([1, 2])).panels[0].series
    assert np.allclose(risk.y, bias.y + variance.y)
    assert np.allclose(risk.y, [0.6, 0.5])
